#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/facts.h"

static void facts_have_times_as_text_in_order(void **state)
{
    static const char expected[] = "{\"topic\":\"a.b\",\"created\":\"2020-06-05T01:00:00.000000000Z\",\"bytes\":7,\"last_append\":"
                                   "null,\"_ns\":3,\"odd_ns\":\"x\"}\n";
    json_t *answer = json_pack("{s:s,s:I,s:i,s:i,s:i,s:s}", "topic", "a.b", "created_ns", (json_int_t)1591318800000000000, "bytes",
                               7, "last_append_ns", 0, "_ns", 3, "odd_ns", "x");
    json_t *facts = facts_with_times(answer);
    struct out out;
    (void)state;
    assert_non_null(facts);
    out_init(&out, -1);
    out_json_line(&out, facts);
    assert_int_equal(out.size, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.size);
    out_fini(&out);
    json_decref(answer);
}

static void facts_print_one_line_each(void **state)
{
    static const char expected[] = "topic               a.b\nbytes               7\nlast_append         -\n";
    json_t *facts = json_pack("{s:s,s:i,s:n}", "topic", "a.b", "bytes", 7, "last_append");
    struct out out;
    (void)state;
    out_init(&out, -1);
    facts_print(&out, facts);
    assert_int_equal(out.size, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.size);
    out_fini(&out);
    json_decref(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_have_times_as_text_in_order),
        cmocka_unit_test(facts_print_one_line_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
