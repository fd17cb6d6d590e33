#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/option.h"

struct values {
    bool lines;
    const char *key, *codec;
    struct cli_uint limit, size;
    struct cli_number speed;
    struct cli_time timeout, since;
    struct cli_list headers;
};

static const char *const codecs[] = {"none", "lz4", "zstd", NULL};
static const struct cli_option table[] = {
    {"lines", CLI_FLAG, offsetof(struct values, lines), NULL, "", 0, 0, NULL},
    {"key", CLI_TEXT, offsetof(struct values, key), "K", "", 0, 0, NULL},
    {"codec", CLI_CHOICE, offsetof(struct values, codec), "C", "", 0, 0, codecs},
    {"limit", CLI_UINT, offsetof(struct values, limit), "N", "", 1, 1000, NULL},
    {"size", CLI_SIZE, offsetof(struct values, size), "BYTES", "", 1, 0, NULL},
    {"speed", CLI_NUMBER, offsetof(struct values, speed), "X", "", 0, 0, NULL},
    {"timeout", CLI_DURATION, offsetof(struct values, timeout), "S", "", 0, 0, NULL},
    {"since", CLI_TIME, offsetof(struct values, since), "TIME", "", 0, 0, NULL},
    {"header", CLI_LIST, offsetof(struct values, headers), "N=V", "", 0, 0, NULL},
};

struct globals {
    bool json;
    const char *key; /* hidden behind the verb's own */
};
static const struct cli_option global_table[] = {
    {"json", CLI_FLAG, offsetof(struct globals, json), NULL, "", 0, 0, NULL},
    {"key", CLI_TEXT, offsetof(struct globals, key), "K", "", 0, 0, NULL},
};

struct fixture {
    struct values values;
    struct globals globals;
    struct cli_option_set sets[2];
    char *operands[32];
    size_t operand_count;
    int used;
    char why[CLI_WHY_BYTES];
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->sets[0] = (struct cli_option_set){table, sizeof table / sizeof table[0], &f->values};
    f->sets[1] = (struct cli_option_set){global_table, 2, &f->globals};
}

static truc_status parse(struct fixture *f, const char *const *words, bool stop)
{
    int count = 0;
    while (words[count] != NULL) {
        count++;
    }
    return cli_options_parse(f->sets, 2, count, (char **)(uintptr_t)words, stop, f->operands, &f->operand_count, &f->used, f->why);
}
#define PARSE(f, ...) parse(f, (const char *const[]){__VA_ARGS__, NULL}, false)

static void parse_all_types_fills_values(void **state)
{
    struct fixture f;
    struct zone zone = {"UTC"};
    (void)state;
    fixture_init(&f);
    assert_int_equal(PARSE(&f, "topic", "--lines", "--key", "K-1", "--codec=lz4", "--limit", "7", "--size", "64K", "--speed=2.5",
                           "--timeout", "500ms", "--since", "-1h", "--header", "a=1", "--header=b=2", "-", "--json", "--", "--key"),
                     TRUC_OK);
    assert_true(f.values.lines);
    assert_string_equal(f.values.key, "K-1");
    assert_null(f.globals.key);
    assert_string_equal(f.values.codec, "lz4");
    assert_int_equal(f.values.limit.value, 7);
    assert_int_equal(f.values.size.value, 65536);
    assert_true(f.values.speed.value == 2.5);
    assert_int_equal(f.values.timeout.ns, 500000000);
    assert_int_equal(f.values.headers.count, 2);
    assert_string_equal(f.values.headers.items[1], "b=2");
    assert_true(f.globals.json);
    assert_int_equal(f.operand_count, 3);
    assert_string_equal(f.operands[0], "topic");
    assert_string_equal(f.operands[1], "-");
    assert_string_equal(f.operands[2], "--key");
    assert_int_equal(cli_options_resolve(&f.sets[0], &zone, 7200000000000, NULL, NULL, f.why), TRUC_OK);
    assert_int_equal(f.values.since.ns, 3600000000000);
    cli_options_fini(&f.sets[0]);
}

static void parse_sizes_are_written_as_in_the_configuration(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(PARSE(&f, "--size=64KiB"), TRUC_OK);
    assert_int_equal(f.values.size.value, 65536);
    assert_int_equal(PARSE(&f, "--size=64KB"), TRUC_USAGE);
    cli_options_fini(&f.sets[0]);
}

static void parse_stops_at_first_operand_when_asked(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(parse(&f, (const char *const[]){"--json", "pub", "--nonsense", NULL}, true), TRUC_OK);
    assert_int_equal(f.used, 1);
}

static void parse_unknown_option_names_nearest(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(PARSE(&f, "--kye", "x"), TRUC_USAGE);
    assert_non_null(strstr(f.why, "--kye"));
    assert_non_null(strstr(f.why, "did you mean --key?"));
    assert_int_equal(PARSE(&f, "--limits=3"), TRUC_USAGE);
    assert_non_null(strstr(f.why, "--limit?"));
    assert_int_equal(PARSE(&f, "--jsno"), TRUC_USAGE);
    assert_non_null(strstr(f.why, "--json?"));
    assert_int_equal(PARSE(&f, "--absolutely-unlike-anything-there-is-in-this-table-at-all"), TRUC_USAGE);
    assert_null(strstr(f.why, "did you mean"));
    assert_int_equal(PARSE(&f, "-k"), TRUC_USAGE);
    assert_non_null(strstr(f.why, "-k"));
}

static void parse_bad_values_name_option_and_range(void **state)
{
    static const char *const wrong[][2] = {
        {"--limit=0", "1 to 1000"},   {"--limit=1001", "1 to 1000"}, {"--limit=x", "whole number"},
        {"--limit=-1", "--limit"},    {"--limit=", "--limit"},       {"--limit=1K", "--limit"},
        {"--size=0", "--size"},       {"--size=12X", "size"},        {"--size=99999999999999T", "--size"},
        {"--speed=0", "above 0"},     {"--speed=nan", "--speed"},    {"--speed=1x", "--speed"},
        {"--codec=gzip", "lz4 zstd"}, {"--timeout=1y", "--timeout"}, {"--lines=yes", "no value"},
        {"--key", "needs a value"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fixture f;
        fixture_init(&f);
        assert_int_equal(PARSE(&f, wrong[i][0]), TRUC_USAGE);
        if (strstr(f.why, wrong[i][1]) == NULL) {
            fail_msg("%s: %s", wrong[i][0], f.why);
        }
    }
}

static void parse_option_twice_is_refused(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(PARSE(&f, "--key", "a", "--key", "b"), TRUC_USAGE);
    assert_non_null(strstr(f.why, "twice"));
}

static int echoed;
static void on_echo(void *context, const struct cli_option *option, const struct cli_time *time)
{
    (void)context;
    assert_string_equal(option->name, "since");
    assert_int_equal(time->ns, 1591318800000000000);
    echoed++;
}

static void resolve_echoes_times_without_zone(void **state)
{
    struct fixture f;
    struct zone zone;
    (void)state;
    assert_int_equal(zone_select("Asia/Ho_Chi_Minh", &zone), TRUC_OK);
    fixture_init(&f);
    assert_int_equal(PARSE(&f, "--since=2020-06-05 08:00"), TRUC_OK);
    assert_int_equal(cli_options_resolve(&f.sets[0], &zone, 0, on_echo, NULL, f.why), TRUC_OK);
    assert_int_equal(echoed, 1);
    fixture_init(&f);
    assert_int_equal(PARSE(&f, "--since=2020-06-05T08:00Z"), TRUC_OK);
    assert_int_equal(cli_options_resolve(&f.sets[0], &zone, 0, on_echo, NULL, f.why), TRUC_OK);
    assert_int_equal(echoed, 1);
    fixture_init(&f);
    assert_int_equal(PARSE(&f, "--since=soon"), TRUC_OK);
    assert_int_equal(cli_options_resolve(&f.sets[0], &zone, 0, on_echo, NULL, f.why), TRUC_USAGE);
    assert_non_null(strstr(f.why, "--since: 'soon'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_all_types_fills_values),
        cmocka_unit_test(parse_stops_at_first_operand_when_asked),
        cmocka_unit_test(parse_sizes_are_written_as_in_the_configuration),
        cmocka_unit_test(parse_unknown_option_names_nearest),
        cmocka_unit_test(parse_bad_values_name_option_and_range),
        cmocka_unit_test(parse_option_twice_is_refused),
        cmocka_unit_test(resolve_echoes_times_without_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
