#include "clients/cli/import/testing.h"

#define OPEN(t, text) assert_int_equal(testing_open(&(t), ROWS_JSONL, (text), sizeof(text) - 1), TRUC_OK)

static void jsonl_values_are_named_by_their_path(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "\xef\xbb\xbf  {\"a\":\"x\", \"b\":{\"c\":1,\"d\":[true,null,2.5]},\"e\":null,\"f\":{}}  \r\n\n{\"a\":\"\xc4\x91\"}");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "x");
    assert_string_equal(testing_value(&t, "b/c"), "1");
    assert_string_equal(testing_value(&t, "b/d/0"), "true");
    assert_string_equal(testing_value(&t, "b/d/1"), "(none)");
    assert_string_equal(testing_value(&t, "b/d/2"), "2.5");
    assert_int_equal(t.row.field_count, 4);
    assert_memory_equal(t.row.payload.data, "{\"a\":\"x\", \"b\":{\"c\":1,\"d\":[true,null,2.5]},\"e\":null,\"f\":{}}",
                        t.row.payload.size);
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_int_equal(t.row.line, 3);
    assert_int_equal(t.row.number, 2);
    assert_string_equal(testing_value(&t, "a"), "\xc4\x91");
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
}

static void jsonl_numbers_have_the_fewest_digits(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "{\"a\":0.1,\"b\":1e300,\"c\":-9223372036854775808,\"d\":3.0}\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "0.1");
    assert_string_equal(testing_value(&t, "b"), "1e+300");
    assert_string_equal(testing_value(&t, "c"), "-9223372036854775808");
    assert_string_equal(testing_value(&t, "d"), "3");
    testing_close(&t);
}

static void jsonl_bad_lines_are_told_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t,
         "{\"a\":1\n[1]\n{\"a\":1,\"a\":2}\n{\"a/b\":1,\"a\":{\"b\":2}}\n{\"a\":\"\\u0000\"}\n{\"a\":\"\xff\"}\nnull\n{\"a\":7}\n");
    static const char *const why[] = {"not JSON", "not a JSON object", "duplicate",        "two values are named 'a/b'",
                                      "not JSON", "not JSON",          "not a JSON object"};
    for (size_t i = 0; i < sizeof why / sizeof why[0]; i++) {
        assert_int_equal(testing_next(&t), ROW_BAD);
        assert_int_equal(t.row.line, i + 1);
        testing_why_holds(&t, why[i]);
    }
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_int_equal(t.row.number, 8);
    testing_close(&t);
}

static void jsonl_deep_nesting_is_bad(void **state)
{
    (void)state;
    struct testing_rows t;
    struct testing_text text = {0};
    testing_print(&text, "{\"a\":");
    testing_fill(&text, '[', 100);
    testing_fill(&text, ']', 100);
    testing_print(&text, "}\n{}\n");
    assert_int_equal(testing_open(&t, ROWS_JSONL, text.data, text.size), TRUC_OK);
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "deeper");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    testing_close(&t);
    free(text.data);
}

static void jsonl_overlong_line_is_given_in_pieces(void **state)
{
    (void)state;
    struct testing_rows t;
    size_t huge = 3 * (size_t)IMPORT_ROW_BYTES_MAX, given = 0;
    struct testing_text text = {0};
    testing_fill(&text, 'x', huge);
    testing_print(&text, "\n{\"a\":1}\n");
    assert_int_equal(testing_open(&t, ROWS_JSONL, text.data, text.size), TRUC_OK);
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "larger than");
    given += t.row.raw.size;
    enum row_kind kind;
    while ((kind = testing_next(&t)) == ROW_REST) {
        given += t.row.raw.size;
    }
    assert_int_equal(given, huge + 1);
    assert_int_equal(kind, ROW_GOOD);
    assert_int_equal(t.row.line, 2);
    assert_int_equal(t.row.number, 2);
    testing_close(&t);
    free(text.data);
}

static void jsonl_long_arrays_do_not_exhaust_the_columns(void **state)
{
    (void)state;
    struct testing_rows t;
    struct testing_text text = {0};
    testing_print(&text, "{\"z\":[");
    for (int i = 0; i < 6000; i++) {
        testing_print(&text, "%s%d", i == 0 ? "" : ",", i);
    }
    testing_print(&text, "]}\n");
    assert_int_equal(testing_open(&t, ROWS_JSONL, text.data, text.size), TRUC_OK);
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "z/17"), "17");
    testing_close(&t);
    free(text.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsonl_values_are_named_by_their_path),
        cmocka_unit_test(jsonl_numbers_have_the_fewest_digits),
        cmocka_unit_test(jsonl_bad_lines_are_told_and_the_rest_goes_on),
        cmocka_unit_test(jsonl_deep_nesting_is_bad),
        cmocka_unit_test(jsonl_overlong_line_is_given_in_pieces),
        cmocka_unit_test(jsonl_long_arrays_do_not_exhaust_the_columns),
    };
    return cmocka_run_group_tests(tests, testing_setup, testing_teardown);
}
