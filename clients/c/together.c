#include "clients/c/together.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/sender.h"
#include "truc/v1/wire.pb-c.h"

/* The frame's header: batch_bytes alone, packed. */
enum { HEAD_BYTES = FRAME_PREFIX_BYTES + 1 + 2 + TOGETHER_TOPICS_MAX * 5 };
#define MS INT64_C(1000000)

static void unlist(struct together *together)
{
    truc_client *client = together->companion->client;
    struct together **at = &client->together_head;

    if (!together->listed)
        return;
    while (*at != together)
        at = &(*at)->ready_next;
    *at = together->ready_next;
    together->listed = false;
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

truc_status together_find(struct truc_producer *producer, struct together **ret_together)
{
    struct together *together = producer->together;
    truc_status status;

    if (together == NULL) {
        together = calloc(1, sizeof *together);
        if (together == NULL)
            return TRUC_NO_MEMORY;
        status = producer_create_companion(producer, &together->companion);
        if (status != TRUC_OK) {
            free(together);
            return status;
        }
        together->companion->carries = together;
        producer->together = together;
        if (producer->client->state == CLIENT_UP)
            producer_connected(together->companion);
    }
    *ret_together = together;
    return TRUC_OK;
}

/* The answer is there, or is no longer waited for. */
static void end_request(struct together *together)
{
    truc_client *client = together->companion->client;

    if (together->request.id == 0)
        return;
    request_end(&client->requests, &together->request);
    client->credit_used -= together->frame_size;
}

static void drop_batches(struct together *together)
{
    for (size_t i = 0; i < together->batch_count; i++)
        send_batch_free(together->batches[i]);
    together->batch_count = 0;
    send_buffer_unref(together->head);
    together->head = NULL;
}

void together_clear(struct together *together)
{
    drop_batches(together);
    together->state = TOGETHER_IDLE;
    together->abandoned = together->attempted = false;
    together->retry_at_ns = 0;
    together->retry_delay_ms = 0;
    (void)pthread_cond_broadcast(&together->companion->client->changed);
}

void together_destroy(struct together *together)
{
    if (together == NULL)
        return;
    unlist(together);
    end_request(together);
    drop_batches(together);
    producer_destroy_companion(together->companion);
    free(together);
}

bool together_drain(struct together *together, int64_t deadline_ns)
{
    while (together != NULL && together->state != TOGETHER_IDLE) {
        truc_client *client = together->companion->client;

        if (!clock_wait(&client->changed, &client->lock, deadline_ns))
            return false;
    }
    return true;
}

/* --- outcomes --------------------------------------------------------------------------------------------------------------- */

static void end(struct together *together, truc_status status, const char *why)
{
    unlist(together);
    end_request(together);
    together->status = status;
    (void)snprintf(together->why, sizeof together->why, "%s", why);
    together->state = TOGETHER_DONE;
    if (together->abandoned)
        together_clear(together);
    (void)pthread_cond_broadcast(&together->companion->client->changed);
}

static bool under_way(const struct together *together)
{
    return together->state == TOGETHER_READY || together->state == TOGETHER_SENT;
}

void together_failed(struct together *together, truc_status status, const char *why)
{
    if (under_way(together))
        end(together, status, why);
}

void together_forgotten(struct together *together, truc_status status, const char *why)
{
    if (under_way(together) && together->attempted)
        end(together, status, why);
}

void together_disconnected(struct together *together)
{
    if (!under_way(together))
        return;
    unlist(together);
    together->state = TOGETHER_READY;
}

/* Everything is stored. */
static void stored(struct together *together, size_t index, const struct batch_place *place)
{
    struct send_batch *batch = together->batches[index];

    batch->status = place->base_offset == UINT64_MAX ? TRUC_DUPLICATE : TRUC_OK;
    batch->place = *place;
    batch->lane->acked_next = batch->lane->next_sequence = batch->first_sequence + batch->record_count;
    if (batch->status == TRUC_OK)
        client_saw(together->companion->client, place->position, batch->record_count - 1);
}

static void try_again(struct together *together, uint32_t after_ms)
{
    enum { DELAY_FIRST_MS = 10, DELAY_MAX_MS = 2000 };
    uint32_t delay = together->retry_delay_ms == 0 ? DELAY_FIRST_MS : together->retry_delay_ms * 2;

    together->retry_delay_ms = delay > DELAY_MAX_MS ? DELAY_MAX_MS : delay;
    together->retry_at_ns = clock_now_ns() + (after_ms > together->retry_delay_ms ? after_ms : together->retry_delay_ms) * MS;
    together_schedule(together);
}

static void refused(struct together *together, const struct client_refusal *refusal)
{
    end_request(together);
    together->state = TOGETHER_READY;
    if (refusal->status == TRUC_DUPLICATE) {
        for (size_t i = 0; i < together->batch_count; i++)
            stored(together, i, &(struct batch_place){.base_offset = UINT64_MAX, .duplicate = true});
        end(together, TRUC_OK, "");
    } else if (refusal->status == TRUC_FENCED || refusal->status == TRUC_OUT_OF_SEQUENCE) {
        /* Out of sequence: the broker has more or fewer records than it told. Nothing can be sent safely. */
        producer_fail(together->companion, refusal->status, refusal->text);
    } else if (refusal->status == TRUC_UNKNOWN_PRODUCER) {
        producer_reopen(together->companion);
    } else if (truc_status_retriable(refusal->status)) {
        try_again(together, refusal->retry_after_ms);
    } else {
        end(together, refusal->status, refusal->text);
    }
}

static truc_status answered(struct request *request, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    struct together *together = (struct together *)((char *)request - offsetof(struct together, request));
    uint8_t memory[HEADER_ARENA_BYTES];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__PublishOk *answer;
    struct client_refusal refusal;
    truc_status status;

    (void)inbound;
    if (frame->kind == FRAME_ERROR) {
        status = client_refusal_read(frame, &refusal, ret_why);
        if (status == TRUC_OK)
            refused(together, &refusal);
        return status;
    }
    answer = frame->kind == FRAME_PUBLISH_OK
                 ? frame_header_decode(&arena, &truc__v1__publish_ok__descriptor, frame->header, ret_why)
                 : NULL;
    if (answer == NULL || answer->n_others != together->batch_count - 1) {
        *ret_why = "a publish of several batches was not answered with a PUBLISH_OK for each";
        return TRUC_PROTOCOL;
    }
    for (size_t i = 0; i < together->batch_count; i++) {
        const Truc__V1__PublishedBatch *other = i == 0 ? NULL : answer->others[i - 1];

        stored(together, i,
               &(struct batch_place){.position = i == 0 ? answer->position : other->position,
                                     .base_offset = i == 0 ? answer->base_offset : other->base_offset,
                                     .subscriptions = i == 0 ? answer->subscriptions : other->subscriptions,
                                     .duplicate = answer->duplicate,
                                     .created = i == 0 ? answer->topic_created : other->topic_created});
    }
    end(together, TRUC_OK, "");
    return TRUC_OK;
}

/* --- sending ---------------------------------------------------------------------------------------------------------------- */

void together_schedule(struct together *together)
{
    truc_client *client = together->companion->client;
    struct together **at = &client->together_head;

    if (together->state != TOGETHER_READY || together->companion->state != PRODUCER_OPENED || together->listed)
        return;
    if (together->retry_at_ns > clock_now_ns()) {
        client_wake_at(client, together->retry_at_ns);
        return;
    }
    while (*at != NULL)
        at = &(*at)->ready_next;
    *at = together;
    together->ready_next = NULL;
    together->listed = true;
}

truc_status together_submit(struct together *together)
{
    const struct truc_producer *companion = together->companion;

    if (companion->state == PRODUCER_FAILED)
        return companion->failure;
    together->head = send_buffer_create(companion->client, HEAD_BYTES);
    if (together->head == NULL)
        return TRUC_NO_MEMORY;
    together->state = TOGETHER_READY;
    together_schedule(together);
    return TRUC_OK;
}

/* Whether the bytes of the last try are still in the link's queue, though answered. */
static bool is_queued(const struct together *together)
{
    bool queued = together->head->out.queued;

    for (size_t i = 0; i < together->batch_count; i++)
        queued = queued || together->batches[i]->buffer->out.queued;
    return queued;
}

/* Writes the batches' heads and describes them in *publish. */
static truc_status freeze(struct together *together, uint32_t sizes[TOGETHER_TOPICS_MAX], Truc__V1__Publish *publish,
                          size_t *ret_payload_size)
{
    size_t payload_size = 0;

    for (size_t i = 0; i < together->batch_count; i++) {
        struct send_batch *batch = together->batches[i];
        truc_status status = sender_freeze(batch->lane, batch);

        if (status != TRUC_OK)
            return status;
        sizes[i] = (uint32_t)(batch->frame_size - FRAME_PREFIX_BYTES);
        payload_size += sizes[i];
    }
    if (together->batch_count > 1) { /* of one batch the frame says nothing */
        publish->n_batch_bytes = together->batch_count;
        publish->batch_bytes = sizes;
    }
    *ret_payload_size = payload_size;
    return TRUC_OK;
}

static void queue(struct link *link, struct send_buffer *buffer, size_t start, size_t size)
{
    buffer->out.data = buffer->bytes + start;
    buffer->out.size = size;
    buffer->refs++;
    link_queue(link, &buffer->out);
}

enum outcome { SENT, LATER, NO_CREDIT };

static enum outcome send_frame(struct together *together)
{
    truc_client *client = together->companion->client;
    uint32_t sizes[TOGETHER_TOPICS_MAX];
    Truc__V1__Publish publish = TRUC__V1__PUBLISH__INIT;
    size_t head_size, payload_size;

    if (is_queued(together) || freeze(together, sizes, &publish, &payload_size) != TRUC_OK)
        return LATER;
    head_size = FRAME_PREFIX_BYTES + protobuf_c_message_get_packed_size(&publish.base);
    if (client->credit_used > 0 && client->credit_used + head_size + payload_size > client->limits.publish_credit_bytes)
        return NO_CREDIT;
    together->request.answer = answered;
    if (request_begin(&client->requests, &together->request) != TRUC_OK)
        return LATER;
    head_size = frame_encode(together->head->bytes, HEAD_BYTES, FRAME_PUBLISH, together->request.id, &publish.base, payload_size);
    together->frame_size = head_size + payload_size;
    client->credit_used += together->frame_size;
    queue(&client->link, together->head, 0, head_size);
    for (size_t i = 0; i < together->batch_count; i++) {
        struct send_batch *batch = together->batches[i];

        queue(&client->link, batch->buffer, batch->frame_start + FRAME_PREFIX_BYTES, sizes[i]);
    }
    together->state = TOGETHER_SENT;
    together->attempted = true;
    return SENT;
}

bool together_pump(truc_client *client)
{
    while (client->together_head != NULL) {
        struct together *together = client->together_head;
        enum outcome outcome = send_frame(together);

        if (outcome == NO_CREDIT)
            return false;
        unlist(together);
        if (outcome == LATER) {
            together->retry_at_ns = clock_now_ns() + MS;
            client_wake_at(client, together->retry_at_ns);
        }
    }
    return true;
}
