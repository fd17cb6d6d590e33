/* walk.h: the entries of a pattern's topics in a range, one after the other, upwards or downwards. Layer: log, inside. What readers
 * and scanners have in common. One thread at a time.
 *
 * It goes by the blocks' tables, or by the topic index where that is less work; it stops when a budget is spent, and at damage,
 * beyond which the next run goes on. Between runs it holds no transaction. */
#ifndef TRUC_LOG_WALK_H
#define TRUC_LOG_WALK_H

#include "broker/log/matcher.h"

enum { WALK_BUDGET_BYTES = 64 << 20 }; /* of the log that one call of a reader or scanner looks at */

struct walk_entry {
    const struct block_view *block; /* valid until the visit returns */
    uint32_t index;                 /* in the block */
    uint64_t position;
};

/* Looks at an entry of a matching topic. TRUC_OK: on to the next one; TRUC_BUSY: stop, this one is the next again; TRUC_DAMAGED
 * (why is written) and other errors stop, too. */
typedef truc_status walk_visit(void *context, const struct walk_entry *entry);

struct walk {
    struct log *log;
    struct matcher matcher;
    struct feed feed;
    bool reverse;
    bool peeks; /* set by the owner: visits do not check entries wholly, so the table must be, also when the index led there */
    walk_visit *visit; /* set by the owner, as is its context */
    void *context;
    size_t budget; /* set by the owner before a run: what may be looked at */
    bool hinted;   /* the block of the next position is known: */
    uint64_t hint_place, hint_block;
    bool checked; /* this block's table was checked before: */
    uint64_t checked_block;
    /* of the run under way */
    struct block_access access;
    char *why;
    uint64_t place;        /* next position; reverse: exclusive */
    uint64_t damaged_from; /* where it stood when it came upon damage */
    bool stopped;          /* full, damaged, or enough looked at */
    bool got;              /* `view` is a block got in this run */
    struct block_view view;
};

/* TRUC_BAD_PATTERN, TRUC_BAD_SOURCE. */
truc_status walk_init(struct walk *walk, struct log *log, const struct log_filter *filter, bool reverse);
void walk_fini(struct walk *walk);

/* Visits from `from` to `until`, as log_read has them. *ret_next: where to go on, == until when that was all. TRUC_DAMAGED: next is
 * beyond what cannot be read, which begins at damaged_from. TRUC_IO, TRUC_NO_MEMORY. */
truc_status walk_run(struct walk *walk, uint64_t from, uint64_t until, uint64_t *ret_next, char *why);

/* Of a visit: so much was looked at; and that it is enough after this entry. */
void walk_spend(struct walk *walk, size_t bytes);
void walk_stop(struct walk *walk);

#endif
