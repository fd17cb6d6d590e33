/* net.h: the front door: NNG streams, frames in and out. Layer: net. Uses NNG and proto; knows nothing of what frames mean.
 *
 * Threads: callbacks run on NNG's threads and must not block; for one connection they come one at a time, in order:
 * opened, frames..., closed. net_send, net_close_connection, net_pause, net_resume: any thread. One owner per connection
 * object; a connection is named by a number that is never reused. */
#ifndef TRUC_NET_NET_H
#define TRUC_NET_NET_H

#include "proto/frame.h"

struct net;

/* Received bytes shared by the frames cut from them. */
struct net_buffer;
void net_buffer_ref(struct net_buffer *buffer);
void net_buffer_unref(struct net_buffer *buffer); /* any thread */

struct net_callbacks {
    void *context;
    void (*opened)(void *context, uint64_t connection, const char *peer);
    /* The frame is borrowed; to keep it, ref the buffer. Returns the bytes of receive budget it keeps (0 or the frame's size);
     * net_release gives them back. Reading of a connection stops while it holds more than receive_bytes_max. */
    size_t (*frame)(void *context, uint64_t connection, const struct frame *frame, struct net_buffer *buffer);
    void (*closed)(void *context, uint64_t connection, truc_status status, const char *why);
};

struct net_options {
    uint32_t connections_max;            /* 4,096 by default; further ones are told TOO_MANY and closed */
    uint32_t frame_bytes_max;
    uint32_t handshake_timeout_ms;       /* until net_logged_in; 10,000 */
    uint32_t send_stall_timeout_ms;      /* a send that makes no progress for so long ends the connection; 30,000 */
    uint32_t receive_bytes_max;          /* per connection */
    uint64_t receive_bytes_total_max;    /* over all: reading pauses beyond */
    uint32_t send_bytes_max;             /* queued per connection; beyond it the connection is ended */
};
void net_options_init(struct net_options *ret_options);

/* Listens. Only loopback addresses and ipc:// (TRUC_NOT_ALLOWED). tcp port 0: *ret_url tells the port (free()d by the caller). */
truc_status net_open(const char *url, const struct net_options *options, const struct net_callbacks *callbacks, struct net **ret_net,
                     char **ret_url, char *why, size_t why_size);
void net_stop_accepting(struct net *net);
void net_close(struct net *net); /* ends all connections, waits for callbacks; NULL is allowed */

/* From now on the connection may send frames up to frame_bytes_max, and is past the handshake timeout. */
void net_logged_in(struct net *net, uint64_t connection);

/* Queues bytes (copied) or an owned payload (freed with free_payload after sending or when the connection is gone). */
void net_send(struct net *net, uint64_t connection, struct bytes copied);
void net_send_owned(struct net *net, uint64_t connection, struct bytes head_copied, struct bytes payload, void (*free_payload)(void *owner),
                    void *owner);

/* Ends the connection after what was queued has gone out (bounded by the stall timeout). */
void net_close_connection(struct net *net, uint64_t connection);

/* Gives back receive budget that a frame callback kept. */
void net_release(struct net *net, uint64_t connection, size_t bytes);

uint32_t net_connection_count(const struct net *net);

#endif
