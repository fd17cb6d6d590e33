#include "share_internal.h"

bool lane_reserve(struct share *share, size_t lanes, size_t records)
{
    /* Each lane aside, new or not, may yet need the lane of its key. */
    uint64_t new_lanes = 2 * (uint64_t)lanes + share->aside, total = share->lanes.used + new_lanes;
    uint64_t leases = total + share->rests.used + records;

    if (leases > share->config.in_flight_max)
        leases = share->config.in_flight_max;
    if (total >= UINT32_MAX || !table_reserve(&share->lanes_by_name, (uint32_t)new_lanes))
        return false;
    if (leases > share->leases.count && !table_reserve(&share->leases, (uint32_t)leases - share->leases.count))
        return false;
    return lane_heap_reserve(&share->due, (uint32_t)total) && pool_reserve(&share->lanes, new_lanes) &&
           pool_reserve(&share->rests, records);
}

/* --- finding -------------------------------------------------------------------------------------------------------------------
 */

static uint64_t place_hash(struct place place)
{
    return table_mix(place.position * 0x9e3779b97f4a7c15u + place.index);
}

struct lane *lane_of_key(const struct share *share, uint64_t key)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&share->lanes_by_name, table_mix(key));
         table_next(&share->lanes_by_name, &probe, &index);) {
        struct lane *lane = lane_at(share, index);

        if (lane->key == key && !lane_is_single(lane))
            return lane;
    }
    return NULL;
}

struct lane *lane_of_place(const struct share *share, struct place place)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&share->lanes_by_name, place_hash(place));
         table_next(&share->lanes_by_name, &probe, &index);) {
        struct lane *lane = lane_at(share, index);

        if (lane_is_single(lane) && place_equal(record_place(&lane->first), place))
            return lane;
    }
    return NULL;
}

static uint64_t name_hash(const struct lane *lane)
{
    return lane_is_single(lane) ? place_hash(record_place(&lane->first)) : table_mix(lane->key);
}

struct lane *lane_create(struct share *share, uint64_t key, struct place place, bool aside)
{
    uint32_t index;
    struct lane *lane = pool_take(&share->lanes, &index);

    CORE_INVARIANT(lane);
    lane->key = key;
    lane->index = index;
    lane->aside = aside;
    lane->first.position = place.position;
    lane->first.index = place.index;
    lane->beyond = place;
    share->aside += aside;
    table_add(&share->lanes_by_name, name_hash(lane), index);
    return lane;
}

struct lane *lane_put_aside(struct share *share, const struct share_record *record, int64_t not_before_ns)
{
    struct lane *lane = lane_create(share, record->key, record->place, true);

    lane_append(share, lane, record);
    lane->not_before_ns = not_before_ns;
    lane_mark_dirty(share, lane);
    return lane;
}

void lane_mark_saved(struct share *share, struct lane *lane)
{
    lane_unmark_dirty(share, lane);
    if (lane->state == LANE_EMPTY)
        lane->saved = false;
    if (lane->state != LANE_GONE)
        return;
    share->states[LANE_GONE]--;
    pool_give(&share->lanes, lane->index);
}

/* --- records -------------------------------------------------------------------------------------------------------------------
 */

static struct lane_rest *rest_at(const struct share *share, uint32_t number)
{
    return pool_at(&share->rests, number - 1);
}

void lane_append(struct share *share, struct lane *lane, const struct share_record *record)
{
    struct lane_record kept = {record->place.position, record->place.index, record->bytes, record->expires_at_ns};
    struct lane_rest *rest;
    uint32_t index;

    if (lane->count++ == 0) {
        lane->first = kept;
        return;
    }
    rest = pool_take(&share->rests, &index);
    CORE_INVARIANT(rest);
    rest->record = kept;
    if (lane->rest.last)
        rest_at(share, lane->rest.last)->next = index + 1;
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

/* --- runs ----------------------------------------------------------------------------------------------------------------------
 */

void lane_shorten_run(struct share *share, struct lane *lane, uint32_t kept)
{
    uint64_t lease = lane->lease;
    uint32_t at = lane->rest.first;

    for (uint32_t i = 0; i < lane->run; i++) {
        if (i > 0) {
            const struct lane_rest *rest = rest_at(share, at);

            lease += rest->lease_step;
            at = rest->next;
        }
        if (i >= kept)
            table_remove(&share->leases, table_mix(lease), lane->index);
    }
    share->leased -= lane->run - kept;
    lane->run = (uint8_t)kept;
}

void lane_advance(struct share *share, struct lane *lane, int64_t until_ns)
{
    uint32_t step = rest_at(share, lane->rest.first)->lease_step;

    CORE_INVARIANT(lane->run > 1);
    table_remove(&share->leases, table_mix(lane->lease), lane->index);
    share->leased--;
    lane->run--;
    lane->lease += step;
    pop(share, lane);
    lane_heap_move(share, &share->due, lane, until_ns);
    lane_mark_dirty(share, lane);
    lane_feed(share, lane);
}

/* --- states --------------------------------------------------------------------------------------------------------------------
 */

static void enter(struct share *share, struct lane *lane, enum lane_state state)
{
    struct worker *worker;

    switch ((enum lane_state)lane->state) {
    case LANE_AHEAD:
        lane_heap_remove(share, &share->ahead, lane);
        share->aside_ahead -= lane->aside;
        break;
    case LANE_READY:
        lane_list_remove(share, &share->ready, LINK_TURN, lane);
        break;
    case LANE_LEASED:
        worker = pool_at(&share->workers, lane->worker);
        lane_shorten_run(share, lane, 0);
        lane_heap_remove(share, &share->due, lane);
        lane_list_remove(share, &worker->leased, LINK_TURN, lane);
        break;
    case LANE_DELAYED:
        lane_heap_remove(share, &share->due, lane);
        break;
    case LANE_DEAD:
        lane_list_remove(share, &share->dead_lanes, LINK_TURN, lane);
        break;
    case LANE_FREE:
    case LANE_SEARCHING:
    case LANE_EMPTY:
    case LANE_WAITING:
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
    share->aside_ahead += lane->aside;
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
    lane->worker = worker->index;
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

void lane_set_waiting(struct share *share, struct lane *lane)
{
    CORE_INVARIANT(lane->count > 0);
    enter(share, lane, LANE_WAITING);
}

void lane_set_empty(struct share *share, struct lane *lane)
{
    CORE_INVARIANT(lane->count == 0 && !lane->more && !lane_is_single(lane));
    enter(share, lane, LANE_EMPTY);
}

/* Nothing of it is unresolved. What is on disk of it must be taken back; else it can be forgotten at once. */
static void end(struct share *share, struct lane *lane)
{
    CORE_INVARIANT(lane->count == 0 && !lane->more && !lane->hungry && lane->slot == 0);
    table_remove(&share->lanes_by_name, name_hash(lane), lane->index);
    enter(share, lane, LANE_GONE);
    share->aside -= lane->aside;
    if (lane->saved) {
        lane_mark_dirty(share, lane);
        return;
    }
    lane_mark_saved(share, lane);
}

void lane_go_on(struct share *share, struct lane *lane)
{
    if (lane->dead)
        lane_set_dead(share, lane, (enum dead_reason)lane->dead);
    else if (lane_is_early(share, lane))
        lane_set_delayed(share, lane);
    else
        lane_set_ready(share, lane, false);
}

void lane_settle_down(struct share *share, struct lane *lane)
{
    bool turns = !lane->aside && (lane->at_work || lane->asking);

    if (lane->count == 0 && lane->more)
        enter(share, lane, LANE_SEARCHING);
    else if (lane->count == 0 && turns)
        lane_set_empty(share, lane);
    else if (lane->count == 0) {
        end(share, lane);
        return;
    } else if (lane->aside && !lane_has_failed(lane) && lane_is_early(share, lane))
        lane_set_delayed(share, lane); /* it lets others pass until then */
    else if (lane->aside && lane->key != 0)
        turn_ask(share, lane);
    else if (lane->at_work)
        lane_set_waiting(share, lane);
    else
        lane_go_on(share, lane);
    lane_feed(share, lane);
    if (turns)
        turn_review(share, lane);
}

void lane_resolve(struct share *share, struct lane *lane)
{
    struct lane *plain = lane->aside && lane->asking ? lane_at(share, lane->asking - 1) : NULL;

    pop(share, lane);
    lane_mark_dirty(share, lane);
    lane_settle_down(share, lane);
    if (plain)
        turn_end(share, plain);
}
