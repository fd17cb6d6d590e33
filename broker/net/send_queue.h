/* send_queue.h: what waits to be sent on one connection. Layer: net. No I/O; guarded by its connection.
 *
 * Small pieces are copied one behind the other into segments, so that many answers leave with one write; payloads are taken
 * over and sent from where they lie. */
#ifndef TRUC_NET_SEND_QUEUE_H
#define TRUC_NET_SEND_QUEUE_H

#include "proto/bytes.h"

enum { SEND_PARTS_MAX = 8 /* what an NNG aio takes */ };

struct send_segment {
    struct send_segment *next;
    const uint8_t *data;
    size_t size, sent;
    size_t capacity; /* of bytes[]; 0 for a payload */
    void (*free_payload)(void *owner);
    void *owner;
    uint8_t bytes[];
};

struct send_queue {
    struct send_segment *first, *last;
    size_t size; /* bytes not sent yet */
};

/* False: no memory, nothing was queued and an owner stays the caller's. */
bool send_queue_copy(struct send_queue *queue, struct bytes bytes);
bool send_queue_own(struct send_queue *queue, struct bytes payload, void (*free_payload)(void *owner), void *owner);

/* The next parts to write, at most SEND_PARTS_MAX; returns how many. They stay where they are until consumed. */
size_t send_queue_parts(const struct send_queue *queue, struct bytes parts[SEND_PARTS_MAX]);

/* So many bytes were written. Segments done with are put in front of *done, to be freed without the connection's lock. While a
 * write is under way, segments must not be consumed, but more may be queued. */
void send_queue_consume(struct send_queue *queue, size_t size, struct send_segment **done);

/* Moves everything to *done. */
void send_queue_clear(struct send_queue *queue, struct send_segment **done);

void send_segments_free(struct send_segment *done);

#endif
