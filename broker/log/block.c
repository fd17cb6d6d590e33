#include "block.h"

#include <assert.h>
#include <xxhash.h>

enum { BLOCK_VERSION = 1, CHECKSUM_AT = 152 };

static uint64_t checksum(const uint8_t *data, size_t size)
{
    return XXH3_64bits(data, size);
}

static size_t entries_offset(size_t entry_count, size_t deltas_size)
{
    return BLOCK_HEADER_BYTES + align8(entry_count * BLOCK_TABLE_ROW_BYTES) + align8(deltas_size);
}

static size_t append_size(const struct log_append *append)
{
    return entry_size(append->leaf.size, append->batch.size, append->directory.size);
}

size_t block_size(const struct log_draft *draft)
{
    size_t size = entries_offset(draft->append_count, draft->deltas.size);
    for (size_t i = 0; i < draft->append_count; i++) {
        size += append_size(&draft->appends[i]);
    }
    return size;
}

static void write_row(uint8_t *row, const struct log_append *append, size_t offset, size_t size)
{
    store_u64(row, offset);
    store_u32(row + 8, (uint32_t)size);
    store_u32(row + 12, append->fields.topic_id);
    store_u32(row + 16, append->fields.record_count);
    store_u32(row + 20, 0);
    store_u64(row + 24, append->base_offset);
    store_u64(row + 32, (uint64_t)append->append_time_ns);
}

/* Everything of the header but the chain, which needs the leaf hashes, and the checksum, which comes last. */
static void write_header(uint8_t *out, const struct log_draft *draft, const struct block_place *place, size_t size)
{
    store_u32(out, BLOCK_MAGIC);
    store_u16(out + 4, BLOCK_VERSION);
    store_u16(out + 6, BLOCK_HEADER_BYTES);
    store_u64(out + 8, place->block);
    store_u64(out + 16, place->first_position);
    store_u64(out + 24, size);
    store_u32(out + 32, (uint32_t)draft->append_count);
    store_u32(out + 36, 0);
    int64_t time_ns = draft->append_count > 0 ? draft->appends[0].append_time_ns : draft->append_time_ns;
    store_u64(out + 40, (uint64_t)time_ns);
    store_u64(out + 48, place->durable_block);
    store_u64(out + 56, place->durable_position);
    memcpy(out + 64, place->previous_chain, DIGEST_BYTES);
    store_u32(out + 144, (uint32_t)draft->deltas.size);
    store_u32(out + 148, draft->delta_count);
}

void block_write(struct digest_context *context, uint8_t *out, const struct log_draft *draft, const struct block_place *place,
                 uint8_t ret_chain[DIGEST_BYTES])
{
    size_t count = draft->append_count, table_size = count * BLOCK_TABLE_ROW_BYTES;
    size_t at = entries_offset(count, draft->deltas.size);
    uint8_t *table = out + BLOCK_HEADER_BYTES, *deltas = table + align8(table_size);
    assert(count <= UINT32_MAX && draft->deltas.size <= UINT32_MAX);

    /* The chain wants the leaf hashes side by side: the room of the entries, much larger, holds them for a moment. */
    uint8_t *hashes = out + at;
    for (size_t i = 0; i < count; i++) {
        memcpy(hashes + i * DIGEST_BYTES, draft->appends[i].leaf_hash, DIGEST_BYTES);
    }
    digest_chain(context, place->previous_chain, place->block, place->first_position, hashes, count, draft->deltas, ret_chain);

    for (size_t i = 0; i < count; i++) {
        const struct log_append *append = &draft->appends[i];
        size_t size = append_size(append);
        write_row(table + i * BLOCK_TABLE_ROW_BYTES, append, at, size);
        entry_write(out + at, &append->fields, append->leaf, append->batch, append->directory);
        at += size;
    }
    memset(table + table_size, 0, align8(table_size) - table_size);
    if (draft->deltas.size > 0) {
        memcpy(deltas, draft->deltas.data, draft->deltas.size);
        memset(deltas + draft->deltas.size, 0, align8(draft->deltas.size) - draft->deltas.size);
    }
    write_header(out, draft, place, at);
    memcpy(out + 96, ret_chain, DIGEST_BYTES);
    store_u64(out + 128, checksum(deltas, align8(draft->deltas.size)));
    store_u64(out + 136, checksum(table, align8(table_size)));
    store_u64(out + CHECKSUM_AT, checksum(out, CHECKSUM_AT));
}

truc_status block_parse(struct bytes encoded, struct block_view *ret_view)
{
    const uint8_t *p = encoded.data;
    if (encoded.size < BLOCK_HEADER_BYTES || load_u32(p) != BLOCK_MAGIC || load_u16(p + 4) != BLOCK_VERSION ||
        load_u16(p + 6) != BLOCK_HEADER_BYTES || load_u64(p + CHECKSUM_AT) != checksum(p, CHECKSUM_AT) ||
        load_u64(p + 24) != encoded.size || load_u32(p + 36) != 0) {
        return TRUC_DAMAGED;
    }
    uint32_t entry_count = load_u32(p + 32), deltas_size = load_u32(p + 144);
    size_t table_size = (size_t)entry_count * BLOCK_TABLE_ROW_BYTES;
    if (entries_offset(entry_count, deltas_size) > encoded.size || UINT64_MAX - load_u64(p + 16) < entry_count) {
        return TRUC_DAMAGED;
    }
    *ret_view = (struct block_view){
        .encoded = encoded,
        .block = load_u64(p + 8),
        .first_position = load_u64(p + 16),
        .durable_block = load_u64(p + 48),
        .durable_position = load_u64(p + 56),
        .entry_count = entry_count,
        .delta_count = load_u32(p + 148),
        .append_time_ns = (int64_t)load_u64(p + 40),
        .previous_chain = p + 64,
        .chain = p + 96,
        .table = bytes_of(p + BLOCK_HEADER_BYTES, table_size),
        .deltas = bytes_of(p + BLOCK_HEADER_BYTES + align8(table_size), deltas_size),
        .table_checksum = load_u64(p + 136),
        .deltas_checksum = load_u64(p + 128),
    };
    return TRUC_OK;
}

truc_status block_table_check(const struct block_view *view)
{
    return checksum(view->table.data, align8(view->table.size)) == view->table_checksum ? TRUC_OK : TRUC_DAMAGED;
}

truc_status block_deltas_check(const struct block_view *view)
{
    return checksum(view->deltas.data, align8(view->deltas.size)) == view->deltas_checksum ? TRUC_OK : TRUC_DAMAGED;
}

struct block_row block_row_at(const struct block_view *view, uint32_t index)
{
    assert(index < view->entry_count);
    const uint8_t *row = view->table.data + (size_t)index * BLOCK_TABLE_ROW_BYTES;
    return (struct block_row){
        .offset = load_u64(row),
        .size = load_u32(row + 8),
        .topic_id = load_u32(row + 12),
        .record_count = load_u32(row + 16),
        .base_offset = load_u64(row + 24),
        .append_time_ns = (int64_t)load_u64(row + 32),
    };
}

/* A row's entry as bytes, within the part of the block that holds entries. */
static truc_status row_bytes(const struct block_view *view, const struct block_row *row, struct bytes *ret_bytes)
{
    size_t first = (size_t)(view->deltas.data - view->encoded.data) + align8(view->deltas.size);
    if (row->offset < first || row->offset % 8 != 0 || row->offset > view->encoded.size || row->size < ENTRY_HEADER_BYTES ||
        row->size > view->encoded.size - row->offset) {
        return TRUC_DAMAGED;
    }
    *ret_bytes = bytes_of(view->encoded.data + row->offset, row->size);
    return TRUC_OK;
}

/* An entry's layout, from its header's sizes; its checksum is not looked at. */
static truc_status parse_layout(struct bytes bytes, struct entry_view *ret_view)
{
    const uint8_t *p = bytes.data;
    size_t leaf = load_u32(p + 28), batch = load_u32(p + 40), directory = load_u32(p + 44);
    if (load_u32(p) != bytes.size || leaf > bytes.size || batch > bytes.size || directory > bytes.size ||
        entry_size(leaf, batch, directory) != bytes.size) {
        return TRUC_DAMAGED;
    }
    const uint8_t *body = p + ENTRY_HEADER_BYTES;
    *ret_view = (struct entry_view){
        .entry_size = (uint32_t)bytes.size,
        .fields = {.topic_id = load_u32(p + 8),
                   .record_count = load_u32(p + 12),
                   .epoch = load_u32(p + 24),
                   .producer_id = load_u64(p + 16),
                   .first_sequence = load_u64(p + 32)},
        .leaf = bytes_of(body, leaf),
        .batch = bytes_of(body + align8(leaf), batch),
        .directory = bytes_of(body + align8(leaf) + align8(batch), directory),
        .directory_checksum = load_u64(p + 48),
    };
    return TRUC_OK;
}

static truc_status entry_at(const struct block_view *view, uint32_t index, bool checked, struct entry_view *ret_entry)
{
    struct block_row row = block_row_at(view, index);
    struct bytes bytes;
    struct entry_view entry;
    truc_status status = row_bytes(view, &row, &bytes);
    if (status == TRUC_OK) {
        status = checked ? entry_parse(bytes, &entry) : parse_layout(bytes, &entry);
    }
    if (status != TRUC_OK || entry.entry_size != row.size || entry.fields.topic_id != row.topic_id ||
        entry.fields.record_count != row.record_count) {
        return TRUC_DAMAGED;
    }
    *ret_entry = entry;
    return TRUC_OK;
}

truc_status block_entry(const struct block_view *view, uint32_t index, struct entry_view *ret_entry)
{
#ifdef TRUC_CANARY_SKIP_CHECKSUM
    return entry_at(view, index, false, ret_entry); /* the seeded bug */
#else
    return entry_at(view, index, true, ret_entry);
#endif
}

truc_status block_entry_peek(const struct block_view *view, uint32_t index, struct entry_view *ret_entry)
{
    return entry_at(view, index, false, ret_entry);
}
