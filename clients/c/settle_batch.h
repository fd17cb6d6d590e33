/* settle_batch.h: settlements that travel in one SETTLE frame, from the application's word to what became of it.
 *
 * Layer: libtruc. Under the client's lock, or owned by the courier that tells it. Neighbouring leases with the same outcome are
 * one item; what came in any order is sorted before it is sent. */
#ifndef TRUC_CLIENT_SETTLE_BATCH_H
#define TRUC_CLIENT_SETTLE_BATCH_H

#include "clients/c/request.h"
#include "clients/c/truc.h"

enum { SETTLEMENTS_MAX = 1000 }; /* of a frame */
enum { SETTLE_RETURN = 5 };      /* an outcome beside those of truc_outcome: given back unused, by the library itself */

struct settlement {
    /* The worker's number (of what is returned: the lease again) and the broker's lease (ordered: the position) of the first. */
    uint64_t first, lease;
    uint32_t count, delay_ms;
    uint32_t order; /* in which they came */
    uint8_t outcome;
};

/* Leases, as the broker numbers them, that were not the worker's any more. */
struct stale_run {
    uint64_t lease;
    uint32_t count;
};

struct truc_worker;

struct settle_batch {
    struct settle_batch *next;
    struct request request;
    struct truc_worker *worker;
    uint64_t serial;    /* of the worker's batches: a flush waits by it */
    truc_status status; /* of all but the stale ones */
    uint32_t records;   /* that credit is given back for */
    uint64_t expired;   /* ordered: records passed over since the batch before */
    size_t count, stale_count;
    struct stale_run *stale; /* owned; sorted by lease */
    struct settlement items[SETTLEMENTS_MAX];
};

struct settle_batch *settle_batch_create(struct truc_worker *worker, uint64_t serial); /* NULL when out of memory */
void settle_batch_destroy(struct settle_batch *batch);                                 /* NULL is allowed */

/* Adds an item (order is set here), merged with the last one where they adjoin. False: it is full. */
bool settle_batch_add(struct settle_batch *batch, const struct settlement *item);

/* Sorts, extensions before what ends a lease and that before what is given back, and merges. */
void settle_batch_pack(struct settle_batch *batch);

/* The SETTLE frame's header is made by `send` from it; TRUC_NO_MEMORY, or what send returns. */
struct ProtobufCMessage;
truc_status settle_batch_encode(const struct settle_batch *batch, uint64_t subscribe_id,
                                truc_status (*send)(void *context, const struct ProtobufCMessage *settle), void *context);

/* Takes the leases that SETTLE_OK names. TRUC_PROTOCOL when they are not of this batch; TRUC_NO_MEMORY. */
truc_status settle_batch_answer(struct settle_batch *batch, struct bytes header, const char **ret_why);

/* How many records did not end as was asked for. */
uint64_t settle_batch_failures(const struct settle_batch *batch);

/* Walks what became of each record: fills at most `most` of `settled`, going on from *item and *place (both 0 at first).
 * Returns how many; 0: that was all. */
size_t settle_batch_tell(const struct settle_batch *batch, size_t *item, uint32_t *place, truc_settled *settled, size_t most);

#endif
