#include "share_internal.h"

/* --- giving out ----------------------------------------------------------------------------------------------------------------
 */

/* Into log order (Shell's method: mostly they are already). */
static void sort_by_place(struct lane **lanes, uint32_t count)
{
    static const uint32_t gaps[] = {132, 57, 23, 10, 4, 1};

    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        for (uint32_t j = gaps[i]; j < count; j++) {
            struct lane *lane = lanes[j];
            struct place place = lane_place(lane);
            uint32_t hole = j;

            for (; hole >= gaps[i] && place_before(place, lane_place(lanes[hole - gaps[i]])); hole -= gaps[i])
                lanes[hole] = lanes[hole - gaps[i]];
            lanes[hole] = lane;
        }
    }
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

size_t share_grant(struct share *share, int64_t now_ns, struct share_lease *leases, size_t max, uint64_t *ret_worker)
{
    struct lane *lanes[GRANT_RECORDS_MAX];
    int64_t until_ns = time_after(now_ns, share->config.ack_wait_ns);
    uint32_t count = max < GRANT_RECORDS_MAX ? (uint32_t)max : GRANT_RECORDS_MAX, next = share->ready.first;
    struct worker *worker;

    if (share->wanting.first == 0)
        return 0;
    worker = pool_at(&share->workers, share->wanting.first - 1);
    count = least(count, worker->credit);
    count = least(count, share->states[LANE_READY]);
    count = least(count, share->config.in_flight_max - share->states[LANE_LEASED]);
    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        lanes[i] = lane_at(share, next - 1);
        next = lanes[i]->links[LINK_TURN].next;
    }
    sort_by_place(lanes, count);
    for (uint32_t i = 0; i < count; i++) {
        struct lane *lane = lanes[i];

        lane_set_leased(share, lane, worker, until_ns);
        leases[i] = (struct share_lease){
            .lease = lane->lease, .record = {lane_place(lane), lane->first.bytes, lane->key}, .attempt = lane->attempts + 1};
    }
    share_turn_remove(share, worker);
    worker->credit -= count;
    share->credit -= count;
    if (worker->credit > 0)
        share_turn_add(share, worker);
    *ret_worker = worker->number;
    return count;
}

/* --- settling ------------------------------------------------------------------------------------------------------------------
 */

static struct lane *find_lease(const struct share *share, uint64_t lease)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&share->leases, table_mix(lease)); table_next(&share->leases, &probe, &index);) {
        struct lane *lane = lane_at(share, index);

        if (lane->lease == lease)
            return lane;
    }
    return NULL;
}

/* The first record goes behind the second. */
static void overtake(struct share *share, struct lane *lane)
{
    struct lane_record first = lane->first;

    if (!CANARY_SHARE_OVERTAKE || lane->count < 2)
        return;
    lane->first = ((struct lane_rest *)pool_at(&share->rests, lane->rest.first - 1))->record;
    ((struct lane_rest *)pool_at(&share->rests, lane->rest.first - 1))->record = first;
}

static void count_attempt(struct share *share, struct lane *lane, int64_t now_ns)
{
    if (lane->attempts == 0)
        lane->first_failed_ns = now_ns;
    lane->last_failed_ns = now_ns;
    if (lane->attempts < UINT32_MAX - 1)
        lane->attempts++;
    lane_mark_dirty(share, lane);
    share->unsaved = true;
}

/* A delivery came to nothing. delay_ns: 0: the back-off. */
static void fail(struct share *share, struct lane *lane, int64_t delay_ns, int64_t now_ns)
{
    const struct share_config *config = &share->config;

    count_attempt(share, lane, now_ns);
    overtake(share, lane);
    if (config->attempts_max != 0 && lane->attempts >= config->attempts_max) {
        lane_set_dead(share, lane, DEAD_ATTEMPTS);
        return;
    }
    if (delay_ns == 0 && config->backoff_count > 0)
        delay_ns = config->backoff_ns[least(lane->attempts, config->backoff_count) - 1];
    if (delay_ns == 0 || CANARY_SHARE_FORGET_DELAY) {
        lane->not_before_ns = 0;
        lane_set_ready(share, lane, false);
        return;
    }
    lane->not_before_ns = time_after(now_ns, delay_ns);
    lane_set_delayed(share, lane);
}

static void give_back(struct share *share, struct lane *lane)
{
    if (CANARY_SHARE_LEAK_CREDIT)
        share_credit(share, ((struct worker *)pool_at(&share->workers, lane->worker))->number, 1);
    lane_set_ready(share, lane, true);
}

bool share_settle(struct share *share, uint64_t number, uint64_t lease, enum share_outcome outcome, int64_t delay_ns,
                  int64_t now_ns)
{
    struct worker *worker = share_worker(share, number);
    struct lane *lane = find_lease(share, lease);

    if (!worker || !lane || (lane->worker != worker->index && !CANARY_SHARE_STALE_SETTLE))
        return false;
    switch (outcome) {
    case SHARE_ACK:
        share->acknowledged++;
        share->unsaved = true;
        lane_resolve(share, lane);
        break;
    case SHARE_NACK:
        fail(share, lane, delay_ns, now_ns);
        break;
    case SHARE_REJECT:
        count_attempt(share, lane, now_ns);
        lane_set_dead(share, lane, DEAD_REJECTED);
        break;
    case SHARE_DAMAGED:
        lane_mark_dirty(share, lane);
        share->unsaved = true;
        lane_set_dead(share, lane, DEAD_DAMAGED);
        break;
    case SHARE_RETURN:
        give_back(share, lane);
        break;
    case SHARE_EXTEND:
        lane_heap_move(share, &share->due, lane, time_after(now_ns, delay_ns != 0 ? delay_ns : share->config.ack_wait_ns));
        break;
    }
    return true;
}

void share_drop_leases(struct share *share, struct worker *worker, bool counted, int64_t now_ns)
{
    /* Those returned go to the front one by one: the last one first, so that they stand there as they were given out. */
    while (worker->leased.first != 0) {
        if (counted)
            fail(share, lane_at(share, worker->leased.first - 1), 0, now_ns);
        else
            lane_set_ready(share, lane_at(share, worker->leased.last - 1), true);
    }
}

/* --- time ----------------------------------------------------------------------------------------------------------------------
 */

int64_t share_due_ns(const struct share *share)
{
    return share->due.count > 0 ? share->due.nodes[0].at : INT64_MAX;
}

void share_tick(struct share *share, int64_t now_ns)
{
    while (share->due.count > 0 && share->due.nodes[0].at <= now_ns) {
        struct lane *lane = lane_at(share, share->due.nodes[0].lane);

        if (lane->state == LANE_LEASED)
            fail(share, lane, 0, now_ns);
        else
            lane_set_ready(share, lane, false);
    }
}

/* --- the dead ------------------------------------------------------------------------------------------------------------------
 */

bool share_next_dead(const struct share *share, struct share_dead *ret_dead)
{
    const struct lane *lane;

    if (share->dead_lanes.first == 0)
        return false;
    lane = lane_at(share, share->dead_lanes.first - 1);
    *ret_dead = (struct share_dead){.place = lane_place(lane),
                                    .attempts = lane->attempts,
                                    .reason = (enum dead_reason)lane->dead,
                                    .first_failed_ns = lane->first_failed_ns,
                                    .last_failed_ns = lane->last_failed_ns};
    return true;
}

void share_bury(struct share *share)
{
    struct lane *lane;

    CORE_INVARIANT(share->dead_lanes.first != 0);
    lane = lane_at(share, share->dead_lanes.first - 1);
    share->buried++;
    share->unsaved = true;
    if (CANARY_SHARE_DOUBLE_DEAD)
        lane->saved = false;
    lane_resolve(share, lane);
}
