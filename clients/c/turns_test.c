/* turns_test.c: of one key one record at a time. */
#undef NDEBUG
#include "clients/c/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t next_number = 1;

static struct turn_record *record_at(uint64_t position)
{
    struct turn_record *record = calloc(1, sizeof *record);

    assert_non_null(record);
    record->message = calloc(1, sizeof *record->message);
    assert_non_null(record->message);
    record->message->position = position;
    record->lease = position;
    return record;
}

/* A record at a position, its lease the same number unless given. Returns its number when it is handed over. */
static uint64_t arrive(struct turns *turns, uint64_t key, uint64_t position, uint64_t lease, enum arrival expected, size_t dropped)
{
    struct turn *turn = NULL;
    size_t count = 99;
    enum arrival arrival = turns_arrive(turns, key, (struct turn_place){position, 0}, lease, next_number, &turn, &count);

    assert_int_equal(arrival, expected);
    assert_int_equal(count, dropped);
    if (arrival == ARRIVAL_WAIT)
        turns_wait(turn, record_at(position));
    return arrival == ARRIVAL_GIVE ? next_number++ : 0;
}

static uint64_t take(struct turns *turns, uint64_t position)
{
    uint64_t key = 0;
    struct turn_record *record;

    assert_non_null(turns_first(turns));
    record = turns_take(turns, next_number, &key);
    assert_int_equal(record->message->position, position);
    turn_record_free(record);
    return next_number++;
}

static void turns_come_one_by_one(void **state)
{
    struct turns turns = {0};
    uint64_t first, other;

    (void)state;
    first = arrive(&turns, 7, 10, 10, ARRIVAL_GIVE, 0);
    (void)arrive(&turns, 7, 11, 11, ARRIVAL_WAIT, 0);
    (void)arrive(&turns, 7, 12, 12, ARRIVAL_WAIT, 0);
    other = arrive(&turns, 8, 13, 13, ARRIVAL_GIVE, 0);
    assert_false(turns_acknowledged(&turns, 8, other));
    assert_false(turns_acknowledged(&turns, 8, other));
    assert_int_equal(turns.count, 1);
    assert_null(turns_first(&turns));
    assert_false(turns_acknowledged(&turns, 7, first + 100));
    assert_true(turns_acknowledged(&turns, 7, first));
    (void)arrive(&turns, 7, 14, 14, ARRIVAL_WAIT, 0); /* also behind one that is ready */
    first = take(&turns, 11);
    assert_null(turns_first(&turns));
    assert_true(turns_acknowledged(&turns, 7, first));
    first = take(&turns, 12);
    assert_true(turns_acknowledged(&turns, 7, first));
    first = take(&turns, 14);
    assert_false(turns_acknowledged(&turns, 7, first));
    assert_int_equal(turns.count, 0);
    turns_fini(&turns);
}

/* What lies behind a refused record does not overtake it, however late it is looked at. */
static void turns_nothing_overtakes_a_refused_record(void **state)
{
    struct turns turns = {0};
    uint64_t first;

    (void)state;
    first = arrive(&turns, 7, 10, 1, ARRIVAL_GIVE, 0);
    (void)arrive(&turns, 7, 11, 2, ARRIVAL_WAIT, 0);
    assert_int_equal(turns_refused(&turns, 7, first + 9, 5), 0);
    assert_int_equal(turns_refused(&turns, 7, first, 5), 1);
    (void)arrive(&turns, 7, 12, 3, ARRIVAL_RETURN, 0); /* the answer has not come */
    turns_answered(&turns, 4, 20);
    (void)arrive(&turns, 7, 12, 4, ARRIVAL_RETURN, 0);
    turns_answered(&turns, 5, 6);
    (void)arrive(&turns, 7, 12, 6, ARRIVAL_RETURN, 0); /* it came before the answer */
    turns_consumed(&turns, 5);
    assert_int_equal(turns.count, 1);
    first = arrive(&turns, 7, 10, 6, ARRIVAL_GIVE, 0); /* the refused one again */
    (void)arrive(&turns, 7, 11, 7, ARRIVAL_WAIT, 0);
    assert_int_equal(turns_refused(&turns, 7, first, 6), 1);
    turns_answered(&turns, 6, 8);
    first = arrive(&turns, 7, 11, 9, ARRIVAL_GIVE, 0); /* sent after the answer: the refused one is dead */
    assert_int_equal(turns_refused(&turns, 7, first, 7), 0);
    turns_answered(&turns, 7, 9);
    turns_consumed(&turns, 9);
    assert_int_equal(turns.count, 0);
    turns_fini(&turns);
}

static void turns_lapsed_lease_makes_room(void **state)
{
    struct turns turns = {0};
    uint64_t first, again;

    (void)state;
    first = arrive(&turns, 7, 10, 1, ARRIVAL_GIVE, 0);
    (void)arrive(&turns, 7, 11, 2, ARRIVAL_WAIT, 0);
    (void)arrive(&turns, 7, 12, 3, ARRIVAL_WAIT, 0);
    again = arrive(&turns, 7, 10, 4, ARRIVAL_GIVE, 2);
    assert_false(turns_acknowledged(&turns, 7, first)); /* nobody's */
    (void)arrive(&turns, 7, 11, 5, ARRIVAL_WAIT, 0);
    assert_true(turns_acknowledged(&turns, 7, again));
    again = arrive(&turns, 7, 10, 6, ARRIVAL_GIVE, 1); /* also of one that was ready */
    assert_null(turns_first(&turns));
    (void)arrive(&turns, 7, 11, 7, ARRIVAL_WAIT, 0);
    (void)arrive(&turns, 7, 11, 8, ARRIVAL_GIVE, 1); /* the first died meanwhile */
    turns_clear(&turns);
    assert_int_equal(turns.count, 0);
    turns_fini(&turns);
}

static void turns_of_many_keys_keep_apart(void **state)
{
    struct turns turns = {0};
    static uint64_t numbers[5000];

    (void)state;
    for (uint64_t key = 1; key <= 5000; key++)
        numbers[key - 1] = arrive(&turns, key * 64, key, key, ARRIVAL_GIVE, 0);
    for (uint64_t key = 1; key <= 5000; key++)
        (void)arrive(&turns, key * 64, 10000 + key, 10000 + key, ARRIVAL_WAIT, 0);
    for (uint64_t key = 1; key <= 5000; key += 2)
        assert_true(turns_acknowledged(&turns, key * 64, numbers[key - 1]));
    for (uint64_t key = 1; key <= 5000; key += 2)
        assert_false(turns_acknowledged(&turns, key * 64, take(&turns, 10000 + key)));
    assert_int_equal(turns.count, 2500);
    turns_fini(&turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_come_one_by_one),
        cmocka_unit_test(turns_nothing_overtakes_a_refused_record),
        cmocka_unit_test(turns_lapsed_lease_makes_room),
        cmocka_unit_test(turns_of_many_keys_keep_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
