/* Tests of subscriptions as clients see them: definitions, taking part, leases, what is durable when it is said, dead letters. */
#include <stdlib.h>

#include "broker/core/share.h"
#include "core_test_kit.h"

static struct kit kit;
static uint64_t admin;
static struct kit_producer producer;
static uint64_t sequence;

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    sequence = 0;
    admin = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, admin, "p");
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

/* --- helpers ---------------------------------------------------------------------------------------------------------------------
 */

static void publish(uint32_t records)
{
    kit_publish(&kit, admin, 1000,
                &(struct kit_batch){.topic = "t.1",
                                    .producer_id = producer.id,
                                    .epoch = producer.epoch,
                                    .first_sequence = sequence,
                                    .record_count = records});
    sequence += records;
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_PUBLISH_OK, 1000);
}

static Truc__V1__SubscriptionCreate definition(char *name, Truc__V1__SubscriptionMode mode)
{
    static Truc__V1__Bound start = TRUC__V1__BOUND__INIT;
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;

    start.at_case = TRUC__V1__BOUND__AT_POSITION;
    start.position = 0;
    create.name = name;
    create.pattern = "t.>";
    create.mode = mode;
    create.start = &start;
    return create;
}

static const Truc__V1__SubscriptionInfo *create_it(char *name, Truc__V1__SubscriptionMode mode)
{
    Truc__V1__SubscriptionCreate create = definition(name, mode);
    const Truc__V1__SubscriptionOk *ok;

    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 1, &create.base);
    kit_expect_nothing(&kit, admin);
    kit_commit(&kit);
    ok = kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 1);
    assert_non_null(ok->info);
    return ok->info;
}

static uint64_t subscribe(uint64_t session, char *name, uint64_t credit)
{
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    subscribe.name = name;
    subscribe.credit = credit;
    kit_send(&kit, session, FRAME_SUBSCRIBE, 7, &subscribe.base);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
    return session;
}

/* A worker that takes up to run_max records of a key at a time. */
static uint64_t runner(uint32_t run_max)
{
    uint64_t session = kit_session(&kit, "H26.16", "runner");
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    subscribe.name = "work";
    subscribe.credit = 10;
    subscribe.key_run_max = run_max;
    kit_send(&kit, session, FRAME_SUBSCRIBE, 7, &subscribe.base);
    return session;
}

static uint64_t worker(uint64_t credit)
{
    return subscribe(kit_session(&kit, "H26.16", "worker"), "work", credit);
}

/* Answers the scan that must be due: `count` records of one entry, with these keys, for a time. */
static void scanned_for(uint64_t position, const uint64_t *keys, size_t count, int64_t deliver_at_ns)
{
    struct share_record records[8];
    const struct kit_effect *scan = kit_expect(&kit, EFFECT_SCAN);

    for (size_t i = 0; i < count; i++)
        records[i] =
            (struct share_record){.place = {position, (uint32_t)i}, .bytes = 100, .key = keys[i], .deliver_at_ns = deliver_at_ns};
    kit_event(&kit, (struct core_event){.kind = CORE_SCANNED,
                                        .reader = scan->effect.reader,
                                        .scanned = {.records = records, .count = count, .next = {position + 1, 0}}});
}

static void scanned(uint64_t position, const uint64_t *keys, size_t count)
{
    scanned_for(position, keys, count, 0);
}

/* Answers a fetch: so many records of it. */
static void fetched_some(uint64_t reader, uint32_t count)
{
    uint8_t *data = calloc(1, 64);

    kit.data_held++;
    kit_event(&kit, (struct core_event){.kind = CORE_FETCHED,
                                        .reader = reader,
                                        .done = {.entry_count = count, .data = bytes_of(data, 64), .owner = data}});
}

/* Answers the fetch that must be due: all of it. */
static void fetched(void)
{
    const struct kit_effect *fetch = kit_expect(&kit, EFFECT_FETCH);

    fetched_some(fetch->effect.reader, (uint32_t)fetch->effect.place_count);
}

/* Of an ordered subscription: so many had expired. */
static void settle_expired(uint64_t session, uint64_t first, uint32_t count, Truc__V1__Outcome outcome, uint64_t expired)
{
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *settlements[] = {&settlement};
    Truc__V1__Settle message = TRUC__V1__SETTLE__INIT;

    settlement.first = first;
    settlement.count = count;
    settlement.outcome = outcome;
    message.subscribe_id = 7;
    message.settlements = settlements;
    message.n_settlements = 1;
    message.expired = expired;
    kit_send(&kit, session, FRAME_SETTLE, 9, &message.base);
}

static void settle(uint64_t session, uint64_t first, uint32_t count, Truc__V1__Outcome outcome)
{
    settle_expired(session, first, count, outcome, 0);
}

static const Truc__V1__SubscriptionInfo *look_at(char *name)
{
    Truc__V1__SubscriptionChange look = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;

    look.name = name;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 8, &look.base);
    return ((const Truc__V1__SubscriptionOk *)kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 8))->info;
}

static size_t stale_count(uint64_t session)
{
    return ((const Truc__V1__SettleOk *)kit_take(&kit, session, FRAME_SETTLE_OK, 9))->n_stale;
}

/* --- definitions
 * ------------------------------------------------------------------------------------------------------------------ */

static void create_is_answered_when_durable_and_may_be_repeated(void **state)
{
    Truc__V1__SubscriptionCreate create = definition("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    const Truc__V1__SubscriptionInfo *info = create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);

    (void)state;
    assert_string_equal(info->owner, "H26.16");
    assert_string_equal(info->pattern, "t.>");
    assert_int_equal(info->attempts_max, 5);
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 2, &create.base);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 2);
    create.attempts_max = 3;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 3, &create.base);
    kit_take_error(&kit, admin, 3, TRUC_EXISTS);
    create.name = "two.tokens";
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 4, &create.base);
    kit_take_error(&kit, admin, 4, TRUC_INVALID_ARGUMENT);
    create.name = "w2";
    create.pattern = "a..b";
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 5, &create.base);
    kit_take_error(&kit, admin, 5, TRUC_BAD_PATTERN);
}

static void list_shows_what_is_durable_of_the_own_agency(void **state)
{
    Truc__V1__Subscriptions request = TRUC__V1__SUBSCRIPTIONS__INIT;
    Truc__V1__SubscriptionCreate create = definition("c", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED);
    uint64_t other = kit_session(&kit, "G22", "x");
    const Truc__V1__SubscriptionsOk *page;

    (void)state;
    create_it("b", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    create_it("a", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED);
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 3, &create.base); /* not durable */
    request.limit = 1;
    kit_send(&kit, admin, FRAME_SUBSCRIPTIONS, 4, &request.base);
    page = kit_take(&kit, admin, FRAME_SUBSCRIPTIONS_OK, 4);
    assert_int_equal(page->n_subscriptions, 1);
    assert_true(page->more);
    assert_string_equal(page->subscriptions[0]->name, "a");
    request.limit = 0;
    request.after = "a";
    kit_send(&kit, admin, FRAME_SUBSCRIPTIONS, 5, &request.base);
    page = kit_take(&kit, admin, FRAME_SUBSCRIPTIONS_OK, 5);
    assert_int_equal(page->n_subscriptions, 1);
    assert_string_equal(page->subscriptions[0]->name, "b");
    request.after = "";
    kit_send(&kit, other, FRAME_SUBSCRIPTIONS, 6, &request.base);
    page = kit_take(&kit, other, FRAME_SUBSCRIPTIONS_OK, 6);
    assert_int_equal(page->n_subscriptions, 0);
}

static void place_that_the_log_must_tell_is_asked_for(void **state)
{
    Truc__V1__SubscriptionCreate create = definition("late", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    uint64_t other = kit_session(&kit, "H26.16", "x"), reader;

    (void)state;
    publish(1);
    publish(1);
    create.start->at_case = TRUC__V1__BOUND__AT_APPEND_TIME_NS;
    create.start->append_time_ns = 5;
    kit_send(&kit, other, FRAME_SUBSCRIPTION_CREATE, 1, &create.base);
    kit_expect_nothing(&kit, other);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_resolve(&kit, reader, 1, UINT64_MAX);
    kit_commit(&kit);
    assert_int_equal(((const Truc__V1__SubscriptionOk *)kit_take(&kit, other, FRAME_SUBSCRIPTION_OK, 1))->info->position, 1);
    kit_expect(&kit, EFFECT_READ_CLOSE);
    create.name = "later";
    kit_send(&kit, other, FRAME_SUBSCRIPTION_CREATE, 2, &create.base);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_disconnect(&kit, other);
    kit_resolve(&kit, reader, 1, UINT64_MAX); /* nobody is there to hear it */
    assert_int_equal(core_counts(kit.core).subscriptions, 1);
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CREATE, 3, &create.base); /* unanswered when the core goes */
}

/* --- shared ----------------------------------------------------------------------------------------------------------------------
 */

static void acknowledgement_is_answered_when_it_is_durable(void **state)
{
    const uint64_t keys[] = {11, 12};
    const Truc__V1__Deliver *deliver;
    uint64_t session;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    publish(2);
    session = worker(10);
    scanned(0, keys, 2);
    fetched();
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    assert_int_equal(deliver->n_entries, 1);
    assert_int_equal(deliver->entries[0]->records, 2);
    settle(session, deliver->first_lease, 2, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_expect_nothing(&kit, session);
    kit_commit(&kit);
    assert_int_equal(stale_count(session), 0);
    settle(session, deliver->first_lease, 1, TRUC__V1__OUTCOME__OUTCOME_ACK); /* twice */
    assert_int_equal(stale_count(session), 1);
    settle(session, 4711, 1, TRUC__V1__OUTCOME__OUTCOME_ACK); /* never given */
    assert_int_equal(stale_count(session), 1);
}

static void key_waits_for_its_first_record_and_comes_to_one_worker_at_a_time(void **state)
{
    const uint64_t keys[] = {11, 11, 12};
    const Truc__V1__Deliver *deliver;
    uint64_t one, two, lease;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    publish(3);
    one = worker(1);
    two = worker(10);
    scanned(0, keys, 3);
    fetched();
    fetched();
    deliver = kit_take(&kit, one, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->indexes[0], 0);
    lease = deliver->first_lease;
    deliver = kit_take(&kit, two, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->indexes[0], 2);
    assert_null(kit_other(&kit, EFFECT_FETCH)); /* the second of key 11 waits */
    kit_disconnect(&kit, one);
    fetched(); /* the first comes to the other worker */
    deliver = kit_take(&kit, two, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->indexes[0], 0);
    assert_int_equal(deliver->attempts[0], 2);
    assert_true(deliver->first_lease > lease);
    settle(two, deliver->first_lease, 1, TRUC__V1__OUTCOME__OUTCOME_ACK);
    fetched();
    deliver = kit_take(&kit, two, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->indexes[0], 1);
}

static void lease_lapses_and_comes_again(void **state)
{
    const uint64_t keys[] = {0};
    const Truc__V1__Deliver *deliver;
    uint64_t session, lease;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    publish(1);
    session = worker(10);
    scanned(0, keys, 1);
    fetched();
    lease = ((const Truc__V1__Deliver *)kit_take(&kit, session, FRAME_DELIVER, 7))->first_lease;
    kit_expect(&kit, EFFECT_WAKE_AT);
    kit_pass(&kit, 31000);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    fetched();
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    assert_int_equal(deliver->attempts[0], 2);
    settle(session, lease, 1, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_commit(&kit); /* the failed attempt is in the log */
    assert_int_equal(stale_count(session), 1);
}

static void rejected_record_becomes_a_dead_letter_once(void **state)
{
    const uint64_t keys[] = {11, 11};
    const Truc__V1__Deliver *deliver;
    const Truc__V1__SubscriptionOk *ok;
    Truc__V1__SubscriptionChange look = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    uint64_t session, position = kit.head.position;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    publish(2);
    position = kit.head.position;
    session = worker(10);
    scanned(0, keys, 2);
    fetched();
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    settle(session, deliver->first_lease, 1, TRUC__V1__OUTCOME__OUTCOME_REJECT);
    fetched(); /* the next of the key */
    kit_take(&kit, session, FRAME_DELIVER, 7);
    kit_commit(&kit);
    assert_int_equal(stale_count(session), 0);
    assert_int_equal(kit.head.position, position + 1); /* the dead letter is in the log */
    look.name = "work";
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 8, &look.base);
    ok = kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 8);
    assert_int_equal(ok->info->dead, 1);
    assert_int_equal(ok->info->in_flight, 1);
}

static void run_of_a_key_is_settled_in_order(void **state)
{
    const uint64_t keys[] = {11, 11, 11, 11};
    const Truc__V1__Deliver *deliver;
    uint64_t session;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    publish(4);
    session = runner(65);
    kit_take_error(&kit, session, 7, TRUC_INVALID_ARGUMENT);
    session = runner(3);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
    scanned(0, keys, 4);
    fetched();
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->records, 3);
    settle(session, deliver->first_lease + 1, 1, TRUC__V1__OUTCOME__OUTCOME_ACK);
    assert_int_equal(stale_count(session), 1);
    settle(session, deliver->first_lease, 3, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_commit(&kit);
    assert_int_equal(stale_count(session), 0);
    fetched();
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->indexes[0], 3);
}

static void run_refused_while_its_rest_is_fetched_sends_none_of_it(void **state)
{
    const uint64_t keys[] = {11, 11, 11, 12};
    const Truc__V1__Deliver *deliver;
    uint64_t session, reader;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    publish(4);
    session = runner(8);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
    scanned(0, keys, 4);
    reader = kit_expect(&kit, EFFECT_FETCH)->effect.reader;
    fetched_some(reader, 1);
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    assert_int_equal(kit_expect(&kit, EFFECT_FETCH)->effect.place_count, 3);
    settle(session, deliver->first_lease, 1, TRUC__V1__OUTCOME__OUTCOME_NACK);
    kit_commit(&kit);
    assert_int_equal(stale_count(session), 0);
    fetched_some(reader, 3);
    kit_expect_nothing(&kit, session);
    fetched(); /* what is still its */
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->records, 1);
    assert_int_equal(deliver->entries[0]->indexes[0], 3);
    assert_int_equal(deliver->first_lease, 4);
    fetched(); /* and the refused one with those behind it, again */
    deliver = kit_take(&kit, session, FRAME_DELIVER, 7);
    assert_int_equal(deliver->entries[0]->records, 3);
    assert_int_equal(deliver->attempts[0], 2);
    assert_int_equal(deliver->attempts[1], 1);
}

static void record_for_later_comes_when_it_is_time(void **state)
{
    const uint64_t keys[] = {11};
    uint64_t session;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    publish(1);
    publish(1);
    session = worker(10);
    scanned_for(0, keys, 1, kit.head.last_append_ns + INT64_C(60000000000));
    scanned(1, keys, 1);
    fetched();
    assert_int_equal(((const Truc__V1__Deliver *)kit_take(&kit, session, FRAME_DELIVER, 7))->entries[0]->indexes[0], 0);
    settle(session, 1, 1, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_commit(&kit);
    assert_int_equal(stale_count(session), 0);
    assert_null(kit_other(&kit, EFFECT_FETCH));
    assert_int_equal(look_at("work")->aside, 1);
    assert_int_equal(look_at("work")->position, 0);
    kit_pass(&kit, 61000);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    fetched();
    kit_take(&kit, session, FRAME_DELIVER, 7);
}

static void removal_ends_those_who_take_part(void **state)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    const Truc__V1__ReadEnd *end;
    uint64_t session;

    (void)state;
    create_it("work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    session = worker(10);
    change.name = "work";
    change.action = TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE;
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 8, &change.base);
    end = kit_take(&kit, session, FRAME_READ_END, 7);
    assert_int_equal(end->status, TRUC_NOT_FOUND);
    kit_expect_nothing(&kit, admin);
    kit_commit(&kit);
    kit_take(&kit, admin, FRAME_SUBSCRIPTION_OK, 8);
    settle(session, 1, 1, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_take_error(&kit, session, 9, TRUC_NOT_FOUND);
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 10, &change.base);
    kit_take_error(&kit, admin, 10, TRUC_NOT_FOUND);
}

/* --- ordered ---------------------------------------------------------------------------------------------------------------------
 */

static void ordered_goes_on_behind_what_was_acknowledged_at_the_standby(void **state)
{
    const struct kit_effect *open;
    uint64_t one, two, reader;

    (void)state;
    create_it("mirror", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED);
    publish(1);
    publish(1);
    one = subscribe(kit_session(&kit, "H26.16", "m"), "mirror", 1 << 20);
    two = subscribe(kit_session(&kit, "H26.16", "m"), "mirror", 1 << 20);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    assert_null(kit_other(&kit, EFFECT_READ_OPEN)); /* one active reader */
    kit_resolve(&kit, reader, 0, UINT64_MAX);
    kit_take(&kit, one, FRAME_READ_OK, 7);
    kit_expect(&kit, EFFECT_READ);
    kit_read_done(&kit, reader, 2, 2, 100);
    kit_take(&kit, one, FRAME_READ_DATA, 7);
    settle(one, 1, 1, TRUC__V1__OUTCOME__OUTCOME_ACK);
    kit_expect_nothing(&kit, one);
    kit_commit(&kit);
    assert_int_equal(stale_count(one), 0);
    settle(two, 2, 1, TRUC__V1__OUTCOME__OUTCOME_ACK); /* stands by */
    kit_take_error(&kit, two, 9, TRUC_OUT_OF_RANGE);
    settle(one, 3, 1, TRUC__V1__OUTCOME__OUTCOME_ACK); /* not sent yet */
    kit_take_error(&kit, one, 9, TRUC_OUT_OF_RANGE);
    kit_disconnect(&kit, one);
    open = kit_expect(&kit, EFFECT_READ_OPEN);
    assert_int_equal(open->spec.from, 1);
}

static void ordered_tells_how_many_it_passed_over(void **state)
{
    uint64_t session, reader;

    (void)state;
    create_it("mirror", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED);
    publish(1);
    publish(1);
    session = subscribe(kit_session(&kit, "H26.16", "m"), "mirror", 1 << 20);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_resolve(&kit, reader, 0, UINT64_MAX);
    kit_take(&kit, session, FRAME_READ_OK, 7);
    kit_expect(&kit, EFFECT_READ);
    kit_read_done(&kit, reader, 2, 2, 100);
    kit_take(&kit, session, FRAME_READ_DATA, 7);
    settle_expired(session, 1, 1, TRUC__V1__OUTCOME__OUTCOME_ACK, 7);
    settle_expired(session, 2, 1, TRUC__V1__OUTCOME__OUTCOME_ACK, UINT64_MAX); /* no entry holds so many */
    kit_commit(&kit);
    assert_int_equal(look_at("mirror")->expired, 7 + 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(create_is_answered_when_durable_and_may_be_repeated),
        TEST(list_shows_what_is_durable_of_the_own_agency),
        TEST(place_that_the_log_must_tell_is_asked_for),
        TEST(acknowledgement_is_answered_when_it_is_durable),
        TEST(key_waits_for_its_first_record_and_comes_to_one_worker_at_a_time),
        TEST(lease_lapses_and_comes_again),
        TEST(rejected_record_becomes_a_dead_letter_once),
        TEST(run_of_a_key_is_settled_in_order),
        TEST(run_refused_while_its_rest_is_fetched_sends_none_of_it),
        TEST(record_for_later_comes_when_it_is_time),
        TEST(removal_ends_those_who_take_part),
        TEST(ordered_goes_on_behind_what_was_acknowledged_at_the_standby),
        TEST(ordered_tells_how_many_it_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
