/* Tests of publishing: places, leaves, the answer after the commit, every refusal, credit. */
#include "core_test_kit.h"

#include "proto/digest.h"
#include "proto/leaf.h"

static struct kit kit;
static uint64_t connection;
static struct kit_producer producer;

static const struct core_family families[] = {
    {.pattern = {(const uint8_t *)"meter.**", 8}, .evidence = EVIDENCE_BATCH, .record_bytes_max = 100, .codec = CODEC_LZ4},
    {.pattern = {(const uint8_t *)"free.>", 6}, .evidence = EVIDENCE_UNSPECIFIED, .record_bytes_max = 0, .codec = -1},
};

static void begin(void)
{
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
}

static int setup(void **state)
{
    (void)state;
    kit_init(&kit);
    kit.config.families = families;
    kit.config.family_count = 2;
    begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(kit.prepared_held, 0);
    kit_fini(&kit);
    return 0;
}

static struct kit_batch batch_of(const char *topic, uint64_t first, uint32_t count)
{
    return (struct kit_batch){
        .topic = topic, .producer_id = producer.id, .epoch = producer.epoch, .first_sequence = first, .record_count = count};
}

static void publish(uint64_t request_id, const char *topic, uint64_t first, uint32_t count)
{
    struct kit_batch batch = batch_of(topic, first, count);

    kit_publish(&kit, connection, request_id, &batch);
}

static void expect_ok(uint64_t request_id, uint64_t position, uint64_t base_offset)
{
    const Truc__V1__PublishOk *ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, request_id);

    assert_int_equal(ok->position, position);
    assert_int_equal(ok->base_offset, base_offset);
    assert_false(ok->duplicate);
}

static void publish_is_answered_only_after_the_commit(void **state)
{
    const Truc__V1__PublishOk *ok;

    (void)state;
    publish(5, "a.b", 0, 3);
    publish(6, "a.b", 3, 2);
    publish(7, "a.c", 0, 1);
    kit_expect_nothing(&kit, connection);
    kit_commit_some(&kit, 2); /* the topic and the first batch */
    ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
    assert_int_equal(ok->position, 0);
    assert_int_equal(ok->base_offset, 0);
    assert_true(ok->topic_created);
    assert_int_equal(ok->append_time_ns, kit.now.wall_ns);
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, 6);
    assert_int_equal(ok->position, 1);
    assert_int_equal(ok->base_offset, 3);
    assert_int_equal(ok->append_time_ns, kit.now.wall_ns + 1); /* strictly increasing although no time passed */
    assert_false(ok->topic_created);
    ok = kit_take(&kit, connection, FRAME_PUBLISH_OK, 7);
    assert_int_equal(ok->position, 2);
    assert_int_equal(ok->base_offset, 0);
    assert_true(ok->topic_created);
}

static void publish_answers_of_one_step_are_one_send(void **state)
{
    struct core_event events[8];
    size_t sends;

    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        struct kit_batch batch = batch_of("a.b", i, 1);

        events[i] = kit_publish_event(&kit, connection, 10 + i, &batch);
    }
    kit_step(&kit, events, 8);
    sends = kit.send_count;
    kit_commit(&kit);
    assert_int_equal(kit.send_count, sends + 1);
    for (uint64_t i = 0; i < 8; i++)
        expect_ok(10 + i, i, i);
}

static void publish_leaves_chain_within_their_topic(void **state)
{
    struct digest_context *digest = digest_context_create();
    uint8_t zero[DIGEST_BYTES] = {0}, hash[DIGEST_BYTES];
    const uint8_t *previous = zero;

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        publish(5 + 2 * i, "a.b", i * 2, 2);
        publish(6 + 2 * i, "a.c", i, 1);
    }
    for (size_t i = 0; i < kit.log_count; i++) {
        const struct kit_entry *entry = &kit.log[i];
        struct leaf leaf;

        if (entry->record_count == 0 || entry->topic_id != 1)
            continue;
        assert_int_equal(leaf_parse(bytes_of(entry->leaf, entry->leaf_size), &leaf), TRUC_OK);
        assert_true(bytes_equal(leaf.topic, bytes_of_text("a.b")));
        assert_int_equal(leaf.position, entry->position);
        assert_int_equal(leaf.base_offset, entry->base_offset);
        assert_int_equal(leaf.record_count, 2);
        assert_int_equal(leaf.append_time_ns, entry->append_time_ns);
        assert_int_equal(leaf.evidence, EVIDENCE_RECORD);
        assert_memory_equal(leaf.log_id, kit.config.log_id, LOG_ID_BYTES);
        assert_int_equal(leaf.header_digest[0], 0x11);
        assert_int_equal(leaf.records_root[31], 0x22);
        assert_memory_equal(leaf.previous, previous, DIGEST_BYTES);
        digest_leaf(digest, bytes_of(entry->leaf, entry->leaf_size), hash);
        assert_memory_equal(hash, entry->leaf_hash, DIGEST_BYTES);
        previous = entry->leaf_hash;
    }
    digest_context_destroy(digest);
}

static void expect_refused(const struct kit_batch *batch, truc_status status)
{
    size_t before = kit.log_count;

    kit_publish(&kit, connection, 50, batch);
    kit_take_error(&kit, connection, 50, status);
    assert_int_equal(kit.log_count, before);
    assert_int_equal(kit.prepared_held, 0);
}

static void publish_wrong_source_is_refused(void **state)
{
    struct kit_batch batch = batch_of("a.b", 0, 1);

    (void)state;
    batch.agency = "H26.17";
    batch.system = "portal";
    expect_refused(&batch, TRUC_BAD_SOURCE);
    batch.agency = "H26.16";
    batch.system = "other";
    expect_refused(&batch, TRUC_BAD_SOURCE);
}

static void publish_unknown_producer_or_epoch_is_refused(void **state)
{
    struct kit_batch batch = batch_of("a.b", 0, 1);
    uint64_t stranger = kit_session(&kit, "H26.17", "portal");

    (void)state;
    batch.producer_id = 77;
    expect_refused(&batch, TRUC_UNKNOWN_PRODUCER);
    batch = batch_of("a.b", 0, 1);
    batch.epoch = 2;
    expect_refused(&batch, TRUC_UNKNOWN_PRODUCER);
    batch = batch_of("a.b", 0, 1);
    batch.agency = "H26.17";
    batch.system = "portal";
    kit_publish(&kit, stranger, 5, &batch);
    kit_take_error(&kit, stranger, 5, TRUC_UNKNOWN_PRODUCER);
}

static void publish_against_its_family_is_refused(void **state)
{
    struct kit_batch batch = batch_of("meter.x", 0, 1);

    (void)state;
    batch.codec = CODEC_LZ4;
    batch.record_largest = 100;
    expect_refused(&batch, TRUC_EVIDENCE_MISMATCH);
    batch.evidence = EVIDENCE_BATCH;
    batch.record_largest = 101;
    expect_refused(&batch, TRUC_RECORD_TOO_LARGE);
    batch.record_largest = 100;
    batch.codec = CODEC_NONE;
    expect_refused(&batch, TRUC_BAD_CODEC);
    batch.codec = CODEC_LZ4;
    kit_publish(&kit, connection, 5, &batch);
    kit_commit(&kit);
    expect_ok(5, 0, 0);
    batch = batch_of("free.x", 0, 1);
    batch.record_largest = kit.config.record_bytes_max + 1;
    expect_refused(&batch, TRUC_RECORD_TOO_LARGE);
    batch = batch_of("free.x", 0, 1);
    batch.batch_bytes = kit.config.batch_bytes_max + 1u;
    batch.frame_bytes = 100;
    expect_refused(&batch, TRUC_BATCH_TOO_LARGE);
}

static void publish_other_evidence_than_the_topics_is_refused(void **state)
{
    struct kit_batch batch = batch_of("free.x", 0, 1);

    (void)state;
    batch.evidence = EVIDENCE_BATCH;
    kit_publish(&kit, connection, 5, &batch);
    kit_commit(&kit);
    expect_ok(5, 0, 0);
    batch.evidence = EVIDENCE_RECORD;
    batch.first_sequence = 1;
    expect_refused(&batch, TRUC_EVIDENCE_MISMATCH);
    batch.evidence = EVIDENCE_BATCH;
    kit_publish(&kit, connection, 6, &batch);
    kit_commit(&kit);
    expect_ok(6, 1, 1);
}

static void publish_that_leaves_the_evidence_open_takes_the_topics(void **state)
{
    struct kit_batch batch = batch_of("free.x", 0, 1);
    struct leaf leaf;
    const struct kit_entry *entry;

    (void)state;
    batch.evidence = EVIDENCE_BATCH;
    kit_publish(&kit, connection, 5, &batch);
    batch.evidence = EVIDENCE_UNSPECIFIED;
    batch.first_sequence = 1;
    kit_publish(&kit, connection, 6, &batch);
    kit_commit(&kit);
    expect_ok(5, 0, 0);
    expect_ok(6, 1, 1);
    entry = &kit.log[kit.log_count - 1];
    assert_int_equal(leaf_parse(bytes_of(entry->leaf, entry->leaf_size), &leaf), TRUC_OK);
    assert_int_equal(leaf.evidence, EVIDENCE_BATCH);
    assert_int_equal(leaf.records_root[31], 0x30 + EVIDENCE_BATCH);
}

static void publish_more_topics_than_allowed_is_refused(void **state)
{
    struct kit_batch batch;

    (void)state;
    kit_fini(&kit);
    kit_init(&kit);
    kit.config.topics_max = 2;
    begin();
    publish(5, "a", 0, 1);
    publish(6, "b", 0, 1);
    batch = batch_of("c", 0, 1);
    expect_refused(&batch, TRUC_QUOTA_EXCEEDED);
    publish(7, "b", 1, 1);
    kit_commit(&kit);
    expect_ok(5, 0, 0);
}

static void publish_verify_pool_refusal_is_passed_on(void **state)
{
    struct core_event event = {.kind = CORE_PUBLISH_BAD,
                               .connection = connection,
                               .request_id = 5,
                               .frame_bytes = 100,
                               .status = TRUC_BAD_RECORD,
                               .why = "record 7: key is not UTF-8"};
    const Truc__V1__Error *error;

    (void)state;
    kit_event(&kit, event);
    error = kit_take_error(&kit, connection, 5, TRUC_BAD_RECORD);
    assert_non_null(strstr(error->message, "record 7"));
    publish(6, "a", 1, 1); /* the batch behind it does not slip into its place */
    assert_int_equal(kit_take_error(&kit, connection, 6, TRUC_OUT_OF_SEQUENCE)->actual, 0);
}

static void publish_beyond_the_credit_closes(void **state)
{
    struct kit_batch batch = batch_of("a", 0, 1);

    (void)state;
    batch.frame_bytes = kit.config.publish_credit_bytes / 2;
    kit_publish(&kit, connection, 5, &batch);
    batch.first_sequence = 1;
    kit_publish(&kit, connection, 6, &batch);
    kit_commit(&kit); /* answers give the credit back */
    expect_ok(5, 0, 0);
    expect_ok(6, 1, 1);
    batch.first_sequence = 2;
    kit_publish(&kit, connection, 7, &batch);
    batch.first_sequence = 3;
    kit_publish(&kit, connection, 8, &batch);
    batch.first_sequence = 4;
    batch.frame_bytes = 1;
    kit_publish(&kit, connection, 9, &batch);
    kit_take_error(&kit, connection, 0, TRUC_CREDIT_EXCEEDED);
    kit_expect_closed(&kit, connection);
    kit_commit(&kit);
    kit_expect_nothing(&kit, connection);
}

static void publish_one_frame_larger_than_the_credit_may_come_alone(void **state)
{
    struct kit_batch batch = batch_of("a", 0, 1);

    (void)state;
    batch.frame_bytes = kit.config.publish_credit_bytes + 1000;
    kit_publish(&kit, connection, 5, &batch);
    kit_commit(&kit);
    expect_ok(5, 0, 0);
}

static void publish_more_than_w_under_way_is_busy(void **state)
{
    const Truc__V1__Error *error;

    (void)state;
    for (uint64_t i = 0; i < BATCHES_IN_FLIGHT_MAX; i++)
        publish(10 + i, "a", i, 1);
    publish(99, "a", BATCHES_IN_FLIGHT_MAX, 1);
    error = kit_take_error(&kit, connection, 99, TRUC_BUSY);
    assert_true(error->retry_after_ms > 0);
    publish(98, "b", 0, 1); /* another topic is free */
    kit_commit(&kit);
    for (uint64_t i = 0; i < BATCHES_IN_FLIGHT_MAX; i++)
        expect_ok(10 + i, i, i);
    expect_ok(98, BATCHES_IN_FLIGHT_MAX, 0);
    publish(99, "a", BATCHES_IN_FLIGHT_MAX, 1);
    kit_commit(&kit);
    expect_ok(99, BATCHES_IN_FLIGHT_MAX + 1, BATCHES_IN_FLIGHT_MAX);
}

static void publish_more_pending_memory_than_allowed_is_busy(void **state)
{
    struct kit_batch batch = batch_of("a", 0, 1);

    (void)state;
    kit_fini(&kit);
    kit_init(&kit);
    kit.config.pending_bytes_max = 10000;
    begin();
    batch = batch_of("a", 0, 1);
    batch.batch_bytes = 6000;
    kit_publish(&kit, connection, 5, &batch);
    batch.topic = "b";
    kit_publish(&kit, connection, 6, &batch);
    kit_take_error(&kit, connection, 6, TRUC_BUSY);
    kit_commit(&kit);
    expect_ok(5, 0, 0);
    batch.batch_bytes = 20000; /* larger than the bound, but alone */
    kit_publish(&kit, connection, 7, &batch);
    kit_commit(&kit);
    expect_ok(7, 1, 0);
}

static void publish_answers_of_a_gone_connection_are_dropped(void **state)
{
    uint64_t other = kit_session(&kit, "H26.17", "portal");

    (void)state;
    publish(5, "a", 0, 1);
    kit_disconnect(&kit, connection);
    connection = kit_connect(&kit); /* may get the same memory */
    kit_commit(&kit);
    kit_expect_nothing(&kit, connection);
    kit_expect_nothing(&kit, other);
    publish(6, "a", 1, 1); /* from a connection that never logged in */
    kit_take_error(&kit, connection, 0, TRUC_NOT_LOGGED_IN);
    kit_publish(&kit, 4711, 6, &(struct kit_batch){.topic = "a", .record_count = 1}); /* from none at all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(publish_is_answered_only_after_the_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_answers_of_one_step_are_one_send, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_leaves_chain_within_their_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_wrong_source_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_unknown_producer_or_epoch_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_against_its_family_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_other_evidence_than_the_topics_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_that_leaves_the_evidence_open_takes_the_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_more_topics_than_allowed_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_verify_pool_refusal_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_beyond_the_credit_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_one_frame_larger_than_the_credit_may_come_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_more_than_w_under_way_is_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_more_pending_memory_than_allowed_is_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_answers_of_a_gone_connection_are_dropped, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
