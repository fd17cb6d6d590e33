#include <stdlib.h>
#include <string.h>

#include "share_test_model.h"

void model_fini(struct model *model)
{
    kit_log_fini(&model->log);
    kit_catalog_fini(&model->catalog);
    free(model->journal);
}

/* --- the journal ---------------------------------------------------------------------------------------------------------------
 */

void model_write(struct model *model, struct model_entry entry)
{
    if (model->journal_count == model->journal_capacity) {
        model->journal_capacity = model->journal_capacity ? model->journal_capacity * 2 : 256;
        model->journal = realloc(model->journal, model->journal_capacity * sizeof *model->journal);
        assert_non_null(model->journal);
    }
    model->journal[model->journal_count++] = entry;
}

bool model_put(void *context, const struct delta *delta)
{
    model_write(context, (struct model_entry){.kind = ENTRY_DELTA, .delta = *delta});
    return true;
}

void model_saved(struct model *model)
{
    for (size_t i = 0; i < model->log.count; i++) {
        struct model_record *record = &model->records[i];

        if (record->changed)
            model_write(model, (struct model_entry){
                                   .kind = ENTRY_CHANGE, .record = i, .state = record->state, .attempts = record->attempts});
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
        } else if (entry->kind == ENTRY_AGAIN) {
            record->letters = 0;
            record->durable_state = MODEL_OPEN;
            record->durable_attempts = 0;
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

/* Nobody will see it again. */
static void recover_resolved(struct model *model, size_t at)
{
    struct model_record *record = &model->records[at];

    record->not_before_ns = 0;
    record->doomed = 0;
    if (record->durable_state == MODEL_DEAD) /* that it was given again since is not on disk */
        record->state = MODEL_DEAD;
    assert_true(record->state != MODEL_OPEN || model_is_damaged(model, at));
}

/* What a record is after a crash. */
static void recover(struct model *model, size_t at)
{
    struct model_record *record = &model->records[at];
    const struct share_record *written = &model->log.records[at];
    const struct lane_row *row = kit_catalog_row(&model->catalog, written);
    bool below = kit_before(written->place, model->catalog.cursor.place);
    bool first = row && row->place.position == written->place.position && row->place.index == written->place.index;

    record->lease = 0;
    record->changed = false;
    record->told = first;
    record->aside = written->deliver_at_ns != 0 || (first && row->aside);
    if (row ? kit_before(written->place, row->place) : below) {
        recover_resolved(model, at);
        return;
    }
    assert_int_equal(record->durable_state, MODEL_OPEN);
    if (first) {
        assert_true(row->attempts >= record->durable_attempts);
        assert_true(row->attempts <= record->attempts || record->state != MODEL_OPEN);
    } else if (!model_is_damaged(model, at)) {
        assert_int_equal(record->durable_attempts, 0);
    }
    record->letters = 0; /* parted from its save: it may come again */
    record->state = MODEL_OPEN;
    record->attempts = first ? row->attempts : 0;
    record->not_before_ns = first ? row->not_before_ns : written->deliver_at_ns;
    record->first_failed_ns = first ? row->first_failed_ns : 0;
    record->last_failed_ns = first ? row->last_failed_ns : 0;
    record->doomed = first ? (enum dead_reason)row->dead : 0;
}

static uint32_t above(uint32_t ahead, uint32_t all, uint32_t max)
{
    uint32_t below = all - ahead;

    return ahead + (below > max ? below - max : 0);
}

void model_crashed(struct model *model, size_t count)
{
    uint32_t ahead = 0, aside_ahead = 0, aside = 0;

    model_durable(model, count);
    model->journal_count = 0;
    model->lease_count = 0;
    model->last_lease = 0;
    model->settled = false;
    model->ticked_ns = 0;
    model->expired = model->catalog.cursor.expired;
    memset(model->workers, 0, sizeof model->workers);
    memset(model->open_from, 0, sizeof model->open_from);
    for (size_t i = 0; i < model->log.count; i++)
        recover(model, i);
    for (size_t i = 0; i < model->catalog.count; i++) {
        bool is_ahead = !kit_before(model->catalog.lanes[i].place, model->catalog.cursor.place);

        aside += model->catalog.lanes[i].aside;
        ahead += is_ahead;
        aside_ahead += is_ahead && model->catalog.lanes[i].aside;
    }
    model->lanes_above = above(ahead - aside_ahead, (uint32_t)model->catalog.count - aside, model->config.lanes_max);
    model->aside_above = above(aside_ahead, aside, model->config.aside_max);
}
