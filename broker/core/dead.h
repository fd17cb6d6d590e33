/* dead.h: dead letters: records in dead.<agency>.<subscription> that say which record nobody could work on, and why. Layer: core.
 * One thread. docs/format.md "Dead letters". */
#ifndef TRUC_CORE_DEAD_H
#define TRUC_CORE_DEAD_H

#include "broker/core/subscription.h"

/* Gives the dead letters of all that are dead to the log and buries them; the caller saves in the same block. True when there were
 * any. Those that the log does not take now wait. */
bool dead_bury(struct core *core, struct subscription *subscription);

#endif
