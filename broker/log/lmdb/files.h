/* files.h: the directory of a log: names in it, its lock, and what must reach the disk with it. Layer: log, engine lmdb.
 *
 *   DIR/lock                      flock'ed while the log is open; holds the holder's pid as text, for people
 *   DIR/segments/N.mdb            N: the first block in it, 20 digits;  N.mdb-lock: LMDB's table of readers, while in use
 *   DIR/segments/next.mdb         the next segment, being prepared
 *   DIR/derived.mdb               catalog and index, derived from the blocks
 *   DIR/ballast                   given up when a full disk stands in the way of derived data
 *
 * No state, any thread. Texts for people go to `why` (base.h). */
#ifndef TRUC_LOG_LMDB_FILES_H
#define TRUC_LOG_LMDB_FILES_H

#include "broker/log/base.h"

enum { FILES_PATH_MAX = 4096 };

/* Joins into out[FILES_PATH_MAX]. TRUC_INVALID_ARGUMENT when it does not fit. */
truc_status files_path(char *out, const char *directory, const char *name, char *why);
truc_status files_segment_path(char *out, const char *directory, uint64_t first_block, char *why);

/* Makes a directory with its parents, each synced into its parent. TRUC_IO, TRUC_DISK_FULL. */
truc_status files_make_directory(const char *path, char *why);
truc_status files_sync_directory(const char *path, char *why);

/* Locks the directory against a second process until the descriptor is closed. TRUC_LOCKED. create: makes the lock file. */
truc_status files_lock(const char *directory, bool create, int *ret_fd, char *why);

/* The first blocks of the segments that are there, ascending; free()d by the caller. */
truc_status files_list_segments(const char *directory, uint64_t **ret_first_blocks, size_t *ret_count, char *why);

/* What an errno or an LMDB code means; the text goes to why, after `what`. */
truc_status files_error(int code, const char *what, const char *path, char *why);
bool files_is_full(int code); /* no room: disk, quota or file size limit */

#endif
