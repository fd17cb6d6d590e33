#include "share_internal.h"

/* A record that is given out. */
struct pick {
    struct place place;
    uint32_t lane; /* which of those chosen */
    uint32_t rest; /* number + 1; 0: the lane's first record */
};

/* How far a lane's run goes. */
struct chosen {
    uint32_t run, next; /* next: of the rests, number + 1 */
    uint64_t last;      /* the lease of its last record */
};

/* What one grant is about. */
struct grant {
    struct worker *worker;
    uint32_t room; /* so many records at most */
    uint32_t lane_count, count;
    struct lane *lanes[GRANT_RECORDS_MAX];
    struct chosen chosen[GRANT_RECORDS_MAX];
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

/* The lane's next records behind those picked, up to a run of `run`. A record that has expired ends a run: it is passed over when
 * its turn comes, not before. */
static void pick_more(struct share *share, struct grant *grant, uint32_t number, uint32_t run, int64_t now_ns)
{
    const struct lane *lane = grant->lanes[number];
    struct chosen *chosen = &grant->chosen[number];

    if (lane->attempts > 0)
        return; /* one that failed may well fail again, and all behind it would have been sent for nothing */
    run = least(least(run, grant->worker->run_max), lane->count);
    while (chosen->run < run && grant->count < grant->room) {
        const struct lane_rest *rest = pool_at(&share->rests, chosen->next - 1);

        if (record_expired(&rest->record, now_ns))
            break;
        grant->picks[grant->count++] = (struct pick){.place = record_place(&rest->record), .lane = number, .rest = chosen->next};
        chosen->next = rest->next;
        chosen->run++;
    }
}

/* Runs that the worker is at and behind which much waits: a key is worked on as fast as it can be only if the worker never has to
 * wait for its next record. */
static void pick_longer(struct share *share, struct grant *grant, uint32_t until, uint32_t more, int64_t now_ns)
{
    struct lane_list *longer = &grant->worker->longer;

    while (grant->count < until && longer->first != 0 && grant->lane_count < GRANT_RECORDS_MAX / 2) {
        struct lane *lane = lane_at(share, longer->first - 1);
        uint32_t number = grant->lane_count++;
        struct chosen *chosen = &grant->chosen[number];

        lane_list_remove(share, longer, LINK_LONGER, lane);
        lane->longer = false;
        share->longer--;
        grant->lanes[number] = lane;
        *chosen = (struct chosen){.run = lane->run, .next = lane->rest.first, .last = lane->lease};
        for (uint32_t i = 1; i < lane->run; i++) {
            const struct lane_rest *rest = pool_at(&share->rests, chosen->next - 1);

            chosen->last += rest->lease_step;
            chosen->next = rest->next;
        }
        pick_more(share, grant, number, lane->run + more, now_ns);
    }
}

/* From the lanes of one list, as they became ready, until there are `until` picks, each with a run of at most `run`. */
static void pick_lanes(struct share *share, struct grant *grant, const struct lane_list *ready, uint32_t until, uint32_t run,
                       int64_t now_ns)
{
    int64_t until_ns = time_after(now_ns, share->config.ack_wait_ns);

    while (grant->count < until && ready->first != 0) {
        struct lane *lane = lane_at(share, ready->first - 1);
        uint32_t number = grant->lane_count;

        if (record_expired(&lane->first, now_ns)) {
            pass_over(share, lane);
            continue;
        }
        lane_set_leased(share, lane, grant->worker, until_ns);
        grant->lanes[grant->lane_count++] = lane;
        grant->chosen[number] = (struct chosen){.run = 1, .next = lane->rest.first};
        grant->picks[grant->count++] = (struct pick){.place = lane_place(lane), .lane = number};
        pick_more(share, grant, number, run, now_ns);
    }
}

/* Half for keys of which much waits, so that they do not fall behind ever further, half for the others, so that those do not starve
 * them; what one half leaves is the other's. A busy key gets at most half of its half while others wait, then what is left. */
static void pick_all(struct share *share, struct grant *grant, int64_t now_ns)
{
    uint32_t half = (grant->room + share->busy_first) / 2; /* of an odd one the greater half in turn */

    share->busy_first = !share->busy_first;
    pick_longer(share, grant, half, (half + 1) / 2, now_ns);
    pick_lanes(share, grant, &share->ready[true], half, (half + 1) / 2, now_ns);
    pick_lanes(share, grant, &share->ready[false], grant->room, least((grant->room + 1) / 2, LANE_RECORDS_BUSY), now_ns);
    pick_lanes(share, grant, &share->ready[true], grant->room, (grant->room + 1) / 2, now_ns);
    for (uint32_t i = 0; i < grant->lane_count && grant->count < grant->room; i++) /* no other lane is ready */
        pick_more(share, grant, i, UINT32_MAX, now_ns);
}

/* Leases in log order. */
static void lease_picks(struct share *share, struct grant *grant, struct share_lease *leases)
{
    for (uint32_t i = 0; i < grant->count; i++) {
        const struct pick *pick = &grant->picks[i];
        struct lane *lane = grant->lanes[pick->lane];
        struct lane_rest *rest = pick->rest ? pool_at(&share->rests, pick->rest - 1) : NULL;
        const struct lane_record *record = rest ? &rest->record : &lane->first;
        uint64_t lease = ++share->last_lease;

        if (rest)
            rest->lease_step = (uint32_t)(lease - grant->chosen[pick->lane].last);
        else
            lane->lease = lease;
        grant->chosen[pick->lane].last = lease;
        lane->run++;
        table_add(&share->leases, table_mix(lease), lane->index);
        leases[i] = (struct share_lease){
            .lease = lease,
            .record = {.place = pick->place, .bytes = record->bytes, .key = lane->key, .expires_at_ns = record->expires_at_ns},
            .attempt = rest ? 1 : lane->attempts + 1};
    }
    share->leased += grant->count;
}

/* The next worker for whom there may be something. NULL: there is nothing, or nobody wants. */
static struct worker *next_worker(const struct share *share)
{
    bool ready = share->states[LANE_READY] > 0;
    uint32_t at = share->longer > 0 || ready ? share->wanting.first : 0;
    struct worker *worker = NULL;

    for (; at != 0; at = worker->next) {
        worker = pool_at(&share->workers, at - 1);
        if (ready || worker->longer.first != 0)
            return worker;
    }
    return NULL;
}

size_t share_grant(struct share *share, int64_t now_ns, struct share_lease *leases, size_t max, uint64_t *ret_worker)
{
    struct grant grant; /* large, and only as far as it is counted of meaning */
    struct worker *worker;

    while ((worker = grant.worker = next_worker(share)) != NULL) {
        grant.room = max < GRANT_RECORDS_MAX ? (uint32_t)max : GRANT_RECORDS_MAX;
        grant.room = least(least(grant.room, worker->credit), share->config.in_flight_max - share->leased);
        grant.lane_count = grant.count = 0;
        pick_all(share, &grant, now_ns);
        if (grant.count > 0)
            break;
        if (grant.room == 0)
            return 0;
    }
    if (!worker)
        return 0;
    sort_by_place(grant.picks, grant.count);
    lease_picks(share, &grant, leases);
    for (uint32_t i = 0; i < grant.lane_count; i++)
        lane_ask_longer(share, grant.lanes[i]);
    share_turn_remove(share, worker);
    worker->credit -= grant.count;
    share->credit -= grant.count;
    if (worker->credit > 0)
        share_turn_add(share, worker);
    *ret_worker = worker->number;
    return grant.count;
}
