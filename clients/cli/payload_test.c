#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/payload.h"
#include "truc/egov/v1/dossier_event.pb-c.h"

static const struct payload_type *dossier_type(void)
{
    const struct payload_type *type = payload_type_find(bytes_of_text("truc.egov.v1.DossierEvent"));
    assert_non_null(type);
    return type;
}

static void set(ProtobufCMessage *message, const char *field, const char *text)
{
    char why[PAYLOAD_WHY_BYTES] = "";
    if (payload_field_set(message, field, bytes_of_text(text), NULL, 0, why) != TRUC_OK) {
        fail_msg("%s=%s: %s", field, text, why);
    }
}

static void refuse(ProtobufCMessage *message, const char *field, const char *text, truc_status status, const char *says)
{
    char why[PAYLOAD_WHY_BYTES] = "";
    assert_int_equal(payload_field_set(message, field, bytes_of_text(text), NULL, 0, why), status);
    if (strstr(why, says) == NULL) {
        fail_msg("%s=%s: %s", field, text, why);
    }
}

static void assert_json(const uint8_t *bytes, size_t size, const char *json)
{
    struct out out;
    out_init(&out, -1);
    assert_int_equal(payload_to_json(dossier_type(), bytes_of(bytes, size), &out), TRUC_OK);
    if (out.size != strlen(json) || memcmp(out.data, json, out.size) != 0) {
        fail_msg("%.*s", (int)out.size, out.data);
    }
    out_fini(&out);
}

static void find_unknown_is_null(void **state)
{
    (void)state;
    assert_null(payload_type_find(bytes_of_text("truc.egov.v1.Dossier")));
    assert_null(payload_type_find(bytes_of_text("")));
}

/* What the fast printer relies on. */
static void registry_types_fit_printer(void **state)
{
    (void)state;
    for (size_t i = 0; i < payload_type_count(); i++) {
        const struct payload_type *type = payload_type_at(i);
        assert_true(type->descriptor->n_fields <= 64);
        assert_string_equal(type->descriptor->name, type->name);
    }
}

static void set_encode_print_round_trips(void **state)
{
    ProtobufCMessage *message = payload_create(dossier_type());
    uint8_t *bytes = NULL;
    size_t capacity = 0, size = 0;
    (void)state;
    assert_non_null(message);
    set(message, "dossier", "H26.16-200605-0001");
    set(message, "status", "in_progress");
    set(message, "channel", "2");
    set(message, "unit",
        "Ph\xc3\xb2ng \"M\xe1\xbb\x99t c\xe1\xbb\xad"
        "a\"");
    set(message, "occurred_ns", "2020-06-05T08:00:00+07:00");
    set(message, "due", "2020-06-20T00:00:00.5Z"); /* without _ns */
    set(message, "note", "");
    assert_int_equal(payload_encode(message, &bytes, &capacity, &size), TRUC_OK);
    assert_json(
        bytes, size,
        "{\"dossier\":\"H26.16-200605-0001\",\"status\":\"IN_PROGRESS\",\"unit\":\"Ph\xc3\xb2ng \\\"M\xe1\xbb\x99t c\xe1\xbb\xad"
        "a\\\"\","
        "\"channel\":\"ONLINE\",\"occurred_ns\":\"2020-06-05T01:00:00.000000000Z\",\"due_ns\":\"2020-06-20T00:00:00.500000000Z\"}");
    /* protobuf-c reads the same */
    Truc__Egov__V1__DossierEvent *event = truc__egov__v1__dossier_event__unpack(NULL, size, bytes);
    assert_non_null(event);
    assert_int_equal(event->occurred_ns, 1591318800000000000);
    assert_int_equal(event->status, TRUC__EGOV__V1__DOSSIER_STATUS__IN_PROGRESS);
    truc__egov__v1__dossier_event__free_unpacked(event, NULL);

    payload_clear(message);
    set(message, "dossier", "first");
    set(message, "dossier", "second");
    assert_int_equal(payload_encode(message, &bytes, &capacity, &size), TRUC_OK);
    assert_json(bytes, size, "{\"dossier\":\"second\"}");
    payload_clear(message);
    assert_int_equal(payload_encode(message, &bytes, &capacity, &size), TRUC_OK);
    assert_int_equal(size, 0);
    assert_json(bytes, size, "{}");
    payload_destroy(message);
    payload_destroy(NULL);
    free(bytes);
}

static void set_wrong_names_field_and_choices(void **state)
{
    ProtobufCMessage *message = payload_create(dossier_type());
    char why[PAYLOAD_WHY_BYTES];
    (void)state;
    assert_non_null(message);
    refuse(message, "statsu", "4", TRUC_NOT_FOUND, "dossier procedure step");
    refuse(message, "status", "eleven", TRUC_INVALID_ARGUMENT, "NEWLY_REGISTERED");
    refuse(message, "status", "11", TRUC_INVALID_ARGUMENT, "status takes one of");
    refuse(message, "occurred_ns", "yesterday", TRUC_INVALID_ARGUMENT, "occurred_ns: 'yesterday' is not a time");
    refuse(message, "note", "\xff", TRUC_INVALID_ARGUMENT, "note takes UTF-8");
    assert_int_equal(payload_field_check(dossier_type(), "nothing", why), TRUC_NOT_FOUND);
    assert_int_equal(payload_field_check(dossier_type(), "occurred", why), TRUC_OK);
    payload_destroy(message);
}

static void print_unknown_fields_are_told(void **state)
{
    /* 1: "x"; 77: varint 5; 78: 4 bytes */
    static const uint8_t bytes[] = {0x0a, 1, 'x', 0xe8, 0x04, 5, 0xf5, 0x04, 1, 2, 3, 4};
    (void)state;
    assert_json(bytes, sizeof bytes, "{\"dossier\":\"x\",\"@unknown\":[77,78]}");
    assert_json(bytes + 3, sizeof bytes - 3, "{\"@unknown\":[77,78]}");
}

static void print_last_occurrence_wins(void **state)
{
    static const uint8_t bytes[] = {0x0a, 1, 'x', 0x20, 4, 0x0a, 1, 'y', 0x20, 99};
    (void)state;
    assert_json(bytes, sizeof bytes, "{\"dossier\":\"y\",\"status\":99}");
}

static void print_malformed_is_refused(void **state)
{
    static const struct {
        uint8_t bytes[12];
        size_t size;
    } wrong[] = {
        {{0x0a}, 1},                                                              /* no length */
        {{0x0a, 5, 'x'}, 3},                                                      /* cut short */
        {{0x0a, 2, 0xc3, 0x28}, 4},                                               /* not UTF-8 */
        {{0x08, 1}, 2},                                                           /* wire type of field 1 */
        {{0x00, 1}, 2},                                                           /* field 0 */
        {{0x0b}, 1},                                                              /* group */
        {{0x41, 1, 2, 3}, 4},                                                     /* fixed64 cut */
        {{0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 11}, /* endless varint */
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6},                                /* lying length */
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct out out;
        uint8_t *exact = malloc(wrong[i].size); /* so that ASan sees a byte too far */
        assert_non_null(exact);
        memcpy(exact, wrong[i].bytes, wrong[i].size);
        out_init(&out, -1);
        out_text(&out, "before");
        assert_int_equal(payload_to_json(dossier_type(), bytes_of(exact, wrong[i].size), &out), TRUC_BAD_RECORD);
        assert_int_equal(out.size, 6);
        out_fini(&out);
        free(exact);
    }
}

/* Mutated messages: never beyond the bytes, and whatever is printed is JSON. */
static void print_mutations_stay_json(void **state)
{
    ProtobufCMessage *message = payload_create(dossier_type());
    uint8_t *bytes = NULL;
    size_t capacity = 0, size = 0;
    (void)state;
    assert_non_null(message);
    set(message, "dossier", "H26.16-200605-0001");
    set(message, "status", "4");
    set(message, "occurred_ns", "2020-06-05T08:00:00+07:00");
    set(message, "note", "a note");
    assert_int_equal(payload_encode(message, &bytes, &capacity, &size), TRUC_OK);
    srand(11);
    for (int round = 0; round < 20000; round++) {
        size_t cut = 1 + (size_t)rand() % size;
        uint8_t *exact = malloc(cut);
        struct out out;
        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        for (int i = rand() % 4; i > 0; i--) {
            exact[(size_t)rand() % cut] = (uint8_t)rand();
        }
        out_init(&out, -1);
        if (payload_to_json(dossier_type(), bytes_of(exact, cut), &out) == TRUC_OK) {
            json_t *parsed = json_loadb(out.data, out.size, JSON_ALLOW_NUL, NULL);
            if (parsed == NULL) {
                fail_msg("%.*s", (int)out.size, out.data);
            }
            json_decref(parsed);
        }
        out_fini(&out);
        free(exact);
    }
    payload_destroy(message);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_unknown_is_null),          cmocka_unit_test(registry_types_fit_printer),
        cmocka_unit_test(set_encode_print_round_trips),  cmocka_unit_test(set_wrong_names_field_and_choices),
        cmocka_unit_test(print_unknown_fields_are_told), cmocka_unit_test(print_last_occurrence_wins),
        cmocka_unit_test(print_malformed_is_refused),    cmocka_unit_test(print_mutations_stay_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
