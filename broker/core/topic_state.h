/* topic_state.h: the topics of the log. Layer: core. One thread. Topics are never forgotten; ids are dense from 1. */
#ifndef TRUC_CORE_TOPIC_STATE_H
#define TRUC_CORE_TOPIC_STATE_H

#include "broker/core/core_internal.h"

/* NULL when there is none. *ret_hash serves topic_create. */
struct topic *topic_find(const struct core *core, struct bytes name, uint64_t *ret_hash, uint32_t *ret_index);

/* Adds a topic under the next id. NULL when out of memory. */
struct topic *topic_create(struct core *core, struct bytes name, uint64_t hash, enum evidence evidence, uint32_t *ret_index);
/* Takes back the topic created last, of which nothing was said to anyone. */
void topic_undo(struct core *core, uint32_t index, uint64_t hash);

/* The family whose pattern matches first, as index + 1; 0: none. */
uint16_t topic_family(const struct core *core, struct bytes name);

/* A topic is shown once it has an entry on disk. */
static inline bool topic_is_visible(const struct topic *topic)
{
    return topic->entry_count > 0;
}

/* An entry of the topic is durable. */
void topic_committed(struct core *core, uint32_t index, const struct pending *pending);

/* How many subscriptions there are whose pattern matches it. Costs nothing while none comes or goes. */
uint32_t topic_subscriptions(const struct core *core, struct topic *topic);

/* How order.h names topics. */
struct order_names topic_order_names(const struct core *core);

#endif
