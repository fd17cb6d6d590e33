#undef NDEBUG
#include "clients/c/options.h"

#include "clients/c/option_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void option_table_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_table[i];
        truc_options *options = NULL;

        assert_non_null(row->name);
        assert_non_null(row->scope);
        assert_non_null(row->help);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(row->name, option_table[j].name);
        if (row->default_text == NULL)
            continue;
        assert_int_equal(truc_options_create(&options), TRUC_OK);
        assert_int_equal(truc_options_set(options, row->name, row->default_text), TRUC_OK);
        assert_true(option_number(options, (enum option_id)i) == option_number(NULL, (enum option_id)i));
        truc_options_destroy(options);
    }
}

static void option_wrong_values_are_named(void **state)
{
    static const char *const wrong[][2] = {
        {"batch_bytes", "0"},
        {"batch_bytes", "12x"},
        {"batch_bytes", "-1"},
        {"batch_bytes", "99999999999999999999"},
        {"codec", "gzip"},
        {"follow", "true"},
        {"from", "offset="},
        {"from", "offset=1x"},
        {"until", "yesterday"},
        {"event_since_ns", "now"},
        {"source", "H26.16/"},
        {"source", "no agency/x"},
        {"name", ""},
        {"queue_bytes", "1"},
        {"no_such", "1"},
        {"in_flight", "65537"},
        {"backoff_ms", "1,"},
        {"backoff_ms", ",1"},
        {"backoff_ms", "604800001"},
        {"backoff_ms", "1,2,3,4,5,6,7,8,9"},
        {"headers", "a=1;b"},
        {"headers", "=1"},
        {"headers", "a=1;;b=2"},
        {"pattern", "a..b"},
        {"start", "yesterday"},
        {"from", "new"},
        {"mode", "both"},
        {"credit", "0"},
    };
    truc_options *options = NULL;

    (void)state;
    assert_int_equal(truc_options_create(&options), TRUC_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(truc_options_set(options, wrong[i][0], wrong[i][1]), TRUC_INVALID_ARGUMENT);
        assert_non_null(strstr(truc_options_error(options), wrong[i][0]));
    }
    assert_int_equal(truc_options_set(options, NULL, "1"), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_options_set(NULL, "name", "1"), TRUC_INVALID_ARGUMENT);
    truc_options_destroy(options);
    truc_options_destroy(NULL);
}

static void option_values_are_taken(void **state)
{
    truc_options *options = NULL;

    (void)state;
    assert_int_equal(truc_options_create(&options), TRUC_OK);
    assert_int_equal(truc_options_set(options, "codec", "zstd"), TRUC_OK);
    assert_int_equal(truc_options_set(options, "codec", "lz4"), TRUC_OK);
    assert_int_equal(truc_options_set(options, "from", "time_ns=-7"), TRUC_OK);
    assert_int_equal(truc_options_set(options, "until", "offset=18446744073709551615"), TRUC_OK);
    assert_int_equal(truc_options_set(options, "event_since_ns", "-1"), TRUC_OK);
    assert_int_equal(truc_options_set(options, "source", "H26.16"), TRUC_OK);
    assert_int_equal(option_number(options, OPTION_CODEC), 1);
    assert_int_equal(option_bound(options, OPTION_FROM).kind, BOUND_AT_TIME);
    assert_int_equal(option_bound(options, OPTION_FROM).time_ns, -7);
    assert_true(option_bound(options, OPTION_UNTIL).value == UINT64_MAX);
    assert_int_equal(option_time(options, OPTION_EVENT_SINCE_NS), -1);
    assert_string_equal(option_text(options, OPTION_SOURCE), "H26.16");
    assert_int_equal(option_number(options, OPTION_VERIFY), 1);
    assert_string_equal(option_text(NULL, OPTION_URL), TRUC_URL_DEFAULT);
    assert_int_equal(truc_options_set(options, "start", "new"), TRUC_OK);
    assert_int_equal(option_bound(options, OPTION_START).kind, BOUND_AT_HEAD);
    assert_true(option_given(options, OPTION_START));
    assert_false(option_given(options, OPTION_CREDIT));
    assert_false(option_given(NULL, OPTION_START));
    truc_options_destroy(options);
}

static void option_lists_are_walked(void **state)
{
    const char *backoffs = "100,2000,604800000", *headers = "a=1=2;unit=Mot cua;empty=";
    struct bytes name, value;
    uint32_t ms;

    (void)state;
    assert_true(backoffs_next(&backoffs, &ms) && ms == 100);
    assert_true(backoffs_next(&backoffs, &ms) && ms == 2000);
    assert_true(backoffs_next(&backoffs, &ms) && ms == 604800000);
    assert_false(backoffs_next(&backoffs, &ms));
    assert_true(headers_next(&headers, &name, &value));
    assert_true(bytes_equal(name, bytes_of_text("a")) && bytes_equal(value, bytes_of_text("1=2")));
    assert_true(headers_next(&headers, &name, &value));
    assert_true(bytes_equal(name, bytes_of_text("unit")) && bytes_equal(value, bytes_of_text("Mot cua")));
    assert_true(headers_next(&headers, &name, &value));
    assert_true(bytes_equal(name, bytes_of_text("empty")) && value.size == 0);
    assert_false(headers_next(&headers, &name, &value));
}

/* docs/libtruc.md lists every option as the table has it. */
static void option_manual_is_the_table(void **state)
{
    static char manual[256 * 1024];
    FILE *file = fopen(TRUC_MANUAL, "re");
    char row[1024];

    (void)state;
    assert_non_null(file);
    manual[fread(manual, 1, sizeof manual - 1, file)] = '\0';
    (void)fclose(file);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *option = &option_table[i];

        (void)snprintf(row, sizeof row, "| %s | `%s` | %s | %s |", option->scope, option->name,
                       option->default_text != NULL ? option->default_text : "", option->help);
        if (strstr(manual, row) == NULL)
            fail_msg("docs/libtruc.md lacks: %s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(option_table_is_whole),      cmocka_unit_test(option_wrong_values_are_named),
        cmocka_unit_test(option_values_are_taken),    cmocka_unit_test(option_lists_are_walked),
        cmocka_unit_test(option_manual_is_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
