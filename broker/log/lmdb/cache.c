#include "broker/log/lmdb/cache.h"

#include <stdlib.h>

enum { NONE = -1, BUCKETS_PER_STRETCH = 2 };
#define NUMBER_NONE UINT64_MAX

struct stretch {
    uint64_t first_block, number; /* of the segment, within it */
    int32_t newer, older;         /* in the order of use; NONE at the ends */
    int32_t next;                 /* in its bucket */
    bool ahead;                   /* read ahead, and not used yet */
    bool glance;                  /* only looked at */
};

/* All links are indexes into the array, which is full once so many stretches have been used. */
struct cache {
    struct segments *segments;
    pthread_mutex_t lock; /* all that follows */
    struct stretch *stretches;
    int32_t count, capacity;
    int32_t newest, oldest;
    int32_t *buckets;
    uint64_t bucket_count;
};

truc_status cache_create(uint64_t bytes, struct segments *segments, struct cache **ret_cache)
{
    struct cache *cache = calloc(1, sizeof *cache);
    uint64_t capacity = bytes / CACHE_STRETCH_BYTES;
    capacity = capacity < 2 ? 2 : capacity < INT32_MAX ? capacity : INT32_MAX;
    if (cache == NULL) {
        return TRUC_NO_MEMORY;
    }
    cache->segments = segments;
    cache->capacity = (int32_t)capacity;
    cache->bucket_count = capacity * BUCKETS_PER_STRETCH;
    cache->newest = cache->oldest = NONE;
    pthread_mutex_init(&cache->lock, NULL);
    cache->stretches = calloc(capacity, sizeof *cache->stretches);
    cache->buckets = malloc(cache->bucket_count * sizeof *cache->buckets);
    if (cache->stretches == NULL || cache->buckets == NULL) {
        cache_destroy(cache);
        return TRUC_NO_MEMORY;
    }
    for (uint64_t i = 0; i < cache->bucket_count; i++) {
        cache->buckets[i] = NONE;
    }
    *ret_cache = cache;
    return TRUC_OK;
}

void cache_destroy(struct cache *cache)
{
    if (cache == NULL) {
        return;
    }
    free(cache->stretches);
    free(cache->buckets);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static int32_t *bucket_of(const struct cache *cache, uint64_t first_block, uint64_t number)
{
    return &cache->buckets[((first_block + number) * UINT64_C(0x9E3779B97F4A7C15) >> 20) % cache->bucket_count];
}

static int32_t find(const struct cache *cache, uint64_t first_block, uint64_t number)
{
    int32_t at = *bucket_of(cache, first_block, number);
    while (at != NONE && (cache->stretches[at].first_block != first_block || cache->stretches[at].number != number)) {
        at = cache->stretches[at].next;
    }
    return at;
}

static void unlink_bucket(struct cache *cache, int32_t at)
{
    int32_t *link = bucket_of(cache, cache->stretches[at].first_block, cache->stretches[at].number);
    while (*link != at) {
        link = &cache->stretches[*link].next;
    }
    *link = cache->stretches[at].next;
}

static void unlink_order(struct cache *cache, int32_t at)
{
    struct stretch *stretch = &cache->stretches[at];
    *(stretch->newer == NONE ? &cache->newest : &cache->stretches[stretch->newer].older) = stretch->older;
    *(stretch->older == NONE ? &cache->oldest : &cache->stretches[stretch->older].newer) = stretch->newer;
}

static void link_newest(struct cache *cache, int32_t at)
{
    struct stretch *stretch = &cache->stretches[at];
    stretch->newer = NONE;
    stretch->older = cache->newest;
    *(cache->newest == NONE ? &cache->oldest : &cache->stretches[cache->newest].newer) = at;
    cache->newest = at;
}

static void link_oldest(struct cache *cache, int32_t at)
{
    struct stretch *stretch = &cache->stretches[at];
    stretch->older = NONE;
    stretch->newer = cache->oldest;
    *(cache->oldest == NONE ? &cache->newest : &cache->stretches[cache->oldest].older) = at;
    cache->oldest = at;
}

/* Puts a new stretch into its bucket, not yet into the order. The oldest has to go for it when all are in use: *ret_evicted. */
static int32_t add(struct cache *cache, uint64_t first_block, uint64_t number, struct stretch *ret_evicted)
{
    int32_t at = cache->count;
    if (cache->count < cache->capacity) {
        cache->count++;
    } else {
        at = cache->oldest;
        *ret_evicted = cache->stretches[at];
        unlink_bucket(cache, at);
        unlink_order(cache, at);
    }
    int32_t *bucket = bucket_of(cache, first_block, number);
    cache->stretches[at] = (struct stretch){.first_block = first_block, .number = number, .next = *bucket};
    *bucket = at;
    return at;
}

/* Takes a stretch out of the order, adding it when it was cold. The caller links it again. *ret_evicted: as with add, else its
 * number is NUMBER_NONE. */
static int32_t take(struct cache *cache, uint64_t first_block, uint64_t number, bool *ret_cold, struct stretch *ret_evicted)
{
    int32_t at = find(cache, first_block, number);
    *ret_cold = at == NONE;
    ret_evicted->number = NUMBER_NONE;
    if (at == NONE) {
        return add(cache, first_block, number, ret_evicted);
    }
    unlink_order(cache, at);
    return at;
}

/* Gives a stretch back that was evicted, if one was. */
static void cool(struct cache *cache, const struct stretch *evicted)
{
    if (evicted->number != NUMBER_NONE) {
        segments_cool(cache->segments, evicted->first_block, evicted->number * CACHE_STRETCH_BYTES,
                      (evicted->number + 1) * CACHE_STRETCH_BYTES);
    }
}

static void warm(const struct segment *segment, uint64_t number)
{
    segment_warm(segment, number * CACHE_STRETCH_BYTES, (number + 1) * CACHE_STRETCH_BYTES);
}

void cache_written(struct cache *cache, const struct segment *segment, uint64_t begin, uint64_t end)
{
    for (uint64_t number = begin / CACHE_STRETCH_BYTES; number * CACHE_STRETCH_BYTES < end; number++) {
        struct stretch evicted;
        bool cold;
        pthread_mutex_lock(&cache->lock);
        link_newest(cache, take(cache, segment->first_block, number, &cold, &evicted));
        pthread_mutex_unlock(&cache->lock);
        cool(cache, &evicted);
    }
}

/* Reads a stretch ahead unless it is there already. */
static void read_ahead(struct cache *cache, const struct segment *segment, uint64_t number)
{
    struct stretch evicted = {.number = NUMBER_NONE};
    if (number * CACHE_STRETCH_BYTES >= segment_used(segment)) {
        return;
    }
    pthread_mutex_lock(&cache->lock);
    bool cold = find(cache, segment->first_block, number) == NONE;
    if (cold) {
        int32_t at = add(cache, segment->first_block, number, &evicted);
        cache->stretches[at].ahead = true;
        link_newest(cache, at);
    }
    pthread_mutex_unlock(&cache->lock);
    cool(cache, &evicted);
    if (cold) {
        warm(segment, number);
    }
}

/* Who begins a segment, or comes from the stretch before, is taken to go on. Others have looked at one place: the stretch is the
 * next to go, so that looking here and there does not drive out what is used. */
static void read_stretch(struct cache *cache, const struct segment *segment, uint64_t number)
{
    struct stretch evicted;
    bool cold;
    pthread_mutex_lock(&cache->lock);
    bool follows = number == 0 || find(cache, segment->first_block, number - 1) != NONE;
    int32_t at = take(cache, segment->first_block, number, &cold, &evicted);
    struct stretch *stretch = &cache->stretches[at];
    bool goes_on = stretch->ahead || ((cold || stretch->glance) && follows);
    stretch->glance = (cold || stretch->glance) && !goes_on;
    stretch->ahead = false;
    if (stretch->glance) {
        link_oldest(cache, at);
    } else {
        link_newest(cache, at);
    }
    pthread_mutex_unlock(&cache->lock);
    cool(cache, &evicted);
    if (goes_on && cold) {
        warm(segment, number);
    }
    if (goes_on) {
        read_ahead(cache, segment, number + 1);
    }
}

void cache_read(struct cache *cache, const struct segment *segment, uint64_t begin, uint64_t end)
{
    if (begin > end || end > segment_used(segment)) {
        return; /* a damaged page tells such places */
    }
    for (uint64_t number = begin / CACHE_STRETCH_BYTES; number * CACHE_STRETCH_BYTES < end; number++) {
        read_stretch(cache, segment, number);
    }
}
