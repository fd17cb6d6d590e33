/* Tests of what subscriptions take at the edge: the largest definition, headers to filter by, ids and leases out of bounds. */
#include "core_test_kit.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static struct kit kit;
static uint64_t session;

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    session = kit_session(&kit, "H26.16", "portal");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_stop(&kit);
    kit_fini(&kit);
    return 0;
}

static Truc__V1__SubscriptionCreate definition(void)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;

    create.name = "work";
    create.pattern = "t.>";
    return create;
}

static const Truc__V1__SubscriptionInfo *created(const Truc__V1__SubscriptionCreate *create)
{
    const Truc__V1__SubscriptionOk *ok;

    kit_send(&kit, session, FRAME_SUBSCRIPTION_CREATE, 1, &create->base);
    kit_commit(&kit);
    ok = kit_take(&kit, session, FRAME_SUBSCRIPTION_OK, 1);
    assert_non_null(ok->info);
    return ok->info;
}

static void subscribe(uint64_t request_id)
{
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    subscribe.name = "work";
    subscribe.credit = 1;
    kit_send(&kit, session, FRAME_SUBSCRIBE, request_id, &subscribe.base);
}

static void settle(uint32_t count)
{
    Truc__V1__Settlement settlements[2] = {TRUC__V1__SETTLEMENT__INIT, TRUC__V1__SETTLEMENT__INIT};
    Truc__V1__Settlement *pointers[] = {&settlements[0], &settlements[1]};
    Truc__V1__Settle message = TRUC__V1__SETTLE__INIT;

    for (size_t i = 0; i < 2; i++) {
        settlements[i].first = 1;
        settlements[i].count = count;
        settlements[i].outcome = TRUC__V1__OUTCOME__OUTCOME_ACK;
    }
    message.subscribe_id = 7;
    message.settlements = pointers;
    message.n_settlements = 2;
    kit_send(&kit, session, FRAME_SETTLE, 9, &message.base);
}

static void create_with_largest_limits_is_taken(void **state)
{
    Truc__V1__SubscriptionCreate create = definition();
    uint32_t delays[] = {7 * DAY_MS, 1, 2, 3, 4, 5, 6, 7 * DAY_MS};
    const Truc__V1__SubscriptionInfo *info;

    (void)state;
    create.ack_wait_ms = DAY_MS;
    create.in_flight_max = 100000;
    create.backoff_ms = delays;
    create.n_backoff_ms = 8;
    info = created(&create);
    assert_int_equal(info->ack_wait_ms, DAY_MS);
    assert_int_equal(info->in_flight_max, 100000);
    assert_int_equal(info->n_backoff_ms, 8);
    assert_memory_equal(info->backoff_ms, delays, sizeof delays);
}

/* One, and then two. */
static void create_with_headers_tells_them_again(void **state)
{
    Truc__V1__HeaderEquals headers[2] = {TRUC__V1__HEADER_EQUALS__INIT, TRUC__V1__HEADER_EQUALS__INIT};
    Truc__V1__HeaderEquals *pointers[] = {&headers[0], &headers[1]};
    Truc__V1__SubscriptionCreate create = definition();

    (void)state;
    headers[0].name = "n";
    headers[0].value = (ProtobufCBinaryData){5, (uint8_t *)(uintptr_t) "first"};
    headers[1].name = "other";
    create.headers = pointers;
    for (size_t count = 1; count <= 2; count++) {
        const Truc__V1__SubscriptionInfo *info;

        create.name = count == 1 ? "one" : "two";
        create.n_headers = count;
        info = created(&create);
        assert_int_equal(info->n_headers, count);
        assert_string_equal(info->headers[0]->name, "n");
        assert_int_equal(info->headers[0]->value.len, 5);
        assert_memory_equal(info->headers[0]->value.data, "first", 5);
        if (count == 2)
            assert_string_equal(info->headers[1]->name, "other");
    }
}

static void subscribe_with_id_in_use_ends_connection(void **state)
{
    Truc__V1__SubscriptionCreate create = definition();

    (void)state;
    (void)created(&create);
    subscribe(7);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
    subscribe(7);
    kit_take_error(&kit, session, 0, TRUC_PROTOCOL);
    kit_expect_closed(&kit, session);
}

static void settle_more_leases_than_credit_can_be_is_refused(void **state)
{
    Truc__V1__SubscriptionCreate create = definition();

    (void)state;
    (void)created(&create);
    subscribe(7);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
    settle(32769);
    kit_take_error(&kit, session, 9, TRUC_INVALID_ARGUMENT);
    settle(32768);
    kit_take(&kit, session, FRAME_SETTLE_OK, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(create_with_largest_limits_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(create_with_headers_tells_them_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(subscribe_with_id_in_use_ends_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settle_more_leases_than_credit_can_be_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
