#include "broker/net/net_test_kit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "truc/v1/wire.pb-c.h"

struct peer_session {
    struct server *server;
    uint64_t connection;
};

static void *on_opened(void *context, uint64_t connection, const char *peer)
{
    struct server *server = context;
    struct peer_session *session = malloc(sizeof *session);
    *session = (struct peer_session){server, connection};
    assert(peer[0] != '\0');
    if (server->login_at_open) {
        net_logged_in(server->net, connection);
    }
    pthread_mutex_lock(&server->mutex);
    server->opened++;
    server->last_connection = connection;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
    return session;
}

static void on_frame(void *context, const struct frame *frame, struct net_buffer *buffer)
{
    struct peer_session *session = context;
    struct server *server = session->server;
    pthread_mutex_lock(&server->mutex);
    server->frames++;
    server->frame_bytes += FRAME_PREFIX_BYTES + frame->header.size + frame->payload.size;
    server->in_order &= frame->request_id == server->next_id++;
    if (server->keep && server->kept_count < sizeof server->kept / sizeof server->kept[0]) {
        net_buffer_ref(buffer);
        server->kept[server->kept_count++] = buffer;
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
    if (server->echo) {
        uint8_t prefix[FRAME_PREFIX_BYTES];
        frame_prefix_write(prefix, FRAME_PONG, frame->request_id, 0, frame->payload.size);
        uint8_t *copy = malloc(frame->payload.size + 1);
        memcpy(copy, frame->payload.data, frame->payload.size);
        net_send_owned(server->net, session->connection, bytes_of(prefix, sizeof prefix), bytes_of(copy, frame->payload.size), free,
                       copy);
    }
}

static void on_closed(void *context, truc_status status, const char *why)
{
    struct peer_session *session = context;
    struct server *server = session->server;
    free(session);
    pthread_mutex_lock(&server->mutex);
    server->closed++;
    server->last_status = status;
    snprintf(server->last_why, sizeof server->last_why, "%s", why);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

static void on_accept_failed(void *context, const char *url, const char *why, uint64_t suppressed)
{
    struct server *server = context;
    (void)url;
    (void)why;
    (void)suppressed;
    pthread_mutex_lock(&server->mutex);
    server->accept_failures++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

void wait_for(struct server *server, const unsigned *count, unsigned wanted)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&server->mutex);
    while (*count < wanted) {
        assert_int_equal(pthread_cond_timedwait(&server->changed, &server->mutex, &until), 0);
    }
    pthread_mutex_unlock(&server->mutex);
}

unsigned count_now(struct server *server, const unsigned *count)
{
    pthread_mutex_lock(&server->mutex);
    unsigned now = *count;
    pthread_mutex_unlock(&server->mutex);
    return now;
}

struct net_options test_options(void)
{
    struct net_options options;
    net_options_init(&options);
    options.connections_max = CONNECTIONS;
    options.callback_threads = 1; /* as trucd has it on a small machine */
    return options;
}

void serve(struct server *server, const struct net_options *options, const char *url)
{
    char why[NET_WHY_BYTES] = "";
    struct net_callbacks callbacks = {
        .context = server, .opened = on_opened, .frame = on_frame, .closed = on_closed, .accept_failed = on_accept_failed};
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->in_order = true;
    assert_int_equal(net_create(options, &callbacks, &server->net, why), TRUC_OK);
    assert_int_equal(net_listen(server->net, url, &server->url, why), TRUC_OK);
}

void unserve(struct server *server)
{
    net_close(server->net);
    assert_int_equal(server->opened, server->closed);
    while (server->kept_count > 0) {
        net_buffer_unref(server->kept[--server->kept_count]);
    }
    free(server->url);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
}

int dial(const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(server->url, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void write_all(int fd, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, (const uint8_t *)bytes + at, size - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

bool read_all(int fd, void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
        ssize_t n = read(fd, (uint8_t *)bytes + at, size - at);
        if (n <= 0) {
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

void expect_error(int fd, truc_status status)
{
    static uint8_t memory[HEADER_ARENA_BYTES];
    struct arena arena = {memory, memory + sizeof memory};
    uint8_t bytes[1024];
    struct frame frame;
    size_t size;
    const char *why;
    assert_true(read_all(fd, bytes, FRAME_PREFIX_BYTES));
    assert_int_equal(frame_peek(bytes_of(bytes, FRAME_PREFIX_BYTES), sizeof bytes, &frame, &size, &why), TRUC_OK);
    assert_int_equal(frame.kind, FRAME_ERROR);
    assert_true(read_all(fd, bytes + FRAME_PREFIX_BYTES, size - FRAME_PREFIX_BYTES));
    Truc__V1__Error *error = frame_header_decode(&arena, &truc__v1__error__descriptor,
                                                 bytes_of(bytes + FRAME_PREFIX_BYTES, size - FRAME_PREFIX_BYTES), &why);
    assert_non_null(error);
    assert_int_equal(error->status, status);
    assert_true(strlen(error->message) > 0);
    assert_false(read_all(fd, bytes, 1));
}

size_t make_ping(uint8_t *out, uint64_t id, size_t payload)
{
    frame_prefix_write(out, FRAME_PING, id, 0, payload);
    memset(out + FRAME_PREFIX_BYTES, (int)(id & 255), payload);
    return FRAME_PREFIX_BYTES + payload;
}
