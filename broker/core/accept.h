/* accept.h: a batch that passed every check becomes an entry to be. Layer: core. One thread. */
#ifndef TRUC_CORE_ACCEPT_H
#define TRUC_CORE_ACCEPT_H

#include "broker/core/core_internal.h"

#define DUPLICATE_TEXT "these records are in the log already, their place is no longer remembered; go on with the next batch"
#define OUT_OF_SEQUENCE_TEXT                                                                                                       \
    "sequence %llu is expected: an earlier batch was refused or not sent; drop or mend it, renumber the rest"

/* A batch on its way through the checks. */
struct attempt {
    struct core *core;
    struct connection *connection; /* this and the producer are NULL for the core's own */
    uint64_t request_id;
    uint32_t frame_bytes;
    struct core_prepared *prepared;
    const struct batch_view *batch;
    struct producer *producer;
    struct topic *topic; /* NULL: to be created */
    uint64_t topic_hash;
    uint32_t topic_index;
    struct sequence *sequence; /* NULL: to be created */
    uint32_t sequence_index;
    bool joined; /* in one block with what came before */
};

/* What it takes of memory while it waits, and of the log at most. */
uint64_t accept_memory_bytes(const struct attempt *attempt);
uint64_t accept_log_bytes(const struct attempt *attempt);

/* Gives it position, offset and time, writes its leaf, hands it to the log. False when out of memory: nothing changed. */
bool accept_batch(struct attempt *attempt);

/* A batch that the core itself has made, of no producer and answered to nobody; its topic is made when it is new. joined: in one
 * block with what was given to the log before. False when memory or room is short: nothing changed. */
bool accept_own(struct core *core, struct core_prepared *prepared, bool joined);

#endif
