/* request_wire_test.c: what requests and replies are marked with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clients/c/request_wire.h"

static truc_text text(const char *value)
{
    return (truc_text){value, strlen(value)};
}

static void request_names_are_topic_and_random_key(void **state)
{
    struct request_names names, others;

    (void)state;
    assert_int_equal(request_names_make(&names, "H26.16", "portal"), TRUC_OK);
    assert_int_equal(request_names_make(&others, "H26.16", "portal"), TRUC_OK);
    assert_string_equal(names.topic, "reply.H26.16.portal");
    assert_int_equal(strlen(names.key), REPLY_KEY_DIGITS);
    assert_int_equal(strspn(names.key, "0123456789abcdef"), REPLY_KEY_DIGITS);
    assert_string_not_equal(names.key, others.key);
    assert_string_not_equal(names.run, others.run);
}

static void request_correlation_leads_back_to_its_serial(void **state)
{
    static const uint64_t serials[] = {1, 15, 16, UINT64_C(0x123456789abcdef0), UINT64_MAX};
    struct request_names names, others;
    char correlation[CORRELATION_DIGITS + 1];

    (void)state;
    assert_int_equal(request_names_make(&names, "H26", "web"), TRUC_OK);
    assert_int_equal(request_names_make(&others, "H26", "web"), TRUC_OK);
    for (size_t i = 0; i < sizeof serials / sizeof serials[0]; i++) {
        request_correlation(&names, serials[i], correlation);
        assert_true(request_serial(&names, text(correlation)) == serials[i]);
        assert_true(request_serial(&others, text(correlation)) == 0);
    }
    assert_true(request_serial(&names, (truc_text){correlation, CORRELATION_DIGITS - 1}) == 0);
    assert_true(request_serial(&names, (truc_text){0}) == 0);
    correlation[CORRELATION_DIGITS - 1] = 'F';
    assert_true(request_serial(&names, text(correlation)) == 0);
}

static void request_dressed_keeps_what_the_application_gave(void **state)
{
    struct request_names names;
    truc_header own = {text("unit"), text("7")}, headers[RECORD_HEADERS_MAX], many[RECORD_HEADERS_MAX];
    truc_record request = TRUC_RECORD_INIT, record;
    char topic[TOPIC_BYTES_MAX + 1];
    truc_text key;

    (void)state;
    assert_int_equal(request_names_make(&names, "H26", "web"), TRUC_OK);
    request.type = text("lookup");
    request.headers = &own;
    request.header_count = 1;
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_OK);
    assert_int_equal(record.header_count, 3);
    assert_memory_equal(record.headers[0].value.data, "7", 1);
    assert_int_equal(record.expires_at_ns, 99);
    assert_true(request_wants_reply(&record, topic, &key));
    assert_string_equal(topic, names.topic);
    assert_int_equal(key.size, REPLY_KEY_DIGITS);
    assert_memory_equal(key.data, names.key, key.size);

    for (size_t i = 0; i < RECORD_HEADERS_MAX; i++)
        many[i] = own;
    request.headers = many;
    request.header_count = RECORD_HEADERS_MAX - REQUEST_HEADERS + 1;
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_BAD_RECORD);
    request.header_count--;
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_OK);
}

static void request_dressed_already_is_refused(void **state)
{
    struct request_names names;
    truc_header own = {text(REQUEST_REPLY_TO), text("reply.H26.web")}, headers[RECORD_HEADERS_MAX];
    truc_record request = TRUC_RECORD_INIT, record;

    (void)state;
    assert_int_equal(request_names_make(&names, "H26", "web"), TRUC_OK);
    assert_int_equal(request_dress(&names, NULL, 99, headers, &record), TRUC_INVALID_ARGUMENT);
    request.header_count = 1;
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_INVALID_ARGUMENT);
    request.headers = &own;
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_INVALID_ARGUMENT);
    own.name = text(REQUEST_REPLY_KEY);
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_INVALID_ARGUMENT);
    request.header_count = 0;
    request.correlation_id = text("mine");
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_INVALID_ARGUMENT);
    request.correlation_id = (truc_text){0};
    request.expires_at_ns = 1;
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_INVALID_ARGUMENT);
    request.expires_at_ns = 0;
    request.size--;
    assert_int_equal(request_dress(&names, &request, 99, headers, &record), TRUC_INVALID_ARGUMENT);
}

/* A server is not to be made to publish anywhere but among replies. */
static void request_to_another_topic_wants_no_reply(void **state)
{
    static const char *const wrong[] = {"",        "reply",      "reply.", "replies.H26.web", "dossier.status",
                                        "reply.*", "reply..web", "sys.x"};
    char topic[TOPIC_BYTES_MAX + 1], longest[RECORD_KEY_BYTES_MAX + 2];
    truc_header headers[2] = {{text(REQUEST_REPLY_TO), {0}}, {text(REQUEST_REPLY_KEY), {0}}};
    truc_record request = TRUC_RECORD_INIT;
    truc_text key;

    (void)state;
    assert_false(request_wants_reply(&request, topic, &key));
    request.headers = headers;
    request.header_count = 1;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        headers[0].value = text(wrong[i]);
        assert_false(request_wants_reply(&request, topic, &key));
    }
    headers[0].value = text("reply.H26.web");
    assert_true(request_wants_reply(&request, topic, &key));
    assert_int_equal(key.size, 0);
    memset(longest, 'k', sizeof longest);
    request.header_count = 2;
    headers[1].value = (truc_text){longest, RECORD_KEY_BYTES_MAX};
    assert_true(request_wants_reply(&request, topic, &key));
    headers[1].value.size++;
    assert_false(request_wants_reply(&request, topic, &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_names_are_topic_and_random_key),
        cmocka_unit_test(request_correlation_leads_back_to_its_serial),
        cmocka_unit_test(request_dressed_keeps_what_the_application_gave),
        cmocka_unit_test(request_dressed_already_is_refused),
        cmocka_unit_test(request_to_another_topic_wants_no_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
