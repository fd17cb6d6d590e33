/* link.h: one connection to the broker: an NNG stream, frames out and in. Knows nothing of what frames mean.
 *
 * Layer: libtruc. Owner: the client, whose one lock is the link's lock. "Locked" means that the caller holds it.
 * Threads: dialing, sending and receiving complete on NNG's threads, which take the lock, call the events and never block;
 * link_dial, link_teardown and link_fini belong to the client's own thread.
 *
 * Sending is gathered: link_queue appends; whoever then finds the link ready (link_prepare, locked) calls link_post without the
 * lock, so that the system call is made by the thread that has just published and no thread is woken for it. */
#ifndef TRUC_CLIENT_LINK_H
#define TRUC_CLIENT_LINK_H

#include <nng/nng.h>
#include <pthread.h>

#include "proto/frame.h"

/* Bytes to be sent, owned by whoever queued them until done is called (locked): sent, or dropped with the connection. */
struct link_out {
    struct link_out *next;
    const uint8_t *data;
    size_t size, sent;
    bool queued; /* between link_queue and done */
    void (*done)(struct link_out *out);
};

/* A frame too large for the staging buffer is received into one of these, straight from the stream. */
struct inbound {
    struct inbound *next;
    size_t capacity, filled;
    uint8_t data[];
};

struct link_events {
    void (*opened)(void *context); /* locked: connected; queue the hello */
    /* Locked. The frame is borrowed. *inbound, if not NULL, holds its bytes: who wants to keep them takes it (sets it to NULL)
     * and gives it back with link_inbound_free. TRUC_OK, or what breaks the link. */
    truc_status (*frame)(void *context, const struct frame *frame, struct inbound **inbound, const char **ret_why);
    void (*received)(void *context); /* locked: after the frames of one receive */
    void (*broken)(void *context);   /* locked: to be torn down by the client's thread */
};

enum link_state { LINK_CLOSED, LINK_DIALING, LINK_OPEN, LINK_BROKEN };

enum { LINK_STAGING_BYTES = 64 * 1024, LINK_INBOUND_KEPT = 4 };

struct link {
    const struct link_events *events;
    void *context;
    pthread_mutex_t *lock;
    pthread_cond_t unposted; /* a poster is out of NNG again */
    nng_stream_dialer *dialer;
    enum link_state state;
    truc_status status; /* when broken: why */
    char why[192];
    nng_aio *dial_aio, *receive_aio;
    nng_aio *try_aio, *send_aio; /* without and with a callback */
    nng_stream *stream;
    /* out */
    struct link_out *out_head, *out_tail;
    bool sending, posting;
    /* in: touched by the receive callback only while the link is open */
    uint8_t *staging;
    size_t start, end;
    struct inbound *large; /* being received */
    size_t large_size;     /* of its frame */
    struct inbound *kept;  /* for reuse */
    size_t kept_count;
    size_t frame_bytes_max;
};

/* url: tcp://HOST:PORT or ipc://PATH. TRUC_INVALID_ARGUMENT, TRUC_NO_MEMORY. */
truc_status link_init(struct link *link, pthread_mutex_t *lock, const char *url, const struct link_events *events, void *context);
void link_fini(struct link *link);

/* Begins to connect; closed before, unlocked. Then the events opened or broken follow. TRUC_NO_MEMORY. */
truc_status link_dial(struct link *link, int timeout_ms);

/* Ends the connection whatever its state; unlocked. Afterwards no callback runs and every link_out was given back. */
void link_teardown(struct link *link);

/* Locked. Marks the link broken (once) and tells the client. */
void link_break(struct link *link, truc_status status, const char *why);

/* Locked, open. The out must not be queued already. */
void link_queue(struct link *link, struct link_out *out);

/* Locked, open. Queues a copy of a small frame. TRUC_NO_MEMORY. */
truc_status link_queue_copy(struct link *link, const uint8_t *bytes, size_t size);

/* Locked: whether there is something to be sent and nobody sends; then the caller must call link_post, unlocked. */
bool link_prepare(struct link *link);
void link_post(struct link *link);

/* Locked. NULL when out of memory. */
struct inbound *link_inbound_alloc(struct link *link, size_t size);
void link_inbound_free(struct link *link, struct inbound *inbound); /* NULL is allowed */

#endif
