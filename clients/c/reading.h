/* reading.h: a reader: its request to the broker, the parcels that came, its end.
 *
 * Layer: libtruc. Under the client's lock unless said otherwise. reading.c: the wire side; reading_consume.c: from parcels to
 * messages, for the courier and for pulling threads; reading_open.c: the public functions.
 *
 *   READ_DATA --> parcels (RAW) --> prover or consumer --> (PROVEN) --> message maker --> callback or pull
 *                                                                          '--> credit back to the broker
 *
 * A lost connection drops nothing that is here: parcels are whole entries, and the next READ begins behind the last parcel. */
#ifndef TRUC_CLIENT_READING_H
#define TRUC_CLIENT_READING_H

#include "clients/c/client.h"
#include "clients/c/intake.h"
#include "clients/c/message.h"

enum reading_state {
    READING_WAITING, /* for a connection, or for a time */
    READING_ASKED,   /* READ is under way */
    READING_ACTIVE,  /* data flows */
    READING_OVER     /* nothing more comes: `final` tells why */
};

struct reading_end {
    truc_status status;
    char why[256];
    uint64_t next_position;
};

struct truc_reader {
    struct truc_reader *next, *previous;
    truc_client *client;
    char *pattern, *key, *type, *agency, *system; /* owned; all but pattern may be NULL */
    struct message_filter filter;
    struct option_bound from, until;
    bool follow, reverse;
    uint64_t limit; /* UINT64_MAX: none */
    uint64_t credit_bytes;
    truc_message_callback *on_message; /* NULL: pull */
    truc_end_callback *on_end;
    void *context;

    enum reading_state state;
    struct request request;
    int64_t retry_at_ns; /* WAITING: when, CLOCK_NEVER: when connected */
    bool opened;         /* bounds are known */
    uint64_t from_position, until_position;
    uint64_t next_position; /* behind the last parcel received */
    struct intake intake;
    uint64_t owed_credit;
    struct reading_end final; /* OVER: what follows the parcels */

    /* the consumer's: the courier, or the pulling thread */
    bool consuming; /* somebody is at it, without the lock */
    struct digest_context *digests;
    struct message_maker *maker;
    size_t entry_index;                    /* in the head parcel */
    uint64_t delivered, consumed_position; /* what the next entry's position is held against */
    uint64_t asked_position;               /* where it asked again last, behind an end that came early */
    size_t pull_index, pull_count;
    bool ended, told, closing;
    struct reading_end end;
};

/* --- reading.c ------------------------------------------------------------------------------------------------------------ */

/* Called by the client. */
void reading_connected(struct truc_reader *reader);
void reading_disconnected(struct truc_reader *reader);
void reading_step(struct truc_reader *reader, int64_t now_ns);                     /* client thread */
void reading_end(struct truc_reader *reader, truc_status status, const char *why); /* behind the parcels that are here */

/* Whether the reader has come to its bound. */
bool reading_at_until(const struct truc_reader *reader);

/* Asks the broker again from where the parcels end. */
void reading_ask_again(struct truc_reader *reader, int64_t at_ns);

/* Gives back credit for what was consumed. */
void reading_give_credit(struct truc_reader *reader, uint64_t bytes);

/* --- reading_consume.c ------------------------------------------------------------------------------------------------------ */

enum consumed { CONSUMED_NOTHING, CONSUMED_SOMETHING, CONSUMED_MESSAGES, CONSUMED_END };

/* One step of consuming: proves, or makes messages (maker->messages, *ret_count of them), or ends. Unlocks meanwhile. */
enum consumed reading_consume(struct truc_reader *reader, size_t *ret_count);

/* Ends for the consumer: stops the request, drops the parcels. */
void reading_finish(struct truc_reader *reader, truc_status status, const char *why, uint64_t next_position);

/* Courier: one step for every reader with a callback. False: there was nothing to do. */
bool reading_deliver_one(truc_client *client);

#endif
