#include "append_clock.h"

#include "sim.h"

static int64_t offset_ns, boot_ns, last_ns, jump_ns, behind_ns;
static bool behind;

void append_clock_start(const struct core_config *config, struct core_now now, int64_t last_append_ns)
{
    offset_ns = now.wall_ns - now.boot_ns;
    boot_ns = now.boot_ns;
    last_ns = last_append_ns;
    jump_ns = config->clock_jump_ms * MS;
    behind_ns = config->clock_behind_ms * MS;
    behind = now.wall_ns < last_ns - behind_ns;
}

/* Slewed by at most 1/2000 towards a wall clock that is near; simply set while it was far behind at the start. */
void append_clock_step(struct core_now now)
{
    int64_t elapsed_ns = now.boot_ns - boot_ns, gap_ns = now.wall_ns - now.boot_ns - offset_ns, most_ns = elapsed_ns / 2000;

    boot_ns = now.boot_ns;
    if (behind) {
        offset_ns = now.wall_ns - now.boot_ns;
        behind = now.wall_ns < last_ns - behind_ns;
    } else if (gap_ns <= jump_ns && gap_ns >= -jump_ns) {
        offset_ns += gap_ns > most_ns ? most_ns : gap_ns < -most_ns ? -most_ns : gap_ns;
    }
}

void append_clock_entry(int64_t append_ns)
{
    int64_t now_ns = append_clock_ns();

    SIM_CHECK(!behind, "an entry is accepted while the clock is far behind");
    SIM_CHECK(append_ns == (now_ns > last_ns ? now_ns : last_ns + 1), "append time %lld, the clock shows %lld and the last is %lld",
              (long long)append_ns, (long long)now_ns, (long long)last_ns);
    last_ns = append_ns;
}

int64_t append_clock_ns(void)
{
    return boot_ns + offset_ns;
}
