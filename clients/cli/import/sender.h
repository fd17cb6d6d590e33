/* sender.h: publishing at the pace asked for, and what became of it.
 *
 * Layer: cli/import. Owns the producer. Deliveries come on libtruc's callback thread; the rest is one thread's. */
#ifndef TRUC_CLI_IMPORT_SENDER_H
#define TRUC_CLI_IMPORT_SENDER_H

#include "clients/cli/cli.h"
#include "clients/cli/import/built.h"

struct sender_options {
    const char *producer, *outbox; /* outbox may be NULL */
    double rate;                   /* records a second; 0: as fast as it goes */
    double speed;                  /* the events' own spacing divided by this; 0: not kept */
};

struct sender_outcome {
    uint64_t delivered, stored; /* heard of; of those on the broker's disk */
    bool placed;                /* the positions below are known */
    uint64_t first_position, last_position;
    truc_status failed; /* of the first record that failed, with its line (0: from the outbox) */
    uint64_t failed_line;
    char failed_topic[256], failed_why[256];
};

struct sender;

/* Opens the producer and waits until what its outbox held is delivered. TRUC_CANCELLED, TRUC_FENCED, TRUC_LOCKED, ... */
truc_status sender_open(struct cli_context *context, truc_client *client, const struct sender_options *options,
                        struct sender **ret_sender, struct failure *failure);

/* Closes without waiting any longer. NULL is allowed. */
void sender_close(struct sender *sender);

/* How many records of this producer the broker has in a topic. */
truc_status sender_stored(struct sender *sender, const char *topic, uint64_t *ret_stored, struct failure *failure);

/* Publishes one record when it is due. Waits while the library's queue is full or the broker away. TRUC_CANCELLED when stopped;
 * the status of an earlier record that failed, or of this one. */
truc_status sender_send(struct sender *sender, const struct built *built, struct failure *failure);

/* Waits until everything is delivered. Same statuses. */
truc_status sender_flush(struct sender *sender, struct failure *failure);

void sender_outcome(struct sender *sender, struct sender_outcome *ret_outcome);

#endif
