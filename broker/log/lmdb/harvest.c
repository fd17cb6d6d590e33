#include "broker/log/lmdb/harvest.h"

#include <stdlib.h>

struct harvest_entry {
    uint32_t topic_id, record_count, batch_bytes;
    bool sound; /* producer and sequence can be trusted */
    uint64_t producer_id, first_sequence, position, block, base_offset;
    int64_t append_time_ns;
    uint8_t leaf_hash[DIGEST_BYTES];
};

struct harvest_end {
    bool subscription; /* else a producer */
    uint64_t id;
};

void harvest_fini(struct harvest *harvest)
{
    free(harvest->entries);
    free(harvest->ended);
    last_words_fini(&harvest->words);
    digest_context_destroy(harvest->digests);
}

void harvest_begin(struct harvest *harvest, struct derived *derived, MDB_txn *txn, const struct derived_mark *mark)
{
    harvest->derived = derived;
    harvest->txn = txn;
    harvest->mark = *mark;
    harvest->count = 0;
    harvest->ended_count = 0;
    harvest->delta_count = 0;
    last_words_clear(&harvest->words);
}

/* Makes an array hold `more` elements more. */
static truc_status grow(void **array, size_t *capacity, size_t count, size_t more, size_t size)
{
    if (*capacity - count >= more) {
        return TRUC_OK;
    }
    size_t wanted = count + more > 2 * *capacity ? count + more : 2 * *capacity;
    void *grown = realloc(*array, wanted * size);
    if (grown == NULL) {
        return TRUC_NO_MEMORY;
    }
    *array = grown;
    *capacity = wanted;
    return TRUC_OK;
}

static truc_status take_topic(struct harvest *harvest, const struct delta_topic *topic, int64_t now_ns, char *why)
{
    struct topic_row row;
    truc_status status = derived_get_topic(harvest->derived, harvest->txn, topic->topic_id, &row);
    if (status != TRUC_NOT_FOUND) {
        return status == TRUC_OK ? TRUC_DAMAGED : status; /* a topic comes once */
    }
    row = (struct topic_row){.topic_id = topic->topic_id, .evidence = topic->evidence, .name = topic->name, .created_ns = now_ns};
    return derived_put_topic(harvest->derived, harvest->txn, &row, why);
}

static truc_status take_end(struct harvest *harvest, bool subscription, uint64_t id)
{
    truc_status status = grow((void **)&harvest->ended, &harvest->ended_capacity, harvest->ended_count, 1, sizeof *harvest->ended);
    if (status == TRUC_OK) {
        harvest->ended[harvest->ended_count++] = (struct harvest_end){subscription, id};
    }
    return status;
}

static truc_status take_delta(struct harvest *harvest, const struct delta *delta, int64_t now_ns, char *why)
{
    switch (delta->kind) {
    case DELTA_TOPIC:
        return take_topic(harvest, &delta->topic, now_ns, why);
    case DELTA_PRODUCER: {
        struct producer_row row = {.producer_id = delta->producer.producer_id,
                                   .epoch = delta->producer.epoch,
                                   .named = delta->producer.named,
                                   .scope = delta->producer.scope,
                                   .name = delta->producer.name};
        if (row.producer_id > harvest->mark.last_producer_id) {
            harvest->mark.last_producer_id = row.producer_id;
        }
        return derived_put_producer(harvest->derived, harvest->txn, &row, why);
    }
    case DELTA_PRODUCER_END:
        return take_end(harvest, false, delta->producer_end);
    case DELTA_SUBSCRIPTION:
        if (delta->subscription.subscription_id > harvest->mark.last_subscription_id) {
            harvest->mark.last_subscription_id = delta->subscription.subscription_id;
        }
        return derived_put_subscription(harvest->derived, harvest->txn, &delta->subscription, why);
    case DELTA_SUBSCRIPTION_END:
        return take_end(harvest, true, delta->subscription_end);
    case DELTA_CURSOR:
    case DELTA_LANE:
        return last_words_take(&harvest->words, delta);
    case DELTA_RECALL:
        return derived_put_recall(harvest->derived, harvest->txn, &delta->recall, why);
    case DELTA_LOG:
    case DELTA_CLOCK:
        break;
    }
    return TRUC_OK;
}

static truc_status take_deltas(struct harvest *harvest, const struct block_view *view, char *why)
{
    struct reader deltas = reader_over(view->deltas);
    struct delta delta;
    truc_status status = block_deltas_check(view);
    while (status == TRUC_OK && delta_next(&deltas, &delta, &status)) {
        status = take_delta(harvest, &delta, view->append_time_ns, why);
    }
    harvest->delta_count += view->delta_count;
    return status;
}

/* Takes an entry. One that is damaged keeps its place and offsets, which the table says; its producer's is not known. */
static void take_entry(struct harvest *harvest, const struct block_view *view, uint32_t index)
{
    struct block_row row = block_row_at(view, index);
    struct harvest_entry *taken = &harvest->entries[harvest->count++];
    *taken = (struct harvest_entry){.topic_id = row.topic_id,
                                    .record_count = row.record_count,
                                    .position = view->first_position + index,
                                    .block = view->block,
                                    .base_offset = row.base_offset,
                                    .append_time_ns = row.append_time_ns};
    struct entry_view entry;
    struct leaf leaf;
    struct batch_view batch;
    const char *why;
    if (block_entry_peek(view, index, &entry) != TRUC_OK) {
        return;
    }
    taken->batch_bytes = (uint32_t)entry.batch.size;
    digest_leaf(harvest->digests, entry.leaf, taken->leaf_hash);
    taken->sound = leaf_parse(entry.leaf, &leaf) == TRUC_OK && batch_parse(entry.batch, &batch, &why) == TRUC_OK &&
                   leaf.position == taken->position && leaf.base_offset == row.base_offset &&
                   leaf.record_count == row.record_count && batch.record_count == row.record_count &&
                   batch.producer_id == entry.fields.producer_id && batch.first_sequence == entry.fields.first_sequence;
    taken->producer_id = entry.fields.producer_id;
    taken->first_sequence = entry.fields.first_sequence;
}

truc_status harvest_block(struct harvest *harvest, const struct block_view *view, char *why)
{
    struct derived_mark *mark = &harvest->mark;
    truc_status status = TRUC_OK;
    if (harvest->digests == NULL) {
        harvest->digests = digest_context_create();
        status = harvest->digests == NULL ? TRUC_NO_MEMORY : TRUC_OK;
    }
    if (status == TRUC_OK) {
        status = grow((void **)&harvest->entries, &harvest->capacity, harvest->count, view->entry_count, sizeof *harvest->entries);
    }
    if (status != TRUC_OK) {
        return status;
    }
    bool follows = view->block == mark->block && view->first_position == mark->position &&
                   (mark->block == 0 || memcmp(view->previous_chain, mark->chain, DIGEST_BYTES) == 0);
    status = follows ? block_table_check(view) : TRUC_DAMAGED;
    if (status == TRUC_OK) {
        status = take_deltas(harvest, view, why);
    }
    if (status != TRUC_OK) {
        if (status == TRUC_DAMAGED) {
            log_why(why, "block %llu: table or deltas fail their checksum, or do not follow the block before",
                    (unsigned long long)view->block);
        }
        return status;
    }
    for (uint32_t i = 0; i < view->entry_count; i++) {
        take_entry(harvest, view, i);
        const struct harvest_entry *taken = &harvest->entries[harvest->count - 1];
        mark->record_count += taken->record_count;
        mark->last_append_ns = taken->append_time_ns;
        mark->first_append_ns = mark->first_append_ns == 0 ? taken->append_time_ns : mark->first_append_ns;
    }
    mark->block++;
    mark->position += view->entry_count;
    mark->bytes += view->encoded.size;
    memcpy(mark->chain, view->chain, DIGEST_BYTES);
    return TRUC_OK;
}

static int by_topic(const void *a, const void *b)
{
    const struct harvest_entry *left = a, *right = b;
    if (left->topic_id != right->topic_id) {
        return left->topic_id < right->topic_id ? -1 : 1;
    }
    return left->position < right->position ? -1 : left->position > right->position;
}

static int by_producer(const void *a, const void *b)
{
    const struct harvest_entry *left = a, *right = b;
    if (left->producer_id != right->producer_id) {
        return left->producer_id < right->producer_id ? -1 : 1;
    }
    return by_topic(a, b);
}

/* Entries of one topic, which stand together: their postings, and what they add to its row. */
static truc_status write_topic(struct harvest *harvest, struct chunk_writer *writer, const struct harvest_entry *entries,
                               size_t count, char *why)
{
    struct topic_row row;
    uint32_t topic_id = entries[0].topic_id;
    truc_status status = derived_get_topic(harvest->derived, harvest->txn, topic_id, &row);
    if (status != TRUC_OK) {
        log_why(why, "block %llu: an entry of topic %u, which was never created", (unsigned long long)entries[0].block, topic_id);
        return status == TRUC_NOT_FOUND ? TRUC_DAMAGED : status;
    }
    uint8_t name[TOPIC_BYTES_MAX]; /* what was got is gone once something is put */
    memcpy(name, row.name.data, row.name.size);
    row.name.data = name;
    const struct harvest_entry *first = &entries[0], *last = &entries[count - 1];
    uint64_t previous = row.entry_count > 0 ? row.last_position : NO_POSITION;
    if (row.entry_count == 0) {
        row.first_position = first->position;
        row.created_ns = first->append_time_ns;
    }
    for (size_t i = 0; status == TRUC_OK && i < count; i++) {
        struct posting posting = {
            .position = entries[i].position, .block = entries[i].block, .base_offset = entries[i].base_offset};
        status = chunk_add(writer, topic_id, previous, &posting, why);
        previous = posting.position;
        row.bytes += entries[i].batch_bytes;
    }
    row.next_offset = last->base_offset + last->record_count;
    row.last_position = last->position;
    row.last_append_ns = last->append_time_ns;
    row.entry_count += count;
    memcpy(row.last_leaf_hash, last->leaf_hash, DIGEST_BYTES);
    return status == TRUC_OK ? derived_put_topic(harvest->derived, harvest->txn, &row, why) : status;
}

static truc_status write_topics(struct harvest *harvest, char *why)
{
    struct run run = {.id = harvest->mark.next_run++,
                      .tier = 0,
                      .state = RUN_LIVE,
                      .first_position = harvest->mark.position - harvest->count,
                      .end_position = harvest->mark.position};
    struct chunk_writer writer = {.derived = harvest->derived, .txn = harvest->txn, .run = &run};
    truc_status status = run_put(harvest->derived, harvest->txn, &run, why);
    qsort(harvest->entries, harvest->count, sizeof *harvest->entries, by_topic);
    for (size_t at = 0, end; status == TRUC_OK && at < harvest->count; at = end) {
        for (end = at + 1; end < harvest->count && harvest->entries[end].topic_id == harvest->entries[at].topic_id;) {
            end++;
        }
        status = write_topic(harvest, &writer, &harvest->entries[at], end - at, why);
    }
    return status == TRUC_OK ? chunk_flush(&writer, why) : status;
}

/* Entries of one producer and topic: its next sequence and last results. */
static truc_status write_sequence(struct harvest *harvest, const struct harvest_entry *entries, size_t count, char *why)
{
    struct sequence_row row;
    truc_status status = derived_get_sequence(harvest->derived, harvest->txn, entries[0].producer_id, entries[0].topic_id, &row);
    if (status == TRUC_NOT_FOUND) {
        row = (struct sequence_row){.producer_id = entries[0].producer_id, .topic_id = entries[0].topic_id};
    } else if (status != TRUC_OK) {
        return status;
    }
    for (size_t i = count > BATCHES_IN_FLIGHT_MAX ? count - BATCHES_IN_FLIGHT_MAX : 0; i < count; i++) {
        if (row.result_count == BATCHES_IN_FLIGHT_MAX) {
            memmove(row.results, row.results + 1, (BATCHES_IN_FLIGHT_MAX - 1) * sizeof *row.results);
            row.result_count--;
        }
        row.results[row.result_count++] =
            (struct batch_result){entries[i].position, entries[i].base_offset, entries[i].record_count};
        row.next_sequence = entries[i].first_sequence + entries[i].record_count;
    }
    return derived_put_sequence(harvest->derived, harvest->txn, &row, why);
}

static truc_status write_sequences(struct harvest *harvest, char *why)
{
    truc_status status = TRUC_OK;
    struct harvest_entry *entries = harvest->entries;
    size_t count = 0;
    for (size_t i = 0; i < harvest->count; i++) { /* what is not sound, or nobody's, stays out */
        if (entries[i].sound && entries[i].producer_id != 0) {
            entries[count++] = entries[i];
        }
    }
    qsort(entries, count, sizeof *entries, by_producer);
    for (size_t at = 0, end; status == TRUC_OK && at < count; at = end) {
        for (end = at + 1;
             end < count && entries[end].producer_id == entries[at].producer_id && entries[end].topic_id == entries[at].topic_id;) {
            end++;
        }
        status = write_sequence(harvest, &entries[at], end - at, why);
    }
    return status;
}

truc_status harvest_write(struct harvest *harvest, char *why)
{
    truc_status status = TRUC_OK;
    if (harvest->count > 0) {
        status = write_topics(harvest, why);
        status = status == TRUC_OK ? write_sequences(harvest, why) : status;
    }
    if (status == TRUC_OK) {
        status = last_words_write(&harvest->words, harvest->derived, harvest->txn, why);
    }
    for (size_t i = 0; status == TRUC_OK && i < harvest->ended_count; i++) {
        const struct harvest_end *end = &harvest->ended[i];
        status = end->subscription ? derived_end_subscription(harvest->derived, harvest->txn, (uint32_t)end->id, why)
                                   : derived_end_producer(harvest->derived, harvest->txn, end->id, why);
    }
    return status == TRUC_OK ? derived_put_mark(harvest->derived, harvest->txn, &harvest->mark, why) : status;
}
