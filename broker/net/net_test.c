/* The front door against real sockets: honest peers, hostile ones, silent ones, too many. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/net/net.h"
#include "truc/v1/wire.pb-c.h"

enum { PATIENCE_MS = 20000, CONNECTIONS = 1024 };

struct server { /* what the callbacks saw; guarded by mutex */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct net *net;
    char *url;
    unsigned opened, closed, frames, accept_failures;
    uint64_t frame_bytes, last_connection;
    truc_status last_status;
    char last_why[128];
    bool echo, login_at_open, keep, in_order;
    uint64_t next_id;
    struct net_buffer *kept[4096];
    unsigned kept_count;
};

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
        net_send_owned(server->net, session->connection, bytes_of(prefix, sizeof prefix), bytes_of(copy, frame->payload.size), free, copy);
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

/* Waits until a count has reached what is wanted. */
static void wait_for(struct server *server, const unsigned *count, unsigned wanted)
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

static unsigned count_now(struct server *server, const unsigned *count)
{
    pthread_mutex_lock(&server->mutex);
    unsigned now = *count;
    pthread_mutex_unlock(&server->mutex);
    return now;
}

static struct net_options test_options(void)
{
    struct net_options options;
    net_options_init(&options);
    options.connections_max = CONNECTIONS;
    return options;
}

static void serve(struct server *server, const struct net_options *options, const char *url)
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

static void unserve(struct server *server)
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

static int dial(const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(server->url, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void write_all(int fd, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, (const uint8_t *)bytes + at, size - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

/* Reads until so many bytes came (true) or the peer closed. */
static bool read_all(int fd, void *bytes, size_t size)
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

/* Reads one frame and expects an ERROR with that status; then the end. */
static void expect_error(int fd, truc_status status)
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
    Truc__V1__Error *error = frame_header_decode(&arena, &truc__v1__error__descriptor, bytes_of(bytes + FRAME_PREFIX_BYTES, size - FRAME_PREFIX_BYTES), &why);
    assert_non_null(error);
    assert_int_equal(error->status, status);
    assert_true(strlen(error->message) > 0);
    assert_false(read_all(fd, bytes, 1));
}

static size_t make_ping(uint8_t *out, uint64_t id, size_t payload)
{
    frame_prefix_write(out, FRAME_PING, id, 0, payload);
    memset(out + FRAME_PREFIX_BYTES, (int)(id & 255), payload);
    return FRAME_PREFIX_BYTES + payload;
}

static void frames_split_anywhere_arrive_in_order(void **state)
{
    struct server server = {.login_at_open = true, .echo = true};
    struct net_options options = test_options();
    uint8_t *bytes = malloc(1 << 20), *back = malloc(1 << 20);
    size_t size = 0;
    unsigned count = 0;
    (void)state;
    serve(&server, &options, "tcp://127.0.0.1:0");
    int fd = dial(&server);
    for (uint64_t id = 0; id < 200; id++, count++) {
        size += make_ping(bytes + size, id, id * 11 % 3000 + (id % 50 == 7 ? 90000 : 0));
    }
    for (size_t at = 0, part = 1; at < size; at += part, part = part * 3 % 7001 + 1) {
        write_all(fd, bytes + at, size - at < part ? size - at : part);
    }
    assert_true(read_all(fd, back, size));
    for (size_t at = 0, frame_size = 0; at < size; at += frame_size) {
        struct frame frame;
        const char *why;
        assert_int_equal(frame_peek(bytes_of(back + at, size - at), FRAME_BYTES_MAX, &frame, &frame_size, &why), TRUC_OK);
        assert_int_equal(frame.kind, FRAME_PONG);
        assert_memory_equal(back + at + FRAME_PREFIX_BYTES, bytes + at + FRAME_PREFIX_BYTES, frame_size - FRAME_PREFIX_BYTES);
    }
    assert_int_equal(server.frames, count);
    assert_true(server.in_order);
    close(fd);
    wait_for(&server, &server.closed, 1);
    assert_int_equal(server.last_status, TRUC_CLOSED);
    free(bytes);
    free(back);
    unserve(&server);
}

static void garbage_is_told_and_ended_others_go_on(void **state)
{
    struct server server = {.login_at_open = true, .echo = true};
    struct net_options options = test_options();
    uint8_t garbage[256], ping[64], pong[64];
    (void)state;
    serve(&server, &options, "tcp://127.0.0.1:0");
    int honest = dial(&server), hostile = dial(&server);
    memset(garbage, 0xee, sizeof garbage);
    write_all(hostile, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    expect_error(hostile, TRUC_PROTOCOL);
    close(hostile);
    size_t size = make_ping(ping, 0, 8);
    write_all(honest, ping, size);
    assert_true(read_all(honest, pong, size));
    close(honest);
    wait_for(&server, &server.closed, 2);
    unserve(&server);
}

static void oversize_before_login_is_refused(void **state)
{
    struct server server = {0};
    struct net_options options = test_options();
    uint8_t prefix[FRAME_PREFIX_BYTES];
    (void)state;
    serve(&server, &options, "tcp://127.0.0.1:0");
    int fd = dial(&server);
    frame_prefix_write(prefix, FRAME_HELLO, 0, 0, 1 << 20);
    write_all(fd, prefix, sizeof prefix);
    expect_error(fd, TRUC_FRAME_TOO_LARGE);
    close(fd);
    wait_for(&server, &server.closed, 1);
    assert_int_equal(server.last_status, TRUC_FRAME_TOO_LARGE);
    assert_int_equal(server.frames, 0);
    unserve(&server);
}

static void silent_connections_go_away(void **state)
{
    enum { SILENT = 300 };
    struct server server = {0};
    struct net_options options = test_options();
    int fds[SILENT];
    uint8_t byte;
    (void)state;
    options.handshake_timeout_ms = 300;
    serve(&server, &options, "tcp://127.0.0.1:0");
    for (int i = 0; i < SILENT; i++) {
        fds[i] = dial(&server);
    }
    wait_for(&server, &server.closed, SILENT);
    assert_int_equal(server.last_status, TRUC_TIMED_OUT);
    expect_error(fds[0], TRUC_TIMED_OUT);
    for (int i = 1; i < SILENT; i++) {
        while (read_all(fds[i], &byte, 1)) { /* the error, then the end */
        }
    }
    for (int i = 0; i < SILENT; i++) {
        close(fds[i]);
    }
    unserve(&server);
    assert_int_equal(server.opened, SILENT);
}

static void one_too_many_is_told(void **state)
{
    struct server server = {.login_at_open = true, .echo = true};
    struct net_options options = test_options();
    uint8_t ping[64], pong[64];
    int fds[4];
    (void)state;
    options.connections_max = 4;
    serve(&server, &options, "tcp://127.0.0.1:0");
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(&server);
    }
    wait_for(&server, &server.opened, 4);
    int extra = dial(&server);
    expect_error(extra, TRUC_TOO_MANY);
    close(extra);
    size_t size = make_ping(ping, 0, 8);
    write_all(fds[3], ping, size);
    assert_true(read_all(fds[3], pong, size));
    close(fds[0]);
    wait_for(&server, &server.closed, 1);
    /* Room again: the place is given back when the connection was freed, soon after `closed`. */
    for (unsigned tries = 0; net_connection_count(server.net) == 4 && tries < 1000; tries++) {
        poll(NULL, 0, 10);
    }
    int again = dial(&server);
    wait_for(&server, &server.opened, 5);
    close(again);
    for (int i = 1; i < 4; i++) {
        close(fds[i]);
    }
    unserve(&server);
}

static void no_descriptors_backs_off_and_resumes(void **state)
{
    struct server server = {.login_at_open = true, .echo = true};
    struct net_options options = test_options();
    struct rlimit limit, lowered;
    uint8_t ping[64], pong[64];
    int spare[512], spare_count = 0;
    (void)state;
    options.connections_max = 16;
    serve(&server, &options, "tcp://127.0.0.1:0");
    int before = dial(&server), later = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    wait_for(&server, &server.opened, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    lowered = limit;
    lowered.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    while (spare_count < 512 && (spare[spare_count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        spare_count++;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(server.url, ':') + 1, NULL, 10));
    assert_int_equal(connect(later, (struct sockaddr *)&address, sizeof address), 0); /* the kernel's backlog takes it */
    wait_for(&server, &server.accept_failures, 1);
    size_t size = make_ping(ping, 0, 8);
    write_all(before, ping, size); /* who is in goes on being served */
    assert_true(read_all(before, pong, size));
    while (spare_count > 0) {
        close(spare[--spare_count]);
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    wait_for(&server, &server.opened, 2); /* by itself */
    assert_int_equal(server.accept_failures, 1); /* told once, not at every try */
    close(before);
    close(later);
    unserve(&server);
}

static void peer_that_does_not_read_is_ended(void **state)
{
    struct server server = {.login_at_open = true};
    struct net_options options = test_options();
    (void)state;
    options.stall_timeout_ms = 300;
    serve(&server, &options, "tcp://127.0.0.1:0");
    int fd = dial(&server);
    wait_for(&server, &server.opened, 1);
    for (int i = 0; i < 24; i++) { /* beyond what the sockets' buffers take */
        uint8_t *payload = calloc(1, 1 << 20);
        net_send_owned(server.net, server.last_connection, bytes_of("head", 4), bytes_of(payload, 1 << 20), free, payload);
    }
    wait_for(&server, &server.closed, 1);
    assert_int_equal(server.last_status, TRUC_TIMED_OUT);
    close(fd);
    unserve(&server);
}

static void queue_beyond_its_bound_ends_the_peer(void **state)
{
    struct server server = {.login_at_open = true};
    struct net_options options = test_options();
    (void)state;
    options.send_bytes_max = 4 << 20;
    serve(&server, &options, "tcp://127.0.0.1:0");
    int fd = dial(&server);
    wait_for(&server, &server.opened, 1);
    for (int i = 0; i < 40; i++) {
        uint8_t *payload = calloc(1, 1 << 20);
        net_send_owned(server.net, server.last_connection, bytes_of("head", 4), bytes_of(payload, 1 << 20), free, payload);
    }
    wait_for(&server, &server.closed, 1);
    assert_int_equal(server.last_status, TRUC_BUSY);
    close(fd);
    unserve(&server);
}

static void lying_lengths_hold_no_memory_and_are_ended(void **state)
{
    enum { LIARS = 100 };
    struct server server = {.login_at_open = true, .echo = true};
    struct net_options options = test_options();
    uint8_t bytes[FRAME_PREFIX_BYTES + 100] = {0}, ping[64], pong[64];
    int fds[LIARS];
    (void)state;
    options.stall_timeout_ms = 500;
    options.receive_bytes_total_max = 4 << 20; /* 100 x 8 MiB are promised */
    serve(&server, &options, "tcp://127.0.0.1:0");
    frame_prefix_write(bytes, FRAME_PUBLISH, 0, 0, 8 << 20);
    for (int i = 0; i < LIARS; i++) {
        fds[i] = dial(&server);
        write_all(fds[i], bytes, sizeof bytes);
    }
    int honest = dial(&server);
    size_t size = make_ping(ping, 0, 8);
    write_all(honest, ping, size);
    assert_true(read_all(honest, pong, size));
    wait_for(&server, &server.closed, LIARS);
    for (int i = 0; i < LIARS; i++) {
        close(fds[i]);
    }
    close(honest);
    unserve(&server);
}

static void receive_budget_pauses_and_resumes(void **state)
{
    enum { FRAMES = 200, PAYLOAD = 100000 };
    struct server server = {.login_at_open = true, .keep = true};
    struct net_options options = test_options();
    uint8_t *bytes = malloc(PAYLOAD + FRAME_PREFIX_BYTES);
    size_t sent = 0;
    unsigned released = 0;
    (void)state;
    options.receive_bytes_max = 2 << 20;
    serve(&server, &options, "tcp://127.0.0.1:0");
    int fd = dial(&server);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (uint64_t id = 0; id < FRAMES;) {
        size_t size = make_ping(bytes, id, PAYLOAD);
        ssize_t n = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (n > 0 && (sent += (size_t)n) == size) {
            id++;
            sent = 0;
        } else if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            pthread_mutex_lock(&server.mutex);
            assert_true(server.kept_count - released <= 40); /* about 2 MiB, and what was under way */
            while (released < server.kept_count) {
                net_buffer_unref(server.kept[released]);
                server.kept[released++] = NULL;
            }
            pthread_mutex_unlock(&server.mutex);
            struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
            poll(&pollfd, 1, 20);
        }
    }
    for (unsigned tries = 0; tries < 2000 && count_now(&server, &server.frames) < FRAMES; tries++) {
        pthread_mutex_lock(&server.mutex);
        while (released < server.kept_count) {
            net_buffer_unref(server.kept[released]);
            server.kept[released++] = NULL;
        }
        pthread_mutex_unlock(&server.mutex);
        poll(NULL, 0, 5);
    }
    wait_for(&server, &server.frames, FRAMES);
    assert_true(server.in_order);
    close(fd);
    free(bytes);
    unserve(&server);
}

static void only_loopback_is_listened_on(void **state)
{
    static const struct {
        const char *url;
        truc_status status;
    } cases[] = {{"tcp://0.0.0.0:0", TRUC_NOT_ALLOWED},     {"tcp://*:0", TRUC_NOT_ALLOWED},
                 {"tcp://192.168.1.1:0", TRUC_NOT_ALLOWED}, {"tcp://example.org:0", TRUC_NOT_ALLOWED},
                 {"ws://127.0.0.1:0", TRUC_INVALID_ARGUMENT}, {"tls+tcp://127.0.0.1:0", TRUC_INVALID_ARGUMENT},
                 {"nonsense", TRUC_INVALID_ARGUMENT},       {"", TRUC_INVALID_ARGUMENT}};
    struct server server = {0};
    struct net_options options = test_options();
    char why[NET_WHY_BYTES], *url;
    (void)state;
    serve(&server, &options, "tcp://localhost:0");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(net_listen(server.net, cases[i].url, &url, why), cases[i].status);
        assert_true(strlen(why) > 0);
    }
    assert_int_equal(net_listen(server.net, server.url, &url, why), TRUC_EXISTS);
    unserve(&server);
}

static void ipc_serves_as_tcp_does(void **state)
{
    struct server server = {.login_at_open = true, .echo = true};
    struct net_options options = test_options();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/net_test_XXXXXX", url[128];
    uint8_t ping[64], pong[64];
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(url, sizeof url, "ipc://%s/socket", directory);
    serve(&server, &options, url);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    size_t size = make_ping(ping, 0, 8);
    write_all(fd, ping, size);
    assert_true(read_all(fd, pong, size));
    close(fd);
    wait_for(&server, &server.closed, 1);
    unserve(&server);
    unlink(address.sun_path);
    rmdir(directory);
}

static void closing_amid_traffic_is_clean(void **state)
{
    enum { ROUNDS = 10, PEERS = 20 };
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct server server = {.login_at_open = true, .echo = true};
        struct net_options options = test_options();
        int fds[PEERS];
        uint8_t bytes[5000];
        serve(&server, &options, "tcp://127.0.0.1:0");
        for (int i = 0; i < PEERS; i++) {
            fds[i] = dial(&server);
            write_all(fds[i], bytes, make_ping(bytes, 0, 4000));
        }
        wait_for(&server, &server.frames, PEERS / 2);
        if (round % 2 == 0) {
            net_close_connection(server.net, server.last_connection);
            net_shutdown(server.net, 50);
        }
        unserve(&server);
        for (int i = 0; i < PEERS; i++) {
            close(fds[i]);
        }
    }
}

static void sending_to_nobody_frees_the_payload(void **state)
{
    struct server server = {0};
    struct net_options options = test_options();
    (void)state;
    serve(&server, &options, "tcp://127.0.0.1:0");
    net_send_owned(server.net, 12345, bytes_of("x", 1), bytes_of(NULL, 0), free, malloc(10)); /* LeakSanitizer watches */
    net_send(server.net, 0, bytes_of("x", 1));
    net_close_connection(server.net, UINT64_MAX);
    unserve(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_split_anywhere_arrive_in_order),
        cmocka_unit_test(garbage_is_told_and_ended_others_go_on),
        cmocka_unit_test(oversize_before_login_is_refused),
        cmocka_unit_test(silent_connections_go_away),
        cmocka_unit_test(one_too_many_is_told),
        cmocka_unit_test(no_descriptors_backs_off_and_resumes),
        cmocka_unit_test(peer_that_does_not_read_is_ended),
        cmocka_unit_test(queue_beyond_its_bound_ends_the_peer),
        cmocka_unit_test(lying_lengths_hold_no_memory_and_are_ended),
        cmocka_unit_test(receive_budget_pauses_and_resumes),
        cmocka_unit_test(only_loopback_is_listened_on),
        cmocka_unit_test(ipc_serves_as_tcp_does),
        cmocka_unit_test(closing_amid_traffic_is_clean),
        cmocka_unit_test(sending_to_nobody_frees_the_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
