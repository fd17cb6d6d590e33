/* producer_state.h: producers, and which connection each belongs to. Layer: core. One thread.
 *
 * A producer is bound to the connection that opened or resumed it last. Named ones are remembered for ever; an unnamed one
 * without a connection waits in the grace list and is then forgotten. */
#ifndef TRUC_CORE_PRODUCER_STATE_H
#define TRUC_CORE_PRODUCER_STATE_H

#include "broker/core/core_internal.h"

struct producer *producer_find(const struct core *core, uint64_t id);
struct producer *producer_find_named(const struct core *core, struct bytes scope, struct bytes name);

/* A new producer, bound to nothing. NULL when out of memory. */
struct producer *producer_create(struct core *core, uint64_t id, uint32_t epoch, bool named, struct bytes scope, struct bytes name);
/* Forgets it and its sequences. Nothing of it may be pending. */
void producer_destroy(struct core *core, struct producer *producer);

static inline struct bytes producer_scope(const struct producer *producer)
{
    return bytes_of(producer->text, producer->scope_size);
}
static inline struct bytes producer_name(const struct producer *producer)
{
    return bytes_of(producer->text + producer->scope_size, producer->name_size);
}

void producer_bind(struct core *core, struct producer *producer, struct connection *connection);
void producer_unbind_all(struct core *core, struct connection *connection);

/* Begins the grace of an unnamed producer without a connection. */
void producer_begin_grace(struct core *core, struct producer *producer);
/* Ends those whose grace is over; a few at a time. */
void producer_expire(struct core *core);
/* When producer_expire has something to do next; 0: never. */
int64_t producer_next_expiry(const struct core *core);

#endif
