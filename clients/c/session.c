/* session.c: hello and login, and what a client does when a connection comes and goes. Everything under the client's lock. */
#include "clients/c/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clients/c/producer.h"
#include "clients/c/reading.h"
#include "clients/c/worker.h"
#include "truc/v1/wire.pb-c.h"

enum { PROTOCOL_VERSION = 1 };
#define HELLO_MAGIC 0x54525543u

/* A refusal during the greeting: some make no sense to try again. */
static truc_status refused(truc_client *client, truc_status status, const char *text)
{
    bool lasting = !truc_status_retriable(status);

    /* Once a session has been had, a broker that talks nonsense is taken for a passing fault of what lies between. */
    if (client->session > 0 && (status == TRUC_PROTOCOL || status == TRUC_INTERNAL))
        lasting = false;
    if (lasting)
        client_fail(client, status, text);
    else
        link_break(&client->link, status, text);
    return TRUC_OK;
}

static truc_status login_answered(struct request *request, const struct frame *frame, struct inbound **inbound,
                                  const char **ret_why)
{
    truc_client *client = (truc_client *)((char *)request - offsetof(truc_client, greeting));
    struct client_refusal refusal;

    (void)inbound;
    request_end(&client->requests, request);
    if (frame->kind == FRAME_ERROR) {
        truc_status status = client_refusal_read(frame, &refusal, ret_why);

        return status != TRUC_OK ? status : refused(client, refusal.status, refusal.text);
    }
    if (frame->kind != FRAME_LOGIN_OK) {
        *ret_why = "the login was answered with another kind of frame";
        return TRUC_PROTOCOL;
    }
    client->state = CLIENT_UP;
    client->status = TRUC_OK;
    client->text[0] = '\0';
    client->session++;
    client->reconnect_delay_ms = client->settings.reconnect_min_ms;
    client->reconnect_floor_ms = 0;
    for (struct truc_producer *producer = client->producers; producer != NULL; producer = producer->next)
        producer_connected(producer);
    for (struct truc_reader *reader = client->readers; reader != NULL; reader = reader->next)
        reading_connected(reader);
    for (struct truc_worker *worker = client->workers; worker != NULL; worker = worker->next)
        worker_connected(worker);
    client_wake_at(client, 0);
    (void)pthread_cond_broadcast(&client->changed);
    return TRUC_OK;
}

static truc_status send_login(truc_client *client, const char **ret_why)
{
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;
    char none[] = "none";

    login.algorithm = none;
    login.source = client->settings.agency;
    login.system = client->settings.system;
    client->greeting.answer = login_answered;
    *ret_why = "no memory for the login";
    return client_send(client, FRAME_LOGIN, &client->greeting, 0, &login.base);
}

/* Whether the log is the one that was known, and not shorter. */
static bool check_log(truc_client *client, const Truc__V1__ServerHello *hello)
{
    const struct memory *memory = &client->memory;
    char text[256];

    if (!memory->known && !client->known)
        return true;
    const uint8_t *log_id = memory->known ? memory->place.log_id : client->log_id;
    uint64_t generation = memory->known ? memory->place.generation : client->generation;

    if (memcmp(hello->log_id.data, log_id, LOG_ID_BYTES) != 0 || hello->generation != generation) {
        (void)snprintf(text, sizeof text, "the broker keeps another log, or another generation of it (%llu, known is %llu)",
                       (unsigned long long)hello->generation, (unsigned long long)generation);
        client_fail(client, TRUC_LOG_MISMATCH, text);
        return false;
    }
    if ((memory->known && hello->durable_position <= memory->place.position) ||
        hello->durable_position < client->durable_position) {
        uint64_t known = memory->known ? memory->place.position + 1 : client->durable_position;

        (void)snprintf(text, sizeof text, "the log ends at position %llu, but it had reached %llu before",
                       (unsigned long long)hello->durable_position, (unsigned long long)known);
        client_fail(client, TRUC_LOG_WENT_BACK, text);
        return false;
    }
    return true;
}

static bool take_limits(truc_client *client, const Truc__V1__Limits *limits)
{
    if (limits == NULL || limits->frame_bytes_max < FRAME_BYTES_BEFORE_LOGIN_MAX || limits->batch_bytes_max < 1024 ||
        limits->record_bytes_max == 0 || limits->batch_records_max == 0 || limits->batches_in_flight_max == 0 ||
        limits->publish_credit_bytes < 4096 || limits->read_credit_bytes_max == 0)
        return false;
    client->limits = (struct client_limits){
        .frame_bytes_max = limits->frame_bytes_max,
        .batch_bytes_max = limits->batch_bytes_max,
        .record_bytes_max = limits->record_bytes_max,
        .batch_records_max = limits->batch_records_max,
        .batches_in_flight_max = limits->batches_in_flight_max,
        .publish_credit_bytes = limits->publish_credit_bytes,
        .read_credit_bytes_max = limits->read_credit_bytes_max,
    };
    return true;
}

static truc_status take_hello(truc_client *client, const Truc__V1__ServerHello *hello, const char **ret_why)
{
    char text[256];

    if (hello->magic != HELLO_MAGIC || hello->log_id.len != LOG_ID_BYTES || hello->nonce.len != 32 ||
        strlen(hello->domain) > DOMAIN_BYTES_MAX) {
        *ret_why = "the hello is not a broker's";
        return TRUC_PROTOCOL;
    }
    if (hello->version != PROTOCOL_VERSION)
        return refused(client, TRUC_VERSION_MISMATCH, "the broker chose a protocol version that was not offered");
    if (client->settings.domain != NULL && strcmp(client->settings.domain, hello->domain) != 0) {
        (void)snprintf(text, sizeof text, "the broker serves domain %s, expected is %s", hello->domain, client->settings.domain);
        return refused(client, TRUC_LOG_MISMATCH, text);
    }
    if (!check_log(client, hello))
        return TRUC_OK;
    if (!take_limits(client, hello->limits)) {
        *ret_why = "the hello's limits cannot be worked with";
        return TRUC_PROTOCOL;
    }
    client->known = true;
    memcpy(client->log_id, hello->log_id.data, LOG_ID_BYTES);
    client->generation = hello->generation;
    client->durable_position = hello->durable_position;
    (void)snprintf(client->domain, sizeof client->domain, "%s", hello->domain);
    if (hello->durable_position > 0)
        client_saw(client, hello->durable_position - 1, 0);
    return send_login(client, ret_why);
}

static truc_status hello_answered(struct request *request, const struct frame *frame, struct inbound **inbound,
                                  const char **ret_why)
{
    truc_client *client = (truc_client *)((char *)request - offsetof(truc_client, greeting));
    uint8_t memory[HEADER_ARENA_BYTES];
    struct arena arena = {memory, memory + sizeof memory};
    struct client_refusal refusal;
    const Truc__V1__ServerHello *hello;

    (void)inbound;
    request_end(&client->requests, request);
    if (frame->kind == FRAME_ERROR) {
        truc_status status = client_refusal_read(frame, &refusal, ret_why);

        return status != TRUC_OK ? status : refused(client, refusal.status, refusal.text);
    }
    hello = frame->kind == FRAME_HELLO_OK ? frame_header_decode(&arena, &truc__v1__server_hello__descriptor, frame->header, ret_why)
                                          : NULL;
    if (hello == NULL) {
        *ret_why = "what answers is not a broker of Truc";
        return client->session > 0 ? TRUC_PROTOCOL : refused(client, TRUC_PROTOCOL, *ret_why);
    }
    return take_hello(client, hello, ret_why);
}

void session_begin(truc_client *client)
{
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;
    char agent[] = "libtruc/" TRUC_VERSION;
    char empty[] = "";
    uint8_t nonce[32];

    client->state = CLIENT_GREETING;
    client->greeting_until_ns = clock_now_ns() + (int64_t)client->settings.request_timeout_ms * 1000000;
    client->last_received_ns = clock_now_ns();
    client_wake_at(client, 0);
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) {
        link_break(&client->link, TRUC_INTERNAL, "the system gives no random bytes");
        return;
    }
    hello.magic = HELLO_MAGIC;
    hello.version_min = hello.version_max = PROTOCOL_VERSION;
    hello.nonce = (ProtobufCBinaryData){.len = sizeof nonce, .data = nonce};
    hello.domain = client->settings.domain != NULL ? client->settings.domain : empty;
    hello.agent = agent;
    if (client->memory.known) {
        hello.log_id = (ProtobufCBinaryData){.len = LOG_ID_BYTES, .data = client->memory.place.log_id};
        hello.generation = client->memory.place.generation;
    }
    client->greeting.answer = hello_answered;
    if (client_send(client, FRAME_HELLO, &client->greeting, 0, &hello.base) != TRUC_OK)
        link_break(&client->link, TRUC_NO_MEMORY, "no memory for the hello");
}

void session_lost(truc_client *client)
{
    request_forget_all(&client->requests);
    client->ping_pending = false;
    client->credit_used = 0;
    if (client->state != CLIENT_FAILED) {
        client->state = CLIENT_DOWN;
        client->status = client->link.status != TRUC_OK ? client->link.status : TRUC_UNREACHABLE;
        (void)snprintf(client->text, sizeof client->text, "%s: %s", client->settings.url, client->link.why);
    }
    for (struct truc_producer *producer = client->producers; producer != NULL; producer = producer->next)
        producer_disconnected(producer);
    for (struct truc_reader *reader = client->readers; reader != NULL; reader = reader->next)
        reading_disconnected(reader);
    for (struct truc_worker *worker = client->workers; worker != NULL; worker = worker->next)
        worker_disconnected(worker);
    (void)pthread_cond_broadcast(&client->changed);
}
