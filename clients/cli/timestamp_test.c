#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/timestamp.h"

#define NOW INT64_C(1591318800000000000) /* 2020-06-05T01:00:00Z */

static int64_t parse(const char *text, const struct zone *zone, bool *ret_zoned)
{
    const char *why = "";
    int64_t ns = 0;
    if (timestamp_parse(text, strlen(text), zone, NOW, &ns, ret_zoned, &why) != TRUC_OK) {
        fail_msg("'%s': %s", text, why);
    }
    return ns;
}

static void refuse(const char *text, const struct zone *zone)
{
    const char *why = NULL;
    int64_t ns = 42;
    assert_int_equal(timestamp_parse(text, strlen(text), zone, NOW, &ns, NULL, &why), TRUC_INVALID_ARGUMENT);
    assert_non_null(why);
    assert_int_equal(ns, 42);
}

static void zoned_parse_forms_agree(void **state)
{
    static const char *const same[] = {"2020-06-05T08:00:00+07:00",
                                       "2020-06-05 08:00:00+0700",
                                       "2020-06-05 08:00+07",
                                       "2020-06-05T01:00:00Z",
                                       "2020-06-05t01:00:00.000000000z",
                                       "2020/06/05 01:00 Z",
                                       "2020-06-04T20:00:00-05:00",
                                       "@1591318800",
                                       "@1591318800.0",
                                       " 2020-06-05 01:00:00 +00:00 ",
                                       "now",
                                       "20200605T010000Z"};
    (void)state;
    for (size_t i = 0; i + 1 < sizeof same / sizeof same[0]; i++) { /* the last one is not a form we read */
        bool zoned = true;
        assert_int_equal(parse(same[i], NULL, &zoned), NOW);
        assert_false(zoned);
    }
    refuse(same[sizeof same / sizeof same[0] - 1], NULL);
}

static void parse_without_zone_uses_selected(void **state)
{
    struct zone zone;
    bool zoned = false;
    (void)state;
    assert_int_equal(zone_select(ZONE_DEFAULT, &zone), TRUC_OK);
    assert_string_equal(zone.name, ZONE_DEFAULT);
    assert_int_equal(parse("2020-06-05 08:00", &zone, &zoned), NOW);
    assert_true(zoned);
    assert_int_equal(parse("20200605080000", &zone, &zoned), NOW);
    assert_int_equal(parse("202006050800", &zone, &zoned), NOW);
    assert_int_equal(parse("2020-06-05", &zone, &zoned), NOW - INT64_C(8) * 3600 * 1000000000);
    assert_int_equal(parse("20200605", &zone, &zoned), NOW - INT64_C(8) * 3600 * 1000000000);
    assert_int_equal(parse("2020-06-05T08:00Z", &zone, &zoned), NOW + INT64_C(7) * 3600 * 1000000000);
    assert_false(zoned);
}

static void zone_offset_is_read_both_ways(void **state)
{
    struct zone zone;
    bool zoned = false;
    (void)state;
    assert_int_equal(zone_select("-03:30", &zone), TRUC_OK);
    assert_int_equal(parse("2020-06-04 21:30", &zone, &zoned), NOW);
    assert_int_equal(zone_select("+07", &zone), TRUC_OK);
    assert_int_equal(parse("2020-06-05 08:00", &zone, &zoned), NOW);
    assert_int_equal(zone_select("UTC", &zone), TRUC_OK);
    assert_int_equal(parse("2020-06-05 01:00", &zone, &zoned), NOW);
}

static void zone_unknown_is_refused(void **state)
{
    struct zone zone;
    (void)state;
    assert_int_equal(zone_select("Asia/Nowhere", &zone), TRUC_INVALID_ARGUMENT);
    assert_int_equal(zone_select("../../etc/passwd", &zone), TRUC_INVALID_ARGUMENT);
    assert_int_equal(zone_select("/etc/passwd", &zone), TRUC_INVALID_ARGUMENT);
    assert_int_equal(zone_select("Asia", &zone), TRUC_INVALID_ARGUMENT);
    assert_int_equal(zone_select("", &zone), TRUC_INVALID_ARGUMENT);
    assert_int_equal(zone_select("+25:00", &zone), TRUC_INVALID_ARGUMENT);
}

static void zone_without_database_has_default(void **state)
{
    struct zone zone;
    bool zoned = false;
    (void)state;
    setenv("TZDIR", "/nonexistent", 1);
    assert_int_equal(zone_select("Europe/Amsterdam", &zone), TRUC_INVALID_ARGUMENT);
    assert_int_equal(zone_select(ZONE_DEFAULT, &zone), TRUC_OK);
    assert_int_equal(parse("2020-06-05 08:00", &zone, &zoned), NOW);
    unsetenv("TZDIR");
}

static void parse_time_skipped_by_zone_is_refused(void **state)
{
    struct zone zone;
    bool zoned = false;
    (void)state;
    if (zone_select("Europe/Amsterdam", &zone) != TRUC_OK) {
        skip(); /* no tz database here */
    }
    refuse("2011-03-27 02:30", &zone);
    assert_int_equal(parse("2011-03-27 03:30", &zone, &zoned), INT64_C(1301189400000000000));
    assert_int_equal(parse("2011-03-27 02:30+01:00", &zone, &zoned), INT64_C(1301189400000000000));
}

static void parse_relative_counts_from_now(void **state)
{
    (void)state;
    assert_int_equal(parse("-1h", NULL, NULL), NOW - INT64_C(3600000000000));
    assert_int_equal(parse("+30m", NULL, NULL), NOW + INT64_C(1800000000000));
    assert_int_equal(parse("-1d12h", NULL, NULL), NOW - INT64_C(129600000000000));
    assert_int_equal(parse("-1.5h", NULL, NULL), NOW - INT64_C(5400000000000));
    assert_int_equal(parse("-250ms", NULL, NULL), NOW - INT64_C(250000000));
    refuse("-1", NULL);
    refuse("-", NULL);
    refuse("-h", NULL);
    refuse("-1h30", NULL);
    refuse("-999999999999w", NULL);
}

static void parse_fraction_is_kept_to_the_ns(void **state)
{
    (void)state;
    assert_int_equal(parse("2020-06-05T01:00:00.123456789Z", NULL, NULL), NOW + 123456789);
    assert_int_equal(parse("2020-06-05T01:00:00,5Z", NULL, NULL), NOW + 500000000);
    assert_int_equal(parse("2011-10-11 13:45:40.276000+02:00", NULL, NULL), INT64_C(1318333540276000000));
    refuse("2020-06-05T01:00:00.1234567891Z", NULL);
    refuse("2020-06-05T01:00:00.Z", NULL);
}

static void parse_nonsense_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        " ",
                                        "yesterday",
                                        "2020",
                                        "2020-6-5",
                                        "2020-02-30",
                                        "2021-02-29",
                                        "2020-13-01",
                                        "2020-00-01",
                                        "2020-06-05T24:00",
                                        "2020-06-05T08:60",
                                        "2020-06-05T08:00:61Z",
                                        "2020-06-05T08",
                                        "2020-06/05",
                                        "2020-06-05T08:00:00+7",
                                        "2020-06-05T08:00:00+07:60",
                                        "2020-06-05T08:00:00 CET",
                                        "05/06/2020",
                                        "1600-01-01",
                                        "2300-01-01",
                                        "@",
                                        "@x",
                                        "@99999999999999999999",
                                        "12345678901",
                                        "2020-06-05T08:00:00Zx"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refuse(wrong[i], NULL);
    }
}

static void print_parse_round_trips(void **state)
{
    static const int64_t times[] = {
        0, 1, -1, NOW, NOW + 999999999, INT64_MAX, INT64_MIN + 1000000000, -INT64_C(86400000000000), 951782400000000000};
    char text[TIMESTAMP_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(timestamp_print(times[i], text), 30);
        assert_int_equal(strlen(text), 30);
        assert_int_equal(parse(text, NULL, NULL), times[i]);
    }
    timestamp_print(NOW, text);
    assert_string_equal(text, "2020-06-05T01:00:00.000000000Z");
    timestamp_print(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
    assert_int_equal(timestamp_print(INT64_MIN, text), 30);
}

static void duration_units_and_bare_seconds(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"10s", 10000000000}, {"2.5", 2500000000},    {"500ms", 500000000}, {"1h30m", 5400000000000}, {"7us", 7000}, {"0", 0},
        {"3ns", 3},           {"1w", 604800000000000}};
    static const char *const wrong[] = {"", "s", "-1s", "1h30", "1.h", "ten", "99999999999999w", "1 h"};
    const char *why = NULL;
    int64_t ns = 0;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(duration_parse(good[i].text, strlen(good[i].text), &ns, &why), TRUC_OK);
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(duration_parse(wrong[i], strlen(wrong[i]), &ns, &why), TRUC_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zoned_parse_forms_agree),           cmocka_unit_test(parse_without_zone_uses_selected),
        cmocka_unit_test(zone_offset_is_read_both_ways),     cmocka_unit_test(zone_unknown_is_refused),
        cmocka_unit_test(zone_without_database_has_default), cmocka_unit_test(parse_time_skipped_by_zone_is_refused),
        cmocka_unit_test(parse_relative_counts_from_now),    cmocka_unit_test(parse_fraction_is_kept_to_the_ns),
        cmocka_unit_test(parse_nonsense_is_refused),         cmocka_unit_test(print_parse_round_trips),
        cmocka_unit_test(duration_units_and_bare_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
