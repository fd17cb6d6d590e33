/* hand_test.c: leases in hand, and the marks of ordered workers. */
#undef NDEBUG
#include "clients/c/hand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "clients/c/mark.h"

static void hand_numbers_lead_to_leases(void **state)
{
    struct hand hand = {0};

    (void)state;
    assert_null(hand_find(&hand, 1));
    for (uint64_t number = 1; number <= 200; number++)
        assert_true(hand_add(&hand, number, (struct hand_item){1000 + number * 3, number % 2}));
    assert_int_equal(hand_find(&hand, 70)->lease, 1210);
    assert_int_equal(hand_find(&hand, 71)->key, 1);
    assert_int_equal(hand_find(&hand, 200)->lease, 1600);
    assert_null(hand_find(&hand, 0));
    assert_null(hand_find(&hand, 201));
    assert_null(hand_find(&hand, 100000));
    hand_settle(&hand, 65);
    assert_null(hand_find(&hand, 65));
    assert_non_null(hand_find(&hand, 64));
    hand_clear(&hand);
    assert_null(hand_find(&hand, 1));
    assert_true(hand_add(&hand, 201, (struct hand_item){1, 0})); /* in the middle of a row */
    assert_null(hand_find(&hand, 200));
    assert_non_null(hand_find(&hand, 201));
    hand_settle(&hand, 201);
    assert_true(hand_add(&hand, 202, (struct hand_item){2, 0}));
    assert_int_equal(hand_find(&hand, 202)->lease, 2);
    hand_fini(&hand);
}

/* One lease that is never settled holds up no memory of the others. */
static void hand_stuck_lease_keeps_no_others(void **state)
{
    struct hand hand = {0};

    (void)state;
    assert_true(hand_add(&hand, 1, (struct hand_item){1, 0}));
    for (uint64_t number = 2; number < 100000; number++) {
        assert_true(hand_add(&hand, number, (struct hand_item){number * 3, 0}));
        hand_settle(&hand, number);
    }
    assert_true(hand.capacity <= 64);
    assert_int_equal(hand_find(&hand, 1)->lease, 1);
    hand_fini(&hand);
}

static void marks_move_by_whole_entries(void **state)
{
    struct marks marks = {0};

    (void)state;
    marks_reset(&marks, 0, 100);
    marks_add(&marks, 10, 101);
    marks_add(&marks, 15, 102);
    marks_add(&marks, 15, 110); /* positions without a wanted record */
    marks_acknowledge(&marks, 9);
    assert_int_equal(marks.reached.position, 100);
    marks_acknowledge(&marks, 12);
    assert_int_equal(marks.reached.position, 101);
    marks_acknowledge(&marks, 3); /* back is nowhere */
    assert_int_equal(marks.reached.position, 101);
    marks_acknowledge(&marks, 15);
    assert_int_equal(marks.reached.position, 110);
    marks_add(&marks, 15, 120); /* all before are acknowledged */
    assert_int_equal(marks.reached.position, 120);
    marks_reset(&marks, 15, 102);
    assert_int_equal(marks.floor, 15);
    assert_int_equal(marks.reached.position, 102);
    marks_fini(&marks);
}

/* Whoever never acknowledges costs no more memory than MARKS_MAX marks, and still comes to its place. */
static void marks_are_bounded(void **state)
{
    struct marks marks = {0};

    (void)state;
    marks_reset(&marks, 0, 0);
    for (uint64_t i = 1; i <= 3 * MARKS_MAX; i++)
        marks_add(&marks, i, i + 1);
    assert_int_equal(marks.count, MARKS_MAX);
    marks_acknowledge(&marks, 100);
    assert_int_equal(marks.reached.position, 101);
    marks_acknowledge(&marks, 2 * MARKS_MAX);
    assert_int_equal(marks.reached.position, MARKS_MAX);
    marks_acknowledge(&marks, 3 * MARKS_MAX);
    assert_int_equal(marks.reached.position, 3 * MARKS_MAX + 1);
    marks_fini(&marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_numbers_lead_to_leases),
        cmocka_unit_test(hand_stuck_lease_keeps_no_others),
        cmocka_unit_test(marks_move_by_whole_entries),
        cmocka_unit_test(marks_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
