/* net_internal.h: what the parts of net share: the table of connections, the listeners, the keeper. Layer: net.
 *
 * Locks: a connection's mutex first, the net's second; the net's is never held while a connection's is taken or while anything
 * outside is called. NNG's callbacks run on its task threads, the keeper is a thread of ours: it sweeps timeouts, resumes what
 * waited for memory, accepts again after a failure, and frees what has ended, which no callback may do for itself. */
#ifndef TRUC_NET_NET_INTERNAL_H
#define TRUC_NET_NET_INTERNAL_H

#include <nng/nng.h>
#include <pthread.h>
#include <time.h>

#include "broker/net/buffer.h"

enum {
    NET_REFUSALS_MAX = 64, /* connections beyond the maximum that are told so at a time; further ones are just closed */
    NET_SWEEP_MS = 250,
    NET_LINGER_MS = 1000, /* a peer has so long to read the last words and close */
    NET_ACCEPT_RETRY_MS = 100,
    NET_ACCEPT_REPORT_MS = 60000,
    NET_HUNGRY_STALL_MS = 5000,       /* instead of the stall timeout for a frame begun, while others wait for memory */
    NET_SEND_LARGE_BYTES = 64 * 1024, /* a payload that the sender's thread writes */
    NET_ACCEPTORS = 16,
    NET_SLOT_BITS = 17 /* of a connection's number; the rest counts up */
};

struct connection;

struct acceptor {
    struct listener *listener;
    nng_aio *aio;
    bool idle; /* after a failure, until tried again; guarded by net->mutex */
};

struct listener {
    struct listener *next;
    struct net *net;
    nng_stream_listener *stream_listener;
    struct acceptor acceptors[NET_ACCEPTORS]; /* NNG's backlog is 128: a burst must not wait for one callback after the other */
    char *url;                                /* as it listens */
    /* guarded by net->mutex */
    int64_t retry_ms; /* 0, or when to accept again */
    int64_t reported_ms;
    uint64_t suppressed;
};

struct net {
    struct net_options options;
    struct net_callbacks callbacks;
    struct buffer_pool *pool;
    struct task_threads *task_threads; /* held, or NULL */
    pthread_t keeper, sender;
    bool keeper_runs, sender_runs;
    atomic_bool stopping; /* keeper and sender end */
    atomic_bool accepting;
    atomic_uint connection_count;
    atomic_uint slot_high; /* slots at and above were never used */

    pthread_mutex_t mutex;
    pthread_cond_t emptied;
    struct connection **slots; /* slot_count; each holds one reference */
    uint32_t slot_count, slots_used, refusal_count;
    uint32_t *slots_free; /* a stack */
    uint64_t serial;
    struct connection *dead; /* ended, to be freed by the keeper */
    struct listener *listeners;
    struct connection *first_to_push, **last_to_push; /* for the sender; each holds a reference */
    pthread_cond_t to_push;
    bool sender_waits;
};

static inline int64_t net_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* table.c */

/* Gives the connection a number and a slot, and decides whether it is one too many (refused); false when there is no slot either
 * (the connection is then the caller's to free). */
bool net_table_add(struct net *net, struct connection *connection);
void net_table_remove(struct net *net, struct connection *connection);
/* NULL when it is gone; else with a reference. */
struct connection *net_table_find(const struct net *net, uint64_t number);
/* The connection in a slot, with a reference, or NULL. */
struct connection *net_table_at(struct net *net, uint32_t slot);

/* listener.c */
truc_status listener_create(struct net *net, const char *url, struct listener **ret_listener, char *why);
/* Accepts with whatever is idle. */
void listener_accept(struct listener *listener);
/* Accepts no more; waits for callbacks: from then on no connection is added. Not from a callback. */
void listener_stop(struct listener *listener);
void listener_destroy(struct listener *listener); /* not from a callback */

/* keeper.c */
void *keeper_run(void *net);

/* sender.c */
void *sender_run(void *net);
/* Writes what is queued on the sender's thread; under the connection's mutex, its push_later just set. */
void sender_push_later(struct net *net, struct connection *connection);

#endif
