/* Tests of share.h: runs of one key: how they are given, settled in order, and end. */
#include "share_test_fixture.h"

enum { MANY = 1000 };
static struct share_lease leases[GRANT_RECORDS_MAX];

/* A share whose worker takes runs. */
static void create_runner(uint32_t run_max)
{
    create(0);
    share_leave(share, WORKER, false, now_ns);
    assert_true(share_join(share, WORKER, MANY, run_max));
}

static void grant(size_t count)
{
    uint64_t worker;

    kit_answer_all(&records, share);
    assert_int_equal(share_grant(share, now_ns, leases, GRANT_RECORDS_MAX, &worker), count);
}

static size_t record_of(size_t lease)
{
    return kit_log_at(&records, leases[lease].record.place);
}

static void run_comes_in_order_and_is_settled_in_order(void **state)
{
    (void)state;
    add(7, 5);
    create_runner(4);
    grant(4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(record_of(i), i);
        assert_int_equal(leases[i].lease, i + 1);
        assert_int_equal(leases[i].attempt, 1);
    }
    assert_int_equal(share_counts(share).leased, 4);
    grant(0); /* the fifth waits for the whole run */
    assert_false(share_settle(share, WORKER, 2, SHARE_ACK, 0, now_ns));
    assert_false(share_settle(share, WORKER, 3, SHARE_NACK, 0, now_ns));
    assert_false(share_settle(share, WORKER, 4, SHARE_RETURN, 0, now_ns));
    assert_false(share_unsaved(share));
    for (size_t i = 0; i < 4; i++)
        settle(leases[i], SHARE_ACK);
    grant(1);
    assert_int_equal(record_of(0), 4);
    assert_int_equal(leases[0].lease, 5);
}

static void run_refused_frees_those_behind_uncounted(void **state)
{
    (void)state;
    add(7, 4);
    create_runner(3);
    grant(3);
    settle(leases[0], SHARE_ACK);
    settle(leases[1], SHARE_NACK);
    assert_false(share_settle(share, WORKER, leases[2].lease, SHARE_ACK, 0, now_ns));
    assert_false(share_holds(share, WORKER, leases[2].lease));
    assert_int_equal(share_counts(share).leased, 0);
    pass(1);
    grant(3);
    assert_int_equal(record_of(0), 1);
    assert_int_equal(leases[0].attempt, 2);
    assert_int_equal(leases[1].attempt, 1);
    settle(leases[0], SHARE_REJECT);
    grant(0);
    share_bury(share);
    grant(2);
    assert_int_equal(record_of(0), 2);
    settle(leases[0], SHARE_RETURN);
    grant(2);
    assert_int_equal(record_of(0), 2);
    assert_int_equal(leases[0].attempt, 1);
}

static void run_lapses_from_the_last_settlement_on(void **state)
{
    (void)state;
    add(7, 3);
    create_runner(3);
    grant(3);
    pass(20);
    settle(leases[0], SHARE_ACK);
    pass(29);
    settle(leases[2], SHARE_EXTEND); /* any of the run */
    pass(29);
    settle(leases[1], SHARE_ACK);
    pass(30);
    assert_false(share_settle(share, WORKER, leases[2].lease, SHARE_ACK, 0, now_ns));
    pass(1);
    grant(1);
    assert_int_equal(record_of(0), 2);
    assert_int_equal(leases[0].attempt, 2);
}

static void run_damaged_inside_is_cut_before_it(void **state)
{
    struct share_dead dead;

    (void)state;
    add(7, 4);
    create_runner(4);
    grant(4);
    settle(leases[2], SHARE_DAMAGED);
    assert_true(share_holds(share, WORKER, leases[1].lease));
    assert_false(share_holds(share, WORKER, leases[2].lease));
    assert_false(share_holds(share, WORKER, leases[3].lease));
    assert_false(share_next_dead(share, &dead));
    settle(leases[0], SHARE_ACK);
    settle(leases[1], SHARE_ACK);
    grant(2);
    settle(leases[0], SHARE_DAMAGED);
    assert_true(share_next_dead(share, &dead));
    assert_int_equal(kit_log_at(&records, dead.place), 2);
    share_bury(share);
    grant(1);
    assert_int_equal(record_of(0), 3);
}

static void run_leaves_room_for_each_ready_key(void **state)
{
    size_t of_key[4] = {0};

    (void)state;
    add(1, 100);
    add(2, 1);
    add(3, 100);
    create_runner(KEY_RUN_MAX);
    share_leave(share, WORKER, false, now_ns);
    assert_true(share_join(share, WORKER, 21, KEY_RUN_MAX));
    grant(21);
    for (size_t i = 0; i < 21; i++) {
        of_key[leases[i].record.key]++;
        assert_true(i == 0 || kit_before(leases[i - 1].record.place, leases[i].record.place));
        assert_int_equal(leases[i].lease, i + 1);
    }
    assert_int_equal(of_key[1], 7); /* a third of what room the first ones left, */
    assert_int_equal(of_key[2], 1);
    assert_int_equal(of_key[3], 13); /* and what the others did not take */
}

static void runs_in_flight_are_counted_by_record(void **state)
{
    (void)state;
    config.in_flight_max = 5;
    add(1, 10);
    add(2, 10);
    create_runner(10);
    grant(5);
    assert_int_equal(share_counts(share).leased, 5);
    grant(0);
    settle(leases[0], SHARE_ACK);
    settle(leases[1], SHARE_ACK);
    grant(0); /* both keys are in the worker's hands */
    settle(leases[2], SHARE_ACK);
    grant(3);
    assert_int_equal(share_counts(share).leased, 5);
}

static void run_of_a_worker_that_left_comes_again_as_a_whole(void **state)
{
    (void)state;
    add(7, 3);
    create_runner(3);
    grant(3);
    settle(leases[0], SHARE_ACK);
    share_leave(share, WORKER, true, now_ns);
    assert_true(share_join(share, WORKER, MANY, 3));
    pass(1);
    grant(2);
    assert_int_equal(record_of(0), 1);
    assert_int_equal(leases[0].attempt, 2);
    assert_int_equal(leases[1].attempt, 1);
    save();
    restart(10);
    (void)expect(1, 2);
}

/* --- expiry --------------------------------------------------------------------------------------------------------------------
 */

static void add_expiring(uint64_t key, int64_t seconds)
{
    add(key, 1);
    records.records[records.count - 1].expires_at_ns = now_ns + seconds * SECOND_NS;
}

static void expired_are_passed_over_and_counted(void **state)
{
    (void)state;
    add_expiring(7, 0);
    add_expiring(7, 5);
    add(7, 1);
    add_expiring(0, 0);
    create(10);
    kit_answer_all(&records, share);
    assert_int_equal(share_counts(share).expired, 0); /* nobody took any */
    settle(expect(1, 1), SHARE_ACK);
    settle(expect(2, 1), SHARE_ACK);
    take_none();
    assert_int_equal(share_counts(share).expired, 2);
    assert_int_equal(share_counts(share).lanes, 0);
    save();
    assert_int_equal(catalog.cursor.expired, 2);
    restart(10);
    take_none();
    assert_int_equal(share_counts(share).expired, 2);
}

static void expired_while_it_waited_for_its_next_try(void **state)
{
    (void)state;
    add_expiring(7, 1);
    add_expiring(0, 1);
    add(7, 1);
    create(10);
    settle(expect(0, 1), SHARE_NACK);
    settle(expect(1, 1), SHARE_NACK);
    save();
    restart(10); /* the rows know when they expire */
    pass(1);
    (void)expect(2, 1);
    take_none();
    assert_int_equal(share_counts(share).expired, 2);
    assert_true(share_unsaved(share));
}

static void expired_ends_a_run_before_it(void **state)
{
    (void)state;
    add(7, 2);
    add_expiring(7, 0);
    add(7, 1);
    create_runner(8);
    grant(2);
    assert_int_equal(share_counts(share).expired, 0);
    settle(leases[0], SHARE_ACK);
    settle(leases[1], SHARE_ACK);
    grant(1);
    assert_int_equal(record_of(0), 3);
    assert_int_equal(share_counts(share).expired, 1);
}

static void expired_needs_no_credit(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        add_expiring(7, 0);
    add(7, 1);
    create(1);
    (void)expect(10, 1);
    assert_int_equal(share_counts(share).expired, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARE_TEST(run_comes_in_order_and_is_settled_in_order),
        SHARE_TEST(run_refused_frees_those_behind_uncounted),
        SHARE_TEST(run_lapses_from_the_last_settlement_on),
        SHARE_TEST(run_damaged_inside_is_cut_before_it),
        SHARE_TEST(run_leaves_room_for_each_ready_key),
        SHARE_TEST(runs_in_flight_are_counted_by_record),
        SHARE_TEST(run_of_a_worker_that_left_comes_again_as_a_whole),
        SHARE_TEST(expired_are_passed_over_and_counted),
        SHARE_TEST(expired_while_it_waited_for_its_next_try),
        SHARE_TEST(expired_ends_a_run_before_it),
        SHARE_TEST(expired_needs_no_credit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
