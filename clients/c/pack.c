#include "clients/c/pack.h"

#include "clients/c/client.h"
#include "clients/c/producer.h"
#include "clients/c/sender.h"
#include "proto/codec.h"

enum { RATIO_FREE_BYTES = 64 * 1024 }; /* below this any ratio is accepted */

/* Unlocked. The records under the codec, in a buffer of their own. False: better sent as they are. */
static bool pack(const struct send_buffer *raw, size_t start, size_t size, enum codec codec, struct send_buffer *packed,
                 size_t *ret_size)
{
    if (codec_pack(codec, bytes_of(raw->bytes + start, size), packed->bytes + start, packed->capacity - start, ret_size) != TRUC_OK)
        return false;
    /* What unpacks to too much is refused as a bomb. */
    return size <= RATIO_FREE_BYTES || size / BATCH_RATIO_MAX < *ret_size;
}

/* Unlocks meanwhile. The batch's records under the codec; NULL: send them as they are. */
static struct send_buffer *pack_buffer(truc_client *client, const struct send_batch *batch, enum codec codec, size_t *ret_size)
{
    size_t start = batch->payload_start, size = batch->payload_size;
    struct send_buffer *raw = batch->buffer;
    struct send_buffer *packed = send_buffer_create(client, start + codec_bound(codec, size));
    bool worthwhile;

    if (packed == NULL)
        return NULL;
    raw->refs++;
    (void)pthread_mutex_unlock(&client->lock);
    worthwhile = pack(raw, start, size, codec, packed, ret_size);
    (void)pthread_mutex_lock(&client->lock);
    send_buffer_unref(raw);
    if (worthwhile)
        return packed;
    send_buffer_unref(packed);
    return NULL;
}

static void take_packed(struct send_batch *batch, struct send_buffer *packed, size_t size, enum codec codec)
{
    send_buffer_unref(batch->buffer);
    batch->buffer = packed;
    batch->payload_size = size;
    batch->codec = codec;
}

void pack_batch(truc_client *client, struct send_batch *batch, enum codec codec)
{
    size_t size = 0;
    struct send_buffer *packed = pack_buffer(client, batch, codec, &size);

    if (packed != NULL)
        take_packed(batch, packed, size, codec);
}

void pack_step(truc_client *client)
{
    while (client->pack_head != NULL) {
        struct send_batch *batch = client->pack_head;
        struct send_buffer *packed;
        enum codec codec = batch->producer->settings.codec;
        size_t size = 0;

        client->pack_head = batch->pack_next;
        if (client->pack_head == NULL)
            client->pack_tail = NULL;
        client->packing = batch;
        packed = pack_buffer(client, batch, codec, &size); /* afterwards the batch may be gone */
        if (client->packing == batch) {
            client->packing = NULL;
            batch->state = BATCH_CLOSED;
            if (packed != NULL) {
                take_packed(batch, packed, size, codec);
                packed = NULL;
                producer_charge(batch->producer, batch);
            }
            lane_schedule(batch->lane);
        }
        send_buffer_unref(packed);
        sender_pump(client);
    }
}

void pack_forget(truc_client *client, struct send_batch *batch)
{
    struct send_batch **at = &client->pack_head, *previous = NULL;

    if (client->packing == batch) {
        client->packing = NULL;
        return;
    }
    if (client->pack_head == NULL)
        return;
    while (*at != NULL && *at != batch) {
        previous = *at;
        at = &previous->pack_next;
    }
    if (*at == NULL)
        return;
    *at = batch->pack_next;
    if (client->pack_tail == batch)
        client->pack_tail = previous;
}
