/* pool.h: many objects of one size, named by small numbers. Layer: core. One owner, one thread.
 *
 * Objects live in chunks that never move, so both the number and the pointer stay good until the object is given back; memory is
 * returned to the system only by pool_fini. The number given back last is taken first. A free object is zero but for its first
 * 8 bytes, which link it to the next one. */
#ifndef TRUC_CORE_POOL_H
#define TRUC_CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool {
    uint8_t **chunks; /* owned */
    uint32_t chunk_count, chunk_capacity;
    uint32_t item_size, chunk_shift; /* a chunk holds 1 << chunk_shift objects */
    uint32_t touched;                /* numbers below it were in use at some time */
    uint32_t free_first;             /* number + 1 of the one given back last; 0: none. The next one's is in the free object */
    uint32_t used;
};

/* item_size: a multiple of 8. */
void pool_init(struct pool *pool, size_t item_size, uint32_t chunk_shift);
void pool_fini(struct pool *pool);

/* The next `more` objects taken need no memory. False when out of memory; the objects in use are untouched. */
bool pool_reserve(struct pool *pool, size_t more);

/* A zeroed object; NULL when out of memory. */
void *pool_take(struct pool *pool, uint32_t *ret_index);
void pool_give(struct pool *pool, uint32_t index);

static inline void *pool_at(const struct pool *pool, uint32_t index)
{
    return pool->chunks[index >> pool->chunk_shift] + (size_t)(index & ((1u << pool->chunk_shift) - 1)) * pool->item_size;
}

#endif
