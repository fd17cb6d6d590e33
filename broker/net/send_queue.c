#include "broker/net/send_queue.h"

#include <assert.h>
#include <stdlib.h>

enum { SEGMENT_BYTES = 2048 - sizeof(struct send_segment) };

static void append(struct send_queue *queue, struct send_segment *segment)
{
    segment->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = segment;
    } else {
        queue->first = segment;
    }
    queue->last = segment;
}

bool send_queue_copy(struct send_queue *queue, struct bytes bytes)
{
    struct send_segment *segment = queue->last;
    if (bytes.size == 0) {
        return true;
    }
    if (segment == NULL || segment->capacity < segment->size + bytes.size) {
        /* The first segment fits exactly: most connections wait for one answer. Those behind it have room for more. */
        size_t capacity = bytes.size;
        if (segment != NULL && capacity < SEGMENT_BYTES) {
            capacity = SEGMENT_BYTES;
        }
        segment = malloc(sizeof *segment + capacity);
        if (segment == NULL) {
            return false;
        }
        *segment = (struct send_segment){.capacity = capacity};
        segment->data = segment->bytes;
        append(queue, segment);
    }
    memcpy(segment->bytes + segment->size, bytes.data, bytes.size);
    segment->size += bytes.size;
    queue->size += bytes.size;
    return true;
}

bool send_queue_own(struct send_queue *queue, struct bytes payload, void (*free_payload)(void *owner), void *owner)
{
    struct send_segment *segment = malloc(sizeof *segment);
    if (segment == NULL) {
        return false;
    }
    *segment = (struct send_segment){.data = payload.data, .size = payload.size, .free_payload = free_payload, .owner = owner};
    append(queue, segment);
    queue->size += payload.size;
    return true;
}

size_t send_queue_parts(const struct send_queue *queue, struct bytes parts[SEND_PARTS_MAX])
{
    size_t count = 0;
    for (const struct send_segment *s = queue->first; s != NULL && count < SEND_PARTS_MAX; s = s->next) {
        if (s->size > s->sent) {
            parts[count++] = bytes_of(s->data + s->sent, s->size - s->sent);
        }
    }
    return count;
}

static void take_first(struct send_queue *queue, struct send_segment **done)
{
    struct send_segment *segment = queue->first;
    queue->first = segment->next;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    segment->next = *done;
    *done = segment;
}

void send_queue_consume(struct send_queue *queue, size_t size, struct send_segment **done)
{
    assert(size <= queue->size);
    queue->size -= size;
    while (queue->first != NULL) {
        struct send_segment *segment = queue->first;
        size_t part = segment->size - segment->sent;
        if (part > size) {
            segment->sent += size;
            return;
        }
        size -= part;
        take_first(queue, done);
    }
}

void send_queue_clear(struct send_queue *queue, struct send_segment **done)
{
    while (queue->first != NULL) {
        take_first(queue, done);
    }
    queue->size = 0;
}

void send_segments_free(struct send_segment *done)
{
    while (done != NULL) {
        struct send_segment *next = done->next;
        if (done->free_payload != NULL) {
            done->free_payload(done->owner);
        }
        free(done);
        done = next;
    }
}
