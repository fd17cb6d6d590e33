#include "broker/net/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

struct buffer_pool *buffer_pool_create(uint64_t total_max)
{
    struct buffer_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pool->total_max = total_max;
    atomic_init(&pool->refs, 1);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return pool;
}

void buffer_pool_unref(struct buffer_pool *pool)
{
    if (pool == NULL || atomic_fetch_sub(&pool->refs, 1) != 1) {
        return;
    }
    assert(atomic_load(&pool->total) == 0);
    while (pool->kept_count > 0) {
        free(pool->kept[--pool->kept_count]);
    }
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void buffer_pool_wake(struct buffer_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->woken = true;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}

bool buffer_pool_wait(struct buffer_pool *pool, int64_t until_ms)
{
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&pool->mutex);
    while (!pool->woken && pthread_cond_timedwait(&pool->changed, &pool->mutex, &until) == 0) {
    }
    bool woken = pool->woken;
    pool->woken = false;
    pthread_mutex_unlock(&pool->mutex);
    return woken;
}

struct buffer_account *buffer_account_create(struct buffer_pool *pool, uint64_t held_max)
{
    struct buffer_account *account = calloc(1, sizeof *account);
    if (account == NULL) {
        return NULL;
    }
    atomic_init(&account->refs, 1);
    account->held_max = held_max;
    account->pool = pool;
    atomic_fetch_add(&pool->refs, 1);
    return account;
}

void buffer_account_unref(struct buffer_account *account)
{
    if (account == NULL || atomic_fetch_sub(&account->refs, 1) != 1) {
        return;
    }
    buffer_pool_unref(account->pool);
    free(account);
}

/* Adds to a sum unless it would go beyond its bound. */
static bool book(atomic_ullong *sum, uint64_t size, uint64_t bound)
{
    unsigned long long now = atomic_load(sum);
    do {
        if (now + size > bound) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(sum, &now, now + size));
    return true;
}

static bool book_both(struct buffer_account *account, uint64_t size)
{
    struct buffer_pool *pool = account->pool;
    /* Several buffers of one connection are taken by one thread at a time: the sum cannot grow between check and booking. */
    if (atomic_load(&account->held) + size <= BUFFER_BYTES_GRANTED) {
        atomic_fetch_add(&account->held, size);
        atomic_fetch_add(&pool->total, size);
        return true;
    }
    if (!book(&account->held, size, account->held_max)) {
        return false;
    }
    if (!book(&pool->total, size, pool->total_max)) {
        atomic_fetch_sub(&account->held, size);
        return false;
    }
    return true;
}

static void unbook(struct buffer_account *account, uint64_t size)
{
    struct buffer_pool *pool = account->pool;
    atomic_fetch_sub(&account->held, size);
    atomic_fetch_sub(&pool->total, size);
    if (atomic_load(&pool->hungry) && atomic_exchange(&pool->hungry, false)) {
        buffer_pool_wake(pool);
    }
}

/* One kept buffer of exactly that capacity, or NULL. */
static struct net_buffer *kept_take(struct buffer_pool *pool, size_t capacity)
{
    struct net_buffer *buffer = NULL;
    pthread_mutex_lock(&pool->mutex);
    for (unsigned i = pool->kept_count; i-- > 0 && buffer == NULL;) {
        if (pool->kept[i]->capacity == capacity) {
            buffer = pool->kept[i];
            pool->kept[i] = pool->kept[--pool->kept_count];
            pool->kept_bytes -= capacity;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return buffer;
}

/* Keeps a buffer, or frees it; the oldest goes when there is no room, so that sizes nobody asks for any more do not stay. */
static void kept_give(struct buffer_pool *pool, struct net_buffer *buffer)
{
    struct net_buffer *oldest = NULL;
    pthread_mutex_lock(&pool->mutex);
    if (pool->kept_count > 0 &&
        (pool->kept_count == BUFFERS_KEPT_MAX || pool->kept_bytes + buffer->capacity > BUFFER_BYTES_KEPT_MAX)) {
        oldest = pool->kept[0];
        pool->kept_bytes -= oldest->capacity;
        memmove(&pool->kept[0], &pool->kept[1], --pool->kept_count * sizeof pool->kept[0]);
    }
    if (pool->kept_bytes + buffer->capacity <= BUFFER_BYTES_KEPT_MAX) {
        pool->kept[pool->kept_count++] = buffer;
        pool->kept_bytes += buffer->capacity;
        buffer = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
    free(oldest);
    free(buffer);
}

truc_status buffer_take(struct buffer_account *account, size_t capacity, struct net_buffer **ret_buffer)
{
    bool large = capacity >= BUFFER_BYTES_LARGE;
    if (large) {
        capacity = (capacity + BUFFER_BYTES_LARGE - 1) / BUFFER_BYTES_LARGE * BUFFER_BYTES_LARGE;
    }
    uint64_t size = sizeof(struct net_buffer) + capacity;
    assert(capacity > 0 && size <= UINT32_MAX);
    if (!book_both(account, size)) {
        /* Bytes may have come back between the refusal and the mark; whoever gives back after the mark wakes the keeper, so a
         * second refusal after the mark is one that will be woken. */
        atomic_store(&account->pool->hungry, true);
        if (!book_both(account, size)) {
            return TRUC_BUSY;
        }
    }
    struct net_buffer *buffer = large ? kept_take(account->pool, capacity) : NULL;
    if (buffer == NULL && (buffer = malloc(size)) == NULL) {
        unbook(account, size);
        return TRUC_NO_MEMORY;
    }
    atomic_init(&buffer->refs, 1);
    buffer->capacity = (uint32_t)capacity;
    buffer->account = account;
    atomic_fetch_add(&account->refs, 1);
    *ret_buffer = buffer;
    return TRUC_OK;
}

bool buffer_is_sole(const struct net_buffer *buffer)
{
    return atomic_load(&buffer->refs) == 1;
}

void net_buffer_ref(struct net_buffer *buffer)
{
    atomic_fetch_add(&buffer->refs, 1);
}

void net_buffer_unref(struct net_buffer *buffer)
{
    if (buffer == NULL || atomic_fetch_sub(&buffer->refs, 1) != 1) {
        return;
    }
    struct buffer_account *account = buffer->account;
    uint64_t size = sizeof *buffer + buffer->capacity;
    if (buffer->capacity >= BUFFER_BYTES_LARGE) {
        kept_give(account->pool, buffer);
    } else {
        free(buffer);
    }
    unbook(account, size);
    buffer_account_unref(account);
}
