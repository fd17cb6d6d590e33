#include "broker/log/cut_cache.h"

#include <pthread.h>
#include <stdlib.h>

struct cut_cache {
    pthread_mutex_t lock; /* what follows */
    size_t count, bytes;
    uint64_t turn;
    /* Apart, so that looking for a position reads few lines of memory. */
    uint64_t positions[CUT_CACHE_TREES_MAX], used[CUT_CACHE_TREES_MAX];
    struct cut_tree *trees[CUT_CACHE_TREES_MAX];
};

struct cut_cache *cut_cache_create(void)
{
    struct cut_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL) {
        pthread_mutex_init(&cache->lock, NULL);
    }
    return cache;
}

void cut_cache_destroy(struct cut_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < cache->count; i++) {
        cut_tree_unref(cache->trees[i]);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Where the tree of a position is; count: nowhere. */
static size_t find(const struct cut_cache *cache, uint64_t position)
{
    size_t at = 0;
    while (at < cache->count && cache->positions[at] != position) {
        at++;
    }
    return at;
}

static void evict_oldest(struct cut_cache *cache)
{
    size_t oldest = 0, last = --cache->count;
    for (size_t i = 1; i <= last; i++) {
        oldest = cache->used[i] < cache->used[oldest] ? i : oldest;
    }
    cache->bytes -= cut_tree_bytes(cache->trees[oldest]);
    cut_tree_unref(cache->trees[oldest]);
    cache->positions[oldest] = cache->positions[last];
    cache->used[oldest] = cache->used[last];
    cache->trees[oldest] = cache->trees[last];
}

struct cut_tree *cut_cache_get(struct cut_cache *cache, uint64_t position)
{
    struct cut_tree *tree = NULL;
    pthread_mutex_lock(&cache->lock);
    size_t at = find(cache, position);
    if (at < cache->count) {
        cache->used[at] = ++cache->turn;
        tree = cache->trees[at];
        cut_tree_ref(tree);
    }
    pthread_mutex_unlock(&cache->lock);
    return tree;
}

void cut_cache_put(struct cut_cache *cache, uint64_t position, struct cut_tree *tree)
{
    size_t bytes = cut_tree_bytes(tree);
    if (bytes > CUT_CACHE_BYTES_MAX) {
        return;
    }
    pthread_mutex_lock(&cache->lock);
    if (find(cache, position) == cache->count) {
        while (cache->count == CUT_CACHE_TREES_MAX || cache->bytes + bytes > CUT_CACHE_BYTES_MAX) {
            evict_oldest(cache);
        }
        cut_tree_ref(tree);
        cache->positions[cache->count] = position;
        cache->used[cache->count] = ++cache->turn;
        cache->trees[cache->count++] = tree;
        cache->bytes += bytes;
    }
    pthread_mutex_unlock(&cache->lock);
}
