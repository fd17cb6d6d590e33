#include "proto/bytes.h"
#include "proto/test_support.h"

static void reader_fixed_fields_are_little_endian(void **state)
{
    static const uint8_t data[] = {1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0x80};
    struct reader r = reader_over(bytes_of(data, sizeof data));
    (void)state;
    assert_int_equal(reader_u8(&r), 1);
    assert_int_equal(reader_u16(&r), 2);
    assert_int_equal(reader_u32(&r), 3);
    assert_true(reader_u64(&r) == UINT64_C(0x8000000000000004));
    assert_false(r.failed);
    assert_int_equal(reader_left(&r), 0);
}

static void reader_beyond_the_end_fails_and_stays_failed(void **state)
{
    static const uint8_t data[] = {0xff, 0xff, 0xff};
    struct reader r = reader_over(bytes_of(data, sizeof data));
    (void)state;
    assert_int_equal(reader_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(reader_u8(&r), 0);
    assert_int_equal(reader_varint(&r), 0);
    assert_int_equal(reader_take(&r, 0).size, 0);
    assert_int_equal(reader_delimited(&r).size, 0);
    assert_int_equal(reader_left(&r), 3);
}

static void reader_over_nothing_is_empty(void **state)
{
    struct reader r = reader_over(bytes_of(NULL, 0));
    (void)state;
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(reader_take(&r, 0).size, 0);
    assert_false(r.failed);
    assert_int_equal(reader_u8(&r), 0);
    assert_true(r.failed);
}

static void varint_every_width_comes_back(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t value = (bits == 64 ? 0 : UINT64_C(1) << bits) + (uint64_t)(int64_t)delta;
            uint8_t out[10];
            uint8_t *end = varint_put(out, value);
            assert_int_equal((size_t)(end - out), varint_size(value));
            struct reader r = reader_over(bytes_of(out, (size_t)(end - out)));
            assert_true(reader_varint(&r) == value);
            assert_false(r.failed);
            assert_int_equal(reader_left(&r), 0);
            r = reader_over(bytes_of(out, (size_t)(end - out) - 1)); /* cut short */
            (void)reader_varint(&r);
            assert_true(r.failed);
        }
    }
}

static void varint_over_64_bits_fails(void **state)
{
    static const uint8_t eleven_bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t two_bits_in_tenth[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    struct reader r = reader_over(bytes_of(eleven_bytes, sizeof eleven_bytes));
    (void)state;
    (void)reader_varint(&r);
    assert_true(r.failed);
    r = reader_over(bytes_of(two_bits_in_tenth, sizeof two_bits_in_tenth));
    (void)reader_varint(&r);
    assert_true(r.failed);
}

static void varint_padded_form_is_read(void **state)
{
    static const uint8_t padded[] = {0x81, 0x80, 0x00};
    struct reader r = reader_over(bytes_of(padded, sizeof padded));
    (void)state;
    assert_int_equal(reader_varint(&r), 1);
    assert_false(r.failed);
}

static void delimited_longer_than_what_is_left_fails(void **state)
{
    uint8_t data[12] = {0};
    struct reader r;
    (void)state;
    data[0] = 4;
    r = reader_over(bytes_of(data, 4));
    (void)reader_delimited(&r);
    assert_true(r.failed);
    (void)varint_put(data, UINT64_MAX);
    r = reader_over(bytes_of(data, sizeof data));
    (void)reader_delimited(&r);
    assert_true(r.failed);
    data[0] = 3;
    r = reader_over(bytes_of(data, 4));
    assert_int_equal(reader_delimited(&r).size, 3);
    assert_false(r.failed);
}

static void delimited_padded_length_of_six_bytes_fails(void **state)
{
    static const uint8_t five[] = {0x81, 0x80, 0x80, 0x80, 0x00, 'x'}, six[] = {0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 'x'};
    struct reader r = reader_over(bytes_of(five, sizeof five));
    (void)state;
    assert_int_equal(reader_delimited(&r).size, 1);
    assert_false(r.failed);
    r = reader_over(bytes_of(six, sizeof six));
    assert_int_equal(reader_delimited(&r).size, 0);
    assert_true(r.failed);
}

static void align8_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(align8(0), 0);
    assert_int_equal(align8(1), 8);
    assert_int_equal(align8(8), 8);
    assert_int_equal(align8(9), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_fixed_fields_are_little_endian),
        cmocka_unit_test(reader_beyond_the_end_fails_and_stays_failed),
        cmocka_unit_test(reader_over_nothing_is_empty),
        cmocka_unit_test(varint_every_width_comes_back),
        cmocka_unit_test(varint_over_64_bits_fails),
        cmocka_unit_test(varint_padded_form_is_read),
        cmocka_unit_test(delimited_longer_than_what_is_left_fails),
        cmocka_unit_test(delimited_padded_length_of_six_bytes_fails),
        cmocka_unit_test(align8_rounds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
