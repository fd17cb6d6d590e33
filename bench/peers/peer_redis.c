/* peer_redis: Redis Streams through hiredis. Asynchronous publishing pipelines XADD over several connections, as Redis's
 * documentation on pipelining advises; waiting publishers are an event loop over one connection each. */
#include "bench/peers/peer.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Measured on two cores: more connections or a deeper pipeline gained nothing. */
enum { ASYNC_CONNECTIONS = 16, ASYNC_PIPELINE = 256, WAITING_PUBLISHERS = 400, READ_COUNT = 1000, WORK_COUNT = 1000 };

static redisContext *connect_to(const struct peer_options *options)
{
    redisContext *redis = redisConnect("127.0.0.1", (int)strtol(options->address, NULL, 10));
    if (!redis || redis->err)
        peer_fail("redis: cannot connect: %s", redis ? redis->errstr : "out of memory");
    return redis;
}

static void append_add(redisContext *redis, const uint8_t *payload, size_t size)
{
    const char *arguments[] = {"XADD", "bench", "*", "d", (const char *)payload};
    const size_t sizes[] = {4, 5, 1, 1, size};
    if (redisAppendCommandArgv(redis, 5, arguments, sizes) != REDIS_OK)
        peer_fail("redis: %s", redis->errstr);
}

static void check_reply(const redisReply *reply)
{
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        peer_fail("redis: %s", reply ? reply->str : "no reply");
}

static void await_reply(redisContext *redis)
{
    void *reply;
    if (redisGetReply(redis, &reply) != REDIS_OK)
        peer_fail("redis: %s", redis->errstr);
    check_reply(reply);
    freeReplyObject(reply);
}

/* --- asynchronous ---------------------------------------------------------------------------------------------------------- */

struct pipeline {
    pthread_t thread;
    const struct peer_options *options;
    struct peer_window window;
    uint64_t seed, records, limit; /* limit: stop after so many (filling), else at the window's end */
};

static void *pipeline_run(void *argument)
{
    struct pipeline *pipeline = argument;
    struct payload_ring ring;
    redisContext *redis = connect_to(pipeline->options);
    if (payload_ring_init(&ring, pipeline->options->payload_size, pipeline->seed) < 0)
        peer_fail("out of memory");
    uint64_t sent = 0;
    for (;;) {
        uint64_t now_ns = load_now_ns();
        if (pipeline->limit ? sent >= pipeline->limit : peer_window_over(&pipeline->window, now_ns))
            break;
        for (int i = 0; i < ASYNC_PIPELINE; i++)
            append_add(redis, payload_next(&ring), ring.payload_size);
        for (int i = 0; i < ASYNC_PIPELINE; i++)
            await_reply(redis);
        sent += ASYNC_PIPELINE;
        if (peer_window_counts(&pipeline->window, load_now_ns()))
            pipeline->records += ASYNC_PIPELINE;
    }
    payload_ring_fini(&ring);
    redisFree(redis);
    return NULL;
}

static uint64_t pipelines_run(const struct peer_options *options, struct peer_window window, uint64_t limit)
{
    static struct pipeline pipelines[ASYNC_CONNECTIONS];
    uint64_t records = 0;
    for (int i = 0; i < ASYNC_CONNECTIONS; i++) {
        pipelines[i] =
            (struct pipeline){.options = options, .window = window, .seed = (uint64_t)i + 1, .limit = limit / ASYNC_CONNECTIONS};
        if (pthread_create(&pipelines[i].thread, NULL, pipeline_run, &pipelines[i]))
            peer_fail("cannot start a thread");
    }
    for (int i = 0; i < ASYNC_CONNECTIONS; i++) {
        pthread_join(pipelines[i].thread, NULL);
        records += pipelines[i].records;
    }
    return records;
}

/* --- waiting publishers: one record in flight on each connection ------------------------------------------------------------ */

static void send_one(redisContext *redis, struct payload_ring *ring)
{
    int done = 0;
    append_add(redis, payload_next(ring), ring->payload_size);
    while (!done) {
        if (redisBufferWrite(redis, &done) != REDIS_OK)
            peer_fail("redis: %s", redis->errstr);
    }
}

static void run_waiting(const struct peer_options *options)
{
    static redisContext *connections[WAITING_PUBLISHERS];
    struct payload_ring ring;
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || payload_ring_init(&ring, options->payload_size, 1) < 0)
        peer_fail("cannot set up");
    for (int i = 0; i < WAITING_PUBLISHERS; i++) {
        connections[i] = connect_to(options);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connections[i]};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, connections[i]->fd, &event) < 0)
            peer_fail("epoll_ctl failed");
    }
    struct peer_window window = peer_window_start(options);
    uint64_t records = 0;
    for (int i = 0; i < WAITING_PUBLISHERS; i++)
        send_one(connections[i], &ring);
    for (uint64_t now_ns = load_now_ns(); !peer_window_over(&window, now_ns); now_ns = load_now_ns()) {
        struct epoll_event events[WAITING_PUBLISHERS];
        int count = epoll_wait(poller, events, WAITING_PUBLISHERS, 100);
        for (int i = 0; i < count; i++) {
            redisContext *redis = events[i].data.ptr;
            void *reply = NULL;
            if (redisBufferRead(redis) != REDIS_OK || redisGetReplyFromReader(redis, &reply) != REDIS_OK)
                peer_fail("redis: %s", redis->errstr);
            if (!reply)
                continue;
            check_reply(reply);
            freeReplyObject(reply);
            records += peer_window_counts(&window, now_ns);
            send_one(redis, &ring);
        }
    }
    peer_print_rate(options, records, &window);
}

static void run_one_waiting(const struct peer_options *options)
{
    static struct histogram latencies;
    struct payload_ring ring;
    redisContext *redis = connect_to(options);
    if (payload_ring_init(&ring, options->payload_size, 1) < 0)
        peer_fail("out of memory");
    histogram_init(&latencies);
    struct peer_window window = peer_window_start(options);
    for (uint64_t sent_ns = load_now_ns(); !peer_window_over(&window, sent_ns);) {
        append_add(redis, payload_next(&ring), ring.payload_size);
        await_reply(redis);
        uint64_t now_ns = load_now_ns();
        if (peer_window_counts(&window, sent_ns))
            histogram_add(&latencies, now_ns - sent_ns);
        sent_ns = now_ns;
    }
    peer_print_p50(options, &latencies);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static volatile uint8_t callback_sink;

/* What an application does at the least: looks at the payload. */
static void on_record(const redisReply *payload)
{
    callback_sink = (uint8_t)payload->str[0];
}

static void run_read(const struct peer_options *options)
{
    struct peer_window none = {.begin_ns = UINT64_MAX, .end_ns = UINT64_MAX};
    pipelines_run(options, none, options->fill_records);
    redisContext *redis = connect_to(options);
    char from[64] = "-";
    uint64_t records = 0;
    struct peer_window window = peer_window_start(options);
    for (uint64_t now_ns = load_now_ns(); !peer_window_over(&window, now_ns); now_ns = load_now_ns()) {
        redisReply *reply = redisCommand(redis, "XRANGE bench %s + COUNT %d", from, READ_COUNT);
        check_reply(reply);
        for (size_t i = 0; i < reply->elements; i++)
            on_record(reply->element[i]->element[1]->element[1]);
        if (peer_window_counts(&window, load_now_ns()))
            records += reply->elements;
        if (reply->elements < READ_COUNT)
            memcpy(from, "-", 2); /* from the first record on again */
        else
            snprintf(from, sizeof from, "(%.40s", reply->element[reply->elements - 1]->element[0]->str);
        freeReplyObject(reply);
    }
    redisFree(redis);
    peer_print_rate(options, records, &window);
}

/* --- workers of a group --------------------------------------------------------------------------------------------------------
 */

struct group_worker {
    pthread_t thread;
    const struct peer_options *options;
    _Atomic uint64_t *acknowledged;
    uint64_t end_ns;
    int number;
};

/* Acknowledges each record by itself, pipelined; with appendfsync always the reply comes when it is on disk. */
static uint64_t acknowledge(redisContext *redis, const redisReply *records)
{
    for (size_t i = 0; i < records->elements; i++) {
        const redisReply *record = records->element[i];
        on_record(record->element[1]->element[1]);
        if (redisAppendCommand(redis, "XACK bench workers %s", record->element[0]->str) != REDIS_OK)
            peer_fail("redis: %s", redis->errstr);
    }
    for (size_t i = 0; i < records->elements; i++)
        await_reply(redis);
    return records->elements;
}

static void *group_work(void *argument)
{
    struct group_worker *worker = argument;
    redisContext *redis = connect_to(worker->options);
    while (load_now_ns() < worker->end_ns && atomic_load(worker->acknowledged) < worker->options->fill_records) {
        redisReply *reply =
            redisCommand(redis, "XREADGROUP GROUP workers w%d COUNT %d STREAMS bench >", worker->number, WORK_COUNT);
        check_reply(reply);
        if (reply->type == REDIS_REPLY_NIL) {
            freeReplyObject(reply);
            break; /* the others have the rest */
        }
        atomic_fetch_add(worker->acknowledged, acknowledge(redis, reply->element[0]->element[1]));
        freeReplyObject(reply);
    }
    redisFree(redis);
    return NULL;
}

static void run_share(const struct peer_options *options)
{
    static struct group_worker workers[PEER_WORKERS];
    struct peer_window none = {.begin_ns = UINT64_MAX, .end_ns = UINT64_MAX};
    _Atomic uint64_t acknowledged = 0;
    pipelines_run(options, none, options->fill_records);
    redisContext *redis = connect_to(options);
    redisReply *reply = redisCommand(redis, "XGROUP CREATE bench workers 0");
    check_reply(reply);
    freeReplyObject(reply);
    redisFree(redis);
    uint64_t begin_ns = load_now_ns();
    for (int i = 0; i < PEER_WORKERS; i++) {
        workers[i] = (struct group_worker){.options = options,
                                           .acknowledged = &acknowledged,
                                           .end_ns = begin_ns + (uint64_t)(options->seconds_s * 1e9),
                                           .number = i};
        if (pthread_create(&workers[i].thread, NULL, group_work, &workers[i]))
            peer_fail("cannot start a thread");
    }
    for (int i = 0; i < PEER_WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    peer_print_share(options, atomic_load(&acknowledged), begin_ns, load_now_ns());
}

int main(int argc, char **argv)
{
    struct peer_options options = peer_options_parse(argc, argv, "redis");
    switch (options.work) {
    case WORK_PUBLISH_ASYNC: {
        struct peer_window window = peer_window_start(&options);
        peer_print_rate(&options, pipelines_run(&options, window, 0), &window);
        break;
    }
    case WORK_PUBLISH_400_SYNC: /* Redis has a connection per publisher either way */
    case WORK_PUBLISH_400_CONN:
        run_waiting(&options);
        break;
    case WORK_PUBLISH_1_SYNC:
        run_one_waiting(&options);
        break;
    case WORK_READ:
        run_read(&options);
        break;
    case WORK_SHARE:
        run_share(&options);
        break;
    }
    return 0;
}
