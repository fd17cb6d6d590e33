/* verify.h: checks a log's directory without a broker. Layer: log. For `truc log verify`. One thread.
 *
 * Checks every block and entry: structure, checksums, chain, dense block numbers, positions and offsets, append times strictly
 * increasing, leaves (each against its entry, its topic's previous leaf and the log's id), header digests, records roots,
 * directories against records, producers' sequences dense, subscriptions there before anything is said of them. Stops at the first
 * bad thing and names it. */
#ifndef TRUC_LOG_VERIFY_H
#define TRUC_LOG_VERIFY_H

#include "broker/log/engine.h"

struct log_verify_report {
    struct log_identity identity;
    uint64_t block_count, entry_count, record_count, topic_count, bytes;
    uint32_t segment_count;
    uint8_t chain[DIGEST_BYTES];      /* last chain value */
    bool bad;                         /* then: */
    uint64_t bad_block, bad_position; /* position UINT64_MAX: not an entry (header, table, deltas) */
    char bad_what[256];
};

/* Called now and then; returning false cancels (TRUC_CANCELLED). */
typedef bool log_verify_progress(void *context, const struct log_verify_report *so_far);

/* TRUC_OK, TRUC_DAMAGED (report.bad), TRUC_NOT_FOUND (not a log's directory), TRUC_LOCKED (a broker has it open), TRUC_CANCELLED,
 * TRUC_IO, TRUC_NO_MEMORY. */
truc_status log_verify(const char *directory, log_verify_progress *progress, void *context, struct log_verify_report *ret_report,
                       char *why);

#endif
