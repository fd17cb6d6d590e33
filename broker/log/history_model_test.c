/* What the log says became of each record of a shared subscription, against a plain model of it, in random runs. */
#include "broker/log/history_test_kit.h"

/* --- a subscription against its model ---------------------------------------------------------------------------------------- */

enum { MODEL_RECORDS = 400, MODEL_KEYS = 5, MODEL_STEPS = 1500, MODEL_RUNS = 20 };

struct model_record {
    struct place place;
    uint64_t key;
    bool done;
    int64_t done_ns;
    uint32_t attempts;
};

/* Records below scan that are not done are in the lane of their key; a lane is written when it is not as it was written last. */
struct model {
    uint64_t random;
    struct model_record records[MODEL_RECORDS];
    size_t count, scan;
    uint64_t acknowledged;
    struct {
        bool there;
        size_t first;
        uint32_t attempts;
    } saved[MODEL_KEYS];
};

static uint32_t draw(struct model *model, uint32_t below)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((model->random >> 33) % below);
}

/* The first one of a key that is not done. */
static bool first_of(const struct model *model, uint64_t key, size_t *ret_first)
{
    for (size_t i = 0; i < model->scan; i++) {
        if (model->records[i].key == key && !model->records[i].done) {
            *ret_first = i;
            return true;
        }
    }
    return false;
}

static void model_save(struct model *model)
{
    for (uint64_t key = 1; key < MODEL_KEYS; key++) {
        size_t first = 0;
        bool there = first_of(model, key, &first);
        uint32_t attempts = there ? model->records[first].attempts : 0;
        if (!there && model->saved[key].there) {
            lane((struct lane_row){.key = key}, true);
        } else if (there &&
                   (!model->saved[key].there || model->saved[key].first != first || model->saved[key].attempts != attempts)) {
            lane((struct lane_row){.key = key,
                                   .place = model->records[first].place,
                                   .attempts = attempts,
                                   .first_failed_ns = attempts > 0,
                                   .last_failed_ns = attempts > 0},
                 false);
        }
        model->saved[key].there = there;
        model->saved[key].first = first;
        model->saved[key].attempts = attempts;
    }
    cursor(model->scan < model->count ? model->records[model->scan].place : (struct place){maker.position, 0}, model->acknowledged,
           0);
    int64_t when_ns = commit();
    for (size_t i = 0; i < model->scan; i++) {
        struct model_record *one = &model->records[i];
        one->done_ns = one->done && one->done_ns == 0 ? when_ns : one->done_ns;
    }
}

static void model_step(struct model *model)
{
    uint32_t what = draw(model, 10);
    size_t first;
    if (what < 3 && model->count < MODEL_RECORDS) {
        model->records[model->count].key = 1 + draw(model, MODEL_KEYS - 1);
        model->records[model->count].place = record();
        model->count++;
    } else if (what < 5) {
        model->scan += model->scan < model->count ? 1 + draw(model, (uint32_t)(model->count - model->scan)) : 0;
    } else if (first_of(model, 1 + draw(model, MODEL_KEYS - 1), &first)) {
        bool nack = what == 5;
        uint32_t run = nack ? 1 : 1 + draw(model, 3); /* several of a key at once */
        uint64_t key = model->records[first].key;
        model->records[first].attempts += nack;
        for (uint32_t i = 0; !nack && i < run && first_of(model, key, &first); i++) {
            model->records[first].done = true;
            model->acknowledged++;
        }
        model_save(model);
    }
}

static void every_record_of_a_random_run_is_told_exactly(void **state)
{
    static struct model model;
    size_t checked = 0;
    for (uint64_t run = 0; run < MODEL_RUNS; run++) {
        model = (struct model){.random = run};
        assert_int_equal(history_set_up(state), 0);
        for (int i = 0; i < MODEL_STEPS; i++) {
            model_step(&model);
        }
        for (size_t i = 0; i < model.scan; i++) {
            const struct model_record *one = &model.records[i];
            if (one->done_ns != 0) {
                expect_acknowledged(one->place, true, one->key, one->done_ns, one->attempts + 1);
                checked++;
            }
        }
        assert_int_equal(history_tear_down(state), 0);
    }
    assert_true(checked > (size_t)MODEL_RUNS * MODEL_RECORDS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_record_of_a_random_run_is_told_exactly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
