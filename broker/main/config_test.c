/* The configuration: what is accepted, and that what is wrong is named by file, line and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/main/config_keys.h"
#include "broker/main/units.h"

static struct config *parse_ok(const char *text)
{
    struct config *config = NULL;
    char why[CONFIG_WHY_BYTES] = "";
    truc_status status = config_parse("t.yaml", text, strlen(text), &config, why);
    if (status != TRUC_OK) {
        print_error("%s\n", why);
    }
    assert_int_equal(status, TRUC_OK);
    return config;
}

static void parse_bad(const char *text, const char *expected)
{
    struct config *config = NULL;
    char why[CONFIG_WHY_BYTES] = "";
    assert_int_equal(config_parse("t.yaml", text, strlen(text), &config, why), TRUC_BAD_CONFIG);
    assert_null(config);
    if (strstr(why, expected) == NULL) {
        print_error("for <<%s>>: `%s` lacks `%s`\n", text, why, expected);
        fail();
    }
}

static void config_default_holds_every_documented_value(void **state)
{
    struct config *config = NULL, *empty;
    char why[CONFIG_WHY_BYTES];
    (void)state;
    assert_int_equal(config_default(&config, why), TRUC_OK);
    assert_string_equal(config->domain, "local/dev");
    assert_string_equal(config->data, "./truc-data");
    assert_int_equal(config->listen_count, 1);
    assert_string_equal(config->listen[0], "tcp://127.0.0.1:8782");
    assert_int_equal(config->segment_bytes, 1 << 30);
    assert_int_equal(config->producer_grace, 600000);
    assert_int_equal(config->batch_bytes_max, BATCH_BYTES_MAX);
    assert_false(config->domain_given);
    /* Every default of a number lies within its own bounds. */
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (key->kind != CONFIG_TEXT && key->section != CONFIG_IN_TOPICS) {
            uint64_t value;
            memcpy(&value, (const char *)config + key->offset, sizeof value);
            assert_true(value >= key->least && value <= key->most);
        }
    }
    config_destroy(config);
    empty = parse_ok("");
    assert_int_equal(empty->topic_count, 0);
    config_destroy(empty);
    config_destroy(parse_ok("# only a comment\n"));
    config_destroy(NULL);
}

static void config_file_sets_what_it_says(void **state)
{
    (void)state;
    struct config *config = parse_ok("domain: H26/prod\n"
                                     "data: /srv/truc\n"
                                     "listen: [ 'tcp://127.0.0.1:9000', ipc:///run/truc.sock ]\n"
                                     "segment_bytes: 64MiB\n"
                                     "producer_grace: 90s\n"
                                     "limits:\n"
                                     "  connections_max: 10\n"
                                     "  read_chunk_bytes: 100kB\n"
                                     "topics:\n"
                                     "  - pattern: telemetry.>\n"
                                     "    evidence: batch\n"
                                     "    codec: zstd\n"
                                     "  - pattern: dossier.*.H26\n"
                                     "    record_bytes_max: 2MiB\n");
    assert_string_equal(config->domain, "H26/prod");
    assert_true(config->domain_given);
    assert_string_equal(config->data, "/srv/truc");
    assert_int_equal(config->listen_count, 2);
    assert_string_equal(config->listen[1], "ipc:///run/truc.sock");
    assert_int_equal(config->segment_bytes, 64 << 20);
    assert_int_equal(config->producer_grace, 90000);
    assert_int_equal(config->connections_max, 10);
    assert_int_equal(config->read_chunk_bytes, 100000);
    assert_int_equal(config->topic_count, 2);
    assert_int_equal(config->families[0].evidence, EVIDENCE_BATCH);
    assert_int_equal(config->families[0].codec, CODEC_ZSTD);
    assert_int_equal(config->families[1].evidence, EVIDENCE_UNSPECIFIED);
    assert_int_equal(config->families[1].codec, -1);
    assert_int_equal(config->families[1].record_bytes_max, 2 << 20);
    assert_true(bytes_equal(config->families[1].pattern, bytes_of_text("dossier.*.H26")));
    config_destroy(config);
}

static void config_unknown_key_is_named_with_its_line(void **state)
{
    (void)state;
    parse_bad("domain: x\nfoo: 3\n", "t.yaml:2: there is no key `foo`");
    parse_bad("limits:\n  topics_max: 3\n  topics_maxx: 3\n", "t.yaml:3: there is no key `limits.topics_maxx`");
    parse_bad("topics:\n  - pattern: a\n    pattren: b\n", "t.yaml:3: there is no key `topics[0].pattren`");
    parse_bad("topics:\n  - pattern: a\n  - pattern: b\n    x: y\n", "t.yaml:4: there is no key `topics[1].x`");
    parse_bad("topics_max: 3\n", "t.yaml:1: there is no key `topics_max`"); /* it is one of limits' */
    parse_bad("limits:\n  domain: x\n", "t.yaml:2: there is no key `limits.domain`");
}

static void config_bad_value_is_named_with_its_line(void **state)
{
    (void)state;
    parse_bad("domain: x\nlimits:\n  connections_max: many\n", "t.yaml:3: limits.connections_max: `many` must be 1 to 100000");
    parse_bad("limits: { connections_max: 0 }\n", "t.yaml:1: limits.connections_max: `0` must be 1 to 100000");
    parse_bad("segment_bytes: 1MiB\n", "t.yaml:1: segment_bytes: `1MiB` must be 8MiB to 1TiB");
    parse_bad("segment_bytes: 99999999999999999999\n", "t.yaml:1: segment_bytes");
    parse_bad("segment_bytes: 64MiBs\n", "t.yaml:1: segment_bytes");
    parse_bad("producer_grace: 10\n", "t.yaml:1: producer_grace: `10` must be");
    parse_bad("producer_grace: -1s\n", "t.yaml:1: producer_grace");
    parse_bad("engine: rocks\n", "t.yaml:1: engine: `rocks` must be lmdb or memory");
    parse_bad("engine: ''\n", "t.yaml:1: engine");
    parse_bad("topics:\n  - pattern: a..b\n", "t.yaml:2: topics[0].pattern: `a..b` must be a topic or pattern");
    parse_bad("topics:\n  - pattern: a\n  - evidence: batch\n", "t.yaml:3: topics[1]: `` must be an item with a pattern");
    parse_bad("topics:\n  - pattern: a\n    evidence: both\n", "t.yaml:3: topics[0].evidence: `both` must be record or batch");
    parse_bad("topics:\n  - pattern: a\n    codec: gzip\n", "t.yaml:3: topics[0].codec: `gzip` must be none, lz4 or zstd");
}

static void config_wrong_shape_is_refused(void **state)
{
    (void)state;
    parse_bad("domain: [ a\n", "t.yaml:");
    parse_bad("domain: [ a ]\n", "t.yaml:1:");
    parse_bad("domain: { a: b }\n", "t.yaml:1:");
    parse_bad("listen: tcp://127.0.0.1:1\n", "t.yaml:1:");
    parse_bad("listen: []\n", "t.yaml:");
    parse_bad("limits: 3\n", "t.yaml:1:");
    parse_bad("- a\n- b\n", "t.yaml:");
    parse_bad("just text\n", "t.yaml:");
    parse_bad("domain: a\ndomain: b\n", "t.yaml:2: the key `domain` is given twice");
    parse_bad("domain: &x a\ndata: *x\n", "t.yaml:2: aliases are not used");
    parse_bad("? [a]\n: b\n", "t.yaml:1: a key must be a plain word");
    parse_bad("a: {b: {c: {d: {e: f}}}}\n", "t.yaml:1:");
    parse_bad("domain: \"\x01\"\n", "t.yaml:1:");
}

static void config_command_line_replaces(void **state)
{
    const char *urls[] = {"tcp://127.0.0.1:1", "tcp://127.0.0.1:2"};
    (void)state;
    struct config *config = parse_ok("data: a\nlisten: [ipc:///x]\n");
    assert_int_equal(config_set_data(config, "b"), TRUC_OK);
    assert_int_equal(config_set_listen(config, urls, 2), TRUC_OK);
    assert_string_equal(config->data, "b");
    assert_int_equal(config->listen_count, 2);
    assert_string_equal(config->listen[1], urls[1]);
    config_destroy(config);
}

static void config_missing_file_is_io(void **state)
{
    struct config *config;
    char why[CONFIG_WHY_BYTES];
    (void)state;
    assert_int_equal(config_load("/nonexistent/truc.yaml", &config, why), TRUC_IO);
    assert_non_null(strstr(why, "/nonexistent/truc.yaml"));
}

/* The page that operators read holds the table that the parser works by. */
struct page {
    char *text;
    unsigned missing;
};

static void expect_line(void *context, const char *line)
{
    struct page *page = context;
    const char *at = strstr(page->text, line);
    if (at == NULL || (at != page->text && at[-1] != '\n')) {
        print_error("docs/operations.md lacks: %s\n", line);
        page->missing++;
    }
}

static void config_table_is_in_operations_page(void **state)
{
    enum { PAGE_BYTES = 256 * 1024 };
    struct page page = {.text = calloc(1, PAGE_BYTES)};
    FILE *stream = fopen(TRUC_SOURCE_DIR "/docs/operations.md", "r");
    (void)state;
    assert_non_null(stream);
    assert_true(fread(page.text, 1, PAGE_BYTES - 1, stream) > 0);
    fclose(stream);
    config_describe(expect_line, &page);
    free(page.text);
    assert_int_equal(page.missing, 0);
}

static void units_round_trip_and_refuse(void **state)
{
    static const char *const bad[] = {
        "", "x", "1x", "KiB", "1 KiB", "-1", "1.5MiB", "99999999999999999999", "18446744073709551615KiB"};
    uint64_t value;
    char text[32];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(units_parse_size(bad[i], &value));
        assert_false(units_parse_duration(bad[i], &value));
    }
    for (uint64_t bytes = 1; bytes < 1ull << 45; bytes = bytes * 3 + 1) {
        units_format_size(bytes, text, sizeof text);
        assert_true(units_parse_size(text, &value));
        assert_int_equal(value, bytes);
        units_format_duration(bytes, text, sizeof text);
        assert_true(units_parse_duration(text, &value));
        assert_int_equal(value, bytes);
    }
    units_format_size(64 << 20, text, sizeof text);
    assert_string_equal(text, "64MiB");
    units_format_duration(90000, text, sizeof text);
    assert_string_equal(text, "90s");
    assert_true(units_parse_count("0", &value));
    assert_false(units_parse_count("1k", &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_default_holds_every_documented_value),
        cmocka_unit_test(config_file_sets_what_it_says),
        cmocka_unit_test(config_unknown_key_is_named_with_its_line),
        cmocka_unit_test(config_bad_value_is_named_with_its_line),
        cmocka_unit_test(config_wrong_shape_is_refused),
        cmocka_unit_test(config_command_line_replaces),
        cmocka_unit_test(config_missing_file_is_io),
        cmocka_unit_test(config_table_is_in_operations_page),
        cmocka_unit_test(units_round_trip_and_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
