#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "invariant.h"

void pool_init(struct pool *pool, size_t item_size, uint32_t chunk_shift)
{
    CORE_INVARIANT(item_size % 8 == 0 && item_size >= 8 && item_size < UINT32_MAX);
    *pool = (struct pool){.item_size = (uint32_t)item_size, .chunk_shift = chunk_shift};
}

void pool_fini(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->chunk_count; i++)
        free(pool->chunks[i]);
    free(pool->chunks);
    pool->chunks = NULL;
    pool->chunk_count = pool->chunk_capacity = pool->touched = pool->free_first = pool->used = 0;
}

static bool add_chunk(struct pool *pool)
{
    uint8_t *chunk;

    if (pool->chunk_count == pool->chunk_capacity) {
        uint32_t capacity = pool->chunk_capacity ? pool->chunk_capacity * 2 : 8;
        uint8_t **chunks = realloc(pool->chunks, capacity * sizeof *chunks);

        if (!chunks)
            return false;
        pool->chunks = chunks;
        pool->chunk_capacity = capacity;
    }
    chunk = malloc((size_t)pool->item_size << pool->chunk_shift);
    if (!chunk)
        return false;
    pool->chunks[pool->chunk_count++] = chunk;
    return true;
}

bool pool_reserve(struct pool *pool, size_t more)
{
    while (((size_t)pool->chunk_count << pool->chunk_shift) - pool->used < more) {
        if (!add_chunk(pool))
            return false;
    }
    return true;
}

void *pool_take(struct pool *pool, uint32_t *ret_index)
{
    uint32_t index;
    uint8_t *item;

    if (pool->free_first != 0) {
        index = pool->free_first - 1;
        item = pool_at(pool, index);
        memcpy(&pool->free_first, item, sizeof pool->free_first);
    } else {
        if (pool->touched >> pool->chunk_shift == pool->chunk_count && !add_chunk(pool))
            return NULL;
        index = pool->touched++;
        item = pool_at(pool, index);
    }
    memset(item, 0, pool->item_size);
    pool->used++;
    *ret_index = index;
    return item;
}

void pool_give(struct pool *pool, uint32_t index)
{
    uint8_t *item = pool_at(pool, index);

    CORE_INVARIANT(pool->used > 0 && index < pool->touched);
    memset(item, 0, pool->item_size);
    memcpy(item, &pool->free_first, sizeof pool->free_first);
    pool->free_first = index + 1;
    pool->used--;
}
