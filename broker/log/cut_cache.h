/* cut_cache.h: the trees of entries that were cut of late. Layer: log. Any thread.
 *
 * Records of one entry go to many workers, a few at a time, and digesting the whole entry for each of these parts would be most of
 * the work. Entries never change, so a tree is good as long as it is kept: the least recently used goes first. */
#ifndef TRUC_LOG_CUT_CACHE_H
#define TRUC_LOG_CUT_CACHE_H

#include "proto/cut.h"

enum { CUT_CACHE_TREES_MAX = 512, CUT_CACHE_BYTES_MAX = 32 << 20 };

struct cut_cache;
struct cut_cache *cut_cache_create(void);        /* NULL when out of memory */
void cut_cache_destroy(struct cut_cache *cache); /* NULL is allowed */

/* The tree of the entry at a position, as a reference of the caller's; NULL: not kept. */
struct cut_tree *cut_cache_get(struct cut_cache *cache, uint64_t position);
/* Keeps it (a reference of its own), unless it is larger than all that may be kept. */
void cut_cache_put(struct cut_cache *cache, uint64_t position, struct cut_tree *tree);

#endif
