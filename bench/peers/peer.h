/* peer.h: what every peer's client has in common: its arguments, the measured window, its one line of result.
 *
 * Layer: bench. A peer client runs one work against one server for a warm-up and a measured time, and prints
 * {"work":W,"system":S,"unit":U,"value":V}. */
#ifndef TRUC_PEER_H
#define TRUC_PEER_H

#include "bench/load/histogram.h"
#include "bench/load/payload.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { PEER_WORKERS = 8 };

enum peer_work {
    WORK_PUBLISH_ASYNC,    /* as fast as the documentation says to be */
    WORK_PUBLISH_400_SYNC, /* 400 publishers in one process, each waiting for each record */
    WORK_PUBLISH_400_CONN, /* the same, a connection each */
    WORK_PUBLISH_1_SYNC,   /* one publisher, waiting for each record */
    WORK_READ,             /* into the application's callback, from the first record on */
    WORK_SHARE             /* 8 workers of one group, each record acknowledged by itself, from the first record on */
};

struct peer_options {
    enum peer_work work;
    const char *work_name, *system, *address; /* address: port or URL */
    size_t payload_size;
    double warmup_s, seconds_s;
    uint64_t fill_records; /* WORK_READ, WORK_SHARE: records to publish first */
    bool flush;            /* Kafka: the topic has flush.messages=1 */
};

/* Reads the command line; prints what is wrong and exits with 2. */
struct peer_options peer_options_parse(int argc, char **argv, const char *system);

/* The measured window. Threads count what is acknowledged or read into `done`; only what falls into the window counts. */
struct peer_window {
    uint64_t begin_ns, end_ns; /* of the measured part */
};
struct peer_window peer_window_start(const struct peer_options *options);
static inline bool peer_window_over(const struct peer_window *window, uint64_t now_ns)
{
    return now_ns >= window->end_ns;
}
static inline bool peer_window_counts(const struct peer_window *window, uint64_t now_ns)
{
    return now_ns >= window->begin_ns && now_ns < window->end_ns;
}

/* Prints the result: records in the window as record/s (payloads of 1 KiB and more: MB/s of payload). */
void peer_print_rate(const struct peer_options *options, uint64_t records, const struct peer_window *window);
/* Of WORK_SHARE: records that were acknowledged from begin_ns to end_ns. */
void peer_print_share(const struct peer_options *options, uint64_t records, uint64_t begin_ns, uint64_t end_ns);
void peer_print_p50(const struct peer_options *options, const struct histogram *latencies);

/* Prints the text and exits with 1. */
_Noreturn void peer_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
