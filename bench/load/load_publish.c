#include "bench/load/lane.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STAMP_EVERY = 32 }; /* as fast as possible: the clock is read once for so many records */

/* --- as fast as the queue has room, or at a rate: a thread per lane sends, the opaque of a record is when it was sent (due) --- */

static void on_delivery_stamped(void *context, const truc_delivery *deliveries, size_t count)
{
    struct lane *lane = context;
    uint64_t now_ns = load_now_ns();
    for (size_t i = 0; i < count; i++)
        lane_count(lane, &deliveries[i], (uint64_t)(uintptr_t)deliveries[i].opaque, now_ns);
}

struct sender {
    pthread_t thread;
    struct lane *lane;
    uint64_t limit; /* so many records; 0: until the window is over */
    double rate;    /* of this lane */
    truc_status status;
};

static truc_status send_freely(const struct sender *sender)
{
    struct lane *lane = sender->lane;
    uint64_t now_ns = load_now_ns();
    for (uint64_t i = 0; sender->limit == 0 || i < sender->limit; i++) {
        if (i % STAMP_EVERY == 0) {
            now_ns = load_now_ns();
            if (sender->limit == 0 && load_window_over(lane->window, now_ns))
                return TRUC_OK;
        }
        truc_status status = lane_publish(lane, 0, (void *)(uintptr_t)now_ns);
        if (status != TRUC_OK)
            return status;
    }
    return TRUC_OK;
}

static void wait_until(uint64_t due_ns)
{
    struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000u), .tv_nsec = (long)(due_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
        continue;
}

static truc_status send_at_rate(const struct sender *sender)
{
    struct lane *lane = sender->lane;
    const double gap_ns = 1e9 / sender->rate;
    const uint64_t start_ns = load_now_ns();
    for (uint64_t i = 0;; i++) {
        uint64_t due_ns = start_ns + (uint64_t)((double)i * gap_ns);
        if (load_window_over(lane->window, due_ns))
            return TRUC_OK;
        if (due_ns > load_now_ns())
            wait_until(due_ns);
        truc_status status = lane_publish(lane, lane->spec->payload_size >= sizeof due_ns ? due_ns : 0, (void *)(uintptr_t)due_ns);
        if (status != TRUC_OK)
            return status;
    }
}

static void *sender_run(void *argument)
{
    struct sender *sender = argument;
    sender->status = sender->rate > 0 ? send_at_rate(sender) : send_freely(sender);
    return NULL;
}

static truc_status senders_run(struct lane *lanes, uint32_t count, double rate, uint64_t limit)
{
    struct sender *senders = calloc(count, sizeof *senders);
    truc_status status = TRUC_OK;
    uint32_t started = 0;
    if (!senders)
        return TRUC_NO_MEMORY;
    for (; started < count; started++) {
        senders[started] =
            (struct sender){.lane = &lanes[started], .rate = rate / count, .limit = limit / count + (started < limit % count)};
        if (limit && senders[started].limit == 0)
            break;
        if (pthread_create(&senders[started].thread, NULL, sender_run, &senders[started])) {
            status = TRUC_NO_MEMORY;
            break;
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(senders[i].thread, NULL);
        if (status == TRUC_OK)
            status = senders[i].status;
    }
    free(senders);
    return status;
}

/* --- waiting publishers: each delivery sends the same publisher's next record ------------------------------------------------ */

struct waiter {
    uint64_t sent_ns;
};

static void on_delivery_again(void *context, const truc_delivery *deliveries, size_t count)
{
    struct lane *lane = context;
    uint64_t now_ns = load_now_ns();
    for (size_t i = 0; i < count; i++) {
        struct waiter *waiter = deliveries[i].opaque;
        lane_count(lane, &deliveries[i], waiter->sent_ns, now_ns);
    }
    if (atomic_load_explicit(&lane->stopped, memory_order_relaxed))
        return;
    for (size_t i = 0; i < count; i++) {
        struct waiter *waiter = deliveries[i].opaque;
        waiter->sent_ns = now_ns;
        lane_publish(lane, lane->spec->payload_size >= sizeof now_ns ? now_ns : 0, waiter);
    }
}

static truc_status waiters_run(struct lane *lanes, uint32_t lane_count_, uint32_t waiting, struct load_window *window,
                               struct waiter *waiters)
{
    for (uint32_t i = 0; i < lane_count_; i++) {
        for (uint32_t j = i; j < waiting; j += lane_count_) {
            waiters[j].sent_ns = load_now_ns();
            truc_status status = lane_publish(&lanes[i], 0, &waiters[j]);
            if (status != TRUC_OK)
                return status;
        }
    }
    wait_until(atomic_load(&window->end_ns));
    return TRUC_OK;
}

/* --- the three ways in ---------------------------------------------------------------------------------------------------------
 */

truc_status load_publish(const struct load_spec *spec, struct load_result *ret_result)
{
    struct load_window window = {0};
    struct lane *lanes = NULL;
    struct load_spec own = *spec;
    struct waiter *waiters = NULL;
    uint32_t connections = spec->waiting && spec->waiting < spec->connections ? spec->waiting : spec->connections;
    *ret_result = (struct load_result){.seconds = spec->seconds_s};
    if (spec->waiting) {
        waiters = calloc(spec->waiting, sizeof *waiters);
        if (!waiters)
            return TRUC_NO_MEMORY;
        if (!own.linger_us)
            own.linger_us = "0"; /* who waits for each record gains nothing from lingering */
    }
    truc_status status = lanes_open(&own, &window, spec->waiting ? on_delivery_again : on_delivery_stamped, !spec->waiting,
                                    connections, &lanes, ret_result->why);
    if (status == TRUC_OK) {
        load_window_start(&window, spec);
        status = spec->waiting ? waiters_run(lanes, connections, spec->waiting, &window, waiters)
                               : senders_run(lanes, connections, spec->rate, 0);
        if (status != TRUC_OK)
            snprintf(ret_result->why, sizeof ret_result->why, "publish: %s", truc_status_text(status));
        truc_status closed = lanes_close(lanes, connections, ret_result);
        if (status == TRUC_OK)
            status = closed;
    }
    free(waiters);
    return status;
}

truc_status load_fill(const struct load_spec *spec, uint64_t records, struct load_result *ret_result)
{
    struct load_window window = {.end_ns = UINT64_MAX};
    struct lane *lanes = NULL;
    *ret_result = (struct load_result){0};
    truc_status status = lanes_open(spec, &window, on_delivery_stamped, true, spec->connections, &lanes, ret_result->why);
    if (status != TRUC_OK)
        return status;
    uint64_t start_ns = load_now_ns();
    status = senders_run(lanes, spec->connections, 0, records);
    truc_status closed = lanes_close(lanes, spec->connections, ret_result);
    ret_result->seconds = (double)(load_now_ns() - start_ns) / 1e9;
    return status == TRUC_OK ? closed : status;
}
