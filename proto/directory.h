/* directory.h: the batch directory, what readers and leases need of each record without reading it. Layer: proto.
 * docs/format.md "Directory". Six columns, in this order; each is either one value that holds for all records (bit clear in
 * `arrays`) or one value per record (bit set); each column is padded to 8 bytes.
 *
 *   0  u16 version = 1   2  u16 arrays (bit per column)   4  u32 record_count
 *   8  u32 length | u64 key hash | u64 type hash | i64 event time ns | u8 flags | i64 expires at ns
 *
 * Hashes are SipHash-2-4 under the log's secret, 0 for an absent field: a match is rechecked on the record. */
#ifndef TRUC_PROTO_DIRECTORY_H
#define TRUC_PROTO_DIRECTORY_H

#include "bytes.h"
#include "limits.h"
#include "status.h"

enum { HASH_SECRET_BYTES = 16 };
enum directory_column {
    DIRECTORY_LENGTH,
    DIRECTORY_KEY,
    DIRECTORY_TYPE,
    DIRECTORY_TIME,
    DIRECTORY_FLAGS,
    DIRECTORY_EXPIRES,
    DIRECTORY_COLUMNS
};

/* The keyed hash of a key or type; 0 stands for absent only (a hash of 0 becomes 1). */
uint64_t directory_hash(const uint8_t secret[HASH_SECRET_BYTES], struct bytes text);

/* Builds the directory of a raw payload: walks and checks every record on the way (record_brief_parse, record_bytes_max).
 * flags: RECORD_FLAG_* that all records have besides their own (batch_record_flags).
 * *buffer is realloc'd and kept (*capacity) for reuse by the caller, who owns it. *ret_bad (if given) gets the number of the
 * record that is wrong. TRUC_BAD_BATCH (count), TRUC_BAD_RECORD, TRUC_RECORD_TOO_LARGE, TRUC_NO_MEMORY. */
truc_status directory_build(const uint8_t secret[HASH_SECRET_BYTES], struct bytes raw_payload, uint32_t record_count,
                            size_t record_bytes_max, uint8_t flags, uint8_t **buffer, size_t *capacity, struct bytes *ret_directory,
                            uint32_t *ret_bad, const char **ret_why);

struct directory_view {
    uint32_t record_count;
    uint16_t arrays;
    const uint8_t *columns[DIRECTORY_COLUMNS];
};

/* Checks the layout against the size. TRUC_BAD_BATCH. */
truc_status directory_parse(struct bytes encoded, struct directory_view *ret_view);

/* A column's value for a record (index < record_count), widened to 64 bits. */
uint64_t directory_at(const struct directory_view *view, enum directory_column column, uint32_t index);

#endif
