#include "proto/record.h"
#include "proto/test_support.h"

#include <stdlib.h>

#include "truc/v1/record.pb-c.h"

static truc_status parse(const char *hex, struct record_view *view, const char **why)
{
    static uint8_t buffer[4096];
    *why = NULL;
    return record_parse(from_hex(hex, buffer), view, why);
}

static void assert_bad(const char *hex, const char *part_of_why)
{
    struct record_view view;
    struct record_brief brief;
    uint8_t buffer[4096];
    const char *why, *brief_why = NULL;
    assert_status(parse(hex, &view, &why), TRUC_BAD_RECORD);
    if (strstr(why, part_of_why) == NULL)
        fail_msg("%s: %s, not %s", hex, why, part_of_why);
    assert_status(record_brief_parse(from_hex(hex, buffer), &brief, &brief_why), TRUC_BAD_RECORD);
    assert_string_equal(why, brief_why);
}

static void parse_smallest_record(void **state)
{
    struct record_view view;
    const char *why;
    (void)state;
    assert_status(parse("0a 01 78", &view, &why), TRUC_OK);
    assert_bytes(view.id, "x");
    assert_int_equal(view.data.size, 0);
    assert_false(view.has_relation);
    assert_int_equal(view.encoded.size, 3);
}

static void parse_hostile_is_refused_with_its_reason(void **state)
{
    (void)state;
    assert_bad("", "id: missing");
    assert_bad("0a 00", "id: missing");
    assert_bad("42 01 61", "id: missing");
    assert_bad("0a", "cut short");
    assert_bad("0a 02 78", "cut short");
    assert_bad("0a ff ff ff ff ff ff ff ff ff 01 78", "cut short");
    assert_bad("0a 01 78 0a 01 79", "twice");
    assert_bad("0a 01 78 21 01 02 03", "cut short"); /* time */
    assert_bad("0a 01 78 20 01", "wire type");       /* time as varint */
    assert_bad("08 01", "wire type");                /* id as varint */
    assert_bad("0a 01 78 38 01", "wire type");       /* headers as varint */
    assert_bad("0a 01 78 12 02 c0 80", "type");      /* overlong */
    assert_bad("0a 01 78 1a 01 ff", "key");
    assert_bad("0a 01 78 00 00", "cut short");                         /* field 0 */
    assert_bad("0a 01 78 c5 f7 c5 ff 8f 00 01 02 03 04", "cut short"); /* a tag of six bytes */
    assert_bad("0a 01 78 07 00", "cut short");                         /* field 0 */
    assert_bad("0a 01 78 a3 01 a4 01", "cut short");                   /* a group */
    assert_bad("0a 01 78 a6 01", "cut short");                         /* wire type 6 */
    assert_bad("0a 01 78 3a 01 0a", "cut short");                      /* header cut */
    assert_bad("0a 01 78 3a 06 0a 01 61 0a 01 61", "twice");           /* header name twice */
    assert_bad("0a 01 78 3a 03 0a 01 ff", "headers");
    assert_bad("0a 01 78 52 03 0a 01 61", "log_id");
    assert_bad("0a 01 78 52 00 52 00", "twice");
    assert_bad("0a 01 78 52 02 1a 00", "wire type"); /* offset as bytes */
    assert_bad("0a 01 78 6a 03 0a 01 ff", "enc.algorithm");
    assert_bad("0a 01 78 6a 02 08 01", "wire type");
    assert_bad("0a 01 78 61 00 00 00 00 00 00 00 00 61 00 00 00 00 00 00 00 00", "twice");
    assert_bad("ff ff ff ff ff ff ff ff ff 7f 00", "cut short"); /* tag beyond 32 bits */
}

static void parse_unknown_fields_are_kept(void **state)
{
    struct record_view view;
    const char *why;
    (void)state;
    /* 20: varint, 21: fixed64, 22: bytes, 23: fixed32, each twice over: unknown fields may repeat */
    assert_status(parse("a0 01 05 0a 01 78 a9 01 01 02 03 04 05 06 07 08 b2 01 02 61 62 bd 01 01 02 03 04 a0 01 05", &view, &why),
                  TRUC_OK);
    assert_bytes(view.id, "x");
    assert_status(parse("0a 01 78 3a 09 0a 01 61 12 01 62 a0 01 01", &view, &why), TRUC_OK); /* inside a header */
    assert_bytes(record_header_at(&view, 0).value, "b");
    assert_status(parse("0a 01 78 52 03 a0 01 01", &view, &why), TRUC_OK);
    assert_true(view.has_relation);
    assert_status(parse("0a 01 78 6a 07 a0 01 01 1a 00 1a 00", &view, &why), TRUC_OK);
    assert_true(view.has_encryption);
}

/* A text field of a size, after the id. */
static truc_status parse_sized(unsigned number, size_t size, const char **why)
{
    static uint8_t buffer[RECORD_BYTES_MAX + 64];
    struct record_view view;
    uint8_t *p = buffer;
    *p++ = 0x0a;
    *p++ = 1;
    *p++ = 'x';
    if (number == 1)
        p = buffer;
    *p++ = (uint8_t)(number << 3 | 2);
    p = varint_put(p, size);
    memset(p, 'a', size);
    return record_parse(bytes_of(buffer, (size_t)(p - buffer) + size), &view, why);
}

static void parse_limits_are_exact(void **state)
{
    static const struct {
        unsigned number;
        size_t size_max;
    } limits[] = {{1, RECORD_ID_BYTES_MAX},   {2, RECORD_TYPE_BYTES_MAX}, {3, RECORD_KEY_BYTES_MAX},  {5, RECORD_TEXT_BYTES_MAX},
                  {6, RECORD_TEXT_BYTES_MAX}, {9, RECORD_TEXT_BYTES_MAX}, {11, RECORD_TEXT_BYTES_MAX}};
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        assert_status(parse_sized(limits[i].number, limits[i].size_max, &why), TRUC_OK);
        assert_status(parse_sized(limits[i].number, limits[i].size_max + 1, &why), TRUC_BAD_RECORD);
    }
    assert_status(parse_sized(8, RECORD_BYTES_MAX - 8, &why), TRUC_OK); /* 3 + 1 + 4 bytes around the data */
    assert_status(parse_sized(8, RECORD_BYTES_MAX - 7, &why), TRUC_BAD_RECORD);
    assert_string_equal(why, "record: over 8 MiB");
}

static void parse_header_count_is_limited(void **state)
{
    uint8_t buffer[3 + 2 * (RECORD_HEADERS_MAX + 1)] = {0x0a, 1, 'x'};
    struct record_view view;
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i <= RECORD_HEADERS_MAX; i++) {
        buffer[3 + 2 * i] = 0x3a;
        buffer[4 + 2 * i] = 0;
    }
    assert_status(record_parse(bytes_of(buffer, sizeof buffer - 2), &view, &why), TRUC_OK);
    assert_int_equal(view.header_count, RECORD_HEADERS_MAX);
    assert_status(record_parse(bytes_of(buffer, sizeof buffer), &view, &why), TRUC_BAD_RECORD);
}

static const struct record_header sample_headers[] = {
    {{(const uint8_t *)"lang", 4}, {(const uint8_t *)"vi", 2}},
    {{(const uint8_t *)"empty", 5}, {NULL, 0}},
    {{NULL, 0}, {NULL, 0}},
};

static struct record_view sample_view(void)
{
    return (struct record_view){
        .id = bytes_of_text("0123456789abcdef"),
        .type = bytes_of_text("vn.gov.dossier.status"),
        .key = bytes_of_text("H26.16-200605-0001"),
        .time_ns = 1591344000000000000,
        .content_type = bytes_of_text("application/protobuf"),
        .schema = bytes_of_text("truc.egov.v1.DossierEvent"),
        .data = bytes_of_text("\x08\x02"),
        .correlation_id = bytes_of_text("c-1"),
        .has_relation = true,
        .relation = {.log_id = bytes_of_text("fedcba9876543210"),
                     .topic = bytes_of_text("dossier.status.H26.16"),
                     .offset = 300,
                     .id = bytes_of_text("other"),
                     .relation = bytes_of_text("corrects")},
        .traceparent = bytes_of_text("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        .expires_at_ns = -5,
    };
}

static void encode_is_what_protobuf_reads_and_what_parse_gives_back(void **state)
{
    struct record_view view = sample_view(), back;
    uint8_t out[1024];
    const char *why = NULL;
    size_t size = record_encoded_size(&view, sample_headers, 3);
    (void)state;
    assert_int_equal(record_encode(&view, sample_headers, 3, out) - out, size);

    Truc__V1__Record *message = truc__v1__record__unpack(NULL, size, out);
    assert_non_null(message);
    assert_int_equal(message->time_ns, view.time_ns);
    assert_int_equal(message->expires_at_ns, -5);
    assert_string_equal(message->key, "H26.16-200605-0001");
    assert_string_equal(message->traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_int_equal(message->n_headers, 3);
    assert_string_equal(message->headers[0]->value, "vi");
    assert_int_equal(message->relates_to->offset, 300);
    assert_string_equal(message->relates_to->relation, "corrects");
    assert_int_equal(truc__v1__record__get_packed_size(message), size); /* canonical: the same bytes */
    uint8_t packed[1024];
    (void)truc__v1__record__pack(message, packed);
    assert_memory_equal(packed, out, size);
    truc__v1__record__free_unpacked(message, NULL);

    assert_status(record_parse(bytes_of(out, size), &back, &why), TRUC_OK);
    assert_true(bytes_equal(back.id, view.id) && bytes_equal(back.type, view.type) && bytes_equal(back.key, view.key));
    assert_true(bytes_equal(back.data, view.data) && bytes_equal(back.schema, view.schema));
    assert_true(bytes_equal(back.correlation_id, view.correlation_id) && bytes_equal(back.traceparent, view.traceparent));
    assert_true(bytes_equal(back.relation.topic, view.relation.topic) && bytes_equal(back.relation.id, view.relation.id));
    assert_true(back.relation.offset == 300 && back.time_ns == view.time_ns && back.expires_at_ns == -5);
    assert_int_equal(back.header_count, 3);
    assert_bytes(record_header_at(&back, 0).name, "lang");
    assert_bytes(record_header_at(&back, 1).name, "empty");
    assert_int_equal(record_header_at(&back, 2).name.size, 0);
    assert_int_equal(record_header_at(&back, 3).name.size, 0);
}

static void brief_says_what_the_view_says(void **state)
{
    struct record_view view = sample_view();
    struct record_brief brief;
    uint8_t out[1024];
    const char *why = NULL;
    (void)state;
    size_t size = (size_t)(record_encode(&view, sample_headers, 1, out) - out);
    assert_status(record_brief_parse(bytes_of(out, size), &brief, &why), TRUC_OK);
    assert_true(bytes_equal(brief.key, view.key) && bytes_equal(brief.type, view.type));
    assert_true(brief.time_ns == view.time_ns && brief.expires_at_ns == view.expires_at_ns);
    assert_int_equal(brief.flags, RECORD_FLAG_RELATED | RECORD_FLAG_HEADERS);
}

static uint8_t flags_of_type(const char *type)
{
    struct record_view view = {.id = bytes_of_text("x"), .type = bytes_of_text(type)};
    struct record_brief brief = {0};
    uint8_t out[256];
    const char *why = NULL;
    size_t size = (size_t)(record_encode(&view, NULL, 0, out) - out);
    assert_status(record_brief_parse(bytes_of(out, size), &brief, &why), TRUC_OK);
    return brief.flags;
}

static void brief_of_a_recall_says_so_by_its_exact_type(void **state)
{
    (void)state;
    assert_int_equal(flags_of_type("truc.recall.v1"), RECORD_FLAG_RECALL);
    assert_int_equal(flags_of_type("truc.recall.v10"), 0);
    assert_int_equal(flags_of_type("truc.recall.v"), 0);
    assert_int_equal(flags_of_type("truc.recall.v2"), 0);
    assert_int_equal(flags_of_type("Truc.recall.v1"), 0);
    assert_int_equal(flags_of_type(""), 0);
}

/* What we accept protobuf accepts, over bytes that are nearly right; and no byte of a cut or altered record crashes the walk. */
static void parse_altered_bytes_never_accepts_what_protobuf_refuses(void **state)
{
    struct record_view view = sample_view(), back;
    struct record_brief brief;
    struct random random = {7};
    uint8_t good[1024], bad[1024];
    size_t accepted = 0;
    (void)state;
    size_t size = (size_t)(record_encode(&view, sample_headers, 3, good) - good);
    for (int round = 0; round < 200000; round++) {
        size_t cut = random_below(&random, 4) == 0 ? random_below(&random, size + 1) : size;
        memcpy(bad, good, size);
        for (size_t i = random_below(&random, 3); i > 0; i--)
            bad[random_below(&random, size)] = (uint8_t)random_next(&random);
        uint8_t *exact = malloc(cut == 0 ? 1 : cut); /* so that a sanitizer sees any byte read beyond */
        assert_non_null(exact);
        memcpy(exact, bad, cut);
        truc_status status = record_parse(bytes_of(exact, cut), &back, NULL);
        assert_int_equal(status, record_brief_parse(bytes_of(exact, cut), &brief, NULL));
        if (status == TRUC_OK) {
            for (size_t i = 0; i < back.header_count; i++)
                (void)record_header_at(&back, i);
            Truc__V1__Record *message = truc__v1__record__unpack(NULL, cut, exact);
            assert_non_null(message);
            truc__v1__record__free_unpacked(message, NULL);
            accepted++;
        }
        free(exact);
    }
    assert_true(accepted > 1000);
}

static void records_walk_ends_or_tells_of_the_cut(void **state)
{
    static const uint8_t payload[] = {3, 0x0a, 1, 'x', 0, 200, 1, 'y'};
    struct reader r = reader_over(bytes_of(payload, 5));
    struct bytes record;
    truc_status status = TRUC_INTERNAL;
    (void)state;
    assert_true(records_next(&r, &record, &status));
    assert_int_equal(record.size, 3);
    assert_true(records_next(&r, &record, &status));
    assert_int_equal(record.size, 0);
    assert_false(records_next(&r, &record, &status));
    assert_int_equal(status, TRUC_OK);
    r = reader_over(bytes_of(payload, sizeof payload));
    assert_true(records_next(&r, &record, &status));
    assert_true(records_next(&r, &record, &status));
    assert_false(records_next(&r, &record, &status));
    assert_int_equal(status, TRUC_BAD_BATCH);
    assert_false(records_next(&r, &record, &status));
    assert_int_equal(status, TRUC_BAD_BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_smallest_record),
        cmocka_unit_test(parse_hostile_is_refused_with_its_reason),
        cmocka_unit_test(parse_unknown_fields_are_kept),
        cmocka_unit_test(parse_limits_are_exact),
        cmocka_unit_test(parse_header_count_is_limited),
        cmocka_unit_test(encode_is_what_protobuf_reads_and_what_parse_gives_back),
        cmocka_unit_test(brief_says_what_the_view_says),
        cmocka_unit_test(brief_of_a_recall_says_so_by_its_exact_type),
        cmocka_unit_test(parse_altered_bytes_never_accepts_what_protobuf_refuses),
        cmocka_unit_test(records_walk_ends_or_tells_of_the_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
