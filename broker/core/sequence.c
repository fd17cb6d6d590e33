#include "sequence.h"

#include <stdlib.h>

static uint64_t key_hash(const struct core *core, uint32_t producer, uint32_t topic)
{
    return table_mix(((uint64_t)producer << 32 | topic) ^ load_u64(core->config.hash_secret));
}

struct sequence *sequence_find(const struct core *core, uint32_t producer, uint32_t topic, uint32_t *ret_index)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&core->sequences_by_key, key_hash(core, producer, topic));
         table_next(&core->sequences_by_key, &probe, &index);) {
        struct sequence *sequence = core_sequence(core, index);

        if (sequence->topic == topic && sequence->producer == producer) {
            *ret_index = index;
            return sequence;
        }
    }
    return NULL;
}

static struct bytes name_of(const void *context, uint32_t index)
{
    const struct core *core = context;

    return topic_name(core_topic(core, core_sequence(core, index)->topic));
}

struct order_names sequence_order_names(const struct core *core)
{
    return (struct order_names){name_of, core};
}

struct sequence *sequence_create(struct core *core, uint32_t producer, uint32_t topic, uint32_t *ret_index)
{
    struct order_names names = sequence_order_names(core);
    struct sequence *sequence;
    uint32_t index;

    if (!table_reserve(&core->sequences_by_key, 1))
        return NULL;
    sequence = pool_take(&core->sequences, &index);
    if (!sequence)
        return NULL;
    sequence->producer = producer;
    sequence->topic = topic;
    if (!order_add(&core_producer(core, producer)->sequences, &names, index)) {
        pool_give(&core->sequences, index);
        return NULL;
    }
    table_add(&core->sequences_by_key, key_hash(core, producer, topic), index);
    *ret_index = index;
    return sequence;
}

void sequence_destroy(struct core *core, uint32_t index)
{
    struct sequence *sequence = core_sequence(core, index);
    struct order_names names = sequence_order_names(core);

    order_remove(&core_producer(core, sequence->producer)->sequences, &names, index);
    table_remove(&core->sequences_by_key, key_hash(core, sequence->producer, sequence->topic), index);
    free(sequence->results);
    pool_give(&core->sequences, index);
}

bool sequence_reserve(struct sequence *sequence)
{
    uint8_t capacity = sequence->capacity;
    struct sequence_result *results;

    if (sequence->count < capacity || capacity == BATCHES_IN_FLIGHT_MAX)
        return true;
    capacity = capacity == 0 ? 2 : (uint8_t)(capacity * 2);
    results = realloc(sequence->results, capacity * sizeof *results); /* start is 0: the ring wraps only at full size */
    if (!results)
        return false;
    sequence->results = results;
    sequence->capacity = capacity;
    return true;
}

static struct sequence_result *result_at(const struct sequence *sequence, unsigned index)
{
    return &sequence->results[(sequence->start + index) % sequence->capacity];
}

void sequence_add(struct sequence *sequence, const struct sequence_result *result)
{
    CORE_INVARIANT(sequence->pending < BATCHES_IN_FLIGHT_MAX);
    if (sequence->count == sequence->capacity) {
        CORE_INVARIANT(sequence->capacity == BATCHES_IN_FLIGHT_MAX);
        sequence->start = (uint8_t)((sequence->start + 1) % sequence->capacity);
        sequence->count--;
    }
    *result_at(sequence, sequence->count) = *result;
    sequence->count++;
    sequence->next += result->record_count;
}

uint64_t sequence_durable_next(const struct sequence *sequence)
{
    uint64_t next = sequence->next;

    for (unsigned i = 0; i < sequence->pending; i++)
        next -= result_at(sequence, sequence->count - 1u - i)->record_count;
    return next;
}

enum sequence_verdict sequence_judge(const struct sequence *sequence, uint64_t first, uint32_t record_count,
                                     struct sequence_result *ret_result, bool *ret_pending)
{
    uint64_t end = sequence ? sequence->next : 0;

    *ret_pending = false;
    if (first == end)
        return SEQUENCE_NEXT;
    if (first > end || record_count > end - first) {
        *ret_pending = sequence && sequence->pending > 0;
        return SEQUENCE_MISPLACED;
    }
    *ret_pending = first + record_count > sequence_durable_next(sequence);
    for (unsigned i = sequence->count; i > 0; i--) {
        const struct sequence_result *result = result_at(sequence, i - 1);

        end -= result->record_count;
        if (end > first)
            continue;
        if (end < first || result->record_count != record_count)
            break; /* other cuts than at the first try */
        *ret_result = *result;
        return SEQUENCE_KNOWN;
    }
    return SEQUENCE_STORED;
}
