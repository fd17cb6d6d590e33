#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/json_text.h"

static bool compact(const char *text, size_t size, struct out *out)
{
    out_init(out, -1);
    out_text(out, "x");
    bool good = json_text_compact(bytes_of(text, size), out);
    if (!good) {
        assert_int_equal(out->size, 1);
    }
    return good;
}

static void compact_valid_keeps_values(void **state)
{
    static const char *const pairs[][2] = {
        {"{}", "{}"},
        {" [ ] ", "[]"},
        {"{ \"a\" : 1 , \"b\" : [ true , false , null ] }\n", "{\"a\":1,\"b\":[true,false,null]}"},
        {"-0.10e+05", "-0.10e+05"},
        {"12345678901234567890123456789", "12345678901234567890123456789"},
        {"\"a \\u0041\\n\\/ \xc4\x91\"", "\"a \\u0041\\n\\/ \xc4\x91\""},
        {"[[[[{\"a\":[{}]}]]]]", "[[[[{\"a\":[{}]}]]]]"},
        {"\ttrue\r\n", "true"},
        {"{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct out out;
        assert_true(compact(pairs[i][0], strlen(pairs[i][0]), &out));
        assert_int_equal(out.size - 1, strlen(pairs[i][1]));
        assert_memory_equal(out.data + 1, pairs[i][1], out.size - 1);
        out_fini(&out);
    }
}

static void compact_invalid_leaves_output(void **state)
{
    static const char *const wrong[] = {"",          " ",
                                        "{",         "}",
                                        "[1,]",      "{\"a\":}",
                                        "{\"a\"}",   "{\"a\":1,}",
                                        "{a:1}",     "[1 2]",
                                        "01",        "-",
                                        "1.",        ".5",
                                        "1e",        "+1",
                                        "nul",       "truee",
                                        "\"",        "\"\\x\"",
                                        "\"\\u12\"", "\"\\u12g4\"",
                                        "\"\t\"",    "[1}",
                                        "{\"a\":1]", "1 2",
                                        "{} {}",     "\xff",
                                        "\"\xff\"",  "[\"a\":1]",
                                        "{1:2}",     "'a'",
                                        "NaN",       "Infinity",
                                        "[,1]",      "{,}",
                                        "\"a\\",     "[\"\xc0\x80\"]",
                                        "//x",       "\xef\xbb\xbf{}"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct out out;
        if (compact(wrong[i], strlen(wrong[i]), &out)) {
            fail_msg("taken: %s", wrong[i]);
        }
        out_fini(&out);
    }
}

static void compact_deep_nesting_is_bounded(void **state)
{
    char text[2 * JSON_TEXT_DEPTH_MAX + 2];
    struct out out;
    (void)state;
    memset(text, '[', JSON_TEXT_DEPTH_MAX);
    memset(text + JSON_TEXT_DEPTH_MAX, ']', JSON_TEXT_DEPTH_MAX);
    assert_true(compact(text, 2 * JSON_TEXT_DEPTH_MAX, &out));
    out_fini(&out);
    memset(text, '[', JSON_TEXT_DEPTH_MAX + 1);
    memset(text + JSON_TEXT_DEPTH_MAX + 1, ']', JSON_TEXT_DEPTH_MAX + 1);
    assert_false(compact(text, 2 * JSON_TEXT_DEPTH_MAX + 2, &out));
    out_fini(&out);
}

/* Mutations of a valid text: what jansson refuses for its grammar is refused, what it takes is taken. Known differences: jansson
 * refuses \u0000, lone surrogates and numbers beyond its types; those letters and long digits are kept out of the mutations. */
static void compact_mutations_agree_with_jansson(void **state)
{
    static const char seed[] = "{\"a\": [1, -2.5e3, true, null, {\"b\": \"x\\n\"}], \"c\": {}, \"d\": [[]]}";
    static const char letters[] = "{}[]:,\" 0123tfn.-e\\ab";
    int taken = 0;
    (void)state;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        char text[sizeof seed];
        memcpy(text, seed, sizeof seed);
        for (int i = rand() % 4; i >= 0; i--) {
            text[(size_t)rand() % (sizeof seed - 1)] = letters[(size_t)rand() % (sizeof letters - 1)];
        }
        json_t *parsed = json_loadb(text, sizeof seed - 1, JSON_DECODE_ANY, NULL);
        struct out out;
        bool good = compact(text, sizeof seed - 1, &out);
        if (good != (parsed != NULL)) {
            fail_msg("%s: %d", text, good);
        }
        if (good) { /* and means the same */
            json_t *again = json_loadb(out.data + 1, out.size - 1, JSON_DECODE_ANY, NULL);
            assert_true(json_equal(parsed, again));
            json_decref(again);
            taken++;
        }
        json_decref(parsed);
        out_fini(&out);
    }
    assert_true(taken > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_valid_keeps_values),
        cmocka_unit_test(compact_invalid_leaves_output),
        cmocka_unit_test(compact_deep_nesting_is_bounded),
        cmocka_unit_test(compact_mutations_agree_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
