#include "clients/c/sender.h"

#include "clients/c/client.h"
#include "clients/c/producer.h"
#include "clients/c/together.h"
#include "truc/v1/wire.pb-c.h"

#define RETRY_SOON_NS INT64_C(1000000)

void sender_add(truc_client *client, struct lane *lane)
{
    if (lane->ready)
        return;
    lane->ready = true;
    lane->ready_next = NULL;
    if (client->ready_tail != NULL)
        client->ready_tail->ready_next = lane;
    else
        client->ready_head = lane;
    client->ready_tail = lane;
}

void sender_remove(truc_client *client, struct lane *lane)
{
    struct lane **at = &client->ready_head;
    struct lane *previous = NULL;

    if (!lane->ready)
        return;
    while (*at != lane) {
        previous = *at;
        at = &previous->ready_next;
    }
    *at = lane->ready_next;
    if (client->ready_tail == lane)
        client->ready_tail = previous;
    lane->ready = false;
}

static truc_status publish_answered(struct request *request, const struct frame *frame, struct inbound **inbound,
                                    const char **ret_why)
{
    struct send_batch *batch = (struct send_batch *)((char *)request - offsetof(struct send_batch, request));
    truc_client *client = batch->producer->client;
    uint8_t memory[1024];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__PublishOk *answer;
    struct client_refusal refusal;
    truc_status status;

    (void)inbound;
    if (frame->kind == FRAME_ERROR) {
        status = client_refusal_read(frame, &refusal, ret_why);
        if (status != TRUC_OK)
            return status;
        request_end(&client->requests, request);
        client->credit_used -= batch->frame_size;
        lane_refused(batch->lane, batch, &refusal);
        return TRUC_OK;
    }
    answer = frame->kind == FRAME_PUBLISH_OK
                 ? frame_header_decode(&arena, &truc__v1__publish_ok__descriptor, frame->header, ret_why)
                 : NULL;
    if (answer == NULL) {
        *ret_why = "a publish was not answered with PUBLISH_OK";
        return TRUC_PROTOCOL;
    }
    request_end(&client->requests, request);
    client->credit_used -= batch->frame_size;
    client_saw(client, answer->position, batch->record_count - 1);
    lane_acked(batch->lane, batch,
               &(struct batch_place){.position = answer->position,
                                     .base_offset = answer->base_offset,
                                     .subscriptions = answer->subscriptions,
                                     .duplicate = answer->duplicate,
                                     .created = answer->topic_created});
    return TRUC_OK;
}

enum send_outcome { SEND_DONE, SEND_LATER, SEND_NO_CREDIT };

/* A moment's hindrance: tried again by the client's thread. */
static enum send_outcome later(struct lane *lane, int64_t now_ns)
{
    lane->retry_at_ns = now_ns + RETRY_SOON_NS;
    return SEND_LATER;
}

truc_status sender_freeze(const struct lane *lane, struct send_batch *batch)
{
    const struct truc_producer *producer = lane->producer;
    const struct client_settings *settings = &producer->client->settings;
    struct batch_header_fields fields = {
        .topic = bytes_of(lane->name, lane->name_size),
        .source = bytes_of_text(settings->agency),
        .system = bytes_of_text(settings->system),
        .evidence = producer->settings.evidence,
        .producer_id = producer->producer_id,
        .epoch = producer->epoch,
        .first_sequence = lane->next_sequence,
        .record_count = batch->record_count,
        .deliver_at_ns = batch->how.deliver_at_ns,
        .conditional = batch->how.conditional,
        .expected_offset = batch->how.expected_offset,
    };

    return send_batch_freeze(batch, &fields);
}

static enum send_outcome send_one(truc_client *client, struct lane *lane, struct send_batch *batch)
{

    if (batch->buffer->out.queued) /* the last sending of these bytes is not quite over, though answered */
        return later(lane, clock_now_ns());
    if (sender_freeze(lane, batch) != TRUC_OK)
        return later(lane, clock_now_ns());
    if (client->credit_used > 0 && client->credit_used + batch->frame_size > client->limits.publish_credit_bytes)
        return SEND_NO_CREDIT;
    batch->request.answer = publish_answered;
    if (request_begin(&client->requests, &batch->request) != TRUC_OK)
        return later(lane, clock_now_ns());
    frame_prefix_write(batch->buffer->bytes + batch->frame_start, FRAME_PUBLISH, batch->request.id, 0,
                       batch->frame_size - FRAME_PREFIX_BYTES);
    client->credit_used += batch->frame_size;
    batch->buffer->out.data = batch->buffer->bytes + batch->frame_start;
    batch->buffer->out.size = batch->frame_size;
    batch->buffer->refs++;
    link_queue(&client->link, &batch->buffer->out);
    batch->state = BATCH_SENT;
    batch->attempted = true;
    batch->sent_ns = batch->waited_count > 0 ? clock_now_ns() : 0;
    lane_sent(lane, batch);
    return SEND_DONE;
}

void sender_pump(truc_client *client)
{
    if (client->state != CLIENT_UP || client->link.state != LINK_OPEN || !together_pump(client))
        return;
    while (client->ready_head != NULL) {
        struct lane *lane = client->ready_head;
        struct send_batch *batch = lane->unsent;
        enum send_outcome outcome = SEND_LATER;

        if (lane_sendable(lane, 0)) {
            if (batch->state == BATCH_OPEN)
                lane_close_batch(lane, batch);
            if (batch->state == BATCH_CLOSED && lane_synced(lane, batch))
                outcome = send_one(client, lane, batch);
        }
        if (outcome == SEND_NO_CREDIT)
            return;
        sender_remove(client, lane);
        lane_schedule(lane);
    }
}
