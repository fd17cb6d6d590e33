#include "share_internal.h"

uint32_t share_ready_wanted(const struct share *share)
{
    uint64_t room = share->config.in_flight_max - share->leased;
    uint64_t wanted = 2 * (share->credit < room ? share->credit : room);

    if (share->credit == 0)
        return 0;
    if (wanted < READY_MIN)
        return READY_MIN;
    return wanted > READY_MAX ? READY_MAX : (uint32_t)wanted;
}

bool share_next_scan(struct share *share, struct share_scan *ret_scan)
{
    uint32_t wanted = share_ready_wanted(share), lanes = lane_count_active(share), aside = lane_count_aside(share), room;

    if (share->scanning || share->states[LANE_READY] >= wanted || lanes >= share->config.lanes_max ||
        aside >= share->config.aside_max)
        return false;
    share->scanning = true;
    /* Each record may need a lane. */
    room = share->config.lanes_max - lanes;
    if (room > share->config.aside_max - aside)
        room = share->config.aside_max - aside;
    share->scan_room = room < wanted ? room : wanted;
    *ret_scan = (struct share_scan){.from = share->scan, .records_max = share->scan_room};
    return true;
}

/* A record whose key is waiting already: behind the others of its lane, or where a search will find it. */
static void join(struct share *share, struct lane *lane, const struct share_record *record)
{
    if (lane->more) {
        struct share_slot *slot = lane->slot != 0 ? &share->search.slots[lane->slot - 1] : NULL;

        if (slot && !slot->passed) {
            slot->passed = true;
            slot->passed_at = record->place;
        }
    } else if (lane->count >= lane_room(share)) {
        lane->more = true;
        lane->beyond = record->place;
    } else {
        lane_append(share, lane, record);
        if (lane->state != LANE_EMPTY)
            return;
        lane_settle_down(share, lane);
        lane_mark_dirty(share, lane);
    }
}

/* A record whose lane was restored from a save that the scan place did not outlive: what is below the lane's place is done. */
static void meet(struct share *share, struct lane *lane, const struct share_record *record)
{
    if (lane->count > 0 && place_equal(record->place, record_place(&lane->first))) {
        lane->first.bytes = record->bytes;
        lane->first.expires_at_ns = record->expires_at_ns;
        lane_settle_down(share, lane);
    } else if (!place_before(record->place, lane->beyond) || CANARY_SHARE_AGAIN_BELOW) {
        lane_append(share, lane, record);
        lane_settle_down(share, lane);
    }
}

/* Every record with a time to be delivered at stands aside, though that may have come: so it can be told from the record alone that
 * it is no part of its key's lane, also by a later search, and after a restart. */
static void take(struct share *share, const struct share_record *record)
{
    bool aside = record->deliver_at_ns != 0;
    struct lane *lane = share->states[LANE_AHEAD] > 0 ? lane_of_place(share, record->place) : NULL;

    if (!lane && !aside && record->key != 0)
        lane = lane_of_key(share, record->key);
    if (lane && lane->state == LANE_AHEAD) {
        meet(share, lane, record);
    } else if (lane) {
        join(share, lane, record);
    } else if (aside) {
        lane_settle_down(share, lane_put_aside(share, record, CANARY_SHARE_ASIDE_EARLY ? 0 : record->deliver_at_ns));
    } else {
        lane = lane_create(share, record->key, record->place, false);
        lane_append(share, lane, record);
        lane_set_ready(share, lane, false);
        lane_mark_dirty(share, lane);
    }
}

/* Lanes whose own record the scan passed over: the log cannot read it. Those that know a record give it out, whoever fetches it
 * will see; of the others nothing is left. */
static void wake_passed(struct share *share)
{
    while (share->ahead.count > 0 && (uint64_t)share->ahead.nodes[0].at < share->scan.position)
        lane_settle_down(share, lane_at(share, share->ahead.nodes[0].lane));
}

bool share_scanned(struct share *share, const struct share_record *records, size_t count, struct place next)
{
    CORE_INVARIANT(share->scanning && !place_before(next, share->scan));
    share->scanning = false;
    share->scan_room = 0;
    if (!lane_reserve(share, count, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        CORE_INVARIANT(!place_before(records[i].place, share->scan) && place_before(records[i].place, next));
        take(share, &records[i]);
    }
    share->scan = next;
    wake_passed(share);
    return true;
}

void share_scan_failed(struct share *share)
{
    share->scanning = false;
    share->scan_room = 0;
}
