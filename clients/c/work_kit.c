#undef NDEBUG
#include "clients/c/work_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A broker with `count` numbered records, ten to an entry, in test.work. */
struct fake_broker *work_broker(uint64_t count)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "batch_records", "10", "linger_us", "10000000", NULL);

    kit_publish(producer, "test.work", 0, count, 16, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    return broker;
}

void work_subscribe(truc_client *client, const char *name, const char *mode)
{
    truc_options *options = kit_options("pattern", "test.*", "mode", mode, "start", "start", NULL);
    char *why = NULL;

    if (truc_subscription_create(client, name, options, &why) != TRUC_OK)
        fail_msg("create: %s", why);
    truc_options_destroy(options);
}

struct work *work_create(void)
{
    struct work *work = calloc(1, sizeof *work);

    assert_non_null(work);
    (void)pthread_mutex_init(&work->lock, NULL);
    (void)pthread_cond_init(&work->more, NULL);
    work->ack = work->in_order = true;
    work->most = SIZE_MAX;
    return work;
}

void work_destroy(struct work *work)
{
    (void)pthread_cond_destroy(&work->more);
    (void)pthread_mutex_destroy(&work->lock);
    free(work);
}

uint64_t work_number(const truc_job *job)
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
        uint64_t number = work_number(&jobs[i]);

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

truc_worker *work_open(truc_client *client, struct work *work, const char *name, const char *credit)
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

void work_wait(struct work *work, const size_t *what, size_t count)
{
    (void)pthread_mutex_lock(&work->lock);
    while (*what < count)
        (void)pthread_cond_wait(&work->more, &work->lock);
    (void)pthread_mutex_unlock(&work->lock);
}

size_t work_in_state(struct fake_broker *broker, enum fake_record_state state)
{
    size_t count;

    fake_broker_lock(broker);
    count = fake_share_count(broker, state);
    fake_broker_unlock(broker);
    return count;
}

enum fake_deed work_make_trouble(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct work_trouble *trouble = context;

    (void)broker;
    if (frame->kind != FRAME_SETTLE && frame->kind != FRAME_SUBSCRIBE)
        return FAKE_NORMAL;
    return atomic_fetch_add(&trouble->seen, 1) == trouble->at ? trouble->deed : FAKE_NORMAL;
}
