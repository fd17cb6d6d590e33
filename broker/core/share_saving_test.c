/* Tests of share.h: bounds, searching, saving and restoring. */
#include "broker/core/share_internal.h"
#include "share_test_fixture.h"

/* --- bounds --------------------------------------------------------------------------------------------------------------------
 */

static void hot_key_keeps_few_records_and_finds_the_others(void **state)
{
    (void)state;
    add(7, 1000);
    create(5000);
    for (size_t i = 0; i < 1000; i++) {
        settle(expect(i, 1), SHARE_ACK);
        assert_true(share->rests.used < LANE_RECORDS_MAX);
    }
    take_none();
    assert_int_equal(share_counts(share).lanes, 0);
}

static void stuck_key_costs_the_same_among_many_others(void **state)
{
    struct share_lease leases[GRANT_RECORDS_MAX];
    uint64_t worker, settled = 0;
    struct share_lease stuck;
    size_t count;

    (void)state;
    config.ack_wait_ns = INT64_MAX;
    for (uint64_t i = 0; i < 100000; i++) {
        if (i % 10 == 0)
            add(1, 1);
        add(2 + i, 1);
    }
    create(1);
    stuck = expect(0, 1);
    share_credit(share, WORKER, UINT32_MAX);
    while (settled < 100000) {
        kit_answer_all(&records, share);
        count = share_grant(share, now_ns, leases, GRANT_RECORDS_MAX, &worker);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++)
            settle(leases[i], SHARE_ACK);
        settled += count;
        if (settled % 16 == 0)
            save();
    }
    save();
    assert_int_equal(share_counts(share).lanes, 1);
    assert_int_equal(catalog.count, 1);
    assert_int_equal(share_counts(share).oldest.position, 0);
    assert_true(share->lanes.touched <= 2 * config.lanes_max);
    assert_true(share->rests.touched <= 2 * LANE_RECORDS_MAX);
    settle(stuck, SHARE_ACK);
    for (size_t i = 1; i < 10000; i++)
        settle(expect(i * 11, 1), SHARE_ACK);
    take_none();
    save();
    assert_int_equal(catalog.count, 0);
}

static void lanes_max_stops_the_scan_until_some_are_gone(void **state)
{
    struct share_scan scan;

    (void)state;
    config.in_flight_max = 9;
    config.lanes_max = 10;
    for (uint64_t key = 1; key <= 30; key++)
        add(key, 2);
    create(100);
    for (size_t i = 0; i < 5; i++)
        settle(take(WORKER), SHARE_NACK);
    assert_true(share_counts(share).full);
    assert_int_equal(share_counts(share).lanes, 10);
    assert_false(share_next_scan(share, &scan));
    settle(take(WORKER), SHARE_ACK);
    settle(take(WORKER), SHARE_ACK);
    for (size_t i = 0; i < 200 && kit_before(share_scan_place(share), records.head); i++) {
        pass(5);
        assert_true(share_counts(share).lanes <= 10);
        settle(take(WORKER), SHARE_ACK);
        share_credit(share, WORKER, 1);
    }
    assert_false(kit_before(share_scan_place(share), records.head));
}

static void many_lanes_keep_few_records_each(void **state)
{
    (void)state;
    config.lanes_max = 20000;
    for (int round = 0; round < 20; round++) {
        for (uint64_t key = 1; key <= 10000; key++)
            add(key, 1);
    }
    create(UINT32_MAX);
    kit_answer_all(&records, share);
    for (int i = 0; i < 400; i++) { /* delays make room for more to become ready */
        struct share_lease leases[GRANT_RECORDS_MAX];
        uint64_t worker;
        size_t count = share_grant(share, now_ns, leases, GRANT_RECORDS_MAX, &worker);

        for (size_t j = 0; j < count; j++)
            assert_true(share_settle(share, WORKER, leases[j].lease, SHARE_NACK, 1000 * (int64_t)SECOND_NS, now_ns));
        kit_answer_all(&records, share);
    }
    assert_int_equal(share_counts(share).lanes, 10000);
    assert_true(share->rests.used <= RECORDS_ROOMY + 10000 * (LANE_RECORDS_FEW - 1));
    assert_true(sizeof(struct lane) <= 144);
}

/* --- searching -----------------------------------------------------------------------------------------------------------------
 */

static void search_far_behind_does_not_go_with_one_near_the_head(void **state)
{
    struct share_scan scan;
    struct place next = {100000, 0};

    (void)state;
    catalog.cursor.place = next;
    records.head = next;
    create(100);
    assert_int_equal(share_restore(share, &(struct lane_row){.key = 5, .place = {10, 0}}), TRUC_OK);
    assert_int_equal(share_restore(share, &(struct lane_row){.key = 4, .place = {20, 0}}), TRUC_OK);
    assert_int_equal(share_restore(share, &(struct lane_row){.key = 6, .place = {99990, 0}}), TRUC_OK);
    assert_true(share_next_search(share, &scan));
    assert_int_equal(scan.key_count, 2);
    assert_int_equal(scan.keys[0], 4);
    assert_int_equal(scan.keys[1], 5);
    assert_int_equal(scan.from.position, 10);
    assert_int_equal(scan.until.position, 100000);
    assert_true(share_found(share, NULL, 0, (struct place){5000, 0})); /* so far nothing */
    assert_true(share_next_search(share, &scan));                      /* now the other one's turn */
    assert_int_equal(scan.key_count, 1);
    assert_int_equal(scan.keys[0], 6);
    assert_int_equal(scan.from.position, 99990);
    share_search_failed(share);
    assert_true(share_next_search(share, &scan));
    assert_int_equal(scan.from.position, 5000);
    assert_true(share_found(share, NULL, 0, next));
    assert_int_equal(share_counts(share).lanes, 1);
}

static void search_takes_what_was_scanned_meanwhile(void **state)
{
    struct share_scan scan;
    struct share_record found[64];
    struct share_lease lease;
    struct place next;
    uint64_t worker;
    size_t count, at = 0;

    (void)state;
    add(7, LANE_RECORDS_MAX + 4);
    create(2 * LANE_RECORDS_MAX);
    while (kit_before(share_scan_place(share), records.head))
        assert_true(kit_answer_scan(&records, share));
    for (; !share_next_search(share, &scan); at++) { /* until few are left of those kept */
        assert_int_equal(share_grant(share, now_ns, &lease, 1, &worker), 1);
        settle(lease, SHARE_ACK);
    }
    assert_int_equal(scan.from.position, LANE_RECORDS_MAX);
    add(7, 3); /* appended, and scanned, while the search is on its way */
    assert_true(kit_answer_scan(&records, share));
    assert_false(kit_before(share_scan_place(share), records.head));
    count = kit_log_scan(&records, &scan, scan.until, found, scan.records_max, &next);
    assert_int_equal(count, 4);
    assert_true(share_found(share, found, count, next));
    for (; at < records.count; at++)
        settle(expect(at, 1), SHARE_ACK);
    take_none();
    assert_int_equal(share_counts(share).lanes, 0);
}

/* --- saving --------------------------------------------------------------------------------------------------------------------
 */

static void save_of_what_came_and_went_writes_only_the_place(void **state)
{
    (void)state;
    add(7, 1);
    add(0, 1);
    create(10);
    settle(expect(0, 1), SHARE_ACK);
    settle(expect(1, 1), SHARE_ACK);
    assert_true(share_unsaved(share));
    save();
    assert_int_equal(catalog.count, 0);
    assert_int_equal(catalog.cursor.place.position, 2);
    assert_int_equal(catalog.cursor.acknowledged, 2);
}

struct counted {
    size_t put, fail_at;
    bool cursor;
};

static bool put_counted(void *context, const struct delta *delta)
{
    struct counted *counted = context;

    assert_false(counted->cursor); /* nothing behind the scan place */
    assert_int_equal(delta->kind == DELTA_LANE ? delta->lane.row.subscription_id : delta->cursor.subscription_id, 9);
    counted->cursor = delta->kind == DELTA_CURSOR;
    return ++counted->put != counted->fail_at;
}

static void save_that_fails_is_given_again(void **state)
{
    struct counted counted = {0};

    (void)state;
    for (uint64_t key = 1; key <= 5; key++)
        add(key, 1);
    create(10);
    (void)expect(0, 1);
    for (size_t i = 1; i <= 6; i++) {
        counted = (struct counted){.fail_at = i};
        assert_false(share_save(share, 9, put_counted, &counted));
    }
    counted = (struct counted){0};
    assert_true(share_save(share, 9, put_counted, &counted));
    assert_int_equal(counted.put, 6);
    counted = (struct counted){0};
    assert_true(share_save(share, 9, put_counted, &counted));
    assert_int_equal(counted.put, 0); /* nothing has changed */
}

/* A save whose deltas are kept up to one of them. */
struct cut {
    struct delta deltas[64];
    size_t count;
};

static bool put_cut(void *context, const struct delta *delta)
{
    struct cut *cut = context;

    cut->deltas[cut->count++] = *delta;
    return true;
}

static void mixed_work(void)
{
    for (int i = 0; i < 12; i++) {
        struct share_lease lease = take(WORKER);

        settle(lease, lease.record.key == 3 ? SHARE_NACK : SHARE_ACK);
    }
    (void)take(WORKER);
}

static void save_cut_anywhere_loses_nothing(void **state)
{
    struct cut cut = {0};
    size_t kept = 0;

    (void)state;
    for (; kept == 0 || kept <= cut.count; kept++) {
        bool seen[30] = {0};
        uint64_t again = 0;

        for (int i = 0; i < 30; i++) /* keys 0 to 4, with and without */
            kit_log_add(&records, (uint64_t)i % 5, true, 0);
        create(100);
        settle(take(WORKER), SHARE_ACK);
        save();
        mixed_work();
        cut.count = 0;
        assert_true(share_save(share, 1, put_cut, &cut));
        for (size_t i = 0; i < kept; i++)
            kit_catalog_apply(&catalog, &cut.deltas[i]);
        for (size_t i = 0; i < records.count; i++) { /* whose lanes say nothing of it, and which is below the place, is resolved */
            const struct lane_row *row = kit_catalog_row(&catalog, &records.records[i]);

            seen[i] =
                row ? kit_before(records.records[i].place, row->place) : kit_before(records.records[i].place, catalog.cursor.place);
        }
        restart(100);
        for (;;) {
            struct share_lease lease;
            uint64_t worker;
            size_t at;

            kit_answer_all(&records, share);
            pass(100);
            if (share_grant(share, now_ns, &lease, 1, &worker) == 0)
                break;
            at = kit_log_at(&records, lease.record.place);
            assert_false(seen[at]);
            for (size_t i = 0; i < at; i++)
                assert_true(lease.record.key == 0 || records.records[i].key != lease.record.key || seen[i]);
            seen[at] = true;
            again++;
            settle(lease, SHARE_ACK);
        }
        for (size_t i = 0; i < records.count; i++)
            assert_true(seen[i]);
        assert_true(again >= 18);
        (void)fixture_end(NULL);
        (void)fixture_begin(NULL);
    }
    assert_true(kept > 5);
}

/* --- restoring -----------------------------------------------------------------------------------------------------------------
 */

static void restore_twice_the_same_lane_is_damage(void **state)
{
    struct lane_row keyed = {.key = 5, .place = {1, 2}}, bare = {.place = {3, 4}};

    (void)state;
    create(1);
    assert_int_equal(share_restore(share, &keyed), TRUC_OK);
    assert_int_equal(share_restore(share, &bare), TRUC_OK);
    keyed.place.index++;
    assert_int_equal(share_restore(share, &keyed), TRUC_DAMAGED);
    assert_int_equal(share_restore(share, &bare), TRUC_DAMAGED);
    bare.place.index++;
    assert_int_equal(share_restore(share, &bare), TRUC_OK);
    bare = (struct lane_row){.place = {9, 9}, .dead = DEAD_DAMAGED + 1};
    assert_int_equal(share_restore(share, &bare), TRUC_DAMAGED);
}

/* Rows above the scan place, whose records the log then cannot read: those that name a record give it out (its fetch will fail),
 * the others are no more. */
static void restore_ahead_passed_over_comes_to_an_end(void **state)
{
    (void)state;
    create(10);
    assert_int_equal(share_restore(share, &(struct lane_row){.key = 5, .place = {1, 0}}), TRUC_OK);
    assert_int_equal(share_restore(share, &(struct lane_row){.key = 6, .place = {2, 0}, .attempts = 1}), TRUC_OK);
    assert_int_equal(share_restore(share, &(struct lane_row){.place = {3, 0}}), TRUC_OK);
    take_none();
    assert_int_equal(share_counts(share).lanes, 3);
    records.head = (struct place){10, 0};
    kit_answer_all(&records, share);
    assert_int_equal(share_counts(share).lanes, 2);
    for (int i = 0; i < 2; i++) {
        struct share_lease lease;
        uint64_t worker;

        assert_int_equal(share_grant(share, now_ns, &lease, 1, &worker), 1);
        settle(lease, SHARE_DAMAGED);
        share_bury(share);
    }
    assert_int_equal(share_counts(share).lanes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARE_TEST(hot_key_keeps_few_records_and_finds_the_others),
        SHARE_TEST(stuck_key_costs_the_same_among_many_others),
        SHARE_TEST(lanes_max_stops_the_scan_until_some_are_gone),
        SHARE_TEST(many_lanes_keep_few_records_each),
        SHARE_TEST(search_far_behind_does_not_go_with_one_near_the_head),
        SHARE_TEST(search_takes_what_was_scanned_meanwhile),
        SHARE_TEST(save_of_what_came_and_went_writes_only_the_place),
        SHARE_TEST(save_that_fails_is_given_again),
        SHARE_TEST(save_cut_anywhere_loses_nothing),
        SHARE_TEST(restore_twice_the_same_lane_is_damage),
        SHARE_TEST(restore_ahead_passed_over_comes_to_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
