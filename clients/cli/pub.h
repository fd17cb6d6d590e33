/* pub.h: the outcome of what `truc pub` publishes: counted on libtruc's callback thread, waited for on the main one. Layer: cli. */
#ifndef TRUC_CLI_PUB_H
#define TRUC_CLI_PUB_H

#include <pthread.h>

#include "clients/cli/pub_wait.h"

struct pub_tally {
    struct cli_context *context;
    pthread_mutex_t lock;   /* everything below; also guards context->out while deliveries may come */
    pthread_cond_t changed; /* some were delivered */
    uint64_t delivered;     /* all outcomes */
    uint64_t stored;        /* with a known place */
    uint64_t duplicates;    /* stored by an earlier try, their place forgotten */
    uint64_t first_offset, last_offset, position;
    uint32_t index;
    bool created;
    uint32_t subscriptions; /* that match the topic, at the last record stored */
    truc_status failed;     /* of the first record that failed, its number (from 1) and why */
    uint64_t failed_number;
    uint64_t failed_offset;
    char failed_why[256];
    struct pub_wait *wait; /* is told the offsets of what is stored; NULL: nobody waits for it */
};

truc_status pub_tally_init(struct pub_tally *tally, struct cli_context *context);
void pub_tally_fini(struct pub_tally *tally);

/* The delivery callback; context is the tally, opaque the record's number from 1. With --json it writes a line per record. */
void pub_tally_delivered(void *context, const truc_delivery *deliveries, size_t count);

/* Waits until more than `seen` were delivered, well or not, or 100 ms went by. Returns how many are delivered. */
uint64_t pub_tally_wait(struct pub_tally *tally, uint64_t seen);

truc_status pub_tally_failed(struct pub_tally *tally);

/* A line of JSON for one record. */
void pub_delivery_print(struct out *out, const truc_delivery *delivery);

/* Notes that a topic was created, and that no subscription matches it, after the last delivery of its records. */
void pub_note_topic(struct cli_context *context, const truc_delivery *last);

#endif
