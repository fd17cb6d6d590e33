/* requester_test.c: every request is told exactly once, whatever happens to it. */
#undef NDEBUG
#include "clients/c/request_kit.h"

#include <stdlib.h>
#include <string.h>

static void requester_gets_the_reply_to_each_of_many(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester;
    truc_server *server;

    (void)state;
    work_subscribe(client, "work", "shared");
    server = serve_open(client, "4", serve_echo, NULL);
    requester = request_open(client, "1000");
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(request_number(requester, account, i, WAIT_MS), TRUC_OK);
    account_wait(account, 1000);
    assert_int_equal(account_count(account, TRUC_OK), 1000);
    assert_int_equal(account->wrong, 0);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(account->times[i], 1);
    assert_int_equal(truc_server_close(server, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 1000);
    truc_requester_close(requester);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

static void requester_waiting_gets_a_reply_of_its_own(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_record record = TRUC_RECORD_INIT;
    truc_message *first = NULL, *second = NULL;
    truc_requester *requester;
    char *why = NULL;

    (void)state;
    work_subscribe(client, "work", "shared");
    requester = request_open(client, "1");
    assert_int_equal(truc_request_wait(requester, "test.lookup", &record, 20, &first, &why), TRUC_TIMED_OUT);
    assert_non_null(why);
    truc_free(why);
    assert_null(first);
    (void)serve_open(client, "1", serve_echo, NULL); /* the client closes both */
    record.data = "first";
    record.data_size = 5;
    assert_int_equal(truc_request_wait(requester, "test.lookup", &record, WAIT_MS, &first, &why), TRUC_OK);
    record.data = "second";
    record.data_size = 6;
    assert_int_equal(truc_request_wait(requester, "test.lookup", &record, WAIT_MS, &second, NULL), TRUC_OK);
    truc_client_close(client);
    assert_memory_equal(first->record.data, "first", 5);
    assert_memory_equal(second->record.data, "second", 6);
    truc_message_free(first);
    truc_message_free(second);
    fake_broker_stop(broker);
}

static void requester_tells_deadlines_in_their_order(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester = request_open(client, "3");

    (void)state;
    assert_int_equal(request_number(requester, account, 0, 400), TRUC_OK);
    assert_int_equal(request_number(requester, account, 1, 200), TRUC_OK);
    assert_int_equal(request_number(requester, account, 2, 1), TRUC_OK);
    account_wait(account, 3);
    assert_int_equal(account_count(account, TRUC_TIMED_OUT), 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(account->order[i], 2 - i);
    assert_int_equal(account->wrong, 0);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

/* A reply that comes too late, or to nobody, is passed over. */
static void requester_late_reply_is_not_told(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester;
    truc_server *server;

    (void)state;
    work_subscribe(client, "work", "shared");
    requester = request_open(client, "10");
    fake_broker_lock(broker);
    broker->share.subscriptions[0].paused = true;
    fake_broker_unlock(broker);
    assert_int_equal(request_number(requester, account, 0, 1), TRUC_OK);
    account_wait(account, 1);
    fake_broker_lock(broker);
    broker->share.subscriptions[0].paused = false;
    fake_broker_unlock(broker);
    server = serve_open(client, "1", serve_echo, NULL);
    assert_int_equal(request_number(requester, account, 1, WAIT_MS), TRUC_OK);
    account_wait(account, 2);
    assert_int_equal(truc_server_close(server, WAIT_MS), TRUC_OK);
    assert_int_equal(account->statuses[0], TRUC_TIMED_OUT);
    assert_int_equal(account->statuses[1], TRUC_OK);
    assert_int_equal(account->told, 2);
    assert_int_equal(kit_stored(broker, "reply.local.dev", NULL, 0), 1); /* the one whose deadline had passed was not served */
    assert_int_equal(work_in_state(broker, FAKE_DONE), 2);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

static void requester_refuses_what_it_cannot_ask(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester = request_open(client, "2"), *other = NULL;
    truc_record record = TRUC_RECORD_INIT;
    truc_message *reply = NULL;
    char *why = NULL;

    (void)state;
    assert_int_equal(truc_requester_open(NULL, NULL, &other, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_request(requester, "test.lookup", &record, 1000, NULL, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(request_number(requester, account, 0, 0), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_request_wait(requester, "test..lookup", &record, 1000, &reply, &why), TRUC_BAD_TOPIC);
    assert_non_null(why);
    truc_free(why);
    record.correlation_id = (truc_text){"mine", 4};
    assert_int_equal(truc_request_wait(requester, "test.lookup", &record, 1000, &reply, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(request_number(requester, account, 0, WAIT_MS), TRUC_OK);
    assert_int_equal(request_number(requester, account, 1, WAIT_MS), TRUC_OK);
    assert_int_equal(request_number(requester, account, 2, WAIT_MS), TRUC_QUEUE_FULL);
    truc_requester_close(requester);
    assert_int_equal(account_count(account, TRUC_CLOSED), 2);
    truc_requester_close(NULL);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

static truc_status judge(void *context, const struct batch_view *batch)
{
    (void)context;
    return bytes_equal(batch->topic, bytes_of_text("test.lookup")) ? TRUC_NOT_ALLOWED : TRUC_OK;
}

static void requester_tells_why_a_request_was_not_stored(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester = request_open(client, "10");

    (void)state;
    fake_broker_lock(broker);
    broker->judge = judge;
    fake_broker_unlock(broker);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(request_number(requester, account, i, WAIT_MS), TRUC_OK);
    account_wait(account, 10);
    assert_int_equal(account_count(account, TRUC_NOT_ALLOWED), 10);
    assert_int_equal(account->wrong, 0);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

/* Asks again in its callback, when there is nobody any more to be asked. */
struct insistent {
    truc_requester *requester;
    truc_status status, again;
};

static void on_reply_ask_again(void *opaque, truc_status status, const truc_message *reply, const char *why)
{
    struct insistent *insistent = opaque;
    truc_record record = TRUC_RECORD_INIT;
    truc_message *copy = NULL;

    assert_null(reply);
    assert_true(why[0] != '\0');
    insistent->status = status;
    insistent->again = truc_request(insistent->requester, "test.lookup", &record, WAIT_MS, on_reply_ask_again, insistent);
    assert_int_equal(truc_request_wait(insistent->requester, "test.lookup", &record, WAIT_MS, &copy, NULL), TRUC_INVALID_ARGUMENT);
    truc_requester_close(insistent->requester); /* not in a callback */
}

static void requester_close_tells_what_is_under_way(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct insistent insistent = {.requester = request_open(client, "10")};
    truc_record record = TRUC_RECORD_INIT;

    (void)state;
    assert_int_equal(truc_request(insistent.requester, "test.lookup", &record, WAIT_MS, on_reply_ask_again, &insistent), TRUC_OK);
    truc_client_close(client);
    assert_int_equal(insistent.status, TRUC_CLOSED);
    assert_int_equal(insistent.again, TRUC_CLOSED);
    fake_broker_stop(broker);
}

static void requester_of_another_log_is_over(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester = request_open(client, "10");

    (void)state;
    assert_int_equal(request_number(requester, account, 0, WAIT_MS), TRUC_OK);
    fake_broker_lock(broker);
    broker->log_id[0]++;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    account_wait(account, 1);
    assert_int_equal(account->statuses[0], TRUC_LOG_MISMATCH);
    assert_int_equal(request_number(requester, account, 1, WAIT_MS), TRUC_LOG_MISMATCH);
    truc_requester_close(requester);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

/* At the at-th of the frames that carry requests, replies and settlements. */
static enum fake_deed make_trouble(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct work_trouble *trouble = context;

    (void)broker;
    if (frame->kind != FRAME_PUBLISH && frame->kind != FRAME_SETTLE)
        return FAKE_NORMAL;
    return atomic_fetch_add(&trouble->seen, 1) == trouble->at ? trouble->deed : FAKE_NORMAL;
}

static void requester_lost_connections_lose_no_reply(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN, FAKE_GARBAGE, FAKE_STRANGER};

    (void)state;
    for (size_t d = 0; d < sizeof deeds / sizeof deeds[0]; d++) {
        for (uint64_t at = 0; at < 8; at++) {
            struct fake_broker *broker = fake_broker_start();
            struct work_trouble trouble = {.at = at, .deed = deeds[d]};
            truc_client *client = kit_client(broker->url, NULL);
            struct account *account = account_create();
            truc_requester *requester;
            truc_server *server;

            work_subscribe(client, "work", "shared");
            server = serve_open(client, "2", serve_echo, NULL);
            requester = request_open(client, "100");
            fake_broker_lock(broker);
            broker->context = &trouble;
            broker->deed = make_trouble;
            fake_broker_unlock(broker);
            for (uint64_t i = 0; i < 100; i++)
                assert_int_equal(request_number(requester, account, i, WAIT_MS), TRUC_OK);
            account_wait(account, 100);
            assert_int_equal(account_count(account, TRUC_OK), 100);
            assert_int_equal(account->wrong, 0);
            assert_int_equal(truc_server_close(server, WAIT_MS), TRUC_OK);
            truc_requester_close(requester);
            assert_int_equal(account->told, 100); /* a request may be served twice: its second reply is passed over */
            truc_client_close(client);
            fake_broker_stop(broker);
            account_destroy(account);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requester_gets_the_reply_to_each_of_many), cmocka_unit_test(requester_waiting_gets_a_reply_of_its_own),
        cmocka_unit_test(requester_tells_deadlines_in_their_order), cmocka_unit_test(requester_late_reply_is_not_told),
        cmocka_unit_test(requester_refuses_what_it_cannot_ask),     cmocka_unit_test(requester_tells_why_a_request_was_not_stored),
        cmocka_unit_test(requester_close_tells_what_is_under_way),  cmocka_unit_test(requester_of_another_log_is_over),
        cmocka_unit_test(requester_lost_connections_lose_no_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
