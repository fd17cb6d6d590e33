/* One address that is listened on: which may be, accepting, and what happens when accepting fails. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/net/connection.h"

static void accept_done(void *acceptor);

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (host == NULL || strcmp(host, "localhost") == 0) {
        return host != NULL;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool address_is_loopback(const nng_sockaddr *address)
{
    if (address->s_family == NNG_AF_INET) {
        return ntohl(address->s_in.sa_addr) >> 24 == 127;
    }
    if (address->s_family == NNG_AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)(const void *)address->s_in6.sa_addr);
    }
    return address->s_family == NNG_AF_IPC;
}

static truc_status url_check(const char *text, bool *ret_tcp, char *why)
{
    nng_url *url = NULL;
    truc_status status = TRUC_OK;
    if (nng_url_parse(&url, text) != 0) {
        snprintf(why, NET_WHY_BYTES, "%.128s is not a URL; use tcp://127.0.0.1:PORT or ipc:///PATH", text);
        return TRUC_INVALID_ARGUMENT;
    }
    *ret_tcp = strcmp(url->u_scheme, "tcp") == 0;
    if (!*ret_tcp && strcmp(url->u_scheme, "ipc") != 0) {
        snprintf(why, NET_WHY_BYTES, "%.128s: the scheme must be tcp or ipc", text);
        status = TRUC_INVALID_ARGUMENT;
    } else if (*ret_tcp && !host_is_loopback(url->u_hostname)) {
        snprintf(why, NET_WHY_BYTES,
                 "%.128s: connections are not authenticated yet, so only 127.0.0.1, ::1, localhost and ipc:// may be "
                 "listened on",
                 text);
        status = TRUC_NOT_ALLOWED;
    }
    nng_url_free(url);
    return status;
}

static char *real_url(nng_stream_listener *stream_listener, const char *url, bool tcp)
{
    char *text = NULL;
    int port = 0;
    if (!tcp || nng_stream_listener_get_int(stream_listener, NNG_OPT_TCP_BOUND_PORT, &port) != 0) {
        return strdup(url);
    }
    const char *colon = strrchr(url, ':');
    assert(colon != NULL);
    if (strncmp(colon, "://", 3) == 0) { /* no port was given */
        return asprintf(&text, "%s:%d", url, port) < 0 ? NULL : text;
    }
    return asprintf(&text, "%.*s:%d", (int)(colon - url), url, port) < 0 ? NULL : text;
}

static truc_status listen_status(int failure)
{
    switch (failure) {
    case NNG_ENOMEM:
        return TRUC_NO_MEMORY;
    case NNG_EADDRINUSE:
        return TRUC_EXISTS;
    case NNG_EADDRINVAL:
    case NNG_EINVAL:
        return TRUC_INVALID_ARGUMENT;
    default:
        return TRUC_IO;
    }
}

truc_status listener_create(struct net *net, const char *url, struct listener **ret_listener, char *why)
{
    bool tcp = false;
    nng_sockaddr address;
    truc_status status = url_check(url, &tcp, why);
    if (status != TRUC_OK) {
        return status;
    }
    struct listener *listener = calloc(1, sizeof *listener);
    int failure = listener == NULL ? NNG_ENOMEM : 0;
    if (failure == 0) {
        listener->net = net;
        listener->reported_ms = INT64_MIN / 2;
        failure = nng_stream_listener_alloc(&listener->stream_listener, url);
    }
    for (int i = 0; i < NET_ACCEPTORS && failure == 0; i++) {
        listener->acceptors[i] = (struct acceptor){.listener = listener, .idle = true};
        failure = nng_aio_alloc(&listener->acceptors[i].aio, accept_done, &listener->acceptors[i]);
    }
    if (failure == 0 && tcp) {
        failure = nng_stream_listener_set_bool(listener->stream_listener, NNG_OPT_TCP_NODELAY, true);
        if (failure == 0) {
            failure = nng_stream_listener_set_bool(listener->stream_listener, NNG_OPT_TCP_KEEPALIVE, true);
        }
    }
    if (failure == 0) {
        failure = nng_stream_listener_listen(listener->stream_listener);
    }
    if (failure != 0) {
        snprintf(why, NET_WHY_BYTES, "cannot listen on %.128s: %s%s", url, nng_strerror(failure),
                 failure == NNG_EADDRINUSE ? "; stop what listens there (another trucd?), or choose another address" : "");
        status = listen_status(failure);
        goto done;
    }
    if (tcp && (nng_stream_listener_get_addr(listener->stream_listener, NNG_OPT_LOCADDR, &address) != 0 ||
                !address_is_loopback(&address))) { /* localhost may have been taught another meaning */
        snprintf(why, NET_WHY_BYTES, "%.128s is not a loopback address here", url);
        status = TRUC_NOT_ALLOWED;
        goto done;
    }
    listener->url = real_url(listener->stream_listener, url, tcp);
    if (listener->url == NULL) {
        snprintf(why, NET_WHY_BYTES, "no memory to listen on %.128s", url);
        status = TRUC_NO_MEMORY;
        goto done;
    }
    *ret_listener = listener;
    listener = NULL;
done:
    listener_destroy(listener);
    return status;
}

void listener_stop(struct listener *listener)
{
    if (listener->stream_listener != NULL) {
        nng_stream_listener_close(listener->stream_listener);
    }
    for (int i = 0; i < NET_ACCEPTORS; i++) {
        nng_aio_stop(listener->acceptors[i].aio);
    }
}

void listener_destroy(struct listener *listener)
{
    if (listener == NULL) {
        return;
    }
    listener_stop(listener);
    for (int i = 0; i < NET_ACCEPTORS; i++) {
        nng_aio_free(listener->acceptors[i].aio);
    }
    if (listener->stream_listener != NULL) {
        nng_stream_listener_free(listener->stream_listener);
    }
    free(listener->url);
    free(listener);
}

void listener_accept(struct listener *listener)
{
    struct net *net = listener->net;
    for (int i = 0; i < NET_ACCEPTORS; i++) {
        struct acceptor *acceptor = &listener->acceptors[i];
        pthread_mutex_lock(&net->mutex);
        bool idle = acceptor->idle;
        acceptor->idle = false;
        pthread_mutex_unlock(&net->mutex);
        if (idle) {
            nng_stream_listener_accept(listener->stream_listener, acceptor->aio);
        }
    }
}

static void accept_failed(struct acceptor *acceptor, int failure)
{
    struct listener *listener = acceptor->listener;
    struct net *net = listener->net;
    int64_t now = net_now_ms();
    bool report = false;
    uint64_t suppressed = 0;
    pthread_mutex_lock(&net->mutex);
    acceptor->idle = true;
    listener->retry_ms = now + NET_ACCEPT_RETRY_MS;
    if (now - listener->reported_ms >= NET_ACCEPT_REPORT_MS) {
        report = true;
        suppressed = listener->suppressed;
        listener->reported_ms = now;
        listener->suppressed = 0;
    } else {
        listener->suppressed++;
    }
    pthread_mutex_unlock(&net->mutex);
    if (report && net->callbacks.accept_failed != NULL) {
        net->callbacks.accept_failed(net->callbacks.context, listener->url, nng_strerror(failure), suppressed);
    }
    buffer_pool_wake(net->pool);
}

static void accepted(struct net *net, nng_stream *stream)
{
    struct connection *connection = net_connection_create(net, stream);
    if (connection == NULL) {
        return;
    }
    if (net_table_add(net, connection)) {
        net_connection_start(connection);
    } else {
        net_connection_destroy(connection); /* its aios were never used: nothing to wait for */
    }
}

static void accept_done(void *context)
{
    struct acceptor *acceptor = context;
    struct listener *listener = acceptor->listener;
    int failure = nng_aio_result(acceptor->aio);
    if (failure == NNG_ECLOSED || failure == NNG_ECANCELED || !atomic_load(&listener->net->accepting)) {
        if (failure == 0) {
            nng_stream_free(nng_aio_get_output(acceptor->aio, 0));
        }
        return;
    }
    if (failure != 0) {
        accept_failed(acceptor, failure);
        return;
    }
    accepted(listener->net, nng_aio_get_output(acceptor->aio, 0));
    nng_stream_listener_accept(listener->stream_listener, acceptor->aio);
}
