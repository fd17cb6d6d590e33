/* subscription.h: durable, named readings of a pattern, and who takes part in them. Layer: core. One thread.
 *
 * A subscription is its definition (a row), how far it is, and, while anybody takes part or keys wait, a share (share.h) when it is
 * shared. Who takes part is an attachment, named by connection and request id like a reader. Of an ordered subscription the first
 * attachment is active and reads through a core_reader of its own; the others stand by.
 *
 * What a step does to a shared subscription is gathered: handlers only touch it, and subscription_pump, at the end of the step,
 * gives out what is ready, asks the log for more, and writes one set of deltas for everything that was settled. */
#ifndef TRUC_CORE_SUBSCRIPTION_H
#define TRUC_CORE_SUBSCRIPTION_H

#include "broker/core/core_internal.h"
#include "broker/core/share.h"

enum {
    ACK_WAIT_DEFAULT_MS = 30000,
    ACK_WAIT_MAX_MS = 24 * 3600 * 1000,
    ATTEMPTS_DEFAULT = 5,
    IN_FLIGHT_DEFAULT = 10000,
    IN_FLIGHT_MAX = 100000,
    BACKOFF_MAX_MS = 7 * 24 * 3600 * 1000,
    LANES_BESIDE_IN_FLIGHT = 16384, /* keys that may wait beside what is leased */
    ASIDE_MAX = 100000,             /* records that may stand aside: not due, or given again */
    CREDIT_RECORDS_MAX = 65536,
    SETTLEMENTS_MAX = 1000 /* of one frame */
};

struct subscription {
    struct subscription_row row; /* its texts are in text */
    uint8_t *text;               /* owned; NULL: a free slot */
    uint32_t index;              /* id - 1 */
    bool touched;                /* in core.subscriptions_touched */
    uint64_t change_ticket;      /* of its last definition */
    /* accepted: what the deltas given to the log add up to */
    struct place place;
    uint64_t acknowledged, dead, expired;

    struct attachment *first, *last; /* in the order they came */
    uint32_t attachment_count;
    struct share *share;                   /* shared, while it is in use; owned */
    struct core_reader *scan, *search;     /* its readings of the log, while attachments are there */
    bool scanning, searching;              /* an answer is due */
    struct settle *settles, *settles_last; /* to be answered once what they settled is saved */
    struct subscription *next_touched;
    struct subscription *previous_shared, *next_shared; /* in core.subscriptions_shared, while it has a share */
    int64_t retry_ns;                                   /* something failed: to be tried again; append clock, 0: nothing */
};

/* Who takes part: a session of a connection. Its number is its worker's, and its reading's of the log. */
struct attachment {
    uint64_t number, request_id;
    uint32_t index;
    struct subscription *subscription;
    struct connection *connection;
    struct attachment *previous, *next;                       /* of the subscription */
    struct attachment *connection_previous, *connection_next; /* of the connection */
    struct core_reader *reader;                               /* ordered: when it is active */
    uint64_t credit;                                          /* ordered: bytes, while it stands by */
    /* shared: what is on its way to it */
    struct core_reader *fetch; /* the reading that brings records */
    bool fetching;
    uint32_t run_max; /* so many records of one key at a time */
    uint32_t lease_count, lease_done;
    struct share_lease *leases; /* GRANT_RECORDS_MAX; owned */
    struct place *places;       /* of the leases; owned */
};

/* A SETTLE that is not answered yet. */
struct settle {
    struct settle *next;
    uint64_t connection, request_id;
    uint32_t connection_index, index;
    uint32_t stale_count;
    struct settle_range *stale; /* owned */
};
struct settle_range {
    uint64_t first;
    uint32_t count;
};

static inline struct subscription *core_subscription(const struct core *core, uint32_t index)
{
    return pool_at(&core->subscriptions, index);
}

/* --- state: subscription_state.c ---------------------------------------------------------------------------------------------- */

/* NULL: there is none of that owner and name. */
struct subscription *subscription_find(const struct core *core, struct bytes owner, struct bytes name);
/* A new one with the next id; texts are copied. NULL when out of memory. */
struct subscription *subscription_add(struct core *core, const struct subscription_row *row, struct place place);
/* Forgets it: nobody takes part any more. */
void subscription_destroy(struct core *core, struct subscription *subscription);
/* The same definition under the next id, from this place on; the old one is forgotten. NULL when out of memory: then it is gone. */
struct subscription *subscription_renew(struct core *core, struct subscription *old, struct place place);
void subscription_fini(struct subscription *subscription);

/* Owner, zero byte, name: the names in core.subscriptions_in_order. */
struct order_names subscription_order_names(const struct core *core);

/* To be pumped at the end of this step. */
void subscription_touch(struct core *core, struct subscription *subscription);

struct Truc__V1__SubscriptionInfo;
/* A message that borrows the subscription's texts, and its memory from the core's slab of this step. False: no memory. */
bool subscription_describe(struct core *core, struct subscription *subscription, struct Truc__V1__SubscriptionInfo *ret_info);

/* --- taking part: attachment.c ------------------------------------------------------------------------------------------------ */

struct attachment *attachment_find(const struct connection *connection, uint64_t request_id);
/* Leaves; counted: what it has in its hands counts as tried. The next one takes over. */
void attachment_drop(struct core *core, struct attachment *attachment, bool counted);
/* Leaves and is told so by READ_END. */
void attachment_end(struct core *core, struct attachment *attachment, truc_status status, const char *why);
void attachment_drop_all(struct core *core, struct connection *connection);
/* It is paused: nothing is given out any more; what is leased may still be settled. */
void attachment_pause_all(struct core *core, struct subscription *subscription);
/* It begins anew or is gone: everybody is told so by READ_END, leases and lanes are forgotten. */
void attachment_stop_all(struct core *core, struct subscription *subscription, truc_status status, const char *why);
/* Ordered: the first one becomes active, if it is not. */
void attachment_activate(struct core *core, struct subscription *subscription);

/* --- the work of a shared one: deliver.c -----------------------------------------------------------------------------------------
 */

/* Its share, made when it is not there. False when out of memory. */
bool subscription_provide_share(struct core *core, struct subscription *subscription);
void subscription_drop_share(struct core *core, struct subscription *subscription);
/* Its readings of the log, made when they are not there. False when out of memory. */
bool subscription_provide_readings(struct core *core, struct subscription *subscription);
void subscription_drop_readings(struct core *core, struct subscription *subscription);
/* What it reads, from where it stands. Borrows its texts. */
struct core_read_spec subscription_read_spec(const struct core *core, const struct subscription *subscription);
/* Something could not be done now: it is pumped again a little later. */
void subscription_retry(struct core *core, struct subscription *subscription);
/* Everything that was touched in this step; then answers, deltas, wake-ups are among the effects. */
void subscription_pump_all(struct core *core);

/* --- answers that wait: settle.c
 * --------------------------------------------------------------------------------------------------- */

/* What was settled is given to the log: its answers wait for the disk from here on. False: no memory, they stay. */
bool settle_pend(struct core *core, struct subscription *subscription);
/* They are answered with an error: what they settled is forgotten. */
void settle_refuse_all(struct core *core, struct subscription *subscription, truc_status status, const char *why);
/* It is on disk. */
void settle_answer(struct core *core, uint32_t index);
/* It never will be. */
void settle_forget(struct core *core, uint32_t index);
void settle_fini(struct settle *settle);

#endif
