#include "broker/log/trace.h"

static bool before(struct place a, struct place b)
{
    return a.position != b.position ? a.position < b.position : a.index < b.index;
}

static bool same(struct place a, struct place b)
{
    return a.position == b.position && a.index == b.index;
}

void trace_begin(struct trace *trace, const struct log_history *asked, struct place place)
{
    *trace = (struct trace){.place = place,
                            .subscription = asked->subscription,
                            .shared = asked->shared,
                            .single = asked->key == 0 || asked->deliver_at_ns != 0,
                            .key = asked->key};
    /* Lanes of one record are written after the record: nothing of them is unknown. */
    trace->lane = trace->shared && !trace->single ? TRACE_LANE_UNKNOWN : TRACE_LANE_NONE;
}

void trace_again(struct trace *trace)
{
    trace->met = true;
    trace->own_seen = trace->own_there = true;
    trace->lane = TRACE_LANE_NONE;
}

static void note_row(struct trace *trace, const struct lane_row *row)
{
    trace->attempts = row->attempts;
    trace->first_failed_ns = row->first_failed_ns;
    trace->last_failed_ns = row->last_failed_ns;
}

static void own_lane(struct trace *trace, const struct delta_lane *lane)
{
    if (!same(lane->row.place, trace->place)) {
        return;
    }
    trace->own_seen = true;
    trace->own_there = !lane->gone;
    if (!lane->gone) {
        note_row(trace, &lane->row);
    }
}

static void key_lane(struct trace *trace, const struct delta_lane *lane)
{
    struct place at = lane->row.place;
    bool behind = lane->gone || before(trace->place, at);
    if (trace->lane == TRACE_LANE_UNKNOWN && behind) {
        trace->lane_came_late = lane->gone || (trace->has_cursor && before(at, trace->cursor.place));
        trace->lane_in_doubt = !trace->lane_came_late;
    }
    trace->lane = lane->gone ? TRACE_LANE_NONE : TRACE_LANE_THERE;
    trace->lane_place = at;
    if (!lane->gone && same(at, trace->place)) {
        note_row(trace, &lane->row);
    }
}

static void see_lane(struct trace *trace, const struct delta_lane *lane)
{
    trace->met = true;
    if (!trace->shared || lane->row.key != trace->key) {
        return;
    }
    if (trace->key == 0 || lane->row.aside) {
        own_lane(trace, lane);
    } else if (!trace->single) {
        key_lane(trace, lane);
    }
}

/* As far as can be told by now. */
static bool is_done(const struct trace *trace, const struct cursor_row *cursor)
{
    if (!trace->shared) {
        return trace->place.position < cursor->place.position;
    }
    if (!before(trace->place, cursor->place)) {
        return false;
    }
    if (trace->own_seen) { /* a lane of its own, so that its key's says nothing of it */
        return !trace->own_there;
    }
    return trace->lane != TRACE_LANE_THERE || before(trace->place, trace->lane_place);
}

static struct trace_end end_of(const struct trace *trace, const struct cursor_row *cursor, int64_t block_ns)
{
    struct trace_end end = {.there = true,
                            .block_ns = block_ns,
                            .counted = trace->has_cursor,
                            .acknowledged = cursor->acknowledged,
                            .expired = cursor->expired,
                            .attempts = trace->attempts,
                            .first_failed_ns = trace->first_failed_ns,
                            .last_failed_ns = trace->last_failed_ns};
    if (trace->has_cursor) {
        end.acknowledged -= trace->cursor.acknowledged;
        end.expired -= trace->cursor.expired;
    }
    return end;
}

static bool is_first_cursor(const struct trace *trace, const struct cursor_row *cursor)
{
    return trace->defined && !trace->met && cursor->acknowledged == 0 && cursor->dead == 0 && cursor->expired == 0;
}

static void see_cursor(struct trace *trace, const struct cursor_row *cursor, int64_t block_ns)
{
    bool begins = is_first_cursor(trace, cursor);
    if (begins) {
        trace->lane = TRACE_LANE_NONE; /* before it there was nothing */
    }
    if (begins && before(trace->place, cursor->place)) {
        trace->passed = true;
        return;
    }
    if (!is_done(trace, cursor)) {
        trace->early.there = trace->late.there = trace->certain = false;
    } else if (!trace->early.there && !trace->lane_came_late) {
        trace->early = end_of(trace, cursor, block_ns);
        trace->certain = trace->lane != TRACE_LANE_UNKNOWN || trace->own_seen; /* also when in doubt: it is this save either way */
    } else if (!trace->late.there && (trace->lane_came_late || trace->lane_in_doubt)) {
        trace->late = end_of(trace, cursor, block_ns);
        trace->certain = trace->lane_came_late;
    }
    trace->lane_came_late = trace->lane_in_doubt = false;
    trace->met = true;
    trace->has_cursor = true;
    trace->cursor = *cursor;
}

void trace_delta(struct trace *trace, const struct delta *delta, int64_t block_ns)
{
    bool defined = false;
    if (trace_is_over(trace)) {
        return;
    }
    switch (delta->kind) {
    case DELTA_SUBSCRIPTION:
        defined = delta->subscription.subscription_id == trace->subscription;
        break;
    case DELTA_CURSOR:
        if (delta->cursor.subscription_id == trace->subscription) {
            see_cursor(trace, &delta->cursor, block_ns);
        }
        break;
    case DELTA_LANE:
        if (delta->lane.row.subscription_id == trace->subscription) {
            see_lane(trace, &delta->lane);
        }
        break;
    default:
        break;
    }
    trace->defined = defined;
}

void trace_lane_before(struct trace *trace, bool there)
{
    if (trace->certain) {
        return;
    }
    if (!there) {
        trace->late.there = false;
        trace->certain = trace->early.there;
    } else {
        trace->early.there = false;
        trace->certain = trace->late.there;
    }
}

struct trace_end trace_end(const struct trace *trace)
{
    return trace->late.there ? trace->late : trace->early;
}
