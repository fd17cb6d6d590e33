/* area.h: a file whose space is taken and zero-filled ahead of its use. Layer: log, engine lmdb.
 *
 * Filling bypasses the page cache (O_DIRECT) where the file system lets it: then it neither evicts what readers need nor adds
 * dirty pages to a commit's flush. Only bytes at and above `filled` are ever written. One thread at a time. */
#ifndef TRUC_LOG_LMDB_AREA_H
#define TRUC_LOG_LMDB_AREA_H

#include "broker/log/lmdb/files.h"

enum { AREA_STEP_BYTES = 8 << 20 }; /* that one area_fill writes at most */

struct area {
    int fd;
    bool direct;
    uint64_t filled; /* bytes that are there for use */
    uint64_t target; /* where filling ends */
};

/* Opens a file, or makes one; what it holds counts as filled. A file larger than target makes that its target. */
truc_status area_open(struct area *ret_area, const char *path, bool create, uint64_t target, char *why);
void area_close(struct area *area);

/* One step towards `wanted` bytes (at most the target): AREA_STEP_BYTES at most are written and flushed, and then counted.
 * TRUC_DISK_FULL when there is no room, TRUC_IO; what was filled before stays. */
truc_status area_fill(struct area *area, uint64_t wanted, char *why);

#endif
