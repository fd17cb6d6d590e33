#include "accept.h"

#include "broker/core/answer.h"
#include "broker/core/clock.h"
#include "broker/core/pending.h"
#include "broker/core/sequence.h"
#include "broker/core/topic_state.h"
#include "proto/entry.h"

enum { CANARY_REUSE_EVERY = 64 };

uint64_t accept_memory_bytes(const struct attempt *attempt)
{
    return attempt->batch->encoded.size + attempt->prepared->directory.size;
}

uint64_t accept_log_bytes(const struct attempt *attempt)
{
    return entry_size(leaf_size(attempt->batch->topic.size), attempt->batch->encoded.size, attempt->prepared->directory.size) +
           (attempt->topic ? 0 : delta_bytes_max(DELTA_TOPIC)) + attempt->prepared->recall_count * delta_bytes_max(DELTA_RECALL);
}

/* Topic and sequence, made when they are new. What was made is taken back when something is missing. */
static bool provide_state(struct attempt *attempt)
{
    struct core *core = attempt->core;
    bool topic_is_new = !attempt->topic, sequence_is_new = !attempt->sequence;

    if (topic_is_new) {
        attempt->topic =
            topic_create(core, attempt->batch->topic, attempt->topic_hash, attempt->prepared->evidence, &attempt->topic_index);
        if (!attempt->topic)
            return false;
    }
    if (!attempt->producer)
        return true; /* the core's own: nobody's sequence */
    if (sequence_is_new)
        attempt->sequence = sequence_create(core, attempt->producer->index, attempt->topic_index, &attempt->sequence_index);
    if (attempt->sequence && sequence_reserve(attempt->sequence))
        return true;
    if (attempt->sequence && sequence_is_new)
        sequence_destroy(core, attempt->sequence_index);
    if (topic_is_new)
        topic_undo(core, attempt->topic_index, attempt->topic_hash);
    return false;
}

static void create_topic(const struct attempt *attempt, uint8_t *encoded)
{
    struct core *core = attempt->core;
    struct core_effect *effect = output_effect(&core->output, EFFECT_DELTA);
    struct delta delta = {
        .kind = DELTA_TOPIC,
        .topic = {.topic_id = attempt->topic_index + 1, .evidence = attempt->topic->evidence, .name = topic_name(attempt->topic)},
    };

    effect->ticket = ++core->last_ticket;
    effect->bytes = bytes_of(encoded, delta_write(encoded, &delta));
    effect->joined = attempt->joined;
}

/* What noting its recalls takes. *ret_agency: the number of the batch's source among those who recall; *ret_deltas: memory. */
static bool reserve_recalls(struct core *core, const struct core_prepared *prepared, uint32_t *ret_agency, uint8_t **ret_deltas)
{
    struct bytes source = prepared->batch.source;
    uint32_t count = prepared->recall_count;

    if (count == 0)
        return true;
    *ret_deltas = slab_take(&core->output.slab, count * delta_bytes_max(DELTA_RECALL));
    return *ret_deltas && recalls_agency(&core->recalls, source, core_hash(core, source), ret_agency) &&
           recalls_reserve(&core->recalls, count);
}

/* Notes what the entry at this position recalls, and has the log note it in the entry's block. What the agency has recalled before
 * is noted already. Whether there is a delta that the entry must be joined to. */
static bool note_recalls(const struct attempt *attempt, uint64_t position, uint32_t agency, uint8_t *deltas)
{
    struct core *core = attempt->core;
    const struct core_prepared *prepared = attempt->prepared;
    bool joined = attempt->joined, any = false;

    for (uint32_t i = 0; i < prepared->recall_count; i++) {
        const struct delta delta = {.kind = DELTA_RECALL,
                                    .recall = {.topic_id = attempt->topic_index + 1,
                                               .offset = prepared->recalls[i],
                                               .agency = prepared->batch.source,
                                               .recall_position = position}};
        struct core_effect *effect;

        if (!recalls_add(&core->recalls, attempt->topic_index, prepared->recalls[i], agency, position))
            continue;
        effect = output_effect(&core->output, EFFECT_DELTA);
        effect->ticket = ++core->last_ticket;
        effect->bytes = bytes_of(deltas, delta_write(deltas, &delta));
        effect->joined = joined;
        deltas += effect->bytes.size;
        joined = any = true;
    }
    return any;
}

static void write_leaf(const struct attempt *attempt, struct core_append *append)
{
    struct core *core = attempt->core;
    struct topic *topic = attempt->topic;
    struct leaf leaf = {
        .evidence = topic->evidence,
        .record_count = attempt->batch->record_count,
        .position = append->position,
        .base_offset = append->base_offset,
        .append_time_ns = append->append_time_ns,
        .topic = topic_name(topic),
    };

    memcpy(leaf.log_id, core->config.log_id, LOG_ID_BYTES);
    memcpy(leaf.header_digest, attempt->prepared->header_digest, DIGEST_BYTES);
    memcpy(leaf.records_root, attempt->prepared->records_root, DIGEST_BYTES);
    memcpy(leaf.previous, topic->last_leaf_hash, DIGEST_BYTES);
    append->leaf_size = (uint16_t)leaf_size(topic->name_size);
    leaf_write(&leaf, append->leaf);
    digest_leaf(core->digest, bytes_of(append->leaf, append->leaf_size), append->leaf_hash);
    memcpy(topic->last_leaf_hash, append->leaf_hash, DIGEST_BYTES);
}

/* The place of the entry; from here on nothing fails. */
static void place(const struct attempt *attempt, struct core_append *append)
{
    struct core *core = attempt->core;
    const struct batch_view *batch = attempt->batch;
    struct topic *topic = attempt->topic;

    append->fields = (struct entry_fields){.topic_id = attempt->topic_index + 1,
                                           .record_count = batch->record_count,
                                           .epoch = batch->epoch,
                                           .producer_id = batch->producer_id,
                                           .first_sequence = batch->first_sequence};
    append->position = core->next_position++;
    append->base_offset = topic->next_offset;
    append->append_time_ns = clock_next_append(core);
    core->clock.last_append_ns = append->append_time_ns;
    if (CANARY_REUSE_OFFSET && topic->entry_count % CANARY_REUSE_EVERY == CANARY_REUSE_EVERY - 1 &&
        append->base_offset >= batch->record_count)
        append->base_offset -= batch->record_count;
    topic->next_offset = append->base_offset + batch->record_count;
}

static void remember(const struct attempt *attempt, const struct core_append *append, bool topic_is_new)
{
    struct core *core = attempt->core;
    struct pending pending = {.ticket = core->last_ticket,
                              .kind = attempt->producer ? PENDING_APPEND : PENDING_OWN,
                              .connection = attempt->connection ? attempt->connection->number : 0,
                              .connection_index = attempt->connection ? attempt->connection->index : 0,
                              .request_id = attempt->request_id,
                              .position = append->position,
                              .base_offset = append->base_offset,
                              .append_time_ns = append->append_time_ns,
                              .subject = attempt->producer ? attempt->sequence_index : attempt->topic_index,
                              .record_count = append->fields.record_count,
                              .frame_bytes = attempt->frame_bytes,
                              .log_bytes = (uint32_t)accept_log_bytes(attempt) + LOG_OVERHEAD +
                                           (topic_is_new ? (uint32_t)delta_bytes_max(DELTA_TOPIC) : 0),
                              .memory_bytes = (uint32_t)accept_memory_bytes(attempt) + PENDING_OVERHEAD,
                              .batch_bytes = (uint32_t)attempt->batch->encoded.size,
                              .first = append->base_offset == 0};

    if (attempt->producer) {
        sequence_add(attempt->sequence,
                     &(struct sequence_result){append->position, append->base_offset, append->fields.record_count});
        attempt->sequence->pending++;
        attempt->producer->pending++;
    }
    pending_add(core, &pending);
}

bool accept_batch(struct attempt *attempt)
{
    struct core *core = attempt->core;
    bool topic_is_new = !attempt->topic, recalls;
    struct core_append *append = slab_take(&core->output.slab, sizeof *append);
    uint8_t *delta = topic_is_new ? slab_take(&core->output.slab, delta_bytes_max(DELTA_TOPIC)) : NULL;
    uint8_t *recall_deltas = NULL;
    uint32_t agency = 0;
    struct core_effect *effect;

    if (!append || (topic_is_new && !delta) || !pending_reserve(core, 1) ||
        !output_reserve(&core->output, 2 + attempt->prepared->recall_count) ||
        !reserve_recalls(core, attempt->prepared, &agency, &recall_deltas) || !provide_state(attempt))
        return false;
    if (topic_is_new)
        create_topic(attempt, delta);
    place(attempt, append);
    recalls = note_recalls(attempt, append->position, agency, recall_deltas);
    write_leaf(attempt, append);
    effect = output_effect(&core->output, EFFECT_APPEND);
    effect->ticket = ++core->last_ticket;
    effect->append = append;
    effect->prepared = attempt->prepared;
    effect->joined = attempt->joined || topic_is_new || recalls;
    remember(attempt, append, topic_is_new);
    if (CANARY_ACK_BEFORE_COMMIT && attempt->producer)
        answer_publish_ok(core, attempt->connection, attempt->request_id,
                          &(struct publish_place){append->position, append->base_offset, append->append_time_ns, false,
                                                  append->base_offset == 0});
    return true;
}

bool accept_own(struct core *core, struct core_prepared *prepared, bool joined)
{
    struct attempt attempt = {.core = core, .prepared = prepared, .batch = &prepared->batch, .joined = joined};

    attempt.topic = topic_find(core, prepared->batch.topic, &attempt.topic_hash, &attempt.topic_index);
    if (core->capacity.full || !pending_log_has_room(core, accept_log_bytes(&attempt)) ||
        !pending_has_room(core, accept_memory_bytes(&attempt)))
        return false;
    return accept_batch(&attempt);
}
