/* subscription_test.c: subscriptions and their workers against a broker that leases, forgets, and lies. */
#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char topic[] = "test.work";

/* A broker with `count` numbered records, ten to an entry, in `topic`. */
static struct fake_broker *filled_broker(uint64_t count)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "batch_records", "10", "linger_us", "10000000", NULL);

    kit_publish(producer, topic, 0, count, 16, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    return broker;
}

static void subscribe(truc_client *client, const char *name, const char *mode)
{
    truc_options *options = kit_options("pattern", "test.*", "mode", mode, "start", "start", NULL);
    char *why = NULL;

    if (truc_subscription_create(client, name, options, &why) != TRUC_OK)
        fail_msg("create: %s", why);
    truc_options_destroy(options);
}

/* What a callback has seen. */
struct work {
    pthread_mutex_t lock;
    pthread_cond_t more;
    truc_worker *worker;
    size_t count, settled, lost, most;
    uint8_t seen[LEDGER_MAX]; /* how often each number */
    uint64_t last_lease, last_number;
    uint32_t attempt_max;
    bool ack, in_order, ended, stop;
    truc_status end;
    char why[256];
};

static struct work *work_create(void)
{
    struct work *work = calloc(1, sizeof *work);

    assert_non_null(work);
    (void)pthread_mutex_init(&work->lock, NULL);
    (void)pthread_cond_init(&work->more, NULL);
    work->ack = work->in_order = true;
    work->most = SIZE_MAX;
    return work;
}

static void work_destroy(struct work *work)
{
    (void)pthread_cond_destroy(&work->more);
    (void)pthread_mutex_destroy(&work->lock);
    free(work);
}

static uint64_t number_of(const truc_job *job)
{
    uint64_t number;

    assert_int_equal(job->message->record.data_size, 16);
    memcpy(&number, job->message->record.data, sizeof number);
    assert_int_equal(job->message->offset, number);
    return number;
}

static truc_status on_jobs(void *context, const truc_job *jobs, size_t count)
{
    struct work *work = context;
    truc_status status = TRUC_OK;

    (void)pthread_mutex_lock(&work->lock);
    while (work->worker == NULL) /* until the opening has returned */
        (void)pthread_cond_wait(&work->more, &work->lock);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = number_of(&jobs[i]);

        assert_true(jobs[i].lease > work->last_lease);
        work->in_order = work->in_order && (work->count == 0 || number > work->last_number);
        work->last_lease = jobs[i].lease;
        work->last_number = number;
        work->seen[number]++;
        work->count++;
        if (jobs[i].attempt > work->attempt_max)
            work->attempt_max = jobs[i].attempt;
        if (work->ack)
            (void)truc_ack(work->worker, jobs[i].lease);
    }
    if (work->count >= work->most)
        status = TRUC_CONFLICT;
    (void)pthread_cond_broadcast(&work->more);
    (void)pthread_mutex_unlock(&work->lock);
    return status;
}

static void on_settled(void *context, const truc_settled *settled, size_t count)
{
    struct work *work = context;

    (void)pthread_mutex_lock(&work->lock);
    for (size_t i = 0; i < count; i++) {
        assert_true(settled[i].lease > 0 && settled[i].size == sizeof *settled);
        work->settled += settled[i].status == TRUC_OK;
        work->lost += settled[i].status == TRUC_LEASE_LOST;
    }
    (void)pthread_cond_broadcast(&work->more);
    (void)pthread_mutex_unlock(&work->lock);
}

static void on_end(void *context, truc_status status, const char *why)
{
    struct work *work = context;

    (void)pthread_mutex_lock(&work->lock);
    assert_false(work->ended);
    work->ended = true;
    work->end = status;
    (void)snprintf(work->why, sizeof work->why, "%s", why);
    (void)pthread_mutex_unlock(&work->lock);
}

static truc_worker *open_worker(truc_client *client, struct work *work, const char *name, const char *credit)
{
    truc_options *options = kit_options("credit", credit, "credit_bytes", "65536", NULL);
    truc_worker *worker = NULL;
    char *why = NULL;

    if (truc_worker_open(client, name, options, work != NULL ? on_jobs : NULL, work != NULL ? on_settled : NULL,
                         work != NULL ? on_end : NULL, work, &worker, &why) != TRUC_OK)
        fail_msg("worker: %s", why);
    truc_options_destroy(options);
    if (work != NULL) {
        (void)pthread_mutex_lock(&work->lock);
        work->worker = worker;
        (void)pthread_cond_broadcast(&work->more);
        (void)pthread_mutex_unlock(&work->lock);
    }
    return worker;
}

static void wait_for(struct work *work, const size_t *what, size_t count)
{
    (void)pthread_mutex_lock(&work->lock);
    while (*what < count)
        (void)pthread_cond_wait(&work->more, &work->lock);
    (void)pthread_mutex_unlock(&work->lock);
}

static size_t in_state(struct fake_broker *broker, enum fake_record_state state)
{
    size_t count;

    fake_broker_lock(broker);
    count = fake_share_count(broker, state);
    fake_broker_unlock(broker);
    return count;
}

/* --- requests ----------------------------------------------------------------------------------------------------------------- */

static void subscription_is_created_listed_changed_removed(void **state)
{
    struct fake_broker *broker = filled_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    truc_options *other = kit_options("pattern", "other", NULL);
    char *json = NULL, *why = NULL;
    bool more = false;

    (void)state;
    subscribe(client, "beta", "shared");
    subscribe(client, "alpha", "ordered");
    subscribe(client, "beta", "shared"); /* again is the same */
    assert_int_equal(truc_subscription_create(client, "beta", other, &why), TRUC_EXISTS);
    assert_string_equal(why, "refused by the test");
    truc_free(why);
    assert_int_equal(truc_subscription_info_json(client, "beta", &json), TRUC_OK);
    assert_non_null(strstr(json, "\"pattern\":\"test.*\",\"mode\":\"shared\",\"paused\":false"));
    assert_non_null(strstr(json, "\"attempts\":0"));
    truc_free(json);
    assert_int_equal(truc_subscription_change(client, "beta", TRUC_SUBSCRIPTION_PAUSE, NULL), TRUC_OK);
    assert_int_equal(truc_subscriptions_json(client, "", 1, &json, &more), TRUC_OK);
    assert_true(more);
    assert_non_null(strstr(json, "alpha"));
    assert_null(strstr(json, "beta"));
    truc_free(json);
    assert_int_equal(truc_subscriptions_json(client, "alpha", 1, &json, &more), TRUC_OK);
    assert_false(more);
    assert_non_null(strstr(json, "\"paused\":true"));
    truc_free(json);
    assert_int_equal(truc_subscription_change(client, "beta", TRUC_SUBSCRIPTION_RESUME, NULL), TRUC_OK);
    assert_int_equal(truc_subscription_reset(client, "beta", "position=7", NULL), TRUC_OK);
    assert_int_equal(truc_subscription_info_json(client, "beta", &json), TRUC_OK);
    assert_non_null(strstr(json, "\"position\":7"));
    truc_free(json);
    assert_int_equal(truc_subscription_change(client, "beta", TRUC_SUBSCRIPTION_REMOVE, NULL), TRUC_OK);
    assert_int_equal(truc_subscription_info_json(client, "beta", &json), TRUC_NOT_FOUND);
    truc_options_destroy(other);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void subscription_wrong_arguments_are_named(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_options *none = kit_options(NULL, NULL), *ordered = kit_options("pattern", "a", "mode", "ordered", "attempts", "3", NULL);
    truc_worker *worker = NULL;
    char *why = NULL;

    (void)state;
    assert_int_equal(truc_subscription_create(client, "x", none, &why), TRUC_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "pattern"));
    truc_free(why);
    assert_int_equal(truc_subscription_create(client, "x", ordered, &why), TRUC_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "attempts"));
    truc_free(why);
    assert_int_equal(truc_subscription_reset(client, "x", "yesterday", &why), TRUC_INVALID_ARGUMENT);
    truc_free(why);
    assert_int_equal(truc_worker_open(client, "x", NULL, NULL, NULL, NULL, NULL, &worker, &why), TRUC_NOT_FOUND);
    assert_null(worker);
    truc_free(why);
    truc_options_destroy(none);
    truc_options_destroy(ordered);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static enum fake_deed lose_first_change(void *context, struct fake_broker *broker, const struct frame *frame)
{
    (void)broker;
    return frame->kind == FRAME_SUBSCRIPTION_CHANGE && atomic_fetch_add((_Atomic int *)context, 1) == 0 ? FAKE_DROP_AFTER
                                                                                                        : FAKE_NORMAL;
}

/* Removed, but the answer was lost: asked again it is not there, which is what was wanted. */
static void subscription_removing_survives_a_lost_answer(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    _Atomic int seen = 0;

    (void)state;
    subscribe(client, "work", "shared");
    fake_broker_lock(broker);
    broker->context = &seen;
    broker->deed = lose_first_change;
    fake_broker_unlock(broker);
    assert_int_equal(truc_subscription_change(client, "work", TRUC_SUBSCRIPTION_REMOVE, NULL), TRUC_OK);
    assert_int_equal(truc_subscription_change(client, "work", TRUC_SUBSCRIPTION_REMOVE, NULL), TRUC_NOT_FOUND);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- shared ------------------------------------------------------------------------------------------------------------------- */

/* Whole entries, then parts of them. */
static void worker_gets_and_settles_each_record_once(void **state)
{
    (void)state;
    for (uint32_t every = 1; every <= 3; every++) {
        struct fake_broker *broker = filled_broker(5000);
        truc_client *client = kit_client(broker->url, NULL);
        struct work *work = work_create();
        size_t wanted = 0;
        truc_worker *worker;

        broker->share.every = every;
        broker->share.records_at_once = every == 2 ? 7 : 0;
        subscribe(client, "work", "shared");
        for (uint64_t i = 0; i < 5000; i++)
            wanted += i % 10 % every == 0;
        worker = open_worker(client, work, "work", "300");
        wait_for(work, &work->count, wanted);
        assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
        assert_int_equal(work->settled, wanted);
        assert_int_equal(work->count, wanted);
        assert_true(work->in_order);
        assert_int_equal(work->attempt_max, 1);
        for (uint64_t i = 0; i < 5000; i++)
            assert_int_equal(work->seen[i], i % 10 % every == 0);
        assert_int_equal(in_state(broker, FAKE_DONE), wanted);
        assert_true(broker->share.settles < wanted / 2); /* they were gathered */
        assert_int_equal(truc_ack(worker, work->last_lease), TRUC_LEASE_LOST);
        assert_int_equal(truc_ack(worker, work->last_lease + 1), TRUC_INVALID_ARGUMENT);
        assert_int_equal(truc_ack(worker, 0), TRUC_INVALID_ARGUMENT);
        assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
        assert_true(work->ended);
        assert_int_equal(work->end, TRUC_CANCELLED);
        truc_client_close(client);
        fake_broker_stop(broker);
        work_destroy(work);
    }
}

static void worker_credit_bounds_what_is_in_hand(void **state)
{
    struct fake_broker *broker = filled_broker(200);
    truc_client *client = kit_client(broker->url, NULL);
    uint64_t leases[200];
    const truc_job *job = NULL;
    truc_worker *worker;
    size_t count = 0;

    (void)state;
    subscribe(client, "work", "shared");
    worker = open_worker(client, NULL, "work", "20");
    while (truc_worker_pull(worker, count < 20 ? WAIT_MS : 50, &job) == TRUC_OK)
        leases[count++] = job->lease;
    assert_int_equal(count, 20);
    assert_int_equal(truc_nack(worker, leases[0], 0), TRUC_OK);
    assert_int_equal(truc_reject(worker, leases[1]), TRUC_OK);
    assert_int_equal(truc_extend(worker, leases[2], 5000), TRUC_OK);
    assert_int_equal(truc_extend(worker, leases[2], 8 * 24 * 3600 * 1000u), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    while (count < 22 && truc_worker_pull(worker, WAIT_MS, &job) == TRUC_OK) {
        if (count == 20)
            assert_int_equal(job->attempt, 2); /* what was refused comes again */
        leases[count++] = job->lease;
    }
    assert_int_equal(truc_worker_pull(worker, 50, &job), TRUC_TIMED_OUT);
    assert_int_equal(broker->share.extended, 1);
    assert_int_equal(broker->share.rejected, 1);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void worker_stale_leases_are_told(void **state)
{
    struct fake_broker *broker = filled_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    uint64_t leases[40];
    const truc_job *job = NULL;
    truc_worker *worker;

    (void)state;
    subscribe(client, "work", "shared");
    worker = open_worker(client, NULL, "work", "40");
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        leases[i] = job->lease;
    }
    fake_broker_lock(broker);
    fake_share_lapse(broker);
    fake_broker_unlock(broker);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(truc_ack(worker, leases[i]), TRUC_OK);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_LEASE_LOST);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    for (size_t i = 0; i < 40; i++) { /* and come again */
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        assert_int_equal(job->attempt, 2);
        assert_int_equal(number_of(job), i);
        assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
    }
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(in_state(broker, FAKE_DONE), 40);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* A lease of before a reconnect must not settle the record that has its number now. */
static void worker_leases_do_not_outlive_their_connection(void **state)
{
    struct fake_broker *broker = filled_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    const truc_job *job = NULL;
    truc_worker *worker;
    uint64_t old;

    (void)state;
    subscribe(client, "work", "shared");
    worker = open_worker(client, NULL, "work", "10");
    assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
    old = job->lease;
    fake_broker_lock(broker);
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    do { /* what was here may still be given until the loss is noticed */
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
    } while (number_of(job) != 0);
    assert_true(job->lease > old);
    assert_int_equal(job->attempt, 2);
    assert_int_equal(truc_ack(worker, old), TRUC_LEASE_LOST);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(in_state(broker, FAKE_DONE), 0);
    assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(in_state(broker, FAKE_DONE), 1);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

struct trouble {
    _Atomic uint64_t seen;
    uint64_t at;
    enum fake_deed deed;
};

static enum fake_deed make_trouble(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct trouble *trouble = context;

    (void)broker;
    if (frame->kind != FRAME_SETTLE && frame->kind != FRAME_SUBSCRIBE)
        return FAKE_NORMAL;
    return atomic_fetch_add(&trouble->seen, 1) == trouble->at ? trouble->deed : FAKE_NORMAL;
}

static void worker_lost_connections_lose_no_record(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN, FAKE_GARBAGE,
                                           FAKE_STRANGER,    FAKE_TWICE,      FAKE_REFUSE};

    (void)state;
    for (size_t d = 0; d < sizeof deeds / sizeof deeds[0]; d++) {
        for (uint64_t at = 0; at < 5; at++) {
            struct fake_broker *broker = filled_broker(1000);
            struct trouble trouble = {.at = at, .deed = deeds[d]};
            truc_client *client = kit_client(broker->url, NULL);
            struct work *work = work_create();
            truc_worker *worker;

            subscribe(client, "work", "shared");
            fake_broker_lock(broker);
            broker->refuse_status = TRUC_BUSY;
            broker->context = &trouble;
            broker->deed = make_trouble;
            fake_broker_unlock(broker);
            worker = open_worker(client, work, "work", "100");
            while (in_state(broker, FAKE_DONE) < 1000) /* what was done may have been told as lost: only the broker knows */
                assert_int_equal(truc_worker_wait(worker, 5), TRUC_TIMED_OUT);
            for (uint64_t i = 0; i < 1000; i++)
                assert_true(work->seen[i] >= 1);
            (void)truc_worker_close(worker, WAIT_MS);
            assert_int_equal(in_state(broker, FAKE_DONE), 1000);
            truc_client_close(client);
            fake_broker_stop(broker);
            work_destroy(work);
        }
    }
}

static void worker_close_gives_back_what_was_not_given(void **state)
{
    struct fake_broker *broker = filled_broker(200);
    truc_client *client = kit_client(broker->url, NULL);
    const truc_job *job = NULL;
    truc_worker *worker;

    (void)state;
    subscribe(client, "work", "shared");
    worker = open_worker(client, NULL, "work", "100");
    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        if (i < 12)
            assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
    }
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    fake_broker_lock(broker);
    assert_int_equal(fake_share_count(broker, FAKE_DONE), 12);
    assert_true(broker->share.returned >= 85); /* and what its credit brought in meanwhile */
    assert_int_equal(broker->share.returned_late, 0);
    for (size_t i = 15; i < 100; i++)
        assert_int_equal(broker->share.subscriptions[0].records[i].attempts, 0);
    fake_broker_unlock(broker);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void worker_callback_stops_it(void **state)
{
    struct fake_broker *broker = filled_broker(200);
    truc_client *client = kit_client(broker->url, NULL);
    struct work *work = work_create();
    truc_worker *worker;

    (void)state;
    subscribe(client, "work", "shared");
    work->most = 30;
    worker = open_worker(client, work, "work", "100");
    assert_int_equal(truc_worker_wait(worker, WAIT_MS), TRUC_CONFLICT);
    assert_int_equal(work->count, 30);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(in_state(broker, FAKE_DONE), 30);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
    work_destroy(work);
}

/* Many threads settle what one of them pulls. */
struct bench {
    truc_worker *worker;
    pthread_mutex_t lock;
    uint64_t leases[3000];
    size_t count;
};

static void *settle_some(void *argument)
{
    struct bench *bench = argument;

    for (;;) {
        uint64_t lease;

        (void)pthread_mutex_lock(&bench->lock);
        lease = bench->count > 0 ? bench->leases[--bench->count] : 0;
        (void)pthread_mutex_unlock(&bench->lock);
        if (lease == 0)
            return NULL;
        (void)truc_ack(bench->worker, lease);
    }
}

static void worker_is_settled_from_any_thread(void **state)
{
    struct fake_broker *broker = filled_broker(3000);
    truc_client *client = kit_client(broker->url, NULL);
    struct bench *bench = calloc(1, sizeof *bench);
    const truc_job *job = NULL;
    pthread_t threads[4];

    (void)state;
    assert_non_null(bench);
    (void)pthread_mutex_init(&bench->lock, NULL);
    subscribe(client, "work", "shared");
    bench->worker = open_worker(client, NULL, "work", "3000");
    for (; bench->count < 3000; bench->count++) {
        assert_int_equal(truc_worker_pull(bench->worker, WAIT_MS, &job), TRUC_OK);
        bench->leases[bench->count] = job->lease;
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, settle_some, bench), 0);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(truc_worker_close(bench->worker, WAIT_MS), TRUC_OK);
    assert_int_equal(in_state(broker, FAKE_DONE), 3000);
    assert_int_equal(broker->share.stale, 0);
    truc_client_close(client);
    fake_broker_stop(broker);
    (void)pthread_mutex_destroy(&bench->lock);
    free(bench);
}

static void worker_ends_with_its_subscription(void **state)
{
    static const truc_status ends[] = {TRUC_NOT_FOUND, TRUC_CANCELLED};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fake_broker *broker = filled_broker(100);
        truc_client *client = kit_client(broker->url, NULL);
        struct work *work = work_create();
        truc_worker *worker;

        subscribe(client, "work", "shared");
        work->ack = false;
        worker = open_worker(client, work, "work", "100");
        wait_for(work, &work->count, 100);
        assert_int_equal(i == 0 ? truc_subscription_change(client, "work", TRUC_SUBSCRIPTION_REMOVE, NULL)
                                : truc_subscription_reset(client, "work", "start", NULL),
                         TRUC_OK);
        assert_int_equal(truc_worker_wait(worker, WAIT_MS), ends[i]);
        assert_int_equal(truc_ack(worker, 1), TRUC_LEASE_LOST);
        assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
        assert_int_equal(work->end, ends[i]);
        truc_client_close(client);
        fake_broker_stop(broker);
        work_destroy(work);
    }
}

/* --- lies --------------------------------------------------------------------------------------------------------------------- */

/* What a frame says of itself breaks the connection, and the worker goes on over the next one; what its entries are not ends it. */
static void worker_lies_are_found(void **state)
{
    static const truc_status ends[HARM_COUNT] = {
        [HARM_INDEX_BEYOND] = TRUC_PROTOCOL, [HARM_INDEX_OTHER] = TRUC_PROTOCOL, [HARM_ENTRY_MISSING] = TRUC_PROTOCOL,
        [HARM_ENTRY_MORE] = TRUC_PROTOCOL,   [HARM_BYTES] = TRUC_DAMAGED,        [HARM_TOPIC] = TRUC_PROTOCOL,
    };

    (void)state;
    for (unsigned harm = HARM_NONE + 1; harm < HARM_COUNT; harm++) {
        struct fake_broker *broker = filled_broker(1000);
        truc_client *client = kit_client(broker->url, NULL);
        truc_producer *producer = kit_producer(client, NULL, NULL);
        struct work *work = work_create();
        truc_worker *worker;

        kit_publish(producer, "other.topic", 0, 1, 16, 0);
        assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
        subscribe(client, "work", "shared");
        broker->share.every = harm == HARM_INDEX_OTHER ? 3 : 0;
        broker->share.records_at_once = 20;
        broker->share.harm = harm;
        broker->share.harm_at = 3;
        worker = open_worker(client, work, "work", "100");
        if (ends[harm] != TRUC_OK) {
            truc_status status = truc_worker_wait(worker, WAIT_MS);

            if (status != ends[harm])
                fail_msg("harm %u: %s: %s", harm, truc_status_name(status), work->why);
            assert_string_not_equal(work->why, "");
            assert_int_equal(work->count, harm == HARM_INDEX_OTHER                           ? 40
                                          : harm == HARM_ENTRY_MISSING || harm == HARM_BYTES ? 50
                                          : harm == HARM_ENTRY_MORE                          ? 60
                                                                                             : 40);
        } else {
            wait_for(work, &work->count, 1000);
            assert_true(broker->connections >= 3); /* of filling, and twice of this client */
        }
        (void)truc_worker_close(worker, WAIT_MS);
        truc_client_close(client);
        fake_broker_stop(broker);
        work_destroy(work);
    }
}

/* --- ordered ------------------------------------------------------------------------------------------------------------------ */

static uint64_t position_of(struct fake_broker *broker)
{
    uint64_t position;

    fake_broker_lock(broker);
    position = broker->share.subscriptions[0].position;
    fake_broker_unlock(broker);
    return position;
}

static void ordered_gives_all_in_order_and_moves_its_place(void **state)
{
    struct fake_broker *broker = filled_broker(3000);
    truc_client *client = kit_client(broker->url, NULL);
    struct work *work = work_create();
    truc_worker *worker;

    (void)state;
    subscribe(client, "mirror", "ordered");
    worker = open_worker(client, work, "mirror", "1");
    wait_for(work, &work->count, 3000);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_true(work->in_order);
    assert_true(work->settled > 0);
    assert_int_equal(work->lost, 0);
    assert_int_equal(position_of(broker), broker->entry_count);
    assert_int_equal(truc_nack(worker, work->last_lease, 0), TRUC_UNSUPPORTED);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
    work_destroy(work);
}

static void ordered_place_moves_by_whole_entries(void **state)
{
    struct fake_broker *broker = filled_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    const truc_job *job = NULL;
    truc_worker *worker;

    (void)state;
    subscribe(client, "mirror", "ordered");
    worker = open_worker(client, NULL, "mirror", "1");
    for (uint64_t i = 0; i < 25; i++) {
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        assert_int_equal(number_of(job), i);
        assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
        assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
        assert_int_equal(position_of(broker), (i + 1) / 10);
    }
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    worker = open_worker(client, NULL, "mirror", "1");
    assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
    assert_int_equal(number_of(job), 20); /* the entry that was not acknowledged whole */
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void ordered_goes_on_behind_the_acknowledged_after_a_loss(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN, FAKE_GARBAGE, FAKE_REFUSE};

    (void)state;
    for (size_t d = 0; d < sizeof deeds / sizeof deeds[0]; d++) {
        struct fake_broker *broker = filled_broker(2000);
        struct trouble trouble = {.at = 2, .deed = deeds[d]};
        truc_client *client = kit_client(broker->url, NULL);
        truc_worker *worker;
        const truc_job *job = NULL;
        uint64_t next = 0;

        subscribe(client, "mirror", "ordered");
        fake_broker_lock(broker);
        broker->refuse_status = TRUC_BUSY;
        broker->context = &trouble;
        broker->deed = make_trouble;
        fake_broker_unlock(broker);
        worker = open_worker(client, NULL, "mirror", "1");
        while (position_of(broker) < broker->entry_count) {
            truc_status status = truc_worker_pull(worker, 20, &job);
            uint64_t number;

            if (status == TRUC_TIMED_OUT) /* all was given, and the place is on its way */
                continue;
            assert_int_equal(status, TRUC_OK);
            number = number_of(job);
            assert_true(number <= next); /* no gap; again is allowed */
            next = number + 1;
            (void)truc_ack(worker, job->lease);
        }
        assert_int_equal(next, 2000);
        (void)truc_worker_close(worker, WAIT_MS);
        truc_client_close(client);
        fake_broker_stop(broker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscription_is_created_listed_changed_removed),
        cmocka_unit_test(subscription_wrong_arguments_are_named),
        cmocka_unit_test(subscription_removing_survives_a_lost_answer),
        cmocka_unit_test(worker_gets_and_settles_each_record_once),
        cmocka_unit_test(worker_credit_bounds_what_is_in_hand),
        cmocka_unit_test(worker_stale_leases_are_told),
        cmocka_unit_test(worker_leases_do_not_outlive_their_connection),
        cmocka_unit_test(worker_lost_connections_lose_no_record),
        cmocka_unit_test(worker_close_gives_back_what_was_not_given),
        cmocka_unit_test(worker_callback_stops_it),
        cmocka_unit_test(worker_is_settled_from_any_thread),
        cmocka_unit_test(worker_ends_with_its_subscription),
        cmocka_unit_test(worker_lies_are_found),
        cmocka_unit_test(ordered_gives_all_in_order_and_moves_its_place),
        cmocka_unit_test(ordered_place_moves_by_whole_entries),
        cmocka_unit_test(ordered_goes_on_behind_the_acknowledged_after_a_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
