/* Tests of letters: what is written is read, and what is none is not taken for one. */
#include <stdlib.h>

#include "dead_letter.h"
#include "test_support.h"

static const uint8_t secret[HASH_SECRET_BYTES] = {1, 2, 3};
static const uint8_t id[LETTER_ID_BYTES] = {9};

static struct dead_letter dead_letter(void)
{
    return (struct dead_letter){.kind = LETTER_DEAD,
                                .place = {UINT64_MAX, UINT32_MAX},
                                .subscription = bytes_of_text("desk"),
                                .reason = LETTER_REJECTED,
                                .attempts = 3,
                                .first_failed_ns = 1,
                                .last_failed_ns = INT64_MAX};
}

static struct record_view written(const struct dead_letter *letter, uint8_t out[LETTER_RECORD_BYTES_MAX])
{
    struct reader payload = reader_over(bytes_of(out, (size_t)(dead_letter_write(letter, id, 7, out) - out)));
    struct record_view view;
    struct bytes record;
    truc_status status;
    const char *why = "";

    assert_true(records_next(&payload, &record, &status));
    assert_int_equal(record_parse(record, &view, &why), TRUC_OK);
    return view;
}

static void dead_letter_is_read_as_written(void **state)
{
    uint8_t out[LETTER_RECORD_BYTES_MAX];
    struct dead_letter letter = dead_letter(), read;
    struct record_view view = written(&letter, out);

    (void)state;
    assert_true(bytes_equal(view.key, bytes_of_text("18446744073709551615.4294967295")));
    assert_true(dead_letter_read(&view, &read));
    assert_int_equal(read.kind, LETTER_DEAD);
    assert_true(read.place.position == UINT64_MAX && read.place.index == UINT32_MAX);
    assert_int_equal(read.reason, LETTER_REJECTED);
    assert_int_equal(read.attempts, 3);
    assert_true(read.first_failed_ns == 1 && read.last_failed_ns == INT64_MAX);
    assert_true(bytes_equal(read.subscription, letter.subscription));
}

static void others_are_read_as_written(void **state)
{
    for (int kind = LETTER_REDRIVEN; kind <= LETTER_DROPPED; kind++) {
        uint8_t out[LETTER_RECORD_BYTES_MAX];
        struct dead_letter letter = {.kind = (enum dead_letter_kind)kind,
                                     .place = {5, 6},
                                     .subscription = bytes_of_text("desk"),
                                     .letter_offset = 44,
                                     .by = bytes_of_text("H26.16/portal")},
                           read;
        struct record_view view = written(&letter, out);

        assert_true(dead_letter_read(&view, &read));
        assert_int_equal(read.kind, kind);
        assert_int_equal(read.letter_offset, 44);
        assert_true(read.place.position == 5 && read.place.index == 6);
        assert_true(bytes_equal(read.by, letter.by));
    }
    (void)state;
}

/* A record of any type and header. */
static bool reads(const char *type, const char *name, const char *value)
{
    struct record_header headers[] = {{bytes_of_text("position"), bytes_of_text("1")},
                                      {bytes_of_text("index"), bytes_of_text("2")},
                                      {bytes_of_text("reason"), bytes_of_text("rejected")},
                                      {bytes_of_text(name), bytes_of_text(value)}};
    struct record_view view = {.id = bytes_of(id, sizeof id), .type = bytes_of_text(type)}, parsed;
    uint8_t out[512];
    size_t size = (size_t)(record_encode(&view, headers, 4, out) - out);
    struct dead_letter letter;
    const char *why = "";

    assert_int_equal(record_parse(bytes_of(out, size), &parsed, &why), TRUC_OK);
    return dead_letter_read(&parsed, &letter);
}

static void what_is_no_letter_is_not_read(void **state)
{
    (void)state;
    assert_true(reads("truc.dead.v1", "other", "x"));
    assert_false(reads("truc.dead.v2", "other", "x"));
    assert_false(reads("", "other", "x"));
    assert_false(reads("truc.dead.dropped.v1", "other", "x")); /* without the letter's offset */
    assert_true(reads("truc.dead.dropped.v1", "letter-offset", "3"));
    assert_false(reads("truc.dead.v1", "attempts", ""));
    assert_false(reads("truc.dead.v1", "attempts", "4294967296"));
    assert_false(reads("truc.dead.v1", "first-failed-ns", "9223372036854775808"));
    assert_false(reads("truc.dead.v1", "position", "18446744073709551616"));
    assert_false(reads("truc.dead.v1", "position", "-1"));
    assert_false(reads("truc.dead.v1", "reason", "bored"));
}

static void ids_tell_subscriptions_and_kinds_apart(void **state)
{
    struct digest_context *context = digest_context_create();
    struct dead_letter letter = dead_letter();
    uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES];

    (void)state;
    assert_non_null(context);
    dead_letter_derive(context, secret, &letter, 1, 0, a);
    dead_letter_derive(context, secret, &letter, 1, 77, b); /* a dead letter's offset is not in it */
    assert_memory_equal(a, b, sizeof a);
    dead_letter_derive(context, secret, &letter, 2, 0, b);
    assert_memory_not_equal(a, b, sizeof a);
    letter.kind = LETTER_REDRIVEN;
    dead_letter_derive(context, secret, &letter, 1, 0, a);
    dead_letter_derive(context, secret, &letter, 1, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    digest_context_destroy(context);
}

static void topic_names_agency_and_subscription(void **state)
{
    uint8_t out[LETTER_TOPIC_BYTES_MAX];

    (void)state;
    assert_true(
        bytes_equal(dead_letter_topic(bytes_of_text("H26.16"), bytes_of_text("desk"), out), bytes_of_text("dead.H26.16.desk")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_letter_is_read_as_written),      cmocka_unit_test(others_are_read_as_written),
        cmocka_unit_test(what_is_no_letter_is_not_read),       cmocka_unit_test(ids_tell_subscriptions_and_kinds_apart),
        cmocka_unit_test(topic_names_agency_and_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
