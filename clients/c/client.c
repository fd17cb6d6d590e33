#include "clients/c/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/producer.h"
#include "clients/c/reading.h"
#include "clients/c/worker.h"
#include "truc/v1/wire.pb-c.h"

const char *truc_version(void)
{
    return TRUC_VERSION;
}

void truc_free(void *memory)
{
    free(memory);
}

char *client_text_copy(const char *text)
{
    return strdup(text);
}

void client_unlock(truc_client *client)
{
    bool ready = link_prepare(&client->link);

    (void)pthread_mutex_unlock(&client->lock);
    if (ready)
        link_post(&client->link);
}

void client_wake_at(truc_client *client, int64_t at_ns)
{
    if (at_ns >= client->wake_at_ns)
        return;
    client->wake_at_ns = at_ns;
    (void)pthread_cond_signal(&client->wake);
}

void client_fail(truc_client *client, truc_status status, const char *text)
{
    if (client->state == CLIENT_FAILED)
        return;
    client->state = CLIENT_FAILED;
    client->status = status;
    (void)snprintf(client->text, sizeof client->text, "%s", text);
    link_break(&client->link, status, client->text);
    for (struct truc_producer *producer = client->producers; producer != NULL; producer = producer->next)
        producer_fail(producer, status, client->text);
    for (struct truc_reader *reader = client->readers; reader != NULL; reader = reader->next)
        reading_end(reader, status, client->text);
    for (struct truc_worker *worker = client->workers; worker != NULL; worker = worker->next)
        worker_end(worker, status, client->text);
    client_wake_at(client, 0);
    (void)pthread_cond_broadcast(&client->changed);
}

truc_status client_send(truc_client *client, enum frame_kind kind, struct request *request, uint64_t id,
                        const ProtobufCMessage *header)
{
    uint8_t few[FRAME_BYTES_BEFORE_LOGIN_MAX], *bytes = few;
    size_t size = FRAME_PREFIX_BYTES + protobuf_c_message_get_packed_size(header);
    truc_status status = TRUC_OK;

    if (size > FRAME_PREFIX_BYTES + FRAME_HEADER_BYTES_MAX)
        return TRUC_INTERNAL;
    if (size > sizeof few) {
        bytes = malloc(size);
        if (bytes == NULL)
            return TRUC_NO_MEMORY;
    }
    if (request != NULL) {
        status = request_begin(&client->requests, request);
        if (status != TRUC_OK)
            goto done;
        id = request->id;
    }
    size = frame_encode(bytes, size, kind, id, header, 0);
    status = size == 0 ? TRUC_INTERNAL : link_queue_copy(&client->link, bytes, size);
    if (status != TRUC_OK && request != NULL)
        request_end(&client->requests, request);
done:
    if (bytes != few)
        free(bytes);
    return status;
}

truc_status client_refusal_read(const struct frame *frame, struct client_refusal *ret_refusal, const char **ret_why)
{
    uint8_t memory[HEADER_ARENA_BYTES];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__Error *error = frame_header_decode(&arena, &truc__v1__error__descriptor, frame->header, ret_why);

    if (error == NULL)
        return TRUC_PROTOCOL;
    ret_refusal->status = error->status == TRUC_OK || error->status > 255 ? TRUC_PROTOCOL : (truc_status)error->status;
    ret_refusal->retry_after_ms = error->retry_after_ms;
    ret_refusal->actual = error->actual;
    (void)snprintf(ret_refusal->text, sizeof ret_refusal->text, "%s",
                   error->message[0] != '\0' ? error->message : truc_status_text(ret_refusal->status));
    return TRUC_OK;
}

void client_saw(truc_client *client, uint64_t position, uint32_t index)
{
    struct memory *memory = &client->memory;

    if (memory->known &&
        (position < memory->place.position || (position == memory->place.position && index <= memory->place.index)))
        return;
    memory->known = true;
    memcpy(memory->place.log_id, client->log_id, LOG_ID_BYTES);
    memory->place.generation = client->generation;
    memory->place.position = position;
    memory->place.index = index;
    if (memory->path != NULL && !memory->dirty) {
        memory->dirty = true;
        memory->save_at_ns = clock_now_ns() + (int64_t)MEMORY_SAVE_INTERVAL_MS * 1000000;
        client_wake_at(client, memory->save_at_ns);
    }
}

bool client_in_callback(truc_client *client)
{
    return client->courier.started && pthread_equal(pthread_self(), client->courier.thread);
}

truc_status truc_client_log(truc_client *client, truc_log_place *ret_durable_head, char domain[65])
{
    if (client == NULL)
        return TRUC_INVALID_ARGUMENT;
    (void)pthread_mutex_lock(&client->lock);
    if (ret_durable_head != NULL) {
        *ret_durable_head = (truc_log_place){.generation = client->generation, .position = client->durable_position};
        memcpy(ret_durable_head->log_id, client->log_id, LOG_ID_BYTES);
    }
    if (domain != NULL)
        memcpy(domain, client->domain, sizeof client->domain);
    (void)pthread_mutex_unlock(&client->lock);
    return TRUC_OK;
}

void truc_client_state(truc_client *client, bool *ret_connected, char *text, size_t text_size)
{
    if (client == NULL)
        return;
    (void)pthread_mutex_lock(&client->lock);
    if (ret_connected != NULL)
        *ret_connected = client->state == CLIENT_UP;
    if (text != NULL && text_size > 0)
        (void)snprintf(text, text_size, "%s", client->state == CLIENT_UP ? "" : client->text);
    (void)pthread_mutex_unlock(&client->lock);
}
