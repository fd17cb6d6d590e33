#include "broker/log/trace.h"

/* Entries of one moment are a nanosecond apart each, so that the append clock runs ahead a little. */
#define CLOCK_MARGIN_NS INT64_C(1000000)

static bool below(struct place a, struct place b)
{
    return a.position != b.position ? a.position < b.position : a.index < b.index;
}

static bool same(struct place a, struct place b)
{
    return a.position == b.position && a.index == b.index;
}

void trace_begin(struct trace *trace, const struct log_history *asked, struct place place, int64_t append_ns)
{
    *trace = (struct trace){.place = place,
                            .append_ns = append_ns,
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
    bool behind = lane->gone || below(trace->place, at);
    if (trace->lane == TRACE_LANE_UNKNOWN && behind) {
        trace->lane_came_late = lane->gone || (trace->has_cursor && below(at, trace->cursor.place));
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
    if (!below(trace->place, cursor->place)) {
        return false;
    }
    if (trace->own_seen) { /* a lane of its own, so that its key's says nothing of it */
        return !trace->own_there;
    }
    return trace->lane != TRACE_LANE_THERE || below(trace->place, trace->lane_place);
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

/* A definition is also written when it changes. It is the first one if it follows the end of the one that was reset, or is younger
 * than the record, after which the trace begins. */
static bool is_first_cursor(const struct trace *trace, const struct cursor_row *cursor, const struct trace_before *before)
{
    return before->definition == trace->subscription && !trace->met &&
           (before->after_end || before->created_ns >= trace->append_ns - CLOCK_MARGIN_NS) && cursor->acknowledged == 0 &&
           cursor->dead == 0 && cursor->expired == 0;
}

static void see_cursor(struct trace *trace, const struct cursor_row *cursor, const struct trace_before *before)
{
    bool first = is_first_cursor(trace, cursor, before);
    if (first) {
        trace->lane = TRACE_LANE_NONE; /* before it there was nothing */
    }
    if (first && below(trace->place, cursor->place)) {
        trace->passed = true;
        return;
    }
    if (!is_done(trace, cursor)) {
        trace->early.there = trace->late.there = trace->certain = false;
    } else if (!trace->early.there && !trace->lane_came_late) {
        trace->early = end_of(trace, cursor, before->block_ns);
        trace->certain = trace->lane != TRACE_LANE_UNKNOWN || trace->own_seen; /* also when in doubt: it is this save either way */
    } else if (!trace->late.there && (trace->lane_came_late || trace->lane_in_doubt)) {
        trace->late = end_of(trace, cursor, before->block_ns);
        trace->certain = trace->lane_came_late;
    }
    trace->lane_came_late = trace->lane_in_doubt = false;
    trace->met = true;
    trace->has_cursor = true;
    trace->cursor = *cursor;
}

void trace_pass(struct trace_before *before, const struct delta *delta)
{
    bool definition = delta->kind == DELTA_SUBSCRIPTION;
    before->definition = definition ? delta->subscription.subscription_id : 0;
    before->after_end = definition && before->end;
    before->created_ns = definition ? delta->subscription.created_ns : 0;
    before->end = delta->kind == DELTA_SUBSCRIPTION_END;
}

void trace_delta(struct trace *trace, const struct delta *delta, const struct trace_before *before)
{
    if (trace_is_over(trace)) {
        return;
    }
    if (delta->kind == DELTA_CURSOR) {
        see_cursor(trace, &delta->cursor, before);
    } else if (delta->kind == DELTA_LANE) {
        see_lane(trace, &delta->lane);
    }
}

void trace_lane_before(struct trace *trace, bool there)
{
    if (trace->certain) {
        return;
    }
    trace->past_known = true;
    if (there) { /* without a late one it was done later than was looked at */
        trace->certain = trace->late.there;
    } else {
        trace->late.there = false;
        trace->certain = trace->early.there;
    }
}

struct trace_end trace_end(const struct trace *trace)
{
    return trace->late.there ? trace->late : trace->early;
}
