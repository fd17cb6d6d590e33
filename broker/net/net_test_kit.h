/* net_test_kit.h: a net under test, what its callbacks saw, and a peer on a plain socket. Layer: tests of net. */
#ifndef TRUC_NET_NET_TEST_KIT_H
#define TRUC_NET_NET_TEST_KIT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/net/net.h"

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

struct net_options test_options(void);
void serve(struct server *server, const struct net_options *options, const char *url);
/* Closes, and checks that everything opened was closed. */
void unserve(struct server *server);
/* Waits until a count of the server's has reached what is wanted. */
void wait_for(struct server *server, const unsigned *count, unsigned wanted);
unsigned count_now(struct server *server, const unsigned *count);

int dial(const struct server *server); /* a socket connected to the server */
void write_all(int fd, const void *bytes, size_t size);
/* Reads until so many bytes came (true) or the peer closed. */
bool read_all(int fd, void *bytes, size_t size);
/* Reads one frame and expects an ERROR with that status; then the end. */
void expect_error(int fd, truc_status status);
size_t make_ping(uint8_t *out, uint64_t id, size_t payload);

#endif
