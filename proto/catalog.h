/* catalog.h: the state that must be atomic with the log: deltas as blocks hold them, and the rows they add up to.
 *
 * Layer: proto (the core writes deltas and is restored from rows; the log stores the one and derives the other).
 * Pure, no allocation, any thread. docs/format.md "Deltas".
 *
 * A delta: u16 kind, u16 size (of the body), body; padded with zeros to 8. Deltas name records by place only. What an entry
 * already says (topic's next offset, a producer's next sequence, results) is derived from the entry and needs no delta. */
#ifndef TRUC_PROTO_CATALOG_H
#define TRUC_PROTO_CATALOG_H

#include "bytes.h"
#include "limits.h"
#include "status.h"

enum delta_kind {
    DELTA_LOG = 1,          /* first delta of block 0, and of the first block of a later generation */
    DELTA_TOPIC = 2,        /* before the topic's first entry, in its block or an earlier one */
    DELTA_PRODUCER = 3,     /* opened for the first time, or again under a new epoch */
    DELTA_PRODUCER_END = 4, /* an unnamed producer's grace is over: its sequences are forgotten */
    DELTA_CLOCK = 5         /* the wall clock jumped and was not followed */
};

struct delta_log {
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t generation;
    uint8_t hash_secret[16];
    int64_t created_ns;
    struct bytes domain;
};
struct delta_topic {
    uint32_t topic_id; /* dense from 1 */
    uint8_t evidence;
    struct bytes name;
};
struct delta_producer {
    uint64_t producer_id; /* dense from 1 */
    uint32_t epoch;       /* from 1 */
    bool named;
    struct bytes scope; /* AGENCY/SYSTEM */
    struct bytes name;  /* empty when not named */
};
struct delta_clock {
    int64_t expected_ns, found_ns;
};

struct delta {
    enum delta_kind kind;
    union {
        struct delta_log log;
        struct delta_topic topic;
        struct delta_producer producer;
        uint64_t producer_end;
        struct delta_clock clock;
    };
};

enum { DELTA_BYTES_MAX = 512 };

/* Writes a delta (at most DELTA_BYTES_MAX bytes); returns its padded size. */
size_t delta_write(uint8_t *out, const struct delta *delta);

/* Parses the next delta. False at the end, or with *ret_status = TRUC_DAMAGED. Unknown kinds are damage in this version. */
bool delta_next(struct reader *deltas, struct delta *ret_delta, truc_status *ret_status);

/* --- rows: what deltas and entries add up to ---------------------------------------------------------------------------- */

struct topic_row {
    uint32_t topic_id;
    uint8_t evidence;
    struct bytes name;
    uint64_t next_offset;
    uint8_t last_leaf_hash[DIGEST_BYTES];
    uint64_t first_position, last_position; /* meaningless while entry_count is 0 */
    int64_t created_ns, last_append_ns;
    uint64_t bytes; /* of batches as stored */
    uint64_t entry_count;
};
struct producer_row {
    uint64_t producer_id;
    uint32_t epoch;
    bool named;
    struct bytes scope, name;
};
struct batch_result {
    uint64_t position, base_offset;
    uint32_t record_count;
};
struct sequence_row {
    uint64_t producer_id;
    uint32_t topic_id;
    uint64_t next_sequence;
    uint32_t result_count; /* the last ones, oldest first; their sequences end at next_sequence */
    struct batch_result results[BATCHES_IN_FLIGHT_MAX];
};

/* Called for each row at start: topics first, then producers, then sequences. Rows are borrowed. Returning anything but
 * TRUC_OK stops the restore. */
struct catalog_visitor {
    void *context;
    truc_status (*topic)(void *context, const struct topic_row *row);
    truc_status (*producer)(void *context, const struct producer_row *row);
    truc_status (*sequence)(void *context, const struct sequence_row *row);
};

#endif
