/* The layout of a block, and deltas, row for row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/log/log_test_kit.h"

static uint8_t buffer[1 << 16] __attribute__((aligned(8)));

/* A block of two entries and one delta, by hand; the leaf's content does not matter to the layout. */
static size_t make_block(struct digest_context *digests, uint8_t chain[DIGEST_BYTES])
{
    static uint8_t leaf[LEAF_FIXED_BYTES + 1], batch[77], directory[13], deltas[DELTA_BYTES_MAX];
    struct delta delta = {.kind = DELTA_TOPIC, .topic = {.topic_id = 1, .evidence = EVIDENCE_RECORD, .name = bytes_of_text("t")}};
    size_t deltas_size = delta_write(deltas, &delta);
    struct log_append appends[2] = {
        {.fields = {1, 3, 1, 9, 0},
         .position = 70,
         .base_offset = 0,
         .append_time_ns = 1000,
         .leaf = bytes_of(leaf, sizeof leaf),
         .batch = bytes_of(batch, sizeof batch),
         .directory = bytes_of(directory, sizeof directory)},
        {.fields = {1, 2, 1, 9, 3},
         .position = 71,
         .base_offset = 3,
         .append_time_ns = 1001,
         .leaf = bytes_of(leaf, sizeof leaf),
         .batch = bytes_of(batch, 5),
         .directory = bytes_of(directory, 8)},
    };
    struct log_draft draft = {.appends = appends, .append_count = 2, .deltas = bytes_of(deltas, deltas_size), .delta_count = 1};
    struct block_place place = {
        .block = 5, .first_position = 70, .durable_block = 5, .durable_position = 70, .previous_chain = {1, 2, 3}};
    size_t size = block_size(&draft);
    assert_true(size <= sizeof buffer);
    memset(buffer, 0xee, sizeof buffer);
    block_write(digests, buffer, &draft, &place, chain);
    assert_int_equal(buffer[size], 0xee); /* not a byte beyond */
    return size;
}

static void write_then_parse_gives_the_same(void **state)
{
    (void)state;
    struct digest_context *digests = digest_context_create();
    uint8_t chain[DIGEST_BYTES];
    size_t size = make_block(digests, chain);
    struct block_view view;
    assert_int_equal(block_parse(bytes_of(buffer, size), &view), TRUC_OK);
    assert_int_equal(view.block, 5);
    assert_int_equal(view.first_position, 70);
    assert_int_equal(view.durable_block, 5);
    assert_int_equal(view.durable_position, 70);
    assert_int_equal(view.entry_count, 2);
    assert_int_equal(view.delta_count, 1);
    assert_int_equal(view.append_time_ns, 1000);
    assert_memory_equal(view.chain, chain, DIGEST_BYTES);
    assert_int_equal(view.previous_chain[2], 3);
    assert_int_equal(block_table_check(&view), TRUC_OK);
    assert_int_equal(block_deltas_check(&view), TRUC_OK);
    struct block_row row = block_row_at(&view, 1);
    assert_int_equal(row.topic_id, 1);
    assert_int_equal(row.record_count, 2);
    assert_int_equal(row.base_offset, 3);
    assert_int_equal(row.append_time_ns, 1001);
    assert_int_equal(row.offset + row.size, size);
    struct entry_view entry, peeked;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(block_entry(&view, i, &entry), TRUC_OK);
        assert_int_equal(block_entry_peek(&view, i, &peeked), TRUC_OK);
        assert_int_equal(entry.fields.producer_id, 9);
        assert_int_equal(entry.batch.size, i == 0 ? 77 : 5);
        assert_ptr_equal(entry.leaf.data, peeked.leaf.data);
        assert_ptr_equal(entry.batch.data, peeked.batch.data);
        assert_ptr_equal(entry.directory.data, peeked.directory.data);
        assert_memory_equal(&entry.fields, &peeked.fields, sizeof entry.fields);
        assert_int_equal(entry_directory_check(&entry), TRUC_OK);
    }
    digest_context_destroy(digests);
}

static void parse_flipped_bit_anywhere_is_noticed(void **state)
{
    (void)state;
    struct digest_context *digests = digest_context_create();
    uint8_t chain[DIGEST_BYTES];
    size_t size = make_block(digests, chain);
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct block_view view;
        struct entry_view entry;
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
        bool noticed = block_parse(bytes_of(buffer, size), &view) != TRUC_OK || block_table_check(&view) != TRUC_OK ||
                       block_deltas_check(&view) != TRUC_OK;
        for (uint32_t i = 0; !noticed && i < view.entry_count; i++) {
            noticed = block_entry(&view, i, &entry) != TRUC_OK || entry_directory_check(&entry) != TRUC_OK;
        }
        assert_true(noticed);
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    digest_context_destroy(digests);
}

static void parse_cut_short_is_damage(void **state)
{
    (void)state;
    struct digest_context *digests = digest_context_create();
    uint8_t chain[DIGEST_BYTES];
    size_t size = make_block(digests, chain);
    struct block_view view;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut + 1); /* so that a sanitizer sees a byte too many */
        memcpy(copy, buffer, cut);
        assert_int_equal(block_parse(bytes_of(copy, cut), &view), TRUC_DAMAGED);
        free(copy);
    }
    digest_context_destroy(digests);
}

static void deltas_alone_make_a_block(void **state)
{
    (void)state;
    struct digest_context *digests = digest_context_create();
    uint8_t deltas[DELTA_BYTES_MAX], chain[DIGEST_BYTES];
    struct delta delta = {.kind = DELTA_CLOCK, .clock = {5, 6}};
    struct log_draft draft = {.delta_count = 1, .append_time_ns = 77};
    struct block_place place = {.block = 1};
    draft.deltas = bytes_of(deltas, delta_write(deltas, &delta));
    struct block_view view;
    block_write(digests, buffer, &draft, &place, chain);
    assert_int_equal(block_parse(bytes_of(buffer, block_size(&draft)), &view), TRUC_OK);
    assert_int_equal(view.entry_count, 0);
    assert_int_equal(view.append_time_ns, 77);
    assert_int_equal(block_table_check(&view), TRUC_OK);
    digest_context_destroy(digests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_then_parse_gives_the_same),
        cmocka_unit_test(parse_flipped_bit_anywhere_is_noticed),
        cmocka_unit_test(parse_cut_short_is_damage),
        cmocka_unit_test(deltas_alone_make_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
