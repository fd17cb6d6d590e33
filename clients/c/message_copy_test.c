/* message_copy_test.c: a copy says the same and shares nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clients/c/message_copy.h"

/* What the message borrows, to be overwritten once it is copied. */
struct lender {
    char texts[16][8];
    uint8_t log_id[16], data[5];
    truc_header headers[2];
    size_t used;
};

static truc_text lend(struct lender *lender, const char *text)
{
    char *at = lender->texts[lender->used++];

    memcpy(at, text, strlen(text) + 1);
    return (truc_text){at, strlen(text)};
}

static truc_message full(struct lender *lender)
{
    truc_message message = {.size = sizeof message, .position = 1, .offset = 2, .index = 3, .record = TRUC_RECORD_INIT};
    truc_record *record = &message.record;

    memset(lender->log_id, 7, sizeof lender->log_id);
    memset(lender->data, 9, sizeof lender->data);
    lender->headers[0] = (truc_header){lend(lender, "a"), lend(lender, "1")};
    lender->headers[1] = (truc_header){lend(lender, "b"), lend(lender, "")};
    message.topic = lend(lender, "t.u").data;
    message.source = lend(lender, "H26").data;
    message.system = lend(lender, "web").data;
    message.log_id = lender->log_id;
    message.encoded = lend(lender, "bytes");
    record->data = lender->data;
    record->data_size = sizeof lender->data;
    record->id = lend(lender, "id");
    record->key = lend(lender, "key");
    record->correlation_id = lend(lender, "corr");
    record->headers = lender->headers;
    record->header_count = 2;
    record->relates_to.log_id = lender->log_id;
    record->relates_to.topic = lend(lender, "o");
    record->relates_to.offset = 8;
    return message;
}

static void assert_text(truc_text text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void message_copy_outlives_the_original(void **state)
{
    static const uint8_t sevens[16] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}, nines[5] = {9, 9, 9, 9, 9};
    struct lender lender = {.used = 0};
    truc_message message = full(&lender), *copy = message_copy(&message);

    (void)state;
    assert_non_null(copy);
    memset(&lender, 0xff, sizeof lender);
    assert_int_equal(copy->position, 1);
    assert_int_equal(copy->offset, 2);
    assert_int_equal(copy->index, 3);
    assert_string_equal(copy->topic, "t.u");
    assert_string_equal(copy->source, "H26");
    assert_string_equal(copy->system, "web");
    assert_text(copy->encoded, "bytes");
    assert_text(copy->record.id, "id");
    assert_text(copy->record.key, "key");
    assert_text(copy->record.correlation_id, "corr");
    assert_text(copy->record.type, "");
    assert_text(copy->record.relates_to.topic, "o");
    assert_int_equal(copy->record.relates_to.offset, 8);
    assert_int_equal(copy->record.header_count, 2);
    assert_text(copy->record.headers[0].name, "a");
    assert_text(copy->record.headers[0].value, "1");
    assert_text(copy->record.headers[1].name, "b");
    assert_text(copy->record.headers[1].value, "");
    assert_int_equal(copy->record.data_size, sizeof nines);
    assert_memory_equal(copy->record.data, nines, sizeof nines);
    assert_memory_equal(copy->log_id, sevens, sizeof sevens);
    assert_memory_equal(copy->record.relates_to.log_id, sevens, sizeof sevens);
    truc_message_free(copy);
}

static void message_copy_of_little_is_little(void **state)
{
    truc_message message = {.size = sizeof message, .topic = "t", .source = "H26", .system = "web"}, *copy = message_copy(&message);

    (void)state;
    assert_non_null(copy);
    assert_null(copy->record.headers);
    assert_null(copy->record.relates_to.log_id);
    assert_int_equal(copy->record.data_size, 0);
    assert_string_equal(copy->topic, "t");
    truc_message_free(copy);
    truc_message_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_copy_outlives_the_original),
        cmocka_unit_test(message_copy_of_little_is_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
