/* watch.h: whom a commit concerns: the patterns of readers that follow. Layer: core. One thread.
 *
 * All readers that follow the same pattern share a watch. For an exact topic the topic points to its watch, so a commit finds it
 * without a search; watches with wildcards are matched against the topics that a commit appended to, and remember which topics
 * they do not match. A parked reader costs nothing until an entry that its pattern matches is durable. */
#ifndef TRUC_CORE_WATCH_H
#define TRUC_CORE_WATCH_H

#include "broker/core/core_internal.h"

/* The watch of an exact topic's readers, if there are any. */
struct watch *watch_find_exact(const struct core *core, struct bytes topic);

/* Joins a reader to its pattern's watch (made when it is the first). False when out of memory. */
bool watch_join(struct core *core, struct core_reader *reader);
/* Lets go of it; the watch goes with its last reader. */
void watch_leave(struct core *core, struct core_reader *reader);

/* Whether something at or above the position may match. */
static inline bool watch_may_match(const struct watch *watch, uint64_t position)
{
    return watch->any_match && watch->last_match >= position;
}

void watch_park(struct core_reader *reader);
void watch_unpark(struct core_reader *reader);

/* Makes room to note the topics of a commit that may append `entries` times. Without it (out of memory) everybody is woken. */
bool watch_prepare(struct core *core, uint32_t entries);
/* After a commit: wakes the readers that it concerns. */
void watch_wake(struct core *core, bool noted);

#endif
