#include "share_internal.h"

bool lane_reserve(struct share *share, size_t lanes, size_t records)
{
    uint64_t total = (uint64_t)lane_count(share) + lanes;
    uint64_t leases = total < share->config.in_flight_max ? total : share->config.in_flight_max;

    if (total >= UINT32_MAX || !table_reserve(&share->lanes_by_key, (uint32_t)lanes))
        return false;
    if (leases > share->leases.count && !table_reserve(&share->leases, (uint32_t)leases - share->leases.count))
        return false;
    return lane_heap_reserve(&share->due, (uint32_t)total) && pool_reserve(&share->lanes, lanes) &&
           pool_reserve(&share->rests, records);
}

/* --- finding -------------------------------------------------------------------------------------------------------------------
 */

static uint64_t hash_of(uint64_t key, struct place place)
{
    return key != 0 ? table_mix(key) : table_mix(place.position * 0x9e3779b97f4a7c15u + place.index);
}

struct lane *lane_find(const struct share *share, uint64_t key, struct place place)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&share->lanes_by_key, hash_of(key, place));
         table_next(&share->lanes_by_key, &probe, &index);) {
        struct lane *lane = lane_at(share, index);

        if (lane->key == key && (key != 0 || place_equal(lane_place(lane), place)))
            return lane;
    }
    return NULL;
}

struct lane *lane_create(struct share *share, uint64_t key, struct place place, bool tabled)
{
    uint32_t index;
    struct lane *lane = pool_take(&share->lanes, &index);

    CORE_INVARIANT(lane);
    lane->key = key;
    lane->index = index;
    lane->beyond = place;
    lane->tabled = tabled;
    if (tabled)
        table_add(&share->lanes_by_key, hash_of(key, place), index);
    return lane;
}

/* --- lists ---------------------------------------------------------------------------------------------------------------------
 */

void lane_list_add(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane, bool front)
{
    uint32_t previous = front ? 0 : list->last, next = front ? list->first : 0;

    lane->links[link].previous = previous;
    lane->links[link].next = next;
    if (previous)
        lane_at(share, previous - 1)->links[link].next = lane->index + 1;
    else
        list->first = lane->index + 1;
    if (next)
        lane_at(share, next - 1)->links[link].previous = lane->index + 1;
    else
        list->last = lane->index + 1;
}

void lane_list_remove(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane)
{
    uint32_t previous = lane->links[link].previous, next = lane->links[link].next;

    if (previous)
        lane_at(share, previous - 1)->links[link].next = next;
    else
        list->first = next;
    if (next)
        lane_at(share, next - 1)->links[link].previous = previous;
    else
        list->last = previous;
    lane->links[link].previous = lane->links[link].next = 0;
}

void lane_mark_dirty(struct share *share, struct lane *lane)
{
    if (lane->dirty)
        return;
    lane->dirty = true;
    lane_list_add(share, &share->dirty, LINK_DIRTY, lane, false);
}

static void unmark_dirty(struct share *share, struct lane *lane)
{
    if (!lane->dirty)
        return;
    lane->dirty = false;
    lane_list_remove(share, &share->dirty, LINK_DIRTY, lane);
}

void lane_mark_saved(struct share *share, struct lane *lane)
{
    unmark_dirty(share, lane);
    if (lane->state == LANE_GONE) {
        share->states[LANE_GONE]--;
        pool_give(&share->lanes, lane->index);
    }
}

void lane_feed(struct share *share, struct lane *lane)
{
    if (!lane->more || lane->hungry || lane->slot != 0 || lane->count > lane_room(share) / 4)
        return;
    lane->hungry = true;
    lane_list_add(share, &share->hungry, LINK_HUNGRY, lane, false);
}

/* --- records -------------------------------------------------------------------------------------------------------------------
 */

void lane_append(struct share *share, struct lane *lane, struct place place, uint32_t bytes)
{
    struct lane_record record = {place.position, place.index, bytes};
    struct lane_rest *rest;
    uint32_t index;

    if (lane->count++ == 0) {
        lane->first = record;
        return;
    }
    rest = pool_take(&share->rests, &index);
    CORE_INVARIANT(rest);
    rest->record = record;
    if (lane->rest.last)
        ((struct lane_rest *)pool_at(&share->rests, lane->rest.last - 1))->next = index + 1;
    else
        lane->rest.first = index + 1;
    lane->rest.last = index + 1;
}

/* Drops the first record. */
static void pop(struct share *share, struct lane *lane)
{
    uint32_t index = lane->rest.first - 1;
    struct lane_rest *rest;

    CORE_INVARIANT(lane->count > 0);
    lane->attempts = 0;
    lane->not_before_ns = lane->first_failed_ns = lane->last_failed_ns = 0;
    lane->dead = 0;
    if (--lane->count == 0)
        return;
    rest = pool_at(&share->rests, index);
    lane->first = rest->record;
    lane->rest.first = rest->next;
    if (lane->rest.first == 0)
        lane->rest.last = 0;
    pool_give(&share->rests, index);
}

/* --- states --------------------------------------------------------------------------------------------------------------------
 */

static void enter(struct share *share, struct lane *lane, enum lane_state state)
{
    struct worker *worker;

    switch ((enum lane_state)lane->state) {
    case LANE_AHEAD:
        lane_heap_remove(share, &share->ahead, lane);
        break;
    case LANE_READY:
        lane_list_remove(share, &share->ready, LINK_TURN, lane);
        break;
    case LANE_LEASED:
        worker = pool_at(&share->workers, lane->worker);
        lane_heap_remove(share, &share->due, lane);
        lane_list_remove(share, &worker->leased, LINK_TURN, lane);
        table_remove(&share->leases, table_mix(lane->lease), lane->index);
        break;
    case LANE_DELAYED:
        lane_heap_remove(share, &share->due, lane);
        break;
    case LANE_DEAD:
        lane_list_remove(share, &share->dead_lanes, LINK_TURN, lane);
        break;
    case LANE_FREE:
    case LANE_SEARCHING:
        break;
    case LANE_GONE:
    case LANE_STATES:
        CORE_INVARIANT(false);
    }
    if (lane->state != LANE_FREE)
        share->states[lane->state]--;
    lane->state = (uint8_t)state;
    share->states[state]++;
}

void lane_set_ahead(struct share *share, struct lane *lane)
{
    uint64_t position = lane_place(lane).position;

    enter(share, lane, LANE_AHEAD);
    lane_heap_add(share, &share->ahead, lane, position > INT64_MAX ? INT64_MAX : (int64_t)position);
}

void lane_set_ready(struct share *share, struct lane *lane, bool front)
{
    CORE_INVARIANT(lane->count > 0);
    enter(share, lane, LANE_READY);
    lane_list_add(share, &share->ready, LINK_TURN, lane, front);
}

void lane_set_leased(struct share *share, struct lane *lane, struct worker *worker, int64_t until_ns)
{
    CORE_INVARIANT(lane->state == LANE_READY && lane->count > 0);
    enter(share, lane, LANE_LEASED);
    lane->lease = ++share->last_lease;
    lane->worker = worker->index;
    table_add(&share->leases, table_mix(lane->lease), lane->index);
    lane_list_add(share, &worker->leased, LINK_TURN, lane, false);
    lane_heap_add(share, &share->due, lane, until_ns);
}

void lane_set_delayed(struct share *share, struct lane *lane)
{
    CORE_INVARIANT(lane->count > 0);
    enter(share, lane, LANE_DELAYED);
    lane_heap_add(share, &share->due, lane, lane->not_before_ns);
}

void lane_set_dead(struct share *share, struct lane *lane, enum dead_reason reason)
{
    CORE_INVARIANT(lane->count > 0);
    enter(share, lane, LANE_DEAD);
    lane->dead = (uint8_t)reason;
    lane_list_add(share, &share->dead_lanes, LINK_TURN, lane, false);
}

/* Nothing of it is unresolved. What is on disk of it must be taken back; else it can be forgotten at once. */
static void end(struct share *share, struct lane *lane)
{
    CORE_INVARIANT(lane->count == 0 && !lane->more && !lane->hungry && lane->slot == 0);
    if (lane->tabled)
        table_remove(&share->lanes_by_key, hash_of(lane->key, record_place(&lane->first)), lane->index);
    enter(share, lane, LANE_GONE);
    if (lane->saved) {
        lane_mark_dirty(share, lane);
        return;
    }
    lane_mark_saved(share, lane);
}

void lane_settle_down(struct share *share, struct lane *lane)
{
    if (lane->count > 0 && lane->dead)
        lane_set_dead(share, lane, (enum dead_reason)lane->dead);
    else if (lane->count > 0 && lane->not_before_ns > 0)
        lane_set_delayed(share, lane);
    else if (lane->count > 0)
        lane_set_ready(share, lane, false);
    else if (lane->more)
        enter(share, lane, LANE_SEARCHING);
    else {
        end(share, lane);
        return;
    }
    lane_feed(share, lane);
}

void lane_resolve(struct share *share, struct lane *lane)
{
    pop(share, lane);
    lane_mark_dirty(share, lane);
    lane_settle_down(share, lane);
}
