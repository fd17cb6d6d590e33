/* server_test.c: what becomes of requests: served, refused, passed over, given back. */
#undef NDEBUG
#include "clients/c/request_kit.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/c/server.h"

/* Fails until the third attempt. */
static truc_status serve_at_last(void *context, const truc_job *job, truc_record *reply)
{
    (void)context;
    return job->attempt < 3 ? TRUC_IO : serve_echo(context, job, reply);
}

static void server_refused_request_comes_again(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester;

    (void)state;
    work_subscribe(client, "work", "shared");
    (void)serve_open(client, "2", serve_at_last, NULL);
    requester = request_open(client, "20");
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(request_number(requester, account, i, WAIT_MS), TRUC_OK);
    account_wait(account, 20);
    assert_int_equal(account_count(account, TRUC_OK), 20);
    assert_int_equal(account->wrong, 0);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

static truc_status serve_nothing(void *context, const truc_job *job, truc_record *reply)
{
    (void)context;
    (void)job;
    (void)reply;
    return TRUC_INVALID_ARGUMENT;
}

static void server_rejected_request_is_dead(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester;
    truc_server *server;

    (void)state;
    work_subscribe(client, "work", "shared");
    server = serve_open(client, "1", serve_nothing, NULL);
    requester = request_open(client, "2");
    assert_int_equal(request_number(requester, account, 0, 300), TRUC_OK);
    account_wait(account, 1);
    assert_int_equal(account->statuses[0], TRUC_TIMED_OUT);
    assert_int_equal(truc_server_close(server, WAIT_MS), TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DEAD), 1);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

static truc_status serve_counting(void *context, const truc_job *job, truc_record *reply)
{
    (void)job;
    (void)reply;
    atomic_fetch_add((atomic_int *)context, 1);
    return TRUC_OK;
}

/* Records that are no requests, requests that nobody waits for, and one that is one. */
static void server_serves_only_requests_in_time(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    truc_header to = {{"reply-to", 8}, {"reply.H26.web", 13}}, elsewhere = {{"reply-to", 8}, {"dossier.status", 14}};
    truc_record record = TRUC_RECORD_INIT;
    atomic_int served = 0;
    truc_server *server;

    (void)state;
    work_subscribe(client, "work", "shared");
    assert_int_equal(truc_publish_wait(producer, "test.lookup", &record, WAIT_MS, NULL), TRUC_OK); /* no reply-to */
    record.header_count = 1;
    record.headers = &elsewhere;
    assert_int_equal(truc_publish_wait(producer, "test.lookup", &record, WAIT_MS, NULL), TRUC_OK);
    record.headers = &to;
    record.expires_at_ns = (int64_t)(time(NULL) - 1) * 1000000000; /* too late */
    assert_int_equal(truc_publish_wait(producer, "test.lookup", &record, WAIT_MS, NULL), TRUC_OK);
    record.expires_at_ns = (int64_t)(time(NULL) + 3600) * 1000000000;
    assert_int_equal(truc_publish_wait(producer, "test.lookup", &record, WAIT_MS, NULL), TRUC_OK);
    server = serve_open(client, "1", serve_counting, &served);
    while (work_in_state(broker, FAKE_DONE) + work_in_state(broker, FAKE_DEAD) < 4)
        (void)sched_yield();
    assert_int_equal(truc_server_close(server, WAIT_MS), TRUC_OK);
    assert_int_equal(atomic_load(&served), 1);
    assert_int_equal(work_in_state(broker, FAKE_DEAD), 2);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 2);
    fake_broker_lock(broker);
    assert_int_equal(broker->topic_count, 2);
    assert_string_equal(broker->topics[1].name, "reply.H26.web");
    assert_int_equal(broker->topics[1].next_offset, 1);
    fake_broker_unlock(broker);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* A reply that no record may be is the server's fault, and may be mended. */
static truc_status serve_badly_once(void *context, const truc_job *job, truc_record *reply)
{
    static const char wrong[] = "\xff";

    (void)context;
    if (job->attempt == 1)
        reply->type = (truc_text){wrong, 1};
    return job->attempt == 1 ? TRUC_OK : serve_echo(context, job, reply);
}

static void server_bad_reply_refuses_the_request(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();

    (void)state;
    work_subscribe(client, "work", "shared");
    (void)serve_open(client, "1", serve_badly_once, NULL);
    assert_int_equal(request_number(request_open(client, "2"), account, 0, WAIT_MS), TRUC_OK);
    account_wait(account, 1);
    assert_int_equal(account->statuses[0], TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
    account_destroy(account);
}

/* Every thread is in a request at once, or the test hangs. */
static truc_status serve_together(void *context, const truc_job *job, truc_record *reply)
{
    (void)pthread_barrier_wait(context);
    return serve_echo(NULL, job, reply);
}

static void server_threads_serve_at_once(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    pthread_barrier_t barrier;
    truc_requester *requester;

    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 4), 0);
    work_subscribe(client, "work", "shared");
    (void)serve_open(client, "4", serve_together, &barrier);
    requester = request_open(client, "100");
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(request_number(requester, account, i, WAIT_MS), TRUC_OK);
    account_wait(account, 40);
    assert_int_equal(account_count(account, TRUC_OK), 40);
    truc_client_close(client);
    fake_broker_stop(broker);
    (void)pthread_barrier_destroy(&barrier);
    account_destroy(account);
}

/* A lone request's acknowledgement waits for the next reply's company, but not for long. */
static void server_acknowledges_the_last_request_by_itself(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_record record = TRUC_RECORD_INIT;
    truc_requester *requester;

    (void)state;
    work_subscribe(client, "work", "shared");
    (void)serve_open(client, "2", serve_echo, NULL);
    requester = request_open(client, "1");
    for (size_t i = 1; i <= 20; i++) {
        truc_message *reply = NULL;

        record.key = (truc_text){"k", i % 4 == 0}; /* one with a key keeps others of it waiting, and does not */
        assert_int_equal(truc_request_wait(requester, "test.lookup", &record, WAIT_MS, &reply, NULL), TRUC_OK);
        truc_message_free(reply);
        while (i % 5 == 0 && work_in_state(broker, FAKE_DONE) < i)
            (void)sched_yield();
    }
    truc_client_close(client);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 20);
    fake_broker_stop(broker);
}

/* --- closing ----------------------------------------------------------------------------------------------------------------- */

/* Requests that end when the closing has come so far. */
struct closing {
    truc_server *_Atomic server;
    bool lost; /* until its time is over, too */
    atomic_int begun;
    truc_status status;
};

static bool has_come(const struct closing *closing)
{
    truc_server *server = atomic_load(&closing->server);
    bool come = false;

    if (server == NULL)
        return false;
    (void)pthread_mutex_lock(&server->lock);
    come = closing->lost ? server->worker == NULL : server->closing;
    (void)pthread_mutex_unlock(&server->lock);
    return come;
}

static truc_status serve_until_closing(void *context, const truc_job *job, truc_record *reply)
{
    struct closing *closing = context;

    atomic_fetch_add(&closing->begun, 1);
    while (!has_come(closing))
        (void)sched_yield();
    assert_int_equal(truc_server_close(atomic_load(&closing->server), 0), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_server_wait(atomic_load(&closing->server), 0), TRUC_INVALID_ARGUMENT);
    return serve_echo(NULL, job, reply);
}

static void close_with_two_begun(struct closing *closing, int timeout_ms, size_t done, size_t replies)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    struct account *account = account_create();
    truc_requester *requester;

    work_subscribe(client, "work", "shared");
    requester = request_open(client, "10");
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(request_number(requester, account, i, WAIT_MS), TRUC_OK);
    atomic_store(&closing->server, serve_open(client, "2", serve_until_closing, closing));
    while (atomic_load(&closing->begun) < 2)
        (void)sched_yield();
    closing->status = truc_server_close(atomic_load(&closing->server), timeout_ms);
    assert_int_equal(atomic_load(&closing->begun), 2);
    assert_int_equal(work_in_state(broker, FAKE_DONE), done);
    account_wait(account, replies);
    truc_client_close(client); /* with it the requester, and the requests that were not served */
    assert_int_equal(account_count(account, TRUC_OK), replies);
    assert_int_equal(work_in_state(broker, FAKE_DONE), done);
    fake_broker_stop(broker);
    account_destroy(account);
}

static void server_close_finishes_what_is_served_and_gives_back_the_rest(void **state)
{
    struct closing closing = {.lost = false};

    (void)state;
    close_with_two_begun(&closing, WAIT_MS, 2, 2);
    assert_int_equal(closing.status, TRUC_OK);
}

/* What is served too long is nobody's any more when it ends: it comes again, and its reply is not waited for. */
static void server_close_out_of_time_gives_back_what_is_served(void **state)
{
    struct closing closing = {.lost = true};

    (void)state;
    close_with_two_begun(&closing, 20, 0, 0);
    assert_int_equal(closing.status, TRUC_TIMED_OUT);
}

/* --- the subscription --------------------------------------------------------------------------------------------------------- */

static void server_needs_a_shared_subscription(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_server *server = NULL;
    char *why = NULL;

    (void)state;
    work_subscribe(client, "work", "ordered");
    assert_int_equal(truc_server_open(client, "none", NULL, serve_echo, NULL, &server, &why), TRUC_NOT_FOUND);
    assert_non_null(why);
    truc_free(why);
    why = NULL;
    assert_int_equal(truc_server_open(client, "work", NULL, serve_echo, NULL, &server, &why), TRUC_UNSUPPORTED);
    assert_non_null(strstr(why, "shared"));
    truc_free(why);
    assert_int_equal(truc_server_open(client, "work", NULL, NULL, NULL, &server, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_server_open(NULL, "work", NULL, serve_echo, NULL, &server, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_server_close(NULL, 0), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void server_ends_with_its_subscription(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_server *server;

    (void)state;
    work_subscribe(client, "work", "shared");
    server = serve_open(client, "3", serve_echo, NULL);
    assert_int_equal(truc_server_wait(server, 10), TRUC_TIMED_OUT);
    assert_int_equal(truc_subscription_change(client, "work", TRUC_SUBSCRIPTION_REMOVE, NULL), TRUC_OK);
    assert_int_equal(truc_server_wait(server, WAIT_MS), TRUC_NOT_FOUND);
    assert_int_equal(truc_server_close(server, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_refused_request_comes_again),
        cmocka_unit_test(server_rejected_request_is_dead),
        cmocka_unit_test(server_serves_only_requests_in_time),
        cmocka_unit_test(server_bad_reply_refuses_the_request),
        cmocka_unit_test(server_threads_serve_at_once),
        cmocka_unit_test(server_acknowledges_the_last_request_by_itself),
        cmocka_unit_test(server_close_finishes_what_is_served_and_gives_back_the_rest),
        cmocka_unit_test(server_close_out_of_time_gives_back_what_is_served),
        cmocka_unit_test(server_needs_a_shared_subscription),
        cmocka_unit_test(server_ends_with_its_subscription),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
