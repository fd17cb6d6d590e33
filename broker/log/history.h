/* history.h: what became of one record in subscriptions, as the log says it: from the deltas that made it durable, and from dead
 * letters. Layer: log. Any thread.
 *
 * Nothing else keeps it: a subscription remembers only what is not done. So this looks through blocks, from the record's own on,
 * for the save with which the record was no longer among what is not done (trace.h), and through the topic of dead letters. It
 * looks at some 64 MiB of the log in each direction; what it has not found then, it does not say. */
#ifndef TRUC_LOG_HISTORY_H
#define TRUC_LOG_HISTORY_H

#include "broker/log/engine.h"
#include "proto/dead_letter.h"

enum log_resolution {
    LOG_RESOLUTION_UNKNOWN,
    LOG_RESOLUTION_ACKNOWLEDGED, /* resolved_ns 0: when, is not known */
    LOG_RESOLUTION_DEAD,
    LOG_RESOLUTION_EXPIRED,
    LOG_RESOLUTION_PASSED, /* the subscription began behind it */
    LOG_RESOLUTION_DONE    /* acknowledged or expired */
};

struct log_history {
    /* in */
    uint32_t subscription; /* its id; it wants the record, and is done with it */
    bool shared;
    uint64_t key; /* of the record: its hash; 0: none */
    int64_t deliver_at_ns, expires_at_ns;
    int64_t created_ns;       /* the subscription, at the earliest */
    struct bytes owner, name; /* of the subscription */
    /* out */
    enum log_resolution resolution;
    uint32_t attempts;                                    /* begun */
    int64_t resolved_ns, first_failed_ns, last_failed_ns; /* resolved: append time of the block that says so */
    enum dead_letter_reason reason;                       /* of DEAD */
};

/* For several subscriptions at once, all done with the record at this place, which is below the durable head. What is damaged on
 * the way makes what follows unknown. TRUC_DAMAGED (the record's own block), TRUC_IO, TRUC_NO_MEMORY. */
truc_status log_history(struct log *log, struct place place, struct log_history *histories, size_t count, char *why);

#endif
