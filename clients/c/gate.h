/* gate.h: a word that many threads wait at and one opens for all of them with one system call (a Linux futex).
 *
 * Layer: libtruc. Any thread. What the waiters wait for is theirs to check, before and after each wait: a gate may open for
 * another reason. Read the word with gate_word before checking, and give it to gate_wait, so that no opening is missed. */
#ifndef TRUC_CLIENT_GATE_H
#define TRUC_CLIENT_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
    _Atomic uint32_t word;
};

static inline uint32_t gate_word(struct gate *gate)
{
    return atomic_load_explicit(&gate->word, memory_order_acquire);
}

/* Waits as long as the word is `seen`. False when the deadline (clock.h) has passed. May return without cause. */
bool gate_wait(struct gate *gate, uint32_t seen, int64_t deadline_ns);

/* A gate of the process's store, which is never freed: so who was let through need not care what became of its owner. Taken in
 * turn; two owners of one gate at the same time only cost wake-ups without cause. */
struct gate *gate_take(void);

/* Lets everybody through who waits now. */
void gate_open(struct gate *gate);

#endif
