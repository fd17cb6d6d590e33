#include "bench/load/lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSH_MS = 120000, CLOSE_MS = 1000 };

void load_spec_init(struct load_spec *ret_spec)
{
    *ret_spec = (struct load_spec){.topic = "bench.load",
                                   .payload_size = 128,
                                   .connections = 1,
                                   .topics = 1,
                                   .topic_run = 1,
                                   .workers = 8,
                                   .subscriptions = 1,
                                   .warmup_s = 2,
                                   .seconds_s = 10,
                                   .seed = 1};
}

void load_window_start(struct load_window *window, const struct load_spec *spec)
{
    uint64_t begin_ns = load_now_ns() + (uint64_t)(spec->warmup_s * 1e9);
    atomic_store(&window->begin_ns, begin_ns);
    atomic_store(&window->end_ns, begin_ns + (uint64_t)(spec->seconds_s * 1e9));
}

/* Sets those of the options that have a value. */
struct setting {
    const char *name, *value;
};
static truc_status options_make(const struct setting *settings, size_t count, truc_options **ret_options, char why[256])
{
    truc_options *options = NULL;
    truc_status status = truc_options_create(&options);
    for (size_t i = 0; i < count && status == TRUC_OK; i++) {
        if (settings[i].value)
            status = truc_options_set(options, settings[i].name, settings[i].value);
    }
    if (status != TRUC_OK) {
        snprintf(why, 256, "%s", options ? truc_options_error(options) : truc_status_text(status));
        truc_options_destroy(options);
        return status;
    }
    *ret_options = options;
    return TRUC_OK;
}

static void take_error(char why[256], char *error, truc_status status)
{
    snprintf(why, 256, "%s", error ? error : truc_status_text(status));
    truc_free(error);
}

truc_status lane_client_open(const struct load_spec *spec, truc_client **ret_client, char why[256])
{
    const struct setting settings[] = {
        {"url", spec->url}, {"source", spec->source ? spec->source : "local/bench"}, {"domain", spec->domain}};
    truc_options *options = NULL;
    char *error = NULL;
    truc_status status = options_make(settings, sizeof settings / sizeof *settings, &options, why);
    if (status != TRUC_OK)
        return status;
    status = truc_client_open(options, ret_client, &error);
    if (status != TRUC_OK)
        take_error(why, error, status);
    truc_options_destroy(options);
    return status;
}

truc_status load_begin(const struct load_spec *spec, truc_client **ret_client, struct load_result *ret_result)
{
    truc_status status = spec->fill_records ? load_fill(spec, spec->fill_records, ret_result) : TRUC_OK;
    if (status == TRUC_OK && spec->fill_records && ret_result->failures)
        status = TRUC_INTERNAL;
    if (status != TRUC_OK)
        return status;
    *ret_result = (struct load_result){.seconds = spec->seconds_s};
    return lane_client_open(spec, ret_client, ret_result->why);
}

static truc_status lane_producer_open(struct lane *lane, bool queue_block, char why[256])
{
    const struct load_spec *spec = lane->spec;
    const struct setting settings[] = {{"batch_bytes", spec->batch_bytes}, {"batch_records", spec->batch_records},
                                       {"linger_us", spec->linger_us},     {"codec", spec->codec},
                                       {"evidence", spec->evidence},       {"queue_full", queue_block ? "block" : "error"}};
    truc_options *options = NULL;
    char *error = NULL;
    truc_status status = options_make(settings, sizeof settings / sizeof *settings, &options, why);
    if (status != TRUC_OK)
        return status;
    status = truc_producer_open(lane->client, options, lane->on_delivery, lane, &lane->producer, &error);
    if (status != TRUC_OK)
        take_error(why, error, status);
    truc_options_destroy(options);
    return status;
}

static truc_status lane_open(struct lane *lane, bool queue_block, uint64_t seed, char why[256])
{
    truc_status status;
    histogram_init(&lane->latency);
    if (payload_ring_init(&lane->ring, lane->spec->payload_size, seed) < 0)
        return TRUC_NO_MEMORY;
    if (lane->spec->keys && lane->spec->skew > 0 && zipf_init(&lane->keys, lane->spec->keys, lane->spec->skew, seed) < 0)
        return TRUC_NO_MEMORY;
    status = lane_client_open(lane->spec, &lane->client, why);
    return status == TRUC_OK ? lane_producer_open(lane, queue_block, why) : status;
}

truc_status lanes_open(const struct load_spec *spec, struct load_window *window, truc_delivery_callback *on_delivery,
                       bool queue_block, uint32_t count, struct lane **ret_lanes, char why[256])
{
    struct lane *lanes = calloc(count, sizeof *lanes);
    if (!lanes)
        return TRUC_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        lanes[i].spec = spec;
        lanes[i].window = window;
        lanes[i].on_delivery = on_delivery;
        truc_status status = lane_open(&lanes[i], queue_block, spec->seed + i, why);
        if (status != TRUC_OK) {
            struct load_result unused = {0};
            lanes_close(lanes, i + 1, &unused);
            return status;
        }
    }
    *ret_lanes = lanes;
    return TRUC_OK;
}

truc_status lanes_close(struct lane *lanes, uint32_t count, struct load_result *into)
{
    truc_status first = TRUC_OK;
    for (uint32_t i = 0; i < count; i++)
        atomic_store(&lanes[i].stopped, true);
    for (uint32_t i = 0; i < count; i++) {
        struct lane *lane = &lanes[i];
        truc_status status = lane->producer ? truc_flush(lane->producer, FLUSH_MS) : TRUC_OK;
        if (status != TRUC_OK && first == TRUC_OK) {
            first = status;
            snprintf(into->why, sizeof into->why, "flush: %s", truc_status_text(status));
        }
        if (lane->producer)
            truc_producer_close(lane->producer, CLOSE_MS);
        truc_client_close(lane->client);
        payload_ring_fini(&lane->ring);
        zipf_fini(&lane->keys);
        into->records += lane->records;
        into->failures += lane->failures;
        histogram_merge(&into->latency, &lane->latency);
        if (lane->why[0] && !into->why[0])
            memcpy(into->why, lane->why, sizeof into->why);
    }
    free(lanes);
    return first;
}

void load_topic_name(const struct load_spec *spec, uint64_t index, char name[256])
{
    if (spec->topics <= 1)
        snprintf(name, 256, "%s", spec->topic);
    else
        snprintf(name, 256, "%.230s.%" PRIu64, spec->topic, index % spec->topics);
}

truc_status lane_publish(struct lane *lane, uint64_t stamp_ns, void *opaque)
{
    const struct load_spec *spec = lane->spec;
    truc_record record = TRUC_RECORD_INIT;
    char topic_name[256], key[24];
    const char *topic = spec->topic;
    uint8_t *payload = (uint8_t *)(uintptr_t)payload_next(&lane->ring); /* the ring is ours to write */
    if (stamp_ns)
        memcpy(payload, &stamp_ns, sizeof stamp_ns);
    if (spec->topics > 1) {
        load_topic_name(spec, lane->sent / spec->topic_run, topic_name);
        topic = topic_name;
    }
    if (spec->keys) {
        uint64_t number = lane->keys.sums ? zipf_next(&lane->keys) : lane->sent % spec->keys;
        record.key = (truc_text){key, (size_t)snprintf(key, sizeof key, "k%" PRIu64, number)};
    }
    record.data = payload;
    record.data_size = spec->payload_size;
    truc_status status = truc_publish(lane->producer, topic, &record, opaque);
    if (status == TRUC_OK)
        lane->sent++;
    return status;
}

void lane_count(struct lane *lane, const truc_delivery *delivery, uint64_t sent_ns, uint64_t now_ns)
{
    if (delivery->status != TRUC_OK && delivery->status != TRUC_DUPLICATE) {
        if (lane->failures++ == 0)
            snprintf(lane->why, sizeof lane->why, "%s: %s", truc_status_name(delivery->status), delivery->why ? delivery->why : "");
        return;
    }
    if (load_window_counts(lane->window, now_ns)) {
        lane->records++;
        histogram_add(&lane->latency, now_ns > sent_ns ? now_ns - sent_ns : 0);
    }
}
