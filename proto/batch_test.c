#include "proto/batch.h"
#include "proto/test_support.h"

#include <stdlib.h>

#include "truc/v1/record.pb-c.h"

static const uint8_t seed[SALT_SEED_BYTES] = {9, 8, 7};
static const uint8_t three_records[] = {3, 0x0a, 1, 'a', 3, 0x0a, 1, 'b', 3, 0x0a, 1, 'c'};

static struct batch_header_fields sample_fields(void)
{
    return (struct batch_header_fields){
        .topic = bytes_of_text("dossier.status.H26.16"),
        .source = bytes_of_text("H26.16"),
        .system = bytes_of_text("portal"),
        .evidence = EVIDENCE_RECORD,
        .producer_id = 5,
        .epoch = 2,
        .first_sequence = 1000,
        .record_count = 3,
    };
}

static struct bytes written_by(const struct batch_header_fields *fields, uint8_t *out)
{
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(fields);
    batch_head_write(out, fields, CODEC_NONE, sizeof three_records, sizeof three_records, seed);
    memcpy(out + head, three_records, sizeof three_records);
    return bytes_of(out, head + sizeof three_records);
}

static struct bytes sample(uint8_t *out)
{
    struct batch_header_fields fields = sample_fields();
    return written_by(&fields, out);
}

/* A batch around an immutable header made by protobuf-c. */
static struct bytes around(const Truc__V1__BatchHeader *header, uint8_t *out)
{
    struct batch_header_fields fields = sample_fields();
    uint8_t scratch[256];
    batch_head_write(scratch, &fields, CODEC_NONE, sizeof three_records, sizeof three_records, seed);
    memcpy(out, scratch, BATCH_PREFIX_BYTES);
    size_t size = truc__v1__batch_header__pack(header, out + BATCH_PREFIX_BYTES);
    store_u32(out + 8, (uint32_t)size);
    memcpy(out + BATCH_PREFIX_BYTES + size, three_records, sizeof three_records);
    return bytes_of(out, BATCH_PREFIX_BYTES + size + sizeof three_records);
}

static Truc__V1__BatchHeader sample_message(void)
{
    Truc__V1__BatchHeader header = TRUC__V1__BATCH_HEADER__INIT;
    header.topic = "dossier.status.H26.16";
    header.source = "H26.16";
    header.system = "portal";
    header.evidence = TRUC__V1__EVIDENCE_LEVEL__EVIDENCE_RECORD;
    header.producer_id = 5;
    header.epoch = 2;
    header.first_sequence = 1000;
    header.record_count = 3;
    return header;
}

static truc_status parse(struct bytes encoded, const char **ret_why)
{
    struct batch_view view;
    *ret_why = NULL;
    return batch_parse(encoded, &view, ret_why);
}

static void parse_gives_back_what_was_written(void **state)
{
    uint8_t out[512];
    struct batch_view view;
    struct bytes encoded = sample(out);
    const char *why = NULL;
    (void)state;
    assert_status(batch_parse(encoded, &view, &why), TRUC_OK);
    assert_bytes(view.topic, "dossier.status.H26.16");
    assert_bytes(view.source, "H26.16");
    assert_bytes(view.system, "portal");
    assert_int_equal(view.evidence, EVIDENCE_RECORD);
    assert_int_equal(view.producer_id, 5);
    assert_int_equal(view.epoch, 2);
    assert_int_equal(view.first_sequence, 1000);
    assert_int_equal(view.record_count, 3);
    assert_int_equal(view.codec, CODEC_NONE);
    assert_int_equal(view.raw_size, sizeof three_records);
    assert_memory_equal(view.seed, seed, sizeof seed);
    assert_true(bytes_equal(view.stored, bytes_of(three_records, sizeof three_records)));
    assert_int_equal(view.signature.size, 0);
    assert_true(bytes_equal(view.encoded, encoded));
    assert_int_equal(view.deliver_at_ns, 0);
    assert_false(view.conditional);
    assert_int_equal(batch_record_flags(&view), 0);
}

/* deliver_at and expected_offset as protobuf writes them, alone and together; offset 0 is an expectation too. */
static void parse_gives_back_when_and_on_what_condition(void **state)
{
    static const uint64_t offsets[] = {0, 1, 300, UINT64_MAX};
    uint8_t ours[512], theirs[512];
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        struct batch_header_fields fields = sample_fields();
        Truc__V1__BatchHeader header = sample_message();
        struct batch_view view;
        fields.deliver_at_ns = header.deliver_at_ns = i / 4 == 0 ? 0 : i / 4 == 1 ? 1 : INT64_MAX;
        fields.conditional = i % 4 != 0 || i / 4 == 1;
        fields.expected_offset = offsets[i % 4];
        header.expected_case = fields.conditional ? TRUC__V1__BATCH_HEADER__EXPECTED_EXPECTED_OFFSET : 0;
        header.expected_offset = fields.expected_offset;
        struct bytes written = written_by(&fields, ours);
        assert_true(bytes_equal(written, around(&header, theirs)));
        assert_status(batch_parse(written, &view, NULL), TRUC_OK);
        assert_int_equal(view.deliver_at_ns, fields.deliver_at_ns);
        assert_int_equal(view.conditional, fields.conditional);
        assert_int_equal(view.expected_offset, fields.conditional ? fields.expected_offset : 0);
        assert_int_equal(batch_record_flags(&view), fields.deliver_at_ns != 0 ? RECORD_FLAG_DELAYED : 0);
    }
}

static void header_is_what_protobuf_writes(void **state)
{
    uint8_t ours[512], theirs[512];
    Truc__V1__BatchHeader header = sample_message();
    (void)state;
    struct bytes a = sample(ours), b = around(&header, theirs);
    assert_true(bytes_equal(a, b));
}

static void parse_cut_anywhere_is_refused(void **state)
{
    uint8_t out[512];
    struct bytes encoded = sample(out);
    const char *why;
    (void)state;
    for (size_t size = 0; size < encoded.size; size++) {
        uint8_t *exact = malloc(size == 0 ? 1 : size);
        assert_non_null(exact);
        memcpy(exact, encoded.data, size);
        assert_status(parse(bytes_of(exact, size), &why), TRUC_BAD_BATCH);
        assert_non_null(why);
        free(exact);
    }
}

static void assert_prefix_refused(size_t at, size_t width, uint64_t value, truc_status expected)
{
    uint8_t out[512], field[8];
    struct bytes encoded = sample(out);
    const char *why;
    store_u64(field, value);
    memcpy(out + at, field, width);
    assert_status(parse(encoded, &why), expected);
    assert_non_null(why);
}

static void parse_lying_prefix_is_refused(void **state)
{
    (void)state;
    assert_prefix_refused(0, 4, 0x31425255, TRUC_BAD_BATCH);
    assert_prefix_refused(4, 2, 2, TRUC_UNSUPPORTED);
    assert_prefix_refused(6, 1, 3, TRUC_BAD_CODEC);
    assert_prefix_refused(7, 1, 1, TRUC_UNSUPPORTED);
    assert_prefix_refused(8, 4, 0, TRUC_BAD_BATCH);
    assert_prefix_refused(8, 4, BATCH_HEADER_BYTES_MAX + 1, TRUC_BAD_BATCH);
    assert_prefix_refused(8, 4, 0xffffffff, TRUC_BAD_BATCH);
    assert_prefix_refused(12, 4, 1, TRUC_UNSUPPORTED);
    assert_prefix_refused(16, 4, sizeof three_records + 1, TRUC_BAD_BATCH);
    assert_prefix_refused(16, 4, 0xffffffff, TRUC_BAD_BATCH);
    assert_prefix_refused(20, 4, 0, TRUC_BAD_BATCH);
    assert_prefix_refused(20, 4, sizeof three_records + 1, TRUC_BAD_BATCH);
    assert_prefix_refused(20, 4, (uint64_t)BATCH_RAW_BYTES_MAX + 1, TRUC_BATCH_TOO_LARGE);
    assert_prefix_refused(24, 8, 1, TRUC_UNSUPPORTED);
    assert_prefix_refused(31, 1, 1, TRUC_UNSUPPORTED);
}

static void parse_bomb_is_refused_by_its_ratio(void **state)
{
    uint8_t out[512];
    struct bytes encoded = sample(out);
    const char *why;
    (void)state;
    out[6] = CODEC_LZ4;
    store_u32(out + 20, 64 * 1024);
    assert_status(parse(encoded, &why), TRUC_OK); /* small enough whatever the ratio */
    store_u32(out + 20, 64 * 1024 + 1);
    assert_status(parse(encoded, &why), TRUC_BAD_CODEC);
}

static void parse_wrong_header_fields_are_refused(void **state)
{
    uint8_t out[4096];
    const char *why;
    Truc__V1__BatchHeader header = sample_message();
    (void)state;
    assert_status(parse(around(&header, out), &why), TRUC_OK);
    header.topic = "a.*";
    assert_status(parse(around(&header, out), &why), TRUC_BAD_TOPIC);
    header = sample_message();
    header.source = "h26";
    assert_status(parse(around(&header, out), &why), TRUC_BAD_SOURCE);
    header = sample_message();
    header.system = "";
    assert_status(parse(around(&header, out), &why), TRUC_BAD_SOURCE);
    header = sample_message();
    header.evidence = 3;
    assert_status(parse(around(&header, out), &why), TRUC_BAD_BATCH);
    header = sample_message();
    header.record_count = 0;
    assert_status(parse(around(&header, out), &why), TRUC_BAD_BATCH);
    header.record_count = BATCH_RECORDS_MAX + 1;
    assert_status(parse(around(&header, out), &why), TRUC_BATCH_TOO_LARGE);
    header = sample_message();
    header.first_sequence = UINT64_MAX - 2;
    assert_status(parse(around(&header, out), &why), TRUC_BAD_BATCH);
    header = sample_message();
    header.deliver_at_ns = -1;
    assert_status(parse(around(&header, out), &why), TRUC_BAD_BATCH);
    assert_non_null(why);
}

static void parse_reserved_fields_are_unsupported(void **state)
{
    uint8_t out[4096];
    const char *why;
    Truc__V1__BatchHeader header;
    ProtobufCBinaryData some = {1, (uint8_t *)"x"}, objects[1] = {some};
    (void)state;
    header = sample_message();
    header.represented = "H26";
    assert_status(parse(around(&header, out), &why), TRUC_UNSUPPORTED);
    header = sample_message();
    header.key_id = some;
    assert_status(parse(around(&header, out), &why), TRUC_UNSUPPORTED);
    header = sample_message();
    header.signature_algorithm = TRUC__V1__SIGNATURE_ALGORITHM__SIGNATURE_ED25519;
    assert_status(parse(around(&header, out), &why), TRUC_UNSUPPORTED);
    header = sample_message();
    header.dictionary = some;
    assert_status(parse(around(&header, out), &why), TRUC_UNSUPPORTED);
    header = sample_message();
    header.n_objects = 1;
    header.objects = objects;
    assert_status(parse(around(&header, out), &why), TRUC_UNSUPPORTED);
    assert_string_equal(why, "objects: reserved");
}

/* Appends bytes to the sample's immutable header. */
static truc_status parse_with_header_tail(const char *hex, const char **why)
{
    uint8_t out[512], tail[64], payload[sizeof three_records];
    struct bytes encoded = sample(out), extra = from_hex(hex, tail);
    size_t header_size = load_u32(out + 8);
    memcpy(payload, three_records, sizeof payload);
    memcpy(out + BATCH_PREFIX_BYTES + header_size, extra.data, extra.size);
    memcpy(out + BATCH_PREFIX_BYTES + header_size + extra.size, payload, sizeof payload);
    store_u32(out + 8, (uint32_t)(header_size + extra.size));
    return parse(bytes_of(out, encoded.size + extra.size), why);
}

static void parse_header_oddities(void **state)
{
    const char *why;
    (void)state;
    assert_status(parse_with_header_tail("a0 06 01", &why), TRUC_OK);                /* unknown varint 100 */
    assert_status(parse_with_header_tail("a2 06 02 61 62 a2 06 00", &why), TRUC_OK); /* unknown bytes, twice */
    assert_status(parse_with_header_tail("a5 06 01 02 03 04", &why), TRUC_OK);       /* unknown fixed32 */
    assert_status(parse_with_header_tail("a1 06 01 02 03 04 05 06 07 08", &why), TRUC_OK);
    assert_status(parse_with_header_tail("22 00", &why), TRUC_OK);              /* represented, empty: absent */
    assert_status(parse_with_header_tail("48 03", &why), TRUC_BAD_BATCH);       /* record_count again */
    assert_status(parse_with_header_tail("22 01", &why), TRUC_BAD_BATCH);       /* cut short */
    assert_status(parse_with_header_tail("50 01", &why), TRUC_BAD_BATCH);       /* deliver_at as varint */
    assert_status(parse_with_header_tail("03 04", &why), TRUC_BAD_BATCH);       /* field 0 */
    assert_status(parse_with_header_tail("a3 06 a4 06", &why), TRUC_BAD_BATCH); /* a group */
    assert_status(parse_with_header_tail("80", &why), TRUC_BAD_BATCH);          /* half a tag */
    assert_status(parse_with_header_tail("80 80 80 80 80 20 00", &why), TRUC_BAD_BATCH);
}

static void raw_unpacks_into_the_callers_scratch(void **state)
{
    struct batch_header_fields fields = sample_fields();
    uint8_t out[512], stored[256], *scratch = NULL;
    size_t stored_size, capacity = 0, head = BATCH_PREFIX_BYTES + batch_header_size(&fields);
    struct batch_view view;
    struct bytes raw;
    (void)state;
    assert_status(codec_pack(CODEC_ZSTD, bytes_of(three_records, sizeof three_records), stored, sizeof stored, &stored_size),
                  TRUC_OK);
    batch_head_write(out, &fields, CODEC_ZSTD, (uint32_t)stored_size, sizeof three_records, seed);
    memcpy(out + head, stored, stored_size);
    assert_status(batch_parse(bytes_of(out, head + stored_size), &view, NULL), TRUC_OK);
    assert_status(batch_raw(&view, &scratch, &capacity, &raw), TRUC_OK);
    assert_ptr_equal(raw.data, scratch);
    assert_true(bytes_equal(raw, bytes_of(three_records, sizeof three_records)));
    out[head + stored_size - 1] ^= 0x40;
    view.raw_size--;
    assert_status(batch_raw(&view, &scratch, &capacity, &raw), TRUC_BAD_CODEC);
    free(scratch);
}

static void root_depends_on_the_evidence_level_and_not_on_the_codec(void **state)
{
    struct digest_context *context = digest_context_create();
    uint8_t out[512], by_record[DIGEST_BYTES], by_batch[DIGEST_BYTES], expected[DIGEST_BYTES];
    struct batch_view view;
    (void)state;
    assert_non_null(context);
    assert_status(batch_parse(sample(out), &view, NULL), TRUC_OK);
    assert_status(batch_root(context, &view, EVIDENCE_RECORD, view.stored, by_record), TRUC_OK);
    assert_status(batch_root(context, &view, EVIDENCE_BATCH, view.stored, by_batch), TRUC_OK);
    assert_memory_not_equal(by_record, by_batch, DIGEST_BYTES);
    assert_status(digest_records_root(context, seed, view.stored, 3, expected), TRUC_OK);
    assert_memory_equal(by_record, expected, DIGEST_BYTES);
    assert_status(digest_batch_root(context, seed, view.stored, expected), TRUC_OK);
    assert_memory_equal(by_batch, expected, DIGEST_BYTES);
    assert_status(batch_root(context, &view, EVIDENCE_UNSPECIFIED, view.stored, expected), TRUC_BAD_BATCH);
    digest_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_gives_back_what_was_written),
        cmocka_unit_test(parse_gives_back_when_and_on_what_condition),
        cmocka_unit_test(header_is_what_protobuf_writes),
        cmocka_unit_test(parse_cut_anywhere_is_refused),
        cmocka_unit_test(parse_lying_prefix_is_refused),
        cmocka_unit_test(parse_bomb_is_refused_by_its_ratio),
        cmocka_unit_test(parse_wrong_header_fields_are_refused),
        cmocka_unit_test(parse_reserved_fields_are_unsupported),
        cmocka_unit_test(parse_header_oddities),
        cmocka_unit_test(raw_unpacks_into_the_callers_scratch),
        cmocka_unit_test(root_depends_on_the_evidence_level_and_not_on_the_codec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
