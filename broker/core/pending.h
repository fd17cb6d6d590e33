/* pending.h: what was given to the log and waits for the disk, in ticket order. Layer: core. One thread.
 *
 * Also requests that add nothing to the log wait here when their answer says that something is stored: they carry the last ticket
 * given so far, and so are answered when everything accepted before them is durable. */
#ifndef TRUC_CORE_PENDING_H
#define TRUC_CORE_PENDING_H

#include "broker/core/core_internal.h"

/* Makes sure that `more` can be added. */
bool pending_reserve(struct core *core, uint32_t more);

/* Adds one; room was reserved. Counts its memory and log bytes. */
void pending_add(struct core *core, const struct pending *pending);

/* The first one, which must exist; and forgets it. */
static inline struct pending *pending_first(struct core *core)
{
    return &core->pending.items[core->pending.start];
}
void pending_drop_first(struct core *core);

/* Whether something that takes so much memory (with its batch) may still be accepted. */
static inline bool pending_has_room(const struct core *core, uint64_t bytes)
{
    return core->pending_bytes + bytes + PENDING_OVERHEAD <= core->config.pending_bytes_max || core->pending.count == 0;
}

/* Whether the log has room for so many bytes beyond what is on its way. */
static inline bool pending_log_has_room(const struct core *core, uint64_t bytes)
{
    return core->log_bytes_pending + bytes + LOG_OVERHEAD <= core->capacity.available_bytes;
}

/* Gives a delta to the log that nobody waits for. joined: in one block with what was given to the log before it in this step.
 * False, with nothing done, when the log takes none (what is joined it takes, as it took the one before) or memory is short. */
bool pending_delta(struct core *core, const struct delta *delta, bool joined);

#endif
