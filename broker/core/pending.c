#include "pending.h"

#include <stdlib.h>

enum { QUEUE_MIN = 256 };

bool pending_reserve(struct core *core, uint32_t more)
{
    struct pending_queue *queue = &core->pending;
    uint32_t capacity = queue->capacity ? queue->capacity : QUEUE_MIN;
    struct pending *items;
    uint32_t head;

    if (queue->capacity - queue->count >= more)
        return true;
    while (capacity - queue->count < more)
        capacity *= 2;
    items = malloc(capacity * sizeof *items);
    if (!items)
        return false;
    head = queue->capacity - queue->start < queue->count ? queue->capacity - queue->start : queue->count;
    if (queue->count > 0) {
        memcpy(items, queue->items + queue->start, head * sizeof *items);
        memcpy(items + head, queue->items, (queue->count - head) * sizeof *items);
    }
    free(queue->items);
    *queue = (struct pending_queue){items, capacity, 0, queue->count};
    return true;
}

void pending_add(struct core *core, const struct pending *pending)
{
    struct pending_queue *queue = &core->pending;

    CORE_INVARIANT(queue->count < queue->capacity);
    queue->items[(queue->start + queue->count) & (queue->capacity - 1)] = *pending;
    queue->count++;
    core->pending_bytes += pending->memory_bytes;
    core->log_bytes_pending += pending->log_bytes;
}

void pending_drop_first(struct core *core)
{
    struct pending_queue *queue = &core->pending;
    const struct pending *first = pending_first(core);

    core->pending_bytes -= first->memory_bytes;
    core->log_bytes_pending -= first->log_bytes;
    queue->start = (queue->start + 1) & (queue->capacity - 1);
    queue->count--;
}

bool pending_delta(struct core *core, const struct delta *delta, bool joined)
{
    size_t bytes_max = delta_bytes_max(delta->kind);
    struct core_effect *effect;
    uint8_t *encoded;

    /* What is joined belongs to what was accepted before it, so there is no half of it: a dead letter without the save that says so
     * would be written again after a crash. What the log promises leaves room for the rest of a save. */
    if (core->failed || (!joined && (core->capacity.full || !pending_log_has_room(core, bytes_max))))
        return false;
    if (!pending_reserve(core, 1) || !output_reserve(&core->output, 1))
        return false;
    encoded = slab_take(&core->output.slab, bytes_max);
    if (!encoded)
        return false;
    effect = output_effect(&core->output, EFFECT_DELTA);
    effect->ticket = ++core->last_ticket;
    effect->bytes = bytes_of(encoded, delta_write(encoded, delta));
    effect->joined = joined;
    pending_add(core, &(struct pending){.ticket = effect->ticket,
                                        .kind = PENDING_DELTA,
                                        .memory_bytes = PENDING_OVERHEAD,
                                        .log_bytes = (uint32_t)effect->bytes.size + LOG_OVERHEAD});
    return true;
}
