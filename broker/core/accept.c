#include "accept.h"

#include "broker/core/clock.h"
#include "broker/core/pending.h"
#include "broker/core/publish_answer.h"
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
           (attempt->topic ? 0 : delta_bytes_max(DELTA_TOPIC));
}

/* Takes back what provide_state made; of several attempts the last one first. */
static void withdraw_state(const struct attempt *attempt)
{
    if (attempt->sequence_is_new)
        sequence_destroy(attempt->core, attempt->sequence_index);
    if (attempt->topic_is_new)
        topic_undo(attempt->core, attempt->topic_index, attempt->topic_hash);
}

/* Topic and sequence, made when they are new. What was made is taken back when something is missing. */
static bool provide_state(struct attempt *attempt)
{
    struct core *core = attempt->core;

    attempt->topic_is_new = !attempt->topic;
    attempt->sequence_is_new = false;
    if (attempt->topic_is_new) {
        attempt->topic =
            topic_create(core, attempt->batch->topic, attempt->topic_hash, attempt->prepared->evidence, &attempt->topic_index);
        if (!attempt->topic)
            return false;
    }
    if (!attempt->producer)
        return true; /* the core's own: nobody's sequence */
    if (!attempt->sequence) {
        attempt->sequence = sequence_create(core, attempt->producer->index, attempt->topic_index, &attempt->sequence_index);
        attempt->sequence_is_new = attempt->sequence != NULL;
    }
    if (attempt->sequence && sequence_reserve(attempt->sequence))
        return true;
    withdraw_state(attempt);
    return false;
}

/* Everything that memory is needed for. */
static bool provide(struct attempt *attempt)
{
    struct slab *slab = &attempt->core->output.slab;

    attempt->append = slab_take(slab, sizeof *attempt->append);
    attempt->topic_delta = attempt->topic ? NULL : slab_take(slab, delta_bytes_max(DELTA_TOPIC));
    return attempt->append && (attempt->topic || attempt->topic_delta) && provide_state(attempt);
}

static void create_topic(const struct attempt *attempt)
{
    struct core *core = attempt->core;
    struct core_effect *effect = output_effect(&core->output, EFFECT_DELTA);
    struct delta delta = {
        .kind = DELTA_TOPIC,
        .topic = {.topic_id = attempt->topic_index + 1, .evidence = attempt->topic->evidence, .name = topic_name(attempt->topic)},
    };

    effect->ticket = ++core->last_ticket;
    effect->bytes = bytes_of(attempt->topic_delta, delta_write(attempt->topic_delta, &delta));
    effect->joined = attempt->joined;
}

static void write_leaf(const struct attempt *attempt)
{
    struct core_append *append = attempt->append;
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
static void place(const struct attempt *attempt)
{
    struct core_append *append = attempt->append;
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

static void remember(const struct attempt *attempt)
{
    struct core *core = attempt->core;
    const struct core_append *append = attempt->append;
    const struct connection *answered = attempt->part ? NULL : attempt->connection;
    struct pending pending = {.ticket = core->last_ticket,
                              .kind = attempt->producer ? PENDING_APPEND : PENDING_OWN,
                              .connection = answered ? answered->number : 0,
                              .connection_index = answered ? answered->index : 0,
                              .request_id = attempt->request_id,
                              .position = append->position,
                              .base_offset = append->base_offset,
                              .append_time_ns = append->append_time_ns,
                              .subject = attempt->producer ? attempt->sequence_index : attempt->topic_index,
                              .record_count = append->fields.record_count,
                              .frame_bytes = answered ? attempt->frame_bytes : 0,
                              .log_bytes = (uint32_t)accept_log_bytes(attempt) + LOG_OVERHEAD +
                                           (attempt->topic_is_new ? (uint32_t)delta_bytes_max(DELTA_TOPIC) : 0),
                              .memory_bytes = (uint32_t)accept_memory_bytes(attempt) + PENDING_OVERHEAD,
                              .batch_bytes = (uint32_t)attempt->batch->encoded.size,
                              .first = append->base_offset == 0,
                              .part = attempt->part};

    if (attempt->producer) {
        sequence_add(attempt->sequence,
                     &(struct sequence_result){append->position, append->base_offset, append->fields.record_count});
        attempt->sequence->pending++;
        attempt->producer->pending++;
    }
    pending_add(core, &pending);
}

/* Nothing here fails. */
static void accept(struct attempt *attempt)
{
    struct core *core = attempt->core;
    struct core_effect *effect;

    if (attempt->topic_is_new)
        create_topic(attempt);
    place(attempt);
    write_leaf(attempt);
    effect = output_effect(&core->output, EFFECT_APPEND);
    effect->ticket = ++core->last_ticket;
    effect->append = attempt->append;
    effect->prepared = attempt->prepared;
    effect->joined = attempt->joined || attempt->topic_is_new;
    remember(attempt);
    if (CANARY_ACK_BEFORE_COMMIT && attempt->producer && !attempt->part)
        publish_answer_ok(core, attempt->connection, attempt->request_id,
                          &(struct publish_place){.position = attempt->append->position,
                                                  .base_offset = attempt->append->base_offset,
                                                  .append_time_ns = attempt->append->append_time_ns,
                                                  .topic_created = attempt->append->base_offset == 0},
                          1, false);
}

bool accept_batches(struct attempt *attempts, uint32_t count)
{
    struct core *core = attempts->core;
    uint32_t provided = 0;

    if (!pending_reserve(core, count) || !output_reserve(&core->output, 2 * (size_t)count))
        return false;
    while (provided < count && provide(&attempts[provided]))
        provided++;
    if (provided < count) {
        while (provided > 0)
            withdraw_state(&attempts[--provided]);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        accept(&attempts[i]);
    return true;
}

bool accept_own(struct core *core, struct core_prepared *prepared, bool joined)
{
    struct attempt attempt = {.core = core, .prepared = prepared, .batch = &prepared->batch, .joined = joined};

    attempt.topic = topic_find(core, prepared->batch.topic, &attempt.topic_hash, &attempt.topic_index);
    if (core->capacity.full || !pending_log_has_room(core, accept_log_bytes(&attempt)) ||
        !pending_has_room(core, accept_memory_bytes(&attempt)))
        return false;
    return accept_batches(&attempt, 1);
}
