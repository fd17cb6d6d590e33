/* lane.h: one producer's ordered way into one topic: its batches in order, and what became of them.
 *
 * Layer: libtruc. Under the client's lock. Owned by its producer until that is closed: it holds the topic's sequence.
 *
 *   head                        unsent                 tail
 *    v                            v                     v
 *   [SENT] [ACKED] [REFUSED] ... [CLOSED] [CLOSED] ... [OPEN]
 *
 * Outcomes are told in order: a batch leaves when it is at the head and its outcome is known. Sequences are given when a batch is
 * sent: acked_next is what follows the last acknowledged record, next_sequence what the next batch to be sent begins with.
 *
 * Urgent records (truc_publish_wait, linger 0) gather while a batch is in flight and go when it is answered. Then the first thread
 * that comes back would take a round trip alone while all others wait for the next: so the lane holds on for a moment, at most half
 * the last round trip, until as many are there again as were let go.
 *
 * When a batch is refused, those sent behind it come back OUT_OF_SEQUENCE: the lane is `recovering` until nothing is in flight,
 * then begins again behind what was acknowledged, with new numbers for whatever came behind a hole. A retriable refusal does the
 * same without a hole: then the bytes stay the same. Nothing refused was stored, so nothing is doubled. */
#ifndef TRUC_CLIENT_LANE_H
#define TRUC_CLIENT_LANE_H

#include "clients/c/send_batch.h"

struct lane {
    struct lane *hash_next;
    struct lane *ready_next;                /* of the client's ready list */
    struct lane *wait_next, *wait_previous; /* of the producer's waiting list */
    struct truc_producer *producer;
    struct send_batch *head, *tail;
    struct send_batch *unsent; /* first batch that is neither sent nor decided; NULL: none */
    uint64_t acked_next, next_sequence;
    uint64_t pending_records; /* in batches of this lane whose outcome is open */
    uint32_t in_flight;       /* batches SENT */
    uint32_t header_bytes;    /* headroom of its batches */
    uint32_t size_hint;       /* what its last batch came to */
    uint32_t hash;
    bool ready, waiting, recovering, sync_wait; /* sync_wait: for the outbox */
    int64_t retry_at_ns;
    uint32_t retry_delay_ms;
    uint32_t hold_count;   /* threads that were just given their results: most will be back at once with the next record */
    uint32_t hold_skip;    /* so many times it does not, since it was in vain */
    int64_t hold_until_ns; /* until then an urgent batch waits for that many; 0: it does not */
    uint16_t name_size;
    char name[]; /* terminated */
};

/* The lane of a topic, made when it is missing. TRUC_BAD_TOPIC, TRUC_NO_MEMORY. */
truc_status lane_find(struct truc_producer *producer, const char *topic, size_t size, struct lane **ret_lane);
struct lane *lane_lookup(struct truc_producer *producer, const char *topic, size_t size); /* NULL: none */
void lanes_free(struct truc_producer *producer);

/* The open batch with room for a record of `size` bytes: the last one, or a new one. Does not check queue_bytes. TRUC_NO_MEMORY. */
truc_status lane_open_batch(struct lane *lane, size_t size, const struct batch_how *how, struct send_batch **ret_batch);

/* The memory that a new batch for a record of `size` bytes takes. */
size_t lane_open_bytes(const struct lane *lane, size_t size);

/* Takes back a batch just opened whose first record was not put in. */
void lane_drop_empty(struct lane *lane, struct send_batch *batch);

/* The lane's open batch if it can take `size` bytes more that are published in this way; NULL when a new one is needed. */
struct send_batch *lane_batch_for(struct lane *lane, size_t size, const struct batch_how *how);

/* Ends an open batch; it will be sent. */
void lane_close_batch(struct lane *lane, struct send_batch *batch);

/* Whether something of the lane may be sent at this time (0: retry times are taken for past). */
bool lane_sendable(const struct lane *lane, int64_t now_ns);

/* Whether the outbox holds the batch on disk; else the lane waits for it. */
bool lane_synced(struct lane *lane, const struct send_batch *batch);

/* The first unsent batch has just been sent. */
void lane_sent(struct lane *lane, struct send_batch *batch);

/* Puts the lane into the ready list if something of it may be sent now. */
void lane_schedule(struct lane *lane);

/* The answer to a sent batch has come: why may be NULL. */
void lane_acked(struct lane *lane, struct send_batch *batch, const struct batch_place *place);
struct client_refusal;
void lane_refused(struct lane *lane, struct send_batch *batch, const struct client_refusal *refusal);

/* The connection is gone: what was sent is to be sent again, as it was. */
void lane_disconnected(struct lane *lane);

/* The broker has forgotten this unnamed producer: what was sent without an answer has this status, the rest begins anew. */
void lane_forgotten(struct lane *lane, truc_status status, const char *why);

/* Every batch gets this status. */
void lane_fail(struct lane *lane, truc_status status, const char *why);

/* The batch was not acknowledged in time. False when out of memory: try again later. */
bool lane_expire(struct lane *lane, struct send_batch *batch);

/* Removes the lane from the waiting list. */
void lane_unwait(struct lane *lane);

#endif
