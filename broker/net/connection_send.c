/* The sending side of a connection. Writes are tried at once, on the caller's thread or, when they are large, on the sender's; only
 * what the peer does not take yet waits in an aio with a callback. */
#include "broker/net/connection.h"

static void set_parts(nng_aio *aio, const struct send_queue *out)
{
    struct bytes parts[SEND_PARTS_MAX];
    nng_iov iov[SEND_PARTS_MAX];
    size_t count = send_queue_parts(out, parts);
    for (size_t i = 0; i < count; i++) {
        iov[i] = (nng_iov){.iov_buf = (void *)(uintptr_t)parts[i].data, .iov_len = parts[i].size};
    }
    nng_aio_set_iov(aio, (unsigned)count, iov);
}

/* A connection that never sends, or never stalls, costs no aio for it (NNG asks the system for random bytes for each). */
static bool ensure_aio(struct connection *connection, nng_aio **aio, void (*done)(void *context))
{
    if (*aio == NULL && nng_aio_alloc(aio, done, connection) != 0) {
        *aio = NULL;
        net_connection_end_locked(connection, TRUC_NO_MEMORY, "no memory to send");
    }
    return *aio != NULL;
}

void net_connection_push_locked(struct connection *connection, struct send_segment **done)
{
    struct send_queue *out = &connection->out;
    while (connection->phase != CONNECTION_ENDED && !connection->send_posted && out->size > 0) {
        if (!ensure_aio(connection, &connection->try_aio, NULL)) {
            break;
        }
        /* An aio without a callback is finished on this thread, or, when the socket takes nothing, is taken back here: the
         * usual answer wakes no thread of NNG's. */
        set_parts(connection->try_aio, out);
        nng_stream_send(connection->stream, connection->try_aio);
        nng_aio_abort(connection->try_aio, NNG_ECANCELED);
        nng_aio_wait(connection->try_aio);
        int failure = nng_aio_result(connection->try_aio);
        if (failure == 0) {
            send_queue_consume(out, nng_aio_count(connection->try_aio), done);
            atomic_store(&connection->sent_ms, net_now_ms());
        } else if (failure != NNG_ECANCELED) {
            net_connection_end_locked(connection, TRUC_CLOSED, "the peer closed while being sent to");
        } else if (ensure_aio(connection, &connection->send_aio, net_connection_send_done)) {
            connection->send_posted = true;
            set_parts(connection->send_aio, out);
            nng_stream_send(connection->stream, connection->send_aio);
        }
    }
    if (connection->phase == CONNECTION_CLOSING && out->size == 0 && connection->linger_ms == 0) {
        connection->linger_ms = net_now_ms() + NET_LINGER_MS;
    }
    if (connection->phase == CONNECTION_ENDED && !connection->send_posted) {
        send_queue_clear(out, done);
    }
}

void net_connection_send_done(void *context)
{
    struct connection *connection = context;
    struct send_segment *done = NULL;
    int failure = nng_aio_result(connection->send_aio);
    pthread_mutex_lock(&connection->mutex);
    connection->send_posted = false;
    if (failure != 0) {
        net_connection_end_locked(connection, TRUC_CLOSED, "the peer closed while being sent to");
    } else {
        send_queue_consume(&connection->out, nng_aio_count(connection->send_aio), &done);
        atomic_store(&connection->sent_ms, net_now_ms());
    }
    net_connection_push_locked(connection, &done);
    net_connection_bury_locked(connection);
    pthread_mutex_unlock(&connection->mutex);
    send_segments_free(done);
}

void net_connection_push(struct connection *connection)
{
    struct send_segment *done = NULL;
    pthread_mutex_lock(&connection->mutex);
    connection->push_later = false;
    net_connection_push_locked(connection, &done);
    pthread_mutex_unlock(&connection->mutex);
    send_segments_free(done);
}

void net_connection_send(struct connection *connection, struct bytes head, struct bytes payload, void (*free_payload)(void *owner),
                         void *owner)
{
    struct send_segment *done = NULL;
    bool queued = false;
    pthread_mutex_lock(&connection->mutex);
    if (connection->phase == CONNECTION_OPEN) {
        struct send_queue *out = &connection->out;
        if (out->size == 0) {
            atomic_store(&connection->sent_ms, net_now_ms()); /* waiting begins now */
        }
        if (out->size + head.size + payload.size > connection->net->options.send_bytes_max) {
            net_connection_end_locked(connection, TRUC_BUSY, "the peer does not read what it asked for");
        } else if (!send_queue_copy(out, head) || (free_payload != NULL && !send_queue_own(out, payload, free_payload, owner))) {
            net_connection_end_locked(connection, TRUC_NO_MEMORY, "no memory to send");
        } else {
            queued = true;
        }
        if (queued && payload.size >= NET_SEND_LARGE_BYTES && !connection->push_later) {
            connection->push_later = true;
            sender_push_later(connection->net, connection);
        } else if (!connection->push_later) {
            net_connection_push_locked(connection, &done);
        }
    }
    pthread_mutex_unlock(&connection->mutex);
    send_segments_free(done);
    if (!queued && free_payload != NULL) {
        free_payload(owner);
    }
}
