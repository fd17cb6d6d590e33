/* spare.h: room ahead of the log, zero-filled in the background: the rest of the current segment and the beginning of the next.
 * Layer: log, engine lmdb.
 *
 * Commits into space that was written before run two to four times as fast as into a growing file, and a disk that is full is
 * noticed before an acknowledgement depends on it. Filling keeps a lead over use, across the boundary of segments too. The lead
 * grows with what is written, byte for byte, up to a whole segment: a busy log is filled one file ahead, where filling and
 * commits never wait for each other's lock of a file, and it never comes in bursts; a log that is hardly used takes little room.
 * Filling bypasses the page cache where the file system lets it. LMDB never reads beyond what it has written, so what is filled
 * matters for speed and room only.
 *
 * Threads: one of its own; spare_reserve, spare_advance, spare_used from the log thread; the rest from any. */
#ifndef TRUC_LOG_LMDB_SPARE_H
#define TRUC_LOG_LMDB_SPARE_H

#include "broker/log/lmdb/files.h"

struct spare;

struct spare_options {
    const char *directory; /* borrowed for the spare's life */
    uint64_t segment_bytes;
    void (*notify)(void *context);
    void *notify_context;
};

/* Begins with the current segment's path (its file exists) and how much of it is in use. */
truc_status spare_start(const struct spare_options *options, const char *current_path, uint64_t used, struct spare **ret_spare,
                        char *why);
void spare_stop(struct spare *spare); /* joins its thread; NULL is allowed */

/* Waits until a commit of so many bytes has room. *ret_roll: not in the current segment but in the next one, which is ready.
 * TRUC_DISK_FULL. */
truc_status spare_reserve(struct spare *spare, uint64_t bytes, bool *ret_roll, char *why);

/* The next segment has become the current one, under a new name; the log thread renamed next.mdb. */
truc_status spare_advance(struct spare *spare, const char *current_path, char *why);

/* Tells how much of the current segment is in use. Waits a little while the filling lags behind the use. */
void spare_used(struct spare *spare, uint64_t used);

struct log_capacity spare_capacity(struct spare *spare);

/* A full disk stands in the way of derived data: gives the ballast up. It is made again when there is room. */
void spare_drop_ballast(struct spare *spare);

#endif
