#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/message_print.h"

static const uint8_t log_id[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff};

#define TEXT(literal)                                                                                                              \
    {                                                                                                                              \
        literal, sizeof(literal) - 1                                                                                               \
    }

static truc_message sample(void)
{
    truc_message message = {.size = sizeof message,
                            .record = {.size = sizeof(truc_record),
                                       .data = "{\"a\": 1}\n",
                                       .data_size = 9,
                                       .id = TEXT("\x01\x97\x2d\x3c\x5a\x00\x7a\xbc\x8d\xef\x01\x23\x45\x67\x89\xab"),
                                       .key = TEXT("H26.16-200605-0001"),
                                       .type = TEXT("vn.gov.dossier.status"),
                                       .content_type = TEXT("application/json; charset=utf-8"),
                                       .time_ns = 1591318800000000000},
                            .topic = "dossier.status.H26.16",
                            .position = 7,
                            .offset = 3,
                            .index = 2,
                            .append_time_ns = 1591318800123456789,
                            .source = "H26.16",
                            .system = "portal",
                            .log_id = log_id,
                            .generation = 1};
    return message;
}

static void assert_printed(enum message_shape shape, const truc_message *message, const char *expected)
{
    struct out out;
    struct message_printer printer;
    out_init(&out, -1);
    message_printer_init(&printer, &out, shape);
    message_print(&printer, message);
    if (out.size != strlen(expected) || memcmp(out.data, expected, out.size) != 0) {
        fail_msg("%.*s", (int)out.size, out.data);
    }
    message_printer_fini(&printer);
    out_fini(&out);
}

#define HEAD                                                                                                                       \
    "{\"log_id\":\"ab0102030405060708090a0b0c0d0eff\",\"generation\":1,\"position\":7,\"index\":2,\"topic\":\"dossier.status.H26." \
    "16\",\"offset\":3,"                                                                                                           \
    "\"append_time\":\"2020-06-05T01:00:00.123456789Z\","

static void json_record_has_members_in_order(void **state)
{
    truc_message message = sample();
    (void)state;
    assert_printed(MESSAGE_JSON, &message,
                   HEAD "\"time\":\"2020-06-05T01:00:00.000000000Z\",\"id\":\"01972d3c-5a00-7abc-8def-0123456789ab\",\"type\":\"vn."
                        "gov.dossier.status\","
                        "\"key\":\"H26.16-200605-0001\",\"source\":\"H26.16/portal\",\"headers\":{},\"content_type\":\"application/"
                        "json; charset=utf-8\","
                        "\"data\":{\"a\":1}}\n");
}

static void json_rare_members_stand_when_they_are_there(void **state)
{
    truc_message message = sample();
    (void)state;
    message.record = (truc_record){.size = sizeof(truc_record),
                                   .id = TEXT("x"),
                                   .expires_at_ns = 1591318800000000000,
                                   .correlation_id = TEXT("c\"1"),
                                   .relates_to = {.topic = TEXT("a.b"), .relation = TEXT("reply"), .offset = 4}};
    assert_printed(MESSAGE_JSON, &message,
                   HEAD
                   "\"time\":null,\"id\":\"x\",\"type\":\"\",\"key\":\"\",\"source\":\"H26.16/portal\",\"headers\":{},"
                   "\"content_type\":\"\",\"expires_at\":\"2020-06-05T01:00:00.000000000Z\",\"correlation_id\":\"c\\\"1\","
                   "\"relates_to\":{\"topic\":\"a.b\",\"offset\":4,\"id\":\"\",\"relation\":\"reply\"},\"data_base64\":\"\"}\n");
}

static void json_absent_fields_are_empty(void **state)
{
    truc_message message = sample();
    (void)state;
    message.record = (truc_record){.size = sizeof(truc_record), .id = TEXT("x\"y")};
    assert_printed(MESSAGE_JSON, &message,
                   HEAD "\"time\":null,\"id\":\"x\\\"y\",\"type\":\"\",\"key\":\"\",\"source\":\"H26.16/"
                        "portal\",\"headers\":{},\"content_type\":\"\","
                        "\"data_base64\":\"\"}\n");
}

static void json_repeated_header_is_array(void **state)
{
    static const truc_header headers[] = {
        {TEXT("a"), TEXT("1")}, {TEXT("b"), TEXT("2")}, {TEXT("a"), TEXT("3")}, {TEXT("a"), TEXT("")}};
    truc_message message = sample();
    (void)state;
    message.record = (truc_record){.size = sizeof(truc_record), .id = TEXT("i"), .headers = headers, .header_count = 4};
    assert_printed(MESSAGE_JSON, &message,
                   HEAD "\"time\":null,\"id\":\"i\",\"type\":\"\",\"key\":\"\",\"source\":\"H26.16/"
                        "portal\",\"headers\":{\"a\":[\"1\",\"3\",\"\"],\"b\":\"2\"},"
                        "\"content_type\":\"\",\"data_base64\":\"\"}\n");
}

/* The member "data" or "data_base64" for a payload. */
static void assert_data(truc_text content_type, truc_text schema, const char *data, size_t size, const char *expected)
{
    struct out out;
    struct message_printer printer;
    truc_message message = sample();
    message.record.content_type = content_type;
    message.record.schema = schema;
    message.record.data = data;
    message.record.data_size = size;
    out_init(&out, -1);
    message_printer_init(&printer, &out, MESSAGE_JSON);
    message_print(&printer, &message);
    size_t expected_size = strlen(expected);
    if (out.size < expected_size + 2 || memcmp(out.data + out.size - 2 - expected_size, expected, expected_size) != 0) {
        fail_msg("%.*s", (int)out.size, out.data);
    }
    json_t *parsed = json_loadb(out.data, out.size, 0, NULL); /* one JSON object whatever the payload */
    assert_non_null(parsed);
    json_decref(parsed);
    message_printer_fini(&printer);
    out_fini(&out);
}

static void json_data_by_kind_of_payload(void **state)
{
    const truc_text none = {NULL, 0}, dossier = TEXT("truc.egov.v1.DossierEvent"), protobuf = TEXT("application/protobuf");
    const truc_text json = TEXT("application/json"), event = TEXT("Application/CloudEvents+JSON"),
                    plain = TEXT("text/plain; charset=utf-8");
    const truc_text other = TEXT("application/octet-stream");
    (void)state;
    assert_data(json, none, "[1,\n2]", 6, "\"data\":[1,2]");
    assert_data(event, none, "{}", 2, "\"data\":{}");
    assert_data(json, none, "{oops", 5, "\"data_base64\":\"e29vcHM=\"");
    assert_data(json, none, "", 0, "\"data_base64\":\"\"");
    assert_data(plain, none, "a\"b\n", 4, "\"data\":\"a\\\"b\\n\"");
    assert_data(plain, none, "\xff", 1, "\"data_base64\":\"/w==\"");
    assert_data(none, none, "{}", 2, "\"data_base64\":\"e30=\"");
    assert_data(other, none, "abc", 3, "\"data_base64\":\"YWJj\"");
    assert_data(none, dossier, "\x0a\x01x\x20\x04", 5, "\"data\":{\"dossier\":\"x\",\"status\":\"IN_PROGRESS\"}");
    assert_data(protobuf, dossier, "\x0a\x01x", 3, "\"data\":{\"dossier\":\"x\"}");
    assert_data(protobuf, dossier, "\x0a\x05x", 3, "\"data_base64\":\"CgV4\"");
    assert_data(other, dossier, "\x0a\x01x", 3, "\"data_base64\":\"CgF4\"");
    assert_data(protobuf, none, "\x0a\x01x", 3, "\"data_base64\":\"CgF4\"");
    assert_data(json, dossier, "{\"dossier\":\"x\"}", 15, "\"data\":{\"dossier\":\"x\"}");
}

static void json_next_record_tells_its_own_times(void **state)
{
    struct out out;
    struct message_printer printer;
    truc_message message = sample();
    (void)state;
    out_init(&out, -1);
    message_printer_init(&printer, &out, MESSAGE_JSON);
    message_print(&printer, &message);
    out.size = 0;
    message.append_time_ns++;
    message.generation = 2;
    message_print(&printer, &message);
    out_bytes(&out, "", 1);
    assert_non_null(strstr(out.data, "\"generation\":2,"));
    assert_non_null(strstr(out.data, "\"append_time\":\"2020-06-05T01:00:00.123456790Z\""));
    message_printer_fini(&printer);
    out_fini(&out);
}

static void line_never_controls_terminal(void **state)
{
    truc_message message = sample();
    (void)state;
    message.record.content_type = (truc_text){NULL, 0};
    message.record.type = (truc_text){NULL, 0};
    message.record.key = (truc_text)TEXT("k\x1b[2J\xc2\x9b");
    message.record.data = "a\nb\x1b]0;x\x07";
    message.record.data_size = 9;
    assert_printed(
        MESSAGE_LINE, &message,
        "2020-06-05T01:00:00.123456789Z  dossier.status.H26.16 3  H26.16/portal  key=k\\x1b[2J\\xc2\\x9b  a\\x0ab\\x1b]0;x\\x07\n");
    message.record.key = (truc_text){NULL, 0};
    message.record.data = "\xff\x00";
    message.record.data_size = 2;
    assert_printed(MESSAGE_LINE, &message, "2020-06-05T01:00:00.123456789Z  dossier.status.H26.16 3  H26.16/portal  (2 bytes)\n");
}

static void raw_is_payload_and_newline(void **state)
{
    truc_message message = sample();
    (void)state;
    message.record.data = "\x00x";
    message.record.data_size = 2;
    struct out out;
    struct message_printer printer;
    out_init(&out, -1);
    message_printer_init(&printer, &out, MESSAGE_RAW);
    message_print(&printer, &message);
    assert_int_equal(out.size, 3);
    assert_memory_equal(out.data, "\x00x\n", 3);
    message_printer_fini(&printer);
    out_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_record_has_members_in_order),     cmocka_unit_test(json_absent_fields_are_empty),
        cmocka_unit_test(json_repeated_header_is_array),        cmocka_unit_test(json_data_by_kind_of_payload),
        cmocka_unit_test(json_next_record_tells_its_own_times), cmocka_unit_test(line_never_controls_terminal),
        cmocka_unit_test(raw_is_payload_and_newline),           cmocka_unit_test(json_rare_members_stand_when_they_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
