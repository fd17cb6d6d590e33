#include "order.h"

#include <stdlib.h>

#include "invariant.h"

enum { CHUNK_ITEMS_MIN = 4, CHUNK_ITEMS_MAX = 256, POINTER_BYTES = sizeof(void *) };

struct order_chunk {
    uint32_t count, capacity;
    uint32_t items[];
};

void order_fini(struct order *order)
{
    for (uint32_t i = 0; i < order->chunk_count; i++)
        free(order->chunks[i]);
    free(order->chunks);
    *order = (struct order){0};
}

int order_compare(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int result = common ? memcmp(a.data, b.data, common) : 0;

    if (result != 0)
        return result;
    return a.size < b.size ? -1 : a.size > b.size;
}

static bool item_is_above(const struct order_names *names, uint32_t item, struct bytes name)
{
    return order_compare(names->name(names->context, item), name) > 0;
}

struct order_cursor order_after(const struct order *order, const struct order_names *names, struct bytes after)
{
    uint32_t low = 0, high = order->chunk_count;
    struct order_cursor cursor;

    while (low < high) { /* the first chunk whose last name is above */
        uint32_t middle = low + (high - low) / 2;
        const struct order_chunk *chunk = order->chunks[middle];

        if (item_is_above(names, chunk->items[chunk->count - 1], after))
            high = middle;
        else
            low = middle + 1;
    }
    cursor = (struct order_cursor){low, 0};
    if (low == order->chunk_count)
        return cursor;
    high = order->chunks[low]->count;
    low = 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (item_is_above(names, order->chunks[cursor.chunk]->items[middle], after))
            high = middle;
        else
            low = middle + 1;
    }
    cursor.index = low;
    return cursor;
}

bool order_next(const struct order *order, struct order_cursor *cursor, uint32_t *ret_item)
{
    if (cursor->chunk < order->chunk_count && cursor->index == order->chunks[cursor->chunk]->count)
        *cursor = (struct order_cursor){cursor->chunk + 1, 0};
    if (cursor->chunk >= order->chunk_count)
        return false;
    *ret_item = order->chunks[cursor->chunk]->items[cursor->index++];
    return true;
}

static struct order_chunk *chunk_create(uint32_t capacity)
{
    struct order_chunk *chunk = malloc(sizeof *chunk + capacity * sizeof chunk->items[0]);

    if (chunk)
        *chunk = (struct order_chunk){.capacity = capacity};
    return chunk;
}

/* Puts a chunk into the list at an index. */
static bool chunk_insert(struct order *order, uint32_t at, struct order_chunk *chunk)
{
    if (order->chunk_count == order->chunk_capacity) {
        uint32_t capacity = order->chunk_capacity ? order->chunk_capacity * 2 : 1;
        struct order_chunk **chunks = realloc(order->chunks, (size_t)capacity * POINTER_BYTES);

        if (!chunks)
            return false;
        order->chunks = chunks;
        order->chunk_capacity = capacity;
    }
    memmove(order->chunks + at + 1, order->chunks + at, (size_t)(order->chunk_count - at) * POINTER_BYTES);
    order->chunks[at] = chunk;
    order->chunk_count++;
    return true;
}

/* Makes room in a full chunk: larger, or split in two. Names that come in order fill chunks wholly: behind the last one a new
 * chunk is begun. */
static bool chunk_make_room(struct order *order, struct order_cursor *at)
{
    struct order_chunk *chunk = order->chunks[at->chunk];
    bool behind_all = at->index == chunk->count && at->chunk + 1 == order->chunk_count;
    uint32_t kept = behind_all ? chunk->count : chunk->count / 2;
    struct order_chunk *upper;

    if (chunk->capacity < CHUNK_ITEMS_MAX) {
        chunk = realloc(chunk, sizeof *chunk + (size_t)chunk->capacity * 2 * sizeof chunk->items[0]);
        if (!chunk)
            return false;
        chunk->capacity *= 2;
        order->chunks[at->chunk] = chunk;
        return true;
    }
    upper = chunk_create(CHUNK_ITEMS_MAX);
    if (!upper)
        return false;
    if (!chunk_insert(order, at->chunk + 1, upper)) {
        free(upper);
        return false;
    }
    upper->count = chunk->count - kept;
    memcpy(upper->items, chunk->items + kept, upper->count * sizeof chunk->items[0]);
    chunk->count = kept;
    if (at->index > kept || behind_all)
        *at = (struct order_cursor){at->chunk + 1, at->index - kept};
    return true;
}

/* Where a name belongs; restored names come in order, so the end is tried first. */
static struct order_cursor place_of(const struct order *order, const struct order_names *names, struct bytes name)
{
    const struct order_chunk *last = order->chunks[order->chunk_count - 1];
    struct order_cursor at;

    if (!item_is_above(names, last->items[last->count - 1], name))
        return (struct order_cursor){order->chunk_count - 1, last->count};
    at = order_after(order, names, name);
    return at;
}

bool order_add(struct order *order, const struct order_names *names, uint32_t item)
{
    struct order_cursor at = {0, 0};
    struct order_chunk *chunk;

    if (order->chunk_count == 0) {
        chunk = chunk_create(CHUNK_ITEMS_MIN);
        if (!chunk)
            return false;
        if (!chunk_insert(order, 0, chunk)) {
            free(chunk);
            return false;
        }
    } else {
        at = place_of(order, names, names->name(names->context, item));
    }
    if (order->chunks[at.chunk]->count == order->chunks[at.chunk]->capacity && !chunk_make_room(order, &at))
        return false;
    chunk = order->chunks[at.chunk];
    memmove(chunk->items + at.index + 1, chunk->items + at.index, (chunk->count - at.index) * sizeof chunk->items[0]);
    chunk->items[at.index] = item;
    chunk->count++;
    return true;
}

void order_remove(struct order *order, const struct order_names *names, uint32_t item)
{
    struct order_cursor at = order_after(order, names, names->name(names->context, item));
    struct order_chunk *chunk;

    /* The cursor is behind the item: either in its chunk, or at the start of the next. */
    if (at.index == 0) {
        CORE_INVARIANT(at.chunk > 0);
        at.chunk--;
        at.index = order->chunks[at.chunk]->count;
    }
    at.index--;
    chunk = order->chunks[at.chunk];
    CORE_INVARIANT(chunk->items[at.index] == item);
    chunk->count--;
    memmove(chunk->items + at.index, chunk->items + at.index + 1, (chunk->count - at.index) * sizeof chunk->items[0]);
    if (chunk->count == 0) {
        free(chunk);
        order->chunk_count--;
        memmove(order->chunks + at.chunk, order->chunks + at.chunk + 1, (size_t)(order->chunk_count - at.chunk) * POINTER_BYTES);
    }
}
