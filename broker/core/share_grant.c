#include "share_internal.h"

/* A record that is given out. */
struct pick {
    struct place place;
    uint32_t lane; /* which of those chosen */
    uint32_t rest; /* number + 1; 0: the lane's first record */
};

/* What one grant is about. */
struct grant {
    struct worker *worker;
    uint32_t room; /* so many records at most */
    uint32_t lane_count, count;
    struct lane *lanes[GRANT_RECORDS_MAX];
    struct pick picks[GRANT_RECORDS_MAX];
};

/* Into log order (Shell's method); mostly they are already. */
static void sort_by_place(struct pick *picks, uint32_t count)
{
    static const uint32_t gaps[] = {132, 57, 23, 10, 4, 1};
    uint32_t sorted = 1;

    while (sorted < count && place_before(picks[sorted - 1].place, picks[sorted].place))
        sorted++;
    if (sorted >= count)
        return;
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        for (uint32_t j = gaps[i]; j < count; j++) {
            struct pick pick = picks[j];
            uint32_t hole = j;

            for (; hole >= gaps[i] && place_before(pick.place, picks[hole - gaps[i]].place); hole -= gaps[i])
                picks[hole] = picks[hole - gaps[i]];
            picks[hole] = pick;
        }
    }
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The first record's turn has come too late. */
static void pass_over(struct share *share, struct lane *lane)
{
    share->expired++;
    share->unsaved = true;
    lane_resolve(share, lane);
}

/* The first record of each ready lane, as they became ready. */
static void pick_first_ones(struct share *share, struct grant *grant, int64_t now_ns)
{
    int64_t until_ns = time_after(now_ns, share->config.ack_wait_ns);

    while (grant->count < grant->room && share->ready.first != 0) {
        struct lane *lane = lane_at(share, share->ready.first - 1);

        if (record_expired(&lane->first, now_ns)) {
            pass_over(share, lane);
            continue;
        }
        lane_set_leased(share, lane, grant->worker, until_ns);
        grant->lanes[grant->lane_count] = lane;
        grant->picks[grant->count++] = (struct pick){.place = lane_place(lane), .lane = grant->lane_count++};
    }
}

/* No other lane is ready: what room is left is divided among those chosen. A record that has expired ends a run: it is passed over
 * when its turn comes, not before. */
static void pick_runs(struct share *share, struct grant *grant, int64_t now_ns)
{
    for (uint32_t i = 0; i < grant->lane_count && grant->count < grant->room; i++) {
        const struct lane *lane = grant->lanes[i];
        uint32_t lanes_left = grant->lane_count - i, each = (grant->room - grant->count + lanes_left - 1) / lanes_left;
        uint32_t more = least(least(each, grant->worker->run_max - 1), lane->count - 1u);

        for (uint32_t at = lane->rest.first; more > 0; more--) {
            const struct lane_rest *rest = pool_at(&share->rests, at - 1);

            if (record_expired(&rest->record, now_ns))
                break;
            grant->picks[grant->count++] = (struct pick){.place = record_place(&rest->record), .lane = i, .rest = at};
            at = rest->next;
        }
    }
}

/* Leases in log order. */
static void lease_picks(struct share *share, const struct grant *grant, struct share_lease *leases)
{
    uint64_t last[GRANT_RECORDS_MAX]; /* lease of each lane */

    for (uint32_t i = 0; i < grant->count; i++) {
        const struct pick *pick = &grant->picks[i];
        struct lane *lane = grant->lanes[pick->lane];
        struct lane_rest *rest = pick->rest ? pool_at(&share->rests, pick->rest - 1) : NULL;
        const struct lane_record *record = rest ? &rest->record : &lane->first;
        uint64_t lease = ++share->last_lease;

        if (rest)
            rest->lease_step = (uint32_t)(lease - last[pick->lane]);
        else
            lane->lease = lease;
        last[pick->lane] = lease;
        lane->run++;
        table_add(&share->leases, table_mix(lease), lane->index);
        leases[i] = (struct share_lease){
            .lease = lease,
            .record = {.place = pick->place, .bytes = record->bytes, .key = lane->key, .expires_at_ns = record->expires_at_ns},
            .attempt = rest ? 1 : lane->attempts + 1};
    }
    share->leased += grant->count;
}

size_t share_grant(struct share *share, int64_t now_ns, struct share_lease *leases, size_t max, uint64_t *ret_worker)
{
    struct grant grant; /* large, and only as far as it is counted of meaning */
    struct worker *worker;

    if (share->wanting.first == 0)
        return 0;
    worker = grant.worker = pool_at(&share->workers, share->wanting.first - 1);
    grant.room = max < GRANT_RECORDS_MAX ? (uint32_t)max : GRANT_RECORDS_MAX;
    grant.room = least(least(grant.room, worker->credit), share->config.in_flight_max - share->leased);
    grant.lane_count = grant.count = 0;
    pick_first_ones(share, &grant, now_ns);
    if (grant.count == 0)
        return 0;
    if (worker->run_max > 1)
        pick_runs(share, &grant, now_ns);
    sort_by_place(grant.picks, grant.count);
    lease_picks(share, &grant, leases);
    share_turn_remove(share, worker);
    worker->credit -= grant.count;
    share->credit -= grant.count;
    if (worker->credit > 0)
        share_turn_add(share, worker);
    *ret_worker = worker->number;
    return grant.count;
}
