#include "share_internal.h"

struct share_counts share_counts(const struct share *share)
{
    struct share_counts counts = {
        .lanes = lane_count(share),
        .ready = share->states[LANE_READY],
        .leased = share->leased,
        .delayed = share->states[LANE_DELAYED],
        .dead = share->states[LANE_DEAD],
        .workers = share->workers.used,
        .aside = share->aside,
        .full = lane_count_active(share) >= share->config.lanes_max || lane_count_aside(share) >= share->config.aside_max,
        .oldest = share->scan,
        .acknowledged = share->acknowledged,
        .buried = share->buried,
        .expired = share->expired,
    };

    for (uint32_t i = 0; i < share->lanes.touched; i++) {
        const struct lane *lane = lane_at(share, i);
        bool unresolved = lane->count > 0 || lane->more || lane->state == LANE_AHEAD;

        if (unresolved && place_before(lane_place(lane), counts.oldest))
            counts.oldest = lane_place(lane);
    }
    return counts;
}

/* --- one record ----------------------------------------------------------------------------------------------------------------
 */

static struct share_look look_at_first(const struct lane *lane)
{
    struct share_look look = {.standing = STANDING_WAITING,
                              .attempts = lane->attempts,
                              .first_failed_ns = lane->first_failed_ns,
                              .last_failed_ns = lane->last_failed_ns};

    if (lane->state == LANE_LEASED)
        look.standing = STANDING_LEASED;
    else if (lane->dead)
        look.standing = STANDING_DEAD;
    else if (lane->state == LANE_DELAYED)
        look.standing = STANDING_DELAYED;
    return look;
}

static enum share_standing standing_behind(const struct share *share, const struct lane *lane, struct place place)
{
    uint32_t number = 1;

    for (uint32_t at = lane->rest.first; at != 0; number++) {
        const struct lane_rest *rest = pool_at(&share->rests, at - 1);

        if (place_equal(record_place(&rest->record), place))
            return number < lane->run ? STANDING_LEASED : STANDING_WAITING;
        at = rest->next;
    }
    return lane->more && !place_before(place, lane->beyond) ? STANDING_WAITING : STANDING_RESOLVED;
}

struct share_look share_look_at(const struct share *share, const struct share_record *record)
{
    const struct lane *lane = lane_of_place(share, record->place);
    bool single = record->key == 0 || record->deliver_at_ns != 0;

    if (!place_before(record->place, share->scan))
        return (struct share_look){.standing = STANDING_AHEAD};
    if (!lane && !single)
        lane = lane_of_key(share, record->key);
    if (!lane)
        return (struct share_look){.standing = STANDING_RESOLVED};
    if (lane->count > 0 && place_equal(record_place(&lane->first), record->place))
        return look_at_first(lane);
    return (struct share_look){.standing = standing_behind(share, lane, record->place)};
}
