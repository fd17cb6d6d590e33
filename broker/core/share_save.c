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
 * A lane aside stands for its one record, and what a key's P says is not said of it: a record with a time to be delivered at never
 * is in its key's lane, whoever looks, and one that is given again had been resolved, so that P is above it. Its row
 *   - below C: is all there is to know.
 *   - at or above C: the record is scanned again and met by its place (LANE_AHEAD). Until then it must wait: if it were resolved
 *     before the scan place is saved above it, nothing would say so.
 *   - gone, or not there: below C it is resolved; from C on it is scanned and stands aside again.
 * What had been given again, and its row did not survive, is resolved as it was before: so whoever says in the log that it is given
 * again says it in the same block.
 *
 * Of a key more than one lane may come back with failed attempts: one that was resolved is not yet said to be, and the next one had
 * its turn already. They take turns then (share_turn.c).
 *
 * The same makes a save that failed in the middle harmless, whether or not its deltas were written. */

static bool is_gone(const struct lane *lane)
{
    return lane->state == LANE_GONE || lane->state == LANE_EMPTY;
}

static struct lane_row lane_row(const struct lane *lane, uint32_t subscription)
{
    bool single = lane_is_single(lane), gone = is_gone(lane);

    if (gone)
        return (struct lane_row){.subscription_id = subscription,
                                 .key = lane->key,
                                 .aside = lane->aside,
                                 .place = single ? record_place(&lane->first) : (struct place){0, 0}};
    return (struct lane_row){.subscription_id = subscription,
                             .key = lane->key,
                             .aside = lane->aside,
                             .place = lane_place(lane),
                             .attempts = lane->attempts,
                             .dead = lane->dead,
                             .not_before_ns = lane->not_before_ns,
                             .first_failed_ns = lane->first_failed_ns,
                             .last_failed_ns = lane->last_failed_ns,
                             /* what a search finds again tells it itself */
                             .expires_at_ns = single || lane_has_failed(lane) ? lane->first.expires_at_ns : 0};
}

bool share_unsaved(const struct share *share)
{
    return share->unsaved;
}

static bool put_lanes(struct share *share, uint32_t subscription, bool (*put)(void *context, const struct delta *delta),
                      void *context)
{
    struct delta delta = {.kind = DELTA_LANE};

    for (uint32_t at = share->dirty.first; at != 0;) {
        struct lane *lane = lane_at(share, at - 1);

        at = lane->links[LINK_DIRTY].next;
        if (is_gone(lane) && !lane->saved)
            continue;
        if (CANARY_SHARE_LOST_LEASE && lane->state == LANE_LEASED && !lane->saved)
            continue;
        if (CANARY_SHARE_ASIDE_LOST && lane->aside && lane->state == LANE_DELAYED)
            continue;
        delta.lane = (struct delta_lane){.gone = is_gone(lane), .row = lane_row(lane, subscription)};
        if (!put(context, &delta))
            return false;
        lane->saved = true; /* even if the save fails: the row may come to be on disk, and must then be taken back */
    }
    return true;
}

static bool put_cursor(const struct share *share, uint32_t subscription, bool (*put)(void *context, const struct delta *delta),
                       void *context)
{
    struct delta delta = {.kind = DELTA_CURSOR,
                          .cursor = {.subscription_id = subscription,
                                     .place = share->scan,
                                     .acknowledged = share->acknowledged,
                                     .dead = share->buried,
                                     .expired = share->expired}};

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
