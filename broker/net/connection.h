/* connection.h: one accepted stream. Layer: net.
 *
 *   OPEN     frames are received and cut, answers are sent
 *   CLOSING  what is queued goes out; then the peer has NET_LINGER_MS to read it and close; what it sends is thrown away, for a
 *            socket closed over unread bytes is reset, and the peer would lose the last words
 *   ENDED    the stream is closed; whoever has the receiving side tells `closed`; then the keeper frees it
 *
 * The receiving side belongs to exactly one: the posted aio, its callback, or the keeper while it waits for memory. Posting and
 * closing happen under the mutex, since NNG 1.5.2 never finishes an aio that is posted on a stream already closed. */
#ifndef TRUC_NET_CONNECTION_H
#define TRUC_NET_CONNECTION_H

#include "broker/net/intake.h"
#include "broker/net/net_internal.h"
#include "broker/net/send_queue.h"

enum connection_phase { CONNECTION_OPEN, CONNECTION_CLOSING, CONNECTION_ENDED };

struct connection {
    struct net *net;
    uint64_t number;
    uint32_t slot;
    bool refused; /* beyond connections_max: has no session */
    atomic_uint refs;
    struct connection *next_dead;
    struct connection *next_to_push; /* guarded by net->mutex */
    nng_stream *stream;
    nng_aio *receive_aio;
    nng_aio *send_aio; /* waits until the peer takes more; NULL before that happens */
    nng_aio
        *try_aio; /* without a callback: completes at once or is taken back, without waking a thread; NULL before the first send */
    void *session;
    struct intake intake; /* of whoever has the receiving side */
    atomic_bool logged_in;
    atomic_llong received_ms; /* last progress, either way */
    atomic_llong sent_ms;
    atomic_bool partial; /* a frame has begun */

    pthread_mutex_t mutex; /* guards what follows */
    enum connection_phase phase;
    bool receive_waiting; /* for memory; the keeper may take the receiving side over */
    bool receive_done;    /* closed was told */
    bool send_posted;
    bool push_later; /* the sender will write */
    bool buried;
    struct send_queue out;
    int64_t opened_ms, linger_ms; /* linger_ms: 0, or when a closing connection ends */
    truc_status status;
    char why[96];
};

/* Takes the stream over, also on failure. NULL: no memory. */
struct connection *net_connection_create(struct net *net, nng_stream *stream);
/* Begins: opened is called (or, when refused, TOO_MANY told), receiving posted. After net_table_add; in a callback. */
void net_connection_start(struct connection *connection);
/* Frees one that was never added to the table, or is dead and has no other reference (false: try later). Not in a callback. */
bool net_connection_destroy(struct connection *connection);
void net_connection_unref(struct connection *connection);

/* With the mutex held: */
void net_connection_end_locked(struct connection *connection, truc_status status, const char *why);
void net_connection_bury_locked(struct connection *connection); /* if nothing is under way any more */

/* Sends an ERROR that ends the connection, then closes. */
void net_connection_fail(struct connection *connection, truc_status status, const char *why);
void net_connection_close(struct connection *connection, truc_status status, const char *why);

/* Posts the next receive, or waits for memory, or finishes. By whoever has the receiving side. */
void net_connection_receive_next(struct connection *connection);
/* Takes the receiving side over from a connection that waits. For the keeper. */
void net_connection_resume(struct connection *connection);

/* connection_send.c */
void net_connection_send(struct connection *connection, struct bytes head, struct bytes payload, void (*free_payload)(void *owner),
                         void *owner);
void net_connection_send_done(void *connection); /* callback of send_aio */
/* Writes what is queued; the sender's. */
void net_connection_push(struct connection *connection);
/* With the mutex held: writes what is queued. Segments done with go to *done. */
void net_connection_push_locked(struct connection *connection, struct send_segment **done);

#endif
