/* slab.h: memory that is taken piece by piece and given back all at once. Layer: core. One owner, one thread.
 * Pieces are 8-aligned and never move. Two uses: what the effects of one step borrow, and names that live as long as the core. */
#ifndef TRUC_CORE_SLAB_H
#define TRUC_CORE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab_chunk;

struct slab {
    struct slab_chunk *first, *current; /* owned list */
    size_t chunk_bytes;
    size_t kept_bytes; /* slab_reset keeps chunks up to about so much */
};

void slab_init(struct slab *slab, size_t chunk_bytes, size_t kept_bytes);
void slab_fini(struct slab *slab);

/* Uninitialised memory; NULL when out of memory. */
void *slab_take(struct slab *slab, size_t size);

/* Everything taken is gone. */
void slab_reset(struct slab *slab);

#endif
