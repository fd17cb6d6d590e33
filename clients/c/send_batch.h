/* send_batch.h: records on their way to the broker: one batch, its buffer, and the users' words for its records.
 *
 * Layer: libtruc. Under the client's lock. A batch belongs to its lane (lane.h) until its outcome is known, then to the courier.
 *
 *   buffer   | headroom ... | records, each varint length + bytes | spare |
 *                  ^ written when first sent: frame prefix, batch prefix, immutable header, right before the records
 *   opaques  one pointer per record: what truc_publish was given, or, where the bit in `waited` is set, the struct waiter of a
 *            truc_publish_wait (NULL when it gave up waiting) */
#ifndef TRUC_CLIENT_SEND_BATCH_H
#define TRUC_CLIENT_SEND_BATCH_H

#include <stdatomic.h>

#include "clients/c/batch_how.h"
#include "clients/c/gate.h"
#include "clients/c/request.h"
#include "clients/c/truc.h"
#include "proto/batch.h"

struct lane;
struct truc_producer;

/* A frame's memory; referenced by its batch and, while it is in the link's queue, by that. */
struct send_buffer {
    struct link_out out;
    truc_client *client;
    struct send_buffer *next; /* in the client's store */
    uint32_t refs;
    size_t capacity;
    uint8_t bytes[];
};

/* One thread in truc_publish_wait; on its stack. */
struct waiter {
    _Atomic bool done;        /* result is there */
    struct gate *gate;        /* where it waits: its batch's */
    struct send_batch *batch; /* where its record is, while not done */
    uint32_t index;
    truc_delivery result;
};

/* Where a batch is, as the broker answered. */
struct batch_place {
    uint64_t position, base_offset; /* base_offset UINT64_MAX: no longer known */
    uint32_t subscriptions;         /* that the topic matches */
    bool duplicate, created;
};

enum batch_state {
    BATCH_OPEN,    /* takes records */
    BATCH_PACKING, /* closed, to be compressed */
    BATCH_CLOSED,  /* complete, to be sent */
    BATCH_SENT,    /* waits for the answer */
    BATCH_ACKED,   /* outcome known, waits until the earlier ones' is */
    BATCH_REFUSED
};

/* Batches opened between two flushes. */
struct generation {
    struct generation *next;
    uint64_t number;
    uint64_t batch_count; /* not yet delivered */
};

struct send_batch {
    struct send_batch *next, *previous;         /* of the lane, in order; then next of the courier */
    struct send_batch *age_next, *age_previous; /* of the producer, by opening */
    struct send_batch *linger_next, *linger_previous;
    struct send_batch *pack_next;
    struct lane *lane;
    struct truc_producer *producer;
    struct generation *generation;
    struct request request;
    enum batch_state state;
    struct batch_how how;
    bool urgent;    /* to be sent as soon as nothing of its lane is in flight */
    bool lingering; /* in the producer's linger list */
    bool attempted; /* sent at least once: the broker may have it */
    bool reported;  /* TIMED_OUT has been told already; its fate is still followed */
    bool frozen;    /* frame bytes are there, valid for the three fields below */
    uint64_t producer_id, first_sequence;
    uint32_t epoch;
    struct gate *gate; /* where the waiting threads of this batch wait; set with the first of them */
    uint32_t record_count, waited_count, opaque_capacity;
    void **opaques;
    uint8_t *waited; /* behind the opaques, in their allocation; one bit per record */
    struct send_buffer *buffer;
    size_t payload_start, payload_size; /* as in the buffer: raw, or packed when `packed` */
    size_t raw_size;
    enum codec codec;
    size_t frame_start, frame_size;
    int64_t opened_ns, sent_ns;
    size_t charged;                    /* of the producer's queue_bytes */
    uint64_t outbox_first, outbox_end; /* what it occupies in the outbox (outbox.h) */
    /* the outcome */
    truc_status status;
    struct batch_place place; /* CONFLICT: base_offset is the topic's next offset, or UINT64_MAX */
    char *why;                /* NULL: the status's own text */
};

/* What may stand before the records: frame prefix, batch prefix, the largest immutable header of this lane. */
size_t send_batch_headroom(const struct batch_header_fields *widest);

struct send_buffer *send_buffer_create(truc_client *client, size_t capacity); /* one reference; NULL when out of memory */
void send_buffer_unref(struct send_buffer *buffer);
void send_buffers_free(truc_client *client); /* the store */
enum { SEND_BUFFERS_KEPT = 24 };

/* A new open batch with room for payload_capacity bytes. NULL when out of memory. */
struct send_batch *send_batch_create(truc_client *client, size_t headroom, size_t payload_capacity);
void send_batch_free(struct send_batch *batch);

/* How many more bytes of memory a record of `size` bytes (with its length) would make the batch take. */
size_t send_batch_growth(const struct send_batch *batch, size_t size, size_t capacity_max);

/* Makes room for a record. TRUC_NO_MEMORY. Returns where its `size` bytes go; send_batch_commit counts it in. */
truc_status send_batch_reserve(struct send_batch *batch, size_t size, size_t capacity_max, uint8_t **ret_at);
void send_batch_commit(struct send_batch *batch, size_t size, void *opaque, bool waited);

static inline bool send_batch_waited(const struct send_batch *batch, uint32_t index)
{
    return batch->waited_count != 0 && (batch->waited[index / 8] >> index % 8 & 1) != 0;
}

/* Writes the frame's head for this producer and sequence, unless it is there already. TRUC_INTERNAL without random bytes. */
truc_status send_batch_freeze(struct send_batch *batch, const struct batch_header_fields *fields);

/* Parts a batch of several records in two: the batch keeps the first half, *ret_second gets the rest. The batch is then raw and
 * thawed. TRUC_NO_MEMORY, TRUC_BAD_CODEC. */
truc_status send_batch_split(struct send_batch *batch, struct send_batch **ret_second);

/* Memory that counts against queue_bytes. */
size_t send_batch_footprint(const struct send_batch *batch);

#endif
