/* disk.h: a picture of a data directory as a power cut might leave it. Layer: tests. One thread.
 *
 * Three things are kept of every file: what is surely on disk, what was written since and not flushed (per 512-byte sector the
 * versions in order), and its sizes likewise; of the directory the names that are surely there and the changes since. A state
 * picks, by a seed and a way of choosing, what of the pending made it:
 *
 *   a write      kept, dropped, or torn: each of its sectors by itself
 *   a size       kept or dropped; what lies beyond the size is cut
 *   a name       created, renamed, removed, or not yet, until its directory was flushed (flushing the file is not enough) */
#ifndef TRUC_TESTS_POWERCUT_DISK_H
#define TRUC_TESTS_POWERCUT_DISK_H

#include "trace.h"

#include <stdbool.h>
#include <stddef.h>

enum { SECTOR_BYTES = 512 };

struct disk;

struct disk *disk_create(void); /* NULL: out of memory */
void disk_destroy(struct disk *disk);

/* Brings the picture on by one event; number: its place in the trace, from 1. False: the trace contradicts itself or memory is out.
 */
bool disk_apply(struct disk *disk, uint64_t number, const struct trace_event *event, const char *name, const uint8_t *data);

enum disk_choice {
    CHOICE_KEEP_ALL, /* the kernel had written everything */
    CHOICE_DROP_ALL, /* nothing that was not flushed */
    CHOICE_EACH,     /* a coin for each */
    CHOICE_TEAR,     /* every write torn */
    CHOICE_OLD,      /* what came before a random moment */
    CHOICE_NEW,      /* what came after a random moment */
    CHOICE_COUNT
};

/* Writes a state into an empty directory; lock files that are mapped are left out, as after a boot. False: errno tells. */
bool disk_materialise(const struct disk *disk, enum disk_choice choice, uint64_t seed, const char *directory);

/* How much is pending: a cut where nothing is pending has one state only. */
size_t disk_pending(const struct disk *disk);

#endif
