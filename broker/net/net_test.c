/* The front door against real sockets: honest peers and hostile ones, and closing amid traffic. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/net/net_test_kit.h"

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

static void only_loopback_is_listened_on(void **state)
{
    static const struct {
        const char *url;
        truc_status status;
    } cases[] = {{"tcp://0.0.0.0:0", TRUC_NOT_ALLOWED},       {"tcp://*:0", TRUC_NOT_ALLOWED},
                 {"tcp://192.168.1.1:0", TRUC_NOT_ALLOWED},   {"tcp://example.org:0", TRUC_NOT_ALLOWED},
                 {"ws://127.0.0.1:0", TRUC_INVALID_ARGUMENT}, {"tls+tcp://127.0.0.1:0", TRUC_INVALID_ARGUMENT},
                 {"nonsense", TRUC_INVALID_ARGUMENT},         {"", TRUC_INVALID_ARGUMENT}};
    struct server server = {0};
    struct net_options options = test_options();
    char why[NET_WHY_BYTES], *url;
    (void)state;
    struct addrinfo *found = NULL;
    bool named = getaddrinfo("localhost", NULL, NULL, &found) == 0; /* a bare system has no /etc/hosts */
    if (named)
        freeaddrinfo(found);
    serve(&server, &options, named ? "tcp://localhost:0" : "tcp://127.0.0.1:0");
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
        cmocka_unit_test(only_loopback_is_listened_on),
        cmocka_unit_test(ipc_serves_as_tcp_does),
        cmocka_unit_test(closing_amid_traffic_is_clean),
        cmocka_unit_test(sending_to_nobody_frees_the_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
