/* share_test_kit.h: what share tests stand on: a log of keyed records, and a catalog that deltas add up to. Layer: core (tests).
 * One thread. */
#ifndef TRUC_CORE_SHARE_TEST_KIT_H
#define TRUC_CORE_SHARE_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/share.h"

/* --- a log: only what the subscription wants is told; other records leave gaps in the places ------------------------------------
 */

enum { KIT_DAMAGED_MAX = 8 };

struct kit_log {
    struct share_record *records; /* owned, in log order */
    size_t count, capacity;
    struct place head;                 /* behind the last one */
    uint64_t damaged[KIT_DAMAGED_MAX]; /* positions of entries that cannot be read: they are passed over */
    size_t damaged_count;
};

void kit_log_fini(struct kit_log *log);
/* A record in an entry of its own (new_entry), or in the one of the record before. `gap` records of others come first. */
void kit_log_add(struct kit_log *log, uint64_t key, bool new_entry, uint32_t gap);
bool kit_log_is_damaged(const struct kit_log *log, struct place place);
/* Number of the record at a place; fails the test when there is none. */
size_t kit_log_at(const struct kit_log *log, struct place place);
/* What log/scan.h promises: all that is wanted in [from, next), at most max; next == until: that was all. */
size_t kit_log_scan(const struct kit_log *log, const struct share_scan *scan, struct place until, struct share_record *records,
                    size_t max, struct place *ret_next);

/* Answers what the share asks for now: a scan to the head, a search. False: it asks for nothing. */
bool kit_answer_scan(struct kit_log *log, struct share *share);
bool kit_answer_search(struct kit_log *log, struct share *share);
/* Both, as long as something new comes of it. */
void kit_answer_all(struct kit_log *log, struct share *share);

/* --- a catalog: rows by key, of one record by place
 * -------------------------------------------------------------------------------
 */

struct kit_catalog {
    struct cursor_row cursor;
    struct lane_row *lanes; /* owned, in no order */
    size_t count, capacity;
};

void kit_catalog_fini(struct kit_catalog *catalog);
void kit_catalog_apply(struct kit_catalog *catalog, const struct delta *delta);
/* The row that says of a record where it stands: its own, or its key's; NULL. */
const struct lane_row *kit_catalog_row(const struct kit_catalog *catalog, const struct share_record *record);
/* For share_save: context is the catalog; everything is durable at once. */
bool kit_catalog_put(void *context, const struct delta *delta);

static inline bool kit_before(struct place a, struct place b)
{
    return a.position != b.position ? a.position < b.position : a.index < b.index;
}

#endif
