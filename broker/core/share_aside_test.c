/* Tests of share.h: records that stand aside, not due or given again, and whose turn it is. */
#include "broker/core/share_internal.h"
#include "share_test_fixture.h"

static void add_later(uint64_t key, int64_t seconds)
{
    add(key, 1);
    records.records[records.count - 1].deliver_at_ns = now_ns + seconds * SECOND_NS;
}

static enum share_again again(size_t record)
{
    return share_give_again(share, &records.records[record]);
}

static enum share_standing standing(size_t record)
{
    return share_look_at(share, &records.records[record]).standing;
}

static void bury_first(size_t record)
{
    struct share_dead dead;

    assert_true(share_next_dead(share, &dead));
    assert_int_equal(kit_log_at(&records, dead.place), record);
    share_bury(share);
}

/* --- not due -------------------------------------------------------------------------------------------------------------------
 */

static void later_record_lets_others_pass_and_takes_the_next_turn(void **state)
{
    struct share_lease lease;

    (void)state;
    add_later(7, 10);
    add(7, 3);
    create(20);
    settle(expect(1, 1), SHARE_ACK);
    assert_int_equal(standing(0), STANDING_DELAYED);
    assert_int_equal(share_counts(share).aside, 1);
    assert_int_equal(share_due_ns(share), records.records[0].deliver_at_ns);
    lease = expect(2, 1);
    pass(10);
    take_none(); /* it is its turn, but one of its key is at work */
    assert_int_equal(standing(0), STANDING_WAITING);
    settle(lease, SHARE_ACK);
    lease = expect(0, 1);
    take_none();
    settle(lease, SHARE_ACK);
    settle(expect(3, 1), SHARE_ACK);
    assert_int_equal(share_counts(share).lanes, 0);
    assert_int_equal(share->lanes.used, 0);
}

static void later_record_without_key_is_on_its_own(void **state)
{
    (void)state;
    add_later(0, 10);
    add(0, 1);
    create(20);
    settle(expect(1, 1), SHARE_ACK);
    take_none();
    save();
    assert_int_equal(catalog.count, 1);
    restart(20);
    take_none();
    pass(10);
    settle(expect(0, 1), SHARE_ACK);
    save();
    assert_int_equal(catalog.count, 0);
}

static void later_records_that_are_due_go_in_log_order(void **state)
{
    (void)state;
    add_later(7, 9);
    add_later(7, 5);
    add_later(7, 7);
    create(20);
    take_none();
    pass(10);
    for (size_t i = 0; i < 3; i++)
        settle(expect(i, 1), SHARE_ACK);
    take_none();
    assert_int_equal(share->lanes.used, 0);
}

static void later_record_that_fails_holds_its_keys_turn(void **state)
{
    (void)state;
    add_later(7, 1);
    add(7, 1);
    add_later(7, 2);
    create(20);
    kit_answer_all(&records, share);
    pass(2);
    settle(expect(0, 1), SHARE_NACK);
    take_none();
    save();
    restart(20); /* with the row of the key, and both aside, in whatever order */
    take_none();
    pass(1);
    settle(expect(0, 2), SHARE_NACK);
    pass(5);
    settle(expect(0, 3), SHARE_NACK);
    take_none();
    bury_first(0);
    settle(expect(2, 1), SHARE_ACK);
    settle(expect(1, 1), SHARE_ACK);
    save();
    assert_int_equal(catalog.count, 0);
    assert_int_equal(share->lanes.used, 0);
}

static void returned_record_gives_its_turn_to_what_is_due(void **state)
{
    struct share_lease lease;

    (void)state;
    add(7, 2);
    add_later(7, 1);
    create(20);
    lease = expect(0, 1);
    pass(1);
    settle(lease, SHARE_RETURN);
    settle(expect(2, 1), SHARE_ACK);
    settle(expect(0, 1), SHARE_ACK);
    settle(expect(1, 1), SHARE_ACK);
}

static void key_that_fails_keeps_what_is_due_waiting(void **state)
{
    (void)state;
    add(7, 2);
    add_later(7, 1);
    create(20);
    settle(expect(0, 1), SHARE_NACK);
    pass(1);
    settle(expect(0, 2), SHARE_NACK);
    take_none();
    pass(5);
    settle(expect(0, 3), SHARE_ACK);
    settle(expect(2, 1), SHARE_ACK);
    settle(expect(1, 1), SHARE_ACK);
}

static void aside_max_stops_the_scan_until_some_are_gone(void **state)
{
    struct share_scan scan;

    (void)state;
    config.aside_max = 4;
    for (uint64_t key = 1; key <= 10; key++)
        add_later(key, (int64_t)key);
    create(20);
    take_none();
    assert_true(share_counts(share).full);
    assert_int_equal(share_counts(share).aside, 4);
    assert_false(share_next_scan(share, &scan));
    for (size_t i = 0; i < 10; i++) {
        pass(1);
        settle(expect(i, 1), SHARE_ACK);
    }
    take_none();
    assert_false(kit_before(share_scan_place(share), records.head));
    assert_int_equal(share->lanes.used, 0);
}

/* A search comes across what stood aside, and is resolved or not: it is none of the key's. */
static void search_takes_nothing_aside(void **state)
{
    (void)state;
    config.ack_wait_ns = INT64_MAX;
    add(7, LANE_RECORDS_MAX + 2);
    add_later(7, 1);
    add(7, 1);
    add_later(7, 100000);
    create(5000);
    while (kit_before(share_scan_place(share), records.head))
        assert_true(kit_answer_scan(&records, share));
    pass(1);
    settle(expect(LANE_RECORDS_MAX + 2, 1), SHARE_ACK);
    save();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < LANE_RECORDS_MAX / 2 + 1; i++)
            settle(expect((size_t)round * (LANE_RECORDS_MAX / 2 + 1) + i, 1), SHARE_ACK);
        save();
        restart(5000);
    }
    assert_int_equal(standing(LANE_RECORDS_MAX + 2), STANDING_RESOLVED);
    settle(expect(LANE_RECORDS_MAX + 3, 1), SHARE_ACK);
    take_none();
    pass(100000);
    settle(expect(LANE_RECORDS_MAX + 4, 1), SHARE_ACK);
    take_none();
    save();
    assert_int_equal(catalog.count, 0);
}

/* The rows of a save that the scan place did not outlive. */
static void aside_above_the_scan_place_waits_for_the_scan(void **state)
{
    (void)state;
    add(7, 1);
    add_later(7, 5);
    create(20);
    assert_int_equal(share_restore(share, &(struct lane_row){.key = 7, .aside = true, .place = {1, 0}, .attempts = 1}), TRUC_OK);
    assert_int_equal(share_restore(share, &(struct lane_row){.key = 7, .aside = true, .place = {1, 0}}), TRUC_DAMAGED);
    assert_int_equal(standing(1), STANDING_AHEAD);
    settle(expect(1, 2), SHARE_ACK); /* it has failed: it goes before the key's own */
    settle(expect(0, 1), SHARE_ACK);
    take_none();
    save();
    assert_int_equal(share->lanes.used, 0);
}

/* --- given again ---------------------------------------------------------------------------------------------------------------
 */

static void dead_record_given_again_takes_the_next_turn(void **state)
{
    struct share_lease lease;

    (void)state;
    add(7, 4);
    create(20);
    assert_int_equal(again(0), SHARE_AGAIN_HELD); /* not scanned yet */
    settle(expect(0, 1), SHARE_REJECT);
    assert_int_equal(again(0), SHARE_AGAIN_HELD); /* not buried */
    bury_first(0);
    save();
    lease = expect(1, 1);
    assert_int_equal(again(3), SHARE_AGAIN_HELD);
    assert_int_equal(again(0), SHARE_AGAIN_OK);
    assert_int_equal(again(0), SHARE_AGAIN_HELD);
    assert_true(share_unsaved(share));
    take_none();
    settle(lease, SHARE_ACK);
    save();
    restart(20);
    settle(expect(0, 1), SHARE_ACK);
    settle(expect(2, 1), SHARE_ACK);
    settle(expect(3, 1), SHARE_ACK);
    save();
    assert_int_equal(catalog.count, 0);
    assert_int_equal(catalog.cursor.acknowledged, 4);
    assert_int_equal(catalog.cursor.dead, 1);
}

static void several_given_again_come_in_log_order(void **state)
{
    static const size_t order[] = {3, 1, 4, 0, 2};

    (void)state;
    config.aside_max = 5;
    add(7, 5);
    add(0, 1);
    create(20);
    for (size_t i = 0; i < 6; i++) {
        size_t record = i == 0 ? 0 : i == 1 ? 5 : i - 1; /* the one without a key has its turn in between */

        settle(expect(record, 1), SHARE_REJECT);
        bury_first(record);
    }
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(again(order[i]), SHARE_AGAIN_OK);
    assert_int_equal(again(5), SHARE_AGAIN_FULL);
    for (size_t i = 0; i < 5; i++)
        settle(expect(i, 1), SHARE_ACK);
    assert_int_equal(again(5), SHARE_AGAIN_OK);
    settle(expect(5, 1), SHARE_ACK);
    take_none();
    assert_int_equal(share->lanes.used, 0);
}

/* --- looking -------------------------------------------------------------------------------------------------------------------
 */

static void look_tells_how_it_stands_with_a_record(void **state)
{
    struct share_look look;

    (void)state;
    add(7, 2);
    add(0, 2);
    add_later(7, 5);
    create(20);
    assert_int_equal(standing(0), STANDING_AHEAD);
    settle(expect(0, 1), SHARE_NACK);
    look = share_look_at(share, &records.records[0]);
    assert_int_equal(look.standing, STANDING_DELAYED);
    assert_int_equal(look.attempts, 1);
    assert_int_equal(look.first_failed_ns, now_ns);
    assert_int_equal(standing(1), STANDING_WAITING);
    assert_int_equal(standing(2), STANDING_WAITING);
    (void)expect(2, 1);
    assert_int_equal(standing(2), STANDING_LEASED);
    settle(expect(3, 1), SHARE_REJECT);
    assert_int_equal(standing(3), STANDING_DEAD);
    share_bury(share);
    assert_int_equal(standing(3), STANDING_RESOLVED);
    assert_int_equal(standing(4), STANDING_DELAYED);
    pass(1);
    settle(expect(0, 2), SHARE_ACK);
    assert_int_equal(standing(0), STANDING_RESOLVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARE_TEST(later_record_lets_others_pass_and_takes_the_next_turn),
        SHARE_TEST(later_record_without_key_is_on_its_own),
        SHARE_TEST(later_records_that_are_due_go_in_log_order),
        SHARE_TEST(later_record_that_fails_holds_its_keys_turn),
        SHARE_TEST(returned_record_gives_its_turn_to_what_is_due),
        SHARE_TEST(key_that_fails_keeps_what_is_due_waiting),
        SHARE_TEST(aside_max_stops_the_scan_until_some_are_gone),
        SHARE_TEST(search_takes_nothing_aside),
        SHARE_TEST(aside_above_the_scan_place_waits_for_the_scan),
        SHARE_TEST(dead_record_given_again_takes_the_next_turn),
        SHARE_TEST(several_given_again_come_in_log_order),
        SHARE_TEST(look_tells_how_it_stands_with_a_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
