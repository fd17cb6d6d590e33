/* built.h: a row made into a record: what is published, compared with the log, and kept in the spool.
 *
 * Layer: cli/import. A built record borrows everything from whoever made it. Pure but for buffers given. One thread. */
#ifndef TRUC_CLI_IMPORT_BUILT_H
#define TRUC_CLI_IMPORT_BUILT_H

#include "clients/c/truc.h"
#include "clients/cli/import/failure.h"
#include "clients/cli/output.h"
#include "proto/digest.h"

enum { IMPORT_ID_BYTES = 16 };

struct built {
    uint64_t row, line;
    const char *topic; /* terminated */
    size_t topic_size;
    uint8_t id[IMPORT_ID_BYTES];
    truc_record record;
    truc_header headers[RECORD_HEADERS_MAX];
};

/* What two records must have in common to be the same: every field that an import sets, in one digest. */
void record_fingerprint(struct digest_context *digests, struct out *scratch, const truc_record *record,
                        uint8_t ret_digest[DIGEST_BYTES]);

/* Who a row is. `head` is identity_head's. The id is SHA-256 of
 *   "truc-import-id-v1" 0 source 0 producer 0 topic 0 row (u64, little-endian)
 * cut to 16 bytes, with the version (8) and variant bits of a UUID set. */
void identity_head(struct out *head, const char *source, const char *producer);
void identity_make(struct digest_context *digests, struct bytes head, struct bytes topic, uint64_t row,
                   uint8_t ret_id[IMPORT_ID_BYTES]);

/* Appends a built record in a form of its own; reads one back, borrowed from the bytes. False when the bytes are not one. */
void built_write(const struct built *built, struct out *out);
bool built_read(struct bytes bytes, struct built *ret_built);

#endif
