#include "share_test_model.h"

#include <string.h>

void model_init(struct model *model, const struct share_config *config)
{
    memset(model, 0, sizeof *model);
    model->config = *config;
    model->now_ns = 1000000;
}

struct model_worker *model_worker(struct model *model, uint64_t number)
{
    for (size_t i = 0; i < MODEL_WORKERS; i++) {
        if (model->workers[i].number == number)
            return &model->workers[i];
    }
    fail_msg("there is no worker %llu", (unsigned long long)number);
    return NULL;
}

void model_added(struct model *model)
{
    const struct share_record *written = &model->log.records[model->log.count - 1];

    model->records[model->log.count - 1] =
        (struct model_record){.not_before_ns = written->deliver_at_ns, .aside = written->deliver_at_ns != 0};
}

void model_scanned(struct model *model, const struct share_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        model->records[kit_log_at(&model->log, records[i].place)].told = true;
}

/* --- giving out ----------------------------------------------------------------------------------------------------------------
 */

static void change(struct model *model, struct model_record *record)
{
    record->changed = true;
    model->settled = true;
}

void model_granting(struct model *model, const struct share *share)
{
    struct place scan = share_scan_place(share);

    model_pass_time(model, share);
    for (size_t i = 0; i < model->log.count && kit_before(model->log.records[i].place, scan); i++) {
        const struct share_record *written = &model->log.records[i];
        struct model_record *record = &model->records[i];

        record->passing = record->state == MODEL_OPEN && record->lease == 0 && model_has_expired(model, i) &&
                          share_look_at(share, written).standing != STANDING_RESOLVED;
    }
}

/* Which records were passed over, the share tells by itself. */
static void pass_over(struct model *model, const struct share *share)
{
    for (size_t i = 0; i < model->log.count; i++) {
        struct model_record *record = &model->records[i];
        bool was = record->passing;

        record->passing = false;
        if (!was || share_look_at(share, &model->log.records[i]).standing != STANDING_RESOLVED)
            continue;
        assert_int_equal(record->doomed, 0);
        assert_int_equal(record->not_before_ns, 0);
        model_check_first(model, i);
        record->state = MODEL_EXPIRED;
        model->expired++;
        change(model, record);
    }
}

void model_granted(struct model *model, const struct share *share, uint64_t number, const struct share_lease *leases, size_t count)
{
    struct model_worker *worker = count > 0 ? model_worker(model, number) : NULL;

    pass_over(model, share);
    if (!worker)
        return;
    assert_true(count <= worker->credit);
    assert_true(model->lease_count + count <= model->config.in_flight_max);
    worker->credit -= (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct share_lease *lease = &leases[i];
        size_t at = kit_log_at(&model->log, lease->record.place);
        const struct share_record *written = &model->log.records[at];
        struct model_record *record = &model->records[at];

        assert_int_equal(lease->lease, model->last_lease + 1);
        assert_true(i == 0 || kit_before(leases[i - 1].record.place, lease->record.place));
        assert_int_equal(lease->record.key, written->key);
        assert_true(lease->record.bytes == 0 || lease->record.bytes == written->bytes);
        assert_int_equal(lease->record.expires_at_ns, written->expires_at_ns);
        assert_int_equal(record->state, MODEL_OPEN);
        assert_int_equal(record->lease, 0);
        assert_int_equal(record->doomed, 0);
        assert_int_equal(record->not_before_ns, 0);
        assert_false(model_has_expired(model, at));
        assert_int_equal(lease->attempt, record->attempts + 1);
        model_check_turn(model, share, at, leases[0].lease, worker->run_max);
        record->lease = model->last_lease = lease->lease;
        model->leases[model->lease_count++] =
            (struct model_lease){lease->lease, number, at, model->now_ns + model->config.ack_wait_ns};
    }
}

/* --- settling ------------------------------------------------------------------------------------------------------------------
 */

static void count_attempt(struct model *model, struct model_record *record)
{
    if (record->attempts++ == 0)
        record->first_failed_ns = model->now_ns;
    record->last_failed_ns = model->now_ns;
    change(model, record);
}

static void fail_record(struct model *model, struct model_record *record, int64_t delay_ns)
{
    uint32_t last = model->config.backoff_count;

    count_attempt(model, record);
    if (model->config.attempts_max != 0 && record->attempts >= model->config.attempts_max) {
        record->doomed = DEAD_ATTEMPTS;
        return;
    }
    if (delay_ns == 0 && last > 0)
        delay_ns = model->config.backoff_ns[record->attempts < last ? record->attempts - 1 : last - 1];
    record->not_before_ns = delay_ns != 0 ? model->now_ns + delay_ns : 0;
}

/* A lease is over. */
static struct model_record *end_lease(struct model *model, size_t at)
{
    struct model_record *record = &model->records[model->leases[at].record];

    record->lease = 0;
    model->leases[at] = model->leases[--model->lease_count];
    return record;
}

/* Two leases of one run: what is leased of a key at a time is one. */
static bool is_one_run(const struct model *model, const struct model_lease *a, const struct model_lease *b)
{
    uint64_t key = model->log.records[a->record].key;

    return a->record == b->record || (key != 0 && key == model->log.records[b->record].key);
}

static bool is_first_of_run(const struct model *model, const struct model_lease *lease)
{
    for (size_t i = 0; i < model->lease_count; i++) {
        if (is_one_run(model, &model->leases[i], lease) && model->leases[i].lease < lease->lease)
            return false;
    }
    return true;
}

/* From a lease on the run is over; its record. */
static struct model_record *end_run(struct model *model, struct model_lease from)
{
    for (size_t i = model->lease_count; i-- > 0;) {
        if (is_one_run(model, &model->leases[i], &from) && model->leases[i].lease >= from.lease)
            end_lease(model, i);
    }
    return &model->records[from.record];
}

static void move_deadline(struct model *model, struct model_lease of, int64_t wait_ns)
{
    for (size_t i = 0; i < model->lease_count; i++) {
        if (is_one_run(model, &model->leases[i], &of))
            model->leases[i].deadline_ns = model->now_ns + wait_ns;
    }
}

static void settle_first(struct model *model, struct model_lease lease, enum share_outcome outcome, int64_t delay_ns)
{
    struct model_record *record;

    if (outcome == SHARE_ACK) {
        move_deadline(model, lease, model->config.ack_wait_ns);
        for (size_t i = model->lease_count; i-- > 0;) {
            if (model->leases[i].lease == lease.lease)
                end_lease(model, i);
        }
        model->records[lease.record].state = MODEL_ACKED;
        change(model, &model->records[lease.record]);
        return;
    }
    record = end_run(model, lease);
    if (outcome == SHARE_NACK) {
        fail_record(model, record, delay_ns);
    } else if (outcome == SHARE_REJECT) {
        count_attempt(model, record);
        record->doomed = DEAD_REJECTED;
    } else if (outcome == SHARE_DAMAGED) {
        record->doomed = DEAD_DAMAGED;
        change(model, record);
    }
}

void model_settled(struct model *model, uint64_t worker, uint64_t number, enum share_outcome outcome, int64_t delay_ns, bool taken)
{
    struct model_lease lease;
    bool first;
    size_t at = 0;

    while (at < model->lease_count && model->leases[at].lease != number)
        at++;
    if (at == model->lease_count || model->leases[at].worker != worker) {
        assert_false(taken);
        return;
    }
    lease = model->leases[at];
    first = is_first_of_run(model, &lease);
    assert_int_equal(taken, first || outcome == SHARE_EXTEND || outcome == SHARE_DAMAGED);
    if (outcome == SHARE_EXTEND)
        move_deadline(model, lease, delay_ns != 0 ? delay_ns : model->config.ack_wait_ns);
    else if (first)
        settle_first(model, lease, outcome, delay_ns);
    else if (outcome == SHARE_DAMAGED)
        end_run(model, lease);
}

void model_left(struct model *model, struct model_worker *worker, bool counted)
{
    for (size_t i = 0; i < model->lease_count;) {
        struct model_lease lease = model->leases[i];
        struct model_record *record;

        if (lease.worker != worker->number || !is_first_of_run(model, &lease)) {
            i++;
            continue;
        }
        record = end_run(model, lease);
        if (counted)
            fail_record(model, record, 0);
        i = 0;
    }
    *worker = (struct model_worker){0};
}

void model_ticked(struct model *model, const struct share *share)
{
    for (size_t i = 0; i < model->lease_count;) {
        struct model_lease lease = model->leases[i];

        if (lease.deadline_ns > model->now_ns || !is_first_of_run(model, &lease)) {
            i++;
            continue;
        }
        fail_record(model, end_run(model, lease), 0);
        i = 0;
    }
    model->ticked_ns = model->now_ns;
    model_pass_time(model, share);
}

void model_buried(struct model *model, const struct share_dead *dead)
{
    size_t at = kit_log_at(&model->log, dead->place);
    struct model_record *record = &model->records[at];

    assert_int_equal(record->state, MODEL_OPEN);
    assert_int_equal(dead->reason, record->doomed);
    assert_int_equal(dead->attempts, record->attempts);
    assert_int_equal(dead->first_failed_ns, record->first_failed_ns);
    assert_int_equal(dead->last_failed_ns, record->last_failed_ns);
    model_check_first(model, at);
    record->state = MODEL_DEAD;
    record->doomed = 0;
    change(model, record);
    model_write(model, (struct model_entry){.kind = ENTRY_LETTER, .record = at});
}

void model_again(struct model *model, size_t at, enum share_again outcome)
{
    struct model_record *record = &model->records[at];

    if (record->state == MODEL_OPEN) {
        assert_int_equal(outcome, SHARE_AGAIN_HELD);
        return;
    }
    assert_int_equal(record->state, MODEL_DEAD);
    assert_int_not_equal(outcome, SHARE_AGAIN_HELD);
    if (outcome != SHARE_AGAIN_OK)
        return;
    record->state = MODEL_OPEN;
    record->attempts = 0;
    record->not_before_ns = record->first_failed_ns = record->last_failed_ns = 0;
    record->aside = record->told = true;
    change(model, record);
    model_write(model, (struct model_entry){.kind = ENTRY_AGAIN, .record = at});
}
