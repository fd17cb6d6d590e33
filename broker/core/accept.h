/* accept.h: a batch that passed every check becomes an entry to be. Layer: core. One thread. */
#ifndef TRUC_CORE_ACCEPT_H
#define TRUC_CORE_ACCEPT_H

#include "broker/core/core_internal.h"

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
    uint8_t number; /* among the batches of its PUBLISH, from 1; 0: it is the only one */
    bool part;      /* it is answered with the one behind it */
    bool joined;    /* in one block with what came before */
    /* made when it is accepted */
    bool topic_is_new, sequence_is_new;
    struct core_append *append;
    uint8_t *topic_delta;
};

/* What it takes of memory while it waits, and of the log at most. */
uint64_t accept_memory_bytes(const struct attempt *attempt);
uint64_t accept_log_bytes(const struct attempt *attempt);

/* Gives them positions, offsets and times, writes their leaves, hands them to the log: all, or none when memory is short (false).
 * Their topics are different. */
bool accept_batches(struct attempt *attempts, uint32_t count);

/* A batch that the core itself has made, of no producer and answered to nobody; its topic is made when it is new. joined: in one
 * block with what was given to the log before. False when memory or room is short: nothing changed. */
bool accept_own(struct core *core, struct core_prepared *prepared, bool joined);

#endif
