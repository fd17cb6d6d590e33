/* send_batch_test.c: buffers, growth, freezing and parting of batches, without a connection. */
#undef NDEBUG
#include "clients/c/send_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/client.h"
#include "proto/codec.h"
#include "proto/record.h"

static struct batch_header_fields fields_of(uint64_t first_sequence, uint32_t count)
{
    return (struct batch_header_fields){.topic = bytes_of_text("test.batch"),
                                        .source = bytes_of_text("H26"),
                                        .system = bytes_of_text("x"),
                                        .producer_id = 7,
                                        .epoch = 2,
                                        .first_sequence = first_sequence,
                                        .record_count = count};
}

static struct send_batch *filled(truc_client *client, uint32_t count, size_t capacity_max)
{
    struct batch_header_fields widest = fields_of(UINT64_MAX, UINT32_MAX);
    size_t headroom = send_batch_headroom(&widest);
    struct send_batch *batch = send_batch_create(client, headroom, 64);

    assert_non_null(batch);
    for (uint32_t i = 0; i < count; i++) {
        struct record_view view = {.id = bytes_of("0123456789abcdef", 16), .data = bytes_of(&i, sizeof i)};
        size_t size = record_encoded_size(&view, NULL, 0), before = send_batch_footprint(batch);
        size_t growth = send_batch_growth(batch, size + 1, headroom + capacity_max);
        uint8_t *at = NULL;

        assert_int_equal(send_batch_reserve(batch, size + 1, headroom + capacity_max, &at), TRUC_OK);
        assert_int_equal(send_batch_footprint(batch), before + growth);
        (void)record_encode(&view, NULL, 0, varint_put(at, size));
        send_batch_commit(batch, size + 1, (void *)(uintptr_t)(i + 1), i % 3 == 0);
    }
    return batch;
}

/* Parses the frozen frame and counts its records, numbered from `first`. */
static void check_frame(const struct send_batch *batch, uint64_t sequence, uint32_t first, uint32_t count)
{
    struct batch_view view;
    struct record_view record;
    struct reader records;
    struct bytes encoded;
    truc_status status;
    const char *why = "";
    uint32_t seen = 0;

    assert_int_equal(batch_parse(bytes_of(batch->buffer->bytes + batch->frame_start + FRAME_PREFIX_BYTES,
                                          batch->frame_size - FRAME_PREFIX_BYTES),
                                 &view, &why),
                     TRUC_OK);
    assert_int_equal(view.first_sequence, sequence);
    assert_int_equal(view.record_count, count);
    records = reader_over(view.stored);
    while (records_next(&records, &encoded, &status)) {
        uint32_t number;

        assert_int_equal(record_parse(encoded, &record, NULL), TRUC_OK);
        memcpy(&number, record.data.data, sizeof number);
        assert_int_equal(number, first + seen++);
    }
    assert_int_equal(seen, count);
}

static void batch_grows_and_freezes_once(void **state)
{
    truc_client client = {0};
    struct send_batch *batch = filled(&client, 1000, 262144);
    struct batch_header_fields fields = fields_of(5, 1000);
    uint8_t seed[SALT_SEED_BYTES];

    (void)state;
    assert_int_equal(send_batch_freeze(batch, &fields), TRUC_OK);
    check_frame(batch, 5, 0, 1000);
    memcpy(seed, batch->buffer->bytes + batch->frame_start + FRAME_PREFIX_BYTES + 32, sizeof seed);
    assert_int_equal(send_batch_freeze(batch, &fields), TRUC_OK);
    assert_memory_equal(seed, batch->buffer->bytes + batch->frame_start + FRAME_PREFIX_BYTES + 32,
                        sizeof seed); /* the same bytes */
    fields.first_sequence = UINT64_C(1) << 40;
    assert_int_equal(send_batch_freeze(batch, &fields), TRUC_OK);
    check_frame(batch, UINT64_C(1) << 40, 0, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_ptr_equal(batch->opaques[i], (void *)(uintptr_t)(i + 1));
        assert_int_equal(send_batch_waited(batch, i), i % 3 == 0);
    }
    send_batch_free(batch);
    send_buffers_free(&client);
}

static void batch_splits_to_the_last_record(void **state)
{
    truc_client client = {0};
    struct send_batch *batch = filled(&client, 37, 262144), *second = NULL;
    struct batch_header_fields fields;

    (void)state;
    for (uint32_t i = 0; i < 37; i += 3)
        batch->opaques[i] = NULL; /* threads that gave up waiting */
    for (uint32_t left = 37; left > 1; left = left / 2) {
        batch->state = BATCH_SENT;
        assert_int_equal(send_batch_split(batch, &second), TRUC_OK);
        assert_int_equal(batch->record_count, left / 2);
        assert_int_equal(second->record_count, left - left / 2);
        fields = fields_of(9, second->record_count);
        assert_int_equal(send_batch_freeze(second, &fields), TRUC_OK);
        check_frame(second, 9, left / 2, second->record_count);
        for (uint32_t i = 0; i < second->record_count; i++)
            assert_int_equal(send_batch_waited(second, i), (left / 2 + i) % 3 == 0);
        send_batch_free(second);
        fields = fields_of(1, batch->record_count);
        assert_int_equal(send_batch_freeze(batch, &fields), TRUC_OK);
        check_frame(batch, 1, 0, batch->record_count);
    }
    send_batch_free(batch);
    send_buffers_free(&client);
}

static void buffer_is_reused_and_counted(void **state)
{
    truc_client client = {0};
    struct send_buffer *one = send_buffer_create(&client, 100000), *again;

    (void)state;
    one->refs++;
    send_buffer_unref(one);
    assert_int_equal(client.buffer_count, 0);
    send_buffer_unref(one);
    assert_int_equal(client.buffer_count, 1);
    again = send_buffer_create(&client, 100000);
    assert_ptr_equal(one, again);
    send_buffer_unref(again);
    send_buffers_free(&client);
    assert_int_equal(client.buffer_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_grows_and_freezes_once),
        cmocka_unit_test(batch_splits_to_the_last_record),
        cmocka_unit_test(buffer_is_reused_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
