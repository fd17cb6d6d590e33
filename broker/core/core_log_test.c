/* Tests of bad days and ends: full disk, failed log, draining. */
#include "core_test_kit.h"

static struct kit kit;
static uint64_t connection;
static struct kit_producer producer;

static int setup(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(kit.prepared_held, 0);
    kit_fini(&kit);
    return 0;
}

static void publish(uint64_t request_id, uint64_t first, size_t bytes)
{
    kit_publish(&kit, connection, request_id,
                &(struct kit_batch){.topic = "a",
                                    .producer_id = producer.id,
                                    .epoch = producer.epoch,
                                    .first_sequence = first,
                                    .record_count = 1,
                                    .batch_bytes = bytes});
}

static void open_other(uint64_t request_id)
{
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;

    open.name = "other";
    kit_send(&kit, connection, FRAME_PRODUCER_OPEN, request_id, &open.base);
}

static void full_disk_refuses_and_goes_on_by_itself(void **state)
{
    (void)state;
    kit.capacity.full = true;
    kit_event(&kit, (struct core_event){.kind = CORE_CAPACITY, .capacity = kit.capacity});
    kit_expect(&kit, EFFECT_ALARM);
    publish(5, 0, 100);
    assert_true(kit_take_error(&kit, connection, 5, TRUC_DISK_FULL)->retry_after_ms > 0);
    open_other(6);
    kit_take_error(&kit, connection, 6, TRUC_DISK_FULL);
    kit.capacity.full = false;
    kit_event(&kit, (struct core_event){.kind = CORE_CAPACITY, .capacity = kit.capacity});
    kit_expect(&kit, EFFECT_ALARM);
    publish(7, 0, 100);
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 7);
}

static void no_more_is_given_to_the_log_than_it_has_room_for(void **state)
{
    uint64_t first = 0;

    (void)state;
    kit.capacity.available_bytes = 100000;
    kit_event(&kit, (struct core_event){.kind = CORE_CAPACITY, .capacity = kit.capacity});
    while (kit_peek(&kit, connection) == NULL)
        publish(5 + first, first, 9000), first++;
    kit_take_error(&kit, connection, 5 + first - 1, TRUC_DISK_FULL);
    assert_in_range(first, 9, 11);
    kit_commit(&kit); /* the log reports the same room again: what is durable is no longer deducted */
    for (uint64_t i = 0; i + 1 < first; i++)
        kit_take(&kit, connection, FRAME_PUBLISH_OK, 5 + i);
    publish(99, first - 1, 9000);
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 99);
}

static void failed_log_acknowledges_nothing_more(void **state)
{
    const Truc__V1__LogInfoOk *info;

    (void)state;
    publish(5, 0, 100);
    publish(6, 1, 100);
    open_other(7);
    publish(8, 0, 100); /* a duplicate that waits */
    kit_event(&kit, (struct core_event){.kind = CORE_LOG_FAILED, .status = TRUC_IO, .why = "fdatasync: Input/output error"});
    for (uint64_t id = 5; id <= 8; id++)
        assert_non_null(strstr(kit_take_error(&kit, connection, id, TRUC_STOPPED)->message, "Input/output"));
    publish(9, 2, 100);
    kit_take_error(&kit, connection, 9, TRUC_STOPPED);
    open_other(10);
    kit_take_error(&kit, connection, 10, TRUC_STOPPED);
    kit_send_raw(&kit, connection, FRAME_LOG_INFO, 11, bytes_of(NULL, 0), bytes_of(NULL, 0));
    info = kit_take(&kit, connection, FRAME_LOG_INFO_OK, 11);
    assert_string_equal(info->state, "stopped");
    assert_int_equal(info->durable_position, 0);
    kit_event(&kit, (struct core_event){.kind = CORE_DRAIN});
    kit_expect(&kit, EFFECT_DRAINED);
}

static void drain_finishes_what_is_pending(void **state)
{
    uint64_t late;

    (void)state;
    publish(5, 0, 100);
    kit_event(&kit, (struct core_event){.kind = CORE_DRAIN});
    kit_take(&kit, connection, FRAME_GOAWAY, 0);
    assert_null(kit_other(&kit, EFFECT_DRAINED));
    publish(6, 1, 100);
    assert_true(kit_take_error(&kit, connection, 6, TRUC_DRAINING)->retry_after_ms > 0);
    open_other(7);
    kit_take_error(&kit, connection, 7, TRUC_DRAINING);
    late = kit_session(&kit, "H26.16", "portal");
    kit_take(&kit, late, FRAME_GOAWAY, 0);
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
    kit_expect(&kit, EFFECT_DRAINED);
    kit_event(&kit, (struct core_event){.kind = CORE_DRAIN});
    assert_null(kit_other(&kit, EFFECT_DRAINED)); /* once */
}

static void drain_of_an_idle_broker_is_done_at_once(void **state)
{
    (void)state;
    kit_event(&kit, (struct core_event){.kind = CORE_DRAIN});
    kit_expect(&kit, EFFECT_DRAINED);
}

static void missing_topic_row_is_damage_at_start(void **state)
{
    struct topic_row row = {.topic_id = 2, .evidence = EVIDENCE_RECORD, .name = bytes_of_text("b")};

    (void)state;
    kit_stop(&kit);
    assert_int_equal(core_create(&kit.config, &kit.core), TRUC_OK);
    assert_int_equal(core_restore_topic(kit.core, &row), TRUC_OK);
    kit_event(&kit, (struct core_event){.kind = CORE_START, .head = kit.head, .capacity = kit.capacity});
    kit_expect(&kit, EFFECT_ALARM);
    connection = kit_session(&kit, "H26.16", "portal");
    publish(5, 0, 100);
    kit_take_error(&kit, connection, 5, TRUC_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(full_disk_refuses_and_goes_on_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_is_given_to_the_log_than_it_has_room_for, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_log_acknowledges_nothing_more, setup, teardown),
        cmocka_unit_test_setup_teardown(drain_finishes_what_is_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(drain_of_an_idle_broker_is_done_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_topic_row_is_damage_at_start, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
