#include "clock.h"

#include "broker/core/pending.h"

enum { SLEW_DIVISOR = 2000, NS_PER_MS = 1000000 };
#define JUMP_INTERVAL_NS INT64_C(1000000000) /* jumps are recorded at most so often */

static int64_t gap_of(const struct core *core)
{
    return core->now.wall_ns - clock_now(core);
}

static bool within(int64_t gap_ns, uint32_t ms)
{
    int64_t bound = (int64_t)ms * NS_PER_MS;

    return gap_ns <= bound && gap_ns >= -bound;
}

static bool is_behind(const struct core *core)
{
    return core->now.wall_ns < core->clock.last_append_ns - (int64_t)core->config.clock_behind_ms * NS_PER_MS;
}

void clock_start(struct core *core, int64_t last_append_ns)
{
    core->clock = (struct append_clock){
        .offset_ns = core->now.wall_ns - core->now.boot_ns,
        .boot_ns = core->now.boot_ns,
        .last_append_ns = last_append_ns,
    };
    if (!is_behind(core))
        return;
    core->clock.behind = !core->config.accept_clock;
    output_alarm(&core->output, "the clock is %lld s behind the last entry of the log; %s",
                 (long long)((last_append_ns - core->now.wall_ns) / 1000000000),
                 core->config.accept_clock ? "accepted as the operator said: append times go on from the last entry's"
                                           : "appends are refused: set the clock, or start trucd with --accept-clock once");
}

static void record_jump(struct core *core, int64_t gap_ns)
{
    struct delta delta = {.kind = DELTA_CLOCK, .clock = {.expected_ns = clock_now(core), .found_ns = core->now.wall_ns}};

    core->clock.jump_ns = gap_ns;
    core->clock.jump_boot_ns = core->now.boot_ns;
    output_alarm(
        &core->output,
        "the wall clock jumped by %lld ms and is not followed: append times go on with the boot clock; set the clock right",
        (long long)(gap_ns / NS_PER_MS));
    /* The record of it is worth less than going on: with a full disk or without memory the alarm has to do. */
    (void)pending_delta(core, &delta, false);
}

/* While appends are refused nothing depends on the clock: it may simply be set. */
static void follow_behind(struct core *core)
{
    core->clock.offset_ns = core->now.wall_ns - core->now.boot_ns;
    if (is_behind(core))
        return;
    core->clock.behind = false;
    output_alarm(&core->output, "the clock is right again: appends are accepted");
}

void clock_advance(struct core *core)
{
    struct append_clock *clock = &core->clock;
    int64_t elapsed = core->now.boot_ns - clock->boot_ns;
    int64_t step = (elapsed > 0 ? elapsed : 0) / SLEW_DIVISOR;
    int64_t gap;

    if (!core->started)
        return;
    if (elapsed > 0)
        clock->boot_ns = core->now.boot_ns;
    if (clock->behind) {
        follow_behind(core);
        return;
    }
    gap = gap_of(core);
    if (within(gap, core->config.clock_jump_ms)) {
        if (clock->jump_ns != 0) {
            clock->jump_ns = 0;
            output_alarm(&core->output, "the wall clock is back within %u ms and is followed again", core->config.clock_jump_ms);
        }
        clock->offset_ns += gap > step ? step : gap < -step ? -step : gap;
    } else if (!within(gap - clock->jump_ns, core->config.clock_jump_ms) &&
               (clock->jump_boot_ns == 0 || core->now.boot_ns - clock->jump_boot_ns >= JUMP_INTERVAL_NS)) {
        record_jump(core, gap);
    }
}
