#include "proto/protobuf_wire.h"
#include "proto/test_support.h"

static uint32_t tag_of(const char *hex, bool *ret_failed)
{
    uint8_t buffer[16];
    struct reader r = reader_over(from_hex(hex, buffer));
    uint32_t tag = protobuf_tag(&r);
    *ret_failed = r.failed;
    return tag;
}

static void tag_forms_are_judged(void **state)
{
    static const char *const bad[] = {"", "00", "07", "80", "80 80 80 80 10", "8a 80 80 80 80 00", "ff ff ff ff ff ff ff ff ff 01"};
    bool failed;
    (void)state;
    assert_int_equal(tag_of("0a", &failed), 10);
    assert_false(failed);
    assert_int_equal(tag_of("8a 80 80 80 00", &failed), 10); /* padded, within five bytes */
    assert_false(failed);
    assert_true(tag_of("fd ff ff ff 0f", &failed) == 0xfffffffd);
    assert_false(failed);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tag_of(bad[i], &failed), 0);
        assert_true(failed);
    }
}

static void skip_steps_over_every_wire_type_but_groups(void **state)
{
    static const struct {
        uint32_t wire_type;
        size_t size; /* of the value at hand; 0: refused */
    } cases[] = {{WIRE_VARINT, 1}, {WIRE_FIXED64, 8}, {WIRE_DELIMITED, 3}, {3, 0}, {4, 0}, {WIRE_FIXED32, 4}, {6, 0}, {7, 0}};
    static const uint8_t data[] = {2, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader r = reader_over(bytes_of(data, sizeof data));
        (void)protobuf_skip(&r, cases[i].wire_type);
        assert_int_equal(r.failed, cases[i].size == 0);
        assert_int_equal(r.at - data, cases[i].size);
        r = reader_over(bytes_of(data, cases[i].size == 0 ? 0 : cases[i].size - 1));
        (void)protobuf_skip(&r, cases[i].wire_type);
        assert_true(r.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tag_forms_are_judged),
        cmocka_unit_test(skip_steps_over_every_wire_type_but_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
