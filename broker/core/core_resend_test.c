/* Tests of sequences: duplicates, gaps, what is remembered, also across restarts. */
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

static void publish(uint64_t request_id, uint64_t first, uint32_t count)
{
    kit_publish(
        &kit, connection, request_id,
        &(struct kit_batch){
            .topic = "a.b", .producer_id = producer.id, .epoch = producer.epoch, .first_sequence = first, .record_count = count});
}

static void expect_ok(uint64_t request_id, uint64_t position, uint64_t base_offset, bool duplicate)
{
    const Truc__V1__PublishOk *ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, request_id);

    assert_int_equal(ok->position, position);
    assert_int_equal(ok->base_offset, base_offset);
    assert_int_equal(ok->duplicate, duplicate);
    if (duplicate)
        assert_false(ok->topic_created);
}

static void store(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        publish(100 + i, i * 2, 2);
        kit_commit(&kit);
        expect_ok(100 + i, i, i * 2, false);
    }
}

static void resend_stored_batch_gets_its_old_place(void **state)
{
    (void)state;
    store(3);
    publish(5, 2, 2);
    expect_ok(5, 1, 2, true);
    assert_int_equal(kit.log_count, kit.durable_count);
}

static void resend_pending_batch_is_answered_when_durable(void **state)
{
    (void)state;
    publish(5, 0, 2);
    publish(6, 2, 2);
    publish(7, 0, 2);
    kit_expect_nothing(&kit, connection);
    kit_commit_some(&kit, 2);
    expect_ok(5, 0, 0, false);
    kit_expect_nothing(&kit, connection); /* answers keep the order of the requests */
    kit_commit(&kit);
    expect_ok(6, 1, 2, false);
    expect_ok(7, 0, 0, true);
}

static void resend_beyond_the_memory_is_a_duplicate_without_place(void **state)
{
    (void)state;
    store(BATCHES_IN_FLIGHT_MAX + 4);
    publish(5, 0, 2);
    kit_take_error(&kit, connection, 5, TRUC_DUPLICATE);
    publish(6, 6, 2); /* the last one forgotten */
    kit_take_error(&kit, connection, 6, TRUC_DUPLICATE);
    publish(7, 8, 2); /* the first one remembered */
    expect_ok(7, 4, 8, true);
}

static void resend_with_other_cuts_is_a_duplicate_without_place(void **state)
{
    (void)state;
    store(3);
    publish(5, 1, 2);
    kit_take_error(&kit, connection, 5, TRUC_DUPLICATE);
    publish(6, 2, 1);
    kit_take_error(&kit, connection, 6, TRUC_DUPLICATE);
    publish(7, 6, 2);
    publish(8, 5, 2); /* overlaps what is pending: not told before that is durable */
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    expect_ok(7, 3, 6, false);
    kit_take_error(&kit, connection, 8, TRUC_DUPLICATE);
}

static void gap_or_overlap_tells_the_expected_sequence(void **state)
{
    (void)state;
    publish(4, 3, 1);
    assert_int_equal(kit_take_error(&kit, connection, 4, TRUC_OUT_OF_SEQUENCE)->actual, 0);
    store(3);
    publish(5, 7, 2);
    assert_int_equal(kit_take_error(&kit, connection, 5, TRUC_OUT_OF_SEQUENCE)->actual, 6);
    publish(6, 5, 2);
    assert_int_equal(kit_take_error(&kit, connection, 6, TRUC_OUT_OF_SEQUENCE)->actual, 6);
    publish(7, UINT64_MAX, 2);
    assert_int_equal(kit_take_error(&kit, connection, 7, TRUC_OUT_OF_SEQUENCE)->actual, 6);
    publish(8, 6, 1);
    publish(9, 9, 1); /* the expected sequence is not durable yet, so neither is the answer given */
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    expect_ok(8, 3, 6, false);
    assert_int_equal(kit_take_error(&kit, connection, 9, TRUC_OUT_OF_SEQUENCE)->actual, 7);
}

static void restart_remembers_durable_batches_only(void **state)
{
    (void)state;
    store(20);
    publish(5, 40, 2); /* given to the log, lost with the process */
    kit_stop(&kit);
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    kit_send(&kit, connection, FRAME_PRODUCER_OPEN, 3,
             &(Truc__V1__ProducerOpen){.base = PROTOBUF_C_MESSAGE_INIT(&truc__v1__producer_open__descriptor),
                                       .name = "p",
                                       .resume_id = producer.id,
                                       .resume_epoch = producer.epoch,
                                       .after_topic = ""}
                  .base);
    const Truc__V1__ProducerOk *ok = kit_take(&kit, connection, FRAME_PRODUCER_OK, 3);
    assert_int_equal(ok->epoch, producer.epoch);
    assert_int_equal(ok->n_sequences, 1);
    assert_int_equal(ok->sequences[0]->next_sequence, 40);
    publish(6, 38, 2);
    expect_ok(6, 19, 38, true);
    publish(7, 8, 2);
    expect_ok(7, 4, 8, true);
    publish(8, 6, 2);
    kit_take_error(&kit, connection, 8, TRUC_DUPLICATE);
    publish(9, 40, 2);
    kit_commit(&kit);
    expect_ok(9, 20, 40, false);
}

static void restart_continues_leaves_offsets_and_times(void **state)
{
    struct kit_entry before;

    (void)state;
    store(2);
    before = kit.log[kit.log_count - 1];
    kit_stop(&kit);
    kit.now.wall_ns -= 1000; /* the clock went back a little */
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
    assert_int_equal(producer.epoch, 2);
    publish(5, 4, 1);
    assert_int_equal(kit.log[kit.log_count - 1].position, 2);
    assert_int_equal(kit.log[kit.log_count - 1].base_offset, 4);
    assert_int_equal(kit.log[kit.log_count - 1].append_time_ns, before.append_time_ns + 1);
    assert_memory_equal(kit.log[kit.log_count - 1].leaf + 144, before.leaf_hash, DIGEST_BYTES);
    kit_commit(&kit);
    expect_ok(5, 2, 4, false);
}

static void restore_contradicting_rows_are_damage(void **state)
{
    struct core *core;
    struct topic_row topic = {.topic_id = 1, .evidence = EVIDENCE_RECORD, .name = bytes_of_text("a")};
    struct producer_row row = {
        .producer_id = 1, .epoch = 1, .named = true, .scope = bytes_of_text("H26/x"), .name = bytes_of_text("p")};
    struct sequence_row sequence = {.producer_id = 1, .topic_id = 1, .next_sequence = 5, .result_count = 1, .results = {{0, 0, 6}}};

    (void)state;
    assert_int_equal(core_create(&kit.config, &core), TRUC_OK);
    assert_int_equal(core_restore_sequence(core, &sequence), TRUC_DAMAGED);
    assert_int_equal(core_restore_topic(core, &topic), TRUC_OK);
    assert_int_equal(core_restore_topic(core, &topic), TRUC_DAMAGED);
    topic.name = bytes_of_text("b");
    assert_int_equal(core_restore_topic(core, &topic), TRUC_DAMAGED);
    topic.topic_id = 0;
    assert_int_equal(core_restore_topic(core, &topic), TRUC_DAMAGED);
    topic.topic_id = 2;
    topic.evidence = 9;
    assert_int_equal(core_restore_topic(core, &topic), TRUC_DAMAGED);
    assert_int_equal(core_restore_producer(core, &row), TRUC_OK);
    assert_int_equal(core_restore_producer(core, &row), TRUC_DAMAGED);
    row.producer_id = 2; /* the same name twice */
    assert_int_equal(core_restore_producer(core, &row), TRUC_DAMAGED);
    assert_int_equal(core_restore_sequence(core, &sequence), TRUC_DAMAGED); /* more remembered than published */
    sequence.results[0].record_count = 5;
    assert_int_equal(core_restore_sequence(core, &sequence), TRUC_OK);
    assert_int_equal(core_restore_sequence(core, &sequence), TRUC_DAMAGED);
    core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(resend_stored_batch_gets_its_old_place, setup, teardown),
        cmocka_unit_test_setup_teardown(resend_pending_batch_is_answered_when_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(resend_beyond_the_memory_is_a_duplicate_without_place, setup, teardown),
        cmocka_unit_test_setup_teardown(resend_with_other_cuts_is_a_duplicate_without_place, setup, teardown),
        cmocka_unit_test_setup_teardown(gap_or_overlap_tells_the_expected_sequence, setup, teardown),
        cmocka_unit_test_setup_teardown(restart_remembers_durable_batches_only, setup, teardown),
        cmocka_unit_test_setup_teardown(restart_continues_leaves_offsets_and_times, setup, teardown),
        cmocka_unit_test_setup_teardown(restore_contradicting_rows_are_damage, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
