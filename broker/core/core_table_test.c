/* Tests of the containers: table, pool, slab. Each against a model or an invariant. */
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool.h"
#include "slab.h"

enum { KEYS = 5000, OPERATIONS = 200000 };

static uint32_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return (uint32_t)(table_mix(*state) >> 32);
}

/* Few hash values, so that runs are long and wrap around. */
static uint64_t crowded_hash(uint32_t key)
{
    return table_mix(key % 97);
}

static bool holds(const struct table *table, uint64_t hash, uint32_t value)
{
    uint32_t found;

    for (struct table_probe probe = table_probe(table, hash); table_next(table, &probe, &found);) {
        if (found == value)
            return true;
    }
    return false;
}

static void check_against_model(uint64_t (*hash_of)(uint32_t key), uint32_t keys, uint32_t operations)
{
    struct table table = {0};
    bool *present = calloc(keys, sizeof *present);
    uint64_t random = 7;
    uint32_t count = 0;

    assert_non_null(present);
    for (uint32_t i = 0; i < operations; i++) {
        uint32_t key = next_random(&random) % keys;

        assert_int_equal(holds(&table, hash_of(key), key), present[key]);
        if (present[key]) {
            table_remove(&table, hash_of(key), key);
            count--;
        } else {
            assert_true(table_reserve(&table, 1));
            table_add(&table, hash_of(key), key);
            count++;
        }
        present[key] = !present[key];
        assert_int_equal(table.count, count);
    }
    for (uint32_t key = 0; key < keys; key++)
        assert_int_equal(holds(&table, hash_of(key), key), present[key]);
    free(present);
    table_fini(&table);
}

static uint64_t spread_hash(uint32_t key)
{
    return table_mix(key);
}

static void table_random_operations_match_model(void **state)
{
    (void)state;
    check_against_model(spread_hash, KEYS, OPERATIONS);
}

static void table_colliding_hashes_match_model(void **state)
{
    (void)state;
    check_against_model(crowded_hash, 400, OPERATIONS);
}

static void table_one_value_under_two_hashes_loses_the_one_removed(void **state)
{
    struct table table = {0};

    (void)state;
    assert_true(table_reserve(&table, 2));
    table_add(&table, 5, 7); /* two hashes of one home */
    table_add(&table, 5 + (UINT64_C(1) << 20), 7);
    table_remove(&table, 5 + (UINT64_C(1) << 20), 7);
    assert_true(holds(&table, 5, 7));
    assert_false(holds(&table, 5 + (UINT64_C(1) << 20), 7));
    table_fini(&table);
}

static void table_empty_finds_nothing(void **state)
{
    struct table table = {0};
    struct table_probe probe = table_probe(&table, 42);
    uint32_t value;

    (void)state;
    assert_false(table_next(&table, &probe, &value));
    table_fini(&table);
}

static void pool_taken_objects_are_zero_stable_and_reused(void **state)
{
    struct pool pool;
    uint64_t *items[1000];
    uint32_t indexes[1000], again;

    (void)state;
    pool_init(&pool, 24, 4);
    for (uint32_t i = 0; i < 1000; i++) {
        items[i] = pool_take(&pool, &indexes[i]);
        assert_non_null(items[i]);
        assert_int_equal(indexes[i], i);
        assert_int_equal(items[i][0] | items[i][1] | items[i][2], 0);
        items[i][0] = items[i][1] = items[i][2] = i + 1;
    }
    for (uint32_t i = 0; i < 1000; i++) {
        assert_ptr_equal(pool_at(&pool, i), items[i]);
        assert_int_equal(items[i][2], i + 1);
    }
    pool_give(&pool, 500);
    pool_give(&pool, 7);
    assert_int_equal(pool.used, 998);
    assert_ptr_equal(pool_take(&pool, &again), items[7]);
    assert_int_equal(again, 7);
    assert_int_equal(items[7][0] | items[7][1] | items[7][2], 0);
    assert_ptr_equal(pool_take(&pool, &again), items[500]);
    assert_non_null(pool_take(&pool, &again));
    assert_int_equal(again, 1000);
    pool_fini(&pool);
}

static void slab_pieces_are_aligned_and_do_not_overlap(void **state)
{
    struct slab slab;
    uint64_t random = 3;

    (void)state;
    slab_init(&slab, 1024, 4096);
    for (int round = 0; round < 50; round++) {
        uint8_t *pieces[100];
        size_t sizes[100];

        for (size_t i = 0; i < 100; i++) {
            sizes[i] = 1 + next_random(&random) % 3000;
            pieces[i] = slab_take(&slab, sizes[i]);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 8, 0);
            memset(pieces[i], (int)i, sizes[i]);
        }
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(pieces[i][0], i);
            assert_int_equal(pieces[i][sizes[i] - 1], i);
        }
        slab_reset(&slab);
    }
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_random_operations_match_model),
        cmocka_unit_test(table_colliding_hashes_match_model),
        cmocka_unit_test(table_one_value_under_two_hashes_loses_the_one_removed),
        cmocka_unit_test(table_empty_finds_nothing),
        cmocka_unit_test(pool_taken_objects_are_zero_stable_and_reused),
        cmocka_unit_test(slab_pieces_are_aligned_and_do_not_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
