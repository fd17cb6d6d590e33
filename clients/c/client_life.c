/* client_life.c: opening and closing a client. */
#include "clients/c/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/producer.h"
#include "clients/c/reading.h"
#include "clients/c/requester.h"
#include "clients/c/sender.h"
#include "clients/c/server.h"
#include "clients/c/worker.h"
#include "proto/topic.h"
#include "truc/v1/wire.pb-c.h"

/* --- what the link tells ---------------------------------------------------------------------------------------------------- */

static void on_opened(void *context)
{
    session_begin(context);
}

static truc_status take_goaway(truc_client *client, const struct frame *frame, const char **ret_why)
{
    uint8_t memory[2048];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__GoAway *goaway = frame_header_decode(&arena, &truc__v1__go_away__descriptor, frame->header, ret_why);

    if (goaway == NULL)
        return TRUC_PROTOCOL;
    /* The broker ends the connection when it is ready to. */
    client->reconnect_floor_ms = goaway->reconnect_after_ms < 60000 ? (int)goaway->reconnect_after_ms : 60000;
    return TRUC_OK;
}

static truc_status on_frame(void *context, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    truc_client *client = context;
    struct client_refusal refusal;
    struct request *request;

    if (frame->kind == FRAME_GOAWAY)
        return take_goaway(client, frame, ret_why);
    if (frame->kind == FRAME_ERROR && frame->request_id == 0) {
        truc_status status = client_refusal_read(frame, &refusal, ret_why);

        if (status != TRUC_OK)
            return status;
        if (client->state == CLIENT_GREETING && !truc_status_retriable(refusal.status) && client->session == 0)
            client_fail(client, refusal.status, refusal.text);
        link_break(&client->link, refusal.status, refusal.text);
        return TRUC_OK;
    }
    request = request_find(&client->requests, frame->request_id);
    if (request == NULL) {
        /* An answer to something given up meanwhile. */
        if (frame->request_id >> REQUEST_SLOT_BITS <= client->requests.serial)
            return TRUC_OK;
        *ret_why = "an answer to a request that was never made";
        return TRUC_PROTOCOL;
    }
    return request->answer(request, frame, inbound, ret_why);
}

static void on_received(void *context)
{
    truc_client *client = context;

    client->last_received_ns = clock_now_ns();
    sender_pump(client);
}

static void on_broken(void *context)
{
    client_wake_at(context, 0);
}

static const struct link_events link_events = {
    .opened = on_opened, .frame = on_frame, .received = on_received, .broken = on_broken};

/* --- open ------------------------------------------------------------------------------------------------------------------- */

static truc_status read_settings(truc_client *client, const truc_options *options, char *why, size_t why_size)
{
    struct client_settings *settings = &client->settings;
    const char *source = option_text(options, OPTION_SOURCE), *domain = option_text(options, OPTION_DOMAIN);
    const char *memory_file = option_text(options, OPTION_MEMORY_FILE), *rule = "";
    struct bytes agency, system;
    truc_status status;

    if (source == NULL)
        source = "local/dev";
    status = source_split(bytes_of_text(source), &agency, &system, &rule);
    if (status != TRUC_OK) {
        (void)snprintf(why, why_size, "source '%s': %s", source, rule);
        return status;
    }
    settings->connect_timeout_ms = (int)option_number(options, OPTION_CONNECT_TIMEOUT_MS);
    settings->request_timeout_ms = (int)option_number(options, OPTION_REQUEST_TIMEOUT_MS);
    settings->reconnect_min_ms = (int)option_number(options, OPTION_RECONNECT_MIN_MS);
    settings->reconnect_max_ms = (int)option_number(options, OPTION_RECONNECT_MAX_MS);
    if (settings->reconnect_max_ms < settings->reconnect_min_ms)
        settings->reconnect_max_ms = settings->reconnect_min_ms;
    settings->url = strdup(option_text(options, OPTION_URL));
    settings->agency = strndup((const char *)agency.data, agency.size);
    settings->system = strndup((const char *)system.data, system.size);
    if (domain != NULL)
        settings->domain = strdup(domain);
    if (memory_file != NULL)
        client->memory.path = strdup(memory_file);
    if (settings->url == NULL || settings->agency == NULL || settings->system == NULL ||
        (domain != NULL && settings->domain == NULL) || (memory_file != NULL && client->memory.path == NULL))
        return TRUC_NO_MEMORY;
    return TRUC_OK;
}

static truc_status recall(truc_client *client, char *why, size_t why_size)
{
    struct memory *memory = &client->memory;
    truc_status status;

    if (memory->path == NULL)
        return TRUC_OK;
    status = memory_file_read(memory->path, &memory->place, &memory->known);
    if (status == TRUC_IO)
        (void)snprintf(why, why_size, "%s cannot be read", memory->path);
    else if (status == TRUC_INVALID_ARGUMENT)
        (void)snprintf(why, why_size, "%s is not a memory file of libtruc", memory->path);
    return status;
}

static void destroy(truc_client *client)
{
    link_fini(&client->link);
    courier_fini(&client->courier);
    prover_fini(&client->prover);
    send_buffers_free(client);
    request_table_fini(&client->requests);
    free(client->settings.url);
    free(client->settings.domain);
    free(client->settings.agency);
    free(client->settings.system);
    free(client->memory.path);
    (void)pthread_cond_destroy(&client->wake);
    (void)pthread_cond_destroy(&client->changed);
    (void)pthread_mutex_destroy(&client->lock);
    free(client);
}

static truc_client *allocate(void)
{
    truc_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    if (pthread_mutex_init(&client->lock, NULL) != 0) {
        free(client);
        return NULL;
    }
    if (clock_condition_init(&client->changed) != 0) {
        (void)pthread_mutex_destroy(&client->lock);
        free(client);
        return NULL;
    }
    if (clock_condition_init(&client->wake) != 0) {
        (void)pthread_cond_destroy(&client->changed);
        (void)pthread_mutex_destroy(&client->lock);
        free(client);
        return NULL;
    }
    return client;
}

static truc_status start(truc_client *client, const truc_options *options, char *why, size_t why_size)
{
    truc_status status = read_settings(client, options, why, why_size);

    if (status == TRUC_OK)
        status = recall(client, why, why_size);
    if (status == TRUC_OK)
        status = courier_init(&client->courier);
    if (status == TRUC_OK)
        status = prover_init(&client->prover);
    if (status != TRUC_OK)
        return status;
    status = link_init(&client->link, &client->lock, client->settings.url, &link_events, client);
    if (status == TRUC_INVALID_ARGUMENT)
        (void)snprintf(why, why_size, "url '%s': tcp://HOST:PORT or ipc://PATH is expected", client->settings.url);
    if (status != TRUC_OK)
        return status;
    client->status = TRUC_TIMED_OUT;
    client->reconnect_delay_ms = client->settings.reconnect_min_ms;
    client->jitter = (unsigned)clock_now_ns();
    if (pthread_create(&client->thread, NULL, client_thread_run, client) != 0)
        return TRUC_NO_MEMORY;
    client->thread_started = true;
    return TRUC_OK;
}

/* Waits for the first session. With a timeout of 0 the first failure counts. */
static truc_status await_session(truc_client *client, char *why, size_t why_size)
{
    int64_t deadline_ns = clock_deadline(client->settings.connect_timeout_ms);
    bool once = client->settings.connect_timeout_ms == 0;
    truc_status status;

    if (once)
        deadline_ns = clock_deadline(client->settings.request_timeout_ms);
    (void)pthread_mutex_lock(&client->lock);
    while (client->state != CLIENT_UP && client->state != CLIENT_FAILED && !(once && client->text[0] != '\0')) {
        if (!clock_wait(&client->changed, &client->lock, deadline_ns))
            break;
    }
    status = client->state == CLIENT_UP ? TRUC_OK : client->status;
    if (status != TRUC_OK)
        (void)snprintf(why, why_size, "%s%s", client->text[0] != '\0' ? "" : "no answer from ",
                       client->text[0] != '\0' ? client->text : client->settings.url);
    (void)pthread_mutex_unlock(&client->lock);
    return status;
}

static void stop(truc_client *client)
{
    courier_stop(client);
    prover_stop(client);
    (void)pthread_mutex_lock(&client->lock);
    client->stopping = true;
    client_wake_at(client, 0);
    (void)pthread_cond_signal(&client->wake);
    (void)pthread_mutex_unlock(&client->lock);
    if (client->thread_started)
        (void)pthread_join(client->thread, NULL);
    destroy(client);
}

truc_status truc_client_open(const truc_options *options, truc_client **ret_client, char **ret_error)
{
    char why[512] = "";
    truc_client *client = ret_client == NULL ? NULL : allocate();
    truc_status status;

    if (ret_client == NULL)
        return TRUC_INVALID_ARGUMENT;
    status = client == NULL ? TRUC_NO_MEMORY : start(client, options, why, sizeof why);
    if (status == TRUC_OK)
        status = await_session(client, why, sizeof why);
    if (status == TRUC_OK) {
        *ret_client = client;
        return TRUC_OK;
    }
    if (client != NULL)
        stop(client);
    if (ret_error != NULL)
        *ret_error = client_text_copy(why[0] != '\0' ? why : truc_status_text(status));
    return status;
}

void truc_client_close(truc_client *client)
{
    if (client == NULL || client_in_callback(client) || server_in_thread(client))
        return;
    for (;;) {
        struct truc_reader *reader;
        struct truc_producer *producer;
        struct truc_worker *worker;
        struct truc_requester *requester;
        struct truc_server *server;

        (void)pthread_mutex_lock(&client->lock);
        reader = client->readers;
        producer = client->producers;
        worker = client->workers;
        requester = client->requesters;
        server = client->servers;
        (void)pthread_mutex_unlock(&client->lock);
        if (server != NULL) /* these two stand on some of the others */
            (void)truc_server_close(server, 0);
        else if (requester != NULL)
            truc_requester_close(requester);
        else if (reader != NULL)
            truc_reader_close(reader);
        else if (producer != NULL)
            (void)truc_producer_close(producer, 0);
        else if (worker != NULL)
            (void)truc_worker_close(worker, 0);
        else
            break;
    }
    stop(client);
}
