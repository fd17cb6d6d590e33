#include "topic_state.h"

#include "broker/core/watch.h"

struct topic *topic_find(const struct core *core, struct bytes name, uint64_t *ret_hash, uint32_t *ret_index)
{
    uint64_t hash = core_hash(core, name);
    uint32_t index;

    *ret_hash = hash;
    for (struct table_probe probe = table_probe(&core->topics_by_name, hash); table_next(&core->topics_by_name, &probe, &index);) {
        struct topic *topic = core_topic(core, index);

        if (bytes_equal(topic_name(topic), name)) {
            *ret_index = index;
            return topic;
        }
    }
    return NULL;
}

static struct bytes name_of(const void *context, uint32_t index)
{
    return topic_name(core_topic(context, index));
}

struct order_names topic_order_names(const struct core *core)
{
    return (struct order_names){name_of, core};
}

uint16_t topic_family(const struct core *core, struct bytes name)
{
    for (size_t i = 0; i < core->config.family_count; i++) {
        if (pattern_match(core->config.families[i].pattern, name))
            return (uint16_t)(i + 1);
    }
    return 0;
}

struct topic *topic_create(struct core *core, struct bytes name, uint64_t hash, enum evidence evidence, uint32_t *ret_index)
{
    struct order_names names = topic_order_names(core);
    uint8_t *text = slab_take(&core->names, name.size + 1);
    struct topic *topic;
    uint32_t index;

    if (!text || !table_reserve(&core->topics_by_name, 1))
        return NULL;
    topic = pool_take(&core->topics, &index);
    if (!topic)
        return NULL;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    topic->name = text;
    topic->name_size = (uint8_t)name.size;
    topic->evidence = (uint8_t)evidence;
    topic->family = topic_family(core, name);
    if (!order_add(&core->topics_in_order, &names, index)) {
        pool_give(&core->topics, index);
        return NULL;
    }
    table_add(&core->topics_by_name, hash, index);
    topic->watch = watch_find_exact(core, name);
    *ret_index = index;
    return topic;
}

void topic_undo(struct core *core, uint32_t index, uint64_t hash)
{
    struct order_names names = topic_order_names(core);

    order_remove(&core->topics_in_order, &names, index);
    table_remove(&core->topics_by_name, hash, index);
    pool_give(&core->topics, index);
}

/* Notes that this commit appended to the topic, once a topic, with the first and last position. */
static void note_commit(struct core *core, struct topic *topic, uint32_t index, uint64_t position)
{
    struct committed_topic *committed = &core->committed[topic->commit_slot];

    if (topic->commit_slot < core->committed_count && committed->topic == index) {
        committed->last = position;
        return;
    }
    topic->commit_slot = core->committed_count++;
    core->committed[topic->commit_slot] = (struct committed_topic){index, position, position};
}

void topic_committed(struct core *core, uint32_t index, const struct pending *pending)
{
    struct topic *topic = core_topic(core, index);

    if (topic->entry_count == 0) {
        topic->first_position = pending->position;
        topic->created_ns = pending->append_time_ns;
        core->durable_topics++;
    }
    topic->durable_offset = pending->base_offset + pending->record_count;
    topic->last_position = pending->position;
    topic->last_append_ns = pending->append_time_ns;
    topic->bytes += pending->batch_bytes;
    topic->entry_count++;
    if (core->committed_count < core->committed_capacity)
        note_commit(core, topic, index, pending->position);
}

uint32_t topic_subscriptions(const struct core *core, struct topic *topic)
{
    if (topic->subscriptions_generation != core->subscriptions_generation) {
        topic->subscriptions = pattern_tree_count(&core->patterns, topic_name(topic));
        topic->subscriptions_generation = core->subscriptions_generation;
    }
    return topic->subscriptions;
}
