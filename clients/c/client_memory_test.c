/* client_memory_test.c: every allocation of a whole session fails once, one after the other: nothing crashes, hangs, leaks or lies.
 *
 * The linker sends malloc and its kin of this program here; NNG's own are not touched, nor are the fake broker's. */
#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);

static _Atomic long countdown = -1; /* allocations until the one that fails; negative: none does */
static struct fake_broker *_Atomic broker;

static bool fails(void)
{
    struct fake_broker *exempt = atomic_load(&broker);

    if (exempt == NULL || pthread_equal(pthread_self(), exempt->thread) || atomic_load(&countdown) < 0)
        return false;
    return atomic_fetch_sub(&countdown, 1) == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails() ? NULL : __real_strndup(text, size);
}

/* Only these may be had from lack of memory. */
static bool acceptable(truc_status status)
{
    return status == TRUC_OK || status == TRUC_NO_MEMORY || status == TRUC_INVALID_ARGUMENT;
}

struct tally {
    _Atomic uint64_t stored, told, read;
};

static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct tally *tally = context;

    for (size_t i = 0; i < count; i++)
        tally->stored += deliveries[i].status == TRUC_OK;
    tally->told += count;
}

static truc_status on_message(void *context, const truc_message *messages, size_t count)
{
    struct tally *tally = context;

    (void)messages;
    tally->read += count;
    return TRUC_OK;
}

static uint64_t publish_some(truc_producer *producer)
{
    static const char *const topics[] = {"memory.a", "memory.b", "memory.c"};
    truc_header header = {{"n", 1}, {"v", 1}};
    uint64_t taken = 0;

    for (uint64_t i = 0; i < 150; i++) {
        truc_record record = TRUC_RECORD_INIT;
        truc_status status;

        record.data = &i;
        record.data_size = sizeof i;
        record.headers = &header;
        record.header_count = i % 2;
        record.key = (truc_text){"k", i % 4 == 0};
        status = truc_publish(producer, topics[i % 3], &record, NULL);
        assert_true(acceptable(status));
        taken += status == TRUC_OK;
    }
    return taken;
}

/* All or none of them, whatever is lost on the way. */
static void publish_both(truc_producer *producer)
{
    static const char *const topics[] = {"memory.a", "memory.d"};
    truc_record record = TRUC_RECORD_INIT;
    truc_part parts[] = {{topics[0], &record}, {topics[1], &record}};
    truc_delivery deliveries[2];
    truc_status status = truc_publish_together(producer, parts, 2, WAIT_MS, deliveries, NULL);

    assert_true(acceptable(status));
    if (status == TRUC_OK)
        assert_true(deliveries[0].status == TRUC_OK && deliveries[1].status == TRUC_OK);
}

static void read_back(truc_client *client, struct tally *tally)
{
    truc_reader *reader = NULL;
    truc_status status = truc_reader_open(client, "memory.>", NULL, on_message, NULL, tally, &reader, NULL);

    assert_true(acceptable(status));
    if (status != TRUC_OK)
        return;
    status = truc_reader_wait(reader, WAIT_MS);
    assert_true(acceptable(status));
    if (status == TRUC_OK)
        assert_true(tally->read >= tally->stored);
    truc_reader_close(reader);
}

/* Takes what there is through a subscription, whatever is lost on the way; gives up when the worker ends. */
static void work_through(truc_client *client, const char *mode, const truc_options *set)
{
    truc_worker *worker = NULL;
    const truc_job *job = NULL;
    uint64_t at_least = 0;
    truc_status status = truc_subscription_create(client, mode, set, NULL);

    assert_true(acceptable(status));
    if (status == TRUC_OK) {
        status = truc_worker_open(client, mode, set, NULL, NULL, NULL, NULL, &worker, NULL);
        assert_true(acceptable(status));
    }
    while (status == TRUC_OK && at_least < 100) {
        status = truc_worker_pull(worker, 300, &job);
        assert_true(acceptable(status) || status == TRUC_TIMED_OUT);
        if (status != TRUC_OK)
            break;
        status = truc_ack(worker, job->lease);
        assert_true(acceptable(status) || status == TRUC_LEASE_LOST);
        at_least += status == TRUC_OK;
        status = TRUC_OK;
    }
    (void)truc_worker_close(worker, WAIT_MS);
}

/* Asks what can be asked of a record and of dead letters. */
static void look(truc_client *client)
{
    truc_message *message = NULL;
    char *json = NULL;
    truc_status status = truc_message_read(client, "memory.b", 3, WAIT_MS, &message, NULL);

    assert_true(acceptable(status) || status == TRUC_OUT_OF_RANGE || status == TRUC_NOT_FOUND);
    truc_message_free(message);
    status = truc_thread_json(client, "memory.a", 2, &json, NULL);
    assert_true(acceptable(status) || status == TRUC_OUT_OF_RANGE || status == TRUC_NOT_FOUND);
    truc_free(json);
    json = NULL;
    status = truc_dead_json(client, "shared", 0, 10, false, &json, NULL, NULL);
    assert_true(acceptable(status) || status == TRUC_NOT_FOUND);
    truc_free(json);
    status = truc_dead_do(client, "shared", TRUC_DEAD_DROP, (uint64_t[]){4}, 1, NULL);
    assert_true(status == TRUC_NOT_FOUND || (status != TRUC_OK && acceptable(status)));
}

static truc_status serve(void *context, const truc_job *request, truc_record *reply)
{
    (void)context;
    reply->data = request->message->record.data;
    reply->data_size = request->message->record.data_size;
    return TRUC_OK;
}

/* Asks itself; what lack of memory keeps from being served in time is told as that. */
static void ask(truc_client *client, const truc_options *set)
{
    truc_record record = TRUC_RECORD_INIT;
    truc_requester *requester = NULL;
    truc_server *server = NULL;
    truc_message *reply = NULL;
    truc_status status = truc_subscription_create(client, "lookup", set, NULL);

    assert_true(acceptable(status));
    if (status == TRUC_OK) {
        status = truc_server_open(client, "lookup", NULL, serve, NULL, &server, NULL);
        assert_true(acceptable(status));
    }
    if (status == TRUC_OK) {
        status = truc_requester_open(client, NULL, &requester, NULL);
        assert_true(acceptable(status));
    }
    for (int i = 0; i < 3 && status == TRUC_OK; i++) {
        record.data = "question";
        record.data_size = 8;
        status = truc_request_wait(requester, "lookup.a", &record, 1000, &reply, NULL);
        assert_true(acceptable(status) || status == TRUC_TIMED_OUT);
        if (status != TRUC_OK)
            continue;
        assert_int_equal(reply->record.data_size, 8);
        truc_message_free(reply);
    }
    truc_requester_close(requester);
    (void)truc_server_close(server, WAIT_MS);
}

/* A whole session whose allocation number `fail_at` fails; returns how many there were until then. */
static long session(long fail_at)
{
    truc_options *options = kit_options("url", broker->url, "reconnect_min_ms", "1", "connect_timeout_ms", "5000", "codec", "lz4",
                                        "batch_records", "10", NULL);
    truc_options *shared = kit_options("pattern", "memory.>", "start", "start", "credit", "40", NULL);
    truc_options *ordered = kit_options("pattern", "memory.>", "start", "start", "mode", "ordered", NULL);
    truc_options *lookup = kit_options("pattern", "lookup.>", NULL);
    struct tally tally = {0};
    truc_client *client = NULL;
    truc_producer *producer = NULL;
    uint64_t taken;
    truc_status status;

    atomic_store(&countdown, fail_at);
    status = truc_client_open(options, &client, NULL);
    assert_true(acceptable(status));
    if (status == TRUC_OK) {
        status = truc_producer_open(client, options, on_delivery, &tally, &producer, NULL);
        assert_true(acceptable(status));
        if (status == TRUC_OK) {
            taken = publish_some(producer);
            status = truc_flush(producer, WAIT_MS);
            assert_true(acceptable(status));
            publish_both(producer);
            (void)truc_producer_close(producer, WAIT_MS);
            assert_int_equal(tally.told, taken);
        }
        read_back(client, &tally);
        work_through(client, "shared", shared);
        work_through(client, "ordered", ordered);
        look(client);
        ask(client, lookup);
        truc_client_close(client);
    }
    fail_at -= atomic_exchange(&countdown, -1);
    truc_options_destroy(options);
    truc_options_destroy(shared);
    truc_options_destroy(ordered);
    truc_options_destroy(lookup);
    return fail_at;
}

static void memory_each_allocation_may_fail(void **state)
{
    long allocations;

    (void)state;
    broker = fake_broker_start();
    allocations = session(1000000);
    print_message("%ld allocations\n", allocations);
    assert_in_range(allocations, 50, 2000);
    for (long fail_at = 0; fail_at < allocations; fail_at++) {
        (void)session(fail_at);
        fake_broker_lock(broker);
        for (size_t i = 0; i < broker->entry_count; i++)
            free(broker->entries[i].bytes);
        broker->entry_count = broker->producer_count = broker->lane_count = broker->topic_count = 0;
        broker->record_count = 0;
        memset(broker->lanes, 0, sizeof broker->lanes);
        memset(broker->topics, 0, sizeof broker->topics);
        memset(broker->producers, 0, sizeof broker->producers);
        fake_share_fini(&broker->share);
        broker->share = (struct fake_share){0};
        fake_broker_unlock(broker);
    }
    fake_broker_stop(broker);
    broker = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
