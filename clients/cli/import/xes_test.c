#include "clients/cli/import/testing.h"

#define OPEN(t, text) assert_int_equal(testing_open(&(t), ROWS_XES, (text), sizeof(text) - 1), TRUC_OK)

static void fails(const char *text, const char *why)
{
    struct testing_rows t;
    assert_int_equal(testing_open(&t, ROWS_XES, text, strlen(text)), TRUC_OK);
    enum row_kind kind;
    do {
        kind = testing_next(&t);
    } while (kind == ROW_GOOD || kind == ROW_BAD);
    assert_int_equal(kind, ROW_FAILED);
    testing_why_holds(&t, why);
    testing_close(&t);
}

#define EVENTS                                                                                                                     \
    "<extension name='Concept' prefix='concept' uri='http://x/'/><global scope='trace'><string key='g' value='U'/></global>"       \
    "<global scope='event'><string key='h' value='U'/></global><classifier name='A' keys='concept:name'/><float key='meta' "       \
    "value='4'>"                                                                                                                   \
    "<float key='deep' value='1'/></float>\n"                                                                                      \
    "<trace><string key='concept:name' value='H26.16-200605-0001'/><date key='start' value='2020-06-05T08:00:00+07:00'/>\n"        \
    "<event><string key='concept:name' value='Ti\xe1\xba\xbfp nh\xe1\xba\xadn &amp; tr\xe1\xba\xa3'/><int key='n' "                \
    "value='7'/></event>\n"                                                                                                        \
    "<event><boolean key='ok' value='true'/></event></trace>\n"                                                                    \
    "<trace><event><id key='only' value='x'/></event></trace>"

static void both_events_of_first_trace(struct testing_rows *t)
{
    assert_int_equal(testing_next(t), ROW_GOOD);
    assert_int_equal(t->row.number, 1);
    assert_string_equal(testing_value(t, "case:concept:name"), "H26.16-200605-0001");
    assert_string_equal(testing_value(t, "case:start"), "2020-06-05T08:00:00+07:00");
    assert_string_equal(testing_value(t, "concept:name"), "Ti\xe1\xba\xbfp nh\xe1\xba\xadn & tr\xe1\xba\xa3");
    assert_string_equal(testing_value(t, "n"), "7");
    assert_string_equal(testing_value(t, "meta"), "(none)");
    assert_int_equal(testing_next(t), ROW_GOOD);
    assert_string_equal(testing_value(t, "case:concept:name"), "H26.16-200605-0001");
    assert_string_equal(testing_value(t, "concept:name"), "(none)");
    assert_string_equal(testing_value(t, "ok"), "true");
    assert_int_equal(testing_next(t), ROW_GOOD);
    assert_string_equal(testing_value(t, "case:concept:name"), "(none)");
    assert_string_equal(testing_value(t, "only"), "x");
    assert_int_equal(testing_next(t), ROW_END);
}

static void xes_events_carry_their_traces_attributes(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "<?xml version='1.0' encoding='UTF-8'?><!-- x -->\n<log>" EVENTS "</log>\n");
    both_events_of_first_trace(&t);
    uint32_t column;
    assert_int_equal(columns_number(t.columns, bytes_of_text("case:g"), false, &column, &t.failure), TRUC_OK);
    assert_true(columns_seen(t.columns, column)); /* named by a global */
    assert_int_equal(columns_number(t.columns, bytes_of_text("h"), false, &column, &t.failure), TRUC_OK);
    assert_true(columns_seen(t.columns, column));
    testing_close(&t);
}

static void xes_default_namespace_is_accepted(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "<log xmlns='http://www.xes-standard.org/' xes.version='1.0'>" EVENTS "</log>");
    both_events_of_first_trace(&t);
    testing_close(&t);
}

static void xes_prefixed_namespace_is_accepted_and_foreign_skipped(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "<x:log xmlns:x='http://www.xes-standard.org/' xmlns:o='http://o/'><x:trace><x:string key='a' value='1'/><o:event>"
            "<o:string key='z' value='0'/></o:event><x:event><x:string key='b' value='2'/><o:string key='c' "
            "value='3'/></x:event></x:trace></x:log>");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "case:a"), "1");
    assert_string_equal(testing_value(&t, "b"), "2");
    assert_int_equal(t.row.field_count, 2);
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
}

static void xes_nested_attributes_are_paths(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "<log><trace><string key='p' value='1'><string key='q' value='2'><int key='r' value='3'/></string></string>"
            "<event><list key='l'><values><string key='' value='x'/><string key='k' value='y'><string key='m' "
            "value='z'/></string></values></list>"
            "<container key='c'><float key='f' value='1.5'/></container><list key='d'><string key='i' "
            "value='j'/></list></event></trace></log>");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "case:p"), "1");
    assert_string_equal(testing_value(&t, "case:p/q"), "2");
    assert_string_equal(testing_value(&t, "case:p/q/r"), "3");
    assert_string_equal(testing_value(&t, "l/0"), "x");
    assert_string_equal(testing_value(&t, "l/1:k"), "y");
    assert_string_equal(testing_value(&t, "l/1:k/m"), "z");
    assert_string_equal(testing_value(&t, "c/f"), "1.5");
    assert_string_equal(testing_value(&t, "d/0:i"), "j");
    assert_int_equal(t.row.field_count, 8);
    testing_close(&t);
}

static void xes_events_without_a_trace_are_rows(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "<log><trace><string key='a' value='1'/></trace><event><string key='b' value='2'/></event></log>");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_string_equal(testing_value(&t, "case:a"), "(none)");
    assert_string_equal(testing_value(&t, "b"), "2");
    testing_close(&t);
}

static void xes_bad_event_is_given_as_it_came(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t, "<log>\n<trace>\n <event><string key='b' value='1'/><string key='b' value='2'/></event>\n <event><string "
            "key='b'/></event>\n"
            "<event><string value='b'/></event><event><string key='b' value='3'/></event></trace></log>");
    assert_int_equal(testing_next(&t), ROW_BAD);
    assert_int_equal(t.row.line, 3);
    testing_why_holds(&t, "given twice: attribute 'b'");
    testing_raw_is(&t, "<event><string key='b' value='1'/><string key='b' value='2'/></event>\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "without a value: attribute 'b'");
    testing_raw_is(&t, "<event><string key='b'/></event>\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "an attribute has no key");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_int_equal(t.row.number, 4);
    testing_close(&t);
}

static void xes_bad_trace_makes_its_events_bad(void **state)
{
    (void)state;
    struct testing_rows t;
    OPEN(t,
         "<log><trace><string key='a' value='1'/><string key='a' value='2'/><event/><event/></trace><trace><event/></trace></log>");
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_raw_is(&t, "<event/>\n");
    assert_int_equal(testing_next(&t), ROW_BAD);
    assert_int_equal(testing_next(&t), ROW_GOOD);
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
}

static void xes_many_events_across_chunks_are_given_whole(void **state)
{
    (void)state;
    struct testing_rows t;
    enum { EVENT_COUNT = 20000 };
    char expected[128];
    struct testing_text text = {0};
    testing_print(&text, "<log><trace><string key='t' value='1'/>");
    for (int i = 0; i < EVENT_COUNT; i++) {
        testing_print(&text, "<event><int key='n' value='%d'/><int key='n' value='x'/></event>\n", i);
    }
    testing_print(&text, "</trace></log>");
    assert_int_equal(testing_open(&t, ROWS_XES, text.data, text.size), TRUC_OK);
    for (int i = 0; i < EVENT_COUNT; i++) {
        assert_int_equal(testing_next(&t), ROW_BAD);
        (void)snprintf(expected, sizeof expected, "<event><int key='n' value='%d'/><int key='n' value='x'/></event>\n", i);
        testing_raw_is(&t, expected);
        assert_int_equal(t.row.line, i + 1);
    }
    assert_int_equal(testing_next(&t), ROW_END);
    testing_close(&t);
    free(text.data);
}

static void xes_nesting_too_deep_is_bad(void **state)
{
    (void)state;
    struct testing_rows t;
    struct testing_text text = {0};
    testing_print(&text, "<log><trace><event>");
    for (int i = 0; i < 60; i++) {
        testing_print(&text, "<string key='a' value='%d'>", i);
    }
    for (int i = 0; i < 60; i++) {
        testing_print(&text, "</string>");
    }
    testing_print(&text, "</event><event/></trace></log>");
    assert_int_equal(testing_open(&t, ROWS_XES, text.data, text.size), TRUC_OK);
    assert_int_equal(testing_next(&t), ROW_BAD);
    testing_why_holds(&t, "nested too deeply");
    assert_int_equal(testing_next(&t), ROW_GOOD);
    testing_close(&t);
    free(text.data);
}

static void xes_entities_are_refused(void **state)
{
    (void)state;
    fails("<!DOCTYPE log [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><log><trace><event><string key='x' "
          "value='&b;'/>"
          "</event></trace></log>",
          "declares XML entities");
    fails("<!DOCTYPE log [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><log/>", "declares XML entities");
    fails("<!DOCTYPE log [<!ENTITY % p 'x'>]><log/>", "declares XML entities");
}

static void xes_what_is_not_xes_is_refused(void **state)
{
    (void)state;
    fails("<html><body/></html>", "not an XES file");
    fails("a,b\n1,2\n", "not well-formed XML");
    fails("", "not well-formed XML");
    fails("<log><trace><event>\n</trace></log>", "line 2");
    fails("<log><trace><event><string key='a' value='1'/></event>", "not well-formed");
    fails("<log><trace><event/><string key='late' value='1'/></trace></log>", "behind its first event");
}

static void xes_huge_tag_is_refused(void **state)
{
    (void)state;
    struct testing_text text = {0};
    testing_print(&text, "<log><trace><event><string key='a' value='");
    testing_fill(&text, 'x', 2 * (size_t)IMPORT_ROW_BYTES_MAX);
    testing_print(&text, "'/></event></trace></log>");
    fails(text.data, "larger than");
    free(text.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xes_events_carry_their_traces_attributes),
        cmocka_unit_test(xes_default_namespace_is_accepted),
        cmocka_unit_test(xes_prefixed_namespace_is_accepted_and_foreign_skipped),
        cmocka_unit_test(xes_nested_attributes_are_paths),
        cmocka_unit_test(xes_events_without_a_trace_are_rows),
        cmocka_unit_test(xes_bad_event_is_given_as_it_came),
        cmocka_unit_test(xes_bad_trace_makes_its_events_bad),
        cmocka_unit_test(xes_many_events_across_chunks_are_given_whole),
        cmocka_unit_test(xes_nesting_too_deep_is_bad),
        cmocka_unit_test(xes_entities_are_refused),
        cmocka_unit_test(xes_what_is_not_xes_is_refused),
        cmocka_unit_test(xes_huge_tag_is_refused),
    };
    return cmocka_run_group_tests(tests, testing_setup, testing_teardown);
}
