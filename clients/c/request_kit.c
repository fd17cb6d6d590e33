#undef NDEBUG
#include "clients/c/request_kit.h"

#include <stdlib.h>
#include <string.h>

struct account *account_create(void)
{
    struct account *account = calloc(1, sizeof *account);

    assert_non_null(account);
    (void)pthread_mutex_init(&account->lock, NULL);
    (void)pthread_cond_init(&account->more, NULL);
    return account;
}

void account_destroy(struct account *account)
{
    (void)pthread_cond_destroy(&account->more);
    (void)pthread_mutex_destroy(&account->lock);
    free(account);
}

void account_wait(struct account *account, size_t told)
{
    (void)pthread_mutex_lock(&account->lock);
    while (account->told < told)
        (void)pthread_cond_wait(&account->more, &account->lock);
    (void)pthread_mutex_unlock(&account->lock);
}

size_t account_count(struct account *account, truc_status status)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&account->lock);
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        count += account->times[i] > 0 && account->statuses[i] == status;
    (void)pthread_mutex_unlock(&account->lock);
    return count;
}

truc_requester *request_open(truc_client *client, const char *in_flight)
{
    truc_options *options = kit_options("in_flight", in_flight, NULL);
    truc_requester *requester = NULL;
    char *why = NULL;

    if (truc_requester_open(client, options, &requester, &why) != TRUC_OK)
        fail_msg("requester: %s", why);
    truc_options_destroy(options);
    return requester;
}

/* Whether it is marked as the reply to a request for this number. */
static bool is_reply(const truc_message *reply, uint64_t number)
{
    const truc_record *record = &reply->record;
    uint64_t data;

    if (record->data_size != sizeof data)
        return false;
    memcpy(&data, record->data, sizeof data);
    return data == number && record->correlation_id.size == 32 && record->key.size == 32 && record->id.size == 16 &&
           record->relates_to.topic.size == 11 && memcmp(record->relates_to.topic.data, "test.lookup", 11) == 0 &&
           record->relates_to.relation.size == 5 && memcmp(record->relates_to.relation.data, "reply", 5) == 0 &&
           record->relates_to.log_id != NULL && record->relates_to.id.size == 16 && strcmp(reply->topic, "reply.local.dev") == 0;
}

static void on_reply(void *opaque, truc_status status, const truc_message *reply, const char *why)
{
    struct asked *asked = opaque;
    struct account *account = asked->account;

    (void)pthread_mutex_lock(&account->lock);
    account->times[asked->number]++;
    account->statuses[asked->number] = status;
    account->order[account->told++] = asked->number;
    account->wrong += (status == TRUC_OK) != (reply != NULL) || (status == TRUC_OK) != (why[0] == '\0');
    account->wrong += reply != NULL && !is_reply(reply, asked->number);
    (void)pthread_cond_broadcast(&account->more);
    (void)pthread_mutex_unlock(&account->lock);
    free(asked);
}

truc_status request_number(truc_requester *requester, struct account *account, uint64_t number, int timeout_ms)
{
    struct asked *asked = malloc(sizeof *asked);
    truc_record record = TRUC_RECORD_INIT;
    truc_status status;

    assert_non_null(asked);
    assert_true(number < REQUESTS_MAX);
    *asked = (struct asked){account, number};
    record.data = &number;
    record.data_size = sizeof number;
    status = truc_request(requester, "test.lookup", &record, timeout_ms, on_reply, asked);
    if (status != TRUC_OK)
        free(asked);
    return status;
}

truc_server *serve_open(truc_client *client, const char *threads, truc_serve_callback *on_request, void *context)
{
    truc_options *options = kit_options("threads", threads, NULL);
    truc_server *server = NULL;
    char *why = NULL;

    if (truc_server_open(client, "work", options, on_request, context, &server, &why) != TRUC_OK)
        fail_msg("server: %s", why);
    truc_options_destroy(options);
    return server;
}

truc_status serve_echo(void *context, const truc_job *job, truc_record *reply)
{
    (void)context;
    reply->data = job->message->record.data;
    reply->data_size = job->message->record.data_size;
    return TRUC_OK;
}
