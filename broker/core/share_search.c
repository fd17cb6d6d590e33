#include "share_internal.h"

/* What is searched together. A search costs what lies between the lowest place and the scan place, so a lane that stands far behind
 * is searched with others that stand about as far, and those near the head are not made to wait for it: distances within a
 * group differ by a factor of two at most each way from the first one's. Groups take turns: whoever was not finished goes to the
 * end. */
enum { SEARCH_RECORDS_MAX = 4096, CANDIDATES_MAX = 4 * SEARCH_KEYS_MAX, NEAR_POSITIONS = 256 };

static uint64_t distance(const struct share *share, const struct lane *lane)
{
    return share->scan.position - lane->beyond.position + NEAR_POSITIONS;
}

/* Sorts slots by their lanes' keys (Shell's method). */
static void sort_by_key(const struct share *share, struct share_slot *slots, uint32_t count)
{
    static const uint32_t gaps[] = {132, 57, 23, 10, 4, 1};

    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        for (uint32_t j = gaps[i]; j < count; j++) {
            struct share_slot slot = slots[j];
            uint64_t key = lane_at(share, slot.lane)->key;
            uint32_t hole = j;

            for (; hole >= gaps[i] && lane_at(share, slots[hole - gaps[i]].lane)->key > key; hole -= gaps[i])
                slots[hole] = slots[hole - gaps[i]];
            slots[hole] = slot;
        }
    }
}

/* Fills the slots from the hungry lanes that are near the first one. */
static void choose(struct share *share)
{
    struct lane *lane = lane_at(share, share->hungry.first - 1);
    uint64_t about = distance(share, lane);

    share->search.count = 0;
    for (uint32_t seen = 0; seen < CANDIDATES_MAX && share->search.count < SEARCH_KEYS_MAX; seen++) {
        uint32_t next = lane->links[LINK_HUNGRY].next;

        if (distance(share, lane) <= 2 * about && distance(share, lane) >= about / 2) {
            lane_list_remove(share, &share->hungry, LINK_HUNGRY, lane);
            lane->hungry = false;
            share->search.slots[share->search.count++] = (struct share_slot){.lane = lane->index};
        }
        if (next == 0)
            break;
        lane = lane_at(share, next - 1);
    }
    sort_by_key(share, share->search.slots, share->search.count);
}

bool share_next_search(struct share *share, struct share_scan *ret_scan)
{
    struct share_scan scan = {.until = share->scan, .from = share->scan};
    uint32_t room = lane_room(share);

    if (share->search.under_way || share->hungry.first == 0 || share->states[LANE_READY] >= share_ready_wanted(share))
        return false;
    choose(share);
    for (uint32_t i = 0; i < share->search.count; i++) {
        struct lane *lane = lane_at(share, share->search.slots[i].lane);

        lane->slot = (uint16_t)(i + 1);
        share->search.keys[i] = lane->key;
        scan.records_max += room > lane->count ? room - lane->count : 1;
        if (place_before(lane->beyond, scan.from))
            scan.from = lane->beyond;
    }
    if (scan.records_max > SEARCH_RECORDS_MAX)
        scan.records_max = SEARCH_RECORDS_MAX;
    scan.keys = share->search.keys;
    scan.key_count = share->search.count;
    share->search.until = scan.until;
    share->search.under_way = true;
    *ret_scan = scan;
    return true;
}

static void take(struct share *share, const struct share_record *record)
{
    bool aside = record->deliver_at_ns != 0 && !CANARY_SHARE_SEARCH_ASIDE;
    struct lane *lane = record->key != 0 && !aside ? lane_of_key(share, record->key) : NULL;
    struct share_slot *slot;

    if (!lane || lane->slot == 0 || place_before(record->place, lane->beyond))
        return;
    slot = &share->search.slots[lane->slot - 1];
    if (slot->full)
        return;
    if (lane->count >= lane_room(share)) {
        slot->full = true;
        lane->beyond = record->place;
        return;
    }
    lane_append(share, lane, record);
    if (lane->state == LANE_SEARCHING)
        lane_settle_down(share, lane);
}

/* What a lane knows after everything up to `next` was looked at. */
static void conclude(struct share *share, struct share_slot *slot, struct place next)
{
    struct lane *lane = lane_at(share, slot->lane);

    lane->slot = 0;
    if (!slot->full && !place_before(next, share->search.until)) {
        lane->more = slot->passed && !CANARY_SHARE_FORGET_PASSED;
        lane->beyond = slot->passed ? slot->passed_at : next;
    } else if (!slot->full && place_before(lane->beyond, next)) {
        lane->beyond = next;
    }
    if (lane->state == LANE_SEARCHING)
        lane_settle_down(share, lane);
    else
        lane_feed(share, lane);
}

bool share_found(struct share *share, const struct share_record *records, size_t count, struct place next)
{
    CORE_INVARIANT(share->search.under_way);
    if (!lane_reserve(share, 0, count)) {
        share_search_failed(share);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        take(share, &records[i]);
    share->search.under_way = false;
    for (uint32_t i = 0; i < share->search.count; i++)
        conclude(share, &share->search.slots[i], next);
    return true;
}

void share_search_failed(struct share *share)
{
    CORE_INVARIANT(share->search.under_way);
    share->search.under_way = false;
    for (uint32_t i = 0; i < share->search.count; i++) {
        struct lane *lane = lane_at(share, share->search.slots[i].lane);

        lane->slot = 0;
        lane_feed(share, lane);
    }
}
