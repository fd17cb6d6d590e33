/* flip_log.h: a small log with every kind of entry, and where its entries stand in its files. Layer: tests. One thread. */
#ifndef TRUC_TESTS_CRASH_FLIP_LOG_H
#define TRUC_TESTS_CRASH_FLIP_LOG_H

#include "broker/log/engine.h"

enum { FLIP_BLOCKS = 24, FLIP_ENTRIES_PER_BLOCK = 3, FLIP_ENTRIES = FLIP_BLOCKS * FLIP_ENTRIES_PER_BLOCK };

struct flip_entry {
    char file[640];
    uint64_t offset;     /* of the entry in the file */
    uint32_t size;       /* with directory */
    struct bytes served; /* what a reader gets; owned */
};

/* Creates the log in a directory, closes it, and fills the entries, by position. False: a message is on stderr. */
bool flip_log_create(const char *directory, struct flip_entry entries[FLIP_ENTRIES]);

/* Opens the log as a broker would. */
truc_status flip_log_open(const char *directory, struct log **ret_log, char *why);

#endif
