/* share_internal.h: what the parts of share.h have in common. Layer: core; only share*.c include it.
 *
 *     share.c         beginning and end, restoring, workers, counts      share_lane.c   a lane's records, its state, its lists
 *     share_scan.c    what the log is asked for: towards the head        share_heap.c   what is due first
 *     share_search.c  ... and by key                                     share_lease.c  giving out, settling, the dead
 *                                                                        share_save.c   deltas
 *
 * Memory is taken only by restoring, joining, share_scanned and share_found: each reserves what its lanes may ever need (a place
 * in the heap, a lease) before it changes anything, so that no other function can fail. */
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
};

/* A record behind the first one of its lane. */
struct lane_rest {
    struct lane_record record;
    uint32_t next; /* number + 1; 0: the last */
    uint32_t unused;
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
    uint64_t lease;                                         /* while LEASED */
    int64_t not_before_ns, first_failed_ns, last_failed_ns; /* of the first record */
    uint32_t attempts;                                      /* that failed, of the first record */
    uint32_t index, worker;                                 /* own number; the worker's while LEASED */
    uint32_t heap_at;                                       /* in share.due while LEASED or DELAYED, in share.ahead while AHEAD */
    struct lane_list rest;                                  /* of struct lane_rest */
    struct {
        uint32_t previous, next;
    } links[LINK_COUNT]; /* TURN: in share.ready, worker.leased or share.dead_lanes, as the state says */
    uint16_t slot;       /* in the search under way, + 1; 0: it is not searched */
    uint16_t count;
    uint8_t state, dead;
    bool more : 1;
    bool saved : 1;  /* a row of it may be on disk */
    bool tabled : 1; /* in lanes_by_key: all with a key, and restored ones */
    bool dirty : 1, hungry : 1;
};
_Static_assert(sizeof(struct lane) <= 128, "a lane is small");

struct worker {
    uint64_t number;
    struct lane_list leased; /* oldest lease first */
    uint32_t credit, index;
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
    bool unsaved;                      /* an outcome waits for share_save */
    struct pool lanes, rests, workers; /* struct lane, lane_rest, worker */
    struct table lanes_by_key;         /* hash of key, or of place for lanes without */
    struct table leases;               /* hash of lease -> lane */
    struct table workers_by_number;
    struct lane_list ready, dead_lanes; /* in the order they became so */
    struct lane_list hungry;            /* `more` and few records left, not being searched */
    struct lane_list dirty;             /* differ from what was saved; a gone lane before the next one of its key */
    struct lane_list wanting;           /* workers with credit that are not held, the next one's turn first */
    struct lane_heap due, ahead;        /* by time; by position */
    uint32_t states[LANE_STATES];       /* lanes in each */
    uint64_t credit;                    /* of all workers */
    uint64_t last_lease, acknowledged, buried;
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

static inline uint32_t lane_count(const struct share *share)
{
    return share->lanes.used - share->states[LANE_GONE];
}

/* Lanes that lanes_max is about: those ahead only wait for their records to be scanned. */
static inline uint32_t lane_count_active(const struct share *share)
{
    return lane_count(share) - share->states[LANE_AHEAD];
}

/* How many records a lane may keep now. */
static inline uint32_t lane_room(const struct share *share)
{
    uint32_t each = RECORDS_ROOMY / (lane_count(share) + 1);

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

/* --- share_lane.c --------------------------------------------------------------------------------------------------------------
 */

/* Room for so many new lanes and records, and for all that may become of them. False when out of memory: nothing changed. */
bool lane_reserve(struct share *share, size_t lanes, size_t records);

/* The lane of a key; of a record without a key only when it was restored. NULL: there is none. */
struct lane *lane_find(const struct share *share, uint64_t key, struct place place);

/* An empty lane; room was reserved. It has no state yet. Tabled ones are found by lane_find. */
struct lane *lane_create(struct share *share, uint64_t key, struct place place, bool tabled);

/* Adds a record behind the others; room was reserved. */
void lane_append(struct share *share, struct lane *lane, struct place place, uint32_t bytes);

void lane_list_add(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane, bool front);
void lane_list_remove(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane);

/* It differs from what was saved. */
void lane_mark_dirty(struct share *share, struct lane *lane);
/* Saved: it is as on disk; a gone one is freed. */
void lane_mark_saved(struct share *share, struct lane *lane);

/* Has it searched when it may have more and few are left. */
void lane_feed(struct share *share, struct lane *lane);

/* Out of whatever state it is in, into another. */
void lane_set_ahead(struct share *share, struct lane *lane);
void lane_set_ready(struct share *share, struct lane *lane, bool front);
void lane_set_leased(struct share *share, struct lane *lane, struct worker *worker, int64_t until_ns);
void lane_set_delayed(struct share *share, struct lane *lane);
void lane_set_dead(struct share *share, struct lane *lane, enum dead_reason reason);
/* Into the state that its first record has by attempts and times; without a record it is searched, or is no more (lane is freed).
 */
void lane_settle_down(struct share *share, struct lane *lane);
/* The first record is resolved: the next one's turn. The lane may be no more. */
void lane_resolve(struct share *share, struct lane *lane);

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
