/* What the log says became of a record: cases that differ in what was saved when, and dead letters. */
#include "broker/log/history_test_kit.h"

#include <stdlib.h>

/* --- letters --------------------------------------------------------------------------------------------------------------------
 */

struct letter_made {
    const struct dead_letter *letter;
    uint8_t id[DIGEST_BYTES];
    uint8_t encoded[LETTER_RECORD_BYTES_MAX];
};

static size_t vary_letter(void *context, uint32_t index, struct record_view *record, struct record_header *headers)
{
    struct letter_made *made = context;
    uint8_t *end = dead_letter_write(made->letter, made->id, 1, made->encoded);
    struct reader payload = reader_over(bytes_of(made->encoded, (size_t)(end - made->encoded)));
    struct bytes encoded;
    truc_status status;
    const char *why;
    (void)index;
    assert_true(records_next(&payload, &encoded, &status));
    assert_int_equal(record_parse(encoded, record, &why), TRUC_OK);
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i] = record_header_at(record, i);
    }
    return record->header_count;
}

static void letter(enum dead_letter_kind kind, struct place place, uint32_t subscription)
{
    static struct digest_context *digests;
    uint32_t topic = maker_topic(&maker, "dead.H26.16.desk");
    struct dead_letter of = {.kind = kind,
                             .place = place,
                             .subscription = bytes_of_text("desk"),
                             .reason = LETTER_REJECTED,
                             .attempts = 4,
                             .first_failed_ns = 5,
                             .last_failed_ns = 6,
                             .by = bytes_of_text("H26.16/portal")};
    struct letter_made made = {.letter = &of};
    digests = digest_context_create();
    dead_letter_derive(digests, log_identity(bus)->hash_secret, &of, subscription, maker.topics[topic - 1].next_offset, made.id);
    digest_context_destroy(digests);
    maker_add_batch(&maker, topic, &(struct kit_batch){.record_count = 1, .vary = vary_letter, .context = &made});
}

/* --- ordered ----------------------------------------------------------------------------------------------------------------- */

static void ordered_record_is_acknowledged_when_the_cursor_passes_it(void **state)
{
    (void)state;
    cursor((struct place){0, 0}, 0, 0);
    (void)commit();
    struct place first = record(), second = record();
    assert_int_equal(ask_about(first, false, 0, 0).resolution, LOG_RESOLUTION_UNKNOWN);
    cursor(behind(first), 0, 0);
    int64_t first_ns = commit();
    assert_int_equal(ask_about(second, false, 0, 0).resolution, LOG_RESOLUTION_UNKNOWN);
    cursor(behind(second), 0, 0);
    int64_t second_ns = commit();
    expect_acknowledged(first, false, 0, first_ns, 1);
    expect_acknowledged(second, false, 0, second_ns, 1);
}

/* --- shared ------------------------------------------------------------------------------------------------------------------ */

static void record_that_never_had_a_lane_is_acknowledged_with_the_cursor(void **state)
{
    (void)state;
    struct place place = record();
    cursor(behind(place), 1, 0);
    int64_t when_ns = commit();
    (void)record();
    expect_acknowledged(place, true, KEY, when_ns, 1);
    expect_acknowledged(place, true, 0, when_ns, 1);
}

static void attempts_and_failures_are_those_of_its_row(void **state)
{
    (void)state;
    struct place place = record();
    lane(
        (struct lane_row){.key = KEY, .place = place, .attempts = 2, .not_before_ns = 9, .first_failed_ns = 7, .last_failed_ns = 8},
        false);
    cursor(behind(place), 0, 0);
    (void)commit();
    assert_int_equal(ask_about(place, true, KEY, 0).resolution, LOG_RESOLUTION_UNKNOWN);
    lane((struct lane_row){.key = KEY}, true);
    cursor(behind(place), 1, 0);
    int64_t when_ns = commit();
    expect_acknowledged(place, true, KEY, when_ns, 3);
    struct log_history history = ask_about(place, true, KEY, 0);
    assert_int_equal(history.first_failed_ns, 7);
    assert_int_equal(history.last_failed_ns, 8);
}

static void record_behind_a_stuck_one_is_done_when_the_lane_moves(void **state)
{
    (void)state;
    struct place stuck = record();
    lane_at(KEY, stuck);
    cursor(behind(stuck), 0, 0);
    (void)commit();
    struct place place = record(), other = record();
    cursor(behind(other), 1, 0); /* past it, without a word of its lane */
    (void)commit();
    lane((struct lane_row){.key = KEY}, true);
    cursor(behind(other), 4, 0);
    int64_t when_ns = commit();
    (void)record();
    expect_acknowledged(place, true, KEY, when_ns, 1);
}

/* The lane's first row stands behind the record and the cursor: a new lane, or one that stood before the record until then. */
static int64_t in_doubt(bool stood, struct place *ret_place, int64_t *ret_early_ns)
{
    struct place earlier = record();
    lane_at(KEY, earlier);
    cursor(behind(earlier), 0, 0);
    (void)commit();
    if (!stood) {
        lane((struct lane_row){.key = KEY}, true);
        cursor(behind(earlier), 1, 0);
        (void)commit();
    }
    *ret_place = record();
    cursor(behind(*ret_place), 2, 0);
    *ret_early_ns = commit();
    struct place later = record();
    lane_at(KEY, later);
    cursor(behind(later), 3, 0);
    int64_t late_ns = commit();
    (void)record();
    return late_ns;
}

static void lane_before_the_record_decides_when_in_doubt(void **state)
{
    struct place place;
    int64_t early_ns, late_ns;
    (void)state;
    late_ns = in_doubt(true, &place, &early_ns);
    expect_acknowledged(place, true, KEY, late_ns, 1);
    late_ns = in_doubt(false, &place, &early_ns);
    assert_true(early_ns < late_ns);
    expect_acknowledged(place, true, KEY, early_ns, 1);
}

static void record_aside_is_done_when_its_own_lane_goes(void **state)
{
    (void)state;
    struct place stuck = record(), place = record();
    lane_at(KEY, stuck);
    lane((struct lane_row){.key = KEY, .aside = true, .place = place, .not_before_ns = 5}, false);
    cursor(behind(place), 0, 0);
    (void)commit();
    lane((struct lane_row){.key = KEY, .aside = true, .place = place}, true);
    cursor(behind(place), 1, 0);
    int64_t when_ns = commit();
    expect_acknowledged(place, true, KEY, when_ns, 1); /* while its key's lane stands before it */
}

static void record_before_the_beginning_was_passed(void **state)
{
    (void)state;
    struct place place = record(), next = record();
    define(ID, maker.clock_ns);
    cursor(next, 0, 0);
    (void)commit();
    assert_int_equal(ask_about(place, true, KEY, 0).resolution, LOG_RESOLUTION_PASSED);
    cursor(behind(next), 1, 0);
    int64_t when_ns = commit();
    expect_acknowledged(next, true, KEY, when_ns, 1);
    assert_int_equal(ask_about(place, true, KEY, 0).resolution, LOG_RESOLUTION_PASSED);
}

static void definition_that_changes_is_no_beginning(void **state)
{
    int64_t created_ns = maker.clock_ns - SECOND_NS;
    (void)state;
    define(ID, created_ns);
    cursor((struct place){0, 0}, 0, 0);
    (void)commit();
    struct place place = record(), next = record();
    define(ID, created_ns); /* resumed, say, and at once acknowledged by an ordered one */
    cursor(behind(place), 0, 0);
    int64_t when_ns = commit();
    expect_acknowledged(place, false, 0, when_ns, 1);
    define(ID, created_ns);
    cursor(behind(next), 1, 0);
    when_ns = commit();
    expect_acknowledged(next, true, 0, when_ns, 1);
}

static void subscription_that_changes_later_has_begun_before(void **state)
{
    (void)state;
    struct place place = record();
    int64_t created_ns = maker.clock_ns;
    define(ID, created_ns);
    cursor((struct place){0, 0}, 0, 0);
    (void)commit();
    define(ID, created_ns); /* resumed */
    cursor(behind(place), 0, 0);
    int64_t when_ns = commit();
    expect_acknowledged(place, false, 0, when_ns, 1);
}

static void subscription_that_was_reset_begins_behind_the_end(void **state)
{
    (void)state;
    struct place place = record();
    struct delta end = {.kind = DELTA_SUBSCRIPTION_END, .subscription_end = ID - 1};
    maker_delta(&maker, &end);
    define(ID, 1);
    cursor(behind(place), 0, 0);
    (void)commit();
    assert_int_equal(ask_about(place, true, KEY, 0).resolution, LOG_RESOLUTION_PASSED);
}

/* A lane that stood before the record was moved when too much had been written to look at it all. */
static void what_is_too_far_is_told_without_a_time(void **state)
{
    (void)state;
    struct place stuck = record();
    lane_at(KEY, stuck);
    cursor(behind(stuck), 0, 0);
    (void)commit();
    struct place place = record();
    cursor(behind(place), 1, 0);
    (void)commit();
    for (int i = 0; i < 20000; i++) {
        (void)record();
    }
    lane((struct lane_row){.key = KEY}, true);
    cursor(behind(place), 3, 0);
    (void)commit();
    expect_acknowledged(place, true, KEY, 0, 1);
}

static void creation_long_after_the_record_is_found_by_its_time(void **state)
{
    (void)state;
    struct place place = record();
    for (int i = 0; i < 20; i++) { /* some 320 MiB to look at, if one had to */
        for (int j = 0; j < 1000; j++) {
            (void)record();
        }
    }
    maker.clock_ns += 100 * SECOND_NS;
    (void)record();
    define(ID, maker.clock_ns);
    cursor((struct place){maker.position, 0}, 0, 0);
    (void)commit();
    struct log_history history = {.subscription = ID,
                                  .shared = true,
                                  .key = KEY,
                                  .created_ns = maker.clock_ns,
                                  .owner = bytes_of_text("H26.16"),
                                  .name = bytes_of_text("desk")};
    assert_int_equal(log_history(bus, place, &history, 1, NULL), TRUC_OK);
    assert_int_equal(history.resolution, LOG_RESOLUTION_PASSED);
    history.created_ns = 1; /* it was reset: too much to look at */
    assert_int_equal(log_history(bus, place, &history, 1, NULL), TRUC_OK);
    assert_int_equal(history.resolution, LOG_RESOLUTION_UNKNOWN);
}

static void record_that_expired_is_told_from_one_acknowledged(void **state)
{
    (void)state;
    cursor((struct place){0, 0}, 0, 0);
    (void)commit();
    struct place place = record();
    int64_t expires_at_ns = maker.clock_ns;
    cursor((struct place){0, 0}, 5, 5);
    (void)commit();
    cursor(behind(place), 5, 6);
    (void)commit();
    assert_int_equal(ask_about(place, true, 0, expires_at_ns).resolution, LOG_RESOLUTION_EXPIRED);
    assert_int_equal(ask_about(place, true, 0, maker.clock_ns + SECOND_NS).resolution, LOG_RESOLUTION_ACKNOWLEDGED);
    assert_int_equal(ask_about(place, true, 0, 0).resolution, LOG_RESOLUTION_ACKNOWLEDGED);
    assert_int_equal(ask_about(place, false, 0, expires_at_ns).resolution, LOG_RESOLUTION_DONE);
    struct place both = record();
    expires_at_ns = maker.clock_ns;
    cursor(behind(both), 6, 7);
    (void)commit();
    assert_int_equal(ask_about(both, true, 0, expires_at_ns).resolution, LOG_RESOLUTION_DONE);
}

/* --- letters ----------------------------------------------------------------------------------------------------------------- */

static void dead_letter_tells_reason_and_time(void **state)
{
    (void)state;
    struct place place = record(), other = record();
    letter(LETTER_DEAD, place, ID);
    cursor(behind(other), 0, 0);
    int64_t when_ns = commit();
    struct log_history history = ask_about(place, true, KEY, 0);
    assert_int_equal(history.resolution, LOG_RESOLUTION_DEAD);
    assert_int_equal(history.resolved_ns, when_ns);
    assert_int_equal(history.reason, LETTER_REJECTED);
    assert_int_equal(history.attempts, 4);
    assert_int_equal(history.first_failed_ns, 5);
    assert_int_equal(history.last_failed_ns, 6);
    assert_int_equal(ask_about(other, true, KEY, 0).resolution, LOG_RESOLUTION_ACKNOWLEDGED);
    letter(LETTER_DROPPED, place, ID);
    (void)commit();
    assert_int_equal(ask_about(place, true, KEY, 0).resolution, LOG_RESOLUTION_DEAD);
}

static void letter_of_a_subscription_before_a_reset_is_not_this_ones(void **state)
{
    (void)state;
    struct place place = record();
    letter(LETTER_DEAD, place, ID - 1);
    define(ID, 1);
    cursor((struct place){0, 0}, 0, 0);
    (void)commit();
    cursor(behind(place), 1, 0);
    int64_t when_ns = commit();
    expect_acknowledged(place, true, KEY, when_ns, 1);
}

static void record_given_again_is_done_when_its_lane_goes(void **state)
{
    struct lane_row aside = {.key = KEY, .aside = true};
    (void)state;
    struct place place = record();
    aside.place = place;
    letter(LETTER_DEAD, place, ID);
    cursor(behind(place), 0, 0);
    (void)commit();
    struct place other = record();
    letter(LETTER_REDRIVEN, place, ID);
    lane(aside, false);
    cursor(behind(other), 1, 0);
    (void)commit();
    assert_int_equal(ask_about(place, true, KEY, 0).resolution, LOG_RESOLUTION_UNKNOWN);
    lane(aside, true);
    cursor(behind(other), 2, 0);
    int64_t when_ns = commit();
    expect_acknowledged(place, true, KEY, when_ns, 1);
    letter(LETTER_REDRIVEN, place, ID);
    lane(aside, false);
    (void)commit();
    letter(LETTER_DEAD, place, ID);
    lane(aside, true);
    (void)commit();
    assert_int_equal(ask_about(place, true, KEY, 0).resolution, LOG_RESOLUTION_DEAD);
}

static void several_subscriptions_are_answered_at_once(void **state)
{
    struct log_history histories[2];
    (void)state;
    struct place place = record();
    cursor(behind(place), 1, 0);
    int64_t first_ns = commit();
    struct delta delta = {.kind = DELTA_CURSOR, .cursor = {.subscription_id = 1, .place = behind(place)}};
    maker_delta(&maker, &delta);
    int64_t second_ns = commit();
    for (int i = 0; i < 2; i++) {
        histories[i] = (struct log_history){
            .subscription = i == 0 ? ID : 1, .shared = i == 0, .owner = bytes_of_text("H26.16"), .name = bytes_of_text("desk")};
    }
    assert_int_equal(log_history(bus, place, histories, 2, NULL), TRUC_OK);
    assert_int_equal(histories[0].resolved_ns, first_ns);
    assert_int_equal(histories[1].resolved_ns, second_ns);
    assert_int_equal(log_history(bus, place, histories, 0, NULL), TRUC_OK);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, history_set_up, history_tear_down)
    const struct CMUnitTest tests[] = {
        EACH(ordered_record_is_acknowledged_when_the_cursor_passes_it),
        EACH(record_that_never_had_a_lane_is_acknowledged_with_the_cursor),
        EACH(attempts_and_failures_are_those_of_its_row),
        EACH(record_behind_a_stuck_one_is_done_when_the_lane_moves),
        EACH(lane_before_the_record_decides_when_in_doubt),
        EACH(record_aside_is_done_when_its_own_lane_goes),
        EACH(record_before_the_beginning_was_passed),
        EACH(definition_that_changes_is_no_beginning),
        EACH(subscription_that_changes_later_has_begun_before),
        EACH(subscription_that_was_reset_begins_behind_the_end),
        EACH(what_is_too_far_is_told_without_a_time),
        EACH(creation_long_after_the_record_is_found_by_its_time),
        EACH(record_that_expired_is_told_from_one_acknowledged),
        EACH(dead_letter_tells_reason_and_time),
        EACH(letter_of_a_subscription_before_a_reset_is_not_this_ones),
        EACH(record_given_again_is_done_when_its_lane_goes),
        EACH(several_subscriptions_are_answered_at_once),
    };
#undef EACH
    return cmocka_run_group_tests(tests, NULL, NULL);
}
