/* turns.h: of one key one record at a time: which keys the application of a worker has in hand, and what waits behind them.
 *
 * Layer: libtruc. Under the client's lock. The broker leases a run of records of one key, to be settled in order; the application
 * gets the next one when it has settled the one before. Keys are hashes (turns_key): two keys of one hash would only wait for each
 * other. Records without a key never come here, and a key that nothing waits behind costs one entry.
 *
 *                  arrives, no other               acknowledged                 taken
 *   (no turn) ---------------------------> GIVEN ----------------> READY ---------------> GIVEN
 *                                            |     nothing waits: gone
 *                                            | refused, rejected: what waits is void
 *                                            v
 *                                         REFUSED --- the refused one again, or what came before the broker's answer is consumed
 * --->
 *
 * A refusal frees the run at the broker, but more of it may be on its way here: what lies behind the refused record is given back
 * when it was sent before the broker answered, whether it is of the old run or not. So nothing overtakes a record that failed.
 *
 * A record that is not behind the newest of its key shows that a lease lapsed: then whatever was there is not this worker's any
 * more. */
#ifndef TRUC_CLIENT_TURNS_H
#define TRUC_CLIENT_TURNS_H

#include "clients/c/truc.h"

/* A record that waits until it is its turn. */
struct turn_record {
    struct turn_record *next;
    truc_message *message; /* owned */
    uint64_t lease, recall_position;
    uint32_t attempt;
    bool recalled;
};

struct turn_place {
    uint64_t position;
    uint32_t index;
};

enum turn_state { TURN_GIVEN, TURN_READY, TURN_REFUSED };

struct turn {
    struct turn *chain;           /* of its bucket, or of the free ones */
    struct turn *next, *previous; /* READY, REFUSED: of those, oldest first */
    uint64_t key;
    enum turn_state state;
    uint64_t number;                 /* GIVEN: which record the application holds */
    struct turn_place given, newest; /* of that record (READY, REFUSED: of the last one), of the last that came */
    struct turn_record *head, *tail; /* what waits, in order */
    uint64_t serial;                 /* REFUSED: of the settlements with the refusal; 0: the broker has answered, */
    uint64_t doubt_lease;            /* and up to this lease records may be of the old run */
};

struct turn_list {
    struct turn *head, *tail;
};

struct turns {
    struct turn **buckets;
    size_t capacity, count; /* capacity: 0, or a power of two */
    struct turn *free;
    struct turn_list ready, refused;
    uint64_t seed; /* of the hashes */
};

void turns_fini(struct turns *turns);
void turns_clear(struct turns *turns);

/* The hash of a key, not empty; never 0. */
uint64_t turns_key(const struct turns *turns, truc_text key);

enum arrival {
    ARRIVAL_GIVE,   /* it is the application's now, under its number */
    ARRIVAL_WAIT,   /* give it to turns_wait */
    ARRIVAL_RETURN, /* it may overtake one that was refused: give it back */
    ARRIVAL_NO_MEMORY
};

/* A record has come, which would be given under a number. *ret_dropped: how many that waited are void. */
enum arrival turns_arrive(struct turns *turns, uint64_t key, struct turn_place place, uint64_t lease, uint64_t number,
                          struct turn **ret_turn, size_t *ret_dropped);

/* Behind the others of its key; takes the record. */
void turns_wait(struct turn *turn, struct turn_record *take_record);

/* The record under this number was acknowledged. True: the next one is ready. */
bool turns_acknowledged(struct turns *turns, uint64_t key, uint64_t number);

/* It was refused or rejected, by settlements of this serial. Returns how many that waited are void. */
size_t turns_refused(struct turns *turns, uint64_t key, uint64_t number, uint64_t serial);

/* The settlements of a serial were answered, when leases up to this one had come. */
void turns_answered(struct turns *turns, uint64_t serial, uint64_t lease);

/* All that came up to a lease has arrived. */
void turns_consumed(struct turns *turns, uint64_t lease);

/* The record whose turn came first; NULL: none is ready. */
const struct turn_record *turns_first(const struct turns *turns);

/* Takes it, under a number; the caller frees it. */
struct turn_record *turns_take(struct turns *turns, uint64_t number, uint64_t *ret_key);

void turn_record_free(struct turn_record *record); /* NULL is allowed */

#endif
