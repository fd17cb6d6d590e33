/* core_test_restore.c: the rows that the durable part of the fake log adds up to. Slow and simple on purpose. */
#include "core_test_kit.h"

static struct bytes delta_topic_of(const struct kit *kit, uint32_t topic_id)
{
    for (size_t i = 0; i < kit->durable_count; i++) {
        struct reader deltas = reader_over(bytes_of(kit->log[i].delta, kit->log[i].delta_size));
        struct delta delta;
        truc_status status = TRUC_OK;

        while (delta_next(&deltas, &delta, &status)) {
            if (delta.kind == DELTA_TOPIC && delta.topic.topic_id == topic_id)
                return delta.topic.name;
        }
    }
    return bytes_of(NULL, 0);
}

static void restore_topic(struct kit *kit, const struct delta_topic *topic)
{
    struct topic_row row = {.topic_id = topic->topic_id, .evidence = topic->evidence, .name = topic->name};

    for (size_t i = 0; i < kit->durable_count; i++) {
        const struct kit_entry *entry = &kit->log[i];

        if (entry->record_count == 0 || entry->topic_id != topic->topic_id)
            continue;
        if (row.entry_count++ == 0) {
            row.first_position = entry->position;
            row.created_ns = entry->append_time_ns;
        }
        row.next_offset = entry->base_offset + entry->record_count;
        row.last_position = entry->position;
        row.last_append_ns = entry->append_time_ns;
        row.bytes += entry->batch_bytes;
        memcpy(row.last_leaf_hash, entry->leaf_hash, DIGEST_BYTES);
    }
    assert_int_equal(core_restore_topic(kit->core, &row), TRUC_OK);
}

static void restore_sequence(struct kit *kit, uint64_t producer_id, uint32_t topic_id)
{
    struct sequence_row row = {.producer_id = producer_id, .topic_id = topic_id};

    for (size_t i = 0; i < kit->durable_count; i++) {
        const struct kit_entry *entry = &kit->log[i];

        if (entry->record_count == 0 || entry->topic_id != topic_id || entry->producer_id != producer_id)
            continue;
        assert_int_equal(entry->first_sequence, row.next_sequence);
        row.next_sequence += entry->record_count;
        if (row.result_count == BATCHES_IN_FLIGHT_MAX)
            memmove(row.results, row.results + 1, (BATCHES_IN_FLIGHT_MAX - 1) * sizeof row.results[0]);
        else
            row.result_count++;
        row.results[row.result_count - 1] = (struct batch_result){entry->position, entry->base_offset, entry->record_count};
    }
    if (row.next_sequence > 0)
        assert_int_equal(core_restore_sequence(kit->core, &row), TRUC_OK);
}

/* The last delta about a producer; false when it has ended. */
static bool producer_stands(const struct kit *kit, uint64_t id, struct producer_row *ret_row)
{
    bool stands = false;

    for (size_t i = 0; i < kit->durable_count; i++) {
        struct reader deltas = reader_over(bytes_of(kit->log[i].delta, kit->log[i].delta_size));
        struct delta delta;
        truc_status status = TRUC_OK;

        while (delta_next(&deltas, &delta, &status)) {
            if (delta.kind == DELTA_PRODUCER && delta.producer.producer_id == id) {
                *ret_row = (struct producer_row){id, delta.producer.epoch, delta.producer.named, delta.producer.scope,
                                                 delta.producer.name};
                stands = true;
            } else if (delta.kind == DELTA_PRODUCER_END && delta.producer_end == id) {
                stands = false;
            }
        }
    }
    return stands;
}

static void restore_recalls(struct kit *kit)
{
    for (size_t i = 0; i < kit->durable_count; i++) {
        struct reader deltas = reader_over(bytes_of(kit->log[i].delta, kit->log[i].delta_size));
        struct delta delta;
        truc_status status = TRUC_OK;

        while (delta_next(&deltas, &delta, &status)) {
            if (delta.kind == DELTA_RECALL)
                assert_int_equal(core_restore_recall(kit->core, &delta.recall), TRUC_OK);
        }
    }
}

void kit_restore(struct kit *kit)
{
    uint32_t topics = 0;
    uint64_t producers = 0;
    struct producer_row row;

    for (size_t i = 0; i < kit->durable_count; i++) {
        struct reader deltas = reader_over(bytes_of(kit->log[i].delta, kit->log[i].delta_size));
        struct delta delta;
        truc_status status = TRUC_OK;

        while (delta_next(&deltas, &delta, &status)) {
            if (delta.kind == DELTA_TOPIC) {
                restore_topic(kit, &delta.topic);
                topics = delta.topic.topic_id > topics ? delta.topic.topic_id : topics;
            } else if (delta.kind == DELTA_PRODUCER && delta.producer.producer_id > producers) {
                producers = delta.producer.producer_id;
            }
        }
        assert_int_equal(status, TRUC_OK);
    }
    for (uint64_t id = 1; id <= producers; id++) {
        if (!producer_stands(kit, id, &row))
            continue;
        assert_int_equal(core_restore_producer(kit->core, &row), TRUC_OK);
        for (uint32_t topic_id = 1; topic_id <= topics; topic_id++)
            restore_sequence(kit, id, topic_id);
    }
    for (uint32_t topic_id = 1; topic_id <= topics; topic_id++)
        assert_true(delta_topic_of(kit, topic_id).size > 0);
    restore_recalls(kit);
}
