/* Tests of order: byte order, cursors, removal; against a sorted array. */
#include "order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NAMES = 3000, NAME_BYTES = 24 };

static char names[NAMES][NAME_BYTES];

static struct bytes name_of(const void *context, uint32_t item)
{
    (void)context;
    return bytes_of_text(names[item]);
}

static const struct order_names naming = {name_of, NULL};

static int compare_items(const void *a, const void *b)
{
    return order_compare(name_of(NULL, *(const uint32_t *)a), name_of(NULL, *(const uint32_t *)b));
}

/* Distinct names in no order: multiplying by a unit modulo 2^16 permutes. */
static void make_names(void)
{
    for (uint32_t i = 0; i < NAMES; i++)
        (void)snprintf(names[i], sizeof names[i], "%s.%u", i % 3 ? "dossier.event" : "dossier", (i * 40503u) & 0xffff);
}

static void expect_order(const struct order *order, struct bytes after, const uint32_t *expected, size_t count)
{
    struct order_cursor cursor = order_after(order, &naming, after);
    uint32_t item;

    for (size_t i = 0; i < count; i++) {
        assert_true(order_next(order, &cursor, &item));
        assert_string_equal(names[item], names[expected[i]]);
    }
    assert_false(order_next(order, &cursor, &item));
    assert_false(order_next(order, &cursor, &item));
}

static void order_random_additions_are_listed_sorted(void **state)
{
    static uint32_t sorted[NAMES];
    struct order order = {0};

    (void)state;
    make_names();
    for (uint32_t i = 0; i < NAMES; i++) {
        assert_true(order_add(&order, &naming, i));
        sorted[i] = i;
    }
    qsort(sorted, NAMES, sizeof sorted[0], compare_items);
    expect_order(&order, bytes_of(NULL, 0), sorted, NAMES);
    for (uint32_t i = 0; i < NAMES; i += 71) /* after an existing name */
        expect_order(&order, bytes_of_text(names[sorted[i]]), sorted + i + 1, NAMES - i - 1);
    expect_order(&order, bytes_of_text("dossier.event"), sorted + NAMES / 3, NAMES - NAMES / 3); /* after a missing one */
    expect_order(&order, bytes_of_text("zzz"), NULL, 0);
    order_fini(&order);
}

static void order_ascending_additions_fill_chunks(void **state)
{
    static uint32_t sorted[NAMES];
    struct order order = {0};

    (void)state;
    for (uint32_t i = 0; i < NAMES; i++) {
        (void)snprintf(names[i], sizeof names[i], "t.%06u", i);
        sorted[i] = i;
        assert_true(order_add(&order, &naming, i));
    }
    expect_order(&order, bytes_of(NULL, 0), sorted, NAMES);
    assert_true(order.chunk_count <= NAMES / 256 + 1);
    order_fini(&order);
}

static void order_removals_leave_the_rest_sorted(void **state)
{
    static uint32_t sorted[NAMES];
    struct order order = {0};
    size_t left = 0;

    (void)state;
    make_names();
    for (uint32_t i = 0; i < NAMES; i++)
        assert_true(order_add(&order, &naming, i));
    for (uint32_t i = 0; i < NAMES; i++) {
        if (i % 7 == 0)
            sorted[left++] = i;
        else
            order_remove(&order, &naming, i);
    }
    qsort(sorted, left, sizeof sorted[0], compare_items);
    expect_order(&order, bytes_of(NULL, 0), sorted, left);
    for (size_t i = 0; i < left; i++)
        order_remove(&order, &naming, sorted[i]);
    expect_order(&order, bytes_of(NULL, 0), NULL, 0);
    assert_true(order_add(&order, &naming, 1));
    order_fini(&order);
}

static void order_compare_puts_prefixes_first(void **state)
{
    (void)state;
    assert_true(order_compare(bytes_of_text("a"), bytes_of_text("a.b")) < 0);
    assert_true(order_compare(bytes_of_text("a-b"), bytes_of_text("a.b")) < 0);
    assert_true(order_compare(bytes_of_text("b"), bytes_of_text("a.b")) > 0);
    assert_int_equal(order_compare(bytes_of(NULL, 0), bytes_of(NULL, 0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_random_additions_are_listed_sorted),
        cmocka_unit_test(order_ascending_additions_fill_chunks),
        cmocka_unit_test(order_removals_leave_the_rest_sorted),
        cmocka_unit_test(order_compare_puts_prefixes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
