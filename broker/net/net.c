#include "broker/net/net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "broker/net/connection.h"
#include "broker/net/task_threads.h"

void net_options_init(struct net_options *ret_options)
{
    *ret_options = (struct net_options){
        .connections_max = 4096,
        .frame_bytes_max = FRAME_BYTES_MAX,
        .handshake_timeout_ms = 10000,
        .stall_timeout_ms = 30000,
        .receive_bytes_max = 17u << 20,
        .receive_bytes_total_max = 48u << 20,
        .send_bytes_max = 32u << 20,
    };
}

/* What the process needs beside connections: segments, their maps, the log, NNG's own. */
enum { DESCRIPTORS_RESERVED = 256 };

static void raise_descriptors(struct net_options *options)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)options->connections_max + NET_REFUSALS_MAX + DESCRIPTORS_RESERVED;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < wanted) {
        rlim_t fits = limit.rlim_cur > DESCRIPTORS_RESERVED + NET_REFUSALS_MAX + 16
                          ? limit.rlim_cur - DESCRIPTORS_RESERVED - NET_REFUSALS_MAX
                          : 16;
        options->connections_max = fits < options->connections_max ? (uint32_t)fits : options->connections_max;
    }
}

static bool table_create(struct net *net)
{
    net->slot_count = net->options.connections_max + NET_REFUSALS_MAX;
    net->slots = calloc(net->slot_count, sizeof(struct connection *));
    net->slots_free = calloc(net->slot_count, sizeof(uint32_t));
    if (net->slots == NULL || net->slots_free == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < net->slot_count; i++) {
        net->slots_free[i] = net->slot_count - 1 - i;
    }
    return true;
}

truc_status net_create(const struct net_options *options, const struct net_callbacks *callbacks, struct net **ret_net, char *why)
{
    if (options->connections_max == 0 || options->connections_max > NET_CONNECTIONS_MAX) {
        snprintf(why, NET_WHY_BYTES, "connections_max must be 1 to %d", NET_CONNECTIONS_MAX);
        return TRUC_INVALID_ARGUMENT;
    }
    struct net *net = calloc(1, sizeof *net);
    if (net == NULL) {
        snprintf(why, NET_WHY_BYTES, "no memory to listen");
        return TRUC_NO_MEMORY;
    }
    net->options = *options;
    net->callbacks = *callbacks;
    raise_descriptors(&net->options);
    pthread_mutex_init(&net->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&net->emptied, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&net->to_push, NULL);
    net->last_to_push = &net->first_to_push;
    atomic_init(&net->accepting, true);
    net->pool = buffer_pool_create(options->receive_bytes_total_max);
    if (net->pool != NULL && table_create(net)) {
        net->keeper_runs = pthread_create(&net->keeper, NULL, keeper_run, net) == 0;
        net->sender_runs = pthread_create(&net->sender, NULL, sender_run, net) == 0;
    }
    if (!net->keeper_runs || !net->sender_runs) {
        net_close(net);
        snprintf(why, NET_WHY_BYTES, "no memory or no threads to listen with");
        return TRUC_NO_MEMORY;
    }
    *ret_net = net;
    return TRUC_OK;
}

uint32_t net_connections_max(const struct net *net)
{
    return net->options.connections_max;
}

truc_status net_listen(struct net *net, const char *url, char **ret_url, char *why)
{
    struct listener *listener;
    truc_status status = listener_create(net, url, &listener, why);
    if (status != TRUC_OK) {
        return status;
    }
    char *real = strdup(listener->url);
    if (real == NULL) {
        listener_destroy(listener);
        snprintf(why, NET_WHY_BYTES, "no memory to listen");
        return TRUC_NO_MEMORY;
    }
    pthread_mutex_lock(&net->mutex);
    listener->next = net->listeners;
    net->listeners = listener;
    pthread_mutex_unlock(&net->mutex);
    if (net->task_threads == NULL && net->options.callback_threads > 0) {
        net->task_threads = task_threads_hold(net->options.callback_threads);
    }
    listener_accept(listener);
    *ret_url = real;
    return TRUC_OK;
}

void net_stop_accepting(struct net *net)
{
    pthread_mutex_lock(&net->mutex);
    atomic_store(&net->accepting, false);
    struct listener *listeners = net->listeners;
    pthread_mutex_unlock(&net->mutex);
    for (struct listener *listener = listeners; listener != NULL; listener = listener->next) {
        nng_stream_listener_close(listener->stream_listener);
    }
}

static void end_all(struct net *net, bool at_once)
{
    for (uint32_t slot = 0; slot < atomic_load(&net->slot_high); slot++) {
        struct connection *connection = net_table_at(net, slot);
        if (connection == NULL) {
            continue;
        }
        if (at_once) {
            pthread_mutex_lock(&connection->mutex);
            net_connection_end_locked(connection, TRUC_CLOSED, "the broker stops");
            pthread_mutex_unlock(&connection->mutex);
        } else {
            net_connection_close(connection, TRUC_CLOSED, "the broker stops");
        }
        net_connection_unref(connection);
    }
}

/* Waits until every connection is gone and freed; false: not within the time. */
static bool wait_emptied(struct net *net, uint32_t timeout_ms)
{
    struct timespec until;
    bool late = false;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    buffer_pool_wake(net->pool);
    pthread_mutex_lock(&net->mutex);
    while ((net->slots_used > 0 || net->dead != NULL) && !late) {
        late = pthread_cond_timedwait(&net->emptied, &net->mutex, &until) != 0;
    }
    bool emptied = net->slots_used == 0 && net->dead == NULL;
    pthread_mutex_unlock(&net->mutex);
    return emptied;
}

void net_shutdown(struct net *net, uint32_t grace_ms)
{
    enum { PATIENCE_MS = 60000 };
    net_stop_accepting(net);
    for (struct listener *listener = net->listeners; listener != NULL; listener = listener->next) {
        listener_stop(listener); /* from here on no connection is added */
    }
    end_all(net, false);
    if (!wait_emptied(net, grace_ms)) {
        end_all(net, true);
        while (!wait_emptied(net, PATIENCE_MS)) {
        }
    }
}

void net_close(struct net *net)
{
    if (net == NULL) {
        return;
    }
    if (net->keeper_runs) {
        net_shutdown(net, 0);
    }
    pthread_mutex_lock(&net->mutex);
    atomic_store(&net->stopping, true);
    pthread_cond_signal(&net->to_push);
    pthread_mutex_unlock(&net->mutex);
    if (net->sender_runs) {
        pthread_join(net->sender, NULL);
    }
    if (net->keeper_runs) {
        buffer_pool_wake(net->pool);
        pthread_join(net->keeper, NULL);
    }
    while (net->listeners != NULL) {
        struct listener *next = net->listeners->next;
        listener_destroy(net->listeners);
        net->listeners = next;
    }
    task_threads_release(net->task_threads);
    pthread_cond_destroy(&net->to_push);
    pthread_cond_destroy(&net->emptied);
    pthread_mutex_destroy(&net->mutex);
    buffer_pool_unref(net->pool);
    free(net->slots_free);
    free(net->slots);
    free(net);
}

void net_logged_in(struct net *net, uint64_t number)
{
    struct connection *connection = net_table_find(net, number);
    if (connection != NULL) {
        atomic_store(&connection->logged_in, true);
        net_connection_unref(connection);
    }
}

void net_send(struct net *net, uint64_t number, struct bytes copied)
{
    net_send_owned(net, number, copied, bytes_of(NULL, 0), NULL, NULL);
}

void net_send_owned(struct net *net, uint64_t number, struct bytes head_copied, struct bytes payload,
                    void (*free_payload)(void *owner), void *owner)
{
    struct connection *connection = net_table_find(net, number);
    if (connection == NULL) {
        if (free_payload != NULL) {
            free_payload(owner);
        }
        return;
    }
    net_connection_send(connection, head_copied, payload, free_payload, owner);
    net_connection_unref(connection);
}

void net_close_connection(struct net *net, uint64_t number)
{
    struct connection *connection = net_table_find(net, number);
    if (connection != NULL) {
        net_connection_close(connection, TRUC_CLOSED, "closed by the broker");
        net_connection_unref(connection);
    }
}

uint32_t net_end_stalled(struct net *net, uint32_t stalled_ms)
{
    uint32_t ended = 0;
    int64_t now = net_now_ms();
    for (uint32_t slot = 0; slot < atomic_load(&net->slot_high); slot++) {
        struct connection *connection = net_table_at(net, slot);
        if (connection == NULL) {
            continue;
        }
        pthread_mutex_lock(&connection->mutex);
        if (connection->phase != CONNECTION_ENDED && connection->out.size > 0 &&
            now - atomic_load(&connection->sent_ms) > stalled_ms) {
            net_connection_end_locked(connection, TRUC_TIMED_OUT, "the peer stopped reading while others wait");
            ended++;
        }
        pthread_mutex_unlock(&connection->mutex);
        net_connection_unref(connection);
    }
    return ended;
}

uint32_t net_connection_count(const struct net *net)
{
    return atomic_load(&net->connection_count);
}
