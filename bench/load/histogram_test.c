#include "bench/load/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void quantile_of_known_values_is_within_one_part_in_64(void **state)
{
    (void)state;
    static struct histogram h;
    histogram_init(&h);
    for (uint64_t i = 1; i <= 1000000; i++)
        histogram_add(&h, i * 10);
    static const double shares[] = {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double exact = shares[i] * 1e7;
        double got = (double)histogram_quantile(&h, shares[i]);
        assert_true(got >= exact * (1 - 1.0 / 64) && got <= exact * (1 + 1.0 / 32));
    }
    assert_int_equal(histogram_quantile(&h, 1.0), 10000000);
}

static void quantile_empty_is_zero(void **state)
{
    (void)state;
    static struct histogram h;
    histogram_init(&h);
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    assert_true(histogram_mean(&h) == 0.0);
}

static void add_beyond_range_keeps_the_largest(void **state)
{
    (void)state;
    static struct histogram h;
    histogram_init(&h);
    histogram_add(&h, UINT64_MAX / 2);
    histogram_add(&h, 0);
    assert_int_equal(h.count, 2);
    assert_int_equal(h.largest_ns, UINT64_MAX / 2);
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
}

static void merge_two_equals_one_with_all(void **state)
{
    (void)state;
    static struct histogram a, b, all;
    histogram_init(&a);
    histogram_init(&b);
    histogram_init(&all);
    for (uint64_t i = 0; i < 5000; i++) {
        histogram_add(i % 3 ? &a : &b, i * i);
        histogram_add(&all, i * i);
    }
    histogram_merge(&a, &b);
    assert_int_equal(a.count, all.count);
    assert_int_equal(histogram_quantile(&a, 0.9), histogram_quantile(&all, 0.9));
    assert_memory_equal(a.buckets, all.buckets, sizeof a.buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantile_of_known_values_is_within_one_part_in_64),
        cmocka_unit_test(quantile_empty_is_zero),
        cmocka_unit_test(add_beyond_range_keeps_the_largest),
        cmocka_unit_test(merge_two_equals_one_with_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
