/* The core thread: takes what waits, steps the core, carries out what it decided. */
#include <time.h>

#include "broker/main/broker_internal.h"
#include "broker/main/logline.h"

enum { STEP_EVENTS_MAX = 256, STATS_PERIOD_S = 60 };

struct core_loop {
    struct broker *broker;
    struct core_event events[STEP_EVENTS_MAX];
    struct letter *letters[STEP_EVENTS_MAX];
    size_t count;
    bool logins, infos, full;
    truc_status failed;   /* a LOG_FAILED is among the events */
    int64_t wake_boot_ns; /* 0: none */
    struct stats stats;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void tell_capacity(struct core_loop *loop, const struct core_event *event)
{
    struct logline line;
    if (event->capacity.full == loop->full) {
        return;
    }
    loop->full = event->capacity.full;
    struct log_capacity capacity = log_capacity(loop->broker->log);
    logline_begin(&line, loop->full ? LOGLINE_disk_full : LOGLINE_disk_ok);
    logline_number(&line, "available_bytes", capacity.available_bytes);
    if (loop->full) {
        logline_text(&line, "why", capacity.why);
        logline_text(&line, "next", truc_status_next(TRUC_DISK_FULL));
    }
    logline_end(&line);
}

static void tell_read_failed(const struct core_event *event)
{
    struct logline line;
    logline_begin(&line, LOGLINE_read_failed);
    logline_text(&line, "status", truc_status_name(event->status));
    logline_text(&line, "why", event->why);
    logline_text(&line, "next", truc_status_next(event->status));
    logline_end(&line);
}

static void notice(struct core_loop *loop, const struct core_event *event)
{
    switch (event->kind) {
    case CORE_FRAME:
        loop->logins |= event->frame.kind == FRAME_LOGIN;
        loop->infos |= event->frame.kind == FRAME_LOG_INFO;
        break;
    case CORE_START:
    case CORE_COMMITTED:
    case CORE_CAPACITY:
        tell_capacity(loop, event);
        break;
    case CORE_READ_DONE:
        if (event->status == TRUC_DAMAGED || event->status == TRUC_IO) {
            tell_read_failed(event);
        }
        break;
    case CORE_LOG_FAILED:
        loop->failed = event->status;
        break;
    default:
        break;
    }
}

static void set_usage(struct broker *broker)
{
    struct log_usage usage = log_usage(broker->log);
    core_set_usage(
        broker->core,
        (struct core_usage){.bytes = usage.bytes, .segment_count = usage.segment_count, .first_append_ns = usage.first_append_ns});
}

static void step(struct core_loop *loop)
{
    struct broker *broker = loop->broker;
    struct core_now now = {.boot_ns = clock_ns(CLOCK_BOOTTIME), .wall_ns = clock_ns(CLOCK_REALTIME)};
    if (loop->wake_boot_ns != 0 && now.boot_ns >= loop->wake_boot_ns && loop->count < STEP_EVENTS_MAX) {
        loop->wake_boot_ns = 0;
        loop->letters[loop->count] = NULL;
        loop->events[loop->count++] = (struct core_event){.kind = CORE_TICK};
    }
    if (loop->count == 0) {
        return;
    }
    if (loop->infos) {
        set_usage(broker);
    }
    struct core_effects effects = core_step(broker->core, loop->events, loop->count, now);
    effects_carry_out(broker, effects, loop->logins, &loop->wake_boot_ns);
    if (loop->failed != TRUC_OK) {
        for (size_t i = 0; i < loop->count; i++) {
            if (loop->events[i].kind == CORE_LOG_FAILED) {
                broker_finish(broker, loop->failed, loop->events[i].why);
            }
        }
    }
    for (size_t i = 0; i < loop->count; i++) {
        struct letter *letter = loop->letters[i];
        if (letter != NULL) {
            letter->event.prepared = NULL; /* both were the core's from the step on, and went into effects */
            letter->event.done.owner = NULL;
            letter_free(letter);
        }
    }
    loop->stats.steps++;
    loop->stats.events += loop->count;
    loop->count = 0;
    loop->logins = loop->infos = false;
    loop->failed = TRUC_OK;
}

static void step_all(struct core_loop *loop, struct letter *letter)
{
    while (letter != NULL) {
        struct letter *next = letter->next;
        loop->letters[loop->count] = letter;
        loop->events[loop->count++] = letter->event;
        notice(loop, &letter->event);
        if (loop->count == STEP_EVENTS_MAX) {
            step(loop);
        }
        letter = next;
    }
    step(loop);
}

/* When to be woken without a letter, on the clock that conditions are waited for with. */
static int64_t deadline_ns(const struct core_loop *loop)
{
    int64_t due = loop->stats.due_ns;
    if (loop->wake_boot_ns != 0) {
        int64_t wake = loop->wake_boot_ns - clock_ns(CLOCK_BOOTTIME) + clock_ns(CLOCK_MONOTONIC);
        due = wake < due ? wake : due;
    }
    return due;
}

void *core_thread_run(void *context)
{
    static struct core_loop loop; /* one core per process; too large for a stack */
    bool closed = false;
    loop = (struct core_loop){.broker = context};
    loop.stats.due_ns = clock_ns(CLOCK_MONOTONIC) + STATS_PERIOD_S * 1000000000ll;
    while (!closed) {
        step_all(&loop, mailbox_take(&loop.broker->mailbox, deadline_ns(&loop), &closed));
        if (clock_ns(CLOCK_MONOTONIC) >= loop.stats.due_ns) {
            stats_tell(loop.broker, &loop.stats);
            loop.stats.due_ns = clock_ns(CLOCK_MONOTONIC) + STATS_PERIOD_S * 1000000000ll;
        }
    }
    return NULL;
}
