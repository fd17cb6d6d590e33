/* lookup.c: requests and replies: an office looks dossiers up at another one.
 *
 *     lookup URL REQUESTS
 *
 * Server and requester are in one program here, on a connection each; usually they are two. The server takes requests from a shared
 * subscription with several threads: started on many machines, they share the requests. The requester asks once and waits, then
 * asks REQUESTS times without waiting. Requests and replies are records: `truc replay reply.H26.16.portal` shows what was replied.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <truc.h>

#define TOPIC "dossier.lookup.H26.17"

static const struct dossier {
    const char *code, *state;
} dossiers[] = {
    {"H26.17-260724-0001", "received"},
    {"H26.17-260724-0002", "in progress"},
    {"H26.17-260725-0001", "done"},
};
enum { DOSSIERS = sizeof dossiers / sizeof dossiers[0] };

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "lookup: %s: %s; %s\n", what, why != NULL && why[0] != '\0' ? why : truc_status_text(status),
                  truc_status_next(status));
    return (int)status;
}

static truc_status connect_as(const char *url, const char *source, truc_client **ret_client)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "url", url);
    if (status == TRUC_OK)
        status = truc_options_set(options, "source", source);
    if (status == TRUC_OK)
        status = truc_client_open(options, ret_client, &why);
    if (status != TRUC_OK)
        (void)fail("connect", status, why);
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

/* --- the server -------------------------------------------------------------------------------------------------------------- */

/* One request, on one of the server's threads; the reply stays in this thread's memory until its next one. */
static truc_status on_request(void *context, const truc_job *request, truc_record *reply)
{
    static _Thread_local char text[128];
    static const char json[] = "application/json", type[] = "dossier.state";
    const truc_record *record = &request->message->record;
    const char *state = NULL;
    int size;

    (void)context;
    if (record->data_size == 0)
        return TRUC_INVALID_ARGUMENT; /* never to be tried again: it is a dead letter at once */
    for (size_t i = 0; i < DOSSIERS; i++) {
        if (record->data_size == strlen(dossiers[i].code) && memcmp(record->data, dossiers[i].code, record->data_size) == 0)
            state = dossiers[i].state;
    }
    /* "There is no such dossier" is a reply, too: an error would have the request tried again. */
    size = snprintf(text, sizeof text, "{\"state\":%s%s%s}", state != NULL ? "\"" : "", state != NULL ? state : "null",
                    state != NULL ? "\"" : "");
    reply->data = text;
    reply->data_size = (size_t)size;
    reply->content_type = (truc_text){json, sizeof json - 1};
    reply->type = (truc_text){type, sizeof type - 1};
    return TRUC_OK;
}

static truc_status start_server(truc_client *client, truc_server **ret_server)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "pattern", TOPIC);
    if (status == TRUC_OK)
        status = truc_options_set(options, "threads", "4");
    if (status == TRUC_OK)
        status = truc_subscription_create(client, "lookup", options, &why);
    if (status == TRUC_OK)
        status = truc_server_open(client, "lookup", options, on_request, NULL, ret_server, &why);
    if (status != TRUC_OK)
        (void)fail("server", status, why);
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

/* --- the requester ----------------------------------------------------------------------------------------------------------- */

static truc_status ask_and_wait(truc_requester *requester, const char *code)
{
    truc_record request = TRUC_RECORD_INIT;
    truc_message *reply = NULL;
    char *why = NULL;
    truc_status status;

    request.data = code;
    request.data_size = strlen(code);
    request.key = (truc_text){code, strlen(code)}; /* requests for one dossier are served one after the other */
    status = truc_request_wait(requester, TOPIC, &request, 5000, &reply, &why);
    if (status == TRUC_OK)
        (void)printf("%s: %.*s\n", code, (int)reply->record.data_size, (const char *)reply->record.data);
    else
        (void)fail(code, status, why);
    truc_message_free(reply);
    truc_free(why);
    return status;
}

/* What came of the requests without waiting. */
struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    long under_way, replies, failures;
};

/* On the client's callback thread: short, and without blocking. */
static void on_reply(void *opaque, truc_status status, const truc_message *reply, const char *why)
{
    struct tally *tally = opaque;

    (void)reply;
    if (status != TRUC_OK)
        (void)fail("a request", status, why);
    (void)pthread_mutex_lock(&tally->lock);
    tally->under_way--;
    tally->replies += status == TRUC_OK;
    tally->failures += status != TRUC_OK;
    (void)pthread_cond_signal(&tally->changed);
    (void)pthread_mutex_unlock(&tally->lock);
}

/* When in_flight requests are under way, one has to end before the next. */
static truc_status ask(truc_requester *requester, struct tally *tally, const truc_record *request)
{
    truc_status status;

    (void)pthread_mutex_lock(&tally->lock);
    tally->under_way++;
    (void)pthread_mutex_unlock(&tally->lock);
    while ((status = truc_request(requester, TOPIC, request, 10000, on_reply, tally)) == TRUC_QUEUE_FULL) {
        (void)pthread_mutex_lock(&tally->lock);
        if (tally->under_way > 1)
            (void)pthread_cond_wait(&tally->changed, &tally->lock);
        (void)pthread_mutex_unlock(&tally->lock);
    }
    if (status != TRUC_OK) {
        (void)pthread_mutex_lock(&tally->lock);
        tally->under_way--;
        (void)pthread_mutex_unlock(&tally->lock);
    }
    return status;
}

static truc_status ask_many(truc_requester *requester, long count)
{
    struct tally tally = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};
    truc_record request = TRUC_RECORD_INIT;
    truc_status status = TRUC_OK;

    for (long i = 0; i < count && status == TRUC_OK; i++) {
        request.data = dossiers[i % DOSSIERS].code;
        request.data_size = strlen(dossiers[i % DOSSIERS].code);
        status = ask(requester, &tally, &request);
    }
    if (status != TRUC_OK)
        (void)fail("request", status, NULL);
    (void)pthread_mutex_lock(&tally.lock);
    while (tally.under_way > 0)
        (void)pthread_cond_wait(&tally.changed, &tally.lock);
    (void)pthread_mutex_unlock(&tally.lock);
    (void)printf("%ld replies, %ld failures\n", tally.replies, tally.failures);
    return status;
}

int main(int argc, char **argv)
{
    truc_client *office = NULL, *portal = NULL;
    truc_requester *requester = NULL;
    truc_server *server = NULL;
    char *why = NULL;
    truc_status status;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: lookup URL REQUESTS\n");
        return TRUC_USAGE;
    }
    status = connect_as(argv[1], "H26.17/intake", &office);
    if (status == TRUC_OK)
        status = start_server(office, &server);
    if (status == TRUC_OK)
        status = connect_as(argv[1], "H26.16/portal", &portal);
    if (status == TRUC_OK) {
        status = truc_requester_open(portal, NULL, &requester, &why);
        if (status != TRUC_OK)
            (void)fail("requester", status, why);
    }
    if (status == TRUC_OK)
        status = ask_and_wait(requester, dossiers[1].code);
    if (status == TRUC_OK)
        status = ask_and_wait(requester, "H26.17-000000-0000");
    if (status == TRUC_OK)
        status = ask_many(requester, strtol(argv[2], NULL, 10));
    truc_requester_close(requester);
    truc_client_close(portal);
    /* Finishes what is being served, gives back the rest. */
    if (server != NULL)
        (void)truc_server_close(server, 5000);
    truc_client_close(office);
    truc_free(why);
    return (int)status;
}
