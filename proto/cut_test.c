/* Tests of cutting and of the parts' proofs. Choices are random from a seed that is printed: cut_test [SEED]. The linker sends
 * malloc, calloc and realloc through this file, so that each allocation of the library may fail. */
#include "proto/cut_test_kit.h"

#include <stdlib.h>

enum { SIZES = 300, CHOICES = 20 };

/* Chooses each record with a chance of 1 in `rarity`, but at least one. */
static size_t choose(uint32_t record_count, size_t rarity, uint32_t *indexes)
{
    size_t count = 0;
    for (uint32_t i = 0; i < record_count; i++) {
        if (random_below(&source, rarity) == 0)
            indexes[count++] = i;
    }
    if (count == 0)
        indexes[count++] = (uint32_t)random_below(&source, record_count);
    return count;
}

/* The digests that the part must hold, by going down from the root. */
static const uint8_t *expect_digests(const struct whole *w, size_t level, size_t node, const uint32_t *indexes, size_t count,
                                     const uint8_t *at, const uint8_t *end)
{
    size_t first = node << 4 * level, beyond = (node + 1) << 4 * level;
    size_t begin = 0, stop;
    while (begin < count && indexes[begin] < first)
        begin++;
    for (stop = begin; stop < count && indexes[stop] < beyond;)
        stop++;
    if (begin == stop) {
        assert_true(end - at >= DIGEST_BYTES);
        assert_memory_equal(at, w->levels[level] + node * DIGEST_BYTES, DIGEST_BYTES);
        return at + DIGEST_BYTES;
    }
    for (size_t child = 16 * node; level > 0 && child < 16 * (node + 1) && child < w->widths[level - 1]; child++)
        at = expect_digests(w, level - 1, child, indexes + begin, stop - begin, at, end);
    return at;
}

static void check_part(const struct whole *w, struct cutter *cutter, const uint32_t *indexes, size_t count, struct proven *p)
{
    struct bytes part = cut(cutter, indexes, count);

    assert_status(prove(w->digests, part, p), TRUC_OK);
    assert_true(entry_is_cut(&p->view));
    assert_true(bytes_equal(p->view.leaf, w->view.leaf));
    assert_int_equal(p->view.entry_size, part.size);
    assert_int_equal(p->view.fields.topic_id, w->view.fields.topic_id);
    assert_int_equal(p->view.fields.producer_id, w->view.fields.producer_id);
    assert_int_equal(p->view.fields.epoch, w->view.fields.epoch);
    assert_int_equal(p->view.fields.first_sequence, w->view.fields.first_sequence);
    assert_int_equal(p->batch.record_count, w->count);
    assert_bytes(p->batch.topic, "a.b");
    assert_int_equal(p->count, count);
    const uint8_t *given = p->batch.stored.data + 8;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(p->records[i].index, indexes[i]);
        assert_true(bytes_equal(p->records[i].encoded, w->records[indexes[i]]));
        assert_true(bytes_equal(cutter_record(cutter, indexes[i]), w->records[indexes[i]]));
        assert_memory_equal(p->records[i].salt, w->salts + (size_t)indexes[i] * SALT_BYTES, SALT_BYTES);
        given += 24 + align8(p->records[i].encoded.size);
    }
    const uint8_t *end = p->batch.stored.data + p->batch.stored.size;
    assert_ptr_equal(expect_digests(w, w->height, 0, indexes, count, given, end), end);
    free((void *)part.data);
}

static void check_parts(uint32_t count, size_t record_bytes, enum codec codec, struct cutter *cutter, struct proven *p)
{
    struct whole w;
    uint32_t *indexes = need(count * sizeof *indexes);

    whole_init(&w, count, record_bytes, codec, EVIDENCE_RECORD);
    assert_status(cutter_take(cutter, &w.view, NULL), TRUC_OK);
    for (size_t i = 0; i < CHOICES; i++) /* from all records to single ones */
        check_part(&w, cutter, indexes, choose(count, 1 + random_below(&source, (size_t)1 << i), indexes), p);
    check_part(&w, cutter, &(uint32_t){0}, 1, p);
    check_part(&w, cutter, &(uint32_t){count - 1}, 1, p);
    uint32_t first = (uint32_t)random_below(&source, count), run = (uint32_t)random_below(&source, count - first) + 1;
    for (uint32_t i = 0; i < run; i++)
        indexes[i] = first + i;
    check_part(&w, cutter, indexes, run, p);
    free(indexes);
    whole_fini(&w);
}

static void cut_any_size_and_choice_proves_like_the_whole(void **state)
{
    struct cutter *cutter = cutter_create();
    struct proven p = {0};
    (void)state;
    assert_non_null(cutter);
    for (uint32_t count = 1; count <= SIZES; count++)
        check_parts(count, RECORD_BYTES, CODEC_NONE, cutter, &p);
    free(p.records);
    cutter_destroy(cutter);
}

static void cut_large_entries_prove_like_the_whole(void **state)
{
    static const uint32_t counts[] = {4095, 4096, 4097, 65521, BATCH_RECORDS_MAX};
    struct cutter *cutter = cutter_create();
    struct proven p = {0};
    (void)state;
    assert_non_null(cutter);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        check_parts(counts[i], 20, CODEC_NONE, cutter, &p);
    check_parts(3, 1000000, CODEC_NONE, cutter, &p);
    free(p.records);
    cutter_destroy(cutter);
}

static void cut_packed_entries_prove_unpacked(void **state)
{
    static const enum codec codecs[] = {CODEC_LZ4, CODEC_ZSTD};
    struct cutter *cutter = cutter_create();
    struct proven p = {0};
    (void)state;
    assert_non_null(cutter);
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t count = 2; count <= 600; count *= 3)
            check_parts(count, 300, codecs[i], cutter, &p);
    }
    free(p.records);
    cutter_destroy(cutter);
}

/* --- what a cutter refuses --------------------------------------------------------------------------------------------------- */

static void take_evidence_batch_is_unsupported(void **state)
{
    struct cutter *cutter = cutter_create();
    struct whole w;
    (void)state;
    whole_init(&w, 20, RECORD_BYTES, CODEC_NONE, EVIDENCE_BATCH);
    assert_status(cutter_take(cutter, &w.view, NULL), TRUC_UNSUPPORTED);
    whole_fini(&w);
    cutter_destroy(cutter);
}

static void take_entry_that_proves_nothing_is_damage(void **state)
{
    struct cutter *cutter = cutter_create();
    struct proven p = {0};
    struct whole w;
    uint32_t index = 7;
    (void)state;
    whole_init(&w, 20, RECORD_BYTES, CODEC_NONE, EVIDENCE_RECORD);
    uint8_t *batch = w.entry + (w.view.batch.data - w.entry), *leaf = w.entry + (w.view.leaf.data - w.entry);
    uint8_t *places[] = {batch + w.view.batch.size - 1 /* record */, batch + 40 /* salt */, leaf + 90 /* root */, leaf, batch};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        *places[i] ^= 1;
        assert_status(cutter_take(cutter, &w.view, NULL), TRUC_DAMAGED);
        *places[i] ^= 1;
    }
    batch[6] = CODEC_LZ4;
    assert_status(cutter_take(cutter, &w.view, NULL), TRUC_BAD_CODEC);
    batch[6] = CODEC_NONE;
    assert_status(cutter_take(cutter, &w.view, NULL), TRUC_OK);
    check_part(&w, cutter, &index, 1, &p);

    struct bytes part = cut(cutter, &index, 1);
    assert_status(prove(w.digests, part, &p), TRUC_OK);
    assert_status(cutter_take(cutter, &p.view, NULL), TRUC_DAMAGED); /* a part is not cut again */
    free((void *)part.data);
    free(p.records);
    whole_fini(&w);
    cutter_destroy(cutter);
}

static void take_with_its_tree_gives_the_same_parts(void **state)
{
    struct cutter *first = cutter_create(), *second = cutter_create();
    struct whole w, other;
    uint32_t indexes[] = {0, 7, 299};
    (void)state;
    whole_init(&w, 300, RECORD_BYTES, CODEC_ZSTD, EVIDENCE_RECORD);
    whole_init(&other, 300, RECORD_BYTES, CODEC_NONE, EVIDENCE_RECORD);
    assert_status(cutter_take(first, &w.view, NULL), TRUC_OK);
    struct cut_tree *tree = cutter_tree(first);
    assert_true(cut_tree_bytes(tree) > 300 * DIGEST_BYTES);
    assert_status(cutter_take(second, &w.view, tree), TRUC_OK);
    assert_ptr_equal(cutter_tree(second), tree);
    struct bytes a = cut(first, indexes, 3);
    assert_status(cutter_take(first, &other.view, tree), TRUC_DAMAGED); /* another entry's */
    struct bytes b = cut(second, indexes, 3);                           /* the tree outlives who made it */
    assert_true(bytes_equal(a, b));
    free((void *)a.data);
    free((void *)b.data);
    whole_fini(&w);
    whole_fini(&other);
    cutter_destroy(first);
    cutter_destroy(second);
}

static void cut_entry_is_refused_where_whole_ones_are_expected(void **state)
{
    struct cutter *cutter = cutter_create();
    struct proven p = {0};
    struct whole w;
    struct bytes raw;
    uint8_t *scratch = NULL;
    size_t capacity = 0;
    uint32_t index = 7;
    (void)state;
    whole_init(&w, 20, RECORD_BYTES, CODEC_NONE, EVIDENCE_RECORD);
    assert_status(cutter_take(cutter, &w.view, NULL), TRUC_OK);
    struct bytes part = cut(cutter, &index, 1);
    assert_status(prove(w.digests, part, &p), TRUC_OK);

    assert_status(entry_parse(part, &w.view), TRUC_DAMAGED); /* no log stores one */
    assert_status(entry_prove(w.digests, &p.view, &p.leaf, &p.batch, &scratch, &capacity, &raw, &p.why), TRUC_DAMAGED);
    assert_non_null(strstr(p.why, "cut"));
    assert_status(batch_parse(p.view.batch, &p.batch, &p.why), TRUC_UNSUPPORTED);
    p.why = NULL;
    assert_status(cut_prove(w.digests, &w.view, &p.leaf, &p.batch, &p.records, &p.capacity, &p.count, &p.why), TRUC_DAMAGED);
    assert_non_null(strstr(p.why, "whole"));
    assert_status(batch_parse_cut(w.view.batch, &p.batch, NULL), TRUC_UNSUPPORTED);
    assert_int_equal(entry_is_cut(&w.view), false);
    free((void *)part.data);
    free(p.records);
    whole_fini(&w);
    cutter_destroy(cutter);
}

/* --- memory ------------------------------------------------------------------------------------------------------------------ */

static bool counting; /* within the library's calls */
static uint64_t allocations, fail_at;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);

static bool fails(void)
{
    return counting && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

/* Takes an entry, cuts it and proves the part. */
static truc_status there_and_back(const struct whole *w)
{
    static const uint32_t indexes[] = {3, 4, 250};
    struct proven p = {0};
    counting = true;
    struct cutter *cutter = cutter_create();
    truc_status status = cutter == NULL ? TRUC_NO_MEMORY : cutter_take(cutter, &w->view, NULL);
    counting = false;
    if (status == TRUC_OK) {
        struct bytes part = cut(cutter, indexes, 3);
        counting = true;
        status = prove(w->digests, part, &p);
        counting = false;
        if (status == TRUC_NO_MEMORY) /* and nothing is lost by that */
            assert_status(prove(w->digests, part, &p), TRUC_OK);
        free((void *)part.data);
    }
    free(p.records);
    cutter_destroy(cutter);
    return status;
}

/* One allocation fails after the other, until none is left to fail. */
static void cut_any_allocation_may_fail(void **state)
{
    struct whole w;
    uint64_t failures = 0;
    truc_status status;
    (void)state;
    whole_init(&w, 300, 2 * RECORD_BYTES, CODEC_LZ4, EVIDENCE_RECORD);
    for (;; failures++) {
        allocations = 0;
        fail_at = failures + 1;
        status = there_and_back(&w);
        if (status == TRUC_OK)
            break;
        assert_status(status, TRUC_NO_MEMORY);
    }
    print_message("%llu allocations failed, one at a time\n", (unsigned long long)failures);
    assert_in_range(failures, 7, 20);
    whole_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_any_size_and_choice_proves_like_the_whole),
        cmocka_unit_test(cut_large_entries_prove_like_the_whole),
        cmocka_unit_test(cut_packed_entries_prove_unpacked),
        cmocka_unit_test(take_evidence_batch_is_unsupported),
        cmocka_unit_test(take_entry_that_proves_nothing_is_damage),
        cmocka_unit_test(take_with_its_tree_gives_the_same_parts),
        cmocka_unit_test(cut_entry_is_refused_where_whole_ones_are_expected),
        cmocka_unit_test(cut_any_allocation_may_fail),
    };
    source.state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    print_message("seed %llu\n", (unsigned long long)source.state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
