#include "clients/c/pack.h"

#include "clients/c/client.h"
#include "clients/c/producer.h"
#include "clients/c/sender.h"
#include "proto/codec.h"

enum { RATIO_FREE_BYTES = 64 * 1024 }; /* below this any ratio is accepted */

/* Unlocked. The batch's records under the codec, in a buffer of their own; NULL: send them as they are. */
static struct send_buffer *pack(struct send_buffer *raw, size_t start, size_t size, enum codec codec, struct send_buffer *packed,
                                size_t *ret_size)
{
    if (codec_pack(codec, bytes_of(raw->bytes + start, size), packed->bytes + start, packed->capacity - start, ret_size) != TRUC_OK)
        return NULL;
    /* What unpacks to too much is refused as a bomb. */
    if (size > RATIO_FREE_BYTES && size / BATCH_RATIO_MAX >= *ret_size)
        return NULL;
    return packed;
}

void pack_step(truc_client *client)
{
    while (client->pack_head != NULL) {
        struct send_batch *batch = client->pack_head;
        struct send_buffer *raw = batch->buffer, *packed, *result = NULL;
        enum codec codec = batch->producer->settings.codec;
        size_t start = batch->payload_start, size = batch->payload_size, packed_size = 0;

        client->pack_head = batch->pack_next;
        if (client->pack_head == NULL)
            client->pack_tail = NULL;
        client->packing = batch;
        raw->refs++;
        packed = send_buffer_create(client, start + codec_bound(codec, size));
        if (packed != NULL) {
            (void)pthread_mutex_unlock(&client->lock);
            result = pack(raw, start, size, codec, packed, &packed_size);
            (void)pthread_mutex_lock(&client->lock);
        }
        send_buffer_unref(raw);
        if (client->packing == batch) {
            client->packing = NULL;
            batch->state = BATCH_CLOSED;
            if (result != NULL) {
                send_buffer_unref(batch->buffer);
                batch->buffer = packed;
                batch->payload_size = packed_size;
                batch->codec = codec;
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
