/* fuzz_block.c: any bytes as a block; and, since no fuzzer guesses checksums, the same bytes with the right ones put in. */
#include <string.h>
#include <xxhash.h>

#include "broker/log/block.h"
#include "tests/fuzz/fuzz_check.h"

static void look(struct bytes bytes)
{
    struct block_view view;
    if (block_parse(bytes, &view) != TRUC_OK) {
        return;
    }
    check(view.encoded.size == bytes.size && view.table.size == (size_t)view.entry_count * BLOCK_TABLE_ROW_BYTES);
    if (block_table_check(&view) == TRUC_OK) {
        for (uint32_t i = 0; i < view.entry_count; i++) {
            struct entry_view entry, peeked;
            struct block_row row = block_row_at(&view, i);
            bool whole = block_entry(&view, i, &entry) == TRUC_OK;
            bool laid = block_entry_peek(&view, i, &peeked) == TRUC_OK;
            check(!whole || laid); /* what is checked wholly is also laid out well */
            check(!laid ||
                  (peeked.entry_size == row.size && peeked.directory.data + peeked.directory.size <= bytes.data + bytes.size));
            check(!whole || (entry.batch.data == peeked.batch.data && entry.batch.size == peeked.batch.size));
        }
    }
    if (block_deltas_check(&view) == TRUC_OK) {
        struct reader deltas = reader_over(view.deltas);
        struct delta delta;
        truc_status status;
        while (delta_next(&deltas, &delta, &status)) {
            check(status == TRUC_OK);
        }
    }
}

/* Makes magic, sizes and checksums right, with an entry count and deltas that fit. */
static void mend(uint8_t *block, size_t size)
{
    store_u32(block, BLOCK_MAGIC);
    store_u16(block + 4, 1);
    store_u16(block + 6, BLOCK_HEADER_BYTES);
    store_u64(block + 16, load_u64(block + 16) >> 1);
    store_u64(block + 24, size);
    store_u32(block + 36, 0);
    size_t room = size - BLOCK_HEADER_BYTES;
    uint32_t count = (uint32_t)(load_u32(block + 32) % (room / BLOCK_TABLE_ROW_BYTES + 1));
    size_t table = align8((size_t)count * BLOCK_TABLE_ROW_BYTES);
    uint32_t deltas = (uint32_t)(load_u32(block + 144) % (room - table + 1)) & ~7u;
    store_u32(block + 32, count);
    store_u32(block + 144, deltas);
    store_u64(block + 128, XXH3_64bits(block + BLOCK_HEADER_BYTES + table, deltas));
    store_u64(block + 136, XXH3_64bits(block + BLOCK_HEADER_BYTES, table));
    store_u64(block + 152, XXH3_64bits(block, 152));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    look(bytes_of(data, size));
    if (size >= BLOCK_HEADER_BYTES) {
        uint8_t *copy = malloc(size);
        check(copy != NULL);
        memcpy(copy, data, size);
        mend(copy, size);
        look(bytes_of(copy, size));
        free(copy);
    }
    return 0;
}
