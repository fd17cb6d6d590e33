#include "proto/directory.h"
#include "proto/record.h"
#include "proto/test_support.h"

#include <stdlib.h>

static const uint8_t secret[HASH_SECRET_BYTES] = {1, 2, 3, 4};

struct built {
    uint8_t payload[64 * 1024];
    size_t payload_size;
    uint8_t *buffer;
    size_t capacity;
    struct bytes directory;
    uint32_t bad;
    const char *why;
};

static void add(struct built *built, const struct record_view *view, const struct record_header *headers, size_t header_count)
{
    uint8_t *p = built->payload + built->payload_size;
    p = varint_put(p, record_encoded_size(view, headers, header_count));
    p = record_encode(view, headers, header_count, p);
    built->payload_size = (size_t)(p - built->payload);
}

static truc_status build(struct built *built, uint32_t count)
{
    return directory_build(secret, bytes_of(built->payload, built->payload_size), count, RECORD_BYTES_DEFAULT, 0, &built->buffer,
                           &built->capacity, &built->directory, &built->bad, &built->why);
}

static void directory_has_the_flags_of_the_batch_beside_those_of_records(void **state)
{
    struct built built = {0};
    struct directory_view view;
    const struct record_header header = {bytes_of_text("n"), bytes_of_text("v")};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        add(&built, &(struct record_view){.id = bytes_of_text("id")}, &header, i);
    assert_status(directory_build(secret, bytes_of(built.payload, built.payload_size), 2, RECORD_BYTES_DEFAULT, RECORD_FLAG_DELAYED,
                                  &built.buffer, &built.capacity, &built.directory, NULL, NULL),
                  TRUC_OK);
    assert_status(directory_parse(built.directory, &view), TRUC_OK);
    assert_int_equal(directory_at(&view, DIRECTORY_FLAGS, 0), RECORD_FLAG_DELAYED);
    assert_int_equal(directory_at(&view, DIRECTORY_FLAGS, 1), RECORD_FLAG_DELAYED | RECORD_FLAG_HEADERS);
    free(built.buffer);
}

static void directory_of_different_records_has_arrays(void **state)
{
    static const char *const keys[] = {"k1", "k1", "", "k2", "k1"};
    struct built built = {0};
    struct directory_view view;
    const struct record_header header = {bytes_of_text("n"), bytes_of_text("v")};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct record_view record = {.id = bytes_of_text("id"),
                                     .key = bytes_of_text(keys[i]),
                                     .type = bytes_of_text(i == 4 ? "other" : "type"),
                                     .time_ns = (int64_t)i - 2,
                                     .expires_at_ns = i == 3 ? 77 : 0,
                                     .has_relation = i == 1,
                                     .data = bytes_of(keys, i)};
        add(&built, &record, &header, i == 2 ? 1 : 0);
    }
    assert_status(build(&built, 5), TRUC_OK);
    assert_int_equal(built.directory.size % 8, 0);
    assert_status(directory_parse(built.directory, &view), TRUC_OK);
    assert_int_equal(view.record_count, 5);
    assert_int_equal(view.arrays, 0x3f);
    struct reader r = reader_over(bytes_of(built.payload, built.payload_size));
    for (uint32_t i = 0; i < 5; i++) {
        struct bytes record;
        truc_status status;
        assert_true(records_next(&r, &record, &status));
        assert_int_equal(directory_at(&view, DIRECTORY_LENGTH, i), record.size);
        assert_true(directory_at(&view, DIRECTORY_KEY, i) == directory_hash(secret, bytes_of_text(keys[i])));
        assert_true(directory_at(&view, DIRECTORY_TYPE, i) == directory_hash(secret, bytes_of_text(i == 4 ? "other" : "type")));
        assert_true((int64_t)directory_at(&view, DIRECTORY_TIME, i) == (int64_t)i - 2);
        assert_int_equal(directory_at(&view, DIRECTORY_EXPIRES, i), i == 3 ? 77 : 0);
        assert_int_equal(directory_at(&view, DIRECTORY_FLAGS, i), i == 1 ? RECORD_FLAG_RELATED : i == 2 ? RECORD_FLAG_HEADERS : 0);
    }
    free(built.buffer);
}

static void directory_of_equal_columns_is_56_bytes(void **state)
{
    static struct built built;
    struct directory_view view;
    struct record_view record = {.id = bytes_of_text("id"), .type = bytes_of_text("type"), .time_ns = 5};
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        add(&built, &record, NULL, 0);
    assert_status(build(&built, 1000), TRUC_OK);
    assert_int_equal(built.directory.size, 8 + 6 * 8);
    assert_status(directory_parse(built.directory, &view), TRUC_OK);
    assert_int_equal(view.arrays, 0);
    assert_int_equal(directory_at(&view, DIRECTORY_KEY, 999), 0);
    assert_int_equal(directory_at(&view, DIRECTORY_TIME, 999), 5);
    assert_true(directory_at(&view, DIRECTORY_TYPE, 0) == directory_hash(secret, bytes_of_text("type")));
    free(built.buffer);
}

static void directory_buffer_is_reused_without_traces(void **state)
{
    struct built first = {0}, second = {0};
    (void)state;
    for (size_t i = 0; i < 7; i++) {
        struct record_view record = {.id = bytes_of_text("id"), .time_ns = (int64_t)i};
        add(&first, &record, NULL, 0);
        if (i < 3)
            add(&second, &record, NULL, 0);
    }
    assert_status(build(&first, 7), TRUC_OK);
    second.buffer = first.buffer;
    second.capacity = first.capacity;
    memset(second.buffer, 0xee, second.capacity);
    assert_status(build(&second, 3), TRUC_OK);
    struct directory_view view;
    assert_status(directory_parse(second.directory, &view), TRUC_OK);
    for (const uint8_t *p = view.columns[DIRECTORY_FLAGS] + 1; p < view.columns[DIRECTORY_EXPIRES]; p++)
        assert_int_equal(*p, 0);
    free(second.buffer);
}

static void build_names_the_bad_record(void **state)
{
    struct built built = {0};
    struct record_view record = {.id = bytes_of_text("id")};
    (void)state;
    add(&built, &record, NULL, 0);
    add(&built, &record, NULL, 0);
    built.payload[built.payload_size++] = 2;
    built.payload[built.payload_size++] = 0x0a;
    built.payload[built.payload_size++] = 0;
    assert_status(build(&built, 3), TRUC_BAD_RECORD);
    assert_int_equal(built.bad, 2);
    assert_string_equal(built.why, "id: missing");
    assert_null(built.directory.data);
    assert_status(directory_build(secret, bytes_of(built.payload, built.payload_size), 3, 3, 0, &built.buffer, &built.capacity,
                                  &built.directory, &built.bad, &built.why),
                  TRUC_RECORD_TOO_LARGE);
    assert_int_equal(built.bad, 0);
    free(built.buffer);
}

static void build_wrong_count_or_cut_is_refused(void **state)
{
    struct built built = {0};
    struct record_view record = {.id = bytes_of_text("id")};
    (void)state;
    add(&built, &record, NULL, 0);
    add(&built, &record, NULL, 0);
    assert_status(build(&built, 1), TRUC_BAD_BATCH);
    assert_status(build(&built, 3), TRUC_BAD_BATCH);
    assert_status(build(&built, 0), TRUC_BAD_BATCH);
    assert_status(build(&built, BATCH_RECORDS_MAX + 1), TRUC_BAD_BATCH);
    built.payload_size--;
    assert_status(build(&built, 2), TRUC_BAD_BATCH);
    assert_non_null(built.why);
    assert_status(
        directory_build(secret, bytes_of(NULL, 0), 1, 100, 0, &built.buffer, &built.capacity, &built.directory, NULL, NULL),
        TRUC_BAD_BATCH);
    free(built.buffer);
}

static void hash_is_keyed_and_zero_for_absent_only(void **state)
{
    /* SipHash-2-4's published vector: key 00..0f, message 00..0e */
    uint8_t key[16], message[15], other[16] = {0};
    (void)state;
    for (size_t i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < 15; i++)
        message[i] = (uint8_t)i;
    assert_true(directory_hash(key, bytes_of(message, 15)) == UINT64_C(0xa129ca6149be45e5));
    assert_true(directory_hash(other, bytes_of(message, 15)) != UINT64_C(0xa129ca6149be45e5));
    assert_int_equal(directory_hash(key, bytes_of(NULL, 0)), 0);
}

static void parse_layout_is_held_against_the_size(void **state)
{
    struct built built = {0};
    struct directory_view view;
    uint8_t copy[512];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct record_view record = {.id = bytes_of_text("id"), .time_ns = (int64_t)i};
        add(&built, &record, NULL, 0);
    }
    assert_status(build(&built, 3), TRUC_OK);
    size_t size = built.directory.size;
    memcpy(copy, built.directory.data, size);
    for (size_t cut = 0; cut < size; cut++)
        assert_status(directory_parse(bytes_of(copy, cut), &view), TRUC_BAD_BATCH);
    assert_status(directory_parse(bytes_of(copy, size + 8), &view), TRUC_BAD_BATCH);
    copy[0] = 2;
    assert_status(directory_parse(bytes_of(copy, size), &view), TRUC_BAD_BATCH);
    copy[0] = 1;
    copy[2] |= 0x40; /* a seventh column */
    assert_status(directory_parse(bytes_of(copy, size), &view), TRUC_BAD_BATCH);
    copy[2] &= 0x3f;
    store_u32(copy + 4, 0);
    assert_status(directory_parse(bytes_of(copy, size), &view), TRUC_BAD_BATCH);
    store_u32(copy + 4, 0xffffffff);
    assert_status(directory_parse(bytes_of(copy, size), &view), TRUC_BAD_BATCH);
    store_u32(copy + 4, 3);
    assert_status(directory_parse(bytes_of(copy, size), &view), TRUC_OK);
    free(built.buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_has_the_flags_of_the_batch_beside_those_of_records),
        cmocka_unit_test(directory_of_different_records_has_arrays),
        cmocka_unit_test(directory_of_equal_columns_is_56_bytes),
        cmocka_unit_test(directory_buffer_is_reused_without_traces),
        cmocka_unit_test(build_names_the_bad_record),
        cmocka_unit_test(build_wrong_count_or_cut_is_refused),
        cmocka_unit_test(hash_is_keyed_and_zero_for_absent_only),
        cmocka_unit_test(parse_layout_is_held_against_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
