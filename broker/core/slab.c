#include "slab.h"

#include <stdlib.h>

struct slab_chunk {
    struct slab_chunk *next;
    size_t used, capacity;
    _Alignas(8) uint8_t data[];
};

void slab_init(struct slab *slab, size_t chunk_bytes, size_t kept_bytes)
{
    *slab = (struct slab){.chunk_bytes = chunk_bytes, .kept_bytes = kept_bytes};
}

void slab_fini(struct slab *slab)
{
    for (struct slab_chunk *chunk = slab->first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    slab->first = slab->current = NULL;
}

/* The next chunk with room for size: a kept one, or a new one behind the current. */
static struct slab_chunk *advance(struct slab *slab, size_t size)
{
    struct slab_chunk *chunk = slab->current ? slab->current->next : slab->first;
    size_t capacity = size > slab->chunk_bytes ? size : slab->chunk_bytes;

    if (chunk && chunk->capacity >= size) {
        slab->current = chunk;
        return chunk;
    }
    chunk = malloc(sizeof *chunk + capacity);
    if (!chunk)
        return NULL;
    *chunk = (struct slab_chunk){.capacity = capacity};
    if (slab->current) {
        chunk->next = slab->current->next;
        slab->current->next = chunk;
    } else {
        chunk->next = slab->first;
        slab->first = chunk;
    }
    slab->current = chunk;
    return chunk;
}

void *slab_take(struct slab *slab, size_t size)
{
    struct slab_chunk *chunk = slab->current;
    void *piece;

    size = (size + 7) & ~(size_t)7;
    if (!chunk || chunk->capacity - chunk->used < size) {
        chunk = advance(slab, size);
        if (!chunk)
            return NULL;
    }
    piece = chunk->data + chunk->used;
    chunk->used += size;
    return piece;
}

void slab_reset(struct slab *slab)
{
    struct slab_chunk **link = &slab->first;
    size_t kept = 0;

    while (*link) {
        struct slab_chunk *chunk = *link;

        chunk->used = 0;
        if (kept + chunk->capacity > slab->kept_bytes) {
            *link = chunk->next;
            free(chunk);
        } else {
            kept += chunk->capacity;
            link = &chunk->next;
        }
    }
    slab->current = NULL;
}
