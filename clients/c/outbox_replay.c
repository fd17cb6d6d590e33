#include "clients/c/outbox_replay.h"

#include <stdlib.h>

enum { FIRST_TOPICS = 64, FIRST_RECORDS = 16 };

void outbox_replay_init(struct outbox_replay *replay)
{
    *replay = (struct outbox_replay){0};
    replay->last = &replay->topics;
}

void outbox_replay_fini(struct outbox_replay *replay)
{
    while (replay->topics != NULL) {
        struct open_topic *next = replay->topics->next;

        free(replay->topics->records);
        free(replay->topics);
        replay->topics = next;
    }
    free(replay->table);
    outbox_replay_init(replay);
}

static size_t slot_of(struct bytes name, size_t capacity)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ name.data[i]) * 16777619u;
    return hash & (capacity - 1);
}

static bool grow(struct outbox_replay *replay)
{
    size_t capacity = replay->capacity == 0 ? FIRST_TOPICS : replay->capacity * 2;
    struct open_topic **table = calloc(capacity, sizeof(struct open_topic *));

    if (table == NULL)
        return false;
    for (struct open_topic *topic = replay->topics; topic != NULL; topic = topic->next) {
        struct open_topic **slot = &table[slot_of(bytes_of(topic->name, topic->name_size), capacity)];

        topic->hash_next = *slot;
        *slot = topic;
    }
    free(replay->table);
    replay->table = table;
    replay->capacity = capacity;
    return true;
}

static struct open_topic *find(struct outbox_replay *replay, const struct outbox_item *item)
{
    struct open_topic *topic = replay->capacity == 0 ? NULL : replay->table[slot_of(item->topic, replay->capacity)];
    struct open_topic **slot;

    while (topic != NULL && !bytes_equal(bytes_of(topic->name, topic->name_size), item->topic))
        topic = topic->hash_next;
    if (topic != NULL)
        return topic;
    if (replay->count >= replay->capacity && !grow(replay))
        return NULL;
    topic = calloc(1, sizeof *topic);
    if (topic == NULL)
        return NULL;
    memcpy(topic->name, item->topic.data, item->topic.size);
    topic->name_size = (uint8_t)item->topic.size;
    slot = &replay->table[slot_of(item->topic, replay->capacity)];
    topic->hash_next = *slot;
    *slot = topic;
    *replay->last = topic;
    replay->last = &topic->next;
    replay->count++;
    return topic;
}

static truc_status add_record(struct open_topic *topic, const struct outbox_item *item)
{
    if (topic->begin + topic->count == topic->capacity) {
        size_t capacity = topic->capacity == 0 ? FIRST_RECORDS : topic->capacity * 2;
        struct open_record *records;

        if (topic->begin >= topic->count && topic->begin > 0) { /* half of it is past: use that */
            memmove(topic->records, topic->records + topic->begin, topic->count * sizeof *topic->records);
            topic->begin = 0;
        } else {
            records = realloc(topic->records, capacity * sizeof *records);
            if (records == NULL)
                return TRUC_NO_MEMORY;
            topic->records = records;
            topic->capacity = capacity;
        }
    }
    topic->records[topic->begin + topic->count++] = (struct open_record){item->body, item->how};
    return TRUC_OK;
}

void open_topic_drop(struct open_topic *topic, uint64_t next_sequence)
{
    uint64_t past = next_sequence > topic->first_sequence ? next_sequence - topic->first_sequence : 0;

    if (past > topic->count) {
        topic->first_sequence = next_sequence;
        topic->begin = topic->count = 0;
        return;
    }
    topic->first_sequence += past;
    topic->begin += (size_t)past;
    topic->count -= (size_t)past;
}

/* `count` records from a sequence on are no more; those behind them move down. */
static truc_status drop_refused(struct open_topic *topic, uint64_t sequence, uint32_t count)
{
    size_t at, here;
    struct open_record *records = topic->records + topic->begin;

    if (sequence < topic->first_sequence) {
        /* They stood in a segment that is deleted. */
        if (sequence + count > topic->first_sequence)
            return TRUC_DAMAGED;
        topic->first_sequence -= count;
        return TRUC_OK;
    }
    if (sequence - topic->first_sequence > topic->count)
        return TRUC_DAMAGED;
    at = (size_t)(sequence - topic->first_sequence);
    here = topic->count - at;
    if (count > here)
        return TRUC_DAMAGED;
    memmove(records + at, records + at + count, (here - count) * sizeof *records);
    topic->count -= count;
    return TRUC_OK;
}

truc_status outbox_replay_add(struct outbox_replay *replay, const struct outbox_item *item)
{
    struct open_topic *topic = item->topic.size == 0 ? NULL : find(replay, item);

    if (topic == NULL)
        return item->topic.size == 0 ? TRUC_DAMAGED : TRUC_NO_MEMORY;
    switch (item->kind) {
    case OUTBOX_RECORD:
    case OUTBOX_RECORD_AS:
        if (!topic->begun && item->sequence > topic->first_sequence)
            topic->first_sequence = item->sequence;
        topic->begun = true;
        if (item->sequence != topic->first_sequence + topic->count)
            return TRUC_DAMAGED;
        return add_record(topic, item);
    case OUTBOX_ACKED:
        open_topic_drop(topic, item->sequence);
        return TRUC_OK;
    case OUTBOX_REFUSED:
        if (item->body.size != 4)
            return TRUC_DAMAGED;
        if (!topic->begun) {
            open_topic_drop(topic, item->sequence);
            return TRUC_OK;
        }
        return drop_refused(topic, item->sequence, load_u32(item->body.data));
    }
    return TRUC_DAMAGED;
}
