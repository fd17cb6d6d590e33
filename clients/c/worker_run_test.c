/* worker_run_test.c: runs of one key, recalled and expired records, at workers. */
#undef NDEBUG
#include "clients/c/work_kit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORDS = 600, KEYS = 7 };

/* Of record number N of test.work. */
static uint64_t key_of(uint64_t number)
{
    return number % KEYS;
}

static void publish_keyed(truc_producer *producer, uint64_t first, uint64_t last, int64_t expires_at_ns)
{
    for (uint64_t number = first; number < last; number++) {
        truc_record record = TRUC_RECORD_INIT;
        uint8_t data[16] = {0};
        char key[16];

        (void)snprintf(key, sizeof key, "k%d", (int)key_of(number));
        memcpy(data, &number, sizeof number);
        record.data = data;
        record.data_size = sizeof data;
        record.key = (truc_text){key, strlen(key)};
        record.expires_at_ns = expires_at_ns;
        assert_int_equal(truc_publish(producer, "test.work", &record, NULL), TRUC_OK);
    }
}

static struct fake_broker *keyed_broker(uint64_t count)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "batch_records", "10", "linger_us", "10000000", NULL);

    publish_keyed(producer, 0, count, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    work_subscribe(client, "work", "shared");
    truc_client_close(client);
    return broker;
}

static truc_worker *pulled_worker(truc_client *client, const char *credit, const char *run)
{
    truc_options *options = kit_options("credit", credit, "key_run", run, NULL);
    truc_worker *worker = NULL;

    assert_int_equal(truc_worker_open(client, "work", options, NULL, NULL, NULL, NULL, &worker, NULL), TRUC_OK);
    truc_options_destroy(options);
    return worker;
}

/* Pulls until nothing comes; the leases by record number. Returns how many came. */
static size_t pull_all(truc_worker *worker, uint64_t *leases, size_t most)
{
    const truc_job *job = NULL;
    size_t count = 0;

    while (count < most && truc_worker_pull(worker, 100, &job) == TRUC_OK) {
        uint64_t number = work_number(job);

        assert_true(number < RECORDS);
        leases[number] = job->lease;
        count++;
    }
    return count;
}

static void run_is_given_one_by_one(void **state)
{
    struct fake_broker *broker = keyed_broker(RECORDS);
    truc_client *client = kit_client(broker->url, NULL);
    truc_worker *worker = pulled_worker(client, "200", "16");
    uint64_t leases[RECORDS] = {0}, round_trip_ns;

    (void)state;
    assert_int_equal(pull_all(worker, leases, RECORDS), KEYS); /* one of each */
    assert_true(work_in_state(broker, FAKE_LEASED) >= 16 * KEYS);
    assert_int_equal(truc_ack(worker, leases[3]), TRUC_OK);
    assert_int_equal(pull_all(worker, leases, RECORDS), 1);
    assert_true(leases[3 + KEYS] > leases[6]); /* leases ascend as they are given */
    assert_int_equal(truc_ack(worker, leases[6] + 2), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_extend(worker, leases[4], 1000), TRUC_OK);
    assert_int_equal(pull_all(worker, leases, RECORDS), 0); /* nothing changes */
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(truc_ping(client, &round_trip_ns), TRUC_OK); /* answered after the CANCEL has come */
    fake_broker_lock(broker);
    assert_int_equal(fake_share_count(broker, FAKE_DONE), 1);
    assert_int_equal(fake_share_count(broker, FAKE_LEASED), 0);
    fake_broker_unlock(broker);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* In callbacks; what of a key is in hand is counted. */
struct keyed_work {
    truc_worker *worker;
    _Atomic uint64_t done;
    uint64_t next[KEYS]; /* number of the next record of each key */
    unsigned refuse_every, calls;
    bool disorder;
};

static truc_status work_on(void *context, const truc_job *jobs, size_t count)
{
    struct keyed_work *work = context;
    bool seen[KEYS] = {false};

    for (size_t i = 0; i < count; i++) {
        uint64_t number = work_number(&jobs[i]), key = key_of(number);

        work->disorder =
            work->disorder || seen[key] || number != work->next[key] || jobs[i].message->position != jobs[0].message->position;
        seen[key] = true;
        if (work->refuse_every > 0 && ++work->calls % work->refuse_every == 0) {
            assert_int_equal(truc_nack(work->worker, jobs[i].lease, 0), TRUC_OK);
            continue;
        }
        assert_int_equal(truc_ack(work->worker, jobs[i].lease), TRUC_OK);
        work->next[key] += KEYS;
        atomic_fetch_add(&work->done, 1);
    }
    return TRUC_OK;
}

/* Whatever is refused, however frames are cut: each key in order, and everything comes to its end. */
static void run_keeps_each_key_in_order(void **state)
{
    static const unsigned refusals[] = {0, 2, 5, 13};

    (void)state;
    for (size_t r = 0; r < sizeof refusals / sizeof refusals[0]; r++) {
        for (uint32_t at_once = 3; at_once <= 64; at_once += 61) {
            struct fake_broker *broker = keyed_broker(RECORDS);
            truc_client *client = kit_client(broker->url, NULL);
            struct keyed_work work = {.refuse_every = refusals[r]};
            truc_options *options = kit_options("credit", "90", NULL);

            for (uint64_t key = 0; key < KEYS; key++)
                work.next[key] = key;
            broker->share.records_at_once = at_once;
            assert_int_equal(truc_worker_open(client, "work", options, work_on, NULL, NULL, &work, &work.worker, NULL), TRUC_OK);
            while (atomic_load(&work.done) < RECORDS)
                assert_int_equal(truc_worker_wait(work.worker, 2), TRUC_TIMED_OUT);
            assert_int_equal(truc_worker_close(work.worker, WAIT_MS), TRUC_OK);
            assert_false(work.disorder);
            assert_int_equal(work_in_state(broker, FAKE_DONE), RECORDS);
            truc_options_destroy(options);
            truc_client_close(client);
            fake_broker_stop(broker);
        }
    }
}

/* What waits behind a refused record is void: its credit comes back, and it comes again behind that record. */
static void run_behind_a_refused_record_is_void(void **state)
{
    struct fake_broker *broker = keyed_broker(5 * KEYS);
    truc_client *client = kit_client(broker->url, NULL);
    truc_worker *worker = pulled_worker(client, "35", "64"); /* all of them */
    uint64_t leases[RECORDS] = {0};

    (void)state;
    assert_int_equal(pull_all(worker, leases, RECORDS), KEYS);
    assert_int_equal(truc_reject(worker, leases[0]), TRUC_OK);
    assert_int_equal(truc_nack(worker, leases[1], 0), TRUC_OK);
    leases[1] = 0;
    assert_int_equal(pull_all(worker, leases, RECORDS), 2);
    assert_true(leases[1] != 0 && leases[KEYS] != 0);
    for (uint64_t round = 0; round < 5; round++) {
        for (uint64_t key = 0; key < KEYS; key++) {
            if (round > 0 || key > 0)
                assert_int_equal(truc_ack(worker, leases[round * KEYS + key]), TRUC_OK);
        }
        (void)pull_all(worker, leases, RECORDS);
    }
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DEAD), 1);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 5 * KEYS - 1);
    fake_broker_lock(broker);
    assert_int_equal(broker->share.credit, 35); /* none is lost, none is doubled */
    fake_broker_unlock(broker);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void run_that_lapsed_is_given_again(void **state)
{
    struct fake_broker *broker = keyed_broker(3 * KEYS);
    truc_client *client = kit_client(broker->url, NULL);
    truc_worker *worker = pulled_worker(client, "100", "64");
    uint64_t leases[RECORDS] = {0}, old;

    (void)state;
    assert_int_equal(pull_all(worker, leases, RECORDS), KEYS);
    old = leases[0];
    fake_broker_lock(broker);
    fake_share_lapse(broker);
    fake_broker_unlock(broker);
    assert_int_equal(pull_all(worker, leases, RECORDS), KEYS);
    assert_true(leases[0] > old);
    assert_int_equal(truc_ack(worker, old), TRUC_OK);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_LEASE_LOST);
    assert_int_equal(pull_all(worker, leases, RECORDS), 0); /* that gave nobody a turn */
    assert_int_equal(truc_ack(worker, leases[0]), TRUC_OK);
    assert_int_equal(pull_all(worker, leases, RECORDS), 1);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void run_survives_lost_connections(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 4; at++) {
        struct fake_broker *broker = keyed_broker(RECORDS);
        struct work_trouble trouble = {.at = at, .deed = at % 2 == 0 ? FAKE_DROP_BEFORE : FAKE_DROP_AFTER};
        truc_client *client = kit_client(broker->url, NULL);
        struct work *work = work_create();
        truc_worker *worker;

        fake_broker_lock(broker);
        broker->context = &trouble;
        broker->deed = work_make_trouble;
        fake_broker_unlock(broker);
        worker = work_open(client, work, "work", "100");
        while (work_in_state(broker, FAKE_DONE) < RECORDS)
            assert_int_equal(truc_worker_wait(worker, 5), TRUC_TIMED_OUT);
        (void)truc_worker_close(worker, WAIT_MS);
        truc_client_close(client);
        fake_broker_stop(broker);
        work_destroy(work);
    }
}

/* --- recalled and expired --------------------------------------------------------------------------------------------------------
 */

static void recalled_record_is_marked_if_its_source_did_it(void **state)
{
    static const char *const agencies[] = {"local", "other"}, *const modes[] = {"shared", "ordered"};

    (void)state;
    for (size_t round = 0; round < 4; round++) {
        struct fake_broker *broker = work_broker(40);
        truc_client *client = kit_client(broker->url, NULL);
        const truc_job *job = NULL;
        truc_worker *worker;

        work_subscribe(client, "work", modes[round / 2]);
        broker->share.recalled_position = 2;
        broker->share.recalled_by = agencies[round % 2];
        worker = work_open(client, NULL, "work", "100");
        for (uint64_t i = 0; i < 40; i++) {
            assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
            assert_int_equal(job->recalled, round % 2 == 0 && job->message->position == 2);
            assert_int_equal(job->recall_position, job->recalled ? 1002 : 0);
            assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
        }
        assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
        truc_client_close(client);
        fake_broker_stop(broker);
    }
}

/* What waits for its turn keeps the mark. */
static void recalled_record_of_a_run_is_marked(void **state)
{
    struct fake_broker *broker = keyed_broker(20);
    truc_client *client = kit_client(broker->url, NULL);
    const truc_job *job = NULL;
    truc_worker *worker;

    (void)state;
    broker->share.recalled_position = 1;
    broker->share.recalled_by = "local";
    worker = pulled_worker(client, "100", "64");
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        assert_int_equal(job->recalled, job->message->position == 1);
        assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
    }
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static uint64_t position_of(struct fake_broker *broker)
{
    uint64_t position;

    fake_broker_lock(broker);
    position = broker->share.subscriptions[0].position;
    fake_broker_unlock(broker);
    return position;
}

static void ordered_expired_records_are_passed_over(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "batch_records", "10", "linger_us", "10000000", NULL);
    int64_t tomorrow_ns = ((int64_t)time(NULL) + 86400) * 1000000000;
    const truc_job *job = NULL;
    truc_worker *worker;

    (void)state;
    publish_keyed(producer, 0, 20, 1); /* entries 0 and 1: long ago */
    publish_keyed(producer, 20, 35, 0);
    publish_keyed(producer, 35, 40, 1); /* half of entry 3 */
    publish_keyed(producer, 40, 50, tomorrow_ns);
    publish_keyed(producer, 50, 60, 1); /* and nothing behind */
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    work_subscribe(client, "work", "ordered");
    worker = work_open(client, NULL, "work", "1");
    assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
    assert_int_equal(work_number(job), 20);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(position_of(broker), 2); /* moves by itself over what nobody is given */
    for (uint64_t number = 21; number < 50; number++) {
        if (number >= 35 && number < 40)
            continue;
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        assert_int_equal(work_number(job), number);
    }
    assert_int_equal(truc_worker_pull(worker, 50, &job), TRUC_TIMED_OUT);
    assert_int_equal(truc_ack(worker, 15), TRUC_OK);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(position_of(broker), 4);
    assert_int_equal(truc_ack(worker, 25), TRUC_OK);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_int_equal(position_of(broker), 6);
    assert_int_equal(broker->share.expired, 35);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_is_given_one_by_one),
        cmocka_unit_test(run_keeps_each_key_in_order),
        cmocka_unit_test(run_behind_a_refused_record_is_void),
        cmocka_unit_test(run_that_lapsed_is_given_again),
        cmocka_unit_test(run_survives_lost_connections),
        cmocka_unit_test(recalled_record_is_marked_if_its_source_did_it),
        cmocka_unit_test(recalled_record_of_a_run_is_marked),
        cmocka_unit_test(ordered_expired_records_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
