/* Tests of RECEIPT: who wants a record and how it stands, what the log says of those that are done, waiting for them. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/share.h"
#include "core_test_kit.h"

static struct kit kit;
static uint64_t admin, session;
static struct kit_producer producer;
static uint64_t sequence;

static void publish(const char *topic, uint32_t records)
{
    kit_publish(&kit, admin, 1000,
                &(struct kit_batch){.topic = topic,
                                    .producer_id = producer.id,
                                    .epoch = producer.epoch,
                                    .first_sequence = sequence,
                                    .record_count = records});
    sequence += records;
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_PUBLISH_OK, 1000);
}

static void create(uint64_t connection, const char *name, const char *pattern, bool shared)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;
    Truc__V1__Bound start = TRUC__V1__BOUND__INIT;

    start.at_case = TRUC__V1__BOUND__AT_POSITION;
    create.name = (char *)(uintptr_t)name;
    create.pattern = (char *)(uintptr_t)pattern;
    create.mode =
        shared ? TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED : TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED;
    create.start = &start;
    kit_send(&kit, connection, FRAME_SUBSCRIPTION_CREATE, 1, &create.base);
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_SUBSCRIPTION_OK, 1);
}

static uint64_t subscribe(char *name)
{
    uint64_t connection = kit_session(&kit, "H26.16", "worker");
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    subscribe.name = name;
    subscribe.credit = 1 << 20;
    kit_send(&kit, connection, FRAME_SUBSCRIBE, 7, &subscribe.base);
    kit_take(&kit, connection, FRAME_SUBSCRIBE_OK, 7);
    return connection;
}

static void settle(uint64_t connection, uint64_t first, Truc__V1__Outcome outcome)
{
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *settlements[] = {&settlement};
    Truc__V1__Settle message = TRUC__V1__SETTLE__INIT;

    settlement.first = first;
    settlement.outcome = outcome;
    settlement.delay_ms = outcome == TRUC__V1__OUTCOME__OUTCOME_NACK ? 60000 : 0;
    message.subscribe_id = 7;
    message.settlements = settlements;
    message.n_settlements = 1;
    kit_send(&kit, connection, FRAME_SETTLE, 9, &message.base);
}

/* The first record of the log, of key 11, is leased to a worker; returns the lease. */
static uint64_t lease(void)
{
    struct share_record record = {.place = {0, 0}, .bytes = 100, .key = 11};
    const struct kit_effect *effect;
    uint8_t *data = calloc(1, 64);

    session = subscribe("work");
    effect = kit_expect(&kit, EFFECT_SCAN);
    kit_event(&kit, (struct core_event){.kind = CORE_SCANNED,
                                        .reader = effect->effect.reader,
                                        .scanned = {.records = &record, .count = 1, .next = {1, 0}}});
    effect = kit_expect(&kit, EFFECT_FETCH);
    kit.data_held++;
    kit_event(&kit, (struct core_event){.kind = CORE_FETCHED,
                                        .reader = effect->effect.reader,
                                        .done = {.entry_count = 1, .data = bytes_of(data, 64), .owner = data}});
    return ((const Truc__V1__Deliver *)kit_take(&kit, session, FRAME_DELIVER, 7))->first_lease;
}

static int set_up(void **state)
{
    uint64_t other;

    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    sequence = 0;
    admin = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, admin, "p");
    other = kit_session(&kit, "G22", "x");
    create(admin, "work", "t.*", true);
    create(other, "copy", "t.1", false);
    create(admin, "elsewhere", "u.>", true);
    publish("t.1", 1);
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

/* --- asking ----------------------------------------------------------------------------------------------------------------------
 */

static void ask(uint64_t request_id, const char *wait_for, uint32_t wait_ms)
{
    Truc__V1__Receipt receipt = TRUC__V1__RECEIPT__INIT;
    char *names[] = {(char *)(uintptr_t)wait_for};

    receipt.topic = "t.1";
    receipt.wait_for = names;
    receipt.n_wait_for = wait_for != NULL;
    receipt.wait_ms = wait_ms;
    kit_send(&kit, admin, FRAME_RECEIPT, request_id, &receipt.base);
}

/* Answers the look for the record: all subjects want it, but for one (of the order asked, from 1; 0: none). */
static void placed(size_t unwanted)
{
    struct core_look_record records[8] = {0};
    uint64_t reader;
    const struct core_look *look = kit_look(&kit, LOOK_RECORDS, &reader);

    assert_true(look->by_offset);
    assert_int_equal(look->offset, 0);
    assert_true(bytes_equal(look->topic, bytes_of_text("t.1")));
    for (size_t i = 0; i < look->subject_count; i++) {
        assert_true(bytes_equal(look->subjects[i].spec.pattern, bytes_of_text("t.1")));
        records[i] = (struct core_look_record){.wanted = i + 1 != unwanted, .bytes = 100, .key = 11};
    }
    kit_looked(&kit, reader, (struct core_looked){.place = {0, 0}, .append_time_ns = 42, .records = records});
}

static const Truc__V1__ReceiptOk *answer(uint64_t request_id)
{
    return kit_take(&kit, admin, FRAME_RECEIPT_OK, request_id);
}

static void state_is_told_of_those_that_want_the_record(void **state)
{
    const Truc__V1__ReceiptOk *ok;

    (void)state;
    ask(5, NULL, 0);
    placed(0);
    ok = answer(5);
    assert_int_equal(ok->position, 0);
    assert_int_equal(ok->append_time_ns, 42);
    assert_false(ok->more);
    assert_true(ok->waited);
    assert_int_equal(ok->n_subscriptions, 2);
    assert_string_equal(ok->subscriptions[0]->owner, "G22"); /* in byte order */
    assert_string_equal(ok->subscriptions[0]->name, "copy");
    assert_int_equal(ok->subscriptions[0]->mode, TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED);
    assert_int_equal(ok->subscriptions[0]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_AHEAD);
    assert_string_equal(ok->subscriptions[1]->name, "work");
    assert_int_equal(ok->subscriptions[1]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_AHEAD);
    ask(6, NULL, 0);
    placed(1);
    ok = answer(6);
    assert_int_equal(ok->n_subscriptions, 1);
    assert_string_equal(ok->subscriptions[0]->name, "work");
}

static void leases_and_delays_are_told_with_attempts(void **state)
{
    uint64_t first = lease();
    const Truc__V1__ReceiptOk *ok;

    (void)state;
    ask(5, NULL, 0);
    placed(0);
    ok = answer(5);
    assert_int_equal(ok->subscriptions[1]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_LEASED);
    assert_int_equal(ok->subscriptions[1]->attempts, 1);
    settle(session, first, TRUC__V1__OUTCOME__OUTCOME_NACK);
    kit_commit(&kit);
    ask(6, NULL, 0);
    placed(0);
    ok = answer(6);
    assert_int_equal(ok->subscriptions[1]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_DELAYED);
    assert_int_equal(ok->subscriptions[1]->attempts, 1);
    assert_true(ok->subscriptions[1]->first_failed_ns != 0);
}

static void what_is_done_is_asked_of_the_log_once_it_is_on_disk(void **state)
{
    const struct core_look_history history = {.resolution = RESOLUTION_DEAD,
                                              .attempts = 3,
                                              .resolved_ns = 7,
                                              .first_failed_ns = 5,
                                              .last_failed_ns = 6,
                                              .reason = "rejected"};
    const Truc__V1__SubscriptionReceipt *work;
    const struct core_look *look;
    uint64_t reader;

    (void)state;
    settle(session, lease(), TRUC__V1__OUTCOME__OUTCOME_ACK);
    ask(5, NULL, 0);
    assert_null(kit_other(&kit, EFFECT_LOOK)); /* nothing that may be lost is told of */
    kit_commit(&kit);
    placed(0);
    look = kit_look(&kit, LOOK_HISTORY, &reader);
    assert_int_equal(look->subject_count, 1); /* the other one is not done */
    assert_true(bytes_equal(look->subjects[0].name, bytes_of_text("work")));
    assert_int_equal(look->subjects[0].key, 11);
    assert_true(look->subjects[0].shared);
    assert_int_equal(look->places[0].position, 0);
    kit_looked(&kit, reader, (struct core_looked){.histories = &history});
    work = answer(5)->subscriptions[1];
    assert_int_equal(work->state, TRUC__V1__RECEIPT_STATE__RECEIPT_DEAD);
    assert_int_equal(work->attempts, 3);
    assert_int_equal(work->resolved_ns, 7);
    assert_int_equal(work->first_failed_ns, 5);
    assert_int_equal(work->last_failed_ns, 6);
    assert_string_equal(work->reason, "rejected");
}

/* --- waiting ---------------------------------------------------------------------------------------------------------------------
 */

/* Answers the look at the history of one subject. */
static void told(enum core_resolution resolution)
{
    const struct core_look_history history = {.resolution = resolution, .resolved_ns = 7};
    uint64_t reader;

    kit_look(&kit, LOOK_HISTORY, &reader);
    kit_looked(&kit, reader, (struct core_looked){.histories = &history});
}

static void receipt_waits_until_the_record_is_acknowledged_on_disk(void **state)
{
    uint64_t first = lease();
    const Truc__V1__ReceiptOk *ok;

    (void)state;
    ask(5, "work", 60000);
    placed(0);
    kit_expect_nothing(&kit, admin);
    settle(session, first, TRUC__V1__OUTCOME__OUTCOME_ACK);
    assert_null(kit_other(&kit, EFFECT_LOOK));
    kit_commit(&kit);
    told(RESOLUTION_ACKNOWLEDGED);
    ok = answer(5);
    assert_true(ok->waited);
    assert_int_equal(ok->subscriptions[1]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_ACKNOWLEDGED);
    assert_int_equal(ok->subscriptions[1]->resolved_ns, 7);
}

static void receipt_waits_for_an_ordered_subscription_of_another_agency(void **state)
{
    uint64_t reader, mirror;
    Truc__V1__Subscribe request = TRUC__V1__SUBSCRIBE__INIT;
    const Truc__V1__ReceiptOk *ok;

    (void)state;
    ask(5, "G22/copy", 60000);
    placed(0);
    mirror = kit_session(&kit, "G22", "m");
    request.name = "copy";
    request.credit = 1 << 20;
    kit_send(&kit, mirror, FRAME_SUBSCRIBE, 7, &request.base);
    kit_take(&kit, mirror, FRAME_SUBSCRIBE_OK, 7);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_resolve(&kit, reader, 0, UINT64_MAX);
    kit_take(&kit, mirror, FRAME_READ_OK, 7);
    kit_read_done(&kit, reader, 1, 1, 100);
    kit_take(&kit, mirror, FRAME_READ_DATA, 7);
    ask(6, NULL, 0);
    placed(0);
    ok = answer(6);
    assert_int_equal(ok->subscriptions[0]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_LEASED);
    settle(mirror, 1, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_commit(&kit);
    told(RESOLUTION_ACKNOWLEDGED);
    ok = answer(5);
    assert_true(ok->waited);
    assert_int_equal(ok->subscriptions[0]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_ACKNOWLEDGED);
}

static void waiting_ends_with_its_time(void **state)
{
    const Truc__V1__ReceiptOk *ok;
    const struct kit_effect *wake = NULL, *next;

    (void)state;
    ask(5, "work", 1000);
    placed(0);
    while ((next = kit_other(&kit, EFFECT_WAKE_AT)))
        wake = next;
    assert_non_null(wake);
    assert_int_equal(wake->effect.boot_ns, kit.now.boot_ns + INT64_C(1000000000));
    kit_pass(&kit, 999);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    kit_expect_nothing(&kit, admin);
    kit_pass(&kit, 1);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    ok = answer(5);
    assert_false(ok->waited);
    assert_int_equal(ok->subscriptions[1]->state, TRUC__V1__RECEIPT_STATE__RECEIPT_AHEAD);
    ask(6, "work", 0); /* no time at all */
    placed(0);
    assert_false(answer(6)->waited);
    assert_null(kit_other(&kit, EFFECT_LOOK));
}

static void who_does_not_want_it_is_not_waited_for(void **state)
{
    const Truc__V1__ReceiptOk *ok;

    (void)state;
    ask(5, "elsewhere", 60000);
    placed(0);
    ok = answer(5);
    assert_true(ok->waited);
    assert_int_equal(ok->n_unwanted, 1);
    assert_string_equal(ok->unwanted[0], "elsewhere");
    ask(6, "G22/copy", 60000);
    placed(1);
    ok = answer(6);
    assert_true(ok->waited);
    assert_string_equal(ok->unwanted[0], "G22/copy");
    assert_int_equal(ok->n_subscriptions, 1);
}

static void subscription_that_goes_is_waited_for_no_longer(void **state)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    const Truc__V1__ReceiptOk *ok;

    (void)state;
    ask(5, "work", 60000);
    placed(0);
    kit_expect_nothing(&kit, admin);
    change.name = "work";
    change.action = TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 6, &change.base);
    kit_expect_nothing(&kit, admin);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 6);
    ok = answer(5);
    assert_true(ok->waited);
    assert_int_equal(ok->n_subscriptions, 1);
}

static void many_wait_and_all_are_answered(void **state)
{
    enum { WAITING = 1000 };
    uint64_t first = lease();

    (void)state;
    for (uint64_t i = 0; i < WAITING; i++) {
        ask(100 + i, "work", 60000);
        placed(0);
    }
    settle(session, first, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_commit(&kit);
    for (uint64_t i = 0; i < WAITING; i++) {
        const struct kit_effect *look = kit_other(&kit, EFFECT_LOOK);
        const struct core_look_history history = {.resolution = RESOLUTION_ACKNOWLEDGED};

        if (!look) { /* some are examined in each step */
            kit_pass(&kit, 1);
            kit_event(&kit, (struct core_event){.kind = CORE_TICK});
            look = kit_expect(&kit, EFFECT_LOOK);
        }
        kit_looked(&kit, look->effect.reader, (struct core_looked){.histories = &history});
        assert_true(answer(100 + i)->waited);
    }
    kit_expect_nothing(&kit, admin);
}

static void few_look_at_a_time(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5; i++)
        ask(100 + i, NULL, 0);
    kit_expect(&kit, EFFECT_LOOK);
    kit_expect(&kit, EFFECT_LOOK);
    assert_null(kit_other(&kit, EFFECT_LOOK));
}

static void who_goes_waits_no_longer(void **state)
{
    uint64_t first = lease();

    (void)state;
    ask(5, "work", 60000);
    placed(0);
    kit_disconnect(&kit, admin);
    settle(session, first, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_commit(&kit);
    assert_null(kit_other(&kit, EFFECT_LOOK));
}

static void too_many_are_turned_away(void **state)
{
    enum { MOST = 10000 };

    (void)state;
    for (uint64_t i = 0; i < MOST; i++)
        ask(100 + i, NULL, 0);
    kit_expect_nothing(&kit, admin);
    ask(5, NULL, 0);
    kit_take_error(&kit, admin, 5, TRUC_TOO_MANY);
}

/* --- wrong requests and pages ----------------------------------------------------------------------------------------------------
 */

static void wrong_requests_are_refused(void **state)
{
    Truc__V1__Receipt receipt = TRUC__V1__RECEIPT__INIT;
    char *names[17];

    (void)state;
    receipt.topic = "t.2";
    kit_send(&kit, admin, FRAME_RECEIPT, 1, &receipt.base);
    kit_take_error(&kit, admin, 1, TRUC_NOT_FOUND);
    receipt.topic = "t.1";
    receipt.offset = 1;
    kit_send(&kit, admin, FRAME_RECEIPT, 2, &receipt.base);
    assert_int_equal(kit_take_error(&kit, admin, 2, TRUC_OUT_OF_RANGE)->actual, 1);
    ask(3, "nobody", 5);
    kit_take_error(&kit, admin, 3, TRUC_NOT_FOUND);
    ask(4, "a/b/c", 5);
    kit_take_error(&kit, admin, 4, TRUC_NOT_FOUND);
    ask(5, "work", 24 * 3600 * 1000 + 1);
    kit_take_error(&kit, admin, 5, TRUC_INVALID_ARGUMENT);
    receipt.offset = 0;
    for (int i = 0; i < 17; i++)
        names[i] = "work";
    receipt.wait_for = names;
    receipt.n_wait_for = 17;
    kit_send(&kit, admin, FRAME_RECEIPT, 6, &receipt.base);
    kit_take_error(&kit, admin, 6, TRUC_INVALID_ARGUMENT);
    receipt.n_wait_for = 0;
    receipt.after = "H26.16/not.a.name";
    kit_send(&kit, admin, FRAME_RECEIPT, 7, &receipt.base);
    kit_take_error(&kit, admin, 7, TRUC_INVALID_ARGUMENT);
    assert_null(kit_other(&kit, EFFECT_LOOK));
}

static void pages_follow_one_another(void **state)
{
    struct core_look_record records[116];
    Truc__V1__Receipt receipt = TRUC__V1__RECEIPT__INIT;
    const Truc__V1__ReceiptOk *ok;
    uint64_t reader;
    char name[8], last[64];

    (void)state;
    for (int i = 0; i < 104; i++) {
        (void)snprintf(name, sizeof name, "n%03d", i);
        create(admin, name, "t.1", true);
    }
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        records[i] = (struct core_look_record){.wanted = true, .key = 11};
    receipt.topic = "t.1";
    kit_send(&kit, admin, FRAME_RECEIPT, 5, &receipt.base);
    assert_int_equal(kit_look(&kit, LOOK_RECORDS, &reader)->subject_count, 100);
    kit_looked(&kit, reader, (struct core_looked){.records = records});
    ok = answer(5);
    assert_int_equal(ok->n_subscriptions, 100);
    assert_true(ok->more);
    (void)snprintf(last, sizeof last, "%s/%s", ok->subscriptions[99]->owner, ok->subscriptions[99]->name);
    assert_string_equal(last, "H26.16/n098"); /* behind G22/copy */
    receipt.after = last;
    kit_send(&kit, admin, FRAME_RECEIPT, 6, &receipt.base);
    kit_look(&kit, LOOK_RECORDS, &reader);
    kit_looked(&kit, reader, (struct core_looked){.records = records});
    ok = answer(6);
    assert_int_equal(ok->n_subscriptions, 6);
    assert_false(ok->more);
    assert_string_equal(ok->subscriptions[5]->name, "work");
}

static void log_that_cannot_tell_is_an_error(void **state)
{
    uint64_t reader;

    (void)state;
    ask(5, NULL, 0);
    kit_look(&kit, LOOK_RECORDS, &reader);
    kit_event(&kit, (struct core_event){.kind = CORE_LOOKED, .reader = reader, .status = TRUC_DAMAGED, .why = "block 3: damaged"});
    kit_take_error(&kit, admin, 5, TRUC_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(state_is_told_of_those_that_want_the_record),
        TEST(leases_and_delays_are_told_with_attempts),
        TEST(what_is_done_is_asked_of_the_log_once_it_is_on_disk),
        TEST(receipt_waits_until_the_record_is_acknowledged_on_disk),
        TEST(receipt_waits_for_an_ordered_subscription_of_another_agency),
        TEST(waiting_ends_with_its_time),
        TEST(who_does_not_want_it_is_not_waited_for),
        TEST(subscription_that_goes_is_waited_for_no_longer),
        TEST(many_wait_and_all_are_answered),
        TEST(few_look_at_a_time),
        TEST(who_goes_waits_no_longer),
        TEST(too_many_are_turned_away),
        TEST(wrong_requests_are_refused),
        TEST(pages_follow_one_another),
        TEST(log_that_cannot_tell_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
