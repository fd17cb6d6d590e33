/* check.h: whether a data directory that a power cut left is what was promised. Layer: tests. One thread.
 *
 * The reference is the log as the run ended. A state must open, hold everything that was told to anyone, be a prefix of the
 * reference entry by entry and byte by byte, have a catalog that agrees with it, take a further commit, and then verify. */
#ifndef TRUC_TESTS_POWERCUT_CHECK_H
#define TRUC_TESTS_POWERCUT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reference {
    uint64_t *entries; /* hash of each entry as it is served, by position */
    size_t count, capacity;
    uint64_t segment_bytes;
};

enum { CHECK_WHY_BYTES = 768 };

/* Reads the log of a directory into the reference (opens it, so it may be changed). */
bool reference_read(struct reference *reference, const char *directory, char why[CHECK_WHY_BYTES]);
void reference_fini(struct reference *reference);

/* Positions below `need` must be there. Changes the directory. */
bool state_check(const struct reference *reference, const char *directory, uint64_t need, char why[CHECK_WHY_BYTES]);

#endif
