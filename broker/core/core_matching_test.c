/* Tests of how many subscriptions a publish is told to match: as they come, go, pause, are reset and restored. */
#include "core_test_kit.h"

static struct kit kit;
static uint64_t connection, sequence;
static struct kit_producer producer;

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    sequence = 0;
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_fini(&kit);
    return 0;
}

static uint32_t published(void)
{
    kit_publish(
        &kit, connection, 9,
        &(struct kit_batch){
            .topic = "a.b", .producer_id = producer.id, .epoch = producer.epoch, .first_sequence = sequence++, .record_count = 1});
    kit_commit(&kit);
    return ((const Truc__V1__PublishOk *)kit_take(&kit, connection, FRAME_PUBLISH_OK, 9))->subscriptions;
}

static void create(char *name, char *pattern)
{
    Truc__V1__SubscriptionCreate request = TRUC__V1__SUBSCRIPTION_CREATE__INIT;

    request.name = name;
    request.pattern = pattern;
    kit_send(&kit, connection, FRAME_SUBSCRIPTION_CREATE, 1, &request.base);
    kit_commit(&kit);
    (void)kit_take(&kit, connection, FRAME_SUBSCRIPTION_OK, 1);
}

static void change(char *name, Truc__V1__SubscriptionAction action)
{
    Truc__V1__SubscriptionChange request = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    Truc__V1__Bound start = TRUC__V1__BOUND__INIT;

    start.at_case = TRUC__V1__BOUND__AT_POSITION;
    request.place = action == TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET ? &start : NULL;
    request.name = name;
    request.action = action;
    kit_send(&kit, connection, FRAME_SUBSCRIPTION_CHANGE, 1, &request.base);
    kit_commit(&kit);
    (void)kit_take(&kit, connection, FRAME_SUBSCRIPTION_OK, 1);
}

static void publish_tells_how_many_match(void **state)
{
    (void)state;
    assert_int_equal(published(), 0);
    create("one", "a.*");
    assert_int_equal(published(), 1);
    assert_int_equal(published(), 1);
    create("other", "b.*");
    create("all", "**");
    create("exact", "a.b");
    assert_int_equal(published(), 3);
    change("one", TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_PAUSE); /* it is still for that one */
    assert_int_equal(published(), 3);
    change("all", TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET);
    assert_int_equal(published(), 3);
    change("all", TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE);
    assert_int_equal(published(), 2);
    change("other", TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE);
    assert_int_equal(published(), 2);
}

static void duplicate_and_others_tell_it_too(void **state)
{
    const Truc__V1__PublishOk *ok;
    struct kit_batch batches[2] = {{.topic = "a.b", .producer_id = producer.id, .epoch = producer.epoch, .record_count = 1},
                                   {.topic = "c", .producer_id = producer.id, .epoch = producer.epoch, .record_count = 1}};

    (void)state;
    create("one", "a.*");
    create("two", "**");
    for (int again = 0; again < 2; again++) {
        kit_event(&kit, kit_together_event(&kit, connection, 9, batches, 2));
        kit_commit(&kit);
        ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, 9);
        assert_int_equal(ok->duplicate, again);
        assert_int_equal(ok->subscriptions, 2);
        assert_int_equal(ok->others[0]->subscriptions, 1);
    }
}

static void restored_subscriptions_are_counted(void **state)
{
    struct subscription_row row = {.subscription_id = 3,
                                   .mode = SUBSCRIPTION_SHARED,
                                   .owner = bytes_of_text("H26.16"),
                                   .name = bytes_of_text("desk"),
                                   .pattern = bytes_of_text("a.>"),
                                   .ack_wait_ms = 1000,
                                   .in_flight_max = 10};
    struct core *core;

    (void)state;
    kit_stop(&kit);
    assert_int_equal(core_create(&kit.config, &core), TRUC_OK);
    kit.core = core;
    kit_restore(&kit);
    assert_int_equal(core_restore_subscription(core, &row), TRUC_OK);
    row.subscription_id = 4;
    row.name = bytes_of_text("wrong");
    row.pattern = bytes_of_text("a.>.b");
    assert_int_equal(core_restore_subscription(core, &row), TRUC_DAMAGED);
    kit_event(&kit, (struct core_event){.kind = CORE_START, .head = kit.head, .capacity = kit.capacity});
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
    assert_int_equal(published(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(publish_tells_how_many_match, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicate_and_others_tell_it_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restored_subscriptions_are_counted, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
