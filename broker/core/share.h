/* share.h: whose turn a record is: the work of one shared subscription, divided among many workers. Layer: core. Pure; one owner,
 * one thread. It knows records by place and key hash only; what they hold, frames and connections are others' business.
 *
 *     scanned ──> lane of its key ──> first of the lane: ready ──> leased ──> acknowledged: gone, the next one's turn
 *                                        ^                           │
 *                                        └── waits for its delay <───┴── refused, lapsed, worker gone; too often: dead
 *
 * A lane holds the unresolved records of one key in log order; only its first may be in a worker's hands, so records of a key never
 * overtake each other, and a key that fails holds up nobody else. A record without a key is a lane by itself.
 *
 * A record with a time to be delivered at (deliver_at), or that was dead and is given again, stands aside: a lane of one record,
 * which lets the others of its key pass until it is due and then takes the key's next turn. Of the lanes of one key one at a time
 * is at work: the others wait until its first record, or its run, is resolved. A record that has expired when its turn comes is
 * passed over, counted.
 *
 * What is below the scan place and in no lane is done. A lane keeps at most LANE_RECORDS_MAX records; of those beyond it only
 * knows where they begin (`beyond`), and has them searched by key when their turn comes: a key that is stuck costs the same for
 * ten records as for ten million. Lanes are bounded too (lanes_max): then scanning waits until some are gone.
 *
 * Durable state is what the deltas add up to: the scan place, and for each lane below it the place of its first unresolved record
 * with attempts and times. Leases are not durable: after a restart every lane's first record is free. share_save writes what has
 * changed since the last one; the caller answers settlements when that is on disk. Until then a settled record is in nobody's
 * hands, and its successor may already be given out: if the broker dies in between, both come again, in order. */
#ifndef TRUC_CORE_SHARE_H
#define TRUC_CORE_SHARE_H

#include "proto/catalog.h"

struct share;

enum { LANE_RECORDS_MAX = 1024, SEARCH_KEYS_MAX = 256, GRANT_RECORDS_MAX = 256, KEY_RUN_MAX = 64 };

struct share_config {
    uint32_t attempts_max;                         /* deliveries before a record is dead; 0: without limit */
    int64_t ack_wait_ns;                           /* a lease lapses after it */
    int64_t backoff_ns[SUBSCRIPTION_BACKOFFS_MAX]; /* after the 1st, 2nd, ... failed attempt; the last one repeats */
    uint32_t backoff_count;                        /* 0: at once */
    uint32_t in_flight_max;                        /* leased records over all workers */
    uint32_t lanes_max;                            /* more than in_flight_max */
    uint32_t aside_max;                            /* records aside; beyond it scanning waits, as with lanes_max */
};

/* A record that the subscription wants. */
struct share_record {
    struct place place;
    uint32_t bytes;                       /* 0: not known */
    uint64_t key;                         /* its hash (proto/directory.h); 0: it has none */
    int64_t deliver_at_ns, expires_at_ns; /* append clock; 0: at once, never */
};

truc_status share_create(const struct share_config *config, struct place scan, struct share **ret_share);
void share_destroy(struct share *share); /* NULL is allowed */

/* Before anything else: a lane as a saved row says it; where is the first unresolved record's place (without a key: the place
 * itself). TRUC_DAMAGED when there is such a lane already, TRUC_NO_MEMORY. */
truc_status share_restore(struct share *share, const struct lane_row *row);
/* What the cursor's row counted so far. */
void share_restore_counts(struct share *share, uint64_t acknowledged, uint64_t dead, uint64_t expired);

/* --- records ----------------------------------------------------------------------------------------------------------------- */

/* What the log should be asked for next; at most one scan and one search are under way. False: nothing now.
 * A scan goes from its place towards the head (the caller cuts it there). A search looks in [from, until) for records of these
 * keys. */
struct share_scan {
    struct place from, until; /* until: of a search only */
    uint32_t records_max;
    const uint64_t *keys; /* of a search, ascending; borrowed until its answer */
    size_t key_count;
};
bool share_next_scan(struct share *share, struct share_scan *ret_scan);
bool share_next_search(struct share *share, struct share_scan *ret_search);

/* Their answers: records in log order, all there are in [from, next). False when out of memory: nothing was taken, ask again. */
bool share_scanned(struct share *share, const struct share_record *records, size_t count, struct place next);
bool share_found(struct share *share, const struct share_record *records, size_t count, struct place next);
/* The log could not answer: ask again later (the next share_next_* gives it again). */
void share_scan_failed(struct share *share);
void share_search_failed(struct share *share);

struct place share_scan_place(const struct share *share);

/* A dead record, below the scan place, is given again: it stands aside, due at once, with no failed attempt. SHARE_AGAIN_HELD: it
 * is unresolved already, nothing changed. */
enum share_again { SHARE_AGAIN_OK, SHARE_AGAIN_HELD, SHARE_AGAIN_FULL, SHARE_AGAIN_NO_MEMORY };
enum share_again share_give_again(struct share *share, const struct share_record *record);

/* How it stands with a record that the subscription wants. Of the record place, key and deliver_at_ns count. */
enum share_standing {
    STANDING_AHEAD,   /* not scanned yet */
    STANDING_WAITING, /* behind others of its key, or ready */
    STANDING_LEASED,
    STANDING_DELAYED,
    STANDING_DEAD,    /* not yet buried */
    STANDING_RESOLVED /* in no lane: acknowledged, buried or expired */
};
struct share_look {
    enum share_standing standing;
    uint32_t attempts; /* that failed; 0 when it is not the first of its lane */
    int64_t first_failed_ns, last_failed_ns;
};
struct share_look share_look_at(const struct share *share, const struct share_record *record);

/* --- workers ----------------------------------------------------------------------------------------------------------------- */

/* A worker is a number of the caller's. credit: records it takes beyond those it holds. run_max: so many records of one lane may be
 * leased to it at once (1 to KEY_RUN_MAX). False when out of memory. */
bool share_join(struct share *share, uint64_t worker, uint32_t credit, uint32_t run_max);
void share_credit(struct share *share, uint64_t worker, uint32_t more);
/* Gets nothing more until it is let go again: what it was granted is still on its way to it. */
void share_hold(struct share *share, uint64_t worker, bool held);
/* Its leases fail, each as an attempt (counted) or go back without one. */
void share_leave(struct share *share, uint64_t worker, bool counted, int64_t now_ns);

/* --- leases ------------------------------------------------------------------------------------------------------------------ */

struct share_lease {
    uint64_t lease;             /* grows by one with each, never reused by this share */
    struct share_record record; /* deliver_at_ns is not told */
    uint32_t attempt;           /* this one is the attempt-th, from 1 */
};

/* The next worker's turn: up to max records that are ready, in log order, within its credit and in_flight_max; their leases run
 * from now. Workers take turns; ready lanes are served in the order they became ready. A lane gives a run: its first records, up to
 * the worker's run_max, which are settled in order; the lease of each lapses ack_wait after the one before it was settled. Returns
 * how many; 0: nobody wants, or nothing is ready. */
size_t share_grant(struct share *share, int64_t now_ns, struct share_lease *leases, size_t max, uint64_t *ret_worker);

enum share_outcome { SHARE_ACK, SHARE_NACK, SHARE_REJECT, SHARE_RETURN, SHARE_EXTEND, SHARE_DAMAGED };

/* What a worker says of a lease. delay_ns: of NACK, 0: the back-off; of EXTEND, 0: ack_wait. RETURN gives it back uncounted.
 * DAMAGED is the broker's own word: the record cannot be read, so it is dead without having been delivered.
 * Of a run, NACK, REJECT, RETURN and DAMAGED of the first free those behind it, uncounted. DAMAGED of one behind the first frees it
 * and those behind it: when it is the first, it will be found damaged again.
 * False: the lease is not this worker's, or not any more (lapsed, settled, freed), or not the first of its run (EXTEND: any of
 * the run): nothing changed. Settling gives the worker no credit back. */
bool share_settle(struct share *share, uint64_t worker, uint64_t lease, enum share_outcome outcome, int64_t delay_ns,
                  int64_t now_ns);

/* Whether the worker still has this lease: the run may have ended while the record was on its way to it. */
bool share_holds(const struct share *share, uint64_t worker, uint64_t lease);

/* When share_tick has something to do (a lease lapses, a delay ends); INT64_MAX: never. */
int64_t share_due_ns(const struct share *share);
void share_tick(struct share *share, int64_t now_ns);

/* --- the dead ---------------------------------------------------------------------------------------------------------------- */

enum dead_reason { DEAD_ATTEMPTS = 1, DEAD_REJECTED = 2, DEAD_DAMAGED = 3 };
struct share_dead {
    struct place place;
    uint32_t attempts;
    enum dead_reason reason;
    int64_t first_failed_ns, last_failed_ns;
};
/* The next record that is dead and not yet buried: its lane waits (others flow) until the caller has given its dead letter to the
 * log and calls share_bury, before the share_save of the same step. False: none. The same one until it is buried. Dead letter and
 * save belong into one block: when a crash parts them, the record comes again, and may be dead again. */
bool share_next_dead(const struct share *share, struct share_dead *ret_dead);
void share_bury(struct share *share);

/* --- saving ------------------------------------------------------------------------------------------------------------------ */

/* Whether something must be saved for settlements so far to be durable. */
bool share_unsaved(const struct share *share);
/* Writes the change as deltas of a subscription, one call of `put` each (lanes first, the scan place last; each at most
 * DELTA_BYTES_MAX when encoded). put returns false when it has no memory: share_save returns false, and everything is given again
 * at the next one. */
bool share_save(struct share *share, uint32_t subscription, bool (*put)(void *context, const struct delta *delta), void *context);

struct share_counts {
    uint32_t lanes, ready, leased, delayed, dead, workers; /* leased: records; the others: lanes */
    uint32_t aside;                                        /* lanes */
    bool full;                                             /* lanes_max or aside_max is reached: too many keys wait */
    struct place oldest;                                   /* first unresolved record; the scan place when there is none */
    uint64_t acknowledged, buried, expired;                /* records, since the subscription was created */
};
/* Looks at every lane (for `oldest`): not for each record. */
struct share_counts share_counts(const struct share *share);

#endif
