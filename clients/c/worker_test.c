/* worker_test.c: workers of shared subscriptions against a broker that leases and forgets. */
#undef NDEBUG
#include "clients/c/work_kit.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Whole entries, then parts of them. */
static void worker_gets_and_settles_each_record_once(void **state)
{
    (void)state;
    for (uint32_t every = 1; every <= 3; every++) {
        struct fake_broker *broker = work_broker(5000);
        truc_client *client = kit_client(broker->url, NULL);
        struct work *work = work_create();
        size_t wanted = 0;
        truc_worker *worker;

        broker->share.every = every;
        broker->share.records_at_once = every == 2 ? 7 : 0;
        work_subscribe(client, "work", "shared");
        for (uint64_t i = 0; i < 5000; i++)
            wanted += i % 10 % every == 0;
        worker = work_open(client, work, "work", "300");
        work_wait(work, &work->count, wanted);
        assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
        assert_int_equal(work->settled, wanted);
        assert_int_equal(work->count, wanted);
        assert_true(work->in_order);
        assert_int_equal(work->attempt_max, 1);
        for (uint64_t i = 0; i < 5000; i++)
            assert_int_equal(work->seen[i], i % 10 % every == 0);
        assert_int_equal(work_in_state(broker, FAKE_DONE), wanted);
        assert_true(broker->share.settles < wanted / 2); /* they were gathered */
        assert_true(every == 1 || broker->share.cuts > 0);
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
    struct fake_broker *broker = work_broker(200);
    truc_client *client = kit_client(broker->url, NULL);
    uint64_t leases[200];
    const truc_job *job = NULL;
    truc_worker *worker;
    size_t count = 0;

    (void)state;
    work_subscribe(client, "work", "shared");
    worker = work_open(client, NULL, "work", "20");
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
    struct fake_broker *broker = work_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    uint64_t leases[40];
    const truc_job *job = NULL;
    truc_worker *worker;

    (void)state;
    work_subscribe(client, "work", "shared");
    worker = work_open(client, NULL, "work", "40");
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
        assert_int_equal(work_number(job), i);
        assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
    }
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 40);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* A lease of before a reconnect must not settle the record that has its number now. */
static void worker_leases_do_not_outlive_their_connection(void **state)
{
    struct fake_broker *broker = work_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    const truc_job *job = NULL;
    truc_worker *worker;
    uint64_t old;

    (void)state;
    work_subscribe(client, "work", "shared");
    worker = work_open(client, NULL, "work", "10");
    assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
    old = job->lease;
    fake_broker_lock(broker);
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    do { /* what was here may still be given until the loss is noticed */
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
    } while (work_number(job) != 0);
    assert_true(job->lease > old);
    assert_int_equal(job->attempt, 2);
    assert_int_equal(truc_ack(worker, old), TRUC_LEASE_LOST);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 0);
    assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 1);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void worker_lost_connections_lose_no_record(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN, FAKE_GARBAGE,
                                           FAKE_STRANGER,    FAKE_TWICE,      FAKE_REFUSE};

    (void)state;
    for (size_t d = 0; d < sizeof deeds / sizeof deeds[0]; d++) {
        for (uint64_t at = 0; at < 5; at++) {
            struct fake_broker *broker = work_broker(1000);
            struct work_trouble trouble = {.at = at, .deed = deeds[d]};
            truc_client *client = kit_client(broker->url, NULL);
            struct work *work = work_create();
            truc_worker *worker;

            work_subscribe(client, "work", "shared");
            fake_broker_lock(broker);
            broker->refuse_status = TRUC_BUSY;
            broker->context = &trouble;
            broker->deed = work_make_trouble;
            fake_broker_unlock(broker);
            worker = work_open(client, work, "work", "100");
            while (work_in_state(broker, FAKE_DONE) < 1000) /* what was done may have been told as lost: only the broker knows */
                assert_int_equal(truc_worker_wait(worker, 5), TRUC_TIMED_OUT);
            for (uint64_t i = 0; i < 1000; i++)
                assert_true(work->seen[i] >= 1);
            (void)truc_worker_close(worker, WAIT_MS);
            assert_int_equal(work_in_state(broker, FAKE_DONE), 1000);
            truc_client_close(client);
            fake_broker_stop(broker);
            work_destroy(work);
        }
    }
}

static void worker_close_gives_back_what_was_not_given(void **state)
{
    struct fake_broker *broker = work_broker(200);
    truc_client *client = kit_client(broker->url, NULL);
    const truc_job *job = NULL;
    uint64_t round_trip_ns;
    truc_worker *worker;

    (void)state;
    work_subscribe(client, "work", "shared");
    worker = work_open(client, NULL, "work", "100");
    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        if (i < 12)
            assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
    }
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(truc_ping(client, &round_trip_ns), TRUC_OK); /* answered after the CANCEL has come */
    fake_broker_lock(broker);
    assert_int_equal(fake_share_count(broker, FAKE_DONE), 12);
    assert_int_equal(fake_share_count(broker, FAKE_LEASED), 0); /* by RETURN, or by CANCEL what had not arrived */
    assert_int_equal(broker->share.returned_late, 0);
    for (size_t i = 15; i < 100; i++)
        assert_int_equal(broker->share.subscriptions[0].records[i].attempts, 0);
    fake_broker_unlock(broker);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* A callback that settles needs the worker's handle: it is there before the first one. */
struct first_call {
    truc_worker *worker;
    atomic_bool early;
    atomic_int acknowledged;
};

static truc_status acknowledge_at_once(void *context, const truc_job *jobs, size_t count)
{
    struct first_call *call = context;

    if (call->worker == NULL)
        atomic_store(&call->early, true);
    for (size_t i = 0; i < count; i++)
        atomic_fetch_add(&call->acknowledged, truc_ack(call->worker, jobs[i].lease) == TRUC_OK);
    return TRUC_OK;
}

static void worker_handle_is_there_before_the_first_callback(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct fake_broker *broker = work_broker(20);
        truc_client *client = kit_client(broker->url, NULL);
        struct first_call call = {0};

        work_subscribe(client, "work", "shared");
        assert_int_equal(truc_worker_open(client, "work", NULL, acknowledge_at_once, NULL, NULL, &call, &call.worker, NULL),
                         TRUC_OK);
        while (atomic_load(&call.acknowledged) < 20 && !atomic_load(&call.early))
            assert_int_equal(truc_worker_wait(call.worker, 1), TRUC_TIMED_OUT);
        assert_false(atomic_load(&call.early));
        assert_int_equal(truc_worker_close(call.worker, WAIT_MS), TRUC_OK);
        truc_client_close(client);
        fake_broker_stop(broker);
    }
}

static void worker_callback_stops_it(void **state)
{
    struct fake_broker *broker = work_broker(200);
    truc_client *client = kit_client(broker->url, NULL);
    struct work *work = work_create();
    truc_worker *worker;

    (void)state;
    work_subscribe(client, "work", "shared");
    work->most = 30;
    worker = work_open(client, work, "work", "100");
    assert_int_equal(truc_worker_wait(worker, WAIT_MS), TRUC_CONFLICT);
    assert_int_equal(work->count, 30);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 30);
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
    struct fake_broker *broker = work_broker(3000);
    truc_client *client = kit_client(broker->url, NULL);
    struct bench *bench = calloc(1, sizeof *bench);
    const truc_job *job = NULL;
    pthread_t threads[4];

    (void)state;
    assert_non_null(bench);
    (void)pthread_mutex_init(&bench->lock, NULL);
    work_subscribe(client, "work", "shared");
    bench->worker = work_open(client, NULL, "work", "3000");
    for (; bench->count < 3000; bench->count++) {
        assert_int_equal(truc_worker_pull(bench->worker, WAIT_MS, &job), TRUC_OK);
        bench->leases[bench->count] = job->lease;
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, settle_some, bench), 0);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(truc_worker_close(bench->worker, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 3000);
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
        struct fake_broker *broker = work_broker(100);
        truc_client *client = kit_client(broker->url, NULL);
        struct work *work = work_create();
        truc_worker *worker;

        work_subscribe(client, "work", "shared");
        work->ack = false;
        worker = work_open(client, work, "work", "100");
        work_wait(work, &work->count, 100);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_gets_and_settles_each_record_once),
        cmocka_unit_test(worker_credit_bounds_what_is_in_hand),
        cmocka_unit_test(worker_stale_leases_are_told),
        cmocka_unit_test(worker_leases_do_not_outlive_their_connection),
        cmocka_unit_test(worker_lost_connections_lose_no_record),
        cmocka_unit_test(worker_close_gives_back_what_was_not_given),
        cmocka_unit_test(worker_handle_is_there_before_the_first_callback),
        cmocka_unit_test(worker_callback_stops_it),
        cmocka_unit_test(worker_is_settled_from_any_thread),
        cmocka_unit_test(worker_ends_with_its_subscription),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
