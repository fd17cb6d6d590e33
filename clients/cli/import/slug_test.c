#include "clients/cli/import/bounds.h"
#include "clients/cli/import/slug.h"
#include "clients/cli/import/testing.h"

static const char *slug_of(const char *text)
{
    static char result[1024];
    struct out out;
    struct failure failure = {.why = ""};
    out_init(&out, -1);
    truc_status status = slug_append(bytes_of_text(text), &out, &failure);
    if (status == TRUC_OK) {
        (void)snprintf(result, sizeof result, "%.*s", (int)out.size, out.data);
    } else {
        (void)snprintf(result, sizeof result, "(%s)", truc_status_name(status));
    }
    out_fini(&out);
    return result;
}

static void slug_keeps_what_a_topic_can_hold(void **state)
{
    (void)state;
    assert_string_equal(slug_of("Group-1_a"), "Group-1_a");
    assert_string_equal(slug_of("Group 2"), "Group-2");
    assert_string_equal(slug_of("  a -- b.c/d  "), "a-b-c-d");
    assert_string_equal(slug_of("*>"), "(BAD_ROW)");
    assert_string_equal(slug_of("---"), "(BAD_ROW)");
    assert_string_equal(slug_of(""), "(BAD_ROW)");
}

static void slug_drops_vietnamese_marks(void **state)
{
    (void)state;
    assert_string_equal(slug_of("\xc4\x90\xe1\xbb\x91ng \xc4\x90"
                                "a"),
                        "Dong-Da"); /* composed */
    assert_string_equal(slug_of("\xc4\x91"
                                "o\xcc\x82\xcc\x81ng"),
                        "dong"); /* decomposed */
    assert_string_equal(slug_of("Ph\xc6\xb0\xe1\xbb\x9dng Ng\xe1\xbb\x8d"
                                "c H\xc3\xa0"),
                        "Phuong-Ngoc-Ha");
    assert_string_equal(slug_of("\xe4\xb8\xad\xe6\x96\x87 a"), "a");
    assert_string_equal(slug_of("\xe4\xb8\xad"), "(BAD_ROW)");
}

static void slug_keeps_the_dots_of_agency_codes_only(void **state)
{
    (void)state;
    assert_string_equal(slug_of("H26.16"), "H26.16");
    assert_string_equal(slug_of("H37.DN.001"), "H37.DN.001");
    assert_string_equal(slug_of("000.00.16.H26"), "000.00.16.H26");
    assert_string_equal(slug_of("000.A0.01.H26"), "000.A0.01.H26");
    assert_string_equal(slug_of("1.011442"), "1-011442");
    assert_string_equal(slug_of("v1.2"), "v1-2");
    assert_string_equal(slug_of("H26."), "H26");
    assert_string_equal(slug_of("H26..16"), "H26-16");
    assert_string_equal(slug_of("H26.16.a"), "H26-16-a");
    assert_string_equal(slug_of("H26.12345"), "H26-12345");
    assert_string_equal(slug_of("00.00.16.H26"), "00-00-16-H26");
    assert_true(slug_is_agency(bytes_of_text("G22")));
    assert_false(slug_is_agency(bytes_of_text("")));
    assert_false(slug_is_agency(bytes_of_text("H26.1111.2222.3333.4444.5555.6666.777"))); /* 37 characters */
}

static truc_status note(struct slugs *slugs, const char *text, struct failure *failure)
{
    char slug[256];
    (void)snprintf(slug, sizeof slug, "%s", slug_of(text));
    return slugs_note(slugs, bytes_of_text(slug), bytes_of_text(text), bytes_of_text("unit"), failure);
}

static void slugs_clash_names_both_values(void **state)
{
    (void)state;
    struct failure failure;
    struct slugs *slugs = slugs_create();
    assert_int_equal(note(slugs, "Group 1", &failure), TRUC_OK);
    assert_int_equal(note(slugs, "Group 2", &failure), TRUC_OK);
    assert_int_equal(note(slugs, "Group 1", &failure), TRUC_OK);
    assert_int_equal(note(slugs, "Group/1", &failure), TRUC_SLUG_CLASH);
    assert_non_null(strstr(failure.why, "{unit}"));
    assert_non_null(strstr(failure.why, "'Group 1' and 'Group/1' both become 'Group-1'"));
    slugs_destroy(slugs);
}

static void slugs_same_text_in_another_form_is_no_clash(void **state)
{
    (void)state;
    struct failure failure;
    struct slugs *slugs = slugs_create();
    assert_int_equal(note(slugs, "\xc4\x91\xe1\xbb\x91ng", &failure), TRUC_OK);
    assert_int_equal(note(slugs,
                          "\xc4\x91"
                          "o\xcc\x82\xcc\x81ng",
                          &failure),
                     TRUC_OK);
    assert_int_equal(note(slugs, "dong", &failure), TRUC_SLUG_CLASH);
    slugs_destroy(slugs);
}

static void slugs_too_many_values_are_refused(void **state)
{
    (void)state;
    struct failure failure;
    struct slugs *slugs = slugs_create();
    char text[32];
    for (int i = 0; i < IMPORT_SLUGS_MAX; i++) {
        size_t size = (size_t)snprintf(text, sizeof text, "v%d", i);
        assert_int_equal(slugs_note(slugs, bytes_of(text, size), bytes_of(text, size), bytes_of_text("unit"), &failure), TRUC_OK);
    }
    assert_int_equal(note(slugs, "one-more", &failure), TRUC_TOO_MANY);
    slugs_destroy(slugs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slug_keeps_what_a_topic_can_hold),
        cmocka_unit_test(slug_drops_vietnamese_marks),
        cmocka_unit_test(slug_keeps_the_dots_of_agency_codes_only),
        cmocka_unit_test(slugs_clash_names_both_values),
        cmocka_unit_test(slugs_same_text_in_another_form_is_no_clash),
        cmocka_unit_test(slugs_too_many_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
