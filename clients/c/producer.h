/* producer.h: a producer: its lanes, its memory, its session with the broker.
 *
 * Layer: libtruc. Under the client's lock unless said otherwise. producer.c: state and its changes; producer_open.c: the public
 * functions but those of publish.c and together_publish.c; sender.c: batches to frames and answers back. */
#ifndef TRUC_CLIENT_PRODUCER_H
#define TRUC_CLIENT_PRODUCER_H

#include "clients/c/client.h"
#include "clients/c/lane.h"
#include "clients/c/outbox.h"
#include "proto/uuid7.h"

struct together;

enum producer_state {
    PRODUCER_WAITING, /* for a connection */
    PRODUCER_OPENING, /* PRODUCER_OPEN is under way */
    PRODUCER_OPENED,
    PRODUCER_FAILED /* fenced, ...: nothing more is sent */
};

struct producer_settings {
    char *name; /* NULL: unnamed */
    size_t batch_bytes, queue_bytes;
    uint32_t batch_records, in_flight;
    int64_t linger_ns, delivery_timeout_ns; /* 0: none */
    bool queue_full_error;
    enum codec codec;
    enum evidence evidence;
};

struct truc_producer {
    struct truc_producer *next, *previous;
    truc_client *client;
    struct producer_settings settings;
    truc_delivery_callback *on_delivery;
    void *context;

    enum producer_state state;
    truc_status failure; /* FAILED: why */
    char why[256];
    bool known; /* the broker has named us once */
    uint64_t producer_id;
    uint32_t epoch;
    struct request opening;
    int64_t open_at_ns; /* WAITING: when to try again, CLOCK_NEVER: when connected */
    char *page_after;   /* last topic of the page of sequences just read */
    bool closing, stepping;

    struct lane **lanes; /* hash table, a power of two */
    size_t lane_capacity, lane_count;
    struct lane *last_lane; /* the one published to last */
    struct lane *wait_head; /* lanes that wait for a time or for the outbox */
    int64_t wait_at_ns;     /* the earliest of them */

    struct send_batch *age_head, *age_tail;       /* all batches whose outcome is open, oldest first */
    struct send_batch *linger_head, *linger_tail; /* open batches that linger, oldest first */
    struct generation *generations, *generation;  /* oldest; the present one */

    pthread_cond_t room;
    size_t queue_used;
    unsigned callers; /* threads that wait for room, or publish together */
    struct uuid7_state uuid;
    struct outbox *outbox;     /* NULL: none */
    struct together *together; /* what is published together; NULL: nothing yet */
    struct together *carries;  /* of a companion: whose frames it carries; else NULL */
};

/* --- producer.c --------------------------------------------------------------------------------------------------------------- */

/* Called by the client. */
void producer_connected(struct truc_producer *producer);
void producer_disconnected(struct truc_producer *producer);
void producer_fail(struct truc_producer *producer, truc_status status, const char *why);
void producer_step(struct truc_producer *producer, int64_t now_ns); /* client thread; may unlock meanwhile */

/* Why nothing can be published; TRUC_OK: it can. */
truc_status producer_refusal(const struct truc_producer *producer);

/* The broker no longer knows it: opens it again. */
void producer_reopen(struct truc_producer *producer);

/* Closes every open batch, so that it is sent. */
void producer_close_open(struct truc_producer *producer);

/* Closes also the open batches that wait for nothing to be in flight, so that a later record joins none of them. */
void producer_close_urgent(struct truc_producer *producer);

/* Bookkeeping of batches. */
void producer_batch_opened(struct truc_producer *producer, struct send_batch *batch, struct send_batch *after);
void producer_charge(struct truc_producer *producer, struct send_batch *batch); /* after its footprint changed */
void producer_batch_decided(struct truc_producer *producer,
                            struct send_batch *batch); /* out of the lane: wakes waiters, tells the courier */
void producer_batch_told(struct truc_producer *producer, struct send_batch *batch); /* delivered; frees it */
/* Tells the outcome now although the batch's fate is still open and will be followed. False when out of memory. */
bool producer_report(struct truc_producer *producer, struct send_batch *batch, truc_status status, const char *why);
void producer_linger(struct truc_producer *producer, struct send_batch *batch);
void producer_unlinger(struct truc_producer *producer, struct send_batch *batch);

/* producer_open.c: a producer beside another one, with its name and a suffix (together.h). TRUC_NO_MEMORY; TRUC_INVALID_ARGUMENT:
 * the name is too long for that. */
truc_status producer_create_companion(const struct truc_producer *producer, struct truc_producer **ret_companion);
void producer_destroy_companion(struct truc_producer *companion);

/* Fills the delivery of one record of a batch. */
void producer_delivery(const struct send_batch *batch, uint32_t index, truc_delivery *ret_delivery);

#endif
