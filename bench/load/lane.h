/* lane.h: one connection of a load: client, producer, payloads, and its own counters, so that lanes share nothing.
 *
 * Layer: bench. The sending thread (or, for waiting publishers, the client's callbacks) publishes; callbacks count. */
#ifndef TRUC_LOAD_LANE_H
#define TRUC_LOAD_LANE_H

#include "bench/load/load.h"
#include "bench/load/payload.h"
#include "bench/load/zipf.h"

#include <stdatomic.h>
#include <stdbool.h>

struct load_window {
    _Atomic uint64_t begin_ns, end_ns; /* begin 0: not yet known */
};

struct lane {
    const struct load_spec *spec;
    struct load_window *window;
    truc_client *client;
    truc_producer *producer;
    truc_delivery_callback *on_delivery;
    struct payload_ring ring;
    struct zipf keys;           /* when they are skewed */
    uint64_t sent;              /* records, by the one that publishes */
    uint64_t records, failures; /* by the callbacks */
    struct histogram latency;   /* by the callbacks */
    char why[256];
    _Atomic bool stopped;
};

/* Opens count lanes; the callback's context is its lane. On failure everything is closed again and why is filled. */
truc_status lanes_open(const struct load_spec *spec, struct load_window *window, truc_delivery_callback *on_delivery,
                       bool queue_block, uint32_t count, struct lane **ret_lanes, char why[256]);
/* Flushes and closes; adds counters and latencies to the result. */
truc_status lanes_close(struct lane *lanes, uint32_t count, struct load_result *into);

/* A client alone, for readers. */
truc_status lane_client_open(const struct load_spec *spec, truc_client **ret_client, char why[256]);

/* Fills in what the spec asks for, then begins the result, and opens a client alone. */
truc_status load_begin(const struct load_spec *spec, truc_client **ret_client, struct load_result *ret_result);

/* Publishes the lane's next record. stamp_ns (0: none) is written over the payload's first 8 bytes. opaque comes back. */
truc_status lane_publish(struct lane *lane, uint64_t stamp_ns, void *opaque);

/* The name of the topic at an index. */
void load_topic_name(const struct load_spec *spec, uint64_t index, char name[256]);

/* Counts one delivery: failures, or, inside the window, the record and its latency. */
void lane_count(struct lane *lane, const truc_delivery *delivery, uint64_t sent_ns, uint64_t now_ns);

void load_window_start(struct load_window *window, const struct load_spec *spec);
static inline bool load_window_over(const struct load_window *window, uint64_t now_ns)
{
    return now_ns >= atomic_load_explicit(&window->end_ns, memory_order_relaxed);
}
static inline bool load_window_counts(const struct load_window *window, uint64_t now_ns)
{
    return now_ns >= atomic_load_explicit(&window->begin_ns, memory_order_relaxed) && !load_window_over(window, now_ns);
}

#endif
