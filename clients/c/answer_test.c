/* answer_test.c: receipts, answers, recalls, threads, single records. */
#undef NDEBUG
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/message_copy.h"
#include "clients/c/work_kit.h"
#include "truc/v1/wire.pb-c.h"

/* --- receipts ------------------------------------------------------------------------------------------------------------------
 */

/* Answers two pages; what it is asked to wait for is done at the asking number `done_at`. */
struct registry {
    unsigned asked, done_at;
    uint32_t wait_ms;
    size_t waited_for;
    char first_name[80];
    Truc__V1__ReceiptState state;
    bool unwanted;
};

static bool on_receipt(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct registry *registry = context;
    uint8_t memory[16384];
    struct arena arena = {memory, memory + sizeof memory};
    Truc__V1__ReceiptOk ok = TRUC__V1__RECEIPT_OK__INIT;
    Truc__V1__SubscriptionReceipt row = TRUC__V1__SUBSCRIPTION_RECEIPT__INIT, *rows[] = {&row};
    char local[] = "local", work[] = "work", zone[] = "zone", reason[] = "rejected", none[] = "", other[] = "local/other";
    char *unwanted[] = {other};
    const Truc__V1__Receipt *receipt;
    const char *why;

    if (frame->kind != FRAME_RECEIPT)
        return false;
    receipt = frame_header_decode(&arena, &truc__v1__receipt__descriptor, frame->header, &why);
    assert_non_null(receipt);
    if (receipt->offset == 99) {
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, TRUC_OUT_OF_RANGE, 0);
        return true;
    }
    row.owner = local;
    row.mode = TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED;
    if (receipt->after[0] == '\0') {
        registry->asked++;
        registry->wait_ms = receipt->wait_ms;
        registry->waited_for = receipt->n_wait_for;
        if (receipt->n_wait_for > 0)
            (void)snprintf(registry->first_name, sizeof registry->first_name, "%s", receipt->wait_for[0]);
        row.name = work;
        row.state = TRUC__V1__RECEIPT_STATE__RECEIPT_DEAD;
        row.reason = reason;
        row.attempts = 3;
        ok.more = true;
    } else {
        assert_string_equal(receipt->after, "local/work");
        row.name = zone;
        row.reason = none;
        row.state = registry->asked >= registry->done_at ? registry->state : TRUC__V1__RECEIPT_STATE__RECEIPT_LEASED;
    }
    ok.position = 7;
    ok.waited = registry->asked >= registry->done_at;
    ok.n_subscriptions = 1;
    ok.subscriptions = rows;
    if (registry->unwanted) {
        ok.n_unwanted = 1;
        ok.unwanted = unwanted;
    }
    fake_broker_answer(broker, FAKE_NORMAL, FRAME_RECEIPT_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
    return true;
}

static void receipt_tells_of_all_and_waits_for_some(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct registry registry = {.done_at = 3, .state = TRUC__V1__RECEIPT_STATE__RECEIPT_ACKNOWLEDGED};
    truc_client *client = kit_client(broker->url, "request_timeout_ms", "1000", NULL);
    const char *names[] = {"zone", "local/zone", "work"};
    char *json = NULL, *why = NULL;

    (void)state;
    fake_broker_lock(broker);
    broker->context = &registry;
    broker->other = on_receipt;
    fake_broker_unlock(broker);
    assert_int_equal(truc_receipt_json(client, "a.b", 4, NULL, 0, 0, &json, NULL), TRUC_OK);
    assert_non_null(strstr(json, "{\"topic\":\"a.b\",\"offset\":4,\"position\":7,"));
    assert_non_null(strstr(json, "\"subscriptions\":[{\"owner\":\"local\",\"name\":\"work\",\"mode\":\"shared\",\"state\":\"dead\","
                                 "\"attempts\":3,\"resolved_ns\":0,\"first_failed_ns\":0,\"last_failed_ns\":0,"
                                 "\"reason\":\"rejected\"},{\"owner\":\"local\",\"name\":\"zone\""));
    truc_free(json);
    registry.asked = 0;
    assert_int_equal(truc_receipt_json(client, "a.b", 4, names, 2, 100000, &json, NULL), TRUC_OK);
    assert_int_equal(registry.asked, 3); /* a long wait is asked for in pieces */
    assert_int_equal(registry.wait_ms, 501);
    assert_int_equal(registry.waited_for, 2);
    assert_string_equal(registry.first_name, "local/zone");
    truc_free(json);
    json = NULL;
    assert_int_equal(truc_receipt_json(client, "a.b", 4, names, 3, 0, &json, &why), TRUC_NOT_ACKNOWLEDGED);
    assert_non_null(strstr(why, "local/work has not acknowledged"));
    assert_non_null(json);
    truc_free(json);
    truc_free(why);
    registry.state = TRUC__V1__RECEIPT_STATE__RECEIPT_RESOLVED; /* nobody knows */
    registry.unwanted = true;
    assert_int_equal(truc_receipt_json(client, "a.b", 4, names, 2, 0, &json, NULL), TRUC_NOT_ACKNOWLEDGED);
    assert_non_null(strstr(json, "\"unwanted\":[\"local/other\"]"));
    truc_free(json);
    assert_int_equal(truc_receipt_json(client, "a.b", 99, NULL, 0, 0, &json, &why), TRUC_OUT_OF_RANGE);
    truc_free(why);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- records by themselves
 * --------------------------------------------------------------------------------------------------------- */

static void message_is_read_alone_and_kept(void **state)
{
    struct fake_broker *broker = work_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    truc_message *message = NULL;
    uint64_t number = 0;
    char *why = NULL;

    (void)state;
    for (uint64_t offset = 0; offset < 100; offset += 33) {
        assert_int_equal(truc_message_read(client, "test.work", offset, WAIT_MS, &message, NULL), TRUC_OK);
        assert_int_equal(message->offset, offset);
        assert_string_equal(message->topic, "test.work");
        assert_string_equal(message->source, "local");
        memcpy(&number, message->record.data, sizeof number);
        assert_int_equal(number, offset);
        truc_message_free(message);
        message = NULL;
    }
    assert_int_equal(truc_message_read(client, "test.work", 100, WAIT_MS, &message, &why), TRUC_OUT_OF_RANGE);
    truc_free(why);
    assert_int_equal(truc_message_read(client, "test.work", 101, WAIT_MS, &message, NULL), TRUC_OUT_OF_RANGE);
    assert_int_equal(truc_message_read(client, "test.nothing", 0, WAIT_MS, &message, NULL), TRUC_NOT_FOUND);
    assert_int_equal(truc_message_read(client, "test.*", 0, WAIT_MS, &message, &why), TRUC_BAD_TOPIC);
    assert_string_not_equal(why, "");
    truc_free(why);
    assert_null(message);
    truc_message_free(NULL);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void message_copy_owns_everything(void **state)
{
    char encoded[] = "..DATA.KEY.ID", topic[] = "a.b", source[] = "H26.16", other[] = "elsewhere", name[] = "name";
    uint8_t log_id[16] = {9};
    truc_header headers[] = {{{name, 4}, {other, 4}}, {{name, 2}, {NULL, 0}}};
    truc_message message = {.size = sizeof message, .topic = topic, .source = source, .system = other, .log_id = log_id};
    truc_message *copy;

    (void)state;
    message.encoded = (truc_text){encoded, 13};
    message.record = (truc_record){.size = sizeof message.record, .data = encoded + 2, .data_size = 4, .headers = headers};
    message.record.header_count = 2;
    message.record.key = (truc_text){encoded + 7, 3};
    message.record.type = (truc_text){other, 9};
    message.record.relates_to.log_id = log_id;
    copy = message_copy(&message);
    assert_non_null(copy);
    memset(encoded, 'x', sizeof encoded);
    memset(other, 'x', sizeof other);
    memset(topic, 'x', 3);
    memset(log_id, 0, sizeof log_id);
    memset(headers, 0, sizeof headers);
    assert_memory_equal(copy->record.data, "DATA", 4);
    assert_ptr_equal(copy->record.data, copy->encoded.data + 2); /* once */
    assert_memory_equal(copy->record.key.data, "KEY", 3);
    assert_memory_equal(copy->record.type.data, "elsewhere", 9);
    assert_memory_equal(copy->record.headers[0].value.data, "else", 4);
    assert_memory_equal(copy->record.headers[1].name.data, "na", 2);
    assert_int_equal(copy->record.headers[1].value.size, 0);
    assert_string_equal(copy->topic, "a.b");
    assert_string_equal(copy->system, "elsewhere");
    assert_int_equal(copy->log_id[0], 9);
    assert_int_equal(copy->record.relates_to.log_id[0], 9);
    assert_null(copy->record.id.data);
    truc_message_free(copy);
}

/* --- answers ---------------------------------------------------------------------------------------------------------------------
 */

static void thread_shows_answers_and_recalls_in_order(void **state)
{
    struct fake_broker *broker = work_broker(20);
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "linger_us", "0", NULL);
    truc_message *message = NULL, *other = NULL;
    char *json = NULL, *why = NULL, reason[4098];
    const char *at;

    (void)state;
    assert_int_equal(truc_message_read(client, "test.work", 13, WAIT_MS, &message, NULL), TRUC_OK);
    assert_int_equal(truc_message_read(client, "test.work", 14, WAIT_MS, &other, NULL), TRUC_OK);
    assert_int_equal(truc_answer(producer, message, TRUC_ANSWER_RECEIVED, NULL, NULL), TRUC_OK);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(truc_answer(producer, other, TRUC_ANSWER_DONE, "not this one", NULL), TRUC_OK);
    assert_int_equal(truc_recall(producer, message, "a mistake", NULL), TRUC_OK);
    assert_int_equal(truc_recall(producer, other, "not this one", NULL), TRUC_OK);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(truc_answer(producer, message, TRUC_ANSWER_RECALL_REFUSED, "too late", NULL), TRUC_OK);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(truc_thread_json(client, "test.work", 13, &json, NULL), TRUC_OK);
    assert_null(strstr(json, "not this one"));
    at = strstr(json, "[{\"kind\":\"record\",\"topic\":\"test.work\",\"offset\":13");
    assert_non_null(at);
    at = strstr(at, "{\"kind\":\"answer\",\"topic\":\"answer.local\",\"offset\":0");
    assert_non_null(at);
    at = strstr(at, "\"status\":\"received\",\"reason\":\"\"},{\"kind\":\"recall\",\"topic\":\"test.work\"");
    assert_non_null(at);
    at = strstr(at, "\"reason\":\"a mistake\"},{\"kind\":\"answer\"");
    assert_non_null(at);
    assert_non_null(strstr(at, "\"source\":\"local/dev\""));
    assert_non_null(strstr(at, "\"status\":\"recall-refused\",\"reason\":\"too late\"}]"));
    truc_free(json);
    assert_int_equal(truc_thread_json(client, "test.work", 15, &json, NULL), TRUC_OK);
    assert_null(strstr(json + 2, "{\"kind\"")); /* the record alone */
    truc_free(json);
    assert_int_equal(truc_thread_json(client, "test.work", 22, &json, &why), TRUC_OUT_OF_RANGE);
    truc_free(why);

    assert_int_equal(truc_answer(producer, message, (truc_answer_status)8, NULL, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_answer(producer, message, TRUC_ANSWER_DONE, "\xff", NULL), TRUC_INVALID_ARGUMENT);
    memset(reason, 'x', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    assert_int_equal(truc_answer(producer, message, TRUC_ANSWER_DONE, reason, NULL), TRUC_INVALID_ARGUMENT);
    assert_string_equal(truc_answer_name(TRUC_ANSWER_ACCEPTED), "accepted");
    assert_null(truc_answer_name((truc_answer_status)0));
    assert_null(truc_answer_name((truc_answer_status)99));
    message->source = "H26.16";
    assert_int_equal(truc_recall(producer, message, NULL, NULL), TRUC_NOT_ALLOWED);
    truc_message_free(message);
    truc_message_free(other);
    truc_client_close(client);
    fake_broker_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receipt_tells_of_all_and_waits_for_some),
        cmocka_unit_test(message_is_read_alone_and_kept),
        cmocka_unit_test(message_copy_owns_everything),
        cmocka_unit_test(thread_shows_answers_and_recalls_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
