#include "proto/status.h"
#include "proto/test_support.h"

static void status_every_row_has_unique_number_and_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < truc_status_count(); i++) {
        truc_status status = truc_status_at(i);
        assert_true(strlen(truc_status_name(status)) > 1);
        assert_true(strlen(truc_status_text(status)) > 3);
        assert_true(strlen(truc_status_next(status)) > 3);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(status, truc_status_at(j));
            assert_string_not_equal(truc_status_name(status), truc_status_name(truc_status_at(j)));
        }
        assert_in_range(status, 0, 125); /* they are exit codes too */
    }
}

static void status_find_takes_name_in_any_case_and_number(void **state)
{
    truc_status status;
    (void)state;
    assert_true(truc_status_find("OUT_OF_SEQUENCE", &status));
    assert_int_equal(status, TRUC_OUT_OF_SEQUENCE);
    assert_true(truc_status_find("bad_topic", &status));
    assert_int_equal(status, TRUC_BAD_TOPIC);
    assert_true(truc_status_find("25", &status));
    assert_int_equal(status, TRUC_BUSY);
    assert_true(truc_status_find("0", &status));
    assert_int_equal(status, TRUC_OK);
}

static void status_find_unknown_is_false_and_writes_nothing(void **state)
{
    truc_status status = TRUC_IO;
    (void)state;
    assert_false(truc_status_find("", &status));
    assert_false(truc_status_find("NOSUCH", &status));
    assert_false(truc_status_find("25x", &status));
    assert_false(truc_status_find("4294967296", &status));
    assert_false(truc_status_find("99999999999999999999999", &status));
    assert_false(truc_status_find("-1", &status));
    assert_int_equal(status, TRUC_IO);
}

static void status_unknown_number_has_texts(void **state)
{
    (void)state;
    assert_string_equal(truc_status_name((truc_status)4711), "UNKNOWN");
    assert_non_null(truc_status_text((truc_status)4711));
    assert_non_null(truc_status_next((truc_status)4711));
    assert_false(truc_status_retriable((truc_status)4711));
    assert_int_equal(truc_status_at(truc_status_count()), TRUC_INTERNAL);
}

static void status_retriable_follows_the_list(void **state)
{
    (void)state;
    assert_true(truc_status_retriable(TRUC_BUSY));
    assert_true(truc_status_retriable(TRUC_TIMED_OUT));
    assert_false(truc_status_retriable(TRUC_OK));
    assert_false(truc_status_retriable(TRUC_BAD_RECORD));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_every_row_has_unique_number_and_texts),
        cmocka_unit_test(status_find_takes_name_in_any_case_and_number),
        cmocka_unit_test(status_find_unknown_is_false_and_writes_nothing),
        cmocka_unit_test(status_unknown_number_has_texts),
        cmocka_unit_test(status_retriable_follows_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
