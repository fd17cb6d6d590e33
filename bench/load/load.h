/* load.h: loads on a broker through libtruc, and what they measure. Layer: bench; uses libtruc.
 *
 * A load runs for a warm-up and a measured window. Closed loop: a record is sent when another is acknowledged (`waiting`
 * publishers) or when the producer's queue has room. Open loop: records are due at a fixed rate, and their latency counts from
 * when they were due, so that a stall of the broker is not hidden by a generator that waited (coordinated omission).
 * Each function runs one load and returns when it is over; not reentrant across one result. */
#ifndef TRUC_LOAD_LOAD_H
#define TRUC_LOAD_LOAD_H

#include "bench/load/histogram.h"
#include "clients/c/truc.h"

enum {
    LOAD_CONNECTIONS_MAX = 4096,
    LOAD_WAITING_MAX = 100000,
    LOAD_TOPICS_MAX = 1000000,
    LOAD_KEYS_MAX = 1000000,
    LOAD_WORKERS_MAX = 1024,
    LOAD_PAYLOAD_MAX = 8 * 1024 * 1024 - 4096
};

struct load_spec {
    const char *url, *source, *domain; /* NULL: libtruc's defaults */
    const char *topic;                 /* the topic, or with several the part before ".N" */
    size_t payload_size;               /* of data; e2e: at least 8 */
    uint32_t connections;              /* clients, each with one producer */
    uint32_t waiting;                  /* publishers that wait for each record, over all connections; 0: no waiting */
    double rate;                       /* records per second over all connections; 0: closed loop */
    uint32_t topics, topic_run;        /* records go to topics in turn, topic_run at a time */
    uint32_t keys;                     /* 0: none */
    double skew;                       /* of the keys, zipf.h; 0: in turn */
    const char *batch_bytes, *batch_records, *linger_us, *codec, *evidence; /* producer options as text; NULL: defaults */
    const char *pattern;   /* read: what to read; NULL: the topic(s) of this load */
    const char *verify;    /* read: yes or no; NULL: yes */
    uint64_t fill_records; /* read, work: records to publish first; 0: read what is there */
    /* work */
    uint32_t workers, subscriptions; /* worker i is of subscription i modulo subscriptions */
    const char *mode, *in_flight;    /* of the subscription, as text; NULL: defaults */
    bool stuck;                      /* one key of many is never settled */
    double warmup_s, seconds_s;
    uint64_t seed;
};
void load_spec_init(struct load_spec *ret_spec);

struct load_result {
    uint64_t records;         /* acknowledged or read in the window */
    double seconds;           /* length of the window */
    struct histogram latency; /* of those records; empty for read */
    uint64_t failures;        /* deliveries that were refused, in the whole run */
    char why[256];            /* of the first failure, or of the status returned */
};

/* Publishing. TRUC_OK even when records were refused: see failures. */
truc_status load_publish(const struct load_spec *spec, struct load_result *ret_result);

/* Publishes an exact number of records as fast as possible, over spec->connections; no window. */
truc_status load_fill(const struct load_spec *spec, uint64_t records, struct load_result *ret_result);

/* Reading from the first record to the head, again and again, until the window is over. */
truc_status load_read(const struct load_spec *spec, struct load_result *ret_result);

/* Publishing at spec->rate (or with spec->waiting) while a reader follows; latency from when a record was due until the reader's
 * callback has it. */
truc_status load_e2e(const struct load_spec *spec, struct load_result *ret_result);

/* Workers of new subscriptions from the first record on, which acknowledge at once; until all is done or the time is over. A
 * record counts when its acknowledgement is on disk; seconds run from the first job to the last such answer. */
truc_status load_work(const struct load_spec *spec, struct load_result *ret_result);
/* Requests, spec->waiting of them (1 when 0) under way at any time, to a server of its own that replies with what it gets. Latency
 * counts from sending a request until the callback has its reply. */
truc_status load_request(const struct load_spec *spec, struct load_result *ret_result);

#endif
