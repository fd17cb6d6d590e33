/* client_publish_test.c: producers against a broker that behaves, drops connections, refuses and repeats. */
#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <stdio.h>
#include <string.h>

static const char topic[] = "test.topic";

/* What the hook does, and when. */
struct plan {
    enum fake_deed deed;
    uint64_t at;    /* the frame, counted from 0 */
    uint64_t times; /* from there on */
    int kind;       /* only frames of this kind are counted; 0: all */
    uint64_t seen;
};

static enum fake_deed follow_plan(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct plan *plan = context;
    uint64_t seen;

    (void)broker;
    if (plan->kind != 0 && (int)frame->kind != plan->kind)
        return FAKE_NORMAL;
    seen = plan->seen++;
    return seen >= plan->at && seen < plan->at + plan->times ? plan->deed : FAKE_NORMAL;
}

static void set_plan(struct fake_broker *broker, struct plan *plan)
{
    fake_broker_lock(broker);
    broker->deed = follow_plan;
    broker->context = plan;
    fake_broker_unlock(broker);
}

/* --- the broker behaves ----------------------------------------------------------------------------------------------------- */

static void publish_many_arrive_in_order(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "batch_bytes", "10000", NULL);
    uint64_t next = 0;

    (void)state;
    kit_publish(producer, topic, 0, 20000, 64, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    kit_assert_stored(broker, topic, 20000);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 20000);
    for (size_t i = 0; i < 20000; i++) {
        assert_int_equal(ledger->numbers[i], i);
        assert_int_equal(ledger->offsets[i], i);
    }
    assert_int_equal(truc_producer_sequence(producer, topic, &next), TRUC_OK);
    assert_int_equal(next, 20000);
    assert_int_equal(truc_producer_close(producer, 0), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_codecs_arrive(void **state)
{
    static const char *const codecs[] = {"lz4", "zstd"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fake_broker *broker = fake_broker_start();
        struct ledger *ledger = ledger_create();
        truc_client *client = kit_client(broker->url, NULL);
        truc_producer *producer = kit_producer(client, ledger, "codec", codecs[i], NULL);

        kit_publish(producer, topic, 0, 5000, 400, 0);
        assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
        kit_assert_stored(broker, topic, 5000);
        assert_int_equal(ledger_count(ledger, TRUC_OK), 5000);
        truc_client_close(client);
        fake_broker_stop(broker);
        ledger_destroy(ledger);
    }
}

struct waiting {
    truc_producer *producer;
    uint64_t thread, done;
};

static void *wait_often(void *argument)
{
    struct waiting *waiting = argument;
    char name[32];

    (void)snprintf(name, sizeof name, "test.wait.%llu", (unsigned long long)(waiting->thread % 4));
    for (uint64_t i = 0; i < 50; i++) {
        truc_record record = TRUC_RECORD_INIT;
        truc_delivery delivery = {0};

        record.data = &i;
        record.data_size = sizeof i;
        if (truc_publish_wait(waiting->producer, name, &record, WAIT_MS, &delivery) == TRUC_OK && delivery.offset != UINT64_MAX)
            waiting->done++;
    }
    return NULL;
}

static void publish_wait_many_threads_share_batches(void **state)
{
    enum { THREADS = 40 };
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    struct waiting waiting[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        waiting[i] = (struct waiting){producer, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_often, &waiting[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(waiting[i].done, 50);
    }
    assert_int_equal(broker->record_count, THREADS * 50);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void publish_bad_input_is_refused_at_once(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    truc_record record = TRUC_RECORD_INIT;
    static char large[2 * 1024 * 1024];

    (void)state;
    assert_int_equal(truc_publish(producer, "a..b", &record, NULL), TRUC_BAD_TOPIC);
    assert_int_equal(truc_publish(producer, "a.*", &record, NULL), TRUC_BAD_TOPIC);
    record.key = (truc_text){"\xff\xfe", 2};
    assert_int_equal(truc_publish(producer, topic, &record, NULL), TRUC_BAD_RECORD);
    record = (truc_record)TRUC_RECORD_INIT;
    record.headers = &(truc_header){{"n\xff", 2}, {"v", 1}};
    record.header_count = 1;
    assert_int_equal(truc_publish(producer, topic, &record, NULL), TRUC_BAD_RECORD);
    record = (truc_record)TRUC_RECORD_INIT;
    record.data = large;
    record.data_size = sizeof large;
    assert_int_equal(truc_publish(producer, topic, &record, NULL), TRUC_RECORD_TOO_LARGE);
    record.size = 8;
    assert_int_equal(truc_publish(producer, topic, &record, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(broker->record_count, 0);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- the connection is lost ----------------------------------------------------------------------------------------------------
 */

static void publish_lost_connections_neither_lose_nor_double(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN,
                                           FAKE_GARBAGE,     FAKE_TWICE,      FAKE_STRANGER};

    (void)state;
    for (size_t d = 0; d < sizeof deeds / sizeof deeds[0]; d++) {
        for (uint64_t at = 3; at < 15; at++) { /* the first three frames are hello, login, producer */
            struct fake_broker *broker = fake_broker_start();
            struct ledger *ledger = ledger_create();
            struct plan plan = {.deed = deeds[d], .at = at, .times = 1 + at % 3};
            truc_client *client = kit_client(broker->url, NULL);
            truc_producer *producer =
                kit_producer(client, ledger, "batch_records", "10", "name", at % 2 == 0 ? "named" : "other", NULL);

            plan.seen = 3;
            set_plan(broker, &plan);
            kit_publish(producer, topic, 0, 120, 32, 0);
            assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
            kit_assert_stored(broker, topic, 120);
            assert_int_equal(ledger->count, 120);
            assert_int_equal(ledger_count(ledger, TRUC_OK), 120);
            for (size_t i = 0; i < 120; i++) {
                assert_int_equal(ledger->numbers[i], i);
                assert_int_equal(ledger->offsets[i], i);
            }
            truc_client_close(client);
            fake_broker_stop(broker);
            ledger_destroy(ledger);
        }
    }
}

static void publish_answers_in_splinters_are_put_together(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client;
    truc_producer *producer;

    (void)state;
    broker->slice_bytes = 3;
    client = kit_client(broker->url, NULL);
    producer = kit_producer(client, NULL, "batch_records", "5", NULL);
    kit_publish(producer, topic, 0, 500, 16, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    kit_assert_stored(broker, topic, 500);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- refusals --------------------------------------------------------------------------------------------------------------------
 */

/* Refuses a batch that holds a record with the key "the-bad-one". */
static truc_status judge_bad_key(void *context, const struct batch_view *batch)
{
    (void)context;
    return memmem(batch->stored.data, batch->stored.size, "the-bad-one", 11) != NULL ? TRUC_BAD_RECORD : TRUC_OK;
}

static void publish_one_bad_record_fails_alone(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "batch_records", "64", NULL);
    uint64_t numbers[1000], next = 0;

    (void)state;
    broker->judge = judge_bad_key;
    kit_publish(producer, topic, 0, 1000, 16, 100);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(kit_stored(broker, topic, numbers, 1000), 990);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 990);
    assert_int_equal(ledger_count(ledger, TRUC_BAD_RECORD), 10);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(ledger->numbers[i], i); /* told in order, refused ones among them */
        assert_int_equal(ledger->statuses[i], i % 100 == 99 ? TRUC_BAD_RECORD : TRUC_OK);
    }
    assert_int_equal(truc_producer_sequence(producer, topic, &next), TRUC_OK);
    assert_int_equal(next, 990);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_refused_batch_leaves_the_rest(void **state)
{
    static const truc_status refusals[] = {TRUC_EVIDENCE_MISMATCH, TRUC_NOT_ALLOWED, TRUC_BUSY, TRUC_DISK_FULL};

    (void)state;
    for (size_t r = 0; r < sizeof refusals / sizeof refusals[0]; r++) {
        struct fake_broker *broker = fake_broker_start();
        struct ledger *ledger = ledger_create();
        struct plan plan = {.deed = FAKE_REFUSE, .at = 2, .times = 2, .kind = FRAME_PUBLISH};
        truc_client *client = kit_client(broker->url, NULL);
        truc_producer *producer = kit_producer(client, ledger, "batch_records", "10", "linger_us", "20000", NULL);
        size_t refused;

        broker->refuse_status = refusals[r];
        set_plan(broker, &plan);
        kit_publish(producer, topic, 0, 200, 32, 0);
        assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
        refused = ledger_count(ledger, refusals[r]);
        assert_int_equal(ledger_count(ledger, TRUC_OK) + refused, 200);
        assert_int_equal(kit_stored(broker, topic, NULL, 0), 200 - refused);
        if (truc_status_retriable(refusals[r]))
            assert_int_equal(refused, 0);
        else
            assert_true(refused >= 10);
        truc_client_close(client);
        fake_broker_stop(broker);
        ledger_destroy(ledger);
    }
}

static void publish_too_large_batch_is_parted(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "codec", "lz4", NULL);

    (void)state;
    fake_broker_lock(broker);
    broker->batch_bytes_max = 1500; /* lowered since the hello */
    fake_broker_unlock(broker);
    kit_publish(producer, topic, 0, 300, 100, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 300);
    kit_assert_stored(broker, topic, 300);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_fenced_fails_what_waits(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *old = kit_producer(client, ledger, "name", "one", NULL);
    truc_producer *fresh;
    truc_record record = TRUC_RECORD_INIT;

    (void)state;
    kit_publish(old, topic, 0, 10, 16, 0);
    assert_int_equal(truc_flush(old, WAIT_MS), TRUC_OK);
    fresh = kit_producer(client, NULL, "name", "one", NULL);
    kit_publish(old, topic, 10, 20, 16, 0);
    assert_int_equal(truc_flush(old, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_FENCED), 10);
    assert_int_equal(truc_publish(old, topic, &record, NULL), TRUC_FENCED);
    kit_publish(fresh, topic, 10, 20, 16, 0);
    assert_int_equal(truc_flush(fresh, WAIT_MS), TRUC_OK);
    kit_assert_stored(broker, topic, 20);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_forgotten_unnamed_producer_is_told(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    struct plan plan = {.deed = FAKE_SILENT, .times = 1000, .kind = FRAME_PUBLISH};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "batch_records", "10", "in_flight", "2", NULL);

    (void)state;
    set_plan(broker, &plan);
    kit_publish(producer, topic, 0, 50, 16, 0);
    assert_int_equal(truc_flush(producer, 300), TRUC_TIMED_OUT);
    fake_broker_lock(broker);
    assert_int_equal(plan.seen, 2); /* no more in flight than allowed */
    plan.times = 0;
    broker->producers[0].gone = true;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_UNKNOWN_PRODUCER), 20);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 30);
    assert_int_equal(kit_stored(broker, topic, NULL, 0), 30);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

/* --- waiting
 * ----------------------------------------------------------------------------------------------------------------------- */

static void publish_unanswered_times_out_and_is_not_doubled(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    struct plan plan = {.deed = FAKE_SILENT, .times = 1000, .kind = FRAME_PUBLISH};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer =
        kit_producer(client, ledger, "batch_records", "10", "in_flight", "2", "delivery_timeout_ms", "1500", NULL);

    (void)state;
    set_plan(broker, &plan);
    kit_publish(producer, topic, 0, 50, 16, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_TIMED_OUT), 50);
    fake_broker_lock(broker);
    plan.times = 0;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    /* What was sent before is followed up, so new records keep their place behind it. They must be stored within the time-out, a
     * reconnect included. */
    kit_publish(producer, topic, 50, 60, 16, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 10);
    assert_int_equal(kit_stored(broker, topic, NULL, 0), 30);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_full_queue_errors_or_blocks(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    struct plan plan = {.deed = FAKE_SILENT, .times = 1000, .kind = FRAME_PUBLISH};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer =
        kit_producer(client, ledger, "queue_bytes", "100000", "queue_full", "error", "batch_bytes", "20000", NULL);
    static char data[1000];
    truc_record record = TRUC_RECORD_INIT;
    truc_status status = TRUC_OK;
    size_t count = 0;

    (void)state;
    set_plan(broker, &plan);
    record.data = data;
    record.data_size = sizeof data;
    while (status == TRUC_OK && count < 1000) {
        status = truc_publish(producer, topic, &record, NULL);
        count += status == TRUC_OK;
    }
    assert_int_equal(status, TRUC_QUEUE_FULL);
    assert_in_range(count, 50, 100);
    fake_broker_lock(broker);
    plan.times = 0;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_OK), count);
    assert_int_equal(truc_producer_close(producer, 0), TRUC_OK);

    producer = kit_producer(client, ledger, "queue_bytes", "100000", "batch_bytes", "20000", NULL);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(truc_publish(producer, topic, &record, NULL), TRUC_OK);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_OK), count + 2000);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_closed_reports_what_waits(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    struct plan plan = {.deed = FAKE_SILENT, .times = 1000, .kind = FRAME_PUBLISH};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "linger_us", "10000000", NULL);

    (void)state;
    set_plan(broker, &plan);
    kit_publish(producer, topic, 0, 100, 16, 0);
    assert_int_equal(truc_producer_close(producer, 50), TRUC_TIMED_OUT);
    assert_int_equal(ledger_count(ledger, TRUC_CLOSED), 100);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_wait_times_out_alone(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct plan plan = {.deed = FAKE_SILENT, .times = 1000, .kind = FRAME_PUBLISH};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    truc_record record = TRUC_RECORD_INIT;
    truc_delivery delivery;

    (void)state;
    set_plan(broker, &plan);
    assert_int_equal(truc_publish_wait(producer, topic, &record, 50, &delivery), TRUC_TIMED_OUT);
    fake_broker_lock(broker);
    plan.times = 0;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    assert_int_equal(truc_publish_wait(producer, topic, &record, WAIT_MS, &delivery), TRUC_OK);
    assert_int_equal(delivery.offset, 1); /* the first one was not given up, only not waited for */
    truc_client_close(client);
    fake_broker_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_many_arrive_in_order),
        cmocka_unit_test(publish_codecs_arrive),
        cmocka_unit_test(publish_wait_many_threads_share_batches),
        cmocka_unit_test(publish_bad_input_is_refused_at_once),
        cmocka_unit_test(publish_lost_connections_neither_lose_nor_double),
        cmocka_unit_test(publish_answers_in_splinters_are_put_together),
        cmocka_unit_test(publish_one_bad_record_fails_alone),
        cmocka_unit_test(publish_refused_batch_leaves_the_rest),
        cmocka_unit_test(publish_too_large_batch_is_parted),
        cmocka_unit_test(publish_fenced_fails_what_waits),
        cmocka_unit_test(publish_forgotten_unnamed_producer_is_told),
        cmocka_unit_test(publish_unanswered_times_out_and_is_not_doubled),
        cmocka_unit_test(publish_full_queue_errors_or_blocks),
        cmocka_unit_test(publish_closed_reports_what_waits),
        cmocka_unit_test(publish_wait_times_out_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
