#include "bench/load/zipf.h"

#include "proto/test_support.h"

enum { DRAWS = 200000 };

static void draw(double skew, uint32_t count, uint32_t drawn[])
{
    struct zipf zipf;
    assert_int_equal(zipf_init(&zipf, count, skew, 7), 0);
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t at = zipf_next(&zipf);
        assert_true(at < count);
        drawn[at]++;
    }
    zipf_fini(&zipf);
}

static void assert_about(uint32_t value, double expected)
{
    assert_true(value > expected * 0.95 && value < expected * 1.05);
}

static void zipf_skewed_follows_its_weights(void **state)
{
    uint32_t drawn[4] = {0};
    double sum = 1 + 1 / 2.0 + 1 / 3.0 + 1 / 4.0;
    (void)state;
    draw(1, 4, drawn);
    for (uint32_t i = 0; i < 4; i++)
        assert_about(drawn[i], DRAWS / (i + 1.0) / sum);
}

static void zipf_not_skewed_is_uniform(void **state)
{
    uint32_t drawn[10] = {0};
    (void)state;
    draw(0, 10, drawn);
    for (uint32_t i = 0; i < 10; i++)
        assert_about(drawn[i], DRAWS / 10.0);
}

static void zipf_of_one_is_always_the_same(void **state)
{
    uint32_t drawn[1] = {0};
    (void)state;
    draw(1, 1, drawn);
    assert_int_equal(drawn[0], DRAWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipf_skewed_follows_its_weights),
        cmocka_unit_test(zipf_not_skewed_is_uniform),
        cmocka_unit_test(zipf_of_one_is_always_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
