/* clock.h: the append clock. Layer: core. One thread.
 *
 * It runs with the boot clock and is slewed to the wall clock by at most 500 us a second. A wall clock that jumps by more than
 * clock_jump_ms is alarmed, recorded in the log (DELTA_CLOCK) and not followed; when it comes back, slewing goes on. At start the
 * wall clock counts; if it is far behind the last entry, appends are refused until it is right or an operator accepts it. */
#ifndef TRUC_CORE_CLOCK_H
#define TRUC_CORE_CLOCK_H

#include "broker/core/core_internal.h"

void clock_start(struct core *core, int64_t last_append_ns);

/* Once a step, before anything else. */
void clock_advance(struct core *core);

static inline int64_t clock_now(const struct core *core)
{
    return core->now.boot_ns + core->clock.offset_ns;
}

/* The time of the next entry: strictly above the last one's. Taken by the caller when the entry is accepted. */
static inline int64_t clock_next_append(const struct core *core)
{
    int64_t now = clock_now(core);

    return now > core->clock.last_append_ns ? now : core->clock.last_append_ns + 1;
}

#endif
