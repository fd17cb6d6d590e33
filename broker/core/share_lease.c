#include "share_internal.h"

/* --- settling ------------------------------------------------------------------------------------------------------------------
 */

/* Which record of the lane's run has this lease; its run's length: none. */
static uint32_t find_in_run(const struct share *share, const struct lane *lane, uint64_t lease)
{
    uint64_t at = lane->lease;
    uint32_t i = 0;

    for (uint32_t next = lane->rest.first; i < lane->run && at != lease; i++) {
        if (i + 1 < lane->run) {
            const struct lane_rest *rest = pool_at(&share->rests, next - 1);

            at += rest->lease_step;
            next = rest->next;
        }
    }
    return i;
}

static struct lane *find_lease(const struct share *share, uint64_t lease, uint32_t *ret_number)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&share->leases, table_mix(lease)); table_next(&share->leases, &probe, &index);) {
        struct lane *lane = lane_at(share, index);
        uint32_t number = find_in_run(share, lane, lease);

        if (number < lane->run) {
            *ret_number = number;
            return lane;
        }
    }
    return NULL;
}

bool share_holds(const struct share *share, uint64_t number, uint64_t lease)
{
    const struct worker *worker = share_worker(share, number);
    uint32_t in_run;
    const struct lane *lane = find_lease(share, lease, &in_run);

    return worker && lane && lane->worker == worker->index;
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
    uint32_t tries;

    count_attempt(share, lane, now_ns);
    overtake(share, lane);
    if (config->attempts_max != 0 && lane->attempts >= config->attempts_max) {
        lane_set_dead(share, lane, DEAD_ATTEMPTS);
        return;
    }
    tries = lane->attempts < config->backoff_count ? lane->attempts : config->backoff_count;
    if (delay_ns == 0 && tries > 0)
        delay_ns = config->backoff_ns[tries - 1];
    if (delay_ns == 0 || CANARY_SHARE_FORGET_DELAY) {
        lane->not_before_ns = 0;
        lane_set_ready(share, lane, false);
        return;
    }
    lane->not_before_ns = time_after(now_ns, delay_ns);
    lane_set_delayed(share, lane);
}

/* Free again, as if it had not been given out: then another lane of its key may have the turn. */
static void give_back(struct share *share, struct lane *lane)
{
    if (CANARY_SHARE_LEAK_CREDIT)
        share_credit(share, ((struct worker *)pool_at(&share->workers, lane->worker))->number, 1);
    lane_set_ready(share, lane, true);
    if (lane->asking)
        turn_review(share, lane);
}

static void acknowledge(struct share *share, struct lane *lane, int64_t now_ns)
{
    share->acknowledged++;
    share->unsaved = true;
    if (lane->run > 1)
        lane_advance(share, lane, time_after(now_ns, share->config.ack_wait_ns));
    else
        lane_resolve(share, lane);
}

/* The first record is refused, and the run goes on behind it. */
static bool keep_rest(struct share *share, struct lane *lane, enum share_outcome outcome, int64_t now_ns)
{
    struct lane_record first = lane->first;

    if (!CANARY_SHARE_KEEP_REST || lane->run < 2 || outcome != SHARE_NACK)
        return false;
    lane_advance(share, lane, time_after(now_ns, share->config.ack_wait_ns));
    lane_append(share, lane, &(struct share_record){.place = record_place(&first), .bytes = first.bytes});
    return true;
}

static void settle_first(struct share *share, struct lane *lane, enum share_outcome outcome, int64_t delay_ns, int64_t now_ns)
{
    if (keep_rest(share, lane, outcome, now_ns))
        return;
    switch (outcome) {
    case SHARE_ACK:
        acknowledge(share, lane, now_ns);
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
        break;
    }
}

bool share_settle(struct share *share, uint64_t number, uint64_t lease, enum share_outcome outcome, int64_t delay_ns,
                  int64_t now_ns)
{
    struct worker *worker = share_worker(share, number);
    uint32_t in_run;
    struct lane *lane = find_lease(share, lease, &in_run);

    if (!worker || !lane || (lane->worker != worker->index && !CANARY_SHARE_STALE_SETTLE))
        return false;
    if (outcome == SHARE_EXTEND)
        lane_heap_move(share, &share->due, lane, time_after(now_ns, delay_ns != 0 ? delay_ns : share->config.ack_wait_ns));
    else if (in_run == 0)
        settle_first(share, lane, outcome, delay_ns, now_ns);
    else if (outcome == SHARE_DAMAGED)
        lane_shorten_run(share, lane, in_run);
    else
        return false;
    return true;
}

void share_drop_leases(struct share *share, struct worker *worker, bool counted, int64_t now_ns)
{
    /* Those returned go to the front one by one: the last one first, so that they stand there as they were given out. */
    while (worker->leased.first != 0) {
        struct lane *lane = lane_at(share, (counted ? worker->leased.first : worker->leased.last) - 1);

        if (counted) {
            fail(share, lane, 0, now_ns);
            continue;
        }
        lane_set_ready(share, lane, true);
        if (lane->asking)
            turn_review(share, lane);
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
    if (now_ns > share->ticked_ns)
        share->ticked_ns = now_ns;
    while (share->due.count > 0 && share->due.nodes[0].at <= now_ns) {
        struct lane *lane = lane_at(share, share->due.nodes[0].lane);

        if (lane->state == LANE_LEASED) {
            fail(share, lane, 0, now_ns);
            continue;
        }
        lane->not_before_ns = 0;
        if (lane->aside && lane->key != 0 && !lane->asking)
            turn_ask(share, lane);
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
