#include "clients/c/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/message_copy.h"
#include "clients/c/request_producer.h"
#include "clients/c/request_wire.h"
#include "clients/c/worker.h"

/* A request in the hands of the thread that serves it. */
struct served {
    truc_job job;          /* its message is owned */
    truc_message *message; /* NULL: there was no memory for it */
};

/* --- settling ---------------------------------------------------------------------------------------------------------------- */

/* Locked. Whether it was done or the lease is lost is no matter: the request then is, or was, served by somebody else, too. */
static void settle(struct truc_server *server, uint64_t lease, truc_outcome outcome)
{
    if (server->worker == NULL)
        return;
    if (outcome == TRUC_OUTCOME_ACK)
        (void)truc_ack(server->worker, lease);
    else if (outcome == TRUC_OUTCOME_REJECT)
        (void)truc_reject(server->worker, lease);
    else
        (void)truc_nack(server->worker, lease, 0);
}

/* What the delivery of a reply brings back: the request's lease, and whether its key keeps others waiting. */
static void *reply_opaque(const struct served *served)
{
    return (void *)(uintptr_t)(served->job.lease << 1 | (served->message->record.key.size > 0));
}

/* Courier: the reply is on disk, or is not. */
static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct truc_server *server = context;
    bool alone;

    (void)pthread_mutex_lock(&server->lock);
    server->replying -= count;
    /* Who asks one thing at a time has the reply now and asks again: an acknowledgement sent now would have the next request wait
     * for its flush. It goes along with the next reply. */
    alone = count == 1 && server->replying == 0 && server->serving == 0 && !server->closing;
    for (size_t i = 0; i < count; i++) {
        bool stored = deliveries[i].status == TRUC_OK || deliveries[i].status == TRUC_DUPLICATE;
        uint64_t lease = (uintptr_t)deliveries[i].opaque >> 1;

        if (stored && alone && ((uintptr_t)deliveries[i].opaque & 1) == 0 && server->worker != NULL)
            (void)worker_ack_idly(server->worker, lease);
        else
            settle(server, lease, stored ? TRUC_OUTCOME_ACK : TRUC_OUTCOME_NACK);
    }
    if (server->closing)
        (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

/* --- serving ----------------------------------------------------------------------------------------------------------------- */

static bool expired(const truc_record *request)
{
    struct timespec now;

    if (request->expires_at_ns == 0)
        return false;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return request->expires_at_ns <= (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Publishes the reply; its delivery settles the request. False: it cannot be published, or is no longer wanted. */
static bool publish(struct truc_server *server, const struct served *served, const char *topic, truc_text key, truc_record *reply)
{
    bool published;

    reply_dress(served->message, key, reply);
    (void)pthread_mutex_lock(&server->lock);
    published = server->worker != NULL; /* else the request was given back, and somebody else's reply counts */
    server->replying += published;
    if (published)
        worker_hurry(server->worker);
    (void)pthread_mutex_unlock(&server->lock);
    if (!published)
        return false;
    published = truc_publish(server->producer, topic, reply, reply_opaque(served)) == TRUC_OK;
    if (!published) {
        (void)pthread_mutex_lock(&server->lock);
        server->replying--;
        (void)pthread_mutex_unlock(&server->lock);
    }
    return published;
}

/* False: there is no reply, and *ret_outcome tells what becomes of the request. */
static bool reply_to(struct truc_server *server, const struct served *served, truc_outcome *ret_outcome)
{
    char topic[TOPIC_BYTES_MAX + 1];
    truc_record reply = TRUC_RECORD_INIT;
    truc_status status;
    truc_text key;

    *ret_outcome = TRUC_OUTCOME_NACK;
    if (served->message == NULL) /* there was no memory for it */
        return false;
    if (expired(&served->message->record)) {
        *ret_outcome = TRUC_OUTCOME_ACK; /* nobody waits for it any more */
        return false;
    }
    if (!request_wants_reply(&served->message->record, topic, &key)) {
        *ret_outcome = TRUC_OUTCOME_REJECT;
        return false;
    }
    status = server->on_request(server->context, &served->job, &reply);
    if (status == TRUC_INVALID_ARGUMENT)
        *ret_outcome = TRUC_OUTCOME_REJECT;
    return status == TRUC_OK && publish(server, served, topic, key, &reply);
}

static void serve(struct truc_server *server, const struct served *served)
{
    truc_outcome outcome;
    bool published = reply_to(server, served, &outcome);

    (void)pthread_mutex_lock(&server->lock);
    if (!published)
        settle(server, served->job.lease, outcome);
    server->serving--;
    if (server->closing)
        (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

/* --- the threads ------------------------------------------------------------------------------------------------------------- */

/* Locked. Waits for the turn to pull. False: there is nothing to pull any more. */
static bool take_turn(struct truc_server *server)
{
    while (server->pulling && !server->closing && !server->ended)
        (void)clock_wait(&server->turn, &server->lock, CLOCK_NEVER);
    if (server->closing || server->ended)
        return false;
    server->pulling = true;
    return true;
}

/* Locked. Another thread may pull. status: of the pull. */
static void pass_turn(struct truc_server *server, truc_status status)
{
    server->pulling = false;
    if (status != TRUC_OK && !server->closing) {
        server->ended = true;
        server->end = status;
    }
    if (server->closing || server->ended) {
        (void)pthread_cond_broadcast(&server->turn);
        (void)pthread_cond_broadcast(&server->changed);
    } else {
        (void)pthread_cond_signal(&server->turn);
    }
}

/* The next request. False: there will be none. */
static bool take(struct truc_server *server, struct served *ret_served)
{
    const truc_job *job = NULL;
    truc_status status;
    bool taken;

    (void)pthread_mutex_lock(&server->lock);
    taken = take_turn(server);
    (void)pthread_mutex_unlock(&server->lock);
    if (!taken)
        return false;
    status = truc_worker_pull(server->worker, -1, &job); /* whose turn it is may: closing waits for it */
    if (status == TRUC_OK) {
        ret_served->message = message_copy(job->message);
        ret_served->job = *job;
        ret_served->job.message = ret_served->message;
    }
    (void)pthread_mutex_lock(&server->lock);
    if (status == TRUC_OK)
        server->serving++;
    pass_turn(server, status);
    (void)pthread_mutex_unlock(&server->lock);
    return status == TRUC_OK;
}

static void *run(void *argument)
{
    struct truc_server *server = argument;
    struct served served;

    while (take(server, &served)) {
        serve(server, &served);
        truc_message_free(served.message);
    }
    return NULL;
}

static bool own_thread(const struct truc_server *server)
{
    for (size_t i = 0; i < server->thread_count; i++) {
        if (pthread_equal(pthread_self(), server->threads[i]))
            return true;
    }
    return false;
}

bool server_in_thread(truc_client *client)
{
    bool found = false;

    (void)pthread_mutex_lock(&client->lock);
    for (const struct truc_server *server = client->servers; server != NULL && !found; server = server->next)
        found = own_thread(server);
    (void)pthread_mutex_unlock(&client->lock);
    return found;
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void destroy(struct truc_server *server)
{
    (void)truc_producer_close(server->producer, 0);
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_cond_destroy(&server->turn);
    (void)pthread_mutex_destroy(&server->lock);
    free(server->threads);
    free(server);
}

static struct truc_server *allocate(truc_client *client, size_t thread_count)
{
    struct truc_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return NULL;
    server->client = client;
    server->threads = calloc(thread_count, sizeof *server->threads);
    if (server->threads == NULL || pthread_mutex_init(&server->lock, NULL) != 0)
        goto no_lock;
    if (clock_condition_init(&server->turn) != 0)
        goto no_turn;
    if (clock_condition_init(&server->changed) == 0)
        return server;
    (void)pthread_cond_destroy(&server->turn);
no_turn:
    (void)pthread_mutex_destroy(&server->lock);
no_lock:
    free(server->threads);
    free(server);
    return NULL;
}

/* Takes part in the subscription. The requests' own options are a worker's, too. */
static truc_status join_subscription(struct truc_server *server, const char *subscription, const truc_options *options,
                                     char **ret_error)
{
    truc_status status =
        truc_worker_open(server->client, subscription, options, NULL, NULL, NULL, NULL, &server->worker, ret_error);

    if (status != TRUC_OK || !server->worker->ordered)
        return status;
    if (ret_error != NULL)
        *ret_error = client_text_copy("an ordered subscription has one worker at a time: requests need a shared one");
    return TRUC_UNSUPPORTED;
}

/* Locked. Waits until what is being served is done. */
static truc_status await_served(struct truc_server *server, int64_t deadline_ns)
{
    truc_status status = TRUC_OK;

    while (status == TRUC_OK && (server->serving > 0 || server->replying > 0)) {
        if (!clock_wait(&server->changed, &server->lock, deadline_ns))
            status = TRUC_TIMED_OUT;
    }
    while (server->pulling) /* it was told, and comes at once */
        (void)clock_wait(&server->changed, &server->lock, CLOCK_NEVER);
    return status;
}

static int left_ms(int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - clock_now_ns();

    return deadline_ns == CLOCK_NEVER ? -1 : left_ns > 0 ? (int)((left_ns + 999999) / 1000000) : 0;
}

/* Ends worker and threads. TRUC_TIMED_OUT: not all was served, or settled, in time. */
static truc_status shut(struct truc_server *server, int64_t deadline_ns)
{
    truc_worker *worker;
    truc_status status, closed;

    (void)pthread_mutex_lock(&server->lock);
    server->closing = true;
    (void)pthread_cond_broadcast(&server->turn);
    if (server->worker != NULL)
        worker_interrupt(server->worker);
    status = await_served(server, deadline_ns);
    worker = server->worker;
    server->worker = NULL;
    (void)pthread_mutex_unlock(&server->lock);
    closed = truc_worker_close(worker, left_ms(deadline_ns));
    for (size_t i = 0; i < server->thread_count; i++)
        (void)pthread_join(server->threads[i], NULL);
    return status != TRUC_OK || closed == TRUC_LEASE_LOST ? status : closed;
}

static void link_server(truc_client *client, struct truc_server *server)
{
    (void)pthread_mutex_lock(&client->lock);
    server->next = client->servers;
    if (server->next != NULL)
        server->next->previous = server;
    client->servers = server;
    (void)pthread_mutex_unlock(&client->lock);
}

static void unlink_server(truc_client *client, struct truc_server *server)
{
    (void)pthread_mutex_lock(&client->lock);
    if (server->previous != NULL)
        server->previous->next = server->next;
    else
        client->servers = server->next;
    if (server->next != NULL)
        server->next->previous = server->previous;
    (void)pthread_mutex_unlock(&client->lock);
}

truc_status truc_server_open(truc_client *client, const char *subscription, const truc_options *options,
                             truc_serve_callback *on_request, void *context, truc_server **ret_server, char **ret_error)
{
    size_t thread_count = option_number(options, OPTION_THREADS);
    struct truc_server *server;
    char *why = NULL;
    truc_status status;

    if (client == NULL || subscription == NULL || on_request == NULL || ret_server == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    server = allocate(client, thread_count);
    status = server == NULL ? TRUC_NO_MEMORY : TRUC_OK;
    if (status != TRUC_OK)
        goto done;
    server->on_request = on_request;
    server->context = context;
    status = request_producer_open(client, options, on_delivery, server, &server->producer, &why);
    if (status == TRUC_OK)
        status = join_subscription(server, subscription, options, &why);
    if (status == TRUC_OK)
        *ret_server = server; /* the application's thread may need it at once */
    while (status == TRUC_OK && server->thread_count < thread_count) {
        if (pthread_create(&server->threads[server->thread_count], NULL, run, server) == 0)
            server->thread_count++;
        else
            status = TRUC_NO_MEMORY;
    }
    if (status == TRUC_OK) {
        link_server(client, server);
    } else {
        (void)shut(server, 0);
        destroy(server);
    }
done:
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = why != NULL ? why : client_text_copy(truc_status_text(status));
    else
        free(why);
    return status;
}

truc_status truc_server_wait(truc_server *server, int timeout_ms)
{
    int64_t deadline_ns = clock_deadline(timeout_ms);
    truc_status status = TRUC_OK;

    if (server == NULL || client_in_callback(server->client) || own_thread(server))
        return TRUC_INVALID_ARGUMENT;
    (void)pthread_mutex_lock(&server->lock);
    while (status == TRUC_OK && !server->ended) {
        if (!clock_wait(&server->changed, &server->lock, deadline_ns))
            status = TRUC_TIMED_OUT;
    }
    if (status == TRUC_OK)
        status = server->end;
    (void)pthread_mutex_unlock(&server->lock);
    return status;
}

truc_status truc_server_close(truc_server *server, int timeout_ms)
{
    truc_client *client;
    truc_status status;

    if (server == NULL)
        return TRUC_OK;
    client = server->client;
    if (client_in_callback(client) || own_thread(server))
        return TRUC_INVALID_ARGUMENT;
    status = shut(server, clock_deadline(timeout_ms));
    unlink_server(client, server);
    destroy(server);
    return status;
}
