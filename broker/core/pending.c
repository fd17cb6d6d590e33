#include "pending.h"

#include <stdlib.h>

enum { QUEUE_MIN = 256, DELTA_RUN_BYTES = 16 * 1024 };
_Static_assert((int)DELTA_RUN_BYTES >= (int)DELTA_BYTES_MAX, "a run has room for any delta");

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

static struct pending *pending_last(struct core *core)
{
    struct pending_queue *queue = &core->pending;

    return &queue->items[(queue->start + queue->count - 1) & (queue->capacity - 1)];
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

/* Adds to the deltas of the last effect, when that has room: a save of a subscription is hundreds of them. */
static bool extend_run(struct core *core, const struct delta *delta)
{
    struct core_effect *effect = core->output.count > 0 ? &core->output.effects[core->output.count - 1] : NULL;
    struct pending *pending;
    size_t size;

    if (!effect || effect->kind != EFFECT_DELTA || effect->ticket != core->delta_run.ticket ||
        core->delta_run.room < delta_bytes_max(delta->kind))
        return false;
    size = delta_write((uint8_t *)(uintptr_t)effect->bytes.data + effect->bytes.size, delta); /* the slab's, ours to write */
    effect->bytes.size += size;
    effect->delta_count++;
    core->delta_run.room -= (uint32_t)size;
    pending = pending_last(core);
    CORE_INVARIANT(pending->ticket == effect->ticket && pending->kind == PENDING_DELTA);
    pending->log_bytes += (uint32_t)size;
    core->log_bytes_pending += size;
    return true;
}

bool pending_delta(struct core *core, const struct delta *delta, bool joined)
{
    size_t bytes_max = delta_bytes_max(delta->kind), room = joined ? DELTA_RUN_BYTES : bytes_max;
    struct core_effect *effect;
    uint8_t *encoded;

    /* What is joined belongs to what was accepted before it, so there is no half of it: a dead letter without the save that says so
     * would be written again after a crash. What the log promises leaves room for the rest of a save. */
    if (core->failed || (!joined && (core->capacity.full || !pending_log_has_room(core, bytes_max))))
        return false;
    if (joined && extend_run(core, delta))
        return true;
    if (!pending_reserve(core, 1) || !output_reserve(&core->output, 1))
        return false;
    encoded = slab_take(&core->output.slab, room);
    if (!encoded)
        return false;
    effect = output_effect(&core->output, EFFECT_DELTA);
    effect->ticket = ++core->last_ticket;
    effect->bytes = bytes_of(encoded, delta_write(encoded, delta));
    effect->delta_count = 1;
    effect->joined = joined;
    core->delta_run.ticket = effect->ticket;
    core->delta_run.room = (uint32_t)(room - effect->bytes.size);
    pending_add(core, &(struct pending){.ticket = effect->ticket,
                                        .kind = PENDING_DELTA,
                                        .memory_bytes = PENDING_OVERHEAD,
                                        .log_bytes = (uint32_t)effect->bytes.size + LOG_OVERHEAD});
    return true;
}
