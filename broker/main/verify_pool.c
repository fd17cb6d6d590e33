#include "broker/main/verify_pool.h"

#include <stdlib.h>

struct job {
    struct letter letter; /* first: the letter is what is freed */
    struct job *next_job;
    struct frame frame;
    struct net_buffer *buffer;
    struct session *session;
    uint64_t serial;
};

struct worker {
    struct verify_pool *pool;
    pthread_t thread;
    struct publisher *publisher;
    uint64_t serial; /* of the job in hand; UINT64_MAX: none; guarded by the pool's mutex */
};

struct verify_pool {
    struct publish_rules *rules;
    atomic_ullong directory_bytes;
    atomic_uint room_waiters;
    pthread_mutex_t mutex;
    pthread_cond_t work, room;
    struct job *first, **last_next;
    uint64_t serial;
    unsigned idle_count;
    bool stopping;
    struct publisher *spare[8]; /* of callback threads, between two uses */
    unsigned spare_count;
    unsigned worker_count;
    struct worker workers[];
};

static void job_release(struct letter *letter)
{
    if (letter->event.prepared != NULL) { /* the core never saw it */
        publish_free_all(letter->event.prepared->owner);
    }
    free(letter);
}

static void job_check(struct job *job, struct publisher *publisher, const struct publish_rules *rules)
{
    struct core_event *event = &job->letter.event;
    struct publish *publish;
    char why[PUBLISH_WHY_BYTES];
    truc_status status = publish_prepare(publisher, rules, &job->frame, job->buffer, &publish, why);
    if (status == TRUC_OK) {
        event->prepared = &publish->prepared;
    } else {
        event->kind = CORE_PUBLISH_BAD;
        letter_blame(&job->letter, status, why);
    }
    net_buffer_unref(job->buffer);
    job->buffer = NULL;
}

static void room_freed(void *context)
{
    struct verify_pool *pool = context;
    if (atomic_load(&pool->room_waiters) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->room);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static bool is_oldest(const struct worker *worker)
{
    const struct verify_pool *pool = worker->pool;
    for (unsigned i = 0; i < pool->worker_count; i++) {
        if (pool->workers[i].serial < worker->serial) {
            return false;
        }
    }
    return true;
}

static bool has_room(struct verify_pool *pool)
{
    return atomic_load(&pool->directory_bytes) <= VERIFY_DIRECTORY_BYTES_MAX;
}

static struct job *next_job(struct worker *worker)
{
    struct verify_pool *pool = worker->pool;
    while (pool->first == NULL && !pool->stopping) {
        pool->idle_count++;
        pthread_cond_wait(&pool->work, &pool->mutex);
        pool->idle_count--;
    }
    struct job *job = pool->first;
    if (job == NULL) {
        return NULL;
    }
    pool->first = job->next_job;
    if (pool->first == NULL) {
        pool->last_next = &pool->first;
    }
    worker->serial = job->serial;
    atomic_fetch_add(&pool->room_waiters, 1);
    while (!has_room(pool) && !is_oldest(worker) && !pool->stopping) {
        pthread_cond_wait(&pool->room, &pool->mutex);
    }
    atomic_fetch_sub(&pool->room_waiters, 1);
    return job;
}

static void *worker_run(void *context)
{
    struct worker *worker = context;
    struct verify_pool *pool = worker->pool;
    struct job *job;
    pthread_mutex_lock(&pool->mutex);
    while ((job = next_job(worker)) != NULL) {
        pthread_mutex_unlock(&pool->mutex);
        job_check(job, worker->publisher, pool->rules);
        session_ready(job->session, &job->letter);
        pthread_mutex_lock(&pool->mutex);
        worker->serial = UINT64_MAX;
        if (atomic_load(&pool->room_waiters) > 0) {
            pthread_cond_broadcast(&pool->room); /* another one is the oldest now */
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

struct verify_pool *verify_pool_create(struct publish_rules *rules, unsigned thread_count)
{
    struct verify_pool *pool = calloc(1, sizeof *pool + thread_count * sizeof(struct worker));
    if (pool == NULL) {
        return NULL;
    }
    pool->rules = rules;
    rules->directory_bytes = &pool->directory_bytes;
    rules->freed = room_freed;
    rules->freed_context = pool;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->room, NULL);
    pool->last_next = &pool->first;
    pthread_mutex_lock(&pool->mutex); /* holds the workers back until their number is known */
    for (unsigned i = 0; i < thread_count; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .serial = UINT64_MAX, .publisher = publisher_create()};
        if (worker->publisher == NULL || pthread_create(&worker->thread, NULL, worker_run, worker) != 0) {
            publisher_destroy(worker->publisher);
            break;
        }
        pool->worker_count++;
    }
    bool complete = pool->worker_count == thread_count;
    pthread_mutex_unlock(&pool->mutex);
    if (!complete) {
        verify_pool_destroy(pool);
        return NULL;
    }
    return pool;
}

void verify_pool_stop(struct verify_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_cond_broadcast(&pool->room);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->worker_count; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        publisher_destroy(pool->workers[i].publisher);
    }
    pool->worker_count = 0;
}

void verify_pool_destroy(struct verify_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    verify_pool_stop(pool);
    while (pool->spare_count > 0) {
        publisher_destroy(pool->spare[--pool->spare_count]);
    }
    pthread_cond_destroy(&pool->room);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

static struct publisher *spare_take(struct verify_pool *pool)
{
    struct publisher *publisher = NULL;
    pthread_mutex_lock(&pool->mutex);
    if (pool->spare_count > 0) {
        publisher = pool->spare[--pool->spare_count];
    }
    pthread_mutex_unlock(&pool->mutex);
    return publisher != NULL ? publisher : publisher_create();
}

static void spare_give(struct verify_pool *pool, struct publisher *publisher)
{
    pthread_mutex_lock(&pool->mutex);
    if (pool->spare_count < sizeof pool->spare / sizeof pool->spare[0]) {
        pool->spare[pool->spare_count++] = publisher;
        publisher = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
    publisher_destroy(publisher);
}

static void submit(struct verify_pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->mutex);
    job->serial = pool->serial++;
    *pool->last_next = job;
    pool->last_next = &job->next_job;
    bool wake = pool->idle_count > 0;
    pthread_mutex_unlock(&pool->mutex);
    if (wake) {
        pthread_cond_signal(&pool->work);
    }
}

bool verify_pool_publish(struct verify_pool *pool, struct session *session, const struct frame *frame, struct net_buffer *buffer)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return false;
    }
    job->letter.event.kind = CORE_PUBLISH;
    job->letter.event.connection = session->connection;
    job->letter.event.request_id = frame->request_id;
    job->letter.event.frame_bytes = (uint32_t)(FRAME_PREFIX_BYTES + frame->header.size + frame->payload.size);
    job->letter.release = job_release;
    job->frame = *frame;
    job->buffer = buffer;
    job->session = session;
    net_buffer_ref(buffer);
    bool small = frame->payload.size <= VERIFY_IN_PLACE_BYTES && publish_raw_size(frame) <= VERIFY_IN_PLACE_BYTES;
    struct publisher *publisher = small && has_room(pool) && session_is_clear(session) ? spare_take(pool) : NULL;
    if (publisher != NULL) {
        job_check(job, publisher, pool->rules);
        spare_give(pool, publisher);
        session_place(session, &job->letter, true);
    } else {
        session_place(session, &job->letter, false);
        submit(pool, job);
    }
    return true;
}
