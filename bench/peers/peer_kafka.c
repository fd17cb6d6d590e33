/* peer_kafka: Apache Kafka through librdkafka, acks=all, one topic with one partition. With --flush the topic is made with
 * flush.messages=1, so that an acknowledgement means on disk. Asynchronous publishing uses librdkafka's own batching with the
 * linger its documentation advises for throughput. */
#include "bench/peers/peer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING_PUBLISHERS = 400, POLL_MS = 10, ANSWER_MS = 60000 };

static const char *const topic_name = "bench";

struct publisher {
    rd_kafka_t *kafka;
    struct payload_ring ring;
    const struct peer_window *window;
    uint64_t *records;
    bool again; /* each acknowledgement publishes the next record */
    const bool *stopped;
};

static void publish_next(struct publisher *publisher)
{
    for (;;) {
        rd_kafka_resp_err_t error = rd_kafka_producev(
            publisher->kafka, RD_KAFKA_V_TOPIC(topic_name), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)payload_next(&publisher->ring), publisher->ring.payload_size), RD_KAFKA_V_END);
        if (!error)
            return;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            peer_fail("kafka: publish: %s", rd_kafka_err2str(error));
        rd_kafka_poll(publisher->kafka, POLL_MS);
    }
}

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context)
{
    struct publisher *publisher = context;
    (void)kafka;
    if (publisher->stopped && *publisher->stopped)
        return;
    if (message->err)
        peer_fail("kafka: delivery: %s", rd_kafka_err2str(message->err));
    *publisher->records += peer_window_counts(publisher->window, load_now_ns());
    if (publisher->again)
        publish_next(publisher);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        peer_fail("kafka: %s: %s", name, why);
}

static rd_kafka_t *client_open(const struct peer_options *options, rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    set(conf, "bootstrap.servers", options->address);
    rd_kafka_t *kafka = rd_kafka_new(type, conf, why, sizeof why);
    if (!kafka)
        peer_fail("kafka: %s", why);
    return kafka;
}

static void publisher_open(struct publisher *publisher, const struct peer_options *options, const char *linger_ms, uint64_t seed)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "acks", "all");
    set(conf, "linger.ms", linger_ms);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, publisher);
    publisher->kafka = client_open(options, RD_KAFKA_PRODUCER, conf);
    if (payload_ring_init(&publisher->ring, options->payload_size, seed) < 0)
        peer_fail("out of memory");
}

static void topic_create(const struct peer_options *options)
{
    char why[256];
    rd_kafka_t *kafka = client_open(options, RD_KAFKA_PRODUCER, rd_kafka_conf_new());
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(topic_name, 1, 1, why, sizeof why);
    if (!topic || (options->flush && rd_kafka_NewTopic_set_config(topic, "flush.messages", "1")))
        peer_fail("kafka: new topic");
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    rd_kafka_CreateTopics(kafka, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    if (!event || rd_kafka_event_error(event))
        peer_fail("kafka: create topic: %s", event ? rd_kafka_event_error_string(event) : "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_destroy(kafka);
}

static uint64_t publish_async(const struct peer_options *options, const struct peer_window *window, uint64_t limit)
{
    uint64_t records = 0;
    struct publisher publisher = {.window = window, .records = &records};
    publisher_open(&publisher, options, "5", 1);
    for (uint64_t sent = 0; limit ? sent < limit : !peer_window_over(window, load_now_ns()); sent++) {
        publish_next(&publisher);
        if (sent % 256 == 0)
            rd_kafka_poll(publisher.kafka, 0);
    }
    rd_kafka_flush(publisher.kafka, ANSWER_MS);
    rd_kafka_destroy(publisher.kafka);
    payload_ring_fini(&publisher.ring);
    return records;
}

static void run_waiting(const struct peer_options *options, int connection_count)
{
    static struct publisher publishers[WAITING_PUBLISHERS];
    uint64_t records = 0;
    bool stopped = false;
    struct peer_window window = {.begin_ns = UINT64_MAX, .end_ns = UINT64_MAX};
    for (int i = 0; i < connection_count; i++) {
        publishers[i] = (struct publisher){.window = &window, .records = &records, .again = true, .stopped = &stopped};
        publisher_open(&publishers[i], options, "0", (uint64_t)i + 1);
    }
    window = peer_window_start(options);
    for (int i = 0; i < WAITING_PUBLISHERS; i++)
        publish_next(&publishers[i % connection_count]);
    while (!peer_window_over(&window, load_now_ns())) {
        for (int i = 0; i < connection_count; i++)
            rd_kafka_poll(publishers[i].kafka, connection_count == 1 ? POLL_MS : 0);
    }
    stopped = true;
    peer_print_rate(options, records, &window);
    exit(0); /* ending 400 clients in turn takes longer than the measurement */
}

static void run_one_waiting(const struct peer_options *options)
{
    static struct histogram latencies;
    uint64_t records = 0, awaited = 0;
    struct peer_window all = {.begin_ns = 0, .end_ns = UINT64_MAX};
    struct publisher publisher = {.window = &all, .records = &records};
    publisher_open(&publisher, options, "0", 1);
    histogram_init(&latencies);
    struct peer_window window = peer_window_start(options);
    for (uint64_t sent_ns = load_now_ns(); !peer_window_over(&window, sent_ns);) {
        publish_next(&publisher);
        for (awaited++; records < awaited;)
            rd_kafka_poll(publisher.kafka, ANSWER_MS);
        uint64_t now_ns = load_now_ns();
        if (peer_window_counts(&window, sent_ns))
            histogram_add(&latencies, now_ns - sent_ns);
        sent_ns = now_ns;
    }
    rd_kafka_destroy(publisher.kafka);
    peer_print_p50(options, &latencies);
}

static volatile char callback_sink;

static void on_record(rd_kafka_message_t *message, void *context)
{
    uint64_t *read = context;
    if (message->err)
        peer_fail("kafka: read: %s", rd_kafka_message_errstr(message));
    callback_sink = ((const char *)message->payload)[0];
    ++*read;
}

static void run_read(const struct peer_options *options)
{
    struct peer_window none = {.begin_ns = UINT64_MAX, .end_ns = UINT64_MAX};
    publish_async(options, &none, options->fill_records);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", "bench");
    set(conf, "enable.auto.commit", "false");
    rd_kafka_t *kafka = client_open(options, RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, topic_name, NULL);
    if (!topic || rd_kafka_consume_start(topic, 0, RD_KAFKA_OFFSET_BEGINNING))
        peer_fail("kafka: consume");
    uint64_t records = 0, read = 0;
    struct peer_window window = peer_window_start(options);
    for (uint64_t now_ns = load_now_ns(); !peer_window_over(&window, now_ns); now_ns = load_now_ns()) {
        uint64_t before = read;
        rd_kafka_consume_callback(topic, 0, 100, on_record, &read);
        if (peer_window_counts(&window, load_now_ns()))
            records += read - before;
        if (read >= options->fill_records) { /* from the first record on again */
            read = 0;
            if (rd_kafka_seek(topic, 0, RD_KAFKA_OFFSET_BEGINNING, ANSWER_MS))
                peer_fail("kafka: seek");
        }
    }
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(kafka);
    peer_print_rate(options, records, &window);
}

int main(int argc, char **argv)
{
    struct peer_options options = peer_options_parse(argc, argv, "kafka");
    topic_create(&options);
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
        peer_fail("kafka: librdkafka has no share groups");
    }
    return 0;
}
