/* The bounds of the front door: too many, too silent, too slow, too large, and no descriptors. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/net_test_kit.h"

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
    wait_for(&server, &server.opened, 2);        /* by itself */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_connections_go_away),           cmocka_unit_test(one_too_many_is_told),
        cmocka_unit_test(no_descriptors_backs_off_and_resumes), cmocka_unit_test(peer_that_does_not_read_is_ended),
        cmocka_unit_test(queue_beyond_its_bound_ends_the_peer), cmocka_unit_test(lying_lengths_hold_no_memory_and_are_ended),
        cmocka_unit_test(receive_budget_pauses_and_resumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
