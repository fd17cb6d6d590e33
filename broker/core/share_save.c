#include "share_internal.h"

/* Why a crash between two blocks of one save loses nothing. Deltas become durable in the order they were given, so what survives is
 * all of the saves before, and the first lanes of this one; the scan place C is then the one of the save before.
 *
 *   A lane's place P only grows, and all records of its key below P are resolved when it is written. So
 *   - P below C: exactly what is resolved is no more said to be unresolved.
 *   - P at or above C: the records of the key from C to P are scanned again and passed over (LANE_AHEAD); from P on they are taken.
 *     A record without a key is met by its place and keeps its attempts.
 *   - gone: what the key had below C is resolved. What it had from C on is scanned and given out again, in order: nobody was told
 *     that it is settled, since settlements are answered when the whole save is on disk.
 *   - not there, and nothing before: the lane is above C, and scanned again.
 *
 * The same makes a save that failed in the middle harmless, whether or not its deltas were written. */

static struct delta lane_delta(const struct lane *lane, uint32_t subscription)
{
    bool gone = lane->state == LANE_GONE;
    struct delta delta = {.kind = DELTA_LANE, .lane = {.gone = gone}};

    delta.lane.row.subscription_id = subscription;
    delta.lane.row.key = lane->key;
    if (gone) {
        if (lane->key == 0)
            delta.lane.row.place = record_place(&lane->first);
        return delta;
    }
    delta.lane.row.place = lane_place(lane);
    delta.lane.row.attempts = lane->attempts;
    delta.lane.row.dead = lane->dead;
    delta.lane.row.not_before_ns = lane->not_before_ns;
    delta.lane.row.first_failed_ns = lane->first_failed_ns;
    delta.lane.row.last_failed_ns = lane->last_failed_ns;
    return delta;
}

bool share_unsaved(const struct share *share)
{
    return share->unsaved;
}

static bool put_lanes(struct share *share, uint32_t subscription, bool (*put)(void *context, const struct delta *delta),
                      void *context)
{
    for (uint32_t at = share->dirty.first; at != 0;) {
        struct lane *lane = lane_at(share, at - 1);
        struct delta delta = lane_delta(lane, subscription);

        at = lane->links[LINK_DIRTY].next;
        if (CANARY_SHARE_LOST_LEASE && lane->state == LANE_LEASED && !lane->saved)
            continue;
        if (!put(context, &delta))
            return false;
        lane->saved = true; /* even if the save fails: the row may come to be on disk, and must then be taken back */
    }
    return true;
}

static bool put_cursor(const struct share *share, uint32_t subscription, bool (*put)(void *context, const struct delta *delta),
                       void *context)
{
    struct delta delta = {
        .kind = DELTA_CURSOR,
        .cursor = {
            .subscription_id = subscription, .place = share->scan, .acknowledged = share->acknowledged, .dead = share->buried}};

    return put(context, &delta);
}

bool share_save(struct share *share, uint32_t subscription, bool (*put)(void *context, const struct delta *delta), void *context)
{
    if (!share->unsaved && share->dirty.first == 0 && place_equal(share->scan, share->saved_scan))
        return true;
    if (CANARY_SHARE_CURSOR_FIRST && !put_cursor(share, subscription, put, context))
        return false;
    if (!put_lanes(share, subscription, put, context))
        return false;
    if (!CANARY_SHARE_CURSOR_FIRST && !put_cursor(share, subscription, put, context))
        return false;
    while (share->dirty.first != 0)
        lane_mark_saved(share, lane_at(share, share->dirty.first - 1));
    share->saved_scan = share->scan;
    share->unsaved = false;
    return true;
}
