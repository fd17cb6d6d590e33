/* segments.h: all segments of a log in order; few of them open at a time. Layer: log, engine lmdb.
 *
 * Threads: any. A segment that is in use (taken) stays open; of the others the least recently used are closed beyond
 * open_max. Opening happens outside the lock. The newest one is the writer's, who adds it, and stays open. */
#ifndef TRUC_LOG_LMDB_SEGMENTS_H
#define TRUC_LOG_LMDB_SEGMENTS_H

#include "broker/log/lmdb/segment.h"

struct segment_slot {
    uint64_t first_block;
    uint64_t first_position;
    bool first_position_known; /* not yet, when it could not be opened and derived data is missing */
    struct segment *segment;   /* NULL: not open */
    bool opening;              /* by some thread, outside the lock */
    uint32_t users;
    uint64_t last_used;
};

struct segments {
    const char *directory; /* borrowed */
    uint32_t open_max;
    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t opened;
    struct segment_slot *slots;
    size_t count, capacity;
    uint32_t open_count;
    uint64_t clock;
};

void segments_init(struct segments *segments, const char *directory, uint32_t open_max);
void segments_fini(struct segments *segments); /* closes them all; nobody may use one */

/* Adds the next one; segment may be NULL: not open. TRUC_NO_MEMORY. */
truc_status segments_add(struct segments *segments, uint64_t first_block, struct segment *segment);
void segments_set_position(struct segments *segments, uint64_t first_block, uint64_t first_position);
uint32_t segments_count(struct segments *segments);
/* The first block and position of the segment at an index; false beyond the last. */
bool segments_at(struct segments *segments, size_t index, struct segment_slot *ret_slot);

/* Takes the segment that holds a block, opening it if need be. *ret_first, *ret_end: the blocks it may hold, [first, end); end is
 * UINT64_MAX for the newest. Written on failure also. TRUC_DAMAGED, TRUC_IO, TRUC_NO_MEMORY. */
truc_status segments_take(struct segments *segments, uint64_t block, struct segment **ret_segment, uint64_t *ret_first,
                          uint64_t *ret_end, char *why);
void segments_give(struct segments *segments, struct segment *segment);

/* Gives the page cache of bytes [begin, end) of the segment with this first block back to the system (segment_cool), whether it is
 * open or not. */
void segments_cool(struct segments *segments, uint64_t first_block, uint64_t begin, uint64_t end);

/* Narrows [*low, *high), blocks, to the segment that holds a position. */
void segments_narrow(struct segments *segments, uint64_t position, uint64_t *low, uint64_t *high);

#endif
