#include "proto/test_support.h"
#include "proto/utf8.h"

static bool valid(const char *text)
{
    return utf8_valid(bytes_of_text(text));
}

static void utf8_texts_of_the_field_are_valid(void **state)
{
    (void)state;
    assert_true(utf8_valid(bytes_of(NULL, 0)));
    assert_true(valid("H26.16-200605-0001"));
    assert_true(valid("Đã trả kết quả"));
    assert_true(valid("\xf0\x9f\x98\x80 and eight more"));
    assert_true(utf8_valid(bytes_of("a\0b", 3)));
}

static void utf8_malformed_is_refused_wherever_it_stands(void **state)
{
    static const char *const bad[] = {
        "\x80",             /* continuation alone */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xed\xbf\xbf",     /* surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc3",
        "\xe1\x80",
        "\xf1\x80\x80",
        "\xe1\x80\x41",
        "\xf1\x80\x41\x80",
        "\xc3\x41",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t before = 0; before < 20; before++) {
            char text[64];
            size_t size = strlen(bad[i]);
            memset(text, 'a', sizeof text);
            memcpy(text + before, bad[i], size);
            assert_false(utf8_valid(bytes_of(text, before + size)));
            assert_false(utf8_valid(bytes_of(text, sizeof text)));
        }
    }
}

static void utf8_every_code_point_is_judged_right(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c <= 0x110fff; c++) {
        uint8_t out[4];
        size_t size;
        if (c < 0x800) {
            out[0] = (uint8_t)(0xc0 | c >> 6);
            out[1] = (uint8_t)(0x80 | (c & 0x3f));
            size = 2;
        } else if (c < 0x10000) {
            out[0] = (uint8_t)(0xe0 | c >> 12);
            out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
            out[2] = (uint8_t)(0x80 | (c & 0x3f));
            size = 3;
        } else {
            out[0] = (uint8_t)(0xf0 | c >> 18);
            out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
            out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
            out[3] = (uint8_t)(0x80 | (c & 0x3f));
            size = 4;
        }
        bool expected = (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff;
        if (utf8_valid(bytes_of(out, size)) != expected || utf8_valid(bytes_of(out, size - 1)))
            fail_msg("U+%04X", c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_texts_of_the_field_are_valid),
        cmocka_unit_test(utf8_malformed_is_refused_wherever_it_stands),
        cmocka_unit_test(utf8_every_code_point_is_judged_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
