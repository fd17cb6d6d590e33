#include "clients/cli/import/testing.h"

#define OPEN(t, text) assert_int_equal(testing_open(&(t), ROWS_CSV, (text), sizeof(text) - 1), TRUC_OK)

static void csv_plain_rows_have_numbers_and_lines(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\n1,2\n\n3,4\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "1");
    assert_string_equal(testing_value(&t, "b"), "2");
    assert_int_equal(t.row.line, 2);
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_int_equal(t.row.number, 2);
    assert_int_equal(t.row.line, 4);
    testing_raw_is(&t, "3,4\n");
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
}

static void csv_quotes_hold_delimiters_quotes_and_line_ends(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\r\n\"x,\"\"y\"\"\",\"line 1\r\nline 2\"\r\n\"\",z\r\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "x,\"y\"");
    assert_string_equal(testing_value(&t, "b"), "line 1\r\nline 2");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_int_equal(t.row.line, 4);
    assert_string_equal(testing_value(&t, "a"), "");
    assert_string_equal(testing_value(&t, "b"), "z");
    testing_close(&t);
}

static void csv_quote_within_plain_field_is_kept(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\n5\" pipe,x\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "5\" pipe");
    testing_close(&t);
}

static void csv_byte_order_mark_is_dropped(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "\xef\xbb\xbfm\xc3\xa3,t\xc3\xaan\nH26.16,\xc4\x90\xe1\xbb\x91ng \xc4\x90"
            "a");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "m\xc3\xa3"), "H26.16");
    assert_string_equal(testing_value(&t, "t\xc3\xaan"), "\xc4\x90\xe1\xbb\x91ng \xc4\x90"
                                                         "a");
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
}

static void csv_delimiter_is_found(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "\"a,b,c\";x;y\n1;2,5;3\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "x"), "2,5");
    testing_close(&t);
    OPEN(t, "a\tb\n1\t2\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "b"), "2");
    testing_close(&t);
}

static void csv_lone_carriage_return_is_content(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\nx\ry,z\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "x\ry");
    testing_close(&t);
}

static void csv_ragged_row_is_bad_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\n1\n1,2,3\n4,5\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "1 fields where 2 belong");
    testing_raw_is(&t, "1\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "3 fields where 2 belong");
    testing_raw_is(&t, "1,2,3\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "b"), "5");
    testing_close(&t);
}

static void csv_text_behind_closing_quote_is_bad(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\n\"x\"y,1\nz,2\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "field 1: text follows the closing quote");
    testing_raw_is(&t, "\"x\"y,1\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "z");
    testing_close(&t);
}

static void csv_unclosed_quote_costs_one_line(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\n1,\"oops\n2,fine\n3,good\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "field 2: the quote that opens in line 2 never closes");
    testing_raw_is(&t, "1,\"oops\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_int_equal(t.row.line, 3);
    assert_string_equal(testing_value(&t, "b"), "fine");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "a"), "3");
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
}

static void csv_unclosed_quote_before_much_text_costs_one_line(void **state)
{
    (void)state;
    struct testing_rows t;
    enum { ROWS = 300000 };
    struct testing_text text = {0};
    testing_print(&text, "a,b\nx,\"lost\n");
    for (int i = 0; i < ROWS; i++) {
        testing_print(&text, "%d,v\n", i);
    }
    assert_int_equal(testing_open(&t, ROWS_CSV, text.data, text.size), TRUC_OK);
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "closing quote");
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(testing_next(&t), ROW_GOOD);
        assert_int_equal(t.row.line, i + 3);
    }
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
    free(text.data);
}

static void csv_overlong_row_is_given_in_pieces(void **state)
{
    (void)state;
    struct testing_rows t;
    size_t huge = 3 * (size_t)IMPORT_ROW_BYTES_MAX, given = 0, pieces = 0;
    struct testing_text text = {0};
    testing_print(&text, "a,b\n");
    testing_fill(&text, 'x', huge);
    testing_print(&text, "\n1,2\n");
    assert_int_equal(testing_open(&t, ROWS_CSV, text.data, text.size), TRUC_OK);
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "larger than");
    given += t.row.raw.size;
    enum row_kind kind;
    while ((kind = testing_next(&t)) == ROW_REST) {
        assert_true(t.row.raw.size <= IMPORT_ROW_BYTES_MAX + 2 * IMPORT_CHUNK_BYTES);
        given += t.row.raw.size;
        pieces++;
    }
    assert_true(pieces >= 1);
    assert_int_equal(given, huge + 1);
    assert_int_equal(kind, ROW_GOOD);
    assert_int_equal(t.row.number, 2);
    assert_string_equal(testing_value(&t, "b"), "2");
    testing_close(&t);
    free(text.data);
}

static void csv_value_that_is_no_text_is_bad_and_named(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "a,b\n1,\xff\n1,x\0y\n1,2\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "column 'b': not UTF-8");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "column 'b': a zero byte");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    testing_close(&t);
}

static void csv_bad_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {{"", "empty"},
                 {"\n\n", "empty"},
                 {"a,b,a\n1,2,3\n", "columns 1 and 3 are both named 'a'"},
                 {"a,\"b\n", "never closes"},
                 {"\xff\xfe"
                  "a",
                  "UTF-16"},
                 {"a,\xff\n", "name of column 2 is not UTF-8"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct testing_rows t;
        assert_int_equal(testing_open(&t, ROWS_CSV, cases[i].text, strlen(cases[i].text)), TRUC_BAD_ROW);
        testing_why_holds(&t, cases[i].why);
        testing_close(&t);
    }
}

static void csv_nameless_column_gets_a_name(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, ",b\n0,2\n");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "column_1"), "0");
    testing_close(&t);
}

static void csv_rows_across_chunks_stay_whole(void **state)
{
    (void)state;
    struct testing_rows t;
    enum { ROWS = 20000 };
    char expected[64];
    struct testing_text text = {0};
    testing_print(&text, "a,b\n");
    for (int i = 0; i < ROWS; i++) {
        testing_print(&text, "%d,\"say \"\"%d\"\"\nagain\"\r\n", i, i);
    }
    assert_int_equal(testing_open(&t, ROWS_CSV, text.data, text.size), TRUC_OK);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(testing_next(&t), ROW_GOOD);
        (void)snprintf(expected, sizeof expected, "say \"%d\"\nagain", i);
        assert_string_equal(testing_value(&t, "b"), expected);
        (void)snprintf(expected, sizeof expected, "%d,\"say \"\"%d\"\"\nagain\"\r\n", i, i);
        testing_raw_is(&t, expected);
        assert_int_equal(t.row.line, 2 + 2 * i);
    }
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
    free(text.data);
}

static void source_gzip_is_unpacked_and_cut_gzip_refused(void **state)
{
    (void)state;
    struct testing_rows t;
    char packed[8192];
    struct testing_text text = {0};
    testing_print(&text, "a\n");
    for (int i = 0; i < 500; i++) {
        testing_print(&text, "%d\n", i * 7919);
    }
    const char *path = testing_gzip("rows.csv.gz", text.data, text.size);
    assert_int_equal(testing_open_path(&t, ROWS_CSV, path), TRUC_OK);
    int rows = 0;
    while (testing_next(&t) == ROW_GOOD) {
        rows++;
    }
    assert_int_equal(rows, 500);
    testing_close(&t);
    FILE *file = fopen(path, "rb");
    size_t whole = fread(packed, 1, sizeof packed, file);
    fclose(file);
    assert_int_equal(testing_open_path(&t, ROWS_CSV, testing_file("cut.csv.gz", packed, whole / 2)), TRUC_IO);
    testing_why_holds(&t, "gzip data is damaged or cut short");
    testing_close(&t);
    free(text.data);
}

static void source_that_is_no_file_is_refused(void **state)
{
    (void)state;
    struct testing_rows t;
    assert_int_equal(testing_open_path(&t, ROWS_CSV, testing_folder), TRUC_INVALID_ARGUMENT);
    testing_why_holds(&t, "not a regular file");
    testing_close(&t);
    assert_int_equal(testing_open_path(&t, ROWS_CSV, "/nowhere/at/all.csv"), TRUC_IO);
    testing_why_holds(&t, "No such file");
    testing_close(&t);
    assert_int_equal(testing_open_path(&t, ROWS_CSV, testing_file("book.csv", "PK\3\4xxxx", 8)), TRUC_INVALID_ARGUMENT);
    testing_why_holds(&t, "ZIP");
    testing_close(&t);
}

static void rows_format_follows_the_extension(void **state)
{
    (void)state;
    assert_int_equal(rows_format_of_path("a/b.csv"), ROWS_CSV);
    assert_int_equal(rows_format_of_path("b.XES.gz"), ROWS_XES);
    assert_int_equal(rows_format_of_path("b.jsonl"), ROWS_JSONL);
    assert_int_equal(rows_format_of_path("b.tsv.gz"), ROWS_CSV);
    assert_int_equal(rows_format_of_path("a.csv/b"), ROWS_UNKNOWN);
    assert_int_equal(rows_format_of_path("b.parquet"), ROWS_UNKNOWN);
    assert_int_equal(rows_format_of_path("csv"), ROWS_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_plain_rows_have_numbers_and_lines),
        cmocka_unit_test(csv_quotes_hold_delimiters_quotes_and_line_ends),
        cmocka_unit_test(csv_quote_within_plain_field_is_kept),
        cmocka_unit_test(csv_byte_order_mark_is_dropped),
        cmocka_unit_test(csv_delimiter_is_found),
        cmocka_unit_test(csv_lone_carriage_return_is_content),
        cmocka_unit_test(csv_ragged_row_is_bad_and_the_rest_goes_on),
        cmocka_unit_test(csv_text_behind_closing_quote_is_bad),
        cmocka_unit_test(csv_unclosed_quote_costs_one_line),
        cmocka_unit_test(csv_unclosed_quote_before_much_text_costs_one_line),
        cmocka_unit_test(csv_overlong_row_is_given_in_pieces),
        cmocka_unit_test(csv_value_that_is_no_text_is_bad_and_named),
        cmocka_unit_test(csv_bad_headers_are_refused),
        cmocka_unit_test(csv_nameless_column_gets_a_name),
        cmocka_unit_test(csv_rows_across_chunks_stay_whole),
        cmocka_unit_test(source_gzip_is_unpacked_and_cut_gzip_refused),
        cmocka_unit_test(source_that_is_no_file_is_refused),
        cmocka_unit_test(rows_format_follows_the_extension),
    };
    return cmocka_run_group_tests(tests, testing_setup, testing_teardown);
}
