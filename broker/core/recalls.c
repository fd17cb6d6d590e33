#include "recalls.h"

#include <stdlib.h>

#include "invariant.h"

enum { CHUNK_RECALLS = 64, NAMES_CHUNK_BYTES = 4096 };

struct entry {
    uint64_t offset, position;
    uint32_t topic, agency;
};
_Static_assert(sizeof(struct entry) == 24, "what a recall costs");

struct recalls_chunk {
    struct recalls_chunk *next; /* in the list of spare ones */
    uint32_t count;
    struct entry entries[CHUNK_RECALLS];
};

void recalls_init(struct recalls *recalls)
{
    *recalls = (struct recalls){0};
    slab_init(&recalls->names, NAMES_CHUNK_BYTES, 0);
}

void recalls_fini(struct recalls *recalls)
{
    for (uint32_t i = 0; i < recalls->chunk_count; i++)
        free(recalls->chunks[i]);
    while (recalls->spare) {
        struct recalls_chunk *next = recalls->spare->next;

        free(recalls->spare);
        recalls->spare = next;
    }
    free(recalls->chunks);
    free(recalls->agencies);
    table_fini(&recalls->agencies_by_name);
    slab_fini(&recalls->names);
    recalls_init(recalls);
}

/* --- agencies -------------------------------------------------------------------------------------------------------------------
 */

static bool reserve_agency(struct recalls *recalls)
{
    uint32_t capacity = recalls->agency_capacity == 0 ? 16 : recalls->agency_capacity * 2;
    struct bytes *grown;

    if (!table_reserve(&recalls->agencies_by_name, 1))
        return false;
    if (recalls->agency_count < recalls->agency_capacity)
        return true;
    grown = realloc(recalls->agencies, capacity * sizeof *grown);
    if (!grown)
        return false;
    recalls->agencies = grown;
    recalls->agency_capacity = capacity;
    return true;
}

bool recalls_agency(struct recalls *recalls, struct bytes agency, uint64_t hash, uint32_t *ret_agency)
{
    uint8_t *text;

    for (struct table_probe probe = table_probe(&recalls->agencies_by_name, hash);
         table_next(&recalls->agencies_by_name, &probe, ret_agency);) {
        if (bytes_equal(recalls->agencies[*ret_agency], agency))
            return true;
    }
    if (!reserve_agency(recalls))
        return false;
    text = slab_take(&recalls->names, agency.size + 1);
    if (!text)
        return false;
    if (agency.size > 0)
        memcpy(text, agency.data, agency.size);
    text[agency.size] = '\0';
    *ret_agency = recalls->agency_count++;
    recalls->agencies[*ret_agency] = bytes_of(text, agency.size);
    table_add(&recalls->agencies_by_name, hash, *ret_agency);
    return true;
}

/* --- the list -------------------------------------------------------------------------------------------------------------------
 */

static bool reserve_pointers(struct recalls *recalls, uint32_t more)
{
    uint32_t needed = recalls->chunk_count + more, capacity = recalls->chunk_capacity;
    struct recalls_chunk **grown;

    if (needed <= capacity)
        return true;
    capacity = capacity * 2 > needed ? capacity * 2 : needed;
    grown = realloc(recalls->chunks, capacity * sizeof(struct recalls_chunk *));
    if (!grown)
        return false;
    recalls->chunks = grown;
    recalls->chunk_capacity = capacity;
    return true;
}

/* Each one added divides at most one chunk. */
bool recalls_reserve(struct recalls *recalls, uint32_t more)
{
    if (!reserve_pointers(recalls, more))
        return false;
    while (recalls->spare_count < more) {
        struct recalls_chunk *chunk = malloc(sizeof *chunk);

        if (!chunk)
            return false;
        chunk->next = recalls->spare;
        recalls->spare = chunk;
        recalls->spare_count++;
    }
    return true;
}

static bool is_before(const struct entry *a, const struct entry *b)
{
    if (a->topic != b->topic)
        return a->topic < b->topic;
    if (a->offset != b->offset)
        return a->offset < b->offset;
    return a->agency < b->agency;
}

/* Where an entry stands, or would: before the first one that is not before it. In the last chunk that begins before it, perhaps
 * behind its end. */
static struct recalls_cursor find(const struct recalls *recalls, const struct entry *entry)
{
    uint32_t low = 0, high = recalls->chunk_count;
    const struct recalls_chunk *chunk;
    struct recalls_cursor at = {0};

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (is_before(&recalls->chunks[middle]->entries[0], entry))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return at;
    at.chunk = low - 1;
    chunk = recalls->chunks[at.chunk];
    low = 1;
    high = chunk->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (is_before(&chunk->entries[middle], entry))
            low = middle + 1;
        else
            high = middle;
    }
    at.index = low;
    return at;
}

/* The entry at a cursor, which moves on over the end of its chunk; NULL at the very end. */
static const struct entry *entry_at(const struct recalls *recalls, struct recalls_cursor *cursor)
{
    if (cursor->chunk < recalls->chunk_count && cursor->index == recalls->chunks[cursor->chunk]->count)
        *cursor = (struct recalls_cursor){cursor->chunk + 1, 0};
    return cursor->chunk < recalls->chunk_count ? &recalls->chunks[cursor->chunk]->entries[cursor->index] : NULL;
}

static struct recalls_chunk *insert_chunk(struct recalls *recalls, uint32_t at)
{
    struct recalls_chunk *chunk = recalls->spare;

    CORE_INVARIANT(chunk && recalls->chunk_count < recalls->chunk_capacity);
    recalls->spare = chunk->next;
    recalls->spare_count--;
    memmove(recalls->chunks + at + 1, recalls->chunks + at, (recalls->chunk_count - at) * sizeof(struct recalls_chunk *));
    recalls->chunks[at] = chunk;
    recalls->chunk_count++;
    chunk->next = NULL;
    chunk->count = 0;
    return chunk;
}

/* Makes room in the full chunk of a place. The last one is left full when it grows at its end, as rows come in order when they are
 * restored; any other is halved, so that no order of adding makes many small ones. */
static struct recalls_cursor divide(struct recalls *recalls, struct recalls_cursor at)
{
    bool grows = at.index == CHUNK_RECALLS && at.chunk + 1 == recalls->chunk_count;
    struct recalls_chunk *left = recalls->chunks[at.chunk], *right = insert_chunk(recalls, at.chunk + 1);
    uint32_t kept = grows ? CHUNK_RECALLS : CHUNK_RECALLS / 2;

    right->count = CHUNK_RECALLS - kept;
    memcpy(right->entries, left->entries + kept, right->count * sizeof right->entries[0]);
    left->count = kept;
    return at.index < kept ? at : (struct recalls_cursor){at.chunk + 1, at.index - kept};
}

bool recalls_has(const struct recalls *recalls, uint32_t topic, uint64_t offset, uint32_t agency)
{
    const struct entry wanted = {.topic = topic, .offset = offset, .agency = agency};
    struct recalls_cursor at = find(recalls, &wanted);
    const struct entry *found = entry_at(recalls, &at);

    return found && !is_before(&wanted, found);
}

bool recalls_add(struct recalls *recalls, uint32_t topic, uint64_t offset, uint32_t agency, uint64_t position)
{
    const struct entry entry = {.topic = topic, .offset = offset, .agency = agency, .position = position};
    struct recalls_cursor at = find(recalls, &entry);
    struct recalls_chunk *chunk;

    if (recalls_has(recalls, topic, offset, agency))
        return false;
    if (recalls->chunk_count == 0)
        (void)insert_chunk(recalls, 0);
    if (recalls->chunks[at.chunk]->count == CHUNK_RECALLS)
        at = divide(recalls, at);
    chunk = recalls->chunks[at.chunk];
    memmove(chunk->entries + at.index + 1, chunk->entries + at.index, (chunk->count - at.index) * sizeof entry);
    chunk->entries[at.index] = entry;
    chunk->count++;
    recalls->count++;
    return true;
}

struct recalls_cursor recalls_from(const struct recalls *recalls, uint32_t topic, uint64_t offset)
{
    return find(recalls, &(struct entry){.topic = topic, .offset = offset});
}

bool recalls_next(const struct recalls *recalls, struct recalls_cursor *cursor, struct recall *ret_recall)
{
    const struct entry *entry = entry_at(recalls, cursor);

    if (!entry)
        return false;
    cursor->index++;
    *ret_recall = (struct recall){
        .topic = entry->topic, .offset = entry->offset, .position = entry->position, .agency = recalls->agencies[entry->agency]};
    return true;
}
