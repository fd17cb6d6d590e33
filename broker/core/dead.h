/* dead.h: dead letters: records in dead.<agency>.<subscription> that say which record nobody could work on, and why; and what was
 * done about them. Layer: core. One thread. docs/format.md "Dead letters". */
#ifndef TRUC_CORE_DEAD_H
#define TRUC_CORE_DEAD_H

#include "broker/core/subscription.h"
#include "proto/dead_letter.h"

enum { LETTERS_MAX = 256 }; /* of one batch */

/* Where the next one goes, as accepted: 0 when the topic does not exist yet. */
uint64_t dead_next_offset(const struct core *core, const struct subscription *subscription);

/* At most so many bytes of the log that a batch of letters takes. */
uint64_t dead_log_bytes(size_t count);

/* Gives a batch of letters to the log. joined: in one block with what was given to it before. False, with nothing done, when the
 * log does not take it now. */
bool dead_append(struct core *core, const struct subscription *subscription, const struct dead_letter *letters, size_t count,
                 bool joined);

/* Gives the dead letters of all that are dead to the log and buries them; the caller saves in the same block. True when there were
 * any. Those that the log does not take now wait. */
bool dead_bury(struct core *core, struct subscription *subscription);

#endif
