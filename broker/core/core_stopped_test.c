/* Tests of subscriptions after a flush has failed: what was accepted and never came to the disk is confirmed to nobody. */
#include "core_test_kit.h"

static struct kit kit;
static uint64_t session;
static struct kit_producer producer;

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    session = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, session, "p");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_stop(&kit);
    kit_fini(&kit);
    return 0;
}

static void create(uint64_t request_id)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;

    create.name = "mirror";
    create.pattern = "t.1";
    create.mode = TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED;
    kit_send(&kit, session, FRAME_SUBSCRIPTION_CREATE, request_id, &create.base);
}

static void fail_log(void)
{
    kit_event(&kit, (struct core_event){.kind = CORE_LOG_FAILED, .status = TRUC_IO, .why = "the disk is gone"});
}

static void acknowledge(uint64_t request_id, uint64_t position)
{
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *settlements[] = {&settlement};
    Truc__V1__Settle settle = TRUC__V1__SETTLE__INIT;

    settlement.first = position;
    settlement.outcome = TRUC__V1__OUTCOME__OUTCOME_ACK;
    settle.subscribe_id = 7;
    settle.settlements = settlements;
    settle.n_settlements = 1;
    kit_send(&kit, session, FRAME_SETTLE, request_id, &settle.base);
}

/* One entry is on disk and was sent to the active subscriber. */
static void read_one_entry(void)
{
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;
    uint64_t reader;

    create(1);
    kit_commit(&kit);
    kit_take(&kit, session, FRAME_SUBSCRIPTION_OK, 1);
    subscribe.name = "mirror";
    subscribe.credit = 1 << 20;
    kit_send(&kit, session, FRAME_SUBSCRIBE, 7, &subscribe.base);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_resolve(&kit, reader, 0, 0);
    kit_take(&kit, session, FRAME_READ_OK, 7);
    kit_publish(&kit, session, 2,
                &(struct kit_batch){.topic = "t.1", .producer_id = producer.id, .epoch = producer.epoch, .record_count = 1});
    kit_commit(&kit);
    kit_take(&kit, session, FRAME_PUBLISH_OK, 2);
    kit_read_done(&kit, reader, 1, 1, 100);
    kit_take(&kit, session, FRAME_READ_DATA, 7);
}

static void create_again_after_failed_flush_is_not_confirmed(void **state)
{
    (void)state;
    create(1);
    fail_log();
    kit_take_error(&kit, session, 1, TRUC_STOPPED);
    create(2);
    kit_take_error(&kit, session, 2, TRUC_STOPPED);
}

static void look_after_failed_flush_is_refused(void **state)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;

    (void)state;
    create(1);
    fail_log();
    kit_take_error(&kit, session, 1, TRUC_STOPPED);
    change.name = "mirror";
    kit_send(&kit, session, FRAME_SUBSCRIPTION_CHANGE, 2, &change.base);
    kit_take_error(&kit, session, 2, TRUC_STOPPED);
}

static void acknowledge_again_after_failed_flush_is_not_confirmed(void **state)
{
    (void)state;
    read_one_entry();
    acknowledge(8, 1); /* accepted, not on disk */
    fail_log();
    kit_expect_nothing(&kit, session); /* unanswered: whoever asks again must be told */
    acknowledge(9, 1);
    kit_take_error(&kit, session, 9, TRUC_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(create_again_after_failed_flush_is_not_confirmed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(look_after_failed_flush_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(acknowledge_again_after_failed_flush_is_not_confirmed, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
