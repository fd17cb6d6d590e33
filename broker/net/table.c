/* The table of connections: a number is a slot's index and, above it, a serial that only grows. */
#include <assert.h>

#include "broker/net/connection.h"

_Static_assert(NET_CONNECTIONS_MAX + NET_REFUSALS_MAX <= 1 << NET_SLOT_BITS, "a slot's index fits into a number");

bool net_table_add(struct net *net, struct connection *connection)
{
    bool added = false;
    pthread_mutex_lock(&net->mutex);
    bool refused = atomic_load(&net->connection_count) >= net->options.connections_max;
    if (atomic_load(&net->accepting) && net->slots_used < net->slot_count && (!refused || net->refusal_count < NET_REFUSALS_MAX)) {
        uint32_t slot = net->slots_free[net->slot_count - ++net->slots_used];
        assert(net->slots[slot] == NULL);
        net->slots[slot] = connection;
        connection->slot = slot;
        connection->refused = refused;
        if (slot >= atomic_load(&net->slot_high)) {
            atomic_store(&net->slot_high, slot + 1);
        }
        connection->number = ++net->serial << NET_SLOT_BITS | slot;
        if (refused) {
            net->refusal_count++;
        } else {
            atomic_fetch_add(&net->connection_count, 1);
        }
        added = true;
    }
    pthread_mutex_unlock(&net->mutex);
    return added;
}

void net_table_remove(struct net *net, struct connection *connection)
{
    pthread_mutex_lock(&net->mutex);
    assert(net->slots[connection->slot] == connection);
    net->slots[connection->slot] = NULL;
    net->slots_free[net->slot_count - net->slots_used--] = connection->slot;
    if (connection->refused) {
        net->refusal_count--;
    } else {
        atomic_fetch_sub(&net->connection_count, 1);
    }
    connection->next_dead = net->dead;
    net->dead = connection;
    pthread_mutex_unlock(&net->mutex);
    buffer_pool_wake(net->pool);
}

struct connection *net_table_at(struct net *net, uint32_t slot)
{
    pthread_mutex_lock(&net->mutex);
    struct connection *connection = slot < net->slot_count ? net->slots[slot] : NULL;
    if (connection != NULL) {
        atomic_fetch_add(&connection->refs, 1);
    }
    pthread_mutex_unlock(&net->mutex);
    return connection;
}

struct connection *net_table_find(const struct net *net, uint64_t number)
{
    struct connection *connection = net_table_at((struct net *)net, (uint32_t)(number & ((1u << NET_SLOT_BITS) - 1)));
    if (connection != NULL && connection->number != number) {
        net_connection_unref(connection);
        return NULL;
    }
    return connection;
}
