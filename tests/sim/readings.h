/* readings.h: the core's readings of the log, and the answers that are on their way to it. Layer: test of core. */
#ifndef TRUC_TESTS_SIM_READINGS_H
#define TRUC_TESTS_SIM_READINGS_H

#include "agenda.h"
#include "broker/core/core.h"
#include "broker/core/share.h"

void readings_begin(int64_t latency_ns, unsigned failures_one_in); /* 0: none */
void readings_calm(void);
void readings_forget(void); /* the core is gone */

/* EFFECT_READ_OPEN to EFFECT_READ_CLOSE. */
void readings_effect(const struct core_effect *effect);
/* OCCUR_READING: the event for the core; what it borrows is good until the next call. */
struct core_event readings_answer(void *message);
/* EFFECT_SEND_DATA, EFFECT_FREE_DATA: the buffer is given back. */
void readings_take_back(void *owner);
size_t readings_given(void); /* buffers that the core holds */
size_t readings_open(void);

#endif
