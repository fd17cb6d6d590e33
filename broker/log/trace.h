/* trace.h: one record in one subscription, delta by delta. Layer: log, inside. Pure.
 *
 * A save of a shared subscription gives lanes first and its cursor last. With it a record is done when the cursor has passed it, no
 * lane of its key stands at or before it, and no lane of its own (it has no key, or a time to be delivered at, or was dead and is
 * given again) stands. When the lane of its key
 * has not been seen yet, one may stand at an earlier record since before this record was written: then what is said holds only if
 * there was none. That shows, at the latest, when the lane is seen for the first time: any lane at a later record is written after
 * this one, so a lane that is gone, or has moved to a record below the cursor before, stood at or before it until then. */
#ifndef TRUC_LOG_TRACE_H
#define TRUC_LOG_TRACE_H

#include "broker/log/history.h"

enum trace_lane { TRACE_LANE_UNKNOWN, TRACE_LANE_NONE, TRACE_LANE_THERE };

/* A save with which the record was done. */
struct trace_end {
    bool there;
    int64_t block_ns;
    bool counted;                   /* what it counted more than the save before is known: */
    uint64_t acknowledged, expired; /* else what it counted in all */
    uint32_t attempts;              /* that failed */
    int64_t first_failed_ns, last_failed_ns;
};

struct trace {
    struct place place; /* of the record */
    int64_t append_ns;  /* likewise */
    uint32_t subscription;
    bool shared;
    bool single; /* it has no key, or a time to be delivered at: never in the lane of its key */
    uint64_t key;
    /* the subscription */
    bool met;    /* it was there */
    bool passed; /* it began behind the record */
    bool has_cursor;
    struct cursor_row cursor;
    /* the lane of its key, its own lane */
    enum trace_lane lane;
    struct place lane_place;
    bool lane_came_late; /* in this save: seen for the first time, standing behind the record, and it stood before it until now */
    bool lane_in_doubt;  /* likewise, but it may be a new one */
    bool own_seen, own_there;
    uint32_t attempts; /* as the record's row said last */
    int64_t first_failed_ns, last_failed_ns;
    /* what follows from it */
    struct trace_end early; /* the lane of its key is known, or did not stand before the first block looked at, */
    struct trace_end late;  /* or it did, until this */
    bool certain;           /* late if that is there, else early */
    bool past_known;        /* trace_lane_before said it */
};

/* Of what is asked about, subscription, mode, key and deliver_at count. */
void trace_begin(struct trace *trace, const struct log_history *asked, struct place place, int64_t append_ns);

/* It was dead and is given again: it stands aside from here on. */
void trace_again(struct trace *trace);

/* What stands before a delta in its block, since a subscription that begins shows by it: definition and cursor follow one another,
 * and when it was reset, both follow the end of the one before. */
struct trace_before {
    int64_t block_ns;    /* append time */
    bool end;            /* the delta before is an end */
    uint32_t definition; /* it defines this subscription; 0: it is none, */
    bool after_end;      /* right behind an end, */
    int64_t created_ns;  /* and says this */
};
/* A delta was looked at: it stands before the next one. */
void trace_pass(struct trace_before *before, const struct delta *delta);

/* The next delta about its subscription. */
void trace_delta(struct trace *trace, const struct delta *delta, const struct trace_before *before);

/* Nothing more has to be looked at. */
static inline bool trace_is_over(const struct trace *trace)
{
    return trace->passed || trace->certain;
}

/* What comes later tells nothing more; what stood before the first block looked at would. */
static inline bool trace_wants_past(const struct trace *trace)
{
    return !trace_is_over(trace) && trace->late.there;
}

/* What stood before the first block looked at is known now. */
void trace_lane_before(struct trace *trace, bool there);

/* The save that did it; not `there` when it is not known. */
struct trace_end trace_end(const struct trace *trace);

#endif
