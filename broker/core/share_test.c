/* Tests of share.h: order, attempts, the dead, workers. Bounds, searching and saving: share_saving_test.c. */
#include "share_test_fixture.h"

/* --- order ---------------------------------------------------------------------------------------------------------------------
 */

static void order_one_at_a_time_within_a_key(void **state)
{
    struct share_lease lease;

    (void)state;
    add(7, 3);
    create(10);
    for (size_t i = 0; i < 3; i++) {
        lease = expect(i, 1);
        take_none();
        settle(lease, SHARE_ACK);
    }
    take_none();
    assert_int_equal(share_counts(share).lanes, 0);
}

static void order_without_key_everything_at_once(void **state)
{
    struct share_lease leases[8];
    uint64_t worker;

    (void)state;
    add(0, 5);
    create(10);
    kit_answer_all(&records, share);
    assert_int_equal(share_grant(share, now_ns, leases, 8, &worker), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(kit_log_at(&records, leases[i].record.place), i);
        assert_int_equal(leases[i].lease, i + 1);
    }
}

static void order_refused_record_holds_up_its_key_only(void **state)
{
    (void)state;
    add(7, 2);
    add(8, 2);
    create(10);
    settle(expect(0, 1), SHARE_NACK);
    settle(expect(2, 1), SHARE_ACK);
    settle(expect(3, 1), SHARE_ACK);
    take_none();
    pass(1);
    settle(expect(0, 2), SHARE_ACK);
    settle(expect(1, 1), SHARE_ACK);
}

static void order_kept_through_lapse_and_leaving(void **state)
{
    struct share_lease lease;

    (void)state;
    add(7, 2);
    create(10);
    lease = expect(0, 1);
    assert_int_equal(share_due_ns(share), now_ns + config.ack_wait_ns);
    pass(30);
    assert_false(share_settle(share, WORKER, lease.lease, SHARE_ACK, 0, now_ns));
    take_none(); /* it waits for its back-off */
    pass(1);
    (void)expect(0, 2);
    share_leave(share, WORKER, false, now_ns);
    assert_true(share_join(share, WORKER, 10, 1));
    (void)expect(0, 2); /* went back uncounted */
    share_leave(share, WORKER, true, now_ns);
    assert_true(share_join(share, WORKER, 10, 1));
    take_none();
    pass(5);
    settle(expect(0, 3), SHARE_ACK);
    settle(expect(1, 1), SHARE_ACK);
}

static void order_kept_through_restart(void **state)
{
    (void)state;
    add(7, 3);
    create(10);
    settle(expect(0, 1), SHARE_ACK);
    save();
    (void)expect(1, 1);
    save();
    restart(10);
    settle(expect(1, 1), SHARE_NACK);
    save();
    restart(10);
    take_none();
    pass(1);
    settle(expect(1, 2), SHARE_ACK);
    settle(expect(2, 1), SHARE_ACK);
    save();
    assert_int_equal(catalog.count, 0);
    assert_int_equal(catalog.cursor.acknowledged, 3);
}

static void order_returned_first_refused_last(void **state)
{
    struct share_lease leases[3];
    uint64_t worker;

    (void)state;
    config.backoff_count = 0;
    add(0, 6);
    create(20);
    kit_answer_all(&records, share);
    assert_int_equal(share_grant(share, now_ns, leases, 3, &worker), 3);
    settle(leases[0], SHARE_NACK);   /* to the end */
    settle(leases[1], SHARE_RETURN); /* to the front */
    settle(expect(1, 1), SHARE_ACK);
    for (size_t i = 3; i < 6; i++)
        settle(expect(i, 1), SHARE_ACK);
    settle(expect(0, 2), SHARE_ACK);
    share_leave(share, WORKER, false, now_ns);
    assert_true(share_join(share, WORKER, 1, 1));
    settle(expect(2, 1), SHARE_ACK);
}

/* --- attempts, delays, the dead ------------------------------------------------------------------------------------------------
 */

static void backoff_grows_and_its_last_repeats(void **state)
{
    static const int64_t waits[] = {1, 5, 5, 5};

    (void)state;
    config.attempts_max = 0;
    add(7, 1);
    create(20);
    for (uint32_t i = 0; i < 4; i++) {
        settle(expect(0, i + 1), SHARE_NACK);
        pass(waits[i] - 1);
        take_none();
        assert_int_equal(share_due_ns(share), now_ns + SECOND_NS);
        pass(1);
    }
    assert_true(share_settle(share, WORKER, expect(0, 5).lease, SHARE_NACK, 90 * (int64_t)SECOND_NS, now_ns));
    pass(89);
    take_none();
    pass(1);
    (void)expect(0, 6);
}

static void extend_moves_the_end_of_a_lease(void **state)
{
    struct share_lease lease;

    (void)state;
    add(7, 1);
    create(20);
    lease = expect(0, 1);
    pass(29);
    settle(lease, SHARE_EXTEND);
    pass(29);
    assert_true(share_settle(share, WORKER, lease.lease, SHARE_EXTEND, 2 * (int64_t)SECOND_NS, now_ns));
    pass(2);
    assert_false(share_settle(share, WORKER, lease.lease, SHARE_ACK, 0, now_ns));
}

static void stale_settle_changes_nothing(void **state)
{
    struct share_lease lease;

    (void)state;
    add(7, 2);
    create(20);
    assert_true(share_join(share, OTHER, 0, 1));
    lease = expect(0, 1);
    assert_false(share_settle(share, OTHER, lease.lease, SHARE_ACK, 0, now_ns));
    assert_false(share_settle(share, 99, lease.lease, SHARE_ACK, 0, now_ns));
    assert_false(share_settle(share, WORKER, lease.lease + 1, SHARE_ACK, 0, now_ns));
    assert_false(share_unsaved(share));
    settle(lease, SHARE_ACK);
    assert_true(share_unsaved(share));
    assert_false(share_settle(share, WORKER, lease.lease, SHARE_ACK, 0, now_ns));
    (void)expect(1, 1);
    assert_int_equal(share_counts(share).acknowledged, 1);
}

static void dead_after_attempts_once_then_the_next(void **state)
{
    struct share_dead dead;
    int64_t first_ns;

    (void)state;
    add(7, 2);
    create(20);
    assert_false(share_next_dead(share, &dead));
    first_ns = now_ns;
    for (uint32_t i = 1; i <= 3; i++) {
        settle(expect(0, i), SHARE_NACK);
        pass(5);
    }
    take_none(); /* the key waits for the burial */
    save();
    restart(20); /* the dead letter was not written */
    take_none();
    assert_true(share_next_dead(share, &dead));
    assert_int_equal(kit_log_at(&records, dead.place), 0);
    assert_int_equal(dead.attempts, 3);
    assert_int_equal(dead.reason, DEAD_ATTEMPTS);
    assert_int_equal(dead.first_failed_ns, first_ns);
    assert_int_equal(dead.last_failed_ns, first_ns + 10 * (int64_t)SECOND_NS);
    share_bury(share);
    assert_false(share_next_dead(share, &dead));
    save();
    restart(20);
    assert_false(share_next_dead(share, &dead));
    settle(expect(1, 1), SHARE_ACK);
    save();
    assert_int_equal(catalog.count, 0);
    assert_int_equal(catalog.cursor.dead, 1);
    assert_int_equal(catalog.cursor.acknowledged, 1);
}

static void dead_when_rejected_or_damaged(void **state)
{
    struct share_dead dead;

    (void)state;
    add(0, 2);
    create(20);
    settle(expect(0, 1), SHARE_REJECT);
    settle(expect(1, 1), SHARE_DAMAGED);
    assert_true(share_next_dead(share, &dead));
    assert_int_equal(dead.reason, DEAD_REJECTED);
    assert_int_equal(dead.attempts, 1);
    save();
    restart(20);
    for (int i = 0; i < 2; i++) {
        assert_true(share_next_dead(share, &dead));
        assert_int_equal(dead.reason, kit_log_at(&records, dead.place) == 0 ? DEAD_REJECTED : DEAD_DAMAGED);
        assert_int_equal(dead.attempts, kit_log_at(&records, dead.place) == 0 ? 1 : 0);
        share_bury(share);
    }
    save();
    assert_int_equal(catalog.count, 0);
}

/* --- workers -------------------------------------------------------------------------------------------------------------------
 */

static void credit_is_spent_by_grants_only(void **state)
{
    struct share_lease leases[10];
    uint64_t worker;

    (void)state;
    add(0, 20);
    create(3);
    kit_answer_all(&records, share);
    assert_int_equal(share_grant(share, now_ns, leases, 10, &worker), 3);
    take_none();
    settle(leases[0], SHARE_ACK);
    settle(leases[1], SHARE_RETURN);
    settle(leases[2], SHARE_NACK);
    take_none();
    share_credit(share, WORKER, 2);
    assert_int_equal(share_grant(share, now_ns, leases, 10, &worker), 2);
    share_credit(share, 99, 2); /* a worker that is gone */
    take_none();
}

static void credit_in_flight_max_bounds_all_workers(void **state)
{
    struct share_lease leases[10];
    uint64_t worker;

    (void)state;
    config.in_flight_max = 4;
    add(0, 20);
    create(3);
    assert_true(share_join(share, OTHER, 10, 1));
    kit_answer_all(&records, share);
    assert_int_equal(share_grant(share, now_ns, leases, 10, &worker), 3);
    assert_int_equal(worker, WORKER);
    settle(leases[0], SHARE_ACK);
    assert_int_equal(share_grant(share, now_ns, leases, 10, &worker), 2);
    assert_int_equal(worker, OTHER);
    assert_int_equal(share_grant(share, now_ns, leases, 10, &worker), 0);
    assert_int_equal(share_counts(share).leased, 4);
}

static void turns_go_round_the_workers(void **state)
{
    struct share_lease leases[2];
    uint64_t worker;

    (void)state;
    add(0, 50);
    create(100);
    for (uint64_t i = 2; i <= 4; i++)
        assert_true(share_join(share, i, i == 3 ? 2 : 100, 1));
    kit_answer_all(&records, share);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 1; i <= 4; i++) {
            if (i == 3 && round > 0)
                continue; /* its credit is spent */
            assert_int_equal(share_grant(share, now_ns, leases, 2, &worker), 2);
            assert_int_equal(worker, i);
        }
    }
}

static void fairness_a_hot_key_does_not_keep_others_waiting(void **state)
{
    struct share_lease lease;

    (void)state;
    for (int i = 0; i < 1000; i++)
        add(1, 1);
    for (uint64_t key = 2; key < 12; key++)
        add(key, 1);
    create(2000);
    lease = expect(0, 1);
    settle(lease, SHARE_ACK);
    /* Of any two turns one is another key's, as long as there are any. */
    for (uint64_t key = 2; key < 12; key++) {
        lease = take(WORKER);
        if (lease.record.key == 1) {
            settle(lease, SHARE_ACK);
            lease = take(WORKER);
        }
        assert_int_equal(lease.record.key, key);
        settle(lease, SHARE_ACK);
    }
}

static void nobody_wants_nothing_is_asked_for(void **state)
{
    struct share_scan scan;

    (void)state;
    add(7, 100);
    create(0);
    assert_false(share_next_scan(share, &scan));
    share_credit(share, WORKER, 1);
    assert_true(share_next_scan(share, &scan));
    assert_false(share_next_scan(share, &scan)); /* one at a time */
    share_scan_failed(share);
    assert_true(share_next_scan(share, &scan));
    assert_int_equal(scan.from.position, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARE_TEST(order_one_at_a_time_within_a_key),
        SHARE_TEST(order_without_key_everything_at_once),
        SHARE_TEST(order_refused_record_holds_up_its_key_only),
        SHARE_TEST(order_kept_through_lapse_and_leaving),
        SHARE_TEST(order_kept_through_restart),
        SHARE_TEST(order_returned_first_refused_last),
        SHARE_TEST(backoff_grows_and_its_last_repeats),
        SHARE_TEST(extend_moves_the_end_of_a_lease),
        SHARE_TEST(stale_settle_changes_nothing),
        SHARE_TEST(dead_after_attempts_once_then_the_next),
        SHARE_TEST(dead_when_rejected_or_damaged),
        SHARE_TEST(credit_is_spent_by_grants_only),
        SHARE_TEST(credit_in_flight_max_bounds_all_workers),
        SHARE_TEST(turns_go_round_the_workers),
        SHARE_TEST(fairness_a_hot_key_does_not_keep_others_waiting),
        SHARE_TEST(nobody_wants_nothing_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
