/* Tests of conditional batches: what the offset is held against, what a conflict tells and when, what comes behind it. */
#include "core_test_kit.h"

static struct kit kit;
static uint64_t connection, request;
static struct kit_producer producer;

static void begin(void)
{
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
}

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    request = 10;
    begin();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(kit.prepared_held, 0);
    kit_fini(&kit);
    return 0;
}

/* Publishes one record; returns the request. */
static uint64_t publish(const char *topic, uint64_t sequence, bool conditional, uint64_t expected)
{
    kit_publish(&kit, connection, ++request,
                &(struct kit_batch){.topic = topic,
                                    .producer_id = producer.id,
                                    .epoch = producer.epoch,
                                    .first_sequence = sequence,
                                    .record_count = 1,
                                    .conditional = conditional,
                                    .expected_offset = expected});
    return request;
}

static void expect_ok(uint64_t id, uint64_t base_offset, bool duplicate)
{
    const Truc__V1__PublishOk *ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, id);

    assert_int_equal(ok->base_offset, base_offset);
    assert_int_equal(ok->duplicate, duplicate);
}

static void expect_conflict(uint64_t id, uint64_t actual, const char *both)
{
    const Truc__V1__Error *error = kit_take_error(&kit, connection, id, TRUC_CONFLICT);

    assert_int_equal(error->actual, actual);
    if (!strstr(error->message, both))
        fail_msg("%s", error->message);
}

static void condition_met_is_stored(void **state)
{
    uint64_t first, second, third;

    (void)state;
    first = publish("a.b", 0, true, 0); /* creates the topic */
    second = publish("a.b", 1, true, 1);
    third = publish("a.b", 2, false, 0);
    kit_commit(&kit);
    expect_ok(first, 0, false);
    expect_ok(second, 1, false);
    expect_ok(third, 2, false);
    first = publish("a.b", 3, true, 3);
    kit_commit(&kit);
    expect_ok(first, 3, false);
}

static void conflict_of_what_is_durable_is_told_at_once(void **state)
{
    uint64_t id;
    size_t log_count;

    (void)state;
    id = publish("a.b", 0, true, 7); /* no such topic: its next offset is 0 */
    expect_conflict(id, 0, "next offset is 0, the batch expected 7");
    assert_int_equal(core_counts(kit.core).topics, 0);
    id = publish("a.b", 0, false, 0);
    kit_commit(&kit);
    expect_ok(id, 0, false);
    log_count = kit.log_count;
    id = publish("a.b", 1, true, 0);
    expect_conflict(id, 1, "next offset is 1, the batch expected 0");
    id = publish("a.b", 1, true, UINT64_MAX);
    expect_conflict(id, 1, "next offset is 1");
    assert_int_equal(kit.log_count, log_count);
}

/* The answer tells of a batch that is still on its way to the disk, another producer's perhaps. */
static void conflict_waits_for_what_it_tells_of(void **state)
{
    uint64_t other = kit_session(&kit, "H26.16", "desk"), first, id;
    struct kit_producer theirs = kit_open(&kit, other, "q");

    (void)state;
    first = publish("a.b", 0, true, 0);
    kit_publish(&kit, other, 1,
                &(struct kit_batch){.topic = "a.b",
                                    .agency = "H26.16",
                                    .system = "desk",
                                    .producer_id = theirs.id,
                                    .epoch = theirs.epoch,
                                    .record_count = 1,
                                    .conditional = true});
    kit_expect_nothing(&kit, other);
    id = publish("a.b", 1, true, 1);
    kit_commit_some(&kit, 2); /* the topic and the first batch */
    expect_ok(first, 0, false);
    assert_int_equal(kit_take_error(&kit, other, 1, TRUC_CONFLICT)->actual, 1);
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    expect_ok(id, 1, false);
}

/* Nothing refused is stored, so what was sent behind it does not follow. */
static void conflict_uses_no_sequence(void **state)
{
    uint64_t first, conflict, behind;

    (void)state;
    first = publish("a.b", 0, false, 0);
    conflict = publish("a.b", 1, true, 5);
    behind = publish("a.b", 2, false, 0);
    kit_commit(&kit);
    expect_ok(first, 0, false);
    expect_conflict(conflict, 1, "next offset is 1, the batch expected 5");
    assert_int_equal(kit_take_error(&kit, connection, behind, TRUC_OUT_OF_SEQUENCE)->actual, 1);
    first = publish("a.b", 1, true, 1);
    kit_commit(&kit);
    expect_ok(first, 1, false);
}

/* A retry of what was stored is a duplicate, although its condition does not hold any more. */
static void duplicate_comes_before_the_condition(void **state)
{
    uint64_t first, again;

    (void)state;
    first = publish("a.b", 0, true, 0);
    again = publish("a.b", 0, true, 0);
    kit_commit(&kit);
    expect_ok(first, 0, false);
    expect_ok(again, 0, true);
    again = publish("a.b", 0, true, 0);
    expect_ok(again, 0, true);
}

static void restart_keeps_what_is_held_against(void **state)
{
    uint64_t id;

    (void)state;
    id = publish("a.b", 0, false, 0);
    kit_commit(&kit);
    expect_ok(id, 0, false);
    (void)publish("a.b", 1, false, 0); /* lost */
    kit_stop(&kit);
    begin();
    id = publish("a.b", 1, true, 2);
    expect_conflict(id, 1, "next offset is 1, the batch expected 2");
    id = publish("a.b", 1, true, 1);
    kit_commit(&kit);
    expect_ok(id, 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(condition_met_is_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conflict_of_what_is_durable_is_told_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conflict_waits_for_what_it_tells_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conflict_uses_no_sequence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicate_comes_before_the_condition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restart_keeps_what_is_held_against, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
