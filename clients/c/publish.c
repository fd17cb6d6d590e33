/* publish.c: the way of a record from the application into a batch: the hot path. */
#include "clients/c/publish.h"

#include <string.h>

#include "clients/c/producer.h"
#include "clients/c/record_input.h"
#include "clients/c/sender.h"

/* What a batch adds to its records, at most, beside its head: for checks against the broker's limits. */
enum { FRAME_MARGIN_BYTES = 1024 };

static bool within_limits(const struct truc_producer *producer, size_t size)
{
    const struct client_limits *limits = &producer->client->limits;

    return size <= limits->record_bytes_max && size + FRAME_MARGIN_BYTES <= limits->batch_bytes_max &&
           size + FRAME_MARGIN_BYTES <= limits->frame_bytes_max && size + FRAME_MARGIN_BYTES <= limits->publish_credit_bytes;
}

/* What the application publishes, and how. */
struct publication {
    struct record_input input;
    struct batch_how how;
    void *opaque;
    struct waiter *waiter; /* of a thread that waits, instead of opaque; else NULL */
};

static bool has_room(const struct truc_producer *producer, const struct lane *lane, const struct send_batch *batch, size_t size,
                     const struct batch_how *how)
{
    size_t limit = lane->header_bytes + producer->settings.batch_bytes;
    size_t growth = batch != NULL ? send_batch_growth(batch, size, limit) : lane_open_bytes(lane, size);

    if (growth > 0 && producer->queue_used > 0 && producer->queue_used + growth > producer->settings.queue_bytes)
        return false;
    return producer->outbox == NULL || outbox_has_room(producer->outbox, lane->name_size, how, size);
}

/* Waits for room once. TRUC_OK: look again. */
static truc_status wait_for_room(struct truc_producer *producer, int64_t deadline_ns)
{
    truc_client *client = producer->client;
    bool in_time;

    if (producer->settings.queue_full_error || client_in_callback(client))
        return TRUC_QUEUE_FULL;
    /* What fills the queue must be on its way before anybody waits for it. */
    producer_close_open(producer);
    sender_pump(client);
    if (producer->outbox != NULL)
        client_wake_at(client, 0);
    if (link_prepare(&client->link)) {
        (void)pthread_mutex_unlock(&client->lock);
        link_post(&client->link);
        (void)pthread_mutex_lock(&client->lock);
        return TRUC_OK;
    }
    producer->callers++;
    in_time = clock_wait(&producer->room, &client->lock, deadline_ns);
    producer->callers--;
    if (producer->closing)
        (void)pthread_cond_broadcast(&client->changed);
    return in_time ? TRUC_OK : TRUC_TIMED_OUT;
}

/* The coarse clock is a few ms behind and ten times cheaper. */
static uint64_t unix_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

truc_status publish_encode(struct truc_producer *producer, struct record_input *input, uint8_t *at, struct bytes *ret_record)
{
    struct record_view parsed;
    uint8_t *record;

    if (input->needs_id)
        uuid7_generate(&producer->uuid, unix_ms(), input->id);
    record = varint_put(at, input->encoded_size);
    (void)record_encode(&input->view, input->headers, input->header_count, record);
    *ret_record = bytes_of(record, input->encoded_size);
    if (input->needs_parse && record_parse(*ret_record, &parsed, NULL) != TRUC_OK)
        return TRUC_BAD_RECORD;
    return TRUC_OK;
}

/* Encodes into the batch and counts the record in. */
static truc_status append(struct truc_producer *producer, struct lane *lane, struct send_batch *batch,
                          struct publication *publication)
{
    struct record_input *input = &publication->input;
    struct waiter *waiter = publication->waiter;
    size_t framed = varint_size(input->encoded_size) + input->encoded_size;
    struct bytes record;
    uint8_t *at;
    truc_status status = send_batch_reserve(batch, framed, lane->header_bytes + producer->settings.batch_bytes, &at);

    if (status == TRUC_OK)
        status = publish_encode(producer, input, at, &record);
    if (status != TRUC_OK)
        return status;
    if (producer->outbox != NULL) {
        uint64_t first = outbox_append(producer->outbox, lane->name, lane->name_size, lane->acked_next + lane->pending_records,
                                       &publication->how, record);

        if (batch->outbox_first > first)
            batch->outbox_first = first;
        batch->outbox_end = outbox_end(producer->outbox);
    }
    send_batch_commit(batch, framed, waiter != NULL ? (void *)waiter : publication->opaque, waiter != NULL);
    if (waiter != NULL) {
        if (batch->gate == NULL)
            batch->gate = gate_take();
        waiter->gate = batch->gate;
        waiter->batch = batch;
        waiter->index = batch->record_count - 1;
    }
    lane->pending_records++;
    producer_charge(producer, batch);
    return TRUC_OK;
}

/* Closes the lane's open batch, which is full or published in another way, and opens the next. */
static truc_status next_batch(struct lane *lane, size_t framed, const struct batch_how *how, struct send_batch **ret_batch)
{
    if (lane->tail != NULL && lane->tail->state == BATCH_OPEN) {
        lane_close_batch(lane, lane->tail);
        lane_schedule(lane);
    }
    return lane_open_batch(lane, framed, how, ret_batch);
}

truc_status publish_recovered(struct truc_producer *producer, struct lane *lane, struct bytes record, const struct batch_how *how,
                              uint64_t first, uint64_t end)
{
    size_t framed = varint_size(record.size) + record.size;
    struct send_batch *batch = lane_batch_for(lane, framed, how);
    truc_status status = batch != NULL ? TRUC_OK : next_batch(lane, framed, how, &batch);
    uint8_t *at;

    if (status == TRUC_OK)
        status = send_batch_reserve(batch, framed, lane->header_bytes + producer->settings.batch_bytes, &at);
    if (status != TRUC_OK)
        return status;
    at = varint_put(at, record.size);
    memcpy(at, record.data, record.size);
    send_batch_commit(batch, framed, NULL, false);
    batch->urgent = true;
    batch->outbox_first = first;
    batch->outbox_end = end;
    lane->pending_records++;
    producer_charge(producer, batch);
    return TRUC_OK;
}

/* Locked. Finds the batch, waiting for room if need be, and puts the record in. */
static truc_status put(struct truc_producer *producer, const char *topic, struct publication *publication, int64_t deadline_ns)
{
    size_t topic_size = strlen(topic), size = publication->input.encoded_size;
    size_t framed = varint_size(size) + size;
    const struct batch_how *how = &publication->how;
    struct lane *lane;
    struct send_batch *batch;
    truc_status status;
    bool fresh = false;

    for (;;) {
        status = producer_refusal(producer);
        if (status == TRUC_OK)
            status = lane_find(producer, topic, topic_size, &lane);
        if (status != TRUC_OK)
            return status;
        if (!within_limits(producer, size))
            return TRUC_RECORD_TOO_LARGE;
        batch = lane_batch_for(lane, framed, how);
        if (has_room(producer, lane, batch, framed, how))
            break;
        status = wait_for_room(producer, deadline_ns);
        if (status != TRUC_OK)
            return status;
    }
    fresh = batch == NULL;
    if (fresh)
        status = next_batch(lane, framed, how, &batch);
    if (status != TRUC_OK)
        return status;
    status = append(producer, lane, batch, publication);
    if (status != TRUC_OK) {
        if (batch->record_count == 0)
            lane_drop_empty(lane, batch);
        return status;
    }
    if (how->conditional) /* nothing joins it */
        lane_close_batch(lane, batch);
    else if (publication->waiter != NULL || producer->settings.linger_ns == 0)
        batch->urgent = true;
    else if (fresh)
        producer_linger(producer, batch);
    if (batch->urgent || how->conditional)
        lane_schedule(lane);
    return TRUC_OK;
}

static truc_status how_read(const truc_publish_how *how, struct batch_how *ret_how)
{
    *ret_how = (struct batch_how){0};
    if (how == NULL)
        return TRUC_OK;
    if (how->size < sizeof *how || how->deliver_at_ns < 0)
        return TRUC_INVALID_ARGUMENT;
    ret_how->deliver_at_ns = how->deliver_at_ns;
    ret_how->conditional = how->conditional;
    ret_how->expected_offset = how->conditional ? how->expected_offset : 0;
    return TRUC_OK;
}

truc_status truc_publish(truc_producer *producer, const char *topic, const truc_record *record, void *opaque)
{
    return truc_publish_as(producer, topic, record, NULL, opaque);
}

truc_status truc_publish_as(truc_producer *producer, const char *topic, const truc_record *record, const truc_publish_how *how,
                            void *opaque)
{
    struct publication publication;
    truc_status status;

    if (producer == NULL || topic == NULL)
        return TRUC_INVALID_ARGUMENT;
    status = how_read(how, &publication.how);
    if (status == TRUC_OK)
        status = record_input_read(record, &publication.input);
    if (status != TRUC_OK)
        return status;
    publication.opaque = opaque;
    publication.waiter = NULL;
    (void)pthread_mutex_lock(&producer->client->lock);
    status = put(producer, topic, &publication, CLOCK_NEVER);
    sender_pump(producer->client);
    client_unlock(producer->client);
    return status;
}

/* The record's outcome will be nobody's: its thread no longer waits. False when it is there after all. */
static bool give_up(truc_client *client, struct waiter *waiter)
{
    bool given_up = false;

    (void)pthread_mutex_lock(&client->lock);
    if (!atomic_load_explicit(&waiter->done, memory_order_acquire)) {
        waiter->batch->opaques[waiter->index] = NULL;
        given_up = true;
    }
    (void)pthread_mutex_unlock(&client->lock);
    return given_up;
}

truc_status truc_publish_wait(truc_producer *producer, const char *topic, const truc_record *record, int timeout_ms,
                              truc_delivery *ret_delivery)
{
    int64_t deadline_ns = clock_deadline(timeout_ms);
    struct publication publication;
    struct waiter waiter = {0};
    truc_client *client;
    truc_status status;

    if (producer == NULL || topic == NULL || client_in_callback(producer->client))
        return TRUC_INVALID_ARGUMENT;
    client = producer->client;
    status = record_input_read(record, &publication.input);
    if (status != TRUC_OK)
        return status;
    publication.how = (struct batch_how){0};
    publication.opaque = NULL;
    publication.waiter = &waiter;
    (void)pthread_mutex_lock(&client->lock);
    status = put(producer, topic, &publication, deadline_ns);
    sender_pump(client);
    client_unlock(client);
    if (status != TRUC_OK)
        return status;

    /* Once done, nothing of the producer's is touched any more: it may be gone. */
    while (!atomic_load_explicit(&waiter.done, memory_order_acquire)) {
        uint32_t seen = gate_word(waiter.gate);

        if (atomic_load_explicit(&waiter.done, memory_order_acquire))
            break;
        if (!gate_wait(waiter.gate, seen, deadline_ns) && give_up(client, &waiter))
            return TRUC_TIMED_OUT;
    }
    if (ret_delivery != NULL && waiter.result.status == TRUC_OK)
        *ret_delivery = waiter.result;
    return waiter.result.status;
}
