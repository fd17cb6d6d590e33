#include "proto/entry.h"
#include "proto/test_support.h"

#include <stdlib.h>

static const uint8_t seed[SALT_SEED_BYTES] = {9, 8, 7};
static const uint8_t three_records[] = {3, 0x0a, 1, 'a', 3, 0x0a, 1, 'b', 3, 0x0a, 1, 'c'};
static const uint8_t directory[56] = {1, 0, 0, 0, 3, 0, 0, 0, 3};

struct sample {
    _Alignas(8) uint8_t entry[1024];
    size_t size, served;
    uint8_t batch[256], leaf[LEAF_BYTES_MAX];
    size_t batch_size, leaf_size;
    struct digest_context *digests;
    uint8_t *scratch;
    size_t capacity;
};

static void write_entry(struct sample *s, const struct leaf *leaf, const struct batch_header_fields *fields)
{
    struct entry_fields entry_fields = {.topic_id = 4,
                                        .record_count = fields->record_count,
                                        .epoch = fields->epoch,
                                        .producer_id = fields->producer_id,
                                        .first_sequence = fields->first_sequence};
    leaf_write(leaf, s->leaf);
    s->leaf_size = leaf_size(leaf->topic.size);
    s->size = entry_size(s->leaf_size, s->batch_size, sizeof directory);
    s->served = entry_served_size(s->leaf_size, s->batch_size);
    entry_write(s->entry, &entry_fields, bytes_of(s->leaf, s->leaf_size), bytes_of(s->batch, s->batch_size),
                bytes_of(directory, sizeof directory));
}

static void sample_init(struct sample *s, struct leaf *ret_leaf, struct batch_header_fields *ret_fields, enum evidence evidence)
{
    struct batch_view view;
    struct batch_header_fields fields = {.topic = bytes_of_text("a.b"),
                                         .source = bytes_of_text("H26"),
                                         .system = bytes_of_text("x"),
                                         .evidence = EVIDENCE_UNSPECIFIED,
                                         .producer_id = 5,
                                         .epoch = 2,
                                         .first_sequence = 9,
                                         .record_count = 3};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields);
    memset(s, 0, sizeof *s);
    memset(s->entry, 0xee, sizeof s->entry);
    batch_head_write(s->batch, &fields, CODEC_NONE, sizeof three_records, sizeof three_records, seed);
    memcpy(s->batch + head, three_records, sizeof three_records);
    s->batch_size = head + sizeof three_records;
    s->digests = digest_context_create();
    assert_non_null(s->digests);
    assert_status(batch_parse(bytes_of(s->batch, s->batch_size), &view, NULL), TRUC_OK);
    struct leaf leaf = {.evidence = (uint8_t)evidence, .record_count = 3, .position = 1, .base_offset = 2, .append_time_ns = 3};
    leaf.topic = fields.topic;
    digest_header(s->digests, view.header, leaf.header_digest);
    assert_status(batch_root(s->digests, &view, evidence, view.stored, leaf.records_root), TRUC_OK);
    *ret_leaf = leaf;
    *ret_fields = fields;
    write_entry(s, &leaf, &fields);
}

static void sample_fini(struct sample *s)
{
    digest_context_destroy(s->digests);
    free(s->scratch);
}

static truc_status prove(struct sample *s, const char **why)
{
    struct entry_view view;
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw;
    *why = NULL;
    truc_status status = entry_parse(bytes_of(s->entry, s->size), &view);
    if (status == TRUC_OK)
        status = entry_prove(s->digests, &view, &leaf, &batch, &s->scratch, &s->capacity, &raw, why);
    return status;
}

static void entry_comes_back_as_written(void **state)
{
    struct sample s;
    struct leaf leaf;
    struct batch_header_fields fields;
    struct entry_view view;
    (void)state;
    sample_init(&s, &leaf, &fields, EVIDENCE_RECORD);
    assert_int_equal(s.size % 8, 0);
    assert_int_equal(s.entry[s.size], 0xee); /* nothing written beyond */
    assert_status(entry_parse(bytes_of(s.entry, sizeof s.entry), &view), TRUC_OK);
    assert_int_equal(view.entry_size, s.size);
    assert_int_equal(view.fields.topic_id, 4);
    assert_int_equal(view.fields.record_count, 3);
    assert_int_equal(view.fields.producer_id, 5);
    assert_int_equal(view.fields.epoch, 2);
    assert_int_equal(view.fields.first_sequence, 9);
    assert_true(bytes_equal(view.leaf, bytes_of(s.leaf, s.leaf_size)));
    assert_true(bytes_equal(view.batch, bytes_of(s.batch, s.batch_size)));
    assert_true(bytes_equal(view.directory, bytes_of(directory, sizeof directory)));
    assert_status(entry_directory_check(&view), TRUC_OK);
    sample_fini(&s);
}

static void entry_every_flipped_bit_is_found(void **state)
{
    struct sample s;
    struct leaf leaf;
    struct batch_header_fields fields;
    struct entry_view view;
    (void)state;
    sample_init(&s, &leaf, &fields, EVIDENCE_RECORD);
    for (size_t bit = 0; bit < 8 * s.size; bit++) {
        s.entry[bit / 8] ^= (uint8_t)(1u << bit % 8);
        truc_status status = entry_parse(bytes_of(s.entry, s.size), &view);
        if (bit / 8 < s.served)
            assert_int_equal(status, TRUC_DAMAGED);
        else
            assert_int_equal(entry_directory_check(&view), TRUC_DAMAGED);
        s.entry[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    sample_fini(&s);
}

static void entry_cut_anywhere_is_damage(void **state)
{
    struct sample s;
    struct leaf leaf;
    struct batch_header_fields fields;
    struct entry_view view;
    (void)state;
    sample_init(&s, &leaf, &fields, EVIDENCE_RECORD);
    for (size_t size = 0; size < s.size; size++) {
        uint8_t *exact = malloc(size == 0 ? 1 : size);
        assert_non_null(exact);
        memcpy(exact, s.entry, size);
        assert_status(entry_parse(bytes_of(exact, size), &view), TRUC_DAMAGED);
        free(exact);
    }
    sample_fini(&s);
}

static void served_entries_follow_one_another(void **state)
{
    struct sample s;
    struct leaf leaf;
    struct batch_header_fields fields;
    struct entry_view view;
    uint8_t payload[2048];
    truc_status status = TRUC_INTERNAL;
    const char *why;
    (void)state;
    sample_init(&s, &leaf, &fields, EVIDENCE_RECORD);
    memcpy(payload, s.entry, s.served);
    memcpy(payload + s.served, s.entry, s.served);
    struct reader r = reader_over(bytes_of(payload, 2 * s.served));
    for (int i = 0; i < 2; i++) {
        struct leaf proven;
        struct batch_view batch;
        struct bytes raw;
        assert_true(entry_served_next(&r, &view, &status));
        assert_int_equal(view.entry_size, s.size);
        assert_int_equal(view.directory.size, 0);
        assert_status(entry_prove(s.digests, &view, &proven, &batch, &s.scratch, &s.capacity, &raw, &why), TRUC_OK);
        assert_bytes(proven.topic, "a.b");
        assert_int_equal(batch.record_count, 3);
        assert_true(bytes_equal(raw, bytes_of(three_records, sizeof three_records)));
    }
    assert_false(entry_served_next(&r, &view, &status));
    assert_int_equal(status, TRUC_OK);
    r = reader_over(bytes_of(payload, 2 * s.served - 1));
    assert_true(entry_served_next(&r, &view, &status));
    assert_false(entry_served_next(&r, &view, &status));
    assert_int_equal(status, TRUC_DAMAGED);
    assert_false(entry_served_next(&r, &view, &status));
    assert_int_equal(status, TRUC_DAMAGED);
    payload[s.served - 9] ^= 1; /* of the batch: only who reads it finds that */
    r = reader_over(bytes_of(payload, 2 * s.served));
    assert_false(entry_served_next(&r, &view, &status));
    r = reader_over(bytes_of(payload, 2 * s.served));
    assert_true(entry_served_peek(&r, &view, &status));
    assert_int_equal(view.entry_size, s.size);
    assert_true(entry_served_peek(&r, &view, &status));
    assert_false(entry_served_peek(&r, &view, &status));
    assert_int_equal(status, TRUC_OK);
    r = reader_over(bytes_of(payload, s.served - 1));
    assert_false(entry_served_peek(&r, &view, &status));
    assert_int_equal(status, TRUC_DAMAGED);
    sample_fini(&s);
}

static void prove_holds_at_both_evidence_levels(void **state)
{
    static const enum evidence levels[] = {EVIDENCE_RECORD, EVIDENCE_BATCH};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sample s;
        struct leaf leaf;
        struct batch_header_fields fields;
        const char *why;
        sample_init(&s, &leaf, &fields, levels[i]);
        assert_status(prove(&s, &why), TRUC_OK);
        sample_fini(&s);
    }
}

/* Forgeries with right checksums: only the digests and the agreement of the parts can show them. */
static void prove_forged_entries_are_found(void **state)
{
    struct sample s;
    struct leaf good, leaf;
    struct batch_header_fields fields, forged;
    const char *why;
    (void)state;
    sample_init(&s, &good, &fields, EVIDENCE_RECORD);

    s.batch[s.batch_size - 1] ^= 1; /* another record */
    write_entry(&s, &good, &fields);
    assert_status(prove(&s, &why), TRUC_DIGEST_MISMATCH);
    s.batch[s.batch_size - 1] ^= 1;
    s.batch[32] ^= 1; /* another salt */
    write_entry(&s, &good, &fields);
    assert_status(prove(&s, &why), TRUC_DIGEST_MISMATCH);
    s.batch[32] ^= 1;

    leaf = good;
    leaf.header_digest[0] ^= 1;
    write_entry(&s, &leaf, &fields);
    assert_status(prove(&s, &why), TRUC_DIGEST_MISMATCH);
    leaf = good;
    leaf.records_root[31] ^= 1;
    write_entry(&s, &leaf, &fields);
    assert_status(prove(&s, &why), TRUC_DIGEST_MISMATCH);
    leaf = good;
    leaf.signature_digest[5] = 1;
    write_entry(&s, &leaf, &fields);
    assert_status(prove(&s, &why), TRUC_DIGEST_MISMATCH);
    leaf = good;
    leaf.topic = bytes_of_text("a.c");
    write_entry(&s, &leaf, &fields);
    assert_status(prove(&s, &why), TRUC_DAMAGED);
    leaf = good;
    leaf.record_count = 2;
    write_entry(&s, &leaf, &fields);
    assert_status(prove(&s, &why), TRUC_DAMAGED);
    leaf = good;
    leaf.evidence = EVIDENCE_UNSPECIFIED;
    write_entry(&s, &leaf, &fields);
    assert_status(prove(&s, &why), TRUC_DAMAGED);
    leaf.evidence = EVIDENCE_BATCH;
    write_entry(&s, &leaf, &fields);
    assert_status(prove(&s, &why), TRUC_DIGEST_MISMATCH);

    forged = fields;
    forged.producer_id++;
    write_entry(&s, &good, &forged);
    assert_status(prove(&s, &why), TRUC_DAMAGED);
    forged = fields;
    forged.first_sequence++;
    write_entry(&s, &good, &forged);
    assert_status(prove(&s, &why), TRUC_DAMAGED);
    forged = fields;
    forged.epoch++;
    write_entry(&s, &good, &forged);
    assert_status(prove(&s, &why), TRUC_DAMAGED);
    assert_non_null(why);
    write_entry(&s, &good, &fields);
    assert_status(prove(&s, &why), TRUC_OK);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entry_comes_back_as_written),         cmocka_unit_test(entry_every_flipped_bit_is_found),
        cmocka_unit_test(entry_cut_anywhere_is_damage),        cmocka_unit_test(served_entries_follow_one_another),
        cmocka_unit_test(prove_holds_at_both_evidence_levels), cmocka_unit_test(prove_forged_entries_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
