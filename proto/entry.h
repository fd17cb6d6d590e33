/* entry.h: a batch as the log holds it and as readers get it. Layer: proto. docs/format.md "Entry".
 *
 *    0 u32 entry size: all of it, directory included     32 u64 first sequence
 *    4 u16 version = 1   6 u16 flags = 0; served: 1 when cut
 *    8 u32 topic id                                      40 u32 batch size
 *   12 u32 record count                                  44 u32 directory size
 *   16 u64 producer id                                   48 u64 directory checksum
 *   24 u32 epoch                                         56 u64 checksum: bytes 0..55, then leaf and batch with padding
 *   28 u32 leaf size                                     64 leaf | batch | directory, each padded with zeros to 8
 *
 * Checksums are XXH3-64. A reader gets the entry up to the directory, bytes unchanged, or a part of its records as a cut entry
 * (cut.h), which no log stores. */
#ifndef TRUC_PROTO_ENTRY_H
#define TRUC_PROTO_ENTRY_H

#include "batch.h"
#include "leaf.h"

enum { ENTRY_HEADER_BYTES = 64, ENTRY_FLAG_CUT = 1 };

struct entry_fields {
    uint32_t topic_id, record_count, epoch;
    uint64_t producer_id, first_sequence;
};

struct entry_view {
    uint32_t entry_size; /* with directory */
    uint16_t flags;      /* ENTRY_FLAG_CUT or 0 */
    struct entry_fields fields;
    struct bytes leaf, batch; /* borrowed */
    struct bytes directory;   /* empty in what a reader gets */
    uint64_t directory_checksum;
};

size_t entry_size(size_t leaf_size, size_t batch_size, size_t directory_size);

/* What of an entry is sent to readers. */
size_t entry_served_size(size_t leaf_size, size_t batch_size);

/* Lays an entry out at `out` (8-aligned, entry_size bytes), with both checksums: the one copy of the path. */
void entry_write(uint8_t *out, const struct entry_fields *fields, struct bytes leaf, struct bytes batch, struct bytes directory);

/* Lays a cut entry out (cut.h; entry_served_size bytes) around its batch, which stands at entry_batch_at already. */
void entry_write_cut(uint8_t *out, const struct entry_fields *fields, struct bytes leaf, size_t batch_size);
static inline uint8_t *entry_batch_at(uint8_t *out, size_t leaf_size)
{
    return out + ENTRY_HEADER_BYTES + align8(leaf_size);
}

/* Parses a stored entry that begins at `bytes` (which may be longer); checks layout and the entry's checksum, not the
 * directory's. TRUC_DAMAGED. */
truc_status entry_parse(struct bytes bytes, struct entry_view *ret_view);

/* Checks the directory's checksum and padding. TRUC_DAMAGED. */
truc_status entry_directory_check(const struct entry_view *view);

/* Parses the next served entry (no directory, may be cut) of a READ_DATA payload. False at the end or with *ret_status set. */
bool entry_served_next(struct reader *payload, struct entry_view *ret_view, truc_status *ret_status);
/* The same without looking at the entry's checksum, so that its batch is not read: for whoever has just made the payload. */
bool entry_served_peek(struct reader *payload, struct entry_view *ret_view, truc_status *ret_status);

/* What a reader can check before it looks at the records: leaf and batch agree (topic, count, header digest). Whole or cut.
 * TRUC_DAMAGED or TRUC_DIGEST_MISMATCH. */
truc_status entry_prove_head(struct digest_context *context, const struct entry_view *view, struct leaf *ret_leaf,
                             struct batch_view *ret_batch, const char **ret_why);

/* Everything a reader can check of a whole entry by itself: entry_prove_head, and records_root holds. Writes the parsed leaf and
 * batch and the raw payload (batch_raw's scratch). TRUC_DAMAGED (also for a cut entry, which is for cut_prove) or
 * TRUC_DIGEST_MISMATCH, TRUC_NO_MEMORY. */
truc_status entry_prove(struct digest_context *context, const struct entry_view *view, struct leaf *ret_leaf,
                        struct batch_view *ret_batch, uint8_t **scratch, size_t *scratch_capacity, struct bytes *ret_raw,
                        const char **ret_why);

#endif
