#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clients/cli/output.h"

static void assert_out(const struct out *out, const char *text)
{
    assert_int_equal(out->size, strlen(text));
    assert_memory_equal(out->data, text, out->size);
}

static void numbers_and_hex_match_printf(void **state)
{
    struct out out;
    (void)state;
    out_init(&out, -1);
    out_u64(&out, 0);
    out_text(&out, " ");
    out_u64(&out, UINT64_MAX);
    out_text(&out, " ");
    out_i64(&out, INT64_MIN);
    out_text(&out, " ");
    out_hex(&out, bytes_of("\x00\xff\x1a", 3));
    out_format(&out, " %s-%d", "x", 7);
    assert_out(&out, "0 18446744073709551615 -9223372036854775808 00ff1a x-7");
    out_fini(&out);
}

static void base64_matches_rfc4648(void **state)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct out out;
        out_init(&out, -1);
        out_base64(&out, bytes_of_text(vectors[i][0]));
        assert_out(&out, vectors[i][1]);
        out_fini(&out);
    }
}

/* Every ASCII character and some others, in strings of random lengths: jansson writes the same. */
static void json_string_matches_jansson(void **state)
{
    static const char *const pieces[] = {
        "\"", "\\", "/", "đ", "Hồ sơ", "\xf0\x9f\x98\x80", "\x7f", "\xc2\x85", "plain text, longer than a word"};
    (void)state;
    srand(20200605);
    for (int round = 0; round < 2000; round++) {
        char text[512];
        size_t size = 0;
        int count = rand() % 12;
        for (int i = 0; i < count; i++) {
            if (rand() % 2 == 0) {
                text[size++] = (char)(rand() % 0x80);
            } else {
                const char *piece = pieces[(size_t)rand() % (sizeof pieces / sizeof pieces[0])];
                memcpy(text + size, piece, strlen(piece));
                size += strlen(piece);
            }
        }
        struct out out;
        out_init(&out, -1);
        out_json_string(&out, bytes_of(text, size));
        json_t *string = json_stringn(text, size);
        assert_non_null(string);
        char *expected = json_dumps(string, JSON_ENCODE_ANY);
        assert_out(&out, expected);
        free(expected);
        json_decref(string);
        out_fini(&out);
    }
}

static void json_line_is_compact_and_ordered(void **state)
{
    struct out out;
    (void)state;
    out_init(&out, -1);
    out_json_line(&out, json_pack("{s:i,s:[b,n],s:s}", "z", 1, "a", 1, "m", "x"));
    assert_out(&out, "{\"z\":1,\"a\":[true,null],\"m\":\"x\"}\n");
    out_json_line(&out, NULL);
    assert_int_equal(out.status, TRUC_NO_MEMORY);
    out_fini(&out);
}

static void flush_closed_pipe_is_cancelled(void **state)
{
    struct out out;
    int ends[2];
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    out_init(&out, ends[1]);
    assert_true(out_reader_gone(&out));
    out_text(&out, "x");
    assert_int_equal(out_flush(&out), TRUC_CANCELLED);
    out_text(&out, "dropped");
    assert_int_equal(out.size, 0);
    assert_int_equal(out_flush(&out), TRUC_CANCELLED);
    close(ends[1]);
    out_fini(&out);
}

static void reader_gone_is_told_without_writing(void **state)
{
    struct out out;
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    out_init(&out, ends[1]);
    assert_false(out_reader_gone(&out));
    close(ends[0]);
    assert_true(out_reader_gone(&out));
    close(ends[1]);
    out.descriptor = -1;
    assert_false(out_reader_gone(&out));
    FILE *file = tmpfile();
    assert_non_null(file);
    out.descriptor = fileno(file);
    assert_false(out_reader_gone(&out));
    fclose(file);
    out_fini(&out);
}

static void flush_full_device_is_io(void **state)
{
    struct out out;
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (full == NULL) {
        skip();
    }
    out_init(&out, fileno(full));
    out_text(&out, "x");
    assert_int_equal(out_flush(&out), TRUC_IO);
    assert_int_not_equal(out.error, 0);
    fclose(full);
    out_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_hex_match_printf),   cmocka_unit_test(base64_matches_rfc4648),
        cmocka_unit_test(json_string_matches_jansson),    cmocka_unit_test(json_line_is_compact_and_ordered),
        cmocka_unit_test(flush_closed_pipe_is_cancelled), cmocka_unit_test(reader_gone_is_told_without_writing),
        cmocka_unit_test(flush_full_device_is_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
