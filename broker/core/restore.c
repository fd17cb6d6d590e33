/* restore.c: the state from the rows of the catalog, then the start. Layer: core. Rows come from the log, which has checked their
 * bytes; what contradicts itself is damage. */
#include "broker/core/clock.h"
#include "broker/core/producer_state.h"
#include "broker/core/sequence.h"
#include "broker/core/subscription.h"
#include "broker/core/topic_state.h"

/* Ids are dense and rows may come in any order: rows below the highest id that have not come yet are empty topics. */
static bool provide_topics(struct core *core, uint32_t count)
{
    uint32_t index;

    while (core->topics.touched < count) {
        if (!pool_take(&core->topics, &index))
            return false;
    }
    return true;
}

truc_status core_restore_topic(void *context, const struct topic_row *row)
{
    struct core *core = context;
    struct order_names names = topic_order_names(core);
    struct topic *topic;
    uint64_t hash;
    uint32_t index;
    uint8_t *text;

    if (core->started || row->topic_id == 0 || topic_check(row->name, NULL) != TRUC_OK ||
        topic_find(core, row->name, &hash, &index))
        return TRUC_DAMAGED;
    if (row->evidence != EVIDENCE_RECORD && row->evidence != EVIDENCE_BATCH)
        return TRUC_DAMAGED;
    text = slab_take(&core->names, row->name.size + 1);
    if (!text || !provide_topics(core, row->topic_id) || !table_reserve(&core->topics_by_name, 1))
        return TRUC_NO_MEMORY;
    index = row->topic_id - 1;
    topic = core_topic(core, index);
    if (topic->name)
        return TRUC_DAMAGED;
    memcpy(text, row->name.data, row->name.size);
    text[row->name.size] = '\0';
    topic->name = text;
    topic->name_size = (uint8_t)row->name.size;
    if (!order_add(&core->topics_in_order, &names, index)) {
        topic->name = NULL;
        return TRUC_NO_MEMORY;
    }
    table_add(&core->topics_by_name, hash, index);
    topic->evidence = row->evidence;
    topic->family = topic_family(core, row->name);
    topic->next_offset = topic->durable_offset = row->next_offset;
    memcpy(topic->last_leaf_hash, row->last_leaf_hash, DIGEST_BYTES);
    topic->first_position = row->first_position;
    topic->last_position = row->last_position;
    topic->bytes = row->bytes;
    topic->entry_count = row->entry_count;
    topic->created_ns = row->created_ns;
    topic->last_append_ns = row->last_append_ns;
    core->durable_topics += topic_is_visible(topic);
    return TRUC_OK;
}

truc_status core_restore_producer(void *context, const struct producer_row *row)
{
    struct core *core = context;

    if (core->started || row->producer_id == 0 || row->epoch == 0 || row->scope.size == 0 || row->scope.size > SOURCE_BYTES_MAX ||
        row->name.size > PRODUCER_NAME_BYTES_MAX || row->named != (row->name.size > 0) || producer_find(core, row->producer_id))
        return TRUC_DAMAGED;
    if (row->named && producer_find_named(core, row->scope, row->name))
        return TRUC_DAMAGED;
    if (!producer_create(core, row->producer_id, row->epoch, row->named, row->scope, row->name))
        return TRUC_NO_MEMORY;
    if (row->producer_id > core->last_producer_id)
        core->last_producer_id = row->producer_id;
    return TRUC_OK;
}

truc_status core_restore_sequence(void *context, const struct sequence_row *row)
{
    struct core *core = context;
    struct producer *producer;
    struct sequence *sequence;
    uint64_t remembered = 0;
    uint32_t index;

    if (CANARY_FORGET_DEDUP)
        return TRUC_OK;
    producer = producer_find(core, row->producer_id);
    if (core->started || !producer || row->topic_id == 0 || row->topic_id > core->topics.touched ||
        !core_topic(core, row->topic_id - 1)->name || row->result_count > BATCHES_IN_FLIGHT_MAX ||
        sequence_find(core, producer->index, row->topic_id - 1, &index))
        return TRUC_DAMAGED;
    for (uint32_t i = 0; i < row->result_count; i++)
        remembered += row->results[i].record_count;
    if (remembered > row->next_sequence)
        return TRUC_DAMAGED;
    sequence = sequence_create(core, producer->index, row->topic_id - 1, &index);
    if (!sequence)
        return TRUC_NO_MEMORY;
    sequence->next = row->next_sequence - remembered;
    for (uint32_t i = 0; i < row->result_count; i++) {
        const struct batch_result *result = &row->results[i];

        if (!sequence_reserve(sequence))
            return TRUC_NO_MEMORY;
        sequence_add(sequence, &(struct sequence_result){result->position, result->base_offset, result->record_count});
    }
    return TRUC_OK;
}

truc_status core_restore_subscription(void *context, const struct subscription_row *row)
{
    struct core *core = context;

    if (core->started || row->subscription_id == 0 || row->subscription_id == UINT32_MAX ||
        (row->subscription_id <= core->subscriptions.touched && core_subscription(core, row->subscription_id - 1)->text) ||
        subscription_find(core, row->owner, row->name))
        return TRUC_DAMAGED;
    return subscription_add(core, row, (struct place){0, 0}) ? TRUC_OK : TRUC_NO_MEMORY;
}

static struct subscription *restored(const struct core *core, uint32_t id)
{
    struct subscription *subscription =
        !core->started && id > 0 && id <= core->subscriptions.touched ? core_subscription(core, id - 1) : NULL;

    return subscription && subscription->text ? subscription : NULL;
}

truc_status core_restore_cursor(void *context, const struct cursor_row *row)
{
    struct core *core = context;
    struct subscription *subscription = restored(core, row->subscription_id);

    if (!subscription || subscription->share)
        return TRUC_DAMAGED;
    subscription->place = row->place;
    subscription->acknowledged = row->acknowledged;
    subscription->dead = row->dead;
    subscription->expired = row->expired;
    return TRUC_OK;
}

truc_status core_restore_lane(void *context, const struct lane_row *row)
{
    struct core *core = context;
    struct subscription *subscription = restored(core, row->subscription_id);

    if (!subscription || subscription->row.mode != SUBSCRIPTION_SHARED)
        return TRUC_DAMAGED;
    if (!subscription_provide_share(core, subscription))
        return TRUC_NO_MEMORY;
    return share_restore(subscription->share, row);
}

/* Sessions of unnamed producers ended with the process: their grace begins now. Old ones may also have ended before. */
static void begin_graces(struct core *core)
{
    for (uint32_t index = 0; index < core->producers.touched; index++) {
        struct producer *producer = core_producer(core, index);

        if (producer->id != 0 && !producer->named)
            producer_begin_grace(core, producer);
    }
}

static bool topics_are_dense(const struct core *core)
{
    for (uint32_t index = 0; index < core->topics.touched; index++) {
        if (!core_topic(core, index)->name)
            return false;
    }
    return true;
}

void core_on_start(struct core *core, const struct core_event *event)
{
    CORE_INVARIANT(!core->started);
    core->started = true;
    core->head = event->head;
    core->next_position = event->head.position;
    core->capacity = event->capacity;
    clock_start(core, event->head.last_append_ns);
    begin_graces(core);
    if (!topics_are_dense(core))
        core_on_log_failed(core, &(struct core_event){.status = TRUC_DAMAGED, .why = "a topic's row is missing in the catalog"});
    if (core->capacity.full)
        output_alarm(&core->output, "the log's disk is full: publishes are refused until there is space");
}
