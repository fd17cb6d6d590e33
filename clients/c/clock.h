/* clock.h: the monotonic clock, and waiting against it. Layer: libtruc. No state, any thread. */
#ifndef TRUC_CLIENT_CLOCK_H
#define TRUC_CLIENT_CLOCK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER INT64_MAX

static inline int64_t clock_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* When a wait of timeout_ms that begins now is over; a negative one never is. */
static inline int64_t clock_deadline(int timeout_ms)
{
    return timeout_ms < 0 ? CLOCK_NEVER : clock_now_ns() + (int64_t)timeout_ms * 1000000;
}

static inline struct timespec clock_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* A condition that times out by the monotonic clock. 0 or an errno. */
int clock_condition_init(pthread_cond_t *ret_condition);

/* Waits until signalled (true, possibly without cause) or until the deadline has passed (false). */
bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ns);

#endif
