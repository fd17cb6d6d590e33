/* block.h: one commit, one value. Layer: log. Pure layout, no I/O, any thread. docs/format.md "Block".
 *
 *    0 u32 magic "TRBK"             48 u64 durable block   } when this block was written
 *    4 u16 version = 1              56 u64 durable position }
 *    6 u16 header size = 160        64 u8[32] previous chain
 *    8 u64 block number             96 u8[32] chain
 *   16 u64 first position          128 u64 checksum of the deltas
 *   24 u64 block size              136 u64 checksum of the table
 *   32 u32 entry count             144 u32 deltas size   148 u32 delta count
 *   36 u32 reserved 0              152 u64 checksum of bytes 0..151
 *   40 i64 append time ns of the first entry (of the commit when there is none)
 *  160 table: per entry u64 offset of the entry in the block, u32 entry size, u32 topic id, u32 record count,
 *             u32 reserved 0, u64 base offset, i64 append time ns  (40 bytes)
 *      deltas | entries (proto/entry.h), each aligned to 8
 *
 * Checksums are XXH3-64. chain: proto/digest.h; erasing payloads never breaks it. */
#ifndef TRUC_LOG_BLOCK_H
#define TRUC_LOG_BLOCK_H

#include "proto/catalog.h"
#include "proto/digest.h"
#include "proto/entry.h"

#define BLOCK_MAGIC 0x4b425254u
enum { BLOCK_HEADER_BYTES = 160, BLOCK_TABLE_ROW_BYTES = 40 };

/* One entry to be written. Everything borrowed until the commit returns. */
struct log_append {
    struct entry_fields fields;
    uint64_t position, base_offset;
    int64_t append_time_ns;
    struct bytes leaf;
    uint8_t leaf_hash[DIGEST_BYTES];
    struct bytes batch, directory;
};

/* One block to be: appends in position order and encoded deltas in order. */
struct log_draft {
    const struct log_append *appends;
    size_t append_count;
    struct bytes deltas;
    uint32_t delta_count;
    int64_t append_time_ns; /* used when append_count is 0 */
};

struct block_place {
    uint64_t block, first_position; /* of this block */
    uint64_t durable_block, durable_position;
    uint8_t previous_chain[DIGEST_BYTES];
};

size_t block_size(const struct log_draft *draft);

/* Lays the block out at `out` (8-aligned, block_size bytes); writes the new chain value. */
void block_write(struct digest_context *context, uint8_t *out, const struct log_draft *draft, const struct block_place *place,
                 uint8_t ret_chain[DIGEST_BYTES]);

struct block_view {
    struct bytes encoded;
    uint64_t block, first_position, durable_block, durable_position;
    uint32_t entry_count, delta_count;
    int64_t append_time_ns;
    const uint8_t *previous_chain, *chain;
    struct bytes table, deltas;
    uint64_t table_checksum, deltas_checksum;
};

struct block_row {
    uint64_t offset, base_offset;
    uint32_t size, topic_id, record_count;
    int64_t append_time_ns;
};

/* Parses and checks the header (its checksum, sizes against encoded.size). TRUC_DAMAGED. Touches only the header. */
truc_status block_parse(struct bytes encoded, struct block_view *ret_view);
/* Check what each name says; TRUC_DAMAGED. */
truc_status block_table_check(const struct block_view *view);
truc_status block_deltas_check(const struct block_view *view);
/* The table's row for an entry (index < entry_count), after block_table_check. */
struct block_row block_row_at(const struct block_view *view, uint32_t index);
/* The entry at an index: entry_parse with the row's bounds. TRUC_DAMAGED. */
truc_status block_entry(const struct block_view *view, uint32_t index, struct entry_view *ret_entry);
/* The same without looking at the entry's checksum, so that its payload is not read: for whoever checks what he takes against
 * table, leaf and batch header. TRUC_DAMAGED when the layout is not possible. */
truc_status block_entry_peek(const struct block_view *view, uint32_t index, struct entry_view *ret_entry);

#endif
