/* append_clock.h: what the broker's append clock must show, told from the clocks it was given. Layer: test of core. */
#ifndef TRUC_TESTS_SIM_APPEND_CLOCK_H
#define TRUC_TESTS_SIM_APPEND_CLOCK_H

#include "broker/core/core.h"

/* The core starts; once before each later step; an entry was accepted. */
void append_clock_start(const struct core_config *config, struct core_now now, int64_t last_append_ns);
void append_clock_step(struct core_now now);
void append_clock_entry(int64_t append_ns);

int64_t append_clock_ns(void);

#endif
