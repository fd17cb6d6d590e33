#include "share_test_model.h"

/* --- one record ----------------------------------------------------------------------------------------------------------------
 */

bool model_is_damaged(const struct model *model, size_t record)
{
    return kit_log_is_damaged(&model->log, model->log.records[record].place);
}

bool model_has_expired(const struct model *model, size_t record)
{
    int64_t expires_at_ns = model->log.records[record].expires_at_ns;

    return expires_at_ns != 0 && expires_at_ns <= model->now_ns;
}

void model_pass_time(struct model *model, const struct share *share)
{
    struct place scan = share_scan_place(share);

    for (size_t i = 0; i < model->log.count && kit_before(model->log.records[i].place, scan); i++) {
        if (model->records[i].not_before_ns <= model->ticked_ns)
            model->records[i].not_before_ns = 0;
    }
}

static bool has_begun(const struct model_record *record)
{
    return record->attempts > 0 || record->doomed != 0;
}

/* --- turns ---------------------------------------------------------------------------------------------------------------------
 */

/* The first open record of a key that must come before any other but those aside. */
static size_t first_open(struct model *model, uint64_t key)
{
    size_t at = model->open_from[key];

    while (at < model->log.count && (model->log.records[at].key != key || model->records[at].state != MODEL_OPEN ||
                                     model->records[at].aside || model_is_damaged(model, at)))
        at++;
    model->open_from[key] = at;
    return at;
}

void model_check_first(struct model *model, size_t record)
{
    uint64_t key = model->log.records[record].key;

    if (key != 0 && !model->records[record].aside)
        assert_true(first_open(model, key) >= record);
}

/* So many other records of the key are leased: the run that this one ends. */
static uint32_t check_run(const struct model *model, size_t at, uint64_t first_lease)
{
    uint32_t count = 0;

    for (size_t i = 0; i < model->lease_count; i++) {
        const struct model_lease *lease = &model->leases[i];

        if (model->log.records[lease->record].key != model->log.records[at].key)
            continue;
        assert_true(lease->lease >= first_lease && lease->record < at);
        assert_false(model->records[lease->record].aside || model->records[at].aside);
        count++;
    }
    return count;
}

/* The turn is not another lane's of its key. */
static void check_others(const struct model_record *record, size_t at, const struct model_record *other, size_t other_at)
{
    if (has_begun(record))
        return;
    assert_false(has_begun(other));
    if (other->aside && other->not_before_ns == 0)
        assert_true(record->aside && at < other_at);
}

void model_check_turn(struct model *model, const struct share *share, size_t at, uint64_t first_lease, uint32_t run_max)
{
    const struct model_record *record = &model->records[at];
    struct place scan = share_scan_place(share);
    uint64_t key = model->log.records[at].key;
    uint32_t run;

    if (key == 0)
        return;
    run = check_run(model, at, first_lease);
    assert_true(run < run_max);
    for (size_t i = 0; i < model->log.count && kit_before(model->log.records[i].place, scan); i++) {
        const struct model_record *other = &model->records[i];

        if (i == at || model->log.records[i].key != key || other->state != MODEL_OPEN || model_is_damaged(model, i))
            continue;
        if (i < at && !other->aside && !record->aside)
            assert_true(other->lease != 0);
        if (run == 0)
            check_others(record, at, other, i);
    }
}

/* --- all together --------------------------------------------------------------------------------------------------------------
 */

struct expected {
    struct place oldest;
    int64_t due_ns;
    uint32_t delayed, doomed, aside;
    uint32_t
        tangled; /* records that have begun while another one of their key has the turn: whether they wait for it is not told */
};

static void expect_record(struct model *model, size_t i, struct expected *expected, uint32_t *begun)
{
    const struct model_record *record = &model->records[i];
    const struct share_record *written = &model->log.records[i];

    if (record->state != MODEL_OPEN)
        return;
    if (kit_before(written->place, expected->oldest) && !model_is_damaged(model, i))
        expected->oldest = written->place;
    expected->doomed += record->doomed != 0;
    if (record->doomed == 0 && record->not_before_ns > 0 && (!record->aside || record->told)) {
        expected->delayed++;
        if (record->not_before_ns < expected->due_ns)
            expected->due_ns = record->not_before_ns;
    }
    if (written->key != 0 && has_begun(record) && begun[written->key]++ > 0)
        expected->tangled++;
}

static struct expected expect(struct model *model, struct place scan)
{
    struct expected expected = {.oldest = scan, .due_ns = INT64_MAX};
    uint32_t begun[MODEL_KEYS + 1] = {0};

    for (size_t i = 0; i < model->lease_count; i++) {
        if (model->leases[i].deadline_ns < expected.due_ns)
            expected.due_ns = model->leases[i].deadline_ns;
    }
    for (size_t i = 0; i < model->log.count; i++) {
        const struct model_record *record = &model->records[i];

        expected.aside += record->state == MODEL_OPEN && record->aside && record->told;
        if (kit_before(model->log.records[i].place, scan))
            expect_record(model, i, &expected, begun);
    }
    return expected;
}

/* One record after the other, one a step. */
static void check_look(struct model *model, const struct share *share)
{
    size_t at = model->looked++ % (model->log.count + 1);
    const struct model_record *record = &model->records[at];
    struct share_look look;

    if (at == model->log.count || model_is_damaged(model, at))
        return;
    look = share_look_at(share, &model->log.records[at]);
    if (!kit_before(model->log.records[at].place, share_scan_place(share))) {
        assert_int_equal(look.standing, STANDING_AHEAD);
        return;
    }
    assert_int_equal(look.standing == STANDING_RESOLVED, record->state != MODEL_OPEN);
    if (record->state != MODEL_OPEN)
        return;
    assert_int_equal(look.standing == STANDING_LEASED, record->lease != 0);
    assert_int_equal(look.standing == STANDING_DEAD, record->doomed != 0);
    assert_int_equal(look.attempts, record->attempts);
    assert_int_equal(look.first_failed_ns, record->first_failed_ns);
    assert_int_equal(look.last_failed_ns, record->last_failed_ns);
}

void model_check(struct model *model, const struct share *share)
{
    struct share_counts counts = share_counts(share);
    struct expected expected;
    uint32_t workers = 0;

    model_pass_time(model, share);
    expected = expect(model, share_scan_place(share));
    for (size_t i = 0; i < MODEL_WORKERS; i++)
        workers += model->workers[i].number != 0;
    assert_int_equal(counts.leased, model->lease_count);
    assert_in_range(counts.delayed + expected.tangled, expected.delayed, expected.delayed + expected.tangled);
    assert_in_range(counts.dead + expected.tangled, expected.doomed, expected.doomed + expected.tangled);
    assert_int_equal(counts.workers, workers);
    assert_int_equal(counts.aside, expected.aside);
    assert_int_equal(counts.expired, model->expired);
    assert_true(counts.lanes - counts.aside <= model->config.lanes_max + model->lanes_above);
    assert_true(counts.aside <= model->config.aside_max + model->aside_above);
    assert_true(counts.ready + counts.delayed + counts.dead <= counts.lanes);
    assert_false(kit_before(expected.oldest, counts.oldest));
    assert_true(expected.tangled > 0 ? share_due_ns(share) >= expected.due_ns : share_due_ns(share) == expected.due_ns);
    assert_int_equal(share_unsaved(share), model->settled);
    check_look(model, share);
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
