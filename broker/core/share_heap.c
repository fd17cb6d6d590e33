#include "share_internal.h"

#include <stdlib.h>

enum { HEAP_WAYS = 4, HEAP_CAPACITY_MIN = 64 };

void lane_heap_fini(struct lane_heap *heap)
{
    free(heap->nodes);
    *heap = (struct lane_heap){0};
}

bool lane_heap_reserve(struct lane_heap *heap, uint32_t count)
{
    uint64_t capacity = heap->capacity ? heap->capacity : HEAP_CAPACITY_MIN;
    struct heap_node *nodes;

    if (count <= heap->capacity)
        return true;
    while (capacity < count)
        capacity *= 2;
    if (capacity > UINT32_MAX)
        return false;
    nodes = realloc(heap->nodes, (size_t)capacity * sizeof *nodes);
    if (!nodes)
        return false;
    heap->nodes = nodes;
    heap->capacity = (uint32_t)capacity;
    return true;
}

static void put(struct share *share, struct lane_heap *heap, uint32_t at, struct heap_node node)
{
    heap->nodes[at] = node;
    lane_at(share, node.lane)->heap_at = at;
}

/* Puts a node where it belongs, beginning at a hole. */
static void settle(struct share *share, struct lane_heap *heap, uint32_t hole, struct heap_node node)
{
    while (hole > 0 && node.at < heap->nodes[(hole - 1) / HEAP_WAYS].at) {
        put(share, heap, hole, heap->nodes[(hole - 1) / HEAP_WAYS]);
        hole = (hole - 1) / HEAP_WAYS;
    }
    for (;;) { /* if it went up, all below is greater already */
        uint64_t first = (uint64_t)hole * HEAP_WAYS + 1, last = first + HEAP_WAYS, least = first;

        if (first >= heap->count)
            break;
        last = last < heap->count ? last : heap->count;
        for (uint64_t child = first + 1; child < last; child++) {
            if (heap->nodes[child].at < heap->nodes[least].at)
                least = child;
        }
        if (heap->nodes[least].at >= node.at)
            break;
        put(share, heap, hole, heap->nodes[least]);
        hole = (uint32_t)least;
    }
    put(share, heap, hole, node);
}

void lane_heap_add(struct share *share, struct lane_heap *heap, struct lane *lane, int64_t at)
{
    CORE_INVARIANT(heap->count < heap->capacity);
    heap->count++;
    settle(share, heap, heap->count - 1, (struct heap_node){at, lane->index});
}

void lane_heap_remove(struct share *share, struct lane_heap *heap, struct lane *lane)
{
    uint32_t hole = lane->heap_at;

    CORE_INVARIANT(hole < heap->count && heap->nodes[hole].lane == lane->index);
    heap->count--;
    if (hole != heap->count)
        settle(share, heap, hole, heap->nodes[heap->count]);
}

void lane_heap_move(struct share *share, struct lane_heap *heap, struct lane *lane, int64_t at)
{
    CORE_INVARIANT(lane->heap_at < heap->count && heap->nodes[lane->heap_at].lane == lane->index);
    settle(share, heap, lane->heap_at, (struct heap_node){at, lane->index});
}
