/* sound.h: whether an LMDB file's pages hang together. Layer: log, engine lmdb. No state, one thread.
 *
 * LMDB 0.9 trusts its pages: a flipped bit in a page's or a node's head makes it read and write where it must not. Derived data is
 * worked on all the time and can always be made anew, so its file is walked before it is opened: every page that is reachable,
 * every node in it, the list of free pages; nothing may be out of its bounds, or used twice. Keys and values are not looked at:
 * they have seals (derived.h). */
#ifndef TRUC_LOG_LMDB_SOUND_H
#define TRUC_LOG_LMDB_SOUND_H

#include "broker/log/lmdb/files.h"

/* The file's size must have been checked (segment_check_file). TRUC_DAMAGED, TRUC_IO, TRUC_NO_MEMORY. */
truc_status sound_check(const char *path, uint64_t file_bytes, char *why);

#endif
