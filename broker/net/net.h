/* net.h: the front door: NNG streams, frames in and out. Layer: net. Uses NNG and proto; knows nothing of what frames mean.
 *
 * Threads: callbacks run on NNG's threads (closed also on the keeper, net's own thread) and must not block; for one connection
 * they come one at a time, in order: opened, frames..., closed. net_send, net_send_owned, net_close_connection, net_logged_in:
 * any thread, and from callbacks. A connection is named by a number that is never reused: one that is gone is no error.
 *
 * Memory: what a connection receives lies in buffers of which every byte is accounted for, to the connection and to the whole.
 * Reading pauses, and TCP holds the peer back, while either account is full; a few KiB per connection are always granted, so
 * that small requests go on when large ones have used the total up. */
#ifndef TRUC_NET_NET_H
#define TRUC_NET_NET_H

#include "proto/frame.h"

struct net;

/* Received bytes shared by the frames cut from them; any thread. */
struct net_buffer;
void net_buffer_ref(struct net_buffer *buffer);
void net_buffer_unref(struct net_buffer *buffer); /* NULL is allowed; may outlive the connection and the net */

struct net_callbacks {
    void *context;
    /* Returns the session handed to the other two; NULL refuses the connection (then closed is not called). */
    void *(*opened)(void *context, uint64_t connection, const char *peer);
    /* The frame is borrowed; to keep it, ref the buffer: that keeps the buffer's bytes on the connection's account. */
    void (*frame)(void *session, const struct frame *frame, struct net_buffer *buffer);
    void (*closed)(void *session, truc_status status, const char *why);
    /* An accept failed: at most once a minute, `suppressed` failures later than the last call. */
    void (*accept_failed)(void *context, const char *url, const char *why, uint64_t suppressed);
};

struct net_options {
    uint32_t connections_max;         /* 4,096 by default; further ones are told TOO_MANY and closed */
    uint32_t frame_bytes_max;         /* FRAME_BYTES_MAX */
    uint32_t handshake_timeout_ms;    /* until net_logged_in; 10,000 */
    uint32_t stall_timeout_ms;        /* a send, or a frame begun, that makes no progress for so long ends the connection; 30,000 */
    uint32_t receive_bytes_max;       /* per connection; 17 MiB */
    uint64_t receive_bytes_total_max; /* over all; 48 MiB */
    uint32_t callback_threads;        /* 0: NNG's own number, two per core; else so many of them, at least 1 */
    uint32_t send_bytes_max;          /* queued per connection; beyond it the connection is ended; 32 MiB */
};
void net_options_init(struct net_options *ret_options);

enum { NET_WHY_BYTES = 256, NET_CONNECTIONS_MAX = 100000 };

/* Raises RLIMIT_NOFILE to what connections_max needs (a lower hard limit lowers connections_max; net_connections_max tells).
 * TRUC_NO_MEMORY, TRUC_INVALID_ARGUMENT. */
truc_status net_create(const struct net_options *options, const struct net_callbacks *callbacks, struct net **ret_net, char *why);
uint32_t net_connections_max(const struct net *net);

/* Listens and begins to accept; several times for several addresses, from one thread. Only loopback addresses and ipc://
 * (TRUC_NOT_ALLOWED). *ret_url, to be free()d by the caller, tells the real port when it was 0.
 * TRUC_INVALID_ARGUMENT (not such a URL), TRUC_EXISTS (address in use), TRUC_IO, TRUC_NO_MEMORY. */
truc_status net_listen(struct net *net, const char *url, char **ret_url, char *why);

void net_stop_accepting(struct net *net);

/* Accepts no more, ends all connections (those that have something to be sent get so long for it), waits for callbacks; from then
 * on no callback comes, and sending is to nobody. Not from a callback. */
void net_shutdown(struct net *net, uint32_t grace_ms);

/* Frees it, after a shutdown without grace where there was none. NULL is allowed. */
void net_close(struct net *net);

/* From now on the connection may send frames up to frame_bytes_max, and is past the handshake timeout. */
void net_logged_in(struct net *net, uint64_t connection);

/* Queues bytes (copied), and an owned payload behind them (freed with free_payload after sending or when the connection is gone,
 * from any thread, also before this returns). */
void net_send(struct net *net, uint64_t connection, struct bytes copied);
void net_send_owned(struct net *net, uint64_t connection, struct bytes head_copied, struct bytes payload,
                    void (*free_payload)(void *owner), void *owner);

/* Ends the connection after what was queued has gone out (bounded by the stall timeout); nothing more is read from it. */
void net_close_connection(struct net *net, uint64_t connection);

/* Ends connections whose sending has made no progress for so long: when what they hold is needed. Returns how many. */
uint32_t net_end_stalled(struct net *net, uint32_t stalled_ms);

uint32_t net_connection_count(const struct net *net);

#endif
