/* What the log keeps of subscriptions: rows after a close, a crash, an end; by a plain model of what deltas add up to. Engine lmdb.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/log/lmdb/lmdb.h"
#include "broker/log/log_test_kit.h"
#include "broker/log/verify.h"

enum { SUBSCRIPTIONS = 6, LANES = 300, ORDERED = 2 /* this one is ordered; the others are shared */ };

struct model_lane {
    bool there;
    struct lane_row row;
};

/* By subscription id - 1. The first half of the lanes have keys, the others places. */
struct model {
    uint64_t random;
    struct {
        bool there, has_cursor;
        uint32_t changes;
        struct cursor_row cursor;
        struct model_lane lanes[LANES];
    } of[SUBSCRIPTIONS];
};

static uint32_t draw(struct model *model, uint32_t below)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((model->random >> 33) % below);
}

static void give(struct maker *maker, const struct delta *delta)
{
    if (maker != NULL) {
        maker_delta(maker, delta);
    }
}

static struct subscription_row definition(uint32_t id, uint32_t changes)
{
    bool shared = id != ORDERED;
    return (struct subscription_row){.subscription_id = id,
                                     .mode = shared ? SUBSCRIPTION_SHARED : SUBSCRIPTION_ORDERED,
                                     .paused = changes % 2 == 1,
                                     .owner = bytes_of_text("H26.16"),
                                     .name = bytes_of_text("desk"),
                                     .pattern = bytes_of_text("dossier.>"),
                                     .headers = bytes_of("lang\0vi\0", 8),
                                     .created_ns = id,
                                     .ack_wait_ms = shared ? 1000 + changes : 0,
                                     .backoff_ms = {shared ? 5 : 0},
                                     .backoff_count = shared ? 1 : 0};
}

static void define(struct model *model, struct maker *maker, uint32_t id)
{
    struct delta delta = {.kind = DELTA_SUBSCRIPTION, .subscription = definition(id, ++model->of[id - 1].changes)};
    model->of[id - 1].there = true;
    give(maker, &delta);
}

static void end(struct model *model, struct maker *maker, uint32_t id)
{
    struct delta delta = {.kind = DELTA_SUBSCRIPTION_END, .subscription_end = id};
    memset(&model->of[id - 1], 0, sizeof model->of[id - 1]);
    give(maker, &delta);
}

static void change_lane(struct model *model, struct maker *maker, uint32_t id)
{
    uint32_t lane = draw(model, LANES), what = draw(model, 3);
    struct delta delta = {.kind = DELTA_LANE, .lane = {.gone = what == 0, .row = {.subscription_id = id}}};
    struct lane_row *row = &delta.lane.row;
    if (lane < LANES / 2) {
        row->key = (uint64_t)(lane + 1) * 0x9e3779b97f4a7c15u;
        row->place = (struct place){draw(model, 1000), draw(model, 50)};
    } else if (lane % 2 == 0) {
        row->place = (struct place){1 + lane / 3, lane % 3};
    } else { /* of a key that has a lane of its own */
        row->key = (uint64_t)(lane - LANES / 2 + 1) * 0x9e3779b97f4a7c15u;
        row->aside = true;
        row->place = (struct place){0, lane};
        row->expires_at_ns = draw(model, 1000);
    }
    if (what == 2) {
        row->attempts = 1 + draw(model, 9);
        row->dead = (uint8_t)draw(model, 3);
        row->not_before_ns = draw(model, 1000);
        row->first_failed_ns = 1;
        row->last_failed_ns = 2;
    }
    model->of[id - 1].lanes[lane] = (struct model_lane){!delta.lane.gone, *row};
    give(maker, &delta);
}

/* A block's deltas, the same for the same state of the model. */
static void change(struct model *model, struct maker *maker, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = 1 + draw(model, SUBSCRIPTIONS);
        if (!model->of[id - 1].there) {
            continue;
        }
        uint32_t what = draw(model, 20);
        if (what == 0) {
            define(model, maker, id);
        } else if (what < 4 || id == ORDERED) {
            struct delta delta = {
                .kind = DELTA_CURSOR,
                .cursor = {id, {draw(model, 1000), id == ORDERED ? 0 : draw(model, 9)}, draw(model, 100000), draw(model, 100)}};
            model->of[id - 1].cursor = delta.cursor;
            model->of[id - 1].has_cursor = true;
            give(maker, &delta);
        } else {
            change_lane(model, maker, id);
        }
    }
}

static void begin(struct model *model, struct maker *maker)
{
    *model = (struct model){.random = 42};
    if (maker != NULL) { /* what lanes aside are of */
        maker_add(maker, maker_topic(maker, "dossier.aside"), 2, 100, "key", 0);
        (void)maker_commit(maker);
    }
    for (uint32_t id = 1; id <= SUBSCRIPTIONS; id++) {
        define(model, maker, id);
    }
}

/* --- rows against the model ------------------------------------------------------------------------------------------------ */

struct visit {
    const struct model *model; /* NULL: rows are only counted */
    size_t subscriptions, cursors, lanes;
};

static truc_status on_subscription(void *context, const struct subscription_row *row)
{
    struct visit *visit = context;
    visit->subscriptions++;
    assert_true(visit->cursors == 0 && visit->lanes == 0);
    if (visit->model != NULL) {
        assert_true(row->subscription_id <= SUBSCRIPTIONS && visit->model->of[row->subscription_id - 1].there);
        struct subscription_row expected = definition(row->subscription_id, visit->model->of[row->subscription_id - 1].changes);
        assert_true(row->mode == expected.mode && row->paused == expected.paused && row->created_ns == expected.created_ns);
        assert_true(row->ack_wait_ms == expected.ack_wait_ms && row->backoff_ms[0] == expected.backoff_ms[0]);
        assert_true(bytes_equal(row->pattern, expected.pattern) && bytes_equal(row->headers, expected.headers));
    }
    return TRUC_OK;
}

static truc_status on_cursor(void *context, const struct cursor_row *row)
{
    struct visit *visit = context;
    visit->cursors++;
    assert_int_equal(visit->lanes, 0);
    if (visit->model != NULL) {
        assert_true(visit->model->of[row->subscription_id - 1].has_cursor);
        const struct cursor_row *expected = &visit->model->of[row->subscription_id - 1].cursor;
        assert_true(row->place.position == expected->place.position && row->place.index == expected->place.index);
        assert_true(row->acknowledged == expected->acknowledged && row->dead == expected->dead);
    }
    return TRUC_OK;
}

static truc_status on_lane(void *context, const struct lane_row *row)
{
    struct visit *visit = context;
    visit->lanes++;
    const struct model_lane *expected = NULL;
    for (uint32_t i = 0; visit->model != NULL && i < LANES; i++) {
        const struct model_lane *lane = &visit->model->of[row->subscription_id - 1].lanes[i];
        bool same = lane->row.key == row->key && lane->row.aside == row->aside &&
                    ((row->key != 0 && !row->aside) ||
                     (lane->row.place.position == row->place.position && lane->row.place.index == row->place.index));
        expected = lane->there && same ? lane : expected;
    }
    if (visit->model != NULL) {
        assert_non_null(expected);
        assert_true(row->place.position == expected->row.place.position && row->place.index == expected->row.place.index);
        assert_true(row->attempts == expected->row.attempts && row->dead == expected->row.dead);
        assert_int_equal(row->expires_at_ns, expected->row.expires_at_ns);
        assert_true(row->not_before_ns == expected->row.not_before_ns && row->last_failed_ns == expected->row.last_failed_ns);
    }
    return TRUC_OK;
}

static struct log *open_log(const char *directory, struct visit *visit, uint64_t flush_bytes)
{
    struct log_options options;
    struct log *log = NULL;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "lmdb", directory);
    options.index_flush_bytes = flush_bytes;
    struct catalog_visitor visitor = {.context = visit, .subscription = on_subscription, .cursor = on_cursor, .lane = on_lane};
    truc_status status = log_open(&options, visit == NULL ? NULL : &visitor, &log, why);
    if (status != TRUC_OK) {
        print_error("open: %s: %s\n", truc_status_name(status), why);
    }
    assert_int_equal(status, TRUC_OK);
    return log;
}

/* Opens, holds every row against the model, and that none is missing. */
static struct log *open_checked(const char *directory, const struct model *model, uint64_t flush_bytes)
{
    struct visit visit = {.model = model};
    struct log *log = open_log(directory, &visit, flush_bytes);
    size_t subscriptions = 0, cursors = 0, lanes = 0;
    for (uint32_t i = 0; i < SUBSCRIPTIONS; i++) {
        subscriptions += model->of[i].there;
        cursors += model->of[i].has_cursor;
        for (uint32_t lane = 0; lane < LANES; lane++) {
            lanes += model->of[i].lanes[lane].there;
        }
    }
    assert_int_equal(visit.subscriptions, subscriptions);
    assert_int_equal(visit.cursors, cursors);
    assert_int_equal(visit.lanes, lanes);
    return log;
}

static void check_verify(const char *directory, bool good)
{
    struct log_verify_report report;
    char why[LOG_WHY_BYTES] = "";
    assert_int_equal(log_verify(directory, NULL, NULL, &report, why), good ? TRUC_OK : TRUC_DAMAGED);
}

static void rows_come_back_after_close(void **state)
{
    (void)state;
    static struct model model;
    char *directory = kit_directory();
    struct maker maker;
    struct log *log = open_log(directory, NULL, 1 << 14);
    maker_init(&maker, log);
    begin(&model, &maker);
    for (int round = 0; round < 8; round++) {
        for (int block = 0; block < 20; block++) {
            if (block % 3 == 0) {
                maker_add(&maker, maker_topic(&maker, "dossier.a"), 2, 100, "key", 0);
            }
            change(&model, &maker, 200);
            (void)maker_commit(&maker);
        }
        log_close(log);
        check_verify(directory, true);
        log = open_checked(directory, &model, round % 2 == 0 ? 1 << 20 : 1 << 14);
        maker_reopen(&maker, log);
    }
    for (uint32_t id = 1; id <= SUBSCRIPTIONS; id += 2) {
        end(&model, &maker, id);
    }
    (void)maker_commit(&maker);
    log_close(log);
    log = open_checked(directory, &model, 1 << 14);
    log_close(log);
    char derived[4096];
    (void)snprintf(derived, sizeof derived, "%s/derived.mdb", directory);
    assert_int_equal(unlink(derived), 0); /* all of it from the blocks */
    log_close(open_checked(directory, &model, 1 << 14));
    check_verify(directory, true);
    maker_fini(&maker);
    kit_remove(directory);
}

/* The child is gone without writing what is derived; some of it was, in the background. An end is in the tail, too. */
static void rows_come_back_after_a_crash(void **state)
{
    (void)state;
    static struct model model;
    for (uint32_t blocks = 1; blocks <= 64; blocks *= 4) {
        char *directory = kit_directory();
        pid_t child = fork();
        assert_true(child >= 0);
        struct maker maker, *mine = child == 0 ? &maker : NULL;
        struct log *log = child == 0 ? open_log(directory, NULL, 1 << 16) : NULL;
        if (child == 0) {
            maker_init(mine, log);
        }
        begin(&model, mine);
        for (uint32_t block = 0; block < blocks; block++) {
            change(&model, mine, 500);
            if (block + 1 == blocks) {
                end(&model, mine, 1);
            }
            if (child == 0) {
                (void)maker_commit(mine);
            }
        }
        if (child == 0) {
            _exit(0);
        }
        int code;
        assert_int_equal(waitpid(child, &code, 0), child);
        assert_int_equal(code, 0);
        log_close(open_checked(directory, &model, 1 << 16));
        check_verify(directory, true);
        kit_remove(directory);
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void add_lanes(struct maker *maker, uint32_t first, uint32_t count, bool gone)
{
    for (uint32_t i = first; i < first + count; i++) {
        struct delta delta = {
            .kind = DELTA_LANE,
            .lane = {.gone = gone, .row = {.subscription_id = 1, .key = (i + 1) * 0x9e3779b97f4a7c15u, .place = {i, i % 7}}}};
        maker_delta(maker, &delta);
        if (maker->delta_count >= 2000) {
            (void)maker_commit(maker);
        }
    }
    (void)maker_commit(maker);
}

static void hundred_thousand_lanes_stay_and_go(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    static struct model model;
    char *directory = kit_directory();
    struct maker maker;
    struct visit visit = {0};
    struct log *log = open_log(directory, NULL, 1 << 28);
    maker_init(&maker, log);
    define(&model, &maker, 1);
    add_lanes(&maker, 0, MANY, false);
    log_close(log);
    double before = seconds();
    log = open_log(directory, &visit, 1 << 28);
    print_message("opened with %zu lanes in %.0f ms\n", visit.lanes, (seconds() - before) * 1e3);
    assert_int_equal(visit.lanes, MANY);
    maker_reopen(&maker, log);
    add_lanes(&maker, 0, MANY, true);
    add_lanes(&maker, MANY, MANY, false); /* these come and */
    add_lanes(&maker, MANY, MANY, true);  /* go again */
    add_lanes(&maker, MANY / 2, 10, false);
    before = seconds();
    log_close(log);
    print_message("300,010 deltas written in %.0f ms\n", (seconds() - before) * 1e3);
    visit = (struct visit){0};
    log = open_log(directory, &visit, 1 << 28);
    assert_int_equal(visit.lanes, 10);
    maker_reopen(&maker, log);
    end(&model, &maker, 1);
    (void)maker_commit(&maker);
    log_close(log);
    visit = (struct visit){0};
    log_close(open_log(directory, &visit, 1 << 28));
    assert_true(visit.subscriptions == 0 && visit.lanes == 0);
    maker_fini(&maker);
    kit_remove(directory);
}

/* So that a start has little to catch up with: what is behind is bounded in deltas, too. */
static void blocks_of_deltas_alone_are_indexed_in_time(void **state)
{
    (void)state;
    enum { FLUSH_DELTAS = 262144, LAG_FLUSHES = 3, STEP = 50000 };
    static struct model model;
    char *directory = kit_directory();
    struct maker maker;
    struct log *log = open_log(directory, NULL, 1 << 28);
    maker_init(&maker, log);
    define(&model, &maker, 1);
    uint64_t first = indexer_mark(((struct lmdb_log *)log)->indexer).block;
    for (uint32_t count = 0; count <= (LAG_FLUSHES + 1) * FLUSH_DELTAS; count += STEP) {
        add_lanes(&maker, 0, STEP, (count / STEP) % 2 == 1);
    }
    assert_true(indexer_mark(((struct lmdb_log *)log)->indexer).block > first);
    log_close(log);
    maker_fini(&maker);
    kit_remove(directory);
}

/* As a version that knew no subscriptions left it. */
static void derived_data_without_their_tables_goes_on(void **state)
{
    (void)state;
    static const char *const names[] = {"subscriptions", "cursors", "lanes"};
    static struct model model;
    char *directory = kit_directory(), path[4096], why[LOG_WHY_BYTES];
    struct maker maker;
    struct log *log = open_log(directory, NULL, 1 << 20);
    maker_init(&maker, log);
    maker_add(&maker, maker_topic(&maker, "dossier.a"), 2, 100, "key", 0);
    (void)maker_commit(&maker);
    log_close(log);
    struct derived *derived;
    MDB_txn *txn;
    (void)snprintf(path, sizeof path, "%s/derived.mdb", directory);
    assert_int_equal(derived_open(path, &derived, why), TRUC_OK);
    assert_int_equal(derived_begin(derived, true, &txn, why), TRUC_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        MDB_dbi table;
        assert_int_equal(mdb_dbi_open(txn, names[i], 0, &table), 0);
        assert_int_equal(mdb_drop(txn, table, 1), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    derived_close(derived);
    log = open_log(directory, NULL, 1 << 20);
    maker_reopen(&maker, log);
    begin(&model, &maker);
    change(&model, &maker, 500);
    (void)maker_commit(&maker);
    log_close(log);
    log_close(open_checked(directory, &model, 1 << 20));
    maker_fini(&maker);
    kit_remove(directory);
}

static void verify_finds_what_no_subscription_is_there_for(void **state)
{
    (void)state;
    struct subscription_row other_mode = definition(1, 1);
    other_mode.mode = SUBSCRIPTION_ORDERED;
    other_mode.ack_wait_ms = other_mode.backoff_count = other_mode.backoff_ms[0] = 0;
    const struct delta bad[] = {
        {.kind = DELTA_SUBSCRIPTION, .subscription = definition(SUBSCRIPTIONS + 2, 1)}, /* not the next id */
        {.kind = DELTA_SUBSCRIPTION, .subscription = other_mode},
        {.kind = DELTA_SUBSCRIPTION_END, .subscription_end = SUBSCRIPTIONS + 1},
        {.kind = DELTA_SUBSCRIPTION_END, .subscription_end = 3}, /* which has ended */
        {.kind = DELTA_SUBSCRIPTION, .subscription = definition(3, 1)},
        {.kind = DELTA_CURSOR, .cursor = {.subscription_id = 3}},
        {.kind = DELTA_CURSOR, .cursor = {.subscription_id = ORDERED, .place = {1, 1}}},
        {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 3, .key = 1}}},
        {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = SUBSCRIPTIONS + 1, .key = 1}}},
        {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = ORDERED, .key = 1}}},
        {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 1, .key = 1, .aside = true, .place = {1, 0}}}},
    };
    static struct model model;
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        char *directory = kit_directory();
        struct maker maker;
        struct log *log = open_log(directory, NULL, 1 << 20);
        maker_init(&maker, log);
        begin(&model, &maker);
        end(&model, &maker, 3);
        (void)maker_commit(&maker);
        if (i < sizeof bad / sizeof *bad) {
            maker_delta(&maker, &bad[i]);
            (void)maker_commit(&maker);
        }
        log_close(log);
        check_verify(directory, i == sizeof bad / sizeof *bad);
        maker_fini(&maker);
        kit_remove(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_after_close),
        cmocka_unit_test(rows_come_back_after_a_crash),
        cmocka_unit_test(hundred_thousand_lanes_stay_and_go),
        cmocka_unit_test(blocks_of_deltas_alone_are_indexed_in_time),
        cmocka_unit_test(derived_data_without_their_tables_goes_on),
        cmocka_unit_test(verify_finds_what_no_subscription_is_there_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
