#include "proto/cut.h"
#include "proto/test_support.h"

#include <stdlib.h>

/* An entry of any number of records, and all that cuts and proves it. */
struct sample {
    uint8_t *entry, *cut;
    size_t size;
    struct entry_view view;
    struct cutter *cutter;
    struct digest_context *digests;
    struct cut_record *records;
    size_t capacity;
};

static struct bytes make_payload(struct random *random, uint32_t count, uint8_t *out)
{
    uint8_t *at = out;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = 1 + random_below(random, 20);
        *at++ = (uint8_t)(2 + size);
        *at++ = 0x0a; /* the id; cutting does not look into records */
        *at++ = (uint8_t)size;
        random_fill(random, at, size);
        at += size;
    }
    return bytes_of(out, (size_t)(at - out));
}

static void sample_init(struct sample *s, struct random *random, uint32_t count, enum codec codec, enum evidence evidence)
{
    struct batch_header_fields fields = {.topic = bytes_of_text("a.b"),
                                         .source = bytes_of_text("H26"),
                                         .system = bytes_of_text("x"),
                                         .producer_id = 5,
                                         .epoch = 2,
                                         .first_sequence = 9,
                                         .record_count = count};
    struct entry_fields entry_fields = {.topic_id = 4, .record_count = count, .epoch = 2, .producer_id = 5, .first_sequence = 9};
    struct leaf leaf = {.evidence = (uint8_t)evidence, .record_count = count, .position = 1, .topic = fields.topic};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), stored_capacity = (size_t)count * 40 + 1024;
    uint8_t seed[SALT_SEED_BYTES], encoded_leaf[LEAF_BYTES_MAX], *raw = malloc((size_t)count * 24);
    uint8_t *batch = malloc(head + stored_capacity), *scratch = NULL;
    struct bytes payload = make_payload(random, count, raw), unpacked;
    size_t stored = payload.size, scratch_capacity = 0;
    struct batch_view view;

    random_fill(random, seed, sizeof seed);
    if (codec == CODEC_NONE)
        memcpy(batch + head, payload.data, payload.size);
    else
        assert_status(codec_pack(codec, payload, batch + head, stored_capacity, &stored), TRUC_OK);
    batch_head_write(batch, &fields, codec, (uint32_t)stored, (uint32_t)payload.size, seed);
    *s = (struct sample){.cutter = cutter_create(), .digests = digest_context_create()};
    assert_status(batch_parse(bytes_of(batch, head + stored), &view, NULL), TRUC_OK);
    assert_status(batch_raw(&view, &scratch, &scratch_capacity, &unpacked), TRUC_OK);
    digest_header(s->digests, view.header, leaf.header_digest);
    assert_status(batch_root(s->digests, &view, evidence, unpacked, leaf.records_root), TRUC_OK);
    leaf_write(&leaf, encoded_leaf);
    s->size = entry_size(leaf_size(leaf.topic.size), head + stored, 0);
    s->entry = malloc(s->size);
    entry_write(s->entry, &entry_fields, bytes_of(encoded_leaf, leaf_size(leaf.topic.size)), bytes_of(batch, head + stored),
                bytes_of(NULL, 0));
    assert_status(entry_parse(bytes_of(s->entry, s->size), &s->view), TRUC_OK);
    free(raw);
    free(batch);
    free(scratch);
}

static void sample_fini(struct sample *s)
{
    cutter_destroy(s->cutter);
    digest_context_destroy(s->digests);
    free(s->records);
    free(s->entry);
    free(s->cut);
}

static size_t cut(struct sample *s, const uint32_t *indexes, size_t count)
{
    size_t size = cutter_size(s->cutter, indexes, count);
    free(s->cut);
    s->cut = malloc(size);
    memset(s->cut, 0xee, size);
    cutter_write(s->cutter, indexes, count, s->cut);
    return size;
}

static truc_status prove(struct sample *s, size_t size, size_t *ret_count)
{
    struct reader payload = reader_over(bytes_of(s->cut, size));
    struct batch_view batch;
    struct entry_view view;
    struct leaf leaf;
    const char *why = "";
    truc_status status;
    if (!entry_served_next(&payload, &view, &status))
        return status;
    if (!entry_is_cut(&view) || reader_left(&payload) > 0)
        return TRUC_DAMAGED;
    return cut_prove(s->digests, &view, &leaf, &batch, &s->records, &s->capacity, ret_count, &why);
}

/* Some of `count` indexes, at least one. */
static size_t choose(struct random *random, uint32_t count, uint32_t *indexes)
{
    size_t chosen = 0, one_in = 1 + random_below(random, 40);
    for (uint32_t i = 0; i < count; i++) {
        if (random_below(random, one_in) == 0)
            indexes[chosen++] = i;
    }
    if (chosen == 0)
        indexes[chosen++] = (uint32_t)random_below(random, count);
    return chosen;
}

static void check_cuts(struct random *random, uint32_t count, enum codec codec, int rounds)
{
    uint32_t *indexes = malloc(count * sizeof *indexes);
    struct sample s;
    sample_init(&s, random, count, codec, EVIDENCE_RECORD);
    assert_status(cutter_take(s.cutter, &s.view), TRUC_OK);
    for (int round = 0; round < rounds; round++) {
        size_t chosen = choose(random, count, indexes), proven = 0;
        size_t size = cut(&s, indexes, chosen);
        assert_status(prove(&s, size, &proven), TRUC_OK);
        assert_int_equal(proven, chosen);
        for (size_t i = 0; i < chosen; i++) {
            assert_int_equal(s.records[i].index, indexes[i]);
            assert_true(bytes_equal(s.records[i].encoded, cutter_record(s.cutter, indexes[i])));
        }
    }
    sample_fini(&s);
    free(indexes);
}

static void cut_of_any_size_and_choice_proves(void **state)
{
    struct random random = {4711};
    (void)state;
    for (uint32_t count = 1; count <= 300; count++)
        check_cuts(&random, count, CODEC_NONE, 12);
    check_cuts(&random, 4096, CODEC_NONE, 6);
    check_cuts(&random, 4097, CODEC_NONE, 6);
    check_cuts(&random, BATCH_RECORDS_MAX, CODEC_NONE, 3);
    check_cuts(&random, 500, CODEC_LZ4, 6);
    check_cuts(&random, 500, CODEC_ZSTD, 6);
}

static void cut_that_was_altered_is_refused(void **state)
{
    const uint32_t indexes[] = {2, 17, 18};
    struct random random = {99};
    struct sample s;
    size_t proven;
    (void)state;
    sample_init(&s, &random, 20, CODEC_NONE, EVIDENCE_RECORD);
    assert_status(cutter_take(s.cutter, &s.view), TRUC_OK);
    size_t size = cut(&s, indexes, 3);
    for (size_t bit = 0; bit < size * 8; bit++) {
        s.cut[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(prove(&s, size, &proven), TRUC_OK);
        s.cut[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t shorter = 0; shorter < size; shorter++)
        assert_true(shorter == 0 || prove(&s, shorter, &proven) != TRUC_OK);
    assert_status(prove(&s, size, &proven), TRUC_OK);
    sample_fini(&s);
}

/* Whoever cuts is not believed either: every lie about the payload that has a right checksum is found. */
static void cut_that_lies_is_refused(void **state)
{
    const uint32_t indexes[] = {2, 17, 18};
    struct random random = {5};
    struct sample s;
    struct entry_view view;
    struct batch_view batch;
    size_t proven;
    const char *why;
    (void)state;
    sample_init(&s, &random, 20, CODEC_NONE, EVIDENCE_RECORD);
    assert_status(cutter_take(s.cutter, &s.view), TRUC_OK);
    size_t size = cut(&s, indexes, 3);
    struct reader reader = reader_over(bytes_of(s.cut, size));
    truc_status status;
    assert_true(entry_served_next(&reader, &view, &status));
    assert_status(batch_parse_cut(view.batch, &batch, &why), TRUC_OK);
    size_t at = (size_t)(batch.stored.data - s.cut);
    for (size_t i = 0; i < batch.stored.size * 8; i++) {
        uint8_t *lie = malloc(size);
        memcpy(lie, s.cut, size);
        lie[at + i / 8] ^= (uint8_t)(1 << i % 8);
        entry_write_cut(lie, &view.fields, view.leaf, bytes_of(lie + (view.batch.data - s.cut), view.batch.size));
        uint8_t *kept = s.cut;
        s.cut = lie;
        assert_int_not_equal(prove(&s, size, &proven), TRUC_OK);
        s.cut = kept;
        free(lie);
    }
    sample_fini(&s);
}

static void entry_of_evidence_batch_goes_whole(void **state)
{
    struct random random = {7};
    struct sample s;
    (void)state;
    sample_init(&s, &random, 20, CODEC_NONE, EVIDENCE_BATCH);
    assert_status(cutter_take(s.cutter, &s.view), TRUC_UNSUPPORTED);
    sample_fini(&s);
}

static void cut_entry_is_neither_stored_nor_proven_as_a_whole(void **state)
{
    const uint32_t indexes[] = {0};
    struct random random = {8};
    struct sample s;
    struct entry_view view;
    struct batch_view batch;
    struct leaf leaf;
    struct bytes raw;
    uint8_t *scratch = NULL;
    size_t capacity = 0;
    truc_status status;
    (void)state;
    sample_init(&s, &random, 3, CODEC_NONE, EVIDENCE_RECORD);
    assert_status(cutter_take(s.cutter, &s.view), TRUC_OK);
    size_t size = cut(&s, indexes, 1);
    assert_status(entry_parse(bytes_of(s.cut, size), &view), TRUC_DAMAGED);
    struct reader reader = reader_over(bytes_of(s.cut, size));
    assert_true(entry_served_next(&reader, &view, &status));
    assert_status(entry_prove(s.digests, &view, &leaf, &batch, &scratch, &capacity, &raw, NULL), TRUC_DAMAGED);
    free(scratch);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_of_any_size_and_choice_proves),
        cmocka_unit_test(cut_that_was_altered_is_refused),
        cmocka_unit_test(cut_that_lies_is_refused),
        cmocka_unit_test(entry_of_evidence_batch_goes_whole),
        cmocka_unit_test(cut_entry_is_neither_stored_nor_proven_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
