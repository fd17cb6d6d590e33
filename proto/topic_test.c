#include "proto/topic.h"

#include <stdio.h>

#include "proto/limits.h"
#include "proto/test_support.h"

static truc_status topic(const char *text)
{
    const char *why = NULL;
    truc_status status = topic_check(bytes_of_text(text), &why);
    assert_true((status == TRUC_OK) == (why == NULL));
    return status;
}

static truc_status pattern(const char *text)
{
    const char *why = NULL;
    truc_status status = pattern_check(bytes_of_text(text), &why);
    assert_true((status == TRUC_OK) == (why == NULL));
    return status;
}

static bool match(const char *pattern_text, const char *topic_text)
{
    assert_status(pattern(pattern_text), TRUC_OK);
    assert_status(topic(topic_text), TRUC_OK);
    return pattern_match(bytes_of_text(pattern_text), bytes_of_text(topic_text));
}

static void topic_wellformed_is_accepted(void **state)
{
    (void)state;
    assert_status(topic("a"), TRUC_OK);
    assert_status(topic("dossier.status.H26.16"), TRUC_OK);
    assert_status(topic("A-Z_0.9"), TRUC_OK);
}

static void topic_malformed_is_refused(void **state)
{
    static const char *const bad[] = {"", ".", ".a", "a.", "a..b", "a b", "a.*", "a.>", "**", "a/b", "h\xc3\xb2", "a\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_status(topic(bad[i]), TRUC_BAD_TOPIC);
    assert_status(topic_check(bytes_of("a\0b", 3), NULL), TRUC_BAD_TOPIC);
}

static void topic_limits_are_exact(void **state)
{
    char text[TOPIC_BYTES_MAX + 2];
    (void)state;
    memset(text, 'a', sizeof text);
    assert_status(topic_check(bytes_of(text, TOPIC_BYTES_MAX), NULL), TRUC_OK);
    assert_status(topic_check(bytes_of(text, TOPIC_BYTES_MAX + 1), NULL), TRUC_BAD_TOPIC);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = '.';
    assert_status(topic_check(bytes_of(text, 2 * TOPIC_TOKENS_MAX - 1), NULL), TRUC_OK);
    assert_status(topic_check(bytes_of(text, 2 * TOPIC_TOKENS_MAX + 1), NULL), TRUC_BAD_TOPIC);
    assert_status(pattern_check(bytes_of(text, 2 * TOPIC_TOKENS_MAX + 1), NULL), TRUC_BAD_PATTERN);
}

static void pattern_wildcards_stand_alone_and_at_the_end(void **state)
{
    static const char *const good[] = {"a", "*", ">", "**", "a.*", "*.a", "a.>", "a.**", "*.*.>", "a.*.b.**"};
    static const char *const bad[] = {"", ">.a", "**.a", "a.>.b", "a*", "*a", "a.b>", "***", "a.", ".*", "a..*", "a.>>", "a b"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_status(pattern(good[i]), TRUC_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_status(pattern(bad[i]), TRUC_BAD_PATTERN);
}

static void pattern_match_follows_the_rules(void **state)
{
    (void)state;
    assert_true(match("a.b", "a.b"));
    assert_false(match("a.b", "a.c"));
    assert_false(match("a.b", "a.b.c"));
    assert_false(match("a.b.c", "a.b"));
    assert_false(match("a.b", "a.bc"));
    assert_true(match("a.*", "a.b"));
    assert_false(match("a.*", "a"));
    assert_false(match("a.*", "a.b.c"));
    assert_true(match("a.*.c", "a.b.c"));
    assert_true(match("a.>", "a.b"));
    assert_true(match("a.>", "a.b.c"));
    assert_false(match("a.>", "a"));
    assert_true(match("H26.**", "H26"));
    assert_true(match("H26.**", "H26.16.x"));
    assert_false(match("H26.**", "H27"));
    assert_true(match("*.>", "a.b"));
    assert_false(match("*.>", "a"));
    assert_true(match(">", "a"));
    assert_true(match("**", "a.b.c"));
    assert_true(match("*.b.**", "a.b"));
}

static void pattern_leading_wildcard_never_matches_the_brokers_topics(void **state)
{
    static const char *const leading[] = {">", "**", "*.audit.login", "*.>", "*.**"};
    (void)state;
    for (size_t i = 0; i < sizeof leading / sizeof leading[0]; i++) {
        assert_false(match(leading[i], "sys.audit.login"));
        assert_false(match(leading[i], "dead.audit.login"));
        assert_true(match(leading[i], "system.audit.login"));
    }
    assert_true(match("sys.>", "sys.audit.login"));
    assert_true(match("dead.**", "dead"));
    assert_true(match("a.*", "a.sys"));
}

static void pattern_exactness_is_told(void **state)
{
    (void)state;
    assert_true(pattern_is_exact(bytes_of_text("a.b-c_9")));
    assert_false(pattern_is_exact(bytes_of_text("a.*")));
    assert_false(pattern_is_exact(bytes_of_text("a.>")));
    assert_false(pattern_is_exact(bytes_of_text("**")));
}

/* The obvious recursive matcher, to hold the linear one against. */
static bool model_match(const char *p, const char *t)
{
    size_t p_size = strcspn(p, "."), t_size = t == NULL ? 0 : strcspn(t, ".");
    const char *p_rest = p[p_size] == '.' ? p + p_size + 1 : NULL;
    const char *t_rest = t != NULL && t[t_size] == '.' ? t + t_size + 1 : NULL;
    if (strcmp(p, "**") == 0)
        return true;
    if (t == NULL)
        return false;
    if (strcmp(p, ">") == 0)
        return true;
    if (!(p_size == 1 && *p == '*') && (p_size != t_size || memcmp(p, t, p_size) != 0))
        return false;
    if (p_rest == NULL)
        return t_rest == NULL;
    return model_match(p_rest, t_rest);
}

static void pattern_match_agrees_with_the_model(void **state)
{
    static const char *const tokens[] = {"a", "b", "sys", "*", "*", ">", "**"};
    struct random random = {2026};
    (void)state;
    for (int round = 0; round < 200000; round++) {
        char p[32] = "", t[32] = "";
        size_t p_count = 1 + random_below(&random, 4), t_count = 1 + random_below(&random, 4), at = 0;
        for (size_t i = 0; i < p_count; i++) {
            const char *token = tokens[random_below(&random, i + 1 == p_count ? 7 : 5)];
            at += (size_t)snprintf(p + at, sizeof p - at, "%s%s", i == 0 ? "" : ".", token);
        }
        at = 0;
        for (size_t i = 0; i < t_count; i++)
            at += (size_t)snprintf(t + at, sizeof t - at, "%s%s", i == 0 ? "" : ".", tokens[random_below(&random, 3)]);
        bool expected = model_match(p, t) && !(strchr("*>", p[0]) != NULL && (strncmp(t, "sys.", 4) == 0 || strcmp(t, "sys") == 0));
        if (match(p, t) != expected)
            fail_msg("%s on %s", p, t);
    }
}

static void source_forms_are_judged(void **state)
{
    static const char *const good[] = {"H26.16/portal", "H26/a-b_9", "000.00.16.H26/x", "G22/x", "local/dev", "H37.DN.001/x"};
    static const char *const bad[] = {"",         "/",           "H26",   "H26/",    "/x",      "h26/x",   "H26./x",   ".H26/x",
                                      "H26..1/x", "H26.12345/x", "H26/X", "H26/a.b", "H26/a/b", "H26/a b", "LOCAL./x", "locals/x"};
    struct bytes agency, system;
    const char *why;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_status(source_split(bytes_of_text(good[i]), &agency, &system, &why), TRUC_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why = NULL;
        assert_status(source_split(bytes_of_text(bad[i]), &agency, &system, &why), TRUC_BAD_SOURCE);
        assert_non_null(why);
    }
    assert_status(source_split(bytes_of_text("H26.16/portal"), &agency, &system, NULL), TRUC_OK);
    assert_bytes(agency, "H26.16");
    assert_bytes(system, "portal");
    assert_status(source_check(bytes_of_text("A.B.C.D.E.F.G.H.I.J.K.L.M.N.O.P.Q.R"), bytes_of_text("s"), NULL), TRUC_OK);
    assert_status(source_check(bytes_of_text("AB.B.C.D.E.F.G.H.I.J.K.L.M.N.O.P.Q.R"), bytes_of_text("s"), NULL), TRUC_BAD_SOURCE);
    assert_status(source_check(bytes_of_text("H26"), bytes_of_text("abcdefghijklmnopqrstuvwxyz0123456"), NULL), TRUC_BAD_SOURCE);
}

static void source_filter_names_an_agency_or_its_system(void **state)
{
    struct bytes agency, system;
    (void)state;
    assert_status(source_filter_split(bytes_of_text("H26.16"), &agency, &system, NULL), TRUC_OK);
    assert_bytes(agency, "H26.16");
    assert_int_equal(system.size, 0);
    assert_status(source_filter_split(bytes_of_text("H26.16/portal"), &agency, &system, NULL), TRUC_OK);
    assert_bytes(system, "portal");
    assert_status(source_filter_split(bytes_of_text(""), &agency, &system, NULL), TRUC_BAD_SOURCE);
    assert_status(source_filter_split(bytes_of_text("H26.16/"), &agency, &system, NULL), TRUC_BAD_SOURCE);
    assert_status(source_filter_split(bytes_of_text("/portal"), &agency, &system, NULL), TRUC_BAD_SOURCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_wellformed_is_accepted),
        cmocka_unit_test(topic_malformed_is_refused),
        cmocka_unit_test(topic_limits_are_exact),
        cmocka_unit_test(pattern_wildcards_stand_alone_and_at_the_end),
        cmocka_unit_test(pattern_match_follows_the_rules),
        cmocka_unit_test(pattern_leading_wildcard_never_matches_the_brokers_topics),
        cmocka_unit_test(pattern_exactness_is_told),
        cmocka_unit_test(pattern_match_agrees_with_the_model),
        cmocka_unit_test(source_forms_are_judged),
        cmocka_unit_test(source_filter_names_an_agency_or_its_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
