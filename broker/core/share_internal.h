/* share_internal.h: what the parts of share.h have in common. Layer: core; only share*.c include it.
 *
 *     share.c         beginning and end, restoring, workers              share_lane.c   a lane's records, its state
 *     share_scan.c    what the log is asked for: towards the head        share_list.c   lists of lanes
 *     share_search.c  ... and by key                                     share_heap.c   what is due first
 *     share_grant.c   giving out                                         share_turn.c   which lane of a key is at work
 *     share_lease.c   settling, time, the dead                           share_save.c   deltas
 *     share_look.c    how it stands: counts, one record
 *
 * Memory is taken only by restoring, joining, giving again, share_scanned and share_found: each reserves what its lanes may ever
 * need (a place in the heap, a lease, the lane of an aside one's key) before it changes anything, so that no other function can
 * fail. */
#ifndef TRUC_CORE_SHARE_INTERNAL_H
#define TRUC_CORE_SHARE_INTERNAL_H

#include "broker/core/invariant.h"
#include "broker/core/pool.h"
#include "broker/core/share.h"
#include "broker/core/share_canary.h"
#include "broker/core/table.h"

/* Bounds that a test may make narrower. */
#ifndef SHARE_RECORDS_ROOMY
#define SHARE_RECORDS_ROOMY (128 * 1024)
#endif
#ifndef SHARE_READY_MIN
#define SHARE_READY_MIN 64
#endif

enum {
    RECORDS_ROOMY =
        SHARE_RECORDS_ROOMY, /* that all lanes may keep behind their first ones, divided among them; when all is used, */
    LANE_RECORDS_FEW = 4,    /* a lane takes no more when it has so many: memory is for keys then, not for their queues */

    /* Lanes that are ready before anybody takes them, so that workers need not wait for the log: twice what they can take at once,
     * but some, and not very many. */
    READY_MIN = SHARE_READY_MIN,
    READY_MAX = 4096
};

enum lane_state {
    LANE_FREE,      /* not in use: must be 0 (pool.h) */
    LANE_AHEAD,     /* restored, above the scan place: records below its own are done; waits until the scan has come to it */
    LANE_SEARCHING, /* its known records are used up, there may be more */
    LANE_EMPTY,     /* a key's: nothing of it is unresolved but lanes aside, whose turn it is (share_turn.c) */
    LANE_WAITING,   /* another lane of its key has the turn */
    LANE_READY,
    LANE_LEASED,
    LANE_DELAYED,
    LANE_DEAD,
    LANE_GONE, /* resolved, which is to be saved; no more in the table */
    LANE_STATES
};

enum lane_link { LINK_TURN, LINK_HUNGRY, LINK_DIRTY, LINK_COUNT };

struct lane_record {
    uint64_t position;
    uint32_t index, bytes;
    int64_t expires_at_ns; /* 0: never */
};

/* A record behind the first one of its lane. */
struct lane_rest {
    struct lane_record record;
    uint32_t next;       /* number + 1; 0: the last */
    uint32_t lease_step; /* in a run: from the lease of the record before it to its own */
};

/* Lanes in a row, by number + 1; 0: none. */
struct lane_list {
    uint32_t first, last;
};

struct lane {
    uint64_t key;
    struct lane_record first; /* while count > 0 */
    /* While `more`: from here on there may be records of the key that are not kept, and all others of it up to here are kept or
     * resolved. While AHEAD: below it they are done. Always meaningful when count is 0. */
    struct place beyond;
    uint64_t lease;                                         /* of the first record, while LEASED */
    int64_t not_before_ns, first_failed_ns, last_failed_ns; /* of the first record */
    uint32_t attempts;                                      /* that failed, of the first record */
    uint32_t index, worker;                                 /* own number; the worker's while LEASED */
    uint32_t heap_at;                                       /* in share.due while LEASED or DELAYED, in share.ahead while AHEAD */
    struct lane_list rest;                                  /* of struct lane_rest */
    struct {
        uint32_t previous, next;
    } links[LINK_COUNT]; /* TURN: in share.ready, worker.leased or share.dead_lanes, as the state says; or in a key's `asking` */
    uint32_t at_work;    /* a key's: the lane aside that has the turn, + 1; 0: the turn is its own. One aside: unused */
    uint32_t asking;     /* a key's: the lane aside that has the next turn, + 1 (share_turn.c). One aside: its key's lane, + 1,
                          * from when it asks for the turn */
    uint16_t slot;       /* in the search under way, + 1; 0: it is not searched */
    uint16_t count;
    uint8_t state, dead;
    uint8_t run; /* while LEASED: so many records, the first ones, have a lease */
    bool more : 1;
    bool saved : 1; /* a row of it may be on disk */
    bool aside : 1; /* out of its key's order; always of one record */
    bool dirty : 1, hungry : 1;
};
_Static_assert(sizeof(struct lane) <= 144, "a lane is small");

struct worker {
    uint64_t number;
    struct lane_list leased; /* oldest lease first */
    uint32_t credit, index, run_max;
    uint32_t previous, next; /* in share.wanting while credit > 0 and it is not held */
    bool held;
};

struct lane_heap {
    struct heap_node {
        int64_t at;
        uint32_t lane;
    } * nodes; /* owned */
    uint32_t count, capacity;
};

struct share_slot {
    uint32_t lane;
    bool full;              /* it could not take a record that was found; its `beyond` is there */
    bool passed;            /* scanned records of the key were not kept since the search began, */
    struct place passed_at; /* the first of them here */
};

struct share {
    struct share_config config;
    struct place scan, saved_scan;
    bool scanning;
    uint32_t scan_room;                /* while scanning: so many records may come, each in a lane aside */
    bool unsaved;                      /* an outcome waits for share_save */
    struct pool lanes, rests, workers; /* struct lane, lane_rest, worker */
    struct table lanes_by_name;        /* hash of key; of place for those of one record */
    struct table leases;               /* hash of lease -> lane */
    struct table workers_by_number;
    struct lane_list ready, dead_lanes; /* in the order they became so */
    struct lane_list hungry;            /* `more` and few records left, not being searched */
    struct lane_list dirty;             /* differ from what was saved; a gone lane before the next one of its key */
    struct lane_list wanting;           /* workers with credit that are not held, the next one's turn first */
    struct lane_heap due, ahead;        /* by time; by position */
    uint32_t states[LANE_STATES];       /* lanes in each */
    uint32_t aside, aside_ahead;        /* lanes aside that are not gone; of them those AHEAD */
    uint32_t leased;                    /* records */
    int64_t ticked_ns;                  /* what was to end by then has ended */
    uint64_t credit;                    /* of all workers */
    uint64_t last_lease, acknowledged, buried, expired;
    struct {
        bool under_way;
        struct place until;
        uint32_t count;
        uint64_t keys[SEARCH_KEYS_MAX];
        struct share_slot slots[SEARCH_KEYS_MAX]; /* as keys */
    } search;
};

/* --- small things ------------------------------------------------------------------------------------------------------------- */

static inline bool place_before(struct place a, struct place b)
{
    return a.position != b.position ? a.position < b.position : a.index < b.index;
}

static inline bool place_equal(struct place a, struct place b)
{
    return a.position == b.position && a.index == b.index;
}

/* The place right behind. */
static inline struct place place_behind(struct place a)
{
    return a.index == UINT32_MAX ? (struct place){a.position + 1, 0} : (struct place){a.position, a.index + 1};
}

static inline struct place record_place(const struct lane_record *record)
{
    return (struct place){record->position, record->index};
}

static inline struct lane *lane_at(const struct share *share, uint32_t index)
{
    return pool_at(&share->lanes, index);
}

/* First unresolved place of a lane, as its row says it: exact when a record is known, else nothing is unresolved below it. */
static inline struct place lane_place(const struct lane *lane)
{
    return lane->count > 0 ? record_place(&lane->first) : lane->beyond;
}

/* A record without a key, or one aside. */
static inline bool lane_is_single(const struct lane *lane)
{
    return lane->key == 0 || lane->aside;
}

/* Its first record was given out, or could not be, to no good; it is not resolved. */
static inline bool lane_has_failed(const struct lane *lane)
{
    return lane->count > 0 && (lane->attempts > 0 || lane->dead);
}

/* What it waits for is not over yet. */
static inline bool lane_is_early(const struct share *share, const struct lane *lane)
{
    return lane->not_before_ns > 0 && lane->not_before_ns > share->ticked_ns;
}

static inline bool record_expired(const struct lane_record *record, int64_t now_ns)
{
    return record->expires_at_ns != 0 && record->expires_at_ns <= now_ns && !CANARY_SHARE_EXPIRED_GIVEN;
}

/* All that have something unresolved. */
static inline uint32_t lane_count(const struct share *share)
{
    return share->lanes.used - share->states[LANE_GONE] - share->states[LANE_EMPTY];
}

/* Those that lanes_max and aside_max are about: those ahead only wait for their records to be scanned. */
static inline uint32_t lane_count_active(const struct share *share)
{
    return lane_count(share) - share->aside - (share->states[LANE_AHEAD] - share->aside_ahead);
}

static inline uint32_t lane_count_aside(const struct share *share)
{
    return share->aside - share->aside_ahead;
}

/* How many records a lane may keep now. */
static inline uint32_t lane_room(const struct share *share)
{
    uint32_t each = RECORDS_ROOMY / (lane_count(share) - share->aside + 1);

    if (share->rests.used >= RECORDS_ROOMY || each < LANE_RECORDS_FEW)
        return LANE_RECORDS_FEW;
    return each < LANE_RECORDS_MAX ? each : LANE_RECORDS_MAX;
}

static inline int64_t time_after(int64_t now_ns, int64_t delay_ns)
{
    int64_t sum;

    return __builtin_add_overflow(now_ns, delay_ns, &sum) ? INT64_MAX : sum;
}

/* --- share_heap.c: lanes by a number, the least first --------------------------------------------------------------------------
 */

void lane_heap_fini(struct lane_heap *heap);
/* Room for so many in all. False when out of memory: nothing changed. */
bool lane_heap_reserve(struct lane_heap *heap, uint32_t count);
/* A lane is in one heap at a time (heap_at). */
void lane_heap_add(struct share *share, struct lane_heap *heap, struct lane *lane, int64_t at);
void lane_heap_remove(struct share *share, struct lane_heap *heap, struct lane *lane);
/* Another number for a lane that is in it. */
void lane_heap_move(struct share *share, struct lane_heap *heap, struct lane *lane, int64_t at);

/* --- share_list.c: lanes in a row ----------------------------------------------------------------------------------------------
 */

void lane_list_add(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane, bool front);
void lane_list_remove(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane);

/* It differs from what was saved. */
void lane_mark_dirty(struct share *share, struct lane *lane);
void lane_unmark_dirty(struct share *share, struct lane *lane);

/* Has it searched when it may have more and few are left. */
void lane_feed(struct share *share, struct lane *lane);

/* --- share_lane.c --------------------------------------------------------------------------------------------------------------
 */

/* Room for so many new lanes and records, and for all that may become of them. False when out of memory: nothing changed. */
bool lane_reserve(struct share *share, size_t lanes, size_t records);

/* NULL: there is none. */
struct lane *lane_of_key(const struct share *share, uint64_t key);
struct lane *lane_of_place(const struct share *share, struct place place); /* of one record */

/* An empty lane; room was reserved. It has no state yet. */
struct lane *lane_create(struct share *share, uint64_t key, struct place place, bool aside);

/* Adds a record behind the others; room was reserved. */
void lane_append(struct share *share, struct lane *lane, const struct share_record *record);

/* A lane aside with this record, which has no state yet; room was reserved. */
struct lane *lane_put_aside(struct share *share, const struct share_record *record, int64_t not_before_ns);

/* Saved: it is as on disk; a gone one is freed. */
void lane_mark_saved(struct share *share, struct lane *lane);

/* Out of whatever state it is in, into another. */
void lane_set_ahead(struct share *share, struct lane *lane);
void lane_set_ready(struct share *share, struct lane *lane, bool front);
void lane_set_leased(struct share *share, struct lane *lane, struct worker *worker, int64_t until_ns);
void lane_set_delayed(struct share *share, struct lane *lane);
void lane_set_dead(struct share *share, struct lane *lane, enum dead_reason reason);
void lane_set_waiting(struct share *share, struct lane *lane);
void lane_set_empty(struct share *share, struct lane *lane);
/* It has the turn: into the state that its first record has by attempts and times. */
void lane_go_on(struct share *share, struct lane *lane);
/* Into the state that it has by its records, and by whose turn it is; without any it is searched, or is no more (lane is freed). */
void lane_settle_down(struct share *share, struct lane *lane);
/* The first record is resolved: the next one's turn. The lane may be no more. */
void lane_resolve(struct share *share, struct lane *lane);
/* Of a run of several the first record is resolved: the next one of it is the first now. */
void lane_advance(struct share *share, struct lane *lane, int64_t until_ns);
/* The first `kept` records of its run keep their leases, those behind are free. */
void lane_shorten_run(struct share *share, struct lane *lane, uint32_t kept);

/* --- share_turn.c: of the lanes of one key one at a time is at work -------------------------------------------------------------
 */

/* A lane aside is due, or has failed: it wants its key's next turn. Room for the key's lane was reserved. */
void turn_ask(struct share *share, struct lane *aside);
/* Gives the turn to whom it belongs among the lanes of a key; `lane` is the key's, or one aside that has asked. */
void turn_review(struct share *share, struct lane *lane);
/* The lane aside that had the turn is resolved. */
void turn_end(struct share *share, struct lane *plain);

/* --- between the others --------------------------------------------------------------------------------------------------------
 */

/* So many lanes should be ready; 0: nobody wants records. (share_scan.c) */
uint32_t share_ready_wanted(const struct share *share);

struct worker *share_worker(const struct share *share, uint64_t number); /* NULL: unknown */
/* Puts a worker with credit at the end of the turns, or takes one out of them. */
void share_turn_add(struct share *share, struct worker *worker);
void share_turn_remove(struct share *share, struct worker *worker);
/* A worker's leases end (share_lease.c). */
void share_drop_leases(struct share *share, struct worker *worker, bool counted, int64_t now_ns);

#endif
