#include "broker/log/topics.h"

#include <stdlib.h>
#include <xxhash.h>

#include "proto/topic.h"

enum { TOPICS_CHUNK = 1024, NAMES_CHUNK_BYTES = 64 * 1024, BUCKETS_FIRST = 256 };

struct topic_slot {
    const uint8_t *name;
    uint8_t name_size, evidence;
    uint64_t next_offset;
    uint64_t checked_offset; /* next_offset after the draft being checked; the log thread's alone */
    uint64_t first_position, last_position;
    int64_t created_ns, last_append_ns;
    uint64_t bytes, entry_count;
    uint8_t last_leaf_hash[DIGEST_BYTES];
};

struct topic_names {
    struct topic_names *next;
    size_t used;
    uint8_t bytes[NAMES_CHUNK_BYTES];
};

truc_status topics_init(struct topics *topics)
{
    *topics = (struct topics){.bucket_count = BUCKETS_FIRST};
    topics->buckets = calloc(BUCKETS_FIRST, sizeof *topics->buckets);
    if (topics->buckets == NULL) {
        return TRUC_NO_MEMORY;
    }
    pthread_rwlock_init(&topics->lock, NULL);
    return TRUC_OK;
}

void topics_fini(struct topics *topics)
{
    if (topics->buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < topics->chunk_count; i++) {
        free(topics->chunks[i]);
    }
    free(topics->chunks);
    free(topics->buckets);
    for (struct topic_names *names = topics->names, *next; names != NULL; names = next) {
        next = names->next;
        free(names);
    }
    pthread_rwlock_destroy(&topics->lock);
}

static struct topic_slot *slot_of(const struct topics *topics, uint32_t topic_id)
{
    uint32_t index = topic_id - 1;
    return &topics->chunks[index / TOPICS_CHUNK][index % TOPICS_CHUNK];
}

/* The bucket that holds a name's id, or the free one where it belongs. */
static size_t bucket_of(const struct topics *topics, const uint32_t *buckets, size_t bucket_count, struct bytes name)
{
    size_t at = (size_t)XXH3_64bits(name.data, name.size) & (bucket_count - 1);
    while (buckets[at] != 0) {
        const struct topic_slot *slot = slot_of(topics, buckets[at]);
        if (bytes_equal(bytes_of(slot->name, slot->name_size), name)) {
            break;
        }
        at = (at + 1) & (bucket_count - 1);
    }
    return at;
}

static uint32_t find_id(const struct topics *topics, struct bytes name)
{
    return topics->buckets[bucket_of(topics, topics->buckets, topics->bucket_count, name)];
}

/* Makes room for one topic more in table and chunks. */
static truc_status grow(struct topics *topics)
{
    if ((size_t)topics->count + 1 > topics->bucket_count / 3 * 2) {
        size_t bucket_count = topics->bucket_count * 2;
        uint32_t *buckets = calloc(bucket_count, sizeof *buckets);
        if (buckets == NULL) {
            return TRUC_NO_MEMORY;
        }
        for (uint32_t id = 1; id <= topics->count; id++) {
            const struct topic_slot *slot = slot_of(topics, id);
            buckets[bucket_of(topics, buckets, bucket_count, bytes_of(slot->name, slot->name_size))] = id;
        }
        free(topics->buckets);
        topics->buckets = buckets;
        topics->bucket_count = bucket_count;
    }
    if (topics->count == topics->chunk_count * TOPICS_CHUNK) {
        struct topic_slot **chunks = realloc(topics->chunks, (topics->chunk_count + 1) * sizeof(struct topic_slot *));
        if (chunks == NULL) {
            return TRUC_NO_MEMORY;
        }
        topics->chunks = chunks;
        chunks[topics->chunk_count] = calloc(TOPICS_CHUNK, sizeof(struct topic_slot));
        if (chunks[topics->chunk_count] == NULL) {
            return TRUC_NO_MEMORY;
        }
        topics->chunk_count++;
    }
    return TRUC_OK;
}

static const uint8_t *keep_name(struct topics *topics, struct bytes name)
{
    struct topic_names *names = topics->names;
    if (names == NULL || NAMES_CHUNK_BYTES - names->used < name.size) {
        names = malloc(sizeof *names);
        if (names == NULL) {
            return NULL;
        }
        names->next = topics->names;
        names->used = 0;
        topics->names = names;
    }
    uint8_t *kept = names->bytes + names->used;
    memcpy(kept, name.data, name.size);
    names->used += name.size;
    return kept;
}

static truc_status add_locked(struct topics *topics, const struct topic_row *row)
{
    if (row->topic_id != topics->count + 1 || row->name.size == 0 || row->name.size > TOPIC_BYTES_MAX ||
        find_id(topics, row->name) != 0) {
        return TRUC_DAMAGED;
    }
    truc_status status = grow(topics);
    if (status != TRUC_OK) {
        return status;
    }
    const uint8_t *name = keep_name(topics, row->name);
    if (name == NULL) {
        return TRUC_NO_MEMORY;
    }
    topics->count++;
    struct topic_slot *slot = slot_of(topics, row->topic_id);
    *slot = (struct topic_slot){
        .name = name,
        .name_size = (uint8_t)row->name.size,
        .evidence = row->evidence,
        .next_offset = row->next_offset,
        .checked_offset = row->next_offset,
        .first_position = row->first_position,
        .last_position = row->last_position,
        .created_ns = row->created_ns,
        .last_append_ns = row->last_append_ns,
        .bytes = row->bytes,
        .entry_count = row->entry_count,
    };
    memcpy(slot->last_leaf_hash, row->last_leaf_hash, DIGEST_BYTES);
    topics->buckets[bucket_of(topics, topics->buckets, topics->bucket_count, row->name)] = row->topic_id;
    return TRUC_OK;
}

truc_status topics_add(struct topics *topics, const struct topic_row *row)
{
    pthread_rwlock_wrlock(&topics->lock);
    truc_status status = add_locked(topics, row);
    pthread_rwlock_unlock(&topics->lock);
    return status;
}

/* Adds the topics that a draft's deltas create. Before the commit: nobody can have asked for them, and a log whose commit fails
 * is finished. */
static truc_status add_new(struct topics *topics, const struct log_draft *draft)
{
    struct reader deltas = reader_over(draft->deltas);
    struct delta delta;
    truc_status status = TRUC_OK;
    int64_t now_ns = draft->append_count > 0 ? draft->appends[0].append_time_ns : draft->append_time_ns;
    uint32_t count = 0;
    while (delta_next(&deltas, &delta, &status)) {
        count++;
        if (delta.kind != DELTA_TOPIC) {
            continue;
        }
        struct topic_row row = {
            .topic_id = delta.topic.topic_id, .evidence = delta.topic.evidence, .name = delta.topic.name, .created_ns = now_ns};
        status = topics_add(topics, &row);
        if (status != TRUC_OK) {
            break;
        }
    }
    if (status == TRUC_NO_MEMORY) {
        return status;
    }
    return status == TRUC_OK && count == draft->delta_count ? TRUC_OK : TRUC_INVALID_ARGUMENT;
}

truc_status topics_check(struct topics *topics, const struct log_draft *draft)
{
    truc_status status = draft->deltas.size > 0 || draft->delta_count > 0 ? add_new(topics, draft) : TRUC_OK;
    for (size_t i = 0; status == TRUC_OK && i < draft->append_count; i++) {
        const struct log_append *append = &draft->appends[i];
        uint32_t id = append->fields.topic_id;
        if (id == 0 || id > topics->count || slot_of(topics, id)->checked_offset != append->base_offset) {
            return TRUC_INVALID_ARGUMENT;
        }
        slot_of(topics, id)->checked_offset += append->fields.record_count;
    }
    return status;
}

void topics_apply(struct topics *topics, const struct log_draft *draft)
{
    pthread_rwlock_wrlock(&topics->lock);
    for (size_t i = 0; i < draft->append_count; i++) {
        const struct log_append *append = &draft->appends[i];
        struct topic_slot *slot = slot_of(topics, append->fields.topic_id);
        if (slot->entry_count == 0) {
            slot->first_position = append->position;
            slot->created_ns = append->append_time_ns;
        }
        slot->next_offset = append->base_offset + append->fields.record_count;
        slot->last_position = append->position;
        slot->last_append_ns = append->append_time_ns;
        slot->bytes += append->batch.size;
        slot->entry_count++;
        memcpy(slot->last_leaf_hash, append->leaf_hash, DIGEST_BYTES);
    }
    pthread_rwlock_unlock(&topics->lock);
}

static void copy_row(const struct topics *topics, uint32_t topic_id, struct topic_row *ret_row, uint8_t *name_buffer)
{
    const struct topic_slot *slot = slot_of(topics, topic_id);
    *ret_row = (struct topic_row){
        .topic_id = topic_id,
        .evidence = slot->evidence,
        .next_offset = slot->next_offset,
        .first_position = slot->first_position,
        .last_position = slot->last_position,
        .created_ns = slot->created_ns,
        .last_append_ns = slot->last_append_ns,
        .bytes = slot->bytes,
        .entry_count = slot->entry_count,
    };
    memcpy(ret_row->last_leaf_hash, slot->last_leaf_hash, DIGEST_BYTES);
    if (name_buffer != NULL) {
        memcpy(name_buffer, slot->name, slot->name_size);
        ret_row->name = bytes_of(name_buffer, slot->name_size);
    }
}

bool topics_find(struct topics *topics, struct bytes name, struct topic_row *ret_row, uint8_t *name_buffer)
{
    pthread_rwlock_rdlock(&topics->lock);
    uint32_t id = find_id(topics, name);
    if (id != 0) {
        copy_row(topics, id, ret_row, name_buffer);
    }
    pthread_rwlock_unlock(&topics->lock);
    return id != 0;
}

bool topics_get(struct topics *topics, uint32_t topic_id, struct topic_row *ret_row, uint8_t *name_buffer)
{
    pthread_rwlock_rdlock(&topics->lock);
    bool found = topic_id != 0 && topic_id <= topics->count;
    if (found) {
        copy_row(topics, topic_id, ret_row, name_buffer);
    }
    pthread_rwlock_unlock(&topics->lock);
    return found;
}

uint32_t topics_count(struct topics *topics)
{
    pthread_rwlock_rdlock(&topics->lock);
    uint32_t count = topics->count;
    pthread_rwlock_unlock(&topics->lock);
    return count;
}

uint32_t topics_match(struct topics *topics, struct bytes pattern, uint32_t first_id, uint32_t max, uint64_t *bitmap,
                      void (*found)(void *context, uint32_t topic_id), void *context)
{
    uint32_t looked = 0;
    pthread_rwlock_rdlock(&topics->lock);
    for (uint32_t id = first_id; looked < max && id <= topics->count; id++, looked++) {
        const struct topic_slot *slot = slot_of(topics, id);
        if (pattern_match(pattern, bytes_of(slot->name, slot->name_size))) {
            bitmap[id / 64] |= (uint64_t)1 << (id % 64);
            found(context, id);
        }
    }
    pthread_rwlock_unlock(&topics->lock);
    return looked;
}
