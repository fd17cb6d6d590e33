/* memory_file.h: the highest place of the log that this client knows to be on the broker's disk, and the file that remembers it.
 *
 * Layer: libtruc. struct memory is the client's, under its lock; the file functions do I/O and are called without it.
 * The file is one line of text, replaced by an atomic rename:
 *     truc-memory-v1 log_id=HEX generation=N position=N index=N */
#ifndef TRUC_CLIENT_MEMORY_FILE_H
#define TRUC_CLIENT_MEMORY_FILE_H

#include "clients/c/truc.h"

struct memory {
    char *path;                /* NULL: remembered only while the client lives */
    bool known, dirty, failed; /* failed: the last write did; tried again later */
    truc_log_place place;      /* highest */
    int64_t save_at_ns;
};

enum { MEMORY_SAVE_INTERVAL_MS = 1000 };

/* TRUC_OK with *ret_found telling whether the file is there; TRUC_IO; TRUC_INVALID_ARGUMENT when it is not such a file. */
truc_status memory_file_read(const char *path, truc_log_place *ret_place, bool *ret_found);

/* TRUC_IO, TRUC_NO_MEMORY. */
truc_status memory_file_write(const char *path, const truc_log_place *place);

#endif
