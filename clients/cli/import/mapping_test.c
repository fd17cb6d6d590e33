#include "clients/cli/import/mapping.h"
#include "clients/cli/import/slug.h"
#include "clients/cli/import/spool.h"
#include "clients/cli/import/testing.h"
#include "clients/cli/payload.h"

/* A CSV text through a mapping. */
struct fixture {
    struct testing_rows t;
    struct mapping *mapping;
    struct zone zone;
    struct built built;
};

static const struct mapping_options plain = {.topic = "d.{unit}", .key = "{id}", .type = "step", .time = "{at}"};

static truc_status start(struct fixture *f, const struct mapping_options *options, const char *text)
{
    assert_int_equal(zone_select("Asia/Ho_Chi_Minh", &f->zone), TRUC_OK);
    assert_int_equal(testing_open(&f->t, ROWS_CSV, text, strlen(text)), TRUC_OK);
    f->mapping = NULL;
    truc_status status = mapping_create(options, f->t.columns, &f->zone, &f->mapping, &f->t.failure);
    if (status == TRUC_OK) {
        assert_int_equal(mapping_identify(f->mapping, "H26.16/portal", "producer"), TRUC_OK);
        status = mapping_check(f->mapping, &f->t.failure);
    }
    return status;
}

static void stop(struct fixture *f)
{
    mapping_destroy(f->mapping);
    testing_close(&f->t);
}

static truc_status next(struct fixture *f)
{
    assert_int_equal(testing_next(&f->t), ROW_GOOD);
    truc_status status = mapping_topic(f->mapping, &f->t.row, &f->built, &f->t.failure);
    return status == TRUC_OK ? mapping_complete(f->mapping, &f->t.row, &f->built, &f->t.failure) : status;
}

static void text_is(truc_text text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void refused(const struct mapping_options *options, const char *why)
{
    struct fixture f;
    assert_int_equal(start(&f, options, "id,unit,at\n"), TRUC_USAGE);
    testing_why_holds(&f.t, why);
    stop(&f);
}

static void mapping_row_becomes_json_record(void **state)
{
    (void)state;
    struct fixture f;
    const char *const headers[] = {"unit={unit}", "empty={note}"};
    struct mapping_options options = plain;
    options.headers.items = (const char **)(uintptr_t)headers;
    options.headers.count = 2;
    assert_int_equal(start(&f, &options, "id,unit,at,note\no\xcc\x82,\xc4\x90\xe1\xbb\x91ng \"A\",2020-06-05 08:00:00,\n"),
                     TRUC_OK);
    assert_int_equal(next(&f), TRUC_OK);
    assert_string_equal(f.built.topic, "d.Dong-A");
    text_is(f.built.record.key, "\xc3\xb4"); /* NFC */
    text_is(f.built.record.type, "step");
    text_is(f.built.record.content_type, "application/json");
    assert_true(f.built.record.time_ns == INT64_C(1591318800000000000)); /* 01:00:00Z: the zone is +07:00 */
    text_is((truc_text){f.built.record.data, f.built.record.data_size},
            "{\"id\":\"o\xcc\x82\",\"unit\":\"\xc4\x90\xe1\xbb\x91ng \\\"A\\\"\",\"at\":\"2020-06-05 08:00:00\",\"note\":\"\"}");
    assert_int_equal(f.built.record.header_count, 1);
    text_is(f.built.record.headers[0].name, "unit");
    assert_int_equal(f.built.record.id.size, 16);
    assert_int_equal(f.built.id[6] >> 4, 8);
    assert_int_equal(f.built.id[8] >> 6, 2);
    stop(&f);
}

static void mapping_time_with_its_own_zone_needs_none(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(start(&f, &plain, "id,unit,at\n1,a,2011-10-11 13:45:40.276000+02:00\n1,a,2011-10-11T11:45:40.276Z\n"),
                     TRUC_OK);
    assert_int_equal(next(&f), TRUC_OK);
    assert_true(f.built.record.time_ns == INT64_C(1318333540276000000));
    assert_int_equal(next(&f), TRUC_OK);
    assert_true(f.built.record.time_ns == INT64_C(1318333540276000000));
    stop(&f);
}

static void mapping_bad_rows_name_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *row, *why;
    } cases[] = {{"1,a,yesterday", "--time: 'yesterday'"},
                 {"1,a,now", "--time: 'now'"},
                 {"1,a,-1h", "--time: '-1h'"},
                 {"1,a,2020-02-30T00:00:00Z", "--time"},
                 {"1,a,", "--time is empty"},
                 {",a,2020-01-01T00:00:00Z", "--key is empty"},
                 {"1,,2020-01-01T00:00:00Z", "column 'unit' is empty"},
                 {"1,??,2020-01-01T00:00:00Z", "column 'unit': '\?\?' holds nothing"},
                 {"\"x\ny\",a,2020-01-01T00:00:00Z", "control characters"}};
    struct fixture f;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "id,unit,at\n%s\n", cases[i].row);
        assert_int_equal(start(&f, &plain, text), TRUC_OK);
        assert_int_equal(next(&f), TRUC_BAD_ROW);
        testing_why_holds(&f.t, cases[i].why);
        stop(&f);
    }
}

static void mapping_long_key_and_record_are_bad(void **state)
{
    (void)state;
    struct fixture f;
    enum { BIG = 1000 * 1000 };
    struct testing_text text = {0};
    testing_print(&text, "id,unit,at\n");
    testing_fill(&text, 'k', 256);
    testing_print(&text, ",a,2020-01-01T00:00:00Z\n");
    assert_int_equal(start(&f, &plain, text.data), TRUC_OK);
    assert_int_equal(next(&f), TRUC_BAD_ROW);
    testing_why_holds(&f.t, "longer than 255 bytes");
    stop(&f);
    text.size = 0;
    testing_print(&text, "id,unit,at,x,y\n1,a,2020-01-01T00:00:00Z,");
    testing_fill(&text, 'x', BIG);
    testing_print(&text, ",");
    testing_fill(&text, 'x', BIG);
    testing_print(&text, "\n");
    assert_int_equal(start(&f, &plain, text.data), TRUC_OK);
    assert_int_equal(next(&f), TRUC_BAD_ROW);
    testing_why_holds(&f.t, "larger than 1048576 bytes");
    stop(&f);
    free(text.data);
}

static void mapping_slug_clash_stops(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(start(&f, &plain, "id,unit,at\n1,a b,2020-01-01T00:00:00Z\n1,a-b,2020-01-01T00:00:00Z\n"), TRUC_OK);
    assert_int_equal(next(&f), TRUC_OK);
    assert_int_equal(next(&f), TRUC_SLUG_CLASH);
    testing_why_holds(&f.t, "'a b' and 'a-b' both become 'a-b'");
    stop(&f);
}

static void mapping_fields_fill_a_protobuf_payload(void **state)
{
    (void)state;
    struct fixture f;
    const char *const sets[] = {"dossier={id}", "status={st}", "unit={unit}", "occurred={at}", "note={note}"};
    struct mapping_options options = plain;
    options.as = "truc.egov.v1.DossierEvent";
    options.sets.items = (const char **)(uintptr_t)sets;
    options.sets.count = 5;
    assert_int_equal(start(&f, &options,
                           "id,unit,at,st,note\nH26.16-200605-0001,H26.16,2020-06-05T08:00:00+07:00,IN_PROGRESS,\n"
                           "x,H26.16,2020-06-05T08:00:00+07:00,99x,\n"),
                     TRUC_OK);
    assert_int_equal(next(&f), TRUC_OK);
    assert_string_equal(f.built.topic, "d.H26.16");
    text_is(f.built.record.content_type, "application/protobuf");
    text_is(f.built.record.schema, "truc.egov.v1.DossierEvent");
    struct out json;
    out_init(&json, -1);
    assert_int_equal(payload_to_json(payload_type_find(bytes_of_text(options.as)),
                                     bytes_of(f.built.record.data, f.built.record.data_size), &json),
                     TRUC_OK);
    out_bytes(&json, "", 1);
    assert_non_null(strstr(json.data, "\"dossier\":\"H26.16-200605-0001\""));
    assert_non_null(strstr(json.data, "\"status\":\"IN_PROGRESS\""));
    assert_non_null(strstr(json.data, "2020-06-05T01:00:00.000000000Z"));
    assert_null(strstr(json.data, "note"));
    out_fini(&json);
    assert_int_equal(next(&f), TRUC_BAD_ROW);
    testing_why_holds(&f.t, "--set status: '99x'");
    stop(&f);
}

static void mapping_wrong_options_are_named(void **state)
{
    (void)state;
    struct mapping_options options = plain;
    options.key = NULL;
    refused(&options, "--key is missing");
    options = plain;
    options.topic = "d.{unti}";
    refused(&options, "--topic: the file has no column 'unti'; did you mean 'unit'");
    options.topic = "a b.{unit}";
    refused(&options, "--topic: 'a b.' holds a character that a topic cannot hold");
    options.topic = "";
    refused(&options, "--topic is empty");
    const char *const items[] = {"dossier={id}"};
    options = plain;
    options.sets.items = (const char **)(uintptr_t)items;
    options.sets.count = 1;
    refused(&options, "--set needs --as");
    options.as = "truc.egov.v1.Dossier";
    refused(&options, "no payload type 'truc.egov.v1.Dossier'");
    const char *const wrong[] = {"dosier={id}"};
    options.as = "truc.egov.v1.DossierEvent";
    options.sets.items = (const char **)(uintptr_t)wrong;
    refused(&options, "--set 'dosier'");
    const char *const bare[] = {"unit"};
    options = plain;
    options.maps.items = (const char **)(uintptr_t)bare;
    options.maps.count = 1;
    refused(&options, "--map 'unit': write NAME=VALUE");
}

static void mapping_unused_map_is_refused(void **state)
{
    (void)state;
    char item[700];
    const char *const items[] = {item};
    struct mapping_options options = plain;
    (void)snprintf(item, sizeof item, "note=%s", testing_file("unused.csv", "a,b\n", 4));
    options.maps.items = (const char **)(uintptr_t)items;
    options.maps.count = 1;
    refused(&options, "it would change nothing");
}

static void mapping_digest_follows_what_rows_become(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t first[DIGEST_BYTES], second[DIGEST_BYTES];
    struct mapping_options options = plain;
    assert_int_equal(start(&f, &options, "id,unit,at\n"), TRUC_OK);
    assert_int_equal(mapping_digest(f.mapping, first), TRUC_OK);
    stop(&f);
    assert_int_equal(start(&f, &options, "unit,at,id\n"), TRUC_OK); /* the file does not count */
    assert_int_equal(mapping_digest(f.mapping, second), TRUC_OK);
    stop(&f);
    assert_memory_equal(first, second, sizeof first);
    options.type = "other";
    assert_int_equal(start(&f, &options, "id,unit,at\n"), TRUC_OK);
    assert_int_equal(mapping_digest(f.mapping, second), TRUC_OK);
    stop(&f);
    assert_memory_not_equal(first, second, sizeof first);
}

static void identity_is_of_source_producer_topic_and_row(void **state)
{
    (void)state;
    struct digest_context *digests = digest_context_create();
    struct out head;
    uint8_t ids[5][IMPORT_ID_BYTES];
    out_init(&head, -1);
    identity_head(&head, "H26.16/portal", "p");
    identity_make(digests, bytes_of(head.data, head.size), bytes_of_text("t"), 1, ids[0]);
    identity_make(digests, bytes_of(head.data, head.size), bytes_of_text("t"), 2, ids[1]);
    identity_make(digests, bytes_of(head.data, head.size), bytes_of_text("u"), 1, ids[2]);
    identity_head(&head, "H26.17/portal", "p");
    identity_make(digests, bytes_of(head.data, head.size), bytes_of_text("t"), 1, ids[3]);
    identity_head(&head, "H26.16/portal", "q");
    identity_make(digests, bytes_of(head.data, head.size), bytes_of_text("t"), 1, ids[4]);
    for (int a = 0; a < 5; a++) {
        for (int b = 0; b < a; b++) {
            assert_memory_not_equal(ids[a], ids[b], IMPORT_ID_BYTES);
        }
    }
    /* printf 'truc-import-id-v1\0H26.16/portal\0p\0t\0\1\0\0\0\0\0\0\0' | sha256sum, version and variant set */
    static const uint8_t golden[] = {0x3f, 0xc0, 0xc3, 0x7d, 0xaf, 0x23, 0x82, 0x36,
                                     0x99, 0x46, 0xb8, 0x10, 0x4e, 0x7a, 0x8a, 0x11};
    assert_memory_equal(ids[0], golden, sizeof golden);
    out_fini(&head);
    digest_context_destroy(digests);
}

static void spool_gives_records_by_time_and_whole(void **state)
{
    (void)state;
    struct fixture f;
    struct spool *spool = NULL;
    struct built built;
    bool more;
    static const char *const order[] = {"b", "d", "a", "c", "e"};
    assert_int_equal(start(&f, &plain,
                           "id,unit,at\na,u,2020-01-02T00:00:00Z\nb,u,2020-01-01T00:00:00Z\nc,u,2020-01-02T00:00:00Z\n"
                           "d,u,2020-01-01T00:00:00Z\ne,u,2021-01-01T00:00:00Z\n"),
                     TRUC_OK);
    assert_int_equal(spool_create(&spool, &f.t.failure), TRUC_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(next(&f), TRUC_OK);
        assert_int_equal(spool_add(spool, &f.built, &f.t.failure), TRUC_OK);
    }
    assert_int_equal(spool_sort(spool, &f.t.failure), TRUC_OK);
    for (int pass = 0; pass < 2; pass++) {
        spool_rewind(spool);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(spool_next(spool, &built, &more, &f.t.failure), TRUC_OK);
            assert_true(more);
            text_is(built.record.key, order[i]);
            assert_string_equal(built.topic, "d.u");
            assert_int_equal(built.line, built.row + 1);
            assert_memory_equal(built.record.id.data, built.id, IMPORT_ID_BYTES);
        }
        assert_int_equal(spool_next(spool, &built, &more, &f.t.failure), TRUC_OK);
        assert_false(more);
    }
    spool_destroy(spool);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapping_row_becomes_json_record),
        cmocka_unit_test(mapping_time_with_its_own_zone_needs_none),
        cmocka_unit_test(mapping_bad_rows_name_what_is_wrong),
        cmocka_unit_test(mapping_long_key_and_record_are_bad),
        cmocka_unit_test(mapping_slug_clash_stops),
        cmocka_unit_test(mapping_fields_fill_a_protobuf_payload),
        cmocka_unit_test(mapping_wrong_options_are_named),
        cmocka_unit_test(mapping_unused_map_is_refused),
        cmocka_unit_test(mapping_digest_follows_what_rows_become),
        cmocka_unit_test(identity_is_of_source_producer_topic_and_row),
        cmocka_unit_test(spool_gives_records_by_time_and_whole),
    };
    return cmocka_run_group_tests(tests, testing_setup, testing_teardown);
}
