/* A simulation from a seed: a log of keyed records that grows, some of them not to be given yet, some that expire; workers that
 * take runs, acknowledge, refuse, reject, return, extend, hang and leave; the dead that are given again; time that jumps, a log
 * that answers late, partly or not at all and is damaged, memory that runs out, saves that become durable later or partly, crashes.
 * What must hold stands in share_test_model.h; in the end every record is acknowledged or dead, once.
 *
 *     share_simulation_test [--seeds N] [--first S]   without them: as many seeds as fit into some seconds */
#include "share_test_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/core/table.h"

enum { STEPS_MAX = 4000, SEEDS_MAX = 3000, SECONDS_MAX = 12, MILLISECOND_NS = 1000000 };

static struct model model;
static struct share *share;
static struct share_scan scan, search;
static bool scanning, searching;
static uint64_t random_state, next_worker, seed;
static uint32_t skew, patience; /* how uneven keys are; how rarely records are refused */

/* --- memory that runs out ------------------------------------------------------------------------------------------------------
 */

static enum { MEMORY_PLENTY, MEMORY_SCARCE, MEMORY_FORBIDDEN } memory; /* forbidden: this call may not need any */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

static uint64_t draw(uint64_t below)
{
    return table_mix(random_state++) % below;
}

static bool fails(void)
{
    if (memory == MEMORY_FORBIDDEN)
        abort();
    return memory == MEMORY_SCARCE && draw(4) == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

/* --- the log -------------------------------------------------------------------------------------------------------------------
 */

static void grow(void)
{
    uint64_t more = draw(12);

    for (uint64_t i = 0; i < more && model.log.count < MODEL_RECORDS_MAX / 2; i++) {
        struct share_record *record;
        uint64_t key = 0;

        if (draw(6) != 0) {
            for (key = 1; key < MODEL_KEYS && draw(skew) != 0;)
                key++;
        }
        kit_log_add(&model.log, key, i == 0 || draw(3) != 0, (uint32_t)draw(3)); /* what is on disk is never added to */
        record = &model.log.records[model.log.count - 1];
        if (draw(8) == 0)
            record->deliver_at_ns = 1 + model.now_ns + (int64_t)draw(200) * MILLISECOND_NS / 2;
        if (draw(8) == 0)
            record->expires_at_ns = model.now_ns + (int64_t)draw(300) * MILLISECOND_NS;
        model_added(&model);
    }
}

static void damage(struct place place)
{
    if (model.log.damaged_count < KIT_DAMAGED_MAX)
        model.log.damaged[model.log.damaged_count++] = place.position;
}

/* The end of what is looked at: usually all, sometimes less. */
static struct place until(struct place from, struct place end)
{
    struct place place = {from.position + draw(20), 0};

    return draw(3) == 0 && kit_before(from, place) && kit_before(place, end) ? place : end;
}

static void answer_scan(bool willing)
{
    struct share_record records[MODEL_RECORDS_MAX];
    struct place next;
    size_t count, max = scan.records_max;

    if (!scanning) {
        scanning = share_next_scan(share, &scan);
        return;
    }
    scanning = false;
    if (!willing && draw(8) == 0) {
        share_scan_failed(share);
        return;
    }
    if (!willing && draw(4) == 0)
        max = 1 + draw(max);
    max = max < MODEL_RECORDS_MAX ? max : MODEL_RECORDS_MAX;
    count = kit_log_scan(&model.log, &scan, willing ? model.log.head : until(scan.from, model.log.head), records, max, &next);
    memory = willing ? MEMORY_PLENTY : MEMORY_SCARCE;
    if (share_scanned(share, records, count, next))
        model_scanned(&model, records, count);
    memory = MEMORY_PLENTY;
}

static void answer_search(bool willing)
{
    struct share_record records[MODEL_RECORDS_MAX];
    struct place next;
    size_t count, max = search.records_max;

    if (!searching) {
        searching = share_next_search(share, &search);
        assert_true(!searching || kit_before(search.from, search.until));
        return;
    }
    searching = false;
    if (!willing && draw(8) == 0) {
        share_search_failed(share);
        return;
    }
    if (!willing && draw(4) == 0)
        max = 1 + draw(max);
    max = max < MODEL_RECORDS_MAX ? max : MODEL_RECORDS_MAX;
    count = kit_log_scan(&model.log, &search, willing ? search.until : until(search.from, search.until), records, max, &next);
    memory = willing ? MEMORY_PLENTY : MEMORY_SCARCE;
    (void)share_found(share, records, count, next);
    memory = MEMORY_PLENTY;
}

/* --- the workers ---------------------------------------------------------------------------------------------------------------
 */

static void join(void)
{
    struct model_worker *worker = &model.workers[draw(MODEL_WORKERS)];
    uint32_t credit = (uint32_t)draw(12), run_max = 1 + (uint32_t)draw(draw(2) ? 8 : 1);
    bool joined;

    if (worker->number != 0) {
        share_credit(share, worker->number, credit);
        worker->credit += credit;
        return;
    }
    memory = MEMORY_SCARCE;
    joined = share_join(share, next_worker + 1, credit, run_max);
    memory = MEMORY_PLENTY;
    if (joined)
        *worker = (struct model_worker){++next_worker, credit, run_max};
}

static void leave(void)
{
    struct model_worker *worker = &model.workers[draw(MODEL_WORKERS)];
    bool counted = draw(2) == 0;

    if (worker->number == 0)
        return;
    memory = MEMORY_FORBIDDEN;
    share_leave(share, worker->number, counted, model.now_ns);
    memory = MEMORY_PLENTY;
    model_left(&model, worker, counted);
}

static bool grant(void)
{
    struct share_lease leases[GRANT_RECORDS_MAX];
    uint64_t worker;
    size_t count;

    model_granting(&model, share);
    memory = MEMORY_FORBIDDEN;
    count = share_grant(share, model.now_ns, leases, 1 + draw(draw(2) ? 4 : GRANT_RECORDS_MAX), &worker);
    memory = MEMORY_PLENTY;
    model_granted(&model, share, count > 0 ? worker : 0, leases, count);
    return count > 0;
}

static void settle_one(uint64_t worker, uint64_t lease, enum share_outcome outcome, int64_t delay_ns)
{
    bool taken;

    memory = MEMORY_FORBIDDEN;
    taken = share_settle(share, worker, lease, outcome, delay_ns, model.now_ns);
    memory = MEMORY_PLENTY;
    model_settled(&model, worker, lease, outcome, delay_ns, taken);
}

static enum share_outcome draw_outcome(size_t record)
{
    if (model_is_damaged(&model, record))
        return SHARE_DAMAGED;
    if (model.log.records[record].key % 7 == 3 && draw(8) != 0) /* some keys hardly ever succeed */
        return SHARE_NACK;
    if (draw(patience) != 0)
        return SHARE_ACK;
    return (enum share_outcome)draw(SHARE_DAMAGED + 1);
}

static void settle(void)
{
    for (uint64_t n = draw(10); n > 0 && model.lease_count > 0; n--) {
        struct model_lease lease = model.leases[draw(model.lease_count)];
        int64_t delay_ns = draw(2) ? 0 : (int64_t)draw(40) * MILLISECOND_NS;

        if (draw(12) == 0) /* what is not its own, or not any more, or never was */
            lease.worker = draw(2) ? model.workers[draw(MODEL_WORKERS)].number : lease.worker + 1;
        else if (draw(12) == 0)
            lease.lease = 1 + draw(model.last_lease + 1);
        settle_one(lease.worker, lease.lease, draw_outcome(lease.record), delay_ns);
    }
}

static void tick(void)
{
    memory = MEMORY_FORBIDDEN;
    share_tick(share, model.now_ns);
    memory = MEMORY_PLENTY;
    model_ticked(&model, share);
}

static void pass_time(void)
{
    int64_t due_ns = share_due_ns(share);

    if (draw(3) == 0 && due_ns != INT64_MAX && due_ns > model.now_ns)
        model.now_ns = due_ns - (int64_t)draw(2);
    else
        model.now_ns += (int64_t)draw(draw(10) == 0 ? 500 : 5) * MILLISECOND_NS;
    if (draw(4) != 0)
        tick();
}

/* --- the disk ------------------------------------------------------------------------------------------------------------------
 */

static uint64_t puts_left;

static bool put_scarcely(void *context, const struct delta *delta)
{
    return puts_left-- > 0 && model_put(context, delta);
}

static void save(bool willing)
{
    size_t begun = model.journal_count;
    struct share_dead dead;
    bool saved;

    while (share_next_dead(share, &dead)) {
        memory = MEMORY_FORBIDDEN;
        share_bury(share);
        memory = MEMORY_PLENTY;
        model_buried(&model, &dead);
    }
    puts_left = !willing && draw(6) == 0 ? draw(10) : UINT64_MAX;
    saved = share_save(share, 1, put_scarcely, &model);
    if (!saved && draw(2) == 0) { /* what was written by the failed save is not kept, dead letters are */
        size_t kept = begun;

        while (kept < model.journal_count && model.journal[kept].kind == ENTRY_LETTER)
            kept++;
        model.journal_count = kept;
    }
    if (saved)
        model_saved(&model);
    if (saved && draw(4) != 0)
        model_join(&model, begun);
}

/* Some of the dead, whose letters are on disk, in any order; that it was said is in the block of what it changed. */
static void give_again(void)
{
    size_t begun = model.journal_count;

    for (uint64_t tries = draw(12); tries > 0 && model.log.count > 0; tries--) {
        size_t at = draw(model.log.count);
        struct model_record *record = &model.records[at];
        bool dead = record->state == MODEL_DEAD && record->durable_state == MODEL_DEAD;
        enum share_again outcome;

        if (model_is_damaged(&model, at) || (!dead && record->state != MODEL_OPEN))
            continue;
        memory = MEMORY_SCARCE;
        outcome = share_give_again(share, &model.log.records[at]);
        memory = MEMORY_PLENTY;
        model_again(&model, at, outcome);
    }
    if (model.journal_count == begun)
        return;
    save(true);
    model_join(&model, begun);
}

static void create_share(void)
{
    while (share_create(&model.config, model.catalog.cursor.place, &share) != TRUC_OK)
        ;
}

static void restart(void)
{
    size_t begin;

    share_destroy(share);
    scanning = searching = false;
    model_crashed(&model, draw(model.journal_count + 1));
    begin = draw(model.catalog.count + 1);
    if (begin < model.catalog.count && draw(4) == 0)
        damage(model.catalog.lanes[begin].place);
    memory = MEMORY_SCARCE;
    create_share();
    for (size_t i = 0; i < model.catalog.count; i++) { /* in any order */
        const struct lane_row *row = &model.catalog.lanes[(begin + i) % model.catalog.count];
        truc_status status;

        while ((status = share_restore(share, row)) == TRUC_NO_MEMORY)
            ;
        assert_int_equal(status, TRUC_OK);
        assert_int_equal(share_restore(share, row), TRUC_DAMAGED);
    }
    memory = MEMORY_PLENTY;
    share_restore_counts(share, model.catalog.cursor.acknowledged, model.catalog.cursor.dead, model.catalog.cursor.expired);
    model.now_ns += (int64_t)draw(100) * MILLISECOND_NS;
}

/* --- all together --------------------------------------------------------------------------------------------------------------
 */

static void step(void)
{
    uint64_t what = draw(1000);

    if (what < 100)
        grow();
    else if (what < 270)
        answer_scan(false);
    else if (what < 400)
        answer_search(false);
    else if (what < 550)
        (void)grant();
    else if (what < 720)
        settle();
    else if (what < 790)
        join();
    else if (what < 800)
        leave();
    else if (what < 890)
        pass_time();
    else if (what < 960)
        save(false);
    else if (what < 966)
        give_again();
    else if (what < 967 && model.log.count > 0)
        damage(model.log.records[draw(model.log.count)].place);
    else if (what < 993)
        model_durable(&model, draw(model.journal_count + 1));
    else
        restart();
    model_check(&model, share);
}

static struct model_lease oldest_lease(void)
{
    struct model_lease oldest = model.leases[0];

    for (size_t i = 1; i < model.lease_count; i++) {
        if (model.leases[i].lease < oldest.lease)
            oldest = model.leases[i];
    }
    return oldest;
}

/* From now on everything succeeds: then everything must come to its end. */
static void finish(void)
{
    assert_true(model.workers[0].number != 0 || share_join(share, next_worker + 1, 0, 4));
    if (model.workers[0].number == 0)
        model.workers[0] = (struct model_worker){++next_worker, 0, 4};
    for (size_t rounds = 0; !model_is_done(&model) || share_counts(share).lanes > 0; rounds++) {
        int64_t due_ns = share_due_ns(share);

        if (rounds == 40 * MODEL_RECORDS_MAX)
            fail_msg("it does not come to an end");
        share_credit(share, model.workers[0].number, 8);
        model.workers[0].credit += 8;
        if (scanning || kit_before(share_scan_place(share), model.log.head))
            answer_scan(true);
        answer_search(true);
        while (grant())
            ;
        while (model.lease_count > 0) {
            struct model_lease lease = oldest_lease();

            settle_one(lease.worker, lease.lease, model_is_damaged(&model, lease.record) ? SHARE_DAMAGED : SHARE_ACK, 0);
        }
        save(true);
        model_check(&model, share);
        if (due_ns != INT64_MAX && due_ns > model.now_ns)
            model.now_ns = due_ns;
        tick();
    }
    while (scanning || searching || kit_before(share_scan_place(share), model.log.head)) {
        answer_scan(true);
        answer_search(true);
    }
    save(true);
    model_durable(&model, model.journal_count);
    model_check_end(&model, share);
}

static void draw_config(struct share_config *config)
{
    *config = (struct share_config){.attempts_max = (uint32_t)draw(5),
                                    .ack_wait_ns = (int64_t)(10 + draw(60)) * MILLISECOND_NS,
                                    .backoff_count = (uint32_t)draw(4),
                                    .in_flight_max = 1 + (uint32_t)draw(draw(2) ? 60 : 8)};
    for (uint32_t i = 0; i < config->backoff_count; i++)
        config->backoff_ns[i] = (int64_t)draw(50) * MILLISECOND_NS;
    config->lanes_max = config->in_flight_max + 1 + (uint32_t)draw(draw(2) ? 60 : 4);
    config->aside_max = 1 + (uint32_t)draw(draw(2) ? 60 : 4);
    skew = 2 + (uint32_t)draw(10);
    patience = 2 + (uint32_t)draw(20);
}

static void simulate(void)
{
    struct share_config config;

    random_state = seed << 32;
    next_worker = 0;
    scanning = searching = false;
    draw_config(&config);
    model_init(&model, &config);
    create_share();
    for (uint64_t steps = 1 + draw(STEPS_MAX); steps > 0; steps--)
        step();
    finish();
    share_destroy(share);
    model_fini(&model);
}

static uint64_t first_seed = 1, seed_count;

static int64_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void simulation_any_seed_loses_doubles_and_overtakes_nothing(void **state)
{
    int64_t end = seconds() + SECONDS_MAX;
    uint64_t last = first_seed + (seed_count ? seed_count : SEEDS_MAX);

    (void)state;
    for (seed = first_seed; seed < last && (seed_count || seconds() < end); seed++)
        simulate();
    print_message("seeds %llu to %llu\n", (unsigned long long)first_seed, (unsigned long long)seed - 1);
    seed = 0;
}

static int tell_seed(void **state)
{
    (void)state;
    if (seed != 0)
        print_message("failed: --seeds 1 --first %llu\n", (unsigned long long)seed);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(simulation_any_seed_loses_doubles_and_overtakes_nothing, tell_seed)};

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0)
            seed_count = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            first_seed = strtoull(argv[i + 1], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
