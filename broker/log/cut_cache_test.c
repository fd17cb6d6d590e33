#include "broker/log/cut_cache.h"

#include "proto/cut_test_kit.h"

/* A tree of an entry of `count` records, as a reference of the caller's. */
static struct cut_tree *tree_of(uint32_t count)
{
    struct cutter *cutter = cutter_create();
    struct whole w;
    assert_non_null(cutter);
    whole_init(&w, count, 0, CODEC_NONE, EVIDENCE_RECORD);
    assert_int_equal(cutter_take(cutter, &w.view, NULL), TRUC_OK);
    struct cut_tree *tree = cutter_tree(cutter);
    cut_tree_ref(tree);
    whole_fini(&w);
    cutter_destroy(cutter);
    return tree;
}

static bool keeps(struct cut_cache *cache, uint64_t position, const struct cut_tree *tree)
{
    struct cut_tree *kept = cut_cache_get(cache, position);
    bool is = kept == tree;
    cut_tree_unref(kept);
    return kept != NULL && is;
}

static void cache_put_is_found_by_position(void **state)
{
    struct cut_cache *cache = cut_cache_create();
    struct cut_tree *one = tree_of(2), *two = tree_of(3);
    (void)state;
    cut_cache_put(cache, 7, one);
    cut_cache_put(cache, 8, two);
    cut_cache_put(cache, 7, two); /* the first one stays */
    assert_true(keeps(cache, 7, one) && keeps(cache, 8, two));
    assert_null(cut_cache_get(cache, 9));
    cut_tree_unref(one);
    assert_true(keeps(cache, 7, one)); /* by a reference of its own */
    cut_tree_unref(two);
    cut_cache_destroy(cache);
}

static void cache_full_drops_the_least_recently_used(void **state)
{
    struct cut_cache *cache = cut_cache_create();
    struct cut_tree *tree = tree_of(2);
    (void)state;
    for (uint64_t i = 0; i < CUT_CACHE_TREES_MAX; i++)
        cut_cache_put(cache, i, tree);
    assert_true(keeps(cache, 0, tree)); /* used: 1 is the oldest now */
    cut_cache_put(cache, 10000, tree);
    assert_true(keeps(cache, 0, tree) && keeps(cache, 10000, tree));
    assert_null(cut_cache_get(cache, 1));
    assert_true(keeps(cache, 2, tree));
    cut_tree_unref(tree);
    cut_cache_destroy(cache);
}

static void cache_bytes_are_bounded(void **state)
{
    struct cut_cache *cache = cut_cache_create();
    struct cut_tree *tree = tree_of(BATCH_RECORDS_MAX);
    size_t fit = CUT_CACHE_BYTES_MAX / cut_tree_bytes(tree), kept = 0;
    (void)state;
    for (uint64_t i = 0; i < 2 * fit; i++)
        cut_cache_put(cache, i, tree);
    for (uint64_t i = 0; i < 2 * fit; i++)
        kept += keeps(cache, i, tree);
    assert_int_equal(kept, fit);
    assert_true(keeps(cache, 2 * fit - 1, tree));
    cut_tree_unref(tree);
    cut_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_put_is_found_by_position),
        cmocka_unit_test(cache_full_drops_the_least_recently_used),
        cmocka_unit_test(cache_bytes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
