#include "share_test_model.h"

#include <stdlib.h>
#include <string.h>

void model_init(struct model *model, const struct share_config *config)
{
    memset(model, 0, sizeof *model);
    model->config = *config;
    model->now_ns = 1000000;
}

void model_fini(struct model *model)
{
    kit_log_fini(&model->log);
    kit_catalog_fini(&model->catalog);
    free(model->journal);
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

/* --- what the share did --------------------------------------------------------------------------------------------------------
 */

bool model_is_damaged(const struct model *model, size_t record)
{
    return kit_log_is_damaged(&model->log, model->log.records[record].place);
}

/* The first open record of a key that must come before any other. */
static size_t first_open(struct model *model, uint64_t key)
{
    size_t at = model->open_from[key];

    while (at < model->log.count &&
           (model->log.records[at].key != key || model->records[at].state != MODEL_OPEN || model_is_damaged(model, at)))
        at++;
    model->open_from[key] = at;
    return at;
}

/* Nothing open of the record's key is before it. */
static void check_turn(struct model *model, size_t record)
{
    uint64_t key = model->log.records[record].key;

    if (key != 0 && model_is_damaged(model, record))
        assert_true(first_open(model, key) > record);
    else if (key != 0)
        assert_int_equal(first_open(model, key), record);
}

void model_granted(struct model *model, uint64_t number, const struct share_lease *leases, size_t count)
{
    struct model_worker *worker = model_worker(model, number);

    assert_true(count > 0 && count <= worker->credit);
    assert_true(model->lease_count + count <= model->config.in_flight_max);
    worker->credit -= (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct share_lease *lease = &leases[i];
        size_t at = kit_log_at(&model->log, lease->record.place);
        struct model_record *record = &model->records[at];

        assert_int_equal(lease->lease, model->last_lease + 1);
        assert_true(i == 0 || kit_before(leases[i - 1].record.place, lease->record.place));
        assert_int_equal(lease->record.key, model->log.records[at].key);
        assert_true(lease->record.bytes == 0 || lease->record.bytes == model->log.records[at].bytes);
        assert_int_equal(record->state, MODEL_OPEN);
        assert_int_equal(record->lease, 0);
        assert_int_equal(record->doomed, 0);
        assert_true(record->not_before_ns <= model->now_ns);
        assert_int_equal(lease->attempt, record->attempts + 1);
        check_turn(model, at);
        record->lease = model->last_lease = lease->lease;
        model->leases[model->lease_count++] =
            (struct model_lease){lease->lease, number, at, model->now_ns + model->config.ack_wait_ns};
    }
}

static void change(struct model *model, struct model_record *record)
{
    record->changed = true;
    model->settled = true;
}

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

void model_settled(struct model *model, uint64_t worker, uint64_t lease, enum share_outcome outcome, int64_t delay_ns, bool taken)
{
    struct model_record *record;
    size_t at = 0;

    while (at < model->lease_count && model->leases[at].lease != lease)
        at++;
    assert_int_equal(taken, at < model->lease_count && model->leases[at].worker == worker);
    if (!taken)
        return;
    if (outcome == SHARE_EXTEND) {
        model->leases[at].deadline_ns = model->now_ns + (delay_ns != 0 ? delay_ns : model->config.ack_wait_ns);
        return;
    }
    record = end_lease(model, at);
    switch (outcome) {
    case SHARE_ACK:
        record->state = MODEL_ACKED;
        change(model, record);
        break;
    case SHARE_NACK:
        fail_record(model, record, delay_ns);
        break;
    case SHARE_REJECT:
        count_attempt(model, record);
        record->doomed = DEAD_REJECTED;
        break;
    case SHARE_DAMAGED:
        record->doomed = DEAD_DAMAGED;
        change(model, record);
        break;
    case SHARE_RETURN:
    case SHARE_EXTEND:
        break;
    }
}

void model_left(struct model *model, struct model_worker *worker, bool counted)
{
    for (size_t i = model->lease_count; i-- > 0;) {
        if (model->leases[i].worker != worker->number)
            continue;
        if (counted)
            fail_record(model, end_lease(model, i), 0);
        else
            end_lease(model, i);
    }
    *worker = (struct model_worker){0};
}

void model_ticked(struct model *model, const struct share *share)
{
    struct place scan = share_scan_place(share);

    for (size_t i = model->lease_count; i-- > 0;) {
        if (model->leases[i].deadline_ns <= model->now_ns)
            fail_record(model, end_lease(model, i), 0);
    }
    for (size_t i = 0; i < model->log.count && kit_before(model->log.records[i].place, scan); i++) {
        if (model->records[i].not_before_ns <= model->now_ns)
            model->records[i].not_before_ns = 0;
    }
}

/* --- the journal ---------------------------------------------------------------------------------------------------------------
 */

static void write(struct model *model, struct model_entry entry)
{
    if (model->journal_count == model->journal_capacity) {
        model->journal_capacity = model->journal_capacity ? model->journal_capacity * 2 : 256;
        model->journal = realloc(model->journal, model->journal_capacity * sizeof *model->journal);
        assert_non_null(model->journal);
    }
    model->journal[model->journal_count++] = entry;
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
    check_turn(model, at);
    record->state = MODEL_DEAD;
    record->doomed = 0;
    change(model, record);
    write(model, (struct model_entry){.kind = ENTRY_LETTER, .record = at});
}

bool model_put(void *context, const struct delta *delta)
{
    write(context, (struct model_entry){.kind = ENTRY_DELTA, .delta = *delta});
    return true;
}

void model_saved(struct model *model)
{
    for (size_t i = 0; i < model->log.count; i++) {
        struct model_record *record = &model->records[i];

        if (record->changed)
            write(model,
                  (struct model_entry){.kind = ENTRY_CHANGE, .record = i, .state = record->state, .attempts = record->attempts});
        record->changed = false;
    }
    model->settled = false;
}

void model_join(struct model *model, size_t from)
{
    for (size_t i = from; i + 1 < model->journal_count; i++)
        model->journal[i].with_next = true;
}

void model_durable(struct model *model, size_t count)
{
    while (count > 0 && model->journal[count - 1].with_next)
        count--;
    for (size_t i = 0; i < count; i++) {
        const struct model_entry *entry = &model->journal[i];
        struct model_record *record = &model->records[entry->record];

        if (entry->kind == ENTRY_DELTA) {
            kit_catalog_apply(&model->catalog, &entry->delta);
        } else if (entry->kind == ENTRY_LETTER) {
            record->letters++;
            assert_int_equal(record->letters, 1);
        } else {
            record->durable_state = entry->state;
            record->durable_attempts = entry->attempts;
        }
    }
    if (count == 0)
        return;
    memmove(model->journal, model->journal + count, (model->journal_count - count) * sizeof *model->journal);
    model->journal_count -= count;
}

/* What a record is after a crash. */
static void recover(struct model *model, size_t at)
{
    struct model_record *record = &model->records[at];
    const struct share_record *written = &model->log.records[at];
    const struct lane_row *row = kit_catalog_row(&model->catalog, written);
    bool below = kit_before(written->place, model->catalog.cursor.place);
    bool first = row && row->place.position == written->place.position && row->place.index == written->place.index;
    bool resolved = row ? kit_before(written->place, row->place) : below;

    record->lease = 0;
    record->changed = false;
    if (resolved) { /* nobody will see it again */
        assert_true(record->state != MODEL_OPEN || model_is_damaged(model, at));
        record->not_before_ns = 0;
        record->doomed = 0;
        return;
    }
    assert_int_equal(record->durable_state, MODEL_OPEN);
    if (first) {
        assert_true(row->attempts >= record->durable_attempts);
        assert_true(row->attempts <= record->attempts);
    } else if (!model_is_damaged(model, at)) {
        assert_int_equal(record->durable_attempts, 0);
    }
    record->letters = 0; /* parted from its save: it may come again */
    record->state = MODEL_OPEN;
    record->attempts = first ? row->attempts : 0;
    record->not_before_ns = first ? row->not_before_ns : 0;
    record->first_failed_ns = first ? row->first_failed_ns : 0;
    record->last_failed_ns = first ? row->last_failed_ns : 0;
    record->doomed = first ? (enum dead_reason)row->dead : 0;
}

void model_crashed(struct model *model, size_t count)
{
    uint32_t ahead = 0, below;

    model_durable(model, count);
    model->journal_count = 0;
    model->lease_count = 0;
    model->last_lease = 0;
    model->settled = false;
    memset(model->workers, 0, sizeof model->workers);
    memset(model->open_from, 0, sizeof model->open_from);
    for (size_t i = 0; i < model->log.count; i++)
        recover(model, i);
    for (size_t i = 0; i < model->catalog.count; i++)
        ahead += !kit_before(model->catalog.lanes[i].place, model->catalog.cursor.place);
    below = (uint32_t)model->catalog.count - ahead;
    model->lanes_above = ahead + (below > model->config.lanes_max ? below - model->config.lanes_max : 0);
}

/* --- what must hold ------------------------------------------------------------------------------------------------------------
 */

void model_check(struct model *model, const struct share *share)
{
    struct share_counts counts = share_counts(share);
    struct place scan = share_scan_place(share), oldest = scan;
    int64_t due_ns = INT64_MAX;
    uint32_t delayed = 0, doomed = 0, workers = 0;

    for (size_t i = 0; i < model->lease_count; i++)
        due_ns = model->leases[i].deadline_ns < due_ns ? model->leases[i].deadline_ns : due_ns;
    for (size_t i = 0; i < model->log.count && kit_before(model->log.records[i].place, scan); i++) {
        const struct model_record *record = &model->records[i];

        if (record->state != MODEL_OPEN)
            continue;
        if (kit_before(model->log.records[i].place, oldest) && !model_is_damaged(model, i))
            oldest = model->log.records[i].place;
        doomed += record->doomed != 0;
        if (record->doomed == 0 && record->not_before_ns > 0) {
            delayed++;
            due_ns = record->not_before_ns < due_ns ? record->not_before_ns : due_ns;
        }
    }
    for (size_t i = 0; i < MODEL_WORKERS; i++)
        workers += model->workers[i].number != 0;
    assert_int_equal(counts.leased, model->lease_count);
    assert_int_equal(counts.delayed, delayed);
    assert_int_equal(counts.dead, doomed);
    assert_int_equal(counts.workers, workers);
    assert_true(counts.lanes <= model->config.lanes_max + model->lanes_above);
    assert_true(counts.ready + counts.leased + counts.delayed + counts.dead <= counts.lanes);
    assert_false(kit_before(oldest, counts.oldest));
    assert_int_equal(share_due_ns(share), due_ns);
    assert_int_equal(share_unsaved(share), model->settled);
}

bool model_is_done(const struct model *model)
{
    for (size_t i = 0; i < model->log.count; i++) {
        if (model->records[i].state == MODEL_OPEN && !model_is_damaged(model, i))
            return false;
    }
    return true;
}

void model_check_end(struct model *model, const struct share *share)
{
    for (size_t i = 0; i < model->log.count; i++) {
        const struct model_record *record = &model->records[i];

        assert_true(record->state != MODEL_OPEN || model_is_damaged(model, i));
        assert_int_equal(record->letters, record->state == MODEL_DEAD ? 1 : 0);
    }
    assert_int_equal(share_counts(share).lanes, 0);
    assert_int_equal(model->catalog.count, 0);
    assert_false(kit_before(model->catalog.cursor.place, model->log.head));
}
