#include "producer_state.h"

#include <stdlib.h>

#include "broker/core/pending.h"
#include "broker/core/sequence.h"

enum { EXPIRY_RETRY_MS = 10000, NS_PER_MS = 1000000 };

static uint64_t id_hash(uint64_t id)
{
    return table_mix(id);
}

/* Scopes hold no 0, so scope and name cannot run into each other. */
static uint64_t name_hash(const struct core *core, struct bytes scope, struct bytes name)
{
    uint8_t text[SOURCE_BYTES_MAX + 1 + PRODUCER_NAME_BYTES_MAX];

    memcpy(text, scope.data, scope.size);
    text[scope.size] = '\0';
    memcpy(text + scope.size + 1, name.data, name.size);
    return core_hash(core, bytes_of(text, scope.size + 1 + name.size));
}

struct producer *producer_find(const struct core *core, uint64_t id)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&core->producers_by_id, id_hash(id));
         table_next(&core->producers_by_id, &probe, &index);) {
        if (core_producer(core, index)->id == id)
            return core_producer(core, index);
    }
    return NULL;
}

struct producer *producer_find_named(const struct core *core, struct bytes scope, struct bytes name)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&core->producers_by_name, name_hash(core, scope, name));
         table_next(&core->producers_by_name, &probe, &index);) {
        struct producer *producer = core_producer(core, index);

        if (bytes_equal(producer_name(producer), name) && bytes_equal(producer_scope(producer), scope))
            return producer;
    }
    return NULL;
}

struct producer *producer_create(struct core *core, uint64_t id, uint32_t epoch, bool named, struct bytes scope, struct bytes name)
{
    struct producer *producer;
    uint8_t *text;
    uint32_t index;

    CORE_INVARIANT(scope.size > 0 && scope.size <= SOURCE_BYTES_MAX && name.size <= PRODUCER_NAME_BYTES_MAX);
    if (!table_reserve(&core->producers_by_id, 1) || (named && !table_reserve(&core->producers_by_name, 1)))
        return NULL;
    text = malloc(scope.size + name.size);
    if (!text)
        return NULL;
    producer = pool_take(&core->producers, &index);
    if (!producer) {
        free(text);
        return NULL;
    }
    memcpy(text, scope.data, scope.size);
    if (name.size > 0)
        memcpy(text + scope.size, name.data, name.size);
    producer->id = id;
    producer->epoch = epoch;
    producer->index = index;
    producer->text = text;
    producer->scope_size = (uint8_t)scope.size;
    producer->name_size = (uint8_t)name.size;
    producer->named = named;
    table_add(&core->producers_by_id, id_hash(id), index);
    if (named)
        table_add(&core->producers_by_name, name_hash(core, scope, name), index);
    return producer;
}

static void grace_leave(struct core *core, struct producer *producer)
{
    if (producer->previous)
        producer->previous->next = producer->next;
    else
        core->grace_first = producer->next;
    if (producer->next)
        producer->next->previous = producer->previous;
    else
        core->grace_last = producer->previous;
    producer->previous = producer->next = NULL;
    producer->in_grace = false;
}

static void connection_leave(struct producer *producer)
{
    struct connection *connection = producer->connection;

    CORE_INVARIANT(connection);
    if (connection->recent == producer)
        connection->recent = NULL;
    if (producer->previous)
        producer->previous->next = producer->next;
    else
        connection->producers = producer->next;
    if (producer->next)
        producer->next->previous = producer->previous;
    producer->previous = producer->next = NULL;
    producer->connection = NULL;
}

void producer_destroy(struct core *core, struct producer *producer)
{
    struct order_names names = sequence_order_names(core);
    uint32_t sequence;

    CORE_INVARIANT(producer->pending == 0);
    if (producer->in_grace)
        grace_leave(core, producer);
    if (producer->connection)
        connection_leave(producer);
    for (;;) {
        struct order_cursor cursor = order_after(&producer->sequences, &names, bytes_of(NULL, 0));

        if (!order_next(&producer->sequences, &cursor, &sequence))
            break;
        sequence_destroy(core, sequence);
    }
    order_fini(&producer->sequences);
    table_remove(&core->producers_by_id, id_hash(producer->id), producer->index);
    if (producer->named)
        table_remove(&core->producers_by_name, name_hash(core, producer_scope(producer), producer_name(producer)), producer->index);
    free(producer->text);
    pool_give(&core->producers, producer->index);
}

void producer_bind(struct core *core, struct producer *producer, struct connection *connection)
{
    if (producer->connection == connection)
        return;
    if (producer->in_grace)
        grace_leave(core, producer);
    if (producer->connection)
        connection_leave(producer);
    producer->connection = connection;
    producer->next = connection->producers;
    if (producer->next)
        producer->next->previous = producer;
    connection->producers = producer;
}

void producer_begin_grace(struct core *core, struct producer *producer)
{
    CORE_INVARIANT(!producer->named && !producer->connection && !producer->in_grace);
    producer->in_grace = true;
    producer->expires_boot_ns = core->now.boot_ns + (int64_t)core->config.producer_grace_ms * NS_PER_MS;
    producer->next = NULL;
    producer->previous = core->grace_last;
    if (core->grace_last)
        core->grace_last->next = producer;
    else
        core->grace_first = producer;
    core->grace_last = producer;
}

void producer_unbind_all(struct core *core, struct connection *connection)
{
    while (connection->producers) {
        struct producer *producer = connection->producers;

        connection_leave(producer);
        if (!producer->named)
            producer_begin_grace(core, producer);
    }
}

/* Tells the log and forgets. False when that is not possible now. */
static bool end_first(struct core *core)
{
    struct producer *producer = core->grace_first;
    struct delta delta = {.kind = DELTA_PRODUCER_END, .producer_end = producer->id};

    if (producer->pending > 0 || !pending_delta(core, &delta, false))
        return false;
    producer_destroy(core, producer);
    return true;
}

void producer_expire(struct core *core)
{
    for (unsigned count = 0; core->grace_first && core->grace_first->expires_boot_ns <= core->now.boot_ns; count++) {
        if (count == GRACE_ENDS_PER_STEP || core->draining)
            return;
        if (!end_first(core)) { /* full disk, or a batch still under way: later, behind the others */
            struct producer *producer = core->grace_first;
            int64_t retry_boot_ns = core->now.boot_ns + (int64_t)EXPIRY_RETRY_MS * NS_PER_MS;

            grace_leave(core, producer);
            producer_begin_grace(core, producer);
            if (producer->expires_boot_ns < retry_boot_ns)
                producer->expires_boot_ns = retry_boot_ns;
            return;
        }
    }
}

int64_t producer_next_expiry(const struct core *core)
{
    return core->grace_first && !core->draining ? core->grace_first->expires_boot_ns : 0;
}
