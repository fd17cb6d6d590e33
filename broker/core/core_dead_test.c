/* Tests of DEAD: letters are redriven or dropped, all or none, in one block with what it changes; wrong requests. */
#include "core_test_kit.h"

#include <stdlib.h>

#include "broker/core/share.h"

static struct kit kit;
static uint64_t admin, session;
static uint64_t letter_count; /* next offset of the topic of dead letters */

static void publish(struct kit_producer producer, uint32_t records)
{
    kit_publish(&kit, admin, 1000,
                &(struct kit_batch){.topic = "t.1", .producer_id = producer.id, .epoch = producer.epoch, .record_count = records});
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_PUBLISH_OK, 1000);
}

static void create(char *name, Truc__V1__SubscriptionMode mode)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;
    Truc__V1__Bound start = TRUC__V1__BOUND__INIT;

    start.at_case = TRUC__V1__BOUND__AT_POSITION;
    create.name = name;
    create.pattern = "t.>";
    create.mode = mode;
    create.start = &start;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 1, &create.base);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 1);
}

/* All records have a key of their own but for the last two, which share one. */
static uint64_t key_of(uint32_t index, uint32_t count)
{
    return index + 2 > count ? 100 + count - 1 : 101 + index;
}

/* The scan that must be due finds all records of the first entry. */
static void scanned(uint32_t count)
{
    static struct share_record records[300];
    uint64_t reader = kit_expect(&kit, EFFECT_SCAN)->effect.reader;

    for (uint32_t i = 0; i < count; i++)
        records[i] = (struct share_record){.place = {0, i}, .bytes = 100, .key = key_of(i, count)};
    kit_event(&kit, (struct core_event){
                        .kind = CORE_SCANNED, .reader = reader, .scanned = {.records = records, .count = count, .next = {1, 0}}});
}

static void settle(uint64_t first, uint32_t count, Truc__V1__Outcome outcome)
{
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *settlements[] = {&settlement};
    Truc__V1__Settle message = TRUC__V1__SETTLE__INIT;

    settlement.first = first;
    settlement.count = count;
    settlement.outcome = outcome;
    message.subscribe_id = 7;
    message.settlements = settlements;
    message.n_settlements = 1;
    kit_send(&kit, session, FRAME_SETTLE, 9, &message.base);
}

/* Answers every fetch, and settles what is delivered; returns how many records came. */
static uint32_t work(Truc__V1__Outcome outcome)
{
    const struct kit_effect *fetch;
    uint32_t delivered = 0;

    while ((fetch = kit_other(&kit, EFFECT_FETCH))) {
        uint32_t count = (uint32_t)fetch->effect.place_count;
        const Truc__V1__Deliver *deliver;
        uint8_t *data = calloc(1, 64);

        kit.data_held++;
        kit_event(&kit, (struct core_event){.kind = CORE_FETCHED,
                                            .reader = fetch->effect.reader,
                                            .done = {.entry_count = count, .data = bytes_of(data, 64), .owner = data}});
        deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
        settle(deliver->first_lease, count, outcome);
        kit_commit(&kit);
        kit_take(&kit, session, FRAME_SETTLE_OK, 9);
        delivered += count;
    }
    return delivered;
}

enum { RECORDS = 4 };

/* RECORDS records that a worker has rejected, each with a dead letter. */
static int set_up(void **state)
{
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    admin = kit_session(&kit, "H26.16", "portal");
    create("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    create("mirror", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED);
    publish(kit_open(&kit, admin, "p"), RECORDS);
    session = kit_session(&kit, "H26.16", "worker");
    subscribe.name = "work";
    subscribe.credit = 1000;
    kit_send(&kit, session, FRAME_SUBSCRIBE, 7, &subscribe.base);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
    scanned(RECORDS);
    assert_int_equal(work(TRUC__V1__OUTCOME__OUTCOME_REJECT), RECORDS);
    letter_count = RECORDS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_stop(&kit);
    assert_int_equal(kit.prepared_held, 0);
    assert_int_equal(kit.data_held, 0);
    kit_fini(&kit);
    return 0;
}

/* Letters i = 0 .. count - 1 at offset i, of the record with index i. */
static void say(uint64_t connection, uint64_t request_id, char *name, Truc__V1__DeadAction action, size_t count)
{
    static Truc__V1__DeadLetter letters[300], *pointers[300];
    Truc__V1__Dead dead = TRUC__V1__DEAD__INIT;

    for (size_t i = 0; i < count; i++) {
        truc__v1__dead_letter__init(&letters[i]);
        letters[i].offset = i;
        letters[i].index = (uint32_t)i;
        pointers[i] = &letters[i];
    }
    dead.name = name;
    dead.action = action;
    dead.letters = pointers;
    dead.n_letters = count;
    dead.expected_offset = letter_count;
    kit_send(&kit, connection, FRAME_DEAD, request_id, &dead.base);
}

#define REDRIVE TRUC__V1__DEAD_ACTION__DEAD_ACTION_REDRIVE
#define DROP TRUC__V1__DEAD_ACTION__DEAD_ACTION_DROP

/* Answers the look that must be due: every record is there but for one. */
static void looked(uint32_t missing, bool damaged)
{
    struct core_look_record records[300] = {0};
    uint64_t reader;
    const struct core_look *look = kit_look(&kit, LOOK_RECORDS, &reader);

    assert_false(look->by_offset);
    assert_int_equal(look->subject_count, 1);
    assert_true(bytes_equal(look->subjects[0].spec.pattern, bytes_of_text("t.>")));
    for (size_t i = 0; i < look->place_count; i++) {
        uint32_t index = look->places[i].index;

        records[i] = (struct core_look_record){
            .wanted = index != missing, .damaged = index == missing && damaged, .bytes = 100, .key = key_of(index, RECORDS)};
    }
    kit_looked(&kit, reader, (struct core_looked){.records = records});
    assert_non_null(kit_other(&kit, EFFECT_READ_CLOSE));
}

/* From here on what is in the log must be in one block: letters, then so many deltas. */
static void expect_one_block(size_t from, uint32_t letters, uint32_t deltas)
{
    assert_true(kit.log_count > from);
    assert_int_equal(kit.log[from].record_count, letters);
    for (size_t i = from + 1; i < kit.log_count; i++) {
        assert_int_equal(kit.log[i].record_count, 0);
        assert_true(kit.log[i].joined);
        deltas -= kit.log[i].delta_count;
    }
    assert_int_equal(deltas, 0);
}

static void redriven_records_are_given_again_when_that_is_in_the_log(void **state)
{
    const Truc__V1__DeadOk *ok;
    size_t from;

    (void)state;
    say(admin, 5, "work", REDRIVE, RECORDS);
    from = kit.log_count;
    looked(UINT32_MAX, false);
    expect_one_block(from, RECORDS, RECORDS + 1); /* lanes, cursor */
    kit_expect_nothing(&kit, admin);
    kit_commit(&kit);
    ok = kit_take(&kit, admin, FRAME_DEAD_OK, 5);
    assert_int_equal(ok->base_offset, RECORDS);
    assert_int_equal(ok->position, kit.log[from].position);
    assert_int_equal(work(TRUC__V1__OUTCOME__OUTCOME_ACK), RECORDS);
    assert_int_equal(work(TRUC__V1__OUTCOME__OUTCOME_ACK), 0);
}

static void dropped_letters_change_nothing_else(void **state)
{
    size_t from = kit.log_count;

    (void)state;
    say(admin, 5, "work", DROP, 2);
    assert_null(kit_other(&kit, EFFECT_LOOK));
    assert_int_equal(kit.log_count, from + 1);
    expect_one_block(from, 2, 0);
    kit_expect_nothing(&kit, admin);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_DEAD_OK, 5);
    assert_int_equal(work(TRUC__V1__OUTCOME__OUTCOME_ACK), 0);
}

static void largest_request_is_taken(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) { /* so many letters that 256 offsets are there */
        say(admin, 5, "work", DROP, RECORDS);
        letter_count += RECORDS;
        kit_commit(&kit);
        kit_take(&kit, admin, FRAME_DEAD_OK, 5);
    }
    say(admin, 6, "work", DROP, 256);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_DEAD_OK, 6);
    letter_count += 256;
    say(admin, 7, "work", DROP, 257);
    kit_take_error(&kit, admin, 7, TRUC_INVALID_ARGUMENT);
    say(admin, 8, "work", DROP, 0);
    kit_take_error(&kit, admin, 8, TRUC_INVALID_ARGUMENT);
}

static void one_that_cannot_be_given_refuses_all(void **state)
{
    size_t from = kit.log_count;
    const Truc__V1__Error *error;

    (void)state;
    say(admin, 5, "work", REDRIVE, 3);
    looked(1, false);
    error = kit_take_error(&kit, admin, 5, TRUC_NOT_FOUND);
    assert_non_null(strstr(error->message, "letter 1"));
    say(admin, 6, "work", REDRIVE, 3);
    looked(2, true);
    error = kit_take_error(&kit, admin, 6, TRUC_DAMAGED);
    assert_non_null(strstr(error->message, "letter 2"));
    assert_int_equal(kit.log_count, from);
    say(admin, 7, "work", REDRIVE, 1);
    looked(UINT32_MAX, false);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_DEAD_OK, 7);
    letter_count++;
    from = kit.log_count;
    say(admin, 8, "work", REDRIVE, 3);
    looked(UINT32_MAX, false);
    error = kit_take_error(&kit, admin, 8, TRUC_EXISTS);
    assert_non_null(strstr(error->message, "letter 0"));
    assert_int_equal(kit.log_count, from);
}

static void letters_come_meanwhile_conflict(void **state)
{
    struct core_look_record record = {.wanted = true, .bytes = 100, .key = 101};
    const Truc__V1__Error *error;
    uint64_t reader;

    (void)state;
    say(admin, 5, "work", REDRIVE, 1);
    kit_look(&kit, LOOK_RECORDS, &reader);
    say(admin, 6, "work", DROP, 1); /* first in the log */
    kit_looked(&kit, reader, (struct core_looked){.records = &record});
    kit_expect_nothing(&kit, admin);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_DEAD_OK, 6);
    error = kit_take_error(&kit, admin, 5, TRUC_CONFLICT);
    assert_int_equal(error->actual, RECORDS + 1);
    say(admin, 7, "work", DROP, 1); /* expects what was */
    error = kit_take_error(&kit, admin, 7, TRUC_CONFLICT);
    assert_int_equal(error->actual, RECORDS + 1);
}

static void conflict_that_is_not_on_disk_waits(void **state)
{
    (void)state;
    say(admin, 5, "work", DROP, 1);
    say(admin, 6, "work", DROP, 1);
    kit_expect_nothing(&kit, admin);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_DEAD_OK, 5);
    kit_take_error(&kit, admin, 6, TRUC_CONFLICT);
}

static void wrong_requests_are_refused(void **state)
{
    uint64_t other = kit_session(&kit, "G22", "x");
    Truc__V1__DeadLetter letter = TRUC__V1__DEAD_LETTER__INIT, *twice[] = {&letter, &letter};
    Truc__V1__Dead dead = TRUC__V1__DEAD__INIT;

    (void)state;
    say(admin, 1, "nobody", REDRIVE, 1);
    kit_take_error(&kit, admin, 1, TRUC_NOT_FOUND);
    say(other, 2, "work", REDRIVE, 1); /* another agency's */
    kit_take_error(&kit, other, 2, TRUC_NOT_FOUND);
    say(admin, 3, "mirror", REDRIVE, 1);
    kit_take_error(&kit, admin, 3, TRUC_INVALID_ARGUMENT);
    say(admin, 4, "work", TRUC__V1__DEAD_ACTION__DEAD_ACTION_UNSPECIFIED, 1);
    kit_take_error(&kit, admin, 4, TRUC_INVALID_ARGUMENT);
    say(admin, 5, "work", REDRIVE, RECORDS + 1); /* an offset beyond the end */
    assert_int_equal(kit_take_error(&kit, admin, 5, TRUC_OUT_OF_RANGE)->actual, RECORDS);
    dead.name = "work";
    dead.action = DROP;
    dead.expected_offset = RECORDS;
    dead.letters = twice;
    dead.n_letters = 2;
    kit_send(&kit, admin, FRAME_DEAD, 6, &dead.base);
    kit_take_error(&kit, admin, 6, TRUC_INVALID_ARGUMENT);
    assert_null(kit_other(&kit, EFFECT_LOOK));
}

static void paused_subscription_is_redriven_and_gives_out_later(void **state)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;

    (void)state;
    change.name = "work";
    change.action = TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_PAUSE;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 3, &change.base);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 3);
    say(admin, 5, "work", REDRIVE, 1);
    looked(UINT32_MAX, false);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_DEAD_OK, 5);
    assert_int_equal(work(TRUC__V1__OUTCOME__OUTCOME_ACK), 0);
    change.action = TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESUME;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 4, &change.base);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 4);
    assert_int_equal(work(TRUC__V1__OUTCOME__OUTCOME_ACK), 1);
}

static void who_goes_takes_the_request_along(void **state)
{
    uint64_t other = kit_session(&kit, "H26.16", "x"), reader;
    size_t from = kit.log_count;

    (void)state;
    say(other, 5, "work", REDRIVE, 1);
    kit_look(&kit, LOOK_RECORDS, &reader);
    kit_disconnect(&kit, other);
    assert_non_null(kit_other(&kit, EFFECT_READ_CLOSE));
    kit_looked(&kit, reader, (struct core_looked){0}); /* was under way */
    assert_int_equal(kit.log_count, from);
}

static void subscription_that_is_removed_refuses_what_waits(void **state)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    struct core_look_record record = {.wanted = true};
    uint64_t reader;

    (void)state;
    say(admin, 5, "work", REDRIVE, 1);
    kit_look(&kit, LOOK_RECORDS, &reader);
    change.name = "work";
    change.action = TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 6, &change.base);
    kit_looked(&kit, reader, (struct core_looked){.records = &record});
    kit_take_error(&kit, admin, 5, TRUC_NOT_FOUND);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 6);
}

/* It waits to be given again, in the same step. */
static void subscription_that_is_removed_at_once_refuses_what_waits(void **state)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    struct core_look_record record = {.wanted = true, .key = 101};
    struct core_event events[2] = {{.kind = CORE_LOOKED, .looked = {.records = &record}},
                                   {.kind = CORE_FRAME, .connection = admin}};
    uint8_t header[64];
    size_t from;

    (void)state;
    say(admin, 5, "work", REDRIVE, 1);
    kit_look(&kit, LOOK_RECORDS, &events[0].reader);
    change.name = "work";
    change.action = TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE;
    events[1].frame = (struct frame){.kind = FRAME_SUBSCRIPTION_CHANGE,
                                     .request_id = 6,
                                     .header = bytes_of(header, protobuf_c_message_pack(&change.base, header))};
    from = kit.log_count;
    kit_step(&kit, events, 2);
    kit_take_error(&kit, admin, 5, TRUC_NOT_FOUND);
    assert_int_equal(kit.log_count, from + 1); /* the end, no letters */
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 6);
}

static void letters_wait_no_longer_than_the_broker(void **state)
{
    (void)state;
    say(admin, 5, "work", REDRIVE, 1);
    kit_event(&kit, (struct core_event){.kind = CORE_DRAIN});
    kit_take_error(&kit, admin, 5, TRUC_DRAINING);
    kit_take(&kit, admin, FRAME_GOAWAY, 0);
    say(admin, 6, "work", DROP, 1);
    kit_take_error(&kit, admin, 6, TRUC_DRAINING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(redriven_records_are_given_again_when_that_is_in_the_log),
        TEST(dropped_letters_change_nothing_else),
        TEST(largest_request_is_taken),
        TEST(one_that_cannot_be_given_refuses_all),
        TEST(letters_come_meanwhile_conflict),
        TEST(conflict_that_is_not_on_disk_waits),
        TEST(wrong_requests_are_refused),
        TEST(paused_subscription_is_redriven_and_gives_out_later),
        TEST(who_goes_takes_the_request_along),
        TEST(subscription_that_is_removed_refuses_what_waits),
        TEST(subscription_that_is_removed_at_once_refuses_what_waits),
        TEST(letters_wait_no_longer_than_the_broker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
