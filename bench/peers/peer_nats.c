/* peer_nats: NATS JetStream through libnats, one file-backed stream with the server's defaults. Asynchronous publishing is
 * js_PublishAsync, the fast way of its documentation; waiting publishers publish again from the acknowledgement's callback;
 * reading is a pull consumer with explicit acknowledgement. */
#include "bench/peers/peer.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Measured on two cores: more in flight gained nothing. */
enum { ASYNC_PENDING = 4096, WAITING_PUBLISHERS = 400, READ_BATCH = 1000, ACK_PENDING = 2 * PEER_WORKERS * READ_BATCH };

static const char *const subject = "bench";

static void check(natsStatus status, const char *doing)
{
    if (status != NATS_OK)
        peer_fail("jetstream: %s: %s", doing, natsStatus_GetText(status));
}

struct publisher {
    natsConnection *connection;
    jsCtx *js;
    struct payload_ring ring;
    const struct peer_window *window;
    _Atomic uint64_t *records;
    _Atomic bool *stopped;
};

static void on_ack_again(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *context);
static void on_ack_count(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *context);

static void publisher_open(struct publisher *publisher, const struct peer_options *options, jsPubAckHandler handler, uint64_t seed)
{
    jsOptions js_options;
    check(natsConnection_ConnectTo(&publisher->connection, options->address), "connect");
    check(jsOptions_Init(&js_options), "options");
    js_options.PublishAsync.MaxPending = ASYNC_PENDING;
    js_options.PublishAsync.StallWait = 10000;
    js_options.PublishAsync.AckHandler = handler;
    js_options.PublishAsync.AckHandlerClosure = publisher;
    check(natsConnection_JetStream(&publisher->js, publisher->connection, &js_options), "context");
    if (payload_ring_init(&publisher->ring, options->payload_size, seed) < 0)
        peer_fail("out of memory");
}

static void publisher_close(struct publisher *publisher)
{
    js_PublishAsyncComplete(publisher->js, NULL);
    jsCtx_Destroy(publisher->js);
    natsConnection_Destroy(publisher->connection);
    payload_ring_fini(&publisher->ring);
}

static void stream_create(const struct peer_options *options)
{
    struct publisher owner = {0};
    jsStreamConfig config;
    const char *subjects[] = {subject};
    publisher_open(&owner, options, NULL, 1);
    check(jsStreamConfig_Init(&config), "stream");
    config.Name = "bench";
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    check(js_AddStream(NULL, owner.js, &config, NULL, NULL), "add stream");
    publisher_close(&owner);
}

static void publish_next(struct publisher *publisher)
{
    check(js_PublishAsync(publisher->js, subject, payload_next(&publisher->ring), (int)publisher->ring.payload_size, NULL),
          "publish");
}

static void count_ack(const struct publisher *publisher, const jsPubAck *ack, const jsPubAckErr *error)
{
    if (!ack)
        peer_fail("jetstream: %s", error && error->ErrText ? error->ErrText : "no acknowledgement");
    if (peer_window_counts(publisher->window, load_now_ns()))
        atomic_fetch_add_explicit(publisher->records, 1, memory_order_relaxed);
}

static void on_ack_count(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *context)
{
    (void)js;
    count_ack(context, ack, error);
    natsMsg_Destroy(message);
}

static void on_ack_again(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *context)
{
    struct publisher *publisher = context;
    (void)js;
    count_ack(publisher, ack, error);
    natsMsg_Destroy(message);
    if (!atomic_load_explicit(publisher->stopped, memory_order_relaxed))
        publish_next(publisher);
}

/* Publishes for the window; with a limit: so many records instead. */
static uint64_t publish_async(const struct peer_options *options, const struct peer_window *window, uint64_t limit)
{
    struct publisher publisher = {.window = window};
    _Atomic uint64_t records = 0;
    publisher.records = &records;
    publisher_open(&publisher, options, on_ack_count, 1);
    for (uint64_t sent = 0; limit ? sent < limit : !peer_window_over(window, load_now_ns()); sent++)
        publish_next(&publisher);
    publisher_close(&publisher);
    return atomic_load(&records);
}

static void run_waiting(const struct peer_options *options, int connection_count)
{
    static struct publisher publishers[WAITING_PUBLISHERS];
    _Atomic uint64_t records = 0;
    _Atomic bool stopped = false;
    struct peer_window window = {.begin_ns = UINT64_MAX, .end_ns = UINT64_MAX};
    for (int i = 0; i < connection_count; i++) {
        publishers[i] = (struct publisher){.window = &window, .records = &records, .stopped = &stopped};
        publisher_open(&publishers[i], options, on_ack_again, (uint64_t)i + 1);
    }
    window = peer_window_start(options);
    for (int i = 0; i < WAITING_PUBLISHERS; i++)
        publish_next(&publishers[i % connection_count]);
    while (!peer_window_over(&window, load_now_ns()))
        nats_Sleep(10);
    atomic_store(&stopped, true);
    for (int i = 0; i < connection_count; i++)
        publisher_close(&publishers[i]);
    peer_print_rate(options, atomic_load(&records), &window);
}

static void run_one_waiting(const struct peer_options *options)
{
    static struct histogram latencies;
    struct publisher publisher = {0};
    publisher_open(&publisher, options, NULL, 1);
    histogram_init(&latencies);
    struct peer_window window = peer_window_start(options);
    for (uint64_t sent_ns = load_now_ns(); !peer_window_over(&window, sent_ns);) {
        check(js_Publish(NULL, publisher.js, subject, payload_next(&publisher.ring), (int)publisher.ring.payload_size, NULL, NULL),
              "publish");
        uint64_t now_ns = load_now_ns();
        if (peer_window_counts(&window, sent_ns))
            histogram_add(&latencies, now_ns - sent_ns);
        sent_ns = now_ns;
    }
    publisher_close(&publisher);
    peer_print_p50(options, &latencies);
}

static volatile char callback_sink;

static void on_record(natsMsg *message)
{
    callback_sink = natsMsg_GetData(message)[0];
}

static natsSubscription *consumer_open(jsCtx *js)
{
    natsSubscription *subscription = NULL;
    jsSubOptions options;
    check(jsSubOptions_Init(&options), "options");
    options.Config.AckPolicy = js_AckExplicit;
    options.Config.MaxAckPending = ACK_PENDING;
    check(js_PullSubscribe(&subscription, js, subject, "reader", NULL, &options, NULL), "pull subscribe");
    return subscription;
}

static void run_read(const struct peer_options *options)
{
    struct peer_window none = {.begin_ns = UINT64_MAX, .end_ns = UINT64_MAX};
    publish_async(options, &none, options->fill_records);
    struct publisher reader = {0};
    publisher_open(&reader, options, NULL, 1);
    natsSubscription *subscription = consumer_open(reader.js);
    uint64_t records = 0, read = 0;
    struct peer_window window = peer_window_start(options);
    while (!peer_window_over(&window, load_now_ns())) {
        natsMsgList list = {0};
        check(natsSubscription_Fetch(&list, subscription, READ_BATCH, 5000, NULL), "fetch");
        for (int i = 0; i < list.Count; i++) {
            on_record(list.Msgs[i]);
            check(natsMsg_Ack(list.Msgs[i], NULL), "acknowledge");
        }
        if (peer_window_counts(&window, load_now_ns()))
            records += (uint64_t)list.Count;
        read += (uint64_t)list.Count;
        natsMsgList_Destroy(&list);
        if (read >= options->fill_records) { /* from the first record on again, as a new consumer */
            check(natsSubscription_Unsubscribe(subscription), "unsubscribe");
            natsSubscription_Destroy(subscription);
            js_DeleteConsumer(reader.js, "bench", "reader", NULL, NULL);
            subscription = consumer_open(reader.js);
            read = 0;
        }
    }
    natsSubscription_Destroy(subscription);
    publisher_close(&reader);
    peer_print_rate(options, records, &window);
}

/* --- workers of one pull consumer ----------------------------------------------------------------------------------------------
 */

struct puller {
    pthread_t thread;
    const struct peer_options *options;
    _Atomic uint64_t *acknowledged, *last_ns;
    uint64_t end_ns;
};

/* natsMsg_Ack sends and does not wait: JetStream confirms an acknowledgement only when asked to, one round trip each. */
static void *pull(void *argument)
{
    struct puller *puller = argument;
    struct publisher connection = {0};
    publisher_open(&connection, puller->options, NULL, 1);
    natsSubscription *subscription = consumer_open(connection.js);
    while (load_now_ns() < puller->end_ns && atomic_load(puller->acknowledged) < puller->options->fill_records) {
        natsMsgList list = {0};
        natsStatus status = natsSubscription_Fetch(&list, subscription, READ_BATCH, 1000, NULL);
        if (status == NATS_TIMEOUT)
            break; /* the others have the rest */
        check(status, "fetch");
        for (int i = 0; i < list.Count; i++) {
            on_record(list.Msgs[i]);
            check(natsMsg_Ack(list.Msgs[i], NULL), "acknowledge");
        }
        atomic_fetch_add(puller->acknowledged, (uint64_t)list.Count);
        atomic_store(puller->last_ns, load_now_ns());
        natsMsgList_Destroy(&list);
    }
    natsConnection_Flush(connection.connection);
    natsSubscription_Destroy(subscription);
    publisher_close(&connection);
    return NULL;
}

static void run_share(const struct peer_options *options)
{
    static struct puller pullers[PEER_WORKERS];
    struct peer_window none = {.begin_ns = UINT64_MAX, .end_ns = UINT64_MAX};
    _Atomic uint64_t acknowledged = 0, last_ns = 0;
    struct publisher owner = {0};
    publish_async(options, &none, options->fill_records);
    publisher_open(&owner, options, NULL, 1);
    natsSubscription_Destroy(consumer_open(owner.js)); /* made once; the workers bind to it */
    uint64_t begin_ns = load_now_ns();
    for (int i = 0; i < PEER_WORKERS; i++) {
        pullers[i] = (struct puller){.options = options,
                                     .acknowledged = &acknowledged,
                                     .last_ns = &last_ns,
                                     .end_ns = begin_ns + (uint64_t)(options->seconds_s * 1e9)};
        if (pthread_create(&pullers[i].thread, NULL, pull, &pullers[i]))
            peer_fail("cannot start a thread");
    }
    for (int i = 0; i < PEER_WORKERS; i++)
        pthread_join(pullers[i].thread, NULL);
    publisher_close(&owner);
    peer_print_share(options, atomic_load(&acknowledged), begin_ns, atomic_load(&last_ns));
}

int main(int argc, char **argv)
{
    struct peer_options options = peer_options_parse(argc, argv, "jetstream");
    stream_create(&options);
    switch (options.work) {
    case WORK_PUBLISH_ASYNC: {
        struct peer_window window = peer_window_start(&options);
        peer_print_rate(&options, publish_async(&options, &window, 0), &window);
        break;
    }
    case WORK_PUBLISH_400_SYNC:
        run_waiting(&options, 1);
        break;
    case WORK_PUBLISH_400_CONN:
        run_waiting(&options, WAITING_PUBLISHERS);
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
    nats_Close();
    return 0;
}
