/* pub_record.h: the record that the options of `truc pub` describe, all but its payload. Layer: cli. */
#ifndef TRUC_CLI_PUB_RECORD_H
#define TRUC_CLI_PUB_RECORD_H

#include "clients/cli/cli.h"
#include "proto/limits.h"

struct pub_options {
    const char *key, *type, *content_type, *schema, *id, *correlation, *producer, *evidence, *codec;
    struct cli_list headers, wait_for;
    struct cli_time wait_timeout;
    struct cli_time time, expires, deliver_at;
    struct cli_uint expect_offset;
    bool lines, together;
};

struct pub_record {
    struct cli_context *context;
    const struct pub_options *given;
    char *key;            /* NFC, owned */
    truc_header *headers; /* owned; texts borrowed from argv */
    uint8_t id[RECORD_ID_BYTES_MAX];
    truc_record record; /* borrows all of the above */
    truc_publish_how how;
};

/* Checks the options, against each other too, and fills the record, in place: it borrows from itself and must not be copied.
 * TRUC_USAGE, TRUC_BAD_RECORD, TRUC_NO_MEMORY, printed. To be ended with pub_record_fini in either case. */
truc_status pub_record_fill(struct cli_context *context, const struct pub_options *given, struct pub_record *record);
void pub_record_fini(struct pub_record *record);

#endif
