#include "clients/c/send_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clients/c/client.h"
#include "proto/codec.h"
#include "proto/record.h"

enum { OPAQUES_FIRST = 16, KEPT_BYTES_LEAST = 65536, KEPT_BYTES_MOST = 1024 * 1024 };

size_t send_batch_headroom(const struct batch_header_fields *widest)
{
    return align8(FRAME_PREFIX_BYTES + BATCH_PREFIX_BYTES + batch_header_size(widest));
}

/* --- buffers -------------------------------------------------------------------------------------------------------------- */

static void buffer_sent(struct link_out *out)
{
    send_buffer_unref((struct send_buffer *)((char *)out - offsetof(struct send_buffer, out)));
}

struct send_buffer *send_buffer_create(truc_client *client, size_t capacity)
{
    struct send_buffer **at = &client->buffers;
    struct send_buffer *buffer;

    while (*at != NULL && (*at)->capacity != capacity)
        at = &(*at)->next;
    buffer = *at;
    if (buffer != NULL) {
        *at = buffer->next;
        client->buffer_count--;
    } else {
        buffer = malloc(sizeof *buffer + capacity);
        if (buffer == NULL)
            return NULL;
    }
    buffer->out = (struct link_out){.done = buffer_sent};
    buffer->client = client;
    buffer->next = NULL;
    buffer->refs = 1;
    buffer->capacity = capacity;
    return buffer;
}

void send_buffer_unref(struct send_buffer *buffer)
{
    truc_client *client;

    if (buffer == NULL || --buffer->refs > 0)
        return;
    client = buffer->client;
    /* Small ones are as cheap from malloc; large ones would cost their page faults again. */
    if (buffer->capacity < KEPT_BYTES_LEAST || buffer->capacity > KEPT_BYTES_MOST || client->buffer_count >= SEND_BUFFERS_KEPT) {
        free(buffer);
        return;
    }
    buffer->next = client->buffers;
    client->buffers = buffer;
    client->buffer_count++;
}

void send_buffers_free(truc_client *client)
{
    while (client->buffers != NULL) {
        struct send_buffer *next = client->buffers->next;

        free(client->buffers);
        client->buffers = next;
    }
    client->buffer_count = 0;
}

/* --- batches -------------------------------------------------------------------------------------------------------------- */

struct send_batch *send_batch_create(truc_client *client, size_t headroom, size_t payload_capacity)
{
    struct send_batch *batch = calloc(1, sizeof *batch);

    if (batch == NULL)
        return NULL;
    batch->buffer = send_buffer_create(client, headroom + payload_capacity);
    if (batch->buffer == NULL) {
        free(batch);
        return NULL;
    }
    batch->payload_start = headroom;
    batch->outbox_first = UINT64_MAX;
    batch->place.base_offset = UINT64_MAX;
    return batch;
}

void send_batch_free(struct send_batch *batch)
{
    if (batch == NULL)
        return;
    send_buffer_unref(batch->buffer);
    free(batch->opaques);
    free(batch->why);
    free(batch);
}

static size_t opaque_bytes(uint32_t capacity)
{
    return (size_t)capacity * sizeof(void *) + (capacity + 7) / 8;
}

size_t send_batch_footprint(const struct send_batch *batch)
{
    return sizeof *batch + opaque_bytes(batch->opaque_capacity) + (batch->buffer != NULL ? batch->buffer->capacity : 0);
}

/* The buffer's capacity after a record of `size` bytes: doubled until it fits, at most capacity_max unless one record needs more.
 */
static size_t capacity_for(const struct send_batch *batch, size_t size, size_t capacity_max)
{
    size_t needed = batch->payload_start + batch->payload_size + size;
    size_t capacity = batch->buffer->capacity;

    while (capacity < needed)
        capacity *= 2;
    if (capacity > capacity_max)
        capacity = needed > capacity_max ? needed : capacity_max;
    return capacity;
}

static uint32_t opaques_for(const struct send_batch *batch)
{
    if (batch->record_count < batch->opaque_capacity)
        return batch->opaque_capacity;
    return batch->opaque_capacity == 0 ? OPAQUES_FIRST : batch->opaque_capacity * 2;
}

size_t send_batch_growth(const struct send_batch *batch, size_t size, size_t capacity_max)
{
    size_t needed = batch->payload_start + batch->payload_size + size;

    if (needed <= batch->buffer->capacity && batch->record_count < batch->opaque_capacity)
        return 0;
    return (needed <= batch->buffer->capacity ? 0 : capacity_for(batch, size, capacity_max) - batch->buffer->capacity) +
           opaque_bytes(opaques_for(batch)) - opaque_bytes(batch->opaque_capacity);
}

static truc_status grow_opaques(struct send_batch *batch)
{
    uint32_t old = batch->opaque_capacity, capacity = opaques_for(batch);
    void **opaques = realloc(batch->opaques, opaque_bytes(capacity));
    uint8_t *waited;

    if (opaques == NULL)
        return TRUC_NO_MEMORY;
    waited = (uint8_t *)(opaques + capacity);
    memmove(waited, (uint8_t *)(opaques + old), (old + 7) / 8);
    memset(waited + (old + 7) / 8, 0, (capacity + 7) / 8 - (old + 7) / 8);
    batch->opaques = opaques;
    batch->waited = waited;
    batch->opaque_capacity = capacity;
    return TRUC_OK;
}

truc_status send_batch_reserve(struct send_batch *batch, size_t size, size_t capacity_max, uint8_t **ret_at)
{
    size_t filled = batch->payload_start + batch->payload_size;

    assert(batch->state == BATCH_OPEN);
    if (batch->record_count == batch->opaque_capacity) {
        truc_status status = grow_opaques(batch);

        if (status != TRUC_OK)
            return status;
    }
    if (filled + size > batch->buffer->capacity) {
        struct send_buffer *larger = send_buffer_create(batch->buffer->client, capacity_for(batch, size, capacity_max));

        if (larger == NULL)
            return TRUC_NO_MEMORY;
        memcpy(larger->bytes + batch->payload_start, batch->buffer->bytes + batch->payload_start, batch->payload_size);
        send_buffer_unref(batch->buffer);
        batch->buffer = larger;
    }
    *ret_at = batch->buffer->bytes + filled;
    return TRUC_OK;
}

void send_batch_commit(struct send_batch *batch, size_t size, void *opaque, bool waited)
{
    uint32_t index = batch->record_count++;

    batch->payload_size += size;
    batch->raw_size = batch->payload_size;
    batch->opaques[index] = opaque;
    if (waited) {
        batch->waited[index / 8] |= (uint8_t)(1u << index % 8);
        batch->waited_count++;
    }
}

truc_status send_batch_freeze(struct send_batch *batch, const struct batch_header_fields *fields)
{
    uint8_t seed[SALT_SEED_BYTES];
    size_t batch_head;
    uint8_t *frame;

    if (batch->frozen && batch->producer_id == fields->producer_id && batch->epoch == fields->epoch &&
        batch->first_sequence == fields->first_sequence)
        return TRUC_OK;
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return TRUC_INTERNAL;
    batch_head = BATCH_PREFIX_BYTES + batch_header_size(fields);
    assert(FRAME_PREFIX_BYTES + batch_head <= batch->payload_start);
    batch->frame_start = batch->payload_start - batch_head - FRAME_PREFIX_BYTES;
    batch->frame_size = FRAME_PREFIX_BYTES + batch_head + batch->payload_size;
    frame = batch->buffer->bytes + batch->frame_start;
    batch_head_write(frame + FRAME_PREFIX_BYTES, fields, batch->codec, (uint32_t)batch->payload_size, (uint32_t)batch->raw_size,
                     seed);
    batch->frozen = true;
    batch->producer_id = fields->producer_id;
    batch->epoch = fields->epoch;
    batch->first_sequence = fields->first_sequence;
    return TRUC_OK;
}

/* --- parting ---------------------------------------------------------------------------------------------------------------- */

/* Puts the raw records back into a buffer of the batch's own. */
static truc_status unpack(struct send_batch *batch)
{
    struct send_buffer *raw;
    truc_status status;

    if (batch->codec == CODEC_NONE)
        return TRUC_OK;
    raw = send_buffer_create(batch->buffer->client, batch->payload_start + batch->raw_size);
    if (raw == NULL)
        return TRUC_NO_MEMORY;
    status = codec_unpack(batch->codec, bytes_of(batch->buffer->bytes + batch->payload_start, batch->payload_size),
                          raw->bytes + batch->payload_start, batch->raw_size);
    if (status != TRUC_OK) {
        send_buffer_unref(raw);
        return status;
    }
    send_buffer_unref(batch->buffer);
    batch->buffer = raw;
    batch->payload_size = batch->raw_size;
    batch->codec = CODEC_NONE;
    return TRUC_OK;
}

/* Moves the records behind the first `keep` ones. */
static void move_records(struct send_batch *batch, uint32_t keep, size_t keep_size, struct send_batch *second)
{
    for (uint32_t i = keep; i < batch->record_count; i++) {
        bool waited = send_batch_waited(batch, i);
        struct waiter *waiter = waited ? batch->opaques[i] : NULL;

        send_batch_commit(second, 0, batch->opaques[i], waited);
        if (waiter != NULL) {
            waiter->batch = second;
            waiter->index = i - keep;
        }
        if (waited) {
            batch->waited[i / 8] &= (uint8_t) ~(1u << i % 8);
            batch->waited_count--;
        }
    }
    memcpy(second->buffer->bytes + second->payload_start, batch->buffer->bytes + batch->payload_start + keep_size,
           batch->payload_size - keep_size);
    second->payload_size = second->raw_size = batch->payload_size - keep_size;
    batch->record_count = keep;
    batch->payload_size = batch->raw_size = keep_size;
}

truc_status send_batch_split(struct send_batch *batch, struct send_batch **ret_second)
{
    uint32_t keep = batch->record_count / 2;
    struct send_batch *second;
    struct reader payload;
    struct bytes record;
    size_t keep_size;
    truc_status status = unpack(batch);

    assert(keep > 0);
    if (status != TRUC_OK)
        return status;
    payload = reader_over(bytes_of(batch->buffer->bytes + batch->payload_start, batch->payload_size));
    for (uint32_t i = 0; i < keep; i++) {
        if (!records_next(&payload, &record, &status))
            return TRUC_INTERNAL;
    }
    keep_size = batch->payload_size - reader_left(&payload);

    second = send_batch_create(batch->buffer->client, batch->payload_start, batch->payload_size - keep_size);
    if (second == NULL)
        return TRUC_NO_MEMORY;
    while (second->opaque_capacity < batch->record_count - keep) {
        second->record_count = second->opaque_capacity; /* so that it grows */
        status = grow_opaques(second);
        if (status != TRUC_OK) {
            send_batch_free(second);
            return status;
        }
    }
    second->record_count = 0;
    second->lane = batch->lane;
    second->producer = batch->producer;
    second->opened_ns = batch->opened_ns;
    second->how = batch->how;
    second->urgent = true;
    second->outbox_first = batch->outbox_first;
    second->outbox_end = batch->outbox_end;
    second->gate = batch->gate;
    move_records(batch, keep, keep_size, second);
    second->state = batch->state = BATCH_CLOSED;
    batch->frozen = false;
    *ret_second = second;
    return TRUC_OK;
}
