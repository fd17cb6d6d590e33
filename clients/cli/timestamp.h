/* timestamp.h: times as people write them, and as Truc prints them.
 *
 * Layer: cli. Times are ns since 1970-01-01T00:00:00Z. Reading without a zone uses the zone selected for the process, because the
 * C library keeps exactly one: zone_select is called once, before threads start; everything else from any thread. */
#ifndef TRUC_CLI_TIMESTAMP_H
#define TRUC_CLI_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/status.h"

#define ZONE_DEFAULT "Asia/Ho_Chi_Minh"

enum { ZONE_NAME_BYTES = 64, TIMESTAMP_TEXT_BYTES = 40 };

struct zone {
    char name[ZONE_NAME_BYTES]; /* as it was asked for */
};

/* Selects a zone for the process: a name of the tz database ("Europe/Amsterdam"), "UTC", or a fixed offset ("+07:00").
 * TRUC_INVALID_ARGUMENT when there is no such zone. */
truc_status zone_select(const char *name, struct zone *ret_zone);

/* Reads a time: RFC 3339 ("2020-06-05T08:00:00.5+07:00", with a space for the T too, "+0700", "+07", seconds or the whole
 * time of day left out), with slashes for dashes, compact ("20200605080000"), "@SECONDS" since 1970, "now", or relative
 * to now: "-1h", "+30m", "-1d12h" (units w d h m s ms us ns). zone NULL: UTC. *ret_zoned (if given): the text had no zone, so that
 * `zone` was used.
 * TRUC_INVALID_ARGUMENT with *ret_why (static text): not a time, a day that does not exist, outside 1677..2262, or a time of day
 * that the zone skips. */
truc_status timestamp_parse(const char *text, size_t size, const struct zone *zone, int64_t now_ns, int64_t *ret_ns,
                            bool *ret_zoned, const char **ret_why);

/* Reads a length of time: "500ms", "10s", "1h30m"; a bare number is seconds ("2.5"). TRUC_INVALID_ARGUMENT. */
truc_status duration_parse(const char *text, size_t size, int64_t *ret_ns, const char **ret_why);

/* Prints "2020-06-05T01:00:00.000000000Z", always 9 digits of fraction; returns its length (30) and terminates it. */
size_t timestamp_print(int64_t ns, char out[TIMESTAMP_TEXT_BYTES]);

/* The wall clock. */
int64_t timestamp_now(void);

#endif
