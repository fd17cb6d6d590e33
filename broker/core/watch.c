#include "watch.h"

#include <stdlib.h>

#include "broker/core/reader.h"
#include "broker/core/topic_state.h"

enum { MISS_BYTES_MAX = 8 * 1024 * 1024, MISS_WORD_BITS = 64, COMMITTED_MIN = 256 };

static struct watch *find(const struct core *core, struct bytes pattern, uint64_t hash)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&core->watches_by_pattern, hash);
         table_next(&core->watches_by_pattern, &probe, &index);) {
        struct watch *watch = pool_at(&core->watches, index);

        if (bytes_equal(bytes_of(watch->pattern, watch->pattern_size), pattern))
            return watch;
    }
    return NULL;
}

struct watch *watch_find_exact(const struct core *core, struct bytes topic)
{
    return core->watches.used == 0 ? NULL : find(core, topic, core_hash(core, topic));
}

/* What is known of earlier entries: of an exact topic everything, of a pattern nothing. */
static void know_the_past(struct core *core, struct watch *watch)
{
    uint64_t visible = core_visible_position(core), hash;
    struct topic *topic;
    uint32_t index;

    if (!watch->exact) {
        watch->any_match = visible > 0;
        watch->last_match = visible > 0 ? visible - 1 : 0;
        return;
    }
    topic = topic_find(core, bytes_of(watch->pattern, watch->pattern_size), &hash, &index);
    if (!topic)
        return;
    topic->watch = watch;
    watch->any_match = topic_is_visible(topic);
    watch->last_match = topic->last_position;
}

static struct watch *create(struct core *core, struct bytes pattern, uint64_t hash)
{
    uint8_t *text;
    struct watch *watch;
    uint32_t index;

    if (!table_reserve(&core->watches_by_pattern, 1))
        return NULL;
    text = malloc(pattern.size);
    if (!text)
        return NULL;
    watch = pool_take(&core->watches, &index);
    if (!watch) {
        free(text);
        return NULL;
    }
    memcpy(text, pattern.data, pattern.size);
    watch->pattern = text;
    watch->pattern_size = (uint8_t)pattern.size;
    watch->hash = hash;
    watch->index = index;
    watch->exact = pattern_is_exact(pattern);
    table_add(&core->watches_by_pattern, hash, index);
    if (!watch->exact) {
        watch->next = core->pattern_watches;
        if (watch->next)
            watch->next->previous = watch;
        core->pattern_watches = watch;
    }
    know_the_past(core, watch);
    return watch;
}

static void destroy(struct core *core, struct watch *watch)
{
    uint64_t hash;
    uint32_t index;

    if (watch->exact) {
        struct topic *topic = topic_find(core, bytes_of(watch->pattern, watch->pattern_size), &hash, &index);

        if (topic)
            topic->watch = NULL;
    } else {
        if (watch->previous)
            watch->previous->next = watch->next;
        else
            core->pattern_watches = watch->next;
        if (watch->next)
            watch->next->previous = watch->previous;
    }
    table_remove(&core->watches_by_pattern, watch->hash, watch->index);
    core->miss_bytes -= watch->miss_words * sizeof *watch->misses;
    free(watch->misses);
    free(watch->pattern);
    pool_give(&core->watches, watch->index);
}

bool watch_join(struct core *core, struct core_reader *reader)
{
    struct bytes pattern = reader->spec.pattern;
    uint64_t hash = core_hash(core, pattern);
    struct watch *watch = find(core, pattern, hash);

    if (!watch)
        watch = create(core, pattern, hash);
    if (!watch)
        return false;
    watch->reader_count++;
    reader->watch = watch;
    return true;
}

void watch_leave(struct core *core, struct core_reader *reader)
{
    struct watch *watch = reader->watch;

    if (!watch)
        return;
    if (reader->state == READER_PARKED)
        watch_unpark(reader);
    reader->watch = NULL;
    if (--watch->reader_count == 0)
        destroy(core, watch);
}

void watch_park(struct core_reader *reader)
{
    struct watch *watch = reader->watch;

    reader->state = READER_PARKED;
    reader->parked_previous = NULL;
    reader->parked_next = watch->parked;
    if (watch->parked)
        watch->parked->parked_previous = reader;
    watch->parked = reader;
}

void watch_unpark(struct core_reader *reader)
{
    if (reader->parked_previous)
        reader->parked_previous->parked_next = reader->parked_next;
    else
        reader->watch->parked = reader->parked_next;
    if (reader->parked_next)
        reader->parked_next->parked_previous = reader->parked_previous;
    reader->parked_previous = reader->parked_next = NULL;
    reader->state = READER_STARVED;
}

bool watch_prepare(struct core *core, uint32_t entries)
{
    uint32_t capacity = core->committed_capacity ? core->committed_capacity : COMMITTED_MIN;
    struct committed_topic *committed;

    core->committed_count = 0;
    if (core->watches.used == 0 || core->committed_capacity >= entries)
        return true;
    while (capacity < entries)
        capacity *= 2;
    committed = realloc(core->committed, capacity * sizeof *committed);
    if (!committed)
        return false;
    core->committed = committed;
    core->committed_capacity = capacity;
    return true;
}

/* Remembers that a topic does not match, as long as all such memories together stay small. */
static void remember_miss(struct core *core, struct watch *watch, uint32_t topic)
{
    uint32_t word = topic / MISS_WORD_BITS;

    if (word >= watch->miss_words) {
        uint32_t words = core->topics.touched / MISS_WORD_BITS + 1;
        size_t more;
        uint64_t *misses;

        words += words / 2;
        more = (words - watch->miss_words) * sizeof *misses;
        if (core->miss_bytes + more > MISS_BYTES_MAX)
            return;
        misses = realloc(watch->misses, words * sizeof *misses);
        if (!misses)
            return;
        memset(misses + watch->miss_words, 0, more);
        watch->misses = misses;
        watch->miss_words = words;
        core->miss_bytes += more;
    }
    watch->misses[word] |= UINT64_C(1) << (topic % MISS_WORD_BITS);
}

static bool matches(struct core *core, struct watch *watch, uint32_t topic)
{
    uint32_t word = topic / MISS_WORD_BITS;

    if (word < watch->miss_words && (watch->misses[word] >> (topic % MISS_WORD_BITS) & 1) != 0)
        return false;
    if (pattern_match(bytes_of(watch->pattern, watch->pattern_size), topic_name(core_topic(core, topic))))
        return true;
    remember_miss(core, watch, topic);
    return false;
}

/* Entries from first to last may match: parked readers go on at the first. Nothing between where they parked and there matched. */
static void wake(struct core *core, struct watch *watch, uint64_t first, uint64_t last)
{
    struct core_reader *next;

    watch->any_match = true;
    watch->last_match = last;
    for (struct core_reader *reader = watch->parked; reader; reader = next) {
        next = reader->parked_next;
        watch_unpark(reader);
        if (reader->position < first)
            reader->position = first;
        reader_advance(core, reader);
    }
}

/* Without notes of the commit: everything may match. The readers find out by reading. */
static void wake_all(struct core *core)
{
    uint64_t visible = core_visible_position(core);
    uint32_t index;

    if (visible == 0)
        return;
    for (struct watch *watch = core->pattern_watches; watch; watch = watch->next)
        wake(core, watch, 0, visible - 1);
    for (index = 0; index < core->topics.touched; index++) {
        struct topic *topic = core_topic(core, index);

        if (topic->watch)
            wake(core, topic->watch, 0, visible - 1);
    }
}

static void wake_pattern(struct core *core, struct watch *watch)
{
    uint64_t first = UINT64_MAX, last = 0;

    for (uint32_t i = 0; i < core->committed_count; i++) {
        const struct committed_topic *committed = &core->committed[i];

        if (!matches(core, watch, committed->topic))
            continue;
        first = committed->first < first ? committed->first : first;
        last = committed->last > last ? committed->last : last;
    }
    if (first != UINT64_MAX)
        wake(core, watch, first, last);
}

void watch_wake(struct core *core, bool noted)
{
    struct watch *next;

    if (core->watches.used == 0)
        return;
    if (!noted) {
        wake_all(core);
        return;
    }
    for (uint32_t i = 0; i < core->committed_count; i++) {
        const struct committed_topic *committed = &core->committed[i];
        struct watch *watch = core_topic(core, committed->topic)->watch;

        if (watch)
            wake(core, watch, committed->first, committed->last);
    }
    for (struct watch *watch = core->pattern_watches; watch; watch = next) {
        next = watch->next;
        wake_pattern(core, watch);
    }
}
