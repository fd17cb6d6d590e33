#include "clients/c/clock.h"

int clock_condition_init(pthread_cond_t *ret_condition)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);

    if (error != 0)
        return error;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(ret_condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return error;
}

bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ns)
{
    struct timespec until;

    if (deadline_ns == CLOCK_NEVER)
        return pthread_cond_wait(condition, lock) == 0;
    if (deadline_ns < 0)
        deadline_ns = 0;
    until = clock_timespec(deadline_ns);
    return pthread_cond_timedwait(condition, lock, &until) != ETIMEDOUT;
}
