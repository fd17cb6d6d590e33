#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/cli.h"
#include "proto/limits.h"

static void key_decomposed_becomes_nfc(void **state)
{
    static const char composed[] = "H\xe1\xbb\x93 s\xc6\xa1"; /* Hồ sơ */
    static const char decomposed[] = "Ho\xcc\x82\xcc\x80 so\xcc\x9b";
    char *key = NULL;
    size_t size = 0;
    const char *why = NULL;
    (void)state;
    assert_int_equal(cli_key_normalise(bytes_of_text(decomposed), &key, &size, &why), TRUC_OK);
    assert_int_equal(size, sizeof composed - 1);
    assert_string_equal(key, composed);
    free(key);
    assert_int_equal(cli_key_normalise(bytes_of_text(composed), &key, &size, &why), TRUC_OK);
    assert_string_equal(key, composed);
    free(key);
}

static void key_wrong_is_refused_with_reason(void **state)
{
    char long_key[RECORD_KEY_BYTES_MAX + 2];
    char *key = NULL;
    size_t size = 0;
    const char *why = NULL;
    (void)state;
    assert_int_equal(cli_key_normalise(bytes_of_text("\xff"), &key, &size, &why), TRUC_BAD_RECORD);
    assert_non_null(strstr(why, "UTF-8"));
    assert_int_equal(cli_key_normalise(bytes_of_text("a\xed\xa0\x80"), &key, &size, &why), TRUC_BAD_RECORD);
    assert_int_equal(cli_key_normalise(bytes_of("a\0b", 3), &key, &size, &why), TRUC_BAD_RECORD);
    assert_non_null(strstr(why, "control"));
    assert_int_equal(cli_key_normalise(bytes_of_text("a\n"), &key, &size, &why), TRUC_BAD_RECORD);
    memset(long_key, 'k', sizeof long_key);
    assert_int_equal(cli_key_normalise(bytes_of(long_key, RECORD_KEY_BYTES_MAX + 1), &key, &size, &why), TRUC_BAD_RECORD);
    assert_non_null(strstr(why, "255"));
    assert_null(key);
    assert_int_equal(cli_key_normalise(bytes_of(long_key, RECORD_KEY_BYTES_MAX), &key, &size, &why), TRUC_OK);
    assert_int_equal(size, RECORD_KEY_BYTES_MAX);
    free(key);
}

static void id_forms_round_trip(void **state)
{
    static const char *const texts[] = {"01972d3c-5a00-7abc-8def-0123456789ab", "import-17", "hex:00ff", "exactly-16-bytes",
                                        "hồ sơ"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t id[RECORD_ID_BYTES_MAX];
        size_t size = 0;
        struct out out;
        assert_int_equal(cli_id_parse(texts[i], id, &size), TRUC_OK);
        out_init(&out, -1);
        cli_id_print(&out, bytes_of(id, size));
        assert_int_equal(out.size, strlen(texts[i]));
        assert_memory_equal(out.data, texts[i], out.size);
        out_fini(&out);
    }
}

static void id_uuid_is_sixteen_bytes(void **state)
{
    uint8_t id[RECORD_ID_BYTES_MAX];
    size_t size = 0;
    (void)state;
    assert_int_equal(cli_id_parse("01972d3c-5a00-7abc-8def-0123456789ab", id, &size), TRUC_OK);
    assert_int_equal(size, 16);
    assert_int_equal(id[0], 0x01);
    assert_int_equal(id[15], 0xab);
    /* not a UUID's variant: stays the text that it is */
    assert_int_equal(cli_id_parse("01972d3c-5a00-7abc-0def-0123456789ab", id, &size), TRUC_OK);
    assert_int_equal(size, 36);
}

static void id_wrong_is_refused(void **state)
{
    uint8_t id[RECORD_ID_BYTES_MAX];
    size_t size = 0;
    char text[RECORD_ID_BYTES_MAX + 2];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(cli_id_parse(text, id, &size), TRUC_USAGE);
    assert_int_equal(cli_id_parse("", id, &size), TRUC_USAGE);
    assert_int_equal(cli_id_parse("hex:", id, &size), TRUC_USAGE);
    assert_int_equal(cli_id_parse("hex:0", id, &size), TRUC_USAGE);
    assert_int_equal(cli_id_parse("hex:zz", id, &size), TRUC_USAGE);
    assert_int_equal(cli_id_parse("\xff", id, &size), TRUC_USAGE);
    assert_int_equal(cli_id_parse("a\tb", id, &size), TRUC_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_decomposed_becomes_nfc), cmocka_unit_test(key_wrong_is_refused_with_reason),
        cmocka_unit_test(id_forms_round_trip),        cmocka_unit_test(id_uuid_is_sixteen_bytes),
        cmocka_unit_test(id_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
