/* Tests of several batches in one PUBLISH: all or none, in one block, answered once. */
#include <stdio.h>

#include "core_test_kit.h"

static struct kit kit;
static uint64_t connection;
static struct kit_producer producer;
static char names[BATCHES_TOGETHER_MAX][16];

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
    for (int i = 0; i < BATCHES_TOGETHER_MAX; i++)
        (void)snprintf(names[i], sizeof names[i], "t.%d", i);
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

/* The i-th batch has i + 1 records for t.i, from this sequence on. */
static struct kit_batch batch_of(size_t i, uint64_t first_sequence)
{
    return (struct kit_batch){.topic = names[i],
                              .producer_id = producer.id,
                              .epoch = producer.epoch,
                              .first_sequence = first_sequence,
                              .record_count = (uint32_t)i + 1};
}

struct together {
    struct kit_batch batches[BATCHES_TOGETHER_MAX];
    size_t count;
};

static struct together three(uint64_t times)
{
    return (struct together){.batches = {batch_of(0, times), batch_of(1, times * 2), batch_of(2, times * 3)}, .count = 3};
}

static void publish(uint64_t request_id, const struct together *together)
{
    kit_event(&kit, kit_together_event(&kit, connection, request_id, together->batches, together->count));
}

static void expect_three(uint64_t request_id, uint64_t position, uint64_t times, bool duplicate)
{
    const Truc__V1__PublishOk *ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, request_id);
    bool created = !duplicate && times == 0;

    assert_int_equal(ok->position, position);
    assert_int_equal(ok->base_offset, times);
    assert_int_equal(ok->duplicate, duplicate);
    assert_int_equal(ok->topic_created, created);
    assert_int_equal(ok->n_others, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ok->others[i]->position, position + i + 1);
        assert_int_equal(ok->others[i]->base_offset, times * (i + 2));
        assert_int_equal(ok->others[i]->topic_created, created);
        assert_true(duplicate ? ok->others[i]->append_time_ns == 0 : ok->others[i]->append_time_ns > ok->append_time_ns);
    }
}

static void together_is_one_block_and_one_answer(void **state)
{
    struct together together = three(0);
    size_t begun = kit.log_count;

    (void)state;
    publish(5, &together);
    assert_int_equal(kit.log_count, begun + 6); /* three topics and three batches */
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(kit.log[begun + i].joined, i > 0);
    kit_expect_nothing(&kit, connection);
    together = three(1);
    publish(6, &together);
    assert_int_equal(kit.log_count, begun + 9);
    assert_false(kit.log[begun + 6].joined); /* a block may end between two publishes */
    assert_true(kit.log[begun + 7].joined && kit.log[begun + 8].joined);
    kit_commit(&kit);
    expect_three(5, 0, 0, false);
    expect_three(6, 3, 1, false);
    kit_expect_nothing(&kit, connection);
}

static void most_together_are_taken(void **state)
{
    struct together together = {.count = BATCHES_TOGETHER_MAX};
    const Truc__V1__PublishOk *ok;

    (void)state;
    for (size_t i = 0; i < together.count; i++)
        together.batches[i] = batch_of(i, 0);
    publish(5, &together);
    kit_commit(&kit);
    ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
    assert_int_equal(ok->n_others, BATCHES_TOGETHER_MAX - 1);
    assert_int_equal(ok->others[62]->position, 63);
}

/* Their credit is that of the frame, once. */
static void together_takes_and_gives_back_credit_once(void **state)
{
    struct together together = three(0);

    (void)state;
    for (uint64_t i = 0; i < 20; i++) {
        together = three(i);
        together.batches[0].frame_bytes = kit.config.publish_credit_bytes / 2;
        publish(5 + i, &together);
        kit_commit(&kit);
        expect_three(5 + i, 3 * i, i, false);
    }
    together = three(19); /* a duplicate */
    together.batches[0].frame_bytes = kit.config.publish_credit_bytes - 1000;
    publish(50, &together);
    expect_three(50, 57, 19, true);
    together.batches[1].epoch++; /* refused */
    publish(51, &together);
    (void)kit_take_error(&kit, connection, 51, TRUC_UNKNOWN_PRODUCER);
    together.batches[1].epoch--;
    publish(52, &together);
    expect_three(52, 57, 19, true);
}

/* One of them is wrong: none is stored, the text names it, and the same without the fault is taken. */
static void expect_refused(const struct together *together, truc_status status, const char *text)
{
    size_t log_count = kit.log_count;
    uint64_t topics = core_counts(kit.core).topics, sequences = core_counts(kit.core).sequences;
    const Truc__V1__Error *error;

    publish(30, together);
    error = kit_take_error(&kit, connection, 30, status);
    if (!strstr(error->message, text))
        fail_msg("%s", error->message);
    assert_int_equal(kit.log_count, log_count);
    assert_int_equal(core_counts(kit.core).topics, topics);
    assert_int_equal(core_counts(kit.core).sequences, sequences);
}

static void one_refused_refuses_all_by_its_number(void **state)
{
    struct together together = three(0), wrong;

    (void)state;
    publish(5, &together);
    kit_commit(&kit);
    expect_three(5, 0, 0, false);
    together = three(1);
    together.batches[0].topic = "new"; /* would be created */
    together.batches[0].first_sequence = 0;
    wrong = together;
    wrong.batches[1].agency = "H26.17";
    wrong.batches[1].system = "portal";
    expect_refused(&wrong, TRUC_BAD_SOURCE, "batch 2 ");
    wrong = together;
    wrong.batches[2].evidence = EVIDENCE_BATCH;
    expect_refused(&wrong, TRUC_EVIDENCE_MISMATCH, "batch 3 ");
    wrong = together;
    wrong.batches[2].first_sequence++;
    expect_refused(&wrong, TRUC_OUT_OF_SEQUENCE, "batch 3 ");
    wrong = together;
    wrong.batches[1].conditional = true;
    wrong.batches[1].expected_offset = 3;
    expect_refused(&wrong, TRUC_CONFLICT, "batch 2 of those sent together: the topic's next offset is 2, the batch expected 3");
    wrong.batches[1].expected_offset = 2;
    wrong.batches[0].conditional = true; /* 0 of a topic that is not there */
    publish(6, &wrong);
    kit_commit(&kit);
    assert_int_equal(((const Truc__V1__PublishOk *)kit_take(&kit, connection, FRAME_PUBLISH_OK, 6))->position, 3);
}

static void new_topics_are_counted_together(void **state)
{
    struct together together;

    (void)state;
    kit_stop(&kit);
    kit.config.topics_max = 2;
    begin();
    together = three(0);
    expect_refused(&together, TRUC_QUOTA_EXCEEDED, "batch 3 ");
    together.count = 2;
    publish(5, &together);
    kit_commit(&kit);
    (void)kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
}

static void room_is_needed_for_all(void **state)
{
    struct together together;

    (void)state;
    kit_stop(&kit);
    kit.config.pending_bytes_max = 8000;
    begin();
    together = three(0);
    kit_publish(&kit, connection, 4,
                &(struct kit_batch){.topic = "x", .producer_id = producer.id, .epoch = producer.epoch, .record_count = 1});
    for (size_t i = 0; i < 3; i++)
        together.batches[i].batch_bytes = 2200;
    expect_refused(&together, TRUC_BUSY, "retry");
    together.count = 2;
    publish(5, &together);
    kit_commit(&kit);
    (void)kit_take(&kit, connection, FRAME_PUBLISH_OK, 4);
    (void)kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
    kit.capacity.available_bytes = 8000;
    kit_event(&kit, (struct core_event){.kind = CORE_CAPACITY, .capacity = kit.capacity});
    together = three(0);
    together.batches[0].first_sequence = 1;
    together.batches[1].first_sequence = 2;
    for (size_t i = 0; i < 3; i++)
        together.batches[i].batch_bytes = 2200;
    expect_refused(&together, TRUC_DISK_FULL, "no room");
}

static void duplicates_together_are_answered_together(void **state)
{
    struct together together = three(0);

    (void)state;
    publish(5, &together);
    publish(6, &together);
    kit_expect_nothing(&kit, connection); /* it tells of what is not on disk */
    kit_commit(&kit);
    expect_three(5, 0, 0, false);
    expect_three(6, 0, 0, true);
    publish(7, &together);
    expect_three(7, 0, 0, true);
    kit_stop(&kit);
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
    together.batches[0].epoch = together.batches[1].epoch = together.batches[2].epoch = producer.epoch;
    publish(8, &together);
    expect_three(8, 0, 0, true);
}

static void duplicates_of_long_ago_are_told_so(void **state)
{
    struct together together = three(0);

    (void)state;
    publish(5, &together);
    kit_commit(&kit);
    expect_three(5, 0, 0, false);
    for (uint64_t i = 0; i < BATCHES_IN_FLIGHT_MAX; i++) { /* of one topic: the place of its first batch is forgotten */
        struct kit_batch batch = batch_of(1, 2 + 2 * i);

        kit_publish(&kit, connection, 10, &batch);
        kit_commit(&kit);
        (void)kit_take(&kit, connection, FRAME_PUBLISH_OK, 10);
    }
    expect_refused(&together, TRUC_DUPLICATE, "these records are in the log already");
}

/* Some are stored and others not: no client that sent them together sends that. */
static void stored_and_new_together_are_refused(void **state)
{
    struct together together = three(0);
    struct kit_batch alone = batch_of(1, 0);

    (void)state;
    kit_publish(&kit, connection, 5, &alone);
    publish(6, &together);
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    (void)kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
    assert_non_null(strstr(kit_take_error(&kit, connection, 6, TRUC_BAD_BATCH)->message, "batch 2 "));
    expect_refused(&together, TRUC_BAD_BATCH, "batch 2 ");
}

static void refusal_that_tells_of_what_is_stored_waits(void **state)
{
    struct together together = three(0), behind = three(2);

    (void)state;
    publish(5, &together);
    publish(6, &behind);
    behind = three(1);
    behind.batches[2].conditional = true;
    behind.batches[2].expected_offset = 4;
    publish(7, &behind);
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    expect_three(5, 0, 0, false);
    assert_int_equal(kit_take_error(&kit, connection, 6, TRUC_OUT_OF_SEQUENCE)->actual, 1);
    assert_int_equal(kit_take_error(&kit, connection, 7, TRUC_CONFLICT)->actual, 3);
}

/* Nobody waits for the answer any more; the next ones are none the worse. */
static void lost_connection_leaves_the_batches(void **state)
{
    struct together together = three(0);

    (void)state;
    publish(5, &together);
    kit_disconnect(&kit, connection);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p"); /* commits */
    together = three(1);
    publish(6, &together);
    kit_commit(&kit);
    expect_three(6, 3, 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(together_is_one_block_and_one_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(most_together_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(together_takes_and_gives_back_credit_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_refused_refuses_all_by_its_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_topics_are_counted_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(room_is_needed_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicates_together_are_answered_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicates_of_long_ago_are_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stored_and_new_together_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusal_that_tells_of_what_is_stored_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_connection_leaves_the_batches, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
