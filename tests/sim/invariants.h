/* invariants.h: what must hold after every step, told by models that see all events and effects. Layer: test of core.
 *
 *   publishes       invariants.c: what PUBLISH_OK, DUPLICATE, OUT_OF_SEQUENCE and PRODUCER_OK say is on disk
 *   subscriptions   subscriptions.h: who takes part, share_model.h: what each worker was given and said, read_model.h: what was
 * read
 *
 * They know the log, the frames and the deltas, nothing of the core's inside. */
#ifndef TRUC_TESTS_SIM_INVARIANTS_H
#define TRUC_TESTS_SIM_INVARIANTS_H

#include "broker/core/core.h"
#include "network.h"

void invariants_begin(void);
void invariants_end(void);

void invariants_event(const struct core_event *event); /* before the step, in order */
void invariants_time(void);                            /* after it: what is due at this moment has happened */
/* then what it did, in order: */
void invariants_append(const struct core_effect *effect);
void invariants_delta(uint64_t ticket, const struct delta *delta);
void invariants_fetch_open(uint64_t reader);
void invariants_fetch(uint64_t reader, const struct place *places, size_t count);
void invariants_frame(struct connection *connection, const struct frame *frame);
void invariants_left(uint64_t connection);
void invariants_stepped(void);

void invariants_durable(uint64_t ticket);
void invariants_crash(void); /* the log is what is durable, the core is gone */

/* Whether everything that was promised was given and confirmed; why not. */
bool invariants_done(const char **ret_why);
void invariants_finish(void);

#endif
