/* The keeper: net's own thread for what must not happen in a callback: a coarse sweep over timeouts (NNG's own aio timeouts scan
 * a global list at each expiry), resuming what waited for memory, accepting again after a failure, freeing what has ended. */
#include "broker/net/connection.h"

static void judge(struct connection *connection, int64_t now)
{
    const struct net_options *options = &connection->net->options;
    int64_t received = atomic_load(&connection->received_ms), sent = atomic_load(&connection->sent_ms);
    bool logged_in = atomic_load(&connection->logged_in), partial = atomic_load(&connection->partial);
    int64_t partial_max = options->stall_timeout_ms;
    bool silent = false;
    pthread_mutex_lock(&connection->mutex);
    if (!connection->receive_waiting && atomic_load(&connection->net->pool->hungry) && partial_max > NET_HUNGRY_STALL_MS) {
        partial_max = NET_HUNGRY_STALL_MS;
    }
    if (connection->out.size > 0 && now - sent > options->stall_timeout_ms) {
        net_connection_end_locked(connection, TRUC_TIMED_OUT, "the peer stopped reading");
    } else if (connection->linger_ms != 0 && now >= connection->linger_ms) {
        net_connection_end_locked(connection, connection->status, connection->why);
    } else if (connection->phase == CONNECTION_OPEN && partial && now - received > partial_max) {
        net_connection_end_locked(connection, TRUC_TIMED_OUT, "the peer stopped in the middle of a frame");
    } else if (connection->phase == CONNECTION_OPEN && !logged_in && now - connection->opened_ms > options->handshake_timeout_ms) {
        silent = true;
    }
    pthread_mutex_unlock(&connection->mutex);
    if (silent) {
        net_connection_fail(connection, TRUC_TIMED_OUT, "no login within the time allowed");
    }
}

static void sweep(struct net *net, int64_t now)
{
    for (uint32_t slot = 0; slot < atomic_load(&net->slot_high); slot++) {
        struct connection *connection = net_table_at(net, slot);
        if (connection != NULL) {
            judge(connection, now);
            net_connection_unref(connection);
        }
    }
}

static void resume_waiting(struct net *net)
{
    for (uint32_t slot = 0; slot < atomic_load(&net->slot_high); slot++) {
        struct connection *connection = net_table_at(net, slot);
        if (connection != NULL) {
            net_connection_resume(connection);
            net_connection_unref(connection);
        }
    }
}

/* Returns when it is to be called again. */
static int64_t accept_again(struct net *net, int64_t now)
{
    int64_t next_ms = INT64_MAX;
    pthread_mutex_lock(&net->mutex);
    struct listener *listeners = net->listeners;
    pthread_mutex_unlock(&net->mutex);
    for (struct listener *listener = listeners; listener != NULL; listener = listener->next) {
        pthread_mutex_lock(&net->mutex);
        bool due = listener->retry_ms != 0 && now >= listener->retry_ms && atomic_load(&net->accepting);
        if (due) {
            listener->retry_ms = 0;
        } else if (listener->retry_ms != 0 && listener->retry_ms < next_ms) {
            next_ms = listener->retry_ms;
        }
        pthread_mutex_unlock(&net->mutex);
        if (due) {
            listener_accept(listener);
        }
    }
    return next_ms;
}

/* Frees what is dead; what somebody still refers to stays for the next time. */
static void reap(struct net *net)
{
    pthread_mutex_lock(&net->mutex);
    struct connection *dead = net->dead, *kept = NULL;
    net->dead = NULL;
    pthread_mutex_unlock(&net->mutex);
    while (dead != NULL) {
        struct connection *next = dead->next_dead;
        if (!net_connection_destroy(dead)) {
            dead->next_dead = kept;
            kept = dead;
        }
        dead = next;
    }
    pthread_mutex_lock(&net->mutex);
    while (kept != NULL) {
        struct connection *next = kept->next_dead;
        kept->next_dead = net->dead;
        net->dead = kept;
        kept = next;
    }
    if (net->slots_used == 0 && net->dead == NULL) {
        pthread_cond_broadcast(&net->emptied);
    }
    pthread_mutex_unlock(&net->mutex);
}

void *keeper_run(void *context)
{
    struct net *net = context;
    int64_t sweep_ms = 0;
    bool woken = false;
    while (!atomic_load(&net->stopping)) {
        int64_t now = net_now_ms();
        int64_t accept_ms = accept_again(net, now);
        if (woken || now >= sweep_ms) {
            resume_waiting(net);
        }
        if (now >= sweep_ms) {
            sweep(net, now);
            sweep_ms = now + NET_SWEEP_MS;
        }
        reap(net);
        woken = buffer_pool_wait(net->pool, accept_ms < sweep_ms ? accept_ms : sweep_ms);
    }
    return NULL;
}
