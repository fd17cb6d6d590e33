#include "share_internal.h"

#include <stdlib.h>

enum { LANES_SHIFT = 7, RESTS_SHIFT = 8, WORKERS_SHIFT = 4 }; /* objects per chunk of memory, as powers of two */

truc_status share_create(const struct share_config *config, struct place scan, struct share **ret_share)
{
    struct share *share;

    CORE_INVARIANT(config->in_flight_max > 0 && config->lanes_max > config->in_flight_max);
    CORE_INVARIANT(config->aside_max > 0);
    CORE_INVARIANT(config->ack_wait_ns > 0 && config->backoff_count <= SUBSCRIPTION_BACKOFFS_MAX);
    share = calloc(1, sizeof *share);
    if (!share)
        return TRUC_NO_MEMORY;
    share->config = *config;
    share->scan = share->saved_scan = scan;
    pool_init(&share->lanes, sizeof(struct lane), LANES_SHIFT);
    pool_init(&share->rests, sizeof(struct lane_rest), RESTS_SHIFT);
    pool_init(&share->workers, sizeof(struct worker), WORKERS_SHIFT);
    *ret_share = share;
    return TRUC_OK;
}

void share_destroy(struct share *share)
{
    if (!share)
        return;
    pool_fini(&share->lanes);
    pool_fini(&share->rests);
    pool_fini(&share->workers);
    table_fini(&share->lanes_by_name);
    table_fini(&share->leases);
    table_fini(&share->workers_by_number);
    lane_heap_fini(&share->due);
    lane_heap_fini(&share->ahead);
    free(share);
}

/* --- restoring -----------------------------------------------------------------------------------------------------------------
 */

void share_restore_counts(struct share *share, uint64_t acknowledged, uint64_t dead, uint64_t expired)
{
    share->acknowledged = acknowledged;
    share->buried = dead;
    share->expired = expired;
}

/* A row that tells of attempts, or of one record, names a record. Of others the place is only known to be not above the first
 * unresolved record. */
static bool names_record(const struct lane_row *row)
{
    return row->key == 0 || row->aside || row->attempts > 0 || row->dead != 0;
}

truc_status share_restore(struct share *share, const struct lane_row *row)
{
    bool single = row->key == 0 || row->aside;
    struct lane *lane = single ? lane_of_place(share, row->place) : lane_of_key(share, row->key);

    /* A key's lane may be there, and empty, for one aside that came first. */
    if ((lane && (single || lane->saved)) || row->dead > DEAD_DAMAGED)
        return TRUC_DAMAGED;
    if (!lane_reserve(share, 1, 1) || !lane_heap_reserve(&share->ahead, share->ahead.count + 1))
        return TRUC_NO_MEMORY;
    if (!lane)
        lane = lane_create(share, row->key, row->place, row->aside);
    lane->saved = true;
    lane->attempts = row->attempts;
    lane->dead = row->dead;
    lane->not_before_ns = row->not_before_ns;
    lane->first_failed_ns = row->first_failed_ns;
    lane->last_failed_ns = row->last_failed_ns;
    if (names_record(row) || CANARY_SHARE_RESUME_BEHIND) {
        if (names_record(row))
            lane_append(share, lane, &(struct share_record){.place = row->place, .expires_at_ns = row->expires_at_ns});
        lane->beyond = place_behind(row->place);
    } else {
        lane->beyond = row->place;
    }
    lane->more = !single && place_before(lane->beyond, share->scan);
    if (!place_before(row->place, share->scan))
        lane_set_ahead(share, lane);
    else
        lane_settle_down(share, lane);
    return TRUC_OK;
}

struct place share_scan_place(const struct share *share)
{
    return share->scan;
}

/* --- given again ---------------------------------------------------------------------------------------------------------------
 */

enum share_again share_give_again(struct share *share, const struct share_record *record)
{
    if (share_look_at(share, record).standing != STANDING_RESOLVED)
        return SHARE_AGAIN_HELD;
    if (lane_count_aside(share) + share->scan_room >= share->config.aside_max)
        return SHARE_AGAIN_FULL;
    if (!lane_reserve(share, 1, 1))
        return SHARE_AGAIN_NO_MEMORY;
    lane_settle_down(share, lane_put_aside(share, record, 0));
    share->unsaved = true;
    return SHARE_AGAIN_OK;
}

/* --- workers -------------------------------------------------------------------------------------------------------------------
 */

struct worker *share_worker(const struct share *share, uint64_t number)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&share->workers_by_number, table_mix(number));
         table_next(&share->workers_by_number, &probe, &index);) {
        struct worker *worker = pool_at(&share->workers, index);

        if (worker->number == number)
            return worker;
    }
    return NULL;
}

static struct worker *worker_at(const struct share *share, uint32_t index)
{
    return pool_at(&share->workers, index);
}

void share_turn_add(struct share *share, struct worker *worker)
{
    worker->previous = share->wanting.last;
    worker->next = 0;
    if (worker->previous)
        worker_at(share, worker->previous - 1)->next = worker->index + 1;
    else
        share->wanting.first = worker->index + 1;
    share->wanting.last = worker->index + 1;
}

void share_turn_remove(struct share *share, struct worker *worker)
{
    if (worker->previous)
        worker_at(share, worker->previous - 1)->next = worker->next;
    else
        share->wanting.first = worker->next;
    if (worker->next)
        worker_at(share, worker->next - 1)->previous = worker->previous;
    else
        share->wanting.last = worker->previous;
    worker->previous = worker->next = 0;
}

bool share_join(struct share *share, uint64_t number, uint32_t credit, uint32_t run_max)
{
    struct worker *worker;
    uint32_t index;

    CORE_INVARIANT(!share_worker(share, number) && run_max > 0 && run_max <= KEY_RUN_MAX);
    if (!table_reserve(&share->workers_by_number, 1))
        return false;
    worker = pool_take(&share->workers, &index);
    if (!worker)
        return false;
    worker->number = number;
    worker->index = index;
    worker->run_max = run_max;
    table_add(&share->workers_by_number, table_mix(number), index);
    share_credit(share, number, credit);
    return true;
}

void share_credit(struct share *share, uint64_t number, uint32_t more)
{
    struct worker *worker = share_worker(share, number);

    if (!worker)
        return;
    if (more > UINT32_MAX - worker->credit)
        more = UINT32_MAX - worker->credit;
    if (worker->credit == 0 && more > 0 && !worker->held)
        share_turn_add(share, worker);
    worker->credit += more;
    share->credit += more;
}

void share_hold(struct share *share, uint64_t number, bool held)
{
    struct worker *worker = share_worker(share, number);

    if (!worker || worker->held == held)
        return;
    worker->held = held;
    if (worker->credit == 0)
        return;
    if (held)
        share_turn_remove(share, worker);
    else
        share_turn_add(share, worker);
}

void share_leave(struct share *share, uint64_t number, bool counted, int64_t now_ns)
{
    struct worker *worker = share_worker(share, number);

    if (!worker)
        return;
    share_drop_leases(share, worker, counted, now_ns);
    if (worker->credit > 0 && !worker->held)
        share_turn_remove(share, worker);
    share->credit -= worker->credit;
    table_remove(&share->workers_by_number, table_mix(number), worker->index);
    pool_give(&share->workers, worker->index);
}
