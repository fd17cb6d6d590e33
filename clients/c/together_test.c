/* together_test.c: parts that are published together, all or none, against a broker that loses connections, refuses and forgets. */
#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS_MAX = 2048, TOPIC_BYTES = 32 };

/* What the hook does with PUBLISH frames from number `at` on, counted from 0. */
struct plan {
    enum fake_deed deed;
    uint64_t at, times, seen;
};

static enum fake_deed follow_plan(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct plan *plan = context;
    uint64_t seen;

    (void)broker;
    if (frame->kind != FRAME_PUBLISH)
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

/* `count` parts over `topics` topics in turn; part i of a call that begins at number N carries N + i. */
struct call {
    truc_part parts[PARTS_MAX];
    truc_record records[PARTS_MAX];
    truc_delivery deliveries[PARTS_MAX];
    uint64_t numbers[PARTS_MAX];
    char topics[PARTS_MAX][TOPIC_BYTES];
    size_t count;
    char *why;
};

static struct call *call_create(uint64_t first, size_t count, size_t topics)
{
    struct call *call = calloc(1, sizeof *call);

    assert_non_null(call);
    assert_true(count <= PARTS_MAX && topics <= PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        call->numbers[i] = first + i;
        call->records[i] = (truc_record)TRUC_RECORD_INIT;
        call->records[i].data = &call->numbers[i];
        call->records[i].data_size = sizeof call->numbers[i];
        (void)snprintf(call->topics[i % topics], TOPIC_BYTES, "together.t%zu", i % topics);
        call->parts[i] = (truc_part){call->topics[i % topics], &call->records[i]};
    }
    call->count = count;
    return call;
}

static truc_status call_make(struct call *call, truc_producer *producer, int timeout_ms)
{
    truc_free(call->why);
    call->why = NULL;
    return truc_publish_together(producer, call->parts, call->count, timeout_ms, call->deliveries, &call->why);
}

static void call_free(struct call *call)
{
    truc_free(call->why);
    free(call);
}

static void call_assert_ok(struct call *call, truc_producer *producer)
{
    if (call_make(call, producer, WAIT_MS) != TRUC_OK)
        fail_msg("%s", call->why);
    for (size_t i = 0; i < call->count; i++) {
        assert_int_equal(call->deliveries[i].status, TRUC_OK);
        assert_ptr_equal(call->deliveries[i].topic, call->parts[i].topic);
        assert_null(call->deliveries[i].why);
    }
}

/* --- the broker behaves ------------------------------------------------------------------------------------------------------- */

static void together_parts_of_several_topics_are_one_frame(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "name", "both", NULL);
    struct call *first = call_create(0, 10, 3), *second = call_create(10, 10, 3);

    (void)state;
    broker->subscriptions = 5;
    call_assert_ok(first, producer);
    assert_int_equal(broker->publishes, 1);
    assert_int_equal(broker->entry_count, 3);
    for (size_t i = 0; i < 10; i++) {
        const truc_delivery *delivery = &first->deliveries[i];

        assert_int_equal(delivery->position, i % 3);
        assert_int_equal(delivery->index, i / 3);
        assert_int_equal(delivery->offset, i / 3);
        assert_int_equal(delivery->sequence, i / 3);
        assert_int_equal(delivery->subscriptions, 5 + i % 3);
        assert_true(delivery->created);
        assert_false(delivery->duplicate);
    }
    call_assert_ok(second, producer);
    assert_int_equal(second->deliveries[0].offset, 4);
    assert_int_equal(second->deliveries[0].sequence, 4);
    assert_int_equal(second->deliveries[9].offset, 7);
    assert_false(second->deliveries[0].created);
    assert_int_equal(kit_stored(broker, "together.t0", NULL, 0), 8);
    assert_int_equal(broker->producer_count, 2);
    assert_string_equal(broker->producers[1].name, "both#together");
    call_free(first);
    call_free(second);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void together_one_topic_is_an_ordinary_publish(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "codec", "zstd", NULL);
    struct call *call = call_create(0, 1000, 1); /* the fake broker asserts that one batch comes without batch_bytes */

    (void)state;
    call_assert_ok(call, producer);
    assert_int_equal(call->deliveries[999].offset, 999);
    kit_assert_stored(broker, "together.t0", 1000);
    call_free(call);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* What is published one by one and what is published together have numbers of their own. */
static void together_is_apart_from_what_is_on_its_way(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "name", "n", "codec", "lz4", "linger_us", "10000000", NULL);
    uint64_t next = 0;

    (void)state;
    kit_publish(producer, "alone.t", 0, 100, 64, 0);
    for (uint64_t round = 0; round < 20; round++) {
        struct call *call = call_create(round * 200, 200, 64);

        call_assert_ok(call, producer);
        call_free(call);
    }
    assert_int_equal(kit_stored(broker, "alone.t", NULL, 0), 0); /* it lingers */
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    kit_assert_stored(broker, "alone.t", 100);
    assert_int_equal(broker->record_count, 4100);
    assert_int_equal(truc_producer_sequence(producer, "alone.t", &next), TRUC_OK);
    assert_int_equal(next, 100);
    assert_int_equal(truc_producer_sequence(producer, "together.t0", &next), TRUC_OK);
    assert_int_equal(next, 0);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

struct one_of_many {
    truc_producer *producer;
    uint64_t number;
    unsigned done;
};

static void *call_often(void *argument)
{
    struct one_of_many *one = argument;

    for (uint64_t i = 0; i < 30; i++) {
        struct call *call = call_create(one->number * 1000 + i, 4, 2);

        one->done += call_make(call, one->producer, WAIT_MS) == TRUC_OK;
        call_free(call);
    }
    return NULL;
}

static void together_threads_take_turns(void **state)
{
    enum { THREADS = 8 };
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    struct one_of_many ones[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        ones[i] = (struct one_of_many){producer, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &ones[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(ones[i].done, 30);
    }
    assert_int_equal(broker->record_count, THREADS * 30 * 4);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- wrong input ---------------------------------------------------------------------------------------------------------------
 */

static void together_bad_parts_keep_all_out(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    struct call *call = call_create(0, 10, 2);
    struct call *many = call_create(0, 65, 65);
    static char large[900000];

    (void)state;
    assert_int_equal(truc_publish_together(producer, call->parts, 0, WAIT_MS, NULL, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_publish_together(producer, NULL, 1, WAIT_MS, NULL, NULL), TRUC_INVALID_ARGUMENT);
    call->parts[7].topic = "a..b";
    assert_int_equal(call_make(call, producer, WAIT_MS), TRUC_BAD_TOPIC);
    assert_non_null(strstr(call->why, "part 7: topic 'a..b'"));
    call->parts[7].topic = NULL;
    assert_int_equal(call_make(call, producer, WAIT_MS), TRUC_INVALID_ARGUMENT);
    call->parts[7].topic = "a.b";
    call->records[7].key = (truc_text){"\xff\xfe", 2};
    assert_int_equal(call_make(call, producer, WAIT_MS), TRUC_BAD_RECORD);
    assert_non_null(strstr(call->why, "part 7"));
    call->records[7].key = (truc_text){0};
    assert_int_equal(call_make(many, producer, WAIT_MS), TRUC_INVALID_ARGUMENT);
    assert_non_null(strstr(many->why, "64 topics"));
    for (size_t i = 0; i < 65; i++) {
        many->records[i].data = large;
        many->records[i].data_size = sizeof large;
        many->parts[i].topic = many->topics[i % 60];
    }
    assert_int_equal(call_make(many, producer, WAIT_MS), TRUC_BATCH_TOO_LARGE);
    assert_non_null(strstr(many->why, "bytes that the broker takes"));
    assert_int_equal(broker->publishes, 0);
    call_assert_ok(call, producer); /* nothing is left of all that */
    assert_int_equal(broker->record_count, 10);
    call_free(call);
    call_free(many);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void together_long_name_is_refused(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    char name[PRODUCER_NAME_BYTES_MAX + 1] = "";
    truc_producer *fits, *longer;
    struct call *call = call_create(0, 2, 2);

    (void)state;
    memset(name, 'n', PRODUCER_NAME_BYTES_MAX - 9);
    fits = kit_producer(client, NULL, "name", name, NULL);
    name[PRODUCER_NAME_BYTES_MAX - 9] = 'n';
    longer = kit_producer(client, NULL, "name", name, NULL);
    assert_int_equal(call_make(call, longer, WAIT_MS), TRUC_INVALID_ARGUMENT);
    assert_non_null(strstr(call->why, "at most 119 bytes"));
    call_assert_ok(call, fits);
    call_free(call);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- refusals ------------------------------------------------------------------------------------------------------------------
 */

static truc_status judge_second(void *context, const struct batch_view *batch)
{
    (void)context;
    return bytes_equal(batch->topic, bytes_of_text("together.t1")) ? TRUC_NOT_ALLOWED : TRUC_OK;
}

static void together_refused_leaves_sequences_as_they_were(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    struct call *call = call_create(0, 9, 3);

    (void)state;
    fake_broker_lock(broker);
    broker->judge = judge_second;
    fake_broker_unlock(broker);
    assert_int_equal(call_make(call, producer, WAIT_MS), TRUC_NOT_ALLOWED);
    assert_string_equal(call->why, "refused by the test");
    assert_int_equal(broker->record_count, 0);
    fake_broker_lock(broker);
    broker->judge = NULL;
    fake_broker_unlock(broker);
    call_assert_ok(call, producer);
    assert_int_equal(call->deliveries[0].sequence, 0);
    call_free(call);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void together_busy_broker_is_tried_again(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct plan plan = {.deed = FAKE_REFUSE, .times = 3};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    struct call *call = call_create(0, 9, 3);

    (void)state;
    broker->refuse_status = TRUC_BUSY;
    set_plan(broker, &plan);
    call_assert_ok(call, producer);
    assert_int_equal(plan.seen, 4);
    assert_int_equal(broker->record_count, 9);
    call_free(call);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void together_fenced_by_another_instance(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *old = kit_producer(client, NULL, "name", "one", NULL), *fresh;
    struct call *call = call_create(0, 4, 2), *later = call_create(4, 4, 2);

    (void)state;
    call_assert_ok(call, old);
    fresh = kit_producer(client, NULL, "name", "one", NULL);
    call_assert_ok(later, fresh);
    assert_int_equal(later->deliveries[0].sequence, 2); /* its numbers go on */
    assert_int_equal(call_make(call, old, WAIT_MS), TRUC_FENCED);
    assert_int_equal(call_make(call, old, WAIT_MS), TRUC_FENCED);
    assert_int_equal(broker->record_count, 8);
    call_free(call);
    call_free(later);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- the connection is lost ----------------------------------------------------------------------------------------------------
 */

static void together_lost_connections_neither_lose_nor_double(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN,
                                           FAKE_GARBAGE,     FAKE_TWICE,      FAKE_STRANGER};

    (void)state;
    for (size_t d = 0; d < sizeof deeds / sizeof deeds[0]; d++) {
        struct fake_broker *broker = fake_broker_start();
        struct plan plan = {.deed = deeds[d], .at = 1, .times = 3};
        truc_client *client = kit_client(broker->url, NULL);
        truc_producer *producer = kit_producer(client, NULL, "name", d % 2 == 0 ? "named" : "other", NULL);
        bool lost = deeds[d] != FAKE_DROP_BEFORE;

        set_plan(broker, &plan);
        for (uint64_t round = 0; round < 8; round++) {
            struct call *call = call_create(round * 10, 10, 5);

            call_assert_ok(call, producer);
            assert_int_equal(call->deliveries[0].offset, round * 2);
            if (round == 1 && deeds[d] != FAKE_TWICE)
                assert_int_equal(call->deliveries[0].duplicate, lost);
            call_free(call);
        }
        assert_int_equal(broker->record_count, 80);
        for (size_t t = 0; t < 5; t++) {
            char topic[TOPIC_BYTES];

            (void)snprintf(topic, sizeof topic, "together.t%zu", t);
            assert_int_equal(kit_stored(broker, topic, NULL, 0), 16);
        }
        truc_client_close(client);
        fake_broker_stop(broker);
    }
}

static void together_unanswered_goes_on_by_itself(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct plan plan = {.deed = FAKE_SILENT, .times = 1000};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "name", "n", NULL);
    struct call *first = call_create(0, 6, 3), *second = call_create(6, 6, 3);

    (void)state;
    set_plan(broker, &plan);
    assert_int_equal(call_make(first, producer, 200), TRUC_TIMED_OUT);
    assert_non_null(strstr(first->why, "may be stored"));
    call_free(first); /* nothing of it is needed any more */
    assert_int_equal(call_make(second, producer, 50), TRUC_TIMED_OUT);
    assert_non_null(strstr(second->why, "nothing was sent"));
    fake_broker_lock(broker);
    plan.times = 0;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    call_assert_ok(second, producer);
    assert_int_equal(second->deliveries[0].sequence, 2);
    assert_int_equal(broker->record_count, 12);
    call_free(second);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* Closing gives an abandoned frame its time, and then gives it up. */
static void together_close_waits_as_long_as_asked(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct plan plan = {.deed = FAKE_SILENT, .times = 1000};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    struct call *call = call_create(0, 6, 3);

    (void)state;
    set_plan(broker, &plan);
    assert_int_equal(call_make(call, producer, 50), TRUC_TIMED_OUT);
    assert_int_equal(truc_producer_close(producer, 50), TRUC_TIMED_OUT);
    producer = kit_producer(client, NULL, NULL);
    assert_int_equal(call_make(call, producer, 50), TRUC_TIMED_OUT);
    fake_broker_lock(broker);
    plan.times = 0;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    assert_int_equal(truc_producer_close(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(broker->record_count, 6);
    call_free(call);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void together_forgotten_unnamed_producer_is_told(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct plan plan = {.deed = FAKE_DROP_BEFORE, .times = 1};
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    struct call *call = call_create(0, 4, 2);

    (void)state;
    fake_broker_lock(broker);
    for (size_t i = 0; i < FAKE_PRODUCERS_MAX; i++)
        broker->producers[i].gone = i == 1; /* the companion will be the second */
    fake_broker_unlock(broker);
    set_plan(broker, &plan);
    assert_int_equal(call_make(call, producer, WAIT_MS), TRUC_UNKNOWN_PRODUCER);
    assert_non_null(strstr(call->why, "it may be stored"));
    call_assert_ok(call, producer);
    assert_int_equal(call->deliveries[0].sequence, 0);
    assert_int_equal(broker->record_count, 4);
    call_free(call);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* Frames as large as the whole credit get their turn among batches of other lanes, and give it back. */
static void together_large_frames_share_the_credit(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client;
    truc_producer *producer;
    struct call *call = call_create(0, 30, 10);
    static char large[8000];

    (void)state;
    broker->credit_bytes = 260000;
    client = kit_client(broker->url, NULL);
    producer = kit_producer(client, ledger, "batch_bytes", "20000", NULL);
    for (size_t i = 0; i < 30; i++) {
        memcpy(large, &call->numbers[i], sizeof call->numbers[i]);
        call->records[i].data = large;
        call->records[i].data_size = sizeof large;
    }
    for (uint64_t round = 0; round < 10; round++) {
        kit_publish(producer, "alone.t", round * 1000, (round + 1) * 1000, 200, 0);
        call_assert_ok(call, producer);
    }
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 10000);
    assert_int_equal(broker->record_count, 10300);
    call_free(call);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(together_parts_of_several_topics_are_one_frame),
        cmocka_unit_test(together_one_topic_is_an_ordinary_publish),
        cmocka_unit_test(together_is_apart_from_what_is_on_its_way),
        cmocka_unit_test(together_threads_take_turns),
        cmocka_unit_test(together_bad_parts_keep_all_out),
        cmocka_unit_test(together_long_name_is_refused),
        cmocka_unit_test(together_refused_leaves_sequences_as_they_were),
        cmocka_unit_test(together_busy_broker_is_tried_again),
        cmocka_unit_test(together_fenced_by_another_instance),
        cmocka_unit_test(together_lost_connections_neither_lose_nor_double),
        cmocka_unit_test(together_unanswered_goes_on_by_itself),
        cmocka_unit_test(together_close_waits_as_long_as_asked),
        cmocka_unit_test(together_forgotten_unnamed_producer_is_told),
        cmocka_unit_test(together_large_frames_share_the_credit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
