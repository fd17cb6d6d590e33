#include "clients/c/gate.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clients/c/clock.h"

enum { GATES = 4096 };
static struct gate gates[GATES];
static _Atomic uint32_t gate_turn;

struct gate *gate_take(void)
{
    return &gates[atomic_fetch_add_explicit(&gate_turn, 1, memory_order_relaxed) % GATES];
}

bool gate_wait(struct gate *gate, uint32_t seen, int64_t deadline_ns)
{
    struct timespec until;
    struct timespec *limit = NULL;
    long rc;

    if (deadline_ns != CLOCK_NEVER) {
        until = clock_timespec(deadline_ns);
        limit = &until;
    }
    /* The BITSET form takes an absolute time of the monotonic clock. */
    rc = syscall(SYS_futex, (uint32_t *)&gate->word, FUTEX_WAIT_BITSET_PRIVATE, seen, limit, NULL, FUTEX_BITSET_MATCH_ANY);
    return !(rc == -1 && errno == ETIMEDOUT);
}

void gate_open(struct gate *gate)
{
    atomic_fetch_add_explicit(&gate->word, 1, memory_order_release);
    (void)syscall(SYS_futex, (uint32_t *)&gate->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
