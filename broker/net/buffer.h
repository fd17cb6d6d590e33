/* buffer.h: received bytes, reference-counted and accounted for. Layer: net. No I/O; any thread.
 *
 * A pool is the account of a whole net, an account that of one connection. A buffer is on both from its making until its last
 * reference goes. Buffers keep their account, accounts their pool, so that either may be let go while frames are still in use. */
#ifndef TRUC_NET_BUFFER_H
#define TRUC_NET_BUFFER_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/net/net.h"

enum {
    BUFFER_BYTES_GRANTED = 8 * 1024 + 256, /* an account may always hold so much, whatever the total */
    BUFFER_BYTES_LARGE = 32 * 1024,        /* from here on capacities are rounded up, and buffers used again */
    BUFFER_BYTES_KEPT_MAX = 8 * 1024 * 1024,
    BUFFERS_KEPT_MAX = 32
};

struct buffer_pool {
    atomic_uint refs;
    uint64_t total_max;
    atomic_ullong total;   /* bytes of all buffers alive */
    atomic_bool hungry;    /* somebody waits for bytes to be given back */
    pthread_mutex_t mutex; /* with changed and woken: how the keeper is told that bytes came back; and kept */
    pthread_cond_t changed;
    bool woken;
    /* Large buffers for the next use: fresh pages from the system cost more than what is received into them. */
    struct net_buffer *kept[BUFFERS_KEPT_MAX];
    unsigned kept_count;
    size_t kept_bytes;
};

struct buffer_account {
    atomic_uint refs;
    struct buffer_pool *pool;
    uint64_t held_max;
    atomic_ullong held;
};

struct net_buffer {
    atomic_uint refs;
    uint32_t capacity;
    struct buffer_account *account;
    uint8_t data[];
};

struct buffer_pool *buffer_pool_create(uint64_t total_max); /* NULL: no memory */
void buffer_pool_unref(struct buffer_pool *pool);

/* Wakes who waits in buffer_pool_wait. */
void buffer_pool_wake(struct buffer_pool *pool);
/* Waits until woken (true) or until the time (CLOCK_MONOTONIC, ms). */
bool buffer_pool_wait(struct buffer_pool *pool, int64_t until_ms);

struct buffer_account *buffer_account_create(struct buffer_pool *pool, uint64_t held_max); /* NULL: no memory */
void buffer_account_unref(struct buffer_account *account);

/* A buffer with one reference. TRUC_BUSY: an account is full, the pool is marked hungry and its waiter will be woken when bytes
 * come back; TRUC_NO_MEMORY. */
truc_status buffer_take(struct buffer_account *account, size_t capacity, struct net_buffer **ret_buffer);

/* Whether the caller's reference is the only one, so that bytes already cut may be overwritten. */
bool buffer_is_sole(const struct net_buffer *buffer);

#endif
