/* Log lines: quoting, bounds, the rate limit, and that their table is in the operators' page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/main/logline.h"

/* What a function writes to stderr. */
static size_t captured(void (*write_lines)(void), char *text, size_t size)
{
    int pipes[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    write_lines();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipes[1]);
    ssize_t got = read(pipes[0], text, size - 1);
    close(pipes[0]);
    assert_true(got >= 0);
    text[got] = '\0';
    return (size_t)got;
}

static void one_line(void)
{
    struct logline line;
    static const uint8_t id[] = {0x00, 0xab};
    logline_begin(&line, LOGLINE_started);
    logline_text(&line, "plain", "tcp://127.0.0.1:1");
    logline_text(&line, "spaced", "a b");
    logline_text(&line, "empty", "");
    logline_text(&line, "quoted", "say \"x\"\\\n\x01");
    logline_text(&line, "utf8", "H\xc3\xa0 N\xe1\xbb\x99i");
    logline_hex(&line, "id", id, sizeof id);
    logline_number(&line, "n", UINT64_MAX);
    logline_end(&line);
}

static void logline_values_are_quoted_where_needed(void **state)
{
    char text[4096];
    (void)state;
    captured(one_line, text, sizeof text);
    assert_memory_equal(text, "ts=20", 5);
    assert_non_null(strstr(
        text, "Z level=info event=started plain=tcp://127.0.0.1:1 spaced=\"a b\" empty=\"\" quoted=\"say \\\"x\\\"\\\\\\n\\x01\" "
              "utf8=\"H\xc3\xa0 N\xe1\xbb\x99i\" id=00ab n=18446744073709551615\n"));
}

static void long_line(void)
{
    struct logline line;
    char value[10000];
    memset(value, '"', sizeof value);
    logline_begin(&line, LOGLINE_listening);
    logline_bytes(&line, "why", value, sizeof value);
    logline_text(&line, "after", "x");
    logline_end(&line);
}

static void logline_long_value_is_cut_and_closed(void **state)
{
    char text[8192];
    (void)state;
    size_t size = captured(long_line, text, sizeof text);
    assert_true(size <= LOGLINE_BYTES_MAX);
    assert_int_equal(text[size - 1], '\n');
    assert_non_null(strstr(text, "\\\"\""));
}

static void many_lines(void)
{
    for (int i = 0; i < 100; i++) {
        struct logline line;
        logline_begin(&line, LOGLINE_connection_ended);
        logline_number(&line, "i", (uint64_t)i);
        logline_end(&line);
    }
}

static void logline_flood_is_cut_off(void **state)
{
    char text[32768];
    unsigned lines = 0;
    (void)state;
    captured(many_lines, text, sizeof text);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_in_range(lines, LOGLINE_PER_SECOND_MAX, 2 * LOGLINE_PER_SECOND_MAX); /* a second may end meanwhile */
}

static void logline_table_is_in_operations_page(void **state)
{
    enum { PAGE_BYTES = 256 * 1024 };
    char *page = calloc(1, PAGE_BYTES), row[512];
    FILE *stream = fopen(TRUC_SOURCE_DIR "/docs/operations.md", "r");
    unsigned missing = 0;
    (void)state;
    assert_non_null(stream);
    assert_true(fread(page, 1, PAGE_BYTES - 1, stream) > 0);
    fclose(stream);
    for (enum logline_event event = 0; event < LOGLINE_EVENTS; event++) {
        snprintf(row, sizeof row, "| `%s` | %s | %s |\n", logline_event_name(event), logline_event_level(event),
                 logline_event_text(event));
        if (strstr(page, row) == NULL) {
            print_error("docs/operations.md lacks: %s", row);
            missing++;
        }
    }
    free(page);
    assert_int_equal(missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logline_values_are_quoted_where_needed),
        cmocka_unit_test(logline_long_value_is_cut_and_closed),
        cmocka_unit_test(logline_flood_is_cut_off),
        cmocka_unit_test(logline_table_is_in_operations_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
