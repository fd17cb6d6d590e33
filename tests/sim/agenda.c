#include "agenda.h"

#include <stdlib.h>

static struct occurrence *heap; /* the next one on top */
static size_t count, capacity;
static uint64_t added;

static bool before(const struct occurrence *a, const struct occurrence *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void agenda_clear(void)
{
    for (size_t i = 0; i < count; i++)
        free(heap[i].message);
    count = 0;
    added = 0;
}

void agenda_add(int64_t at_ns, enum occurrence_kind kind, uint32_t life, uint64_t number, void *message)
{
    struct occurrence one = {at_ns, added++, kind, life, number, message};
    size_t hole = count;

    heap = with_room(heap, count, &capacity, sizeof *heap);
    count++;
    for (; hole > 0 && before(&one, &heap[(hole - 1) / 2]); hole = (hole - 1) / 2)
        heap[hole] = heap[(hole - 1) / 2];
    heap[hole] = one;
}

const struct occurrence *agenda_next(void)
{
    return count > 0 ? &heap[0] : NULL;
}

struct occurrence agenda_take(void)
{
    struct occurrence first = heap[0], last = heap[--count];
    size_t hole = 0;

    for (size_t child = 1; child < count; child = 2 * hole + 1) {
        if (child + 1 < count && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = last;
    return first;
}
