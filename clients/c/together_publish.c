/* together_publish.c: truc_publish_together: parts into the batches of one frame, and the wait for its outcome. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clients/c/pack.h"
#include "clients/c/publish.h"
#include "clients/c/sender.h"
#include "clients/c/together.h"
#include "proto/topic.h"

enum { FIRST_PAYLOAD_BYTES = 1024 };

/* One call; on its thread's stack. */
struct call {
    struct truc_producer *producer;
    struct together *together;
    const truc_part *parts;
    size_t count;
    int64_t deadline_ns;
    size_t bytes; /* of the batches, at most */
    char why[512];
};

__attribute__((format(printf, 3, 4))) static truc_status refuse(struct call *call, truc_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(call->why, sizeof call->why, format, arguments);
    va_end(arguments);
    return status;
}

/* --- the turn ---------------------------------------------------------------------------------------------------------------- */

/* What keeps the producer from publishing together; TRUC_OK: nothing. */
static truc_status usable(struct call *call)
{
    struct truc_producer *producer = call->producer;
    const struct truc_producer *companion;
    truc_status status = producer_refusal(producer);

    if (status != TRUC_OK)
        return refuse(call, status, "%s", producer->state == PRODUCER_FAILED ? producer->why : "the producer is being closed");
    status = together_find(producer, &call->together);
    if (status == TRUC_INVALID_ARGUMENT)
        return refuse(call, status, "the producer's name is too long to publish together: at most %zu bytes",
                      PRODUCER_NAME_BYTES_MAX - strlen(TOGETHER_NAME_SUFFIX));
    if (status != TRUC_OK)
        return status;
    companion = call->together->companion;
    return companion->state == PRODUCER_FAILED ? refuse(call, companion->failure, "%s", companion->why) : TRUC_OK;
}

static truc_status take_turn(struct call *call)
{
    truc_client *client = call->producer->client;

    for (;;) {
        truc_status status = usable(call);

        if (status != TRUC_OK)
            return status;
        if (call->together->state == TOGETHER_IDLE)
            break;
        if (!clock_wait(&client->changed, &client->lock, call->deadline_ns))
            return refuse(call, TRUC_TIMED_OUT, "nothing was sent: what was published together before is still on its way");
    }
    call->together->state = TOGETHER_BUILDING;
    return TRUC_OK;
}

/* --- building ---------------------------------------------------------------------------------------------------------------- */

/* The largest sum of batches that one frame can carry. */
static size_t bytes_max(const truc_client *client)
{
    enum { FRAME_MARGIN_BYTES = 1024 }; /* prefix and header */
    const struct client_limits *limits = &client->limits;
    size_t most = limits->batch_bytes_max;

    if (most > limits->frame_bytes_max - FRAME_MARGIN_BYTES)
        most = limits->frame_bytes_max - FRAME_MARGIN_BYTES;
    if (most > limits->publish_credit_bytes - FRAME_MARGIN_BYTES)
        most = limits->publish_credit_bytes - FRAME_MARGIN_BYTES;
    return most;
}

static truc_status grow(struct call *call, size_t size)
{
    size_t most = bytes_max(call->producer->client);

    call->bytes += size;
    if (call->bytes > most)
        return refuse(call, TRUC_BATCH_TOO_LARGE, "all parts together exceed the %zu bytes that the broker takes at once", most);
    return TRUC_OK;
}

static truc_status open_batch(struct call *call, size_t part, size_t framed, struct send_batch **ret_batch)
{
    struct together *together = call->together;
    const char *topic = call->parts[part].topic, *why = NULL;
    size_t payload_bytes = framed > FIRST_PAYLOAD_BYTES ? framed : FIRST_PAYLOAD_BYTES;
    struct send_batch *batch;
    struct lane *lane;
    truc_status status = topic_check(bytes_of_text(topic), &why);

    if (status != TRUC_OK)
        return refuse(call, status, "part %zu: topic '%.255s': %s", part, topic, why);
    if (together->batch_count == TOGETHER_TOPICS_MAX)
        return refuse(call, TRUC_INVALID_ARGUMENT, "part %zu: more than %d topics", part, TOGETHER_TOPICS_MAX);
    status = lane_find(together->companion, topic, strlen(topic), &lane);
    if (status == TRUC_OK)
        status = grow(call, lane->header_bytes);
    if (status != TRUC_OK)
        return status;
    batch = send_batch_create(call->producer->client, lane->header_bytes, payload_bytes);
    if (batch == NULL)
        return TRUC_NO_MEMORY;
    batch->lane = lane;
    batch->producer = together->companion;
    together->batches[together->batch_count++] = batch;
    *ret_batch = batch;
    return TRUC_OK;
}

static struct send_batch *find_batch(const struct together *together, const char *topic)
{
    for (size_t i = together->batch_count; i-- > 0;) {
        if (strcmp(together->batches[i]->lane->name, topic) == 0)
            return together->batches[i];
    }
    return NULL;
}

static truc_status add_part(struct call *call, size_t part, struct record_input *input)
{
    const struct client_limits *limits = &call->producer->client->limits;
    size_t framed = varint_size(input->encoded_size) + input->encoded_size;
    struct send_batch *batch = find_batch(call->together, call->parts[part].topic);
    struct bytes record;
    uint8_t *at;
    truc_status status = TRUC_OK;

    if (input->encoded_size > limits->record_bytes_max)
        return refuse(call, TRUC_RECORD_TOO_LARGE, "part %zu: %zu bytes, the broker takes records of %u", part, input->encoded_size,
                      limits->record_bytes_max);
    if (batch == NULL)
        status = open_batch(call, part, framed, &batch);
    if (status == TRUC_OK && batch->record_count == limits->batch_records_max)
        status = refuse(call, TRUC_BATCH_TOO_LARGE, "part %zu: more than %u records of one topic", part, batch->record_count);
    if (status == TRUC_OK)
        status = grow(call, framed);
    if (status == TRUC_OK)
        status = send_batch_reserve(batch, framed, batch->payload_start + limits->batch_bytes_max, &at);
    if (status != TRUC_OK)
        return status;
    status = publish_encode(call->producer, input, at, &record);
    if (status != TRUC_OK)
        return refuse(call, status, "part %zu: %s", part, truc_status_text(status));
    send_batch_commit(batch, framed, (void *)(uintptr_t)part, false);
    return TRUC_OK;
}

/* Gives the lock up between the parts, as if each were published alone. */
static truc_status build(struct call *call)
{
    truc_client *client = call->producer->client;
    enum codec codec = call->producer->settings.codec;
    truc_status status = TRUC_OK;

    for (size_t part = 0; part < call->count && status == TRUC_OK; part++) {
        struct record_input input;

        (void)pthread_mutex_unlock(&client->lock);
        status = call->parts[part].topic == NULL ? TRUC_INVALID_ARGUMENT : record_input_read(call->parts[part].record, &input);
        (void)pthread_mutex_lock(&client->lock);
        status =
            status != TRUC_OK ? refuse(call, status, "part %zu: %s", part, truc_status_text(status)) : add_part(call, part, &input);
    }
    for (size_t i = 0; i < call->together->batch_count && status == TRUC_OK; i++) {
        struct send_batch *batch = call->together->batches[i];

        if (codec != CODEC_NONE)
            pack_batch(client, batch, codec);
        batch->state = BATCH_CLOSED;
    }
    return status;
}

/* --- the outcome ------------------------------------------------------------------------------------------------------------- */

static truc_status await(struct call *call)
{
    static const char unknown[] =
        "not acknowledged in time: all of it may be stored, or still become so; the next call waits for it";
    struct together *together = call->together;
    truc_client *client = call->producer->client;

    sender_pump(client);
    client_unlock(client);
    (void)pthread_mutex_lock(&client->lock);
    while (together->state != TOGETHER_DONE) {
        if (clock_wait(&client->changed, &client->lock, call->deadline_ns))
            continue;
        together->abandoned = true;
        return refuse(call, TRUC_TIMED_OUT, "%s%s%s", unknown, client->text[0] != '\0' ? ": " : "", client->text);
    }
    return together->status == TRUC_OK ? TRUC_OK : refuse(call, together->status, "%s", together->why);
}

static void fill(const struct call *call, truc_delivery *ret_deliveries)
{
    for (size_t i = 0; i < call->together->batch_count; i++) {
        const struct send_batch *batch = call->together->batches[i];

        for (uint32_t index = 0; index < batch->record_count; index++) {
            size_t part = (size_t)(uintptr_t)batch->opaques[index];
            truc_delivery *delivery = &ret_deliveries[part];

            producer_delivery(batch, index, delivery);
            delivery->topic = call->parts[part].topic;
            delivery->opaque = NULL;
            delivery->why = NULL;
        }
    }
}

/* Locked. */
static truc_status publish(struct call *call, truc_delivery *ret_deliveries)
{
    struct together *together;
    truc_status status = take_turn(call);

    if (status != TRUC_OK)
        return status;
    together = call->together;
    status = build(call);
    if (status == TRUC_OK) {
        status = together_submit(together);
        if (status == TRUC_OK)
            status = await(call);
        else if (status != TRUC_NO_MEMORY)
            (void)refuse(call, status, "%s", together->companion->why);
    }
    if (status == TRUC_OK && ret_deliveries != NULL)
        fill(call, ret_deliveries);
    if (!together->abandoned)
        together_clear(together);
    return status;
}

truc_status truc_publish_together(truc_producer *producer, const truc_part *parts, size_t count, int timeout_ms,
                                  truc_delivery *ret_deliveries, char **ret_error)
{
    struct call call = {.producer = producer, .parts = parts, .count = count, .deadline_ns = clock_deadline(timeout_ms)};
    truc_client *client;
    truc_status status;

    if (producer == NULL || parts == NULL || count == 0 || client_in_callback(producer->client))
        return TRUC_INVALID_ARGUMENT;
    client = producer->client;
    (void)pthread_mutex_lock(&client->lock);
    producer->callers++; /* so that it is not closed under this thread */
    status = publish(&call, ret_deliveries);
    producer->callers--;
    if (producer->closing)
        (void)pthread_cond_broadcast(&client->changed);
    client_unlock(client);
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(call.why[0] != '\0' ? call.why : truc_status_text(status));
    return status;
}
