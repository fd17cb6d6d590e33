#include "broker/net/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "truc/v1/wire.pb-c.h"

static void receive_done(void *connection);

struct connection *net_connection_create(struct net *net, nng_stream *stream)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct buffer_account *account = buffer_account_create(net->pool, net->options.receive_bytes_max);
    if (connection == NULL || account == NULL || nng_aio_alloc(&connection->receive_aio, receive_done, connection) != 0) {
        free(connection);
        buffer_account_unref(account);
        nng_stream_free(stream);
        return NULL;
    }
    connection->net = net;
    connection->stream = stream;
    atomic_init(&connection->refs, 1);
    pthread_mutex_init(&connection->mutex, NULL);
    intake_init(&connection->intake, account, FRAME_BYTES_BEFORE_LOGIN_MAX);
    connection->opened_ms = net_now_ms();
    atomic_init(&connection->received_ms, connection->opened_ms);
    atomic_init(&connection->sent_ms, connection->opened_ms);
    return connection;
}

void net_connection_unref(struct connection *connection)
{
    if (atomic_fetch_sub(&connection->refs, 1) == 1) {
        pthread_mutex_destroy(&connection->mutex);
        free(connection);
    }
}

bool net_connection_destroy(struct connection *connection)
{
    if (atomic_load(&connection->refs) != 1) {
        return false; /* somebody is about to find out that it has ended */
    }
    nng_aio_free(connection->receive_aio); /* waits for the end of its callback */
    nng_aio_free(connection->send_aio);
    nng_aio_free(connection->try_aio);
    nng_stream_free(connection->stream);
    intake_fini(&connection->intake);
    net_connection_unref(connection);
    return true;
}

void net_connection_bury_locked(struct connection *connection)
{
    if (connection->phase == CONNECTION_ENDED && connection->receive_done && !connection->send_posted && !connection->buried) {
        connection->buried = true;
        net_table_remove(connection->net, connection);
    }
}

void net_connection_end_locked(struct connection *connection, truc_status status, const char *why)
{
    if (connection->phase == CONNECTION_ENDED) {
        return;
    }
    if (connection->phase == CONNECTION_OPEN) { /* a closing one knows its reason already */
        connection->status = status;
        snprintf(connection->why, sizeof connection->why, "%s", why);
    }
    connection->phase = CONNECTION_ENDED;
    nng_stream_close(connection->stream);
    if (connection->receive_waiting) {
        buffer_pool_wake(connection->net->pool); /* nobody else will find out */
    }
    net_connection_bury_locked(connection);
}

/* The last act of the receiving side. */
static void receive_finish(struct connection *connection)
{
    struct send_segment *unsent = NULL;
    intake_fini(&connection->intake);
    atomic_store(&connection->partial, false);
    if (connection->session != NULL) {
        connection->net->callbacks.closed(connection->session, connection->status, connection->why);
    }
    pthread_mutex_lock(&connection->mutex);
    connection->receive_done = true;
    if (!connection->send_posted) {
        send_queue_clear(&connection->out, &unsent);
    }
    net_connection_bury_locked(connection);
    pthread_mutex_unlock(&connection->mutex);
    send_segments_free(unsent);
}

void net_connection_close(struct connection *connection, truc_status status, const char *why)
{
    struct send_segment *done = NULL;
    pthread_mutex_lock(&connection->mutex);
    if (connection->phase == CONNECTION_OPEN) {
        connection->phase = CONNECTION_CLOSING;
        connection->status = status;
        snprintf(connection->why, sizeof connection->why, "%s", why);
        net_connection_push_locked(connection, &done);
    }
    pthread_mutex_unlock(&connection->mutex);
    send_segments_free(done);
}

void net_connection_fail(struct connection *connection, truc_status status, const char *why)
{
    uint8_t frame[512];
    Truc__V1__Error error = TRUC__V1__ERROR__INIT;
    error.status = (uint32_t)status;
    error.message = (char *)why;
    size_t size = frame_encode(frame, sizeof frame, FRAME_ERROR, 0, &error.base, 0);
    net_connection_send(connection, bytes_of(frame, size), bytes_of(NULL, 0), NULL, NULL);
    net_connection_close(connection, status, why);
}

void net_connection_receive_next(struct connection *connection)
{
    uint8_t *at = NULL;
    size_t size = 0;
    truc_status status = intake_room(&connection->intake, &at, &size);
    bool finish = false;
    pthread_mutex_lock(&connection->mutex);
    if (status == TRUC_NO_MEMORY) {
        net_connection_end_locked(connection, status, "no memory to receive");
    }
    if (connection->phase == CONNECTION_ENDED) {
        finish = true;
    } else if (status != TRUC_OK) {
        connection->receive_waiting = true;
        /* Bytes may have come back before the keeper could see us waiting. */
        buffer_pool_wake(connection->net->pool);
    } else {
        nng_iov iov = {.iov_buf = at, .iov_len = size};
        nng_aio_set_iov(connection->receive_aio, 1, &iov);
        nng_stream_recv(connection->stream, connection->receive_aio);
    }
    pthread_mutex_unlock(&connection->mutex);
    if (finish) {
        receive_finish(connection);
    }
}

void net_connection_resume(struct connection *connection)
{
    uint8_t *at;
    size_t size;
    bool resume = false;
    pthread_mutex_lock(&connection->mutex);
    if (connection->receive_waiting) {
        /* While it waits, the intake is whoever's holds the mutex. A refusal marks the pool hungry again. */
        if (connection->phase == CONNECTION_ENDED || intake_room(&connection->intake, &at, &size) != TRUC_BUSY) {
            connection->receive_waiting = false;
            resume = true;
        }
    }
    pthread_mutex_unlock(&connection->mutex);
    if (resume) {
        net_connection_receive_next(connection);
    }
}

static void cut_frames(struct connection *connection)
{
    const struct net_callbacks *callbacks = &connection->net->callbacks;
    struct intake *intake = &connection->intake;
    struct frame frame;
    truc_status status;
    const char *why = "";
    if (!intake->logged_in && atomic_load(&connection->logged_in)) {
        intake->logged_in = true;
        intake->frame_bytes_max = connection->net->options.frame_bytes_max;
    }
    while (intake_next(intake, &frame, &status, &why)) {
        callbacks->frame(connection->session, &frame, intake->buffer);
    }
    if (status != TRUC_OK) {
        net_connection_fail(connection, status, why);
    }
}

static void receive_done(void *context)
{
    struct connection *connection = context;
    int failure = nng_aio_result(connection->receive_aio);
    size_t size = nng_aio_count(connection->receive_aio);
    pthread_mutex_lock(&connection->mutex);
    if (failure == NNG_ECONNSHUT || failure == NNG_ECLOSED) {
        net_connection_end_locked(connection, TRUC_CLOSED, "closed by the peer");
    } else if (failure != 0) {
        net_connection_end_locked(connection, TRUC_IO, nng_strerror(failure));
    }
    enum connection_phase phase = connection->phase;
    pthread_mutex_unlock(&connection->mutex);
    if (phase == CONNECTION_ENDED) {
        receive_finish(connection);
        return;
    }
    atomic_store(&connection->received_ms, net_now_ms());
    intake_received(&connection->intake, size);
    if (phase == CONNECTION_OPEN) {
        cut_frames(connection);
    } else {
        connection->intake.begin = connection->intake.end; /* thrown away */
    }
    atomic_store(&connection->partial, intake_is_partial(&connection->intake));
    net_connection_receive_next(connection);
}

static void peer_name(nng_stream *stream, char *text, size_t size)
{
    nng_sockaddr address;
    snprintf(text, size, "unknown");
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &address) != 0) {
        return;
    }
    if (address.s_family == NNG_AF_INET) {
        const uint8_t *a = (const uint8_t *)&address.s_in.sa_addr;
        const uint8_t *p = (const uint8_t *)&address.s_in.sa_port;
        snprintf(text, size, "%u.%u.%u.%u:%u", a[0], a[1], a[2], a[3], (unsigned)p[0] << 8 | p[1]);
    } else if (address.s_family == NNG_AF_INET6) {
        const uint8_t *p = (const uint8_t *)&address.s_in6.sa_port;
        snprintf(text, size, "[::1]:%u", (unsigned)p[0] << 8 | p[1]);
    } else if (address.s_family == NNG_AF_IPC) {
        uint64_t pid = 0;
        (void)nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_PID, &pid);
        snprintf(text, size, "ipc pid %llu", (unsigned long long)pid);
    }
}

void net_connection_start(struct connection *connection)
{
    struct net *net = connection->net;
    if (connection->refused) {
        net_connection_fail(connection, TRUC_TOO_MANY, "as many connections as the broker allows are open");
    } else {
        char peer[64];
        peer_name(connection->stream, peer, sizeof peer);
        connection->session = net->callbacks.opened(net->callbacks.context, connection->number, peer);
        if (connection->session == NULL) {
            net_connection_fail(connection, TRUC_NO_MEMORY, "no memory for another connection");
        }
    }
    net_connection_receive_next(connection);
}
