#undef NDEBUG /* a test kit that checks nothing in release would be none */
#include <assert.h>
#include <stdlib.h>

#include "clients/c/fake_broker.h"
#include "proto/digest.h"
#include "proto/entry.h"
#include "truc/v1/wire.pb-c.h"

enum { BATCHES_MAX = 64 };

/* One of the batches of a frame. */
struct arrival {
    struct batch_view batch;
    bool duplicate;
    uint64_t position, base_offset;
    bool created;
};

static struct fake_lane *lane_of(struct fake_broker *broker, uint64_t producer_id, struct bytes topic)
{
    struct fake_lane *lane;

    for (size_t i = 0; i < broker->lane_count; i++) {
        if (broker->lanes[i].producer_id == producer_id && bytes_equal(bytes_of_text(broker->lanes[i].topic), topic))
            return &broker->lanes[i];
    }
    assert(broker->lane_count < FAKE_TOPICS_MAX);
    lane = &broker->lanes[broker->lane_count++];
    lane->producer_id = producer_id;
    memcpy(lane->topic, topic.data, topic.size);
    return lane;
}

static struct fake_topic *topic_of(struct fake_broker *broker, struct bytes name)
{
    struct fake_topic *topic;

    for (size_t i = 0; i < broker->topic_count; i++) {
        if (bytes_equal(bytes_of_text(broker->topics[i].name), name))
            return &broker->topics[i];
    }
    assert(broker->topic_count < FAKE_TOPICS_MAX);
    topic = &broker->topics[broker->topic_count++];
    memcpy(topic->name, name.data, name.size);
    return topic;
}

uint64_t fake_broker_next_offset(struct fake_broker *broker, const char *topic)
{
    return topic_of(broker, bytes_of_text(topic))->next_offset;
}

static void store(struct fake_broker *broker, const struct batch_view *batch, uint64_t *ret_position, uint64_t *ret_offset)
{
    struct fake_topic *topic = topic_of(broker, batch->topic);
    struct fake_entry *entry = &broker->entries[broker->entry_count];
    struct leaf leaf = {.evidence = EVIDENCE_RECORD,
                        .record_count = batch->record_count,
                        .position = broker->entry_count,
                        .base_offset = topic->next_offset,
                        .append_time_ns = (int64_t)broker->entry_count + 1,
                        .topic = batch->topic};
    uint8_t encoded[LEAF_BYTES_MAX], *scratch = NULL;
    size_t capacity = 0;
    struct bytes raw;
    struct entry_fields fields = {1, batch->record_count, batch->epoch, batch->producer_id, batch->first_sequence};
    truc_status status;

    assert(broker->entry_count < FAKE_ENTRIES_MAX);
    memcpy(leaf.log_id, broker->log_id, LOG_ID_BYTES);
    status = batch_raw(batch, &scratch, &capacity, &raw);
    assert(status == TRUC_OK);
    status = batch_root(broker->digests, batch, EVIDENCE_RECORD, raw, leaf.records_root);
    assert(status == TRUC_OK);
    (void)status;
    digest_header(broker->digests, batch->header, leaf.header_digest);
    leaf_write(&leaf, encoded);
    entry->size = entry_served_size(leaf_size(batch->topic.size), batch->encoded.size);
    entry->bytes = malloc(entry_size(leaf_size(batch->topic.size), batch->encoded.size, 0));
    assert(entry->bytes != NULL);
    entry_write(entry->bytes, &fields, bytes_of(encoded, leaf_size(batch->topic.size)), batch->encoded, bytes_of(NULL, 0));
    entry->position = broker->entry_count;
    entry->base_offset = topic->next_offset;
    memcpy(entry->topic, batch->topic.data, batch->topic.size);
    free(scratch);
    *ret_position = broker->entry_count++;
    *ret_offset = topic->next_offset;
    topic->next_offset += batch->record_count;
    broker->record_count += batch->record_count;
}

/* Where the batch was stored before; the real broker remembers the last ones only. */
static bool find_stored(const struct fake_broker *broker, struct arrival *arrival)
{
    const struct batch_view *batch = &arrival->batch;

    for (size_t i = 0; i < broker->entry_count; i++) {
        struct reader served = reader_over(bytes_of(broker->entries[i].bytes, broker->entries[i].size));
        struct entry_view view;
        struct leaf leaf;
        truc_status status;

        if (entry_served_next(&served, &view, &status) && view.fields.producer_id == batch->producer_id &&
            view.fields.first_sequence == batch->first_sequence &&
            bytes_equal(bytes_of_text(broker->entries[i].topic), batch->topic) && leaf_parse(view.leaf, &leaf) == TRUC_OK) {
            arrival->position = leaf.position;
            arrival->base_offset = leaf.base_offset;
            return true;
        }
    }
    return false;
}

static truc_status judge_producer(const struct fake_broker *broker, const struct batch_view *batch)
{
    for (size_t i = 0; i < broker->producer_count; i++) {
        const struct fake_producer *producer = &broker->producers[i];

        if (producer->id == batch->producer_id && !producer->gone)
            return producer->epoch != batch->epoch ? TRUC_FENCED : TRUC_OK;
    }
    return TRUC_UNKNOWN_PRODUCER;
}

/* Whether the batch may be stored, or was. */
static truc_status judge(struct fake_broker *broker, struct arrival *arrival, uint64_t *ret_actual)
{
    const struct batch_view *batch = &arrival->batch;
    const struct fake_lane *lane = lane_of(broker, batch->producer_id, batch->topic);
    uint64_t next_offset = topic_of(broker, batch->topic)->next_offset;

    if (batch->first_sequence + batch->record_count <= lane->next_sequence) {
        arrival->duplicate = true;
        return find_stored(broker, arrival) ? TRUC_OK : TRUC_DUPLICATE;
    }
    *ret_actual = lane->next_sequence;
    if (batch->first_sequence != lane->next_sequence)
        return TRUC_OUT_OF_SEQUENCE;
    *ret_actual = next_offset;
    if (batch->conditional && batch->expected_offset != next_offset)
        return TRUC_CONFLICT;
    return broker->judge != NULL ? broker->judge(broker->context, batch) : TRUC_OK;
}

/* Parts the payload as the header says. */
static truc_status take_apart(struct fake_broker *broker, const struct frame *frame, struct arrival *arrivals, size_t *ret_count)
{
    uint8_t memory[4096];
    struct arena arena = {memory, memory + sizeof memory};
    const char *why;
    const Truc__V1__Publish *publish = frame_header_decode(&arena, &truc__v1__publish__descriptor, frame->header, &why);
    struct reader payload = reader_over(frame->payload);
    size_t count;
    truc_status status = TRUC_OK;

    assert(publish != NULL && publish->n_batch_bytes != 1 && publish->n_batch_bytes <= BATCHES_MAX);
    if (frame->payload.size > broker->batch_bytes_max)
        return TRUC_BATCH_TOO_LARGE;
    count = publish->n_batch_bytes == 0 ? 1 : publish->n_batch_bytes;
    for (size_t i = 0; i < count && status == TRUC_OK; i++) {
        size_t size = publish->n_batch_bytes == 0 ? frame->payload.size : publish->batch_bytes[i];

        status = batch_parse(reader_take(&payload, size), &arrivals[i].batch, &why);
        assert(status == TRUC_OK && arrivals[i].batch.producer_id == arrivals[0].batch.producer_id);
        for (size_t j = 0; j < i; j++)
            assert(!bytes_equal(arrivals[i].batch.topic, arrivals[j].batch.topic));
    }
    assert(reader_left(&payload) == 0);
    *ret_count = count;
    return status;
}

static void answer(struct fake_broker *broker, enum fake_deed deed, uint64_t id, const struct arrival *arrivals, size_t count)
{
    Truc__V1__PublishOk ok = TRUC__V1__PUBLISH_OK__INIT;
    Truc__V1__PublishedBatch others[BATCHES_MAX], *pointers[BATCHES_MAX];

    ok.position = arrivals[0].position;
    ok.base_offset = arrivals[0].base_offset;
    ok.duplicate = arrivals[0].duplicate;
    ok.topic_created = arrivals[0].created;
    ok.subscriptions = broker->subscriptions;
    for (size_t i = 1; i < count; i++) {
        truc__v1__published_batch__init(&others[i]);
        others[i].position = arrivals[i].position;
        others[i].base_offset = arrivals[i].base_offset;
        others[i].topic_created = arrivals[i].created;
        others[i].subscriptions = broker->subscriptions + (uint32_t)i;
        pointers[i - 1] = &others[i];
    }
    ok.n_others = count - 1;
    ok.others = pointers;
    fake_broker_answer(broker, deed, FRAME_PUBLISH_OK, id, &ok.base, bytes_of(NULL, 0));
}

void fake_publish(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame)
{
    struct arrival arrivals[BATCHES_MAX] = {0};
    size_t count = 0;
    uint64_t actual = 0;
    truc_status status = take_apart(broker, frame, arrivals, &count);

    broker->publishes++;
    if (status == TRUC_OK)
        status = judge_producer(broker, &arrivals[0].batch);
    if (status == TRUC_OK && deed == FAKE_REFUSE)
        status = broker->refuse_status;
    if (status != TRUC_OK) {
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, status, 0);
        return;
    }
    for (size_t i = 0; i < count && status == TRUC_OK; i++)
        status = judge(broker, &arrivals[i], &actual);
    if (status != TRUC_OK) {
        fake_broker_refuse(broker, deed, frame->request_id, status, actual);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct arrival *arrival = &arrivals[i];

        assert(arrival->duplicate == arrivals[0].duplicate); /* all or none */
        if (arrival->duplicate)
            continue;
        lane_of(broker, arrival->batch.producer_id, arrival->batch.topic)->next_sequence += arrival->batch.record_count;
        store(broker, &arrival->batch, &arrival->position, &arrival->base_offset);
        arrival->created = arrival->base_offset == 0;
    }
    answer(broker, deed, frame->request_id, arrivals, count);
}
