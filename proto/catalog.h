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
    DELTA_LOG = 1,              /* first delta of block 0, and of the first block of a later generation */
    DELTA_TOPIC = 2,            /* before the topic's first entry, in its block or an earlier one */
    DELTA_PRODUCER = 3,         /* opened for the first time, or again under a new epoch */
    DELTA_PRODUCER_END = 4,     /* an unnamed producer's grace is over: its sequences are forgotten */
    DELTA_CLOCK = 5,            /* the wall clock jumped and was not followed */
    DELTA_SUBSCRIPTION = 6,     /* created, or changed: everything it is, but for what follows */
    DELTA_SUBSCRIPTION_END = 7, /* removed, with cursor and lanes */
    DELTA_CURSOR = 8,           /* how far a subscription is: acknowledged below it (ordered), looked at below it (shared) */
    DELTA_LANE = 9,             /* of a shared subscription: its first unresolved record of one key; or that there is none */
    DELTA_RECALL = 10           /* a record was recalled; before the entry that says so, in its block */
};

/* A record's place in a log: before it are the records of lower positions, and those of this position at lower indexes. */
struct place {
    uint64_t position;
    uint32_t index;
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

/* --- subscriptions: what is the same in deltas and rows ------------------------------------------------------------------- */

enum subscription_mode { SUBSCRIPTION_ORDERED = 1, SUBSCRIPTION_SHARED = 2 };

/* A subscription's definition. Texts are checked: owner by source_check's rule for an agency, name by the rule for a topic's token
 * (1 to SUBSCRIPTION_NAME_BYTES_MAX bytes), pattern by pattern_check; headers are name, zero byte, value, zero byte, repeated. */
struct subscription_row {
    uint32_t subscription_id; /* dense from 1, never used again */
    uint8_t mode;
    bool paused;
    struct bytes owner, name; /* of the agency; names are unique within it */
    struct bytes pattern;
    struct bytes type, key, source, headers; /* filter; empty: any. source: AGENCY or AGENCY/SYSTEM */
    int64_t created_ns;
    /* shared only, else 0 */
    uint32_t ack_wait_ms, attempts_max, in_flight_max;
    uint32_t backoff_ms[SUBSCRIPTION_BACKOFFS_MAX], backoff_count;
};

struct cursor_row {
    uint32_t subscription_id;
    struct place place;                   /* ordered: index 0 */
    uint64_t acknowledged, dead, expired; /* records, since it was created */
};

/* The first unresolved record of a key: all records of that key from there to the cursor are unresolved, but for those aside. Of a
 * record without a key (key 0), and of one aside: that one record. Lanes are told apart by key, those of one record by place (two
 * of one place there are not). */
struct lane_row {
    uint32_t subscription_id;
    uint64_t key;
    bool aside; /* out of its key's order: its deliver_at had not come, or it was dead and is given again */
    struct place place;
    uint32_t attempts;                                      /* that failed */
    uint8_t dead;                                           /* enum dead_reason: waits for its dead letter; 0: it does not */
    int64_t not_before_ns, first_failed_ns, last_failed_ns; /* append clock; 0 while attempts is 0, but for one aside */
    int64_t expires_at_ns;                                  /* append clock, 0: never. Only of a record that the row names */
};
struct delta_lane {
    bool gone; /* resolved: of the row only subscription, key, aside, and of one record the place count */
    struct lane_row row;
};

struct recall_row {
    uint32_t topic_id;
    uint64_t offset;          /* of the record that is recalled */
    struct bytes agency;      /* whose recall it is: valid if it is the record's source */
    uint64_t recall_position; /* of the entry that says so */
};

struct delta {
    enum delta_kind kind;
    union {
        struct delta_log log;
        struct delta_topic topic;
        struct delta_producer producer;
        uint64_t producer_end;
        struct delta_clock clock;
        struct subscription_row subscription;
        uint32_t subscription_end;
        struct cursor_row cursor;
        struct delta_lane lane;
        struct recall_row recall;
    };
};

enum { DELTA_BYTES_MAX = 1600 };

/* The most that one of a kind takes: DELTA_BYTES_MAX or, of most kinds, far less. */
size_t delta_bytes_max(enum delta_kind kind);

/* Writes a delta (at most delta_bytes_max of its kind); returns its padded size. */
size_t delta_write(uint8_t *out, const struct delta *delta);

/* Parses the next delta. False at the end, or with *ret_status = TRUC_DAMAGED. Unknown kinds are damage in this version. */
bool delta_next(struct reader *deltas, struct delta *ret_delta, truc_status *ret_status);

/* The next pair of a subscription's filter of headers. False at the end, or with headers->failed: a zero byte is missing, or a name
 * is empty. */
bool filter_header_next(struct reader *headers, struct bytes *ret_name, struct bytes *ret_value);
/* Whether they are pairs to the end, within SUBSCRIPTION_HEADERS_BYTES_MAX. */
bool filter_headers_check(struct bytes headers);

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

/* Called for each row at start: topics first, then producers, sequences, subscriptions, cursors, lanes, recalls. Rows are borrowed.
 * Returning anything but TRUC_OK stops the restore. Any function may be NULL. */
struct catalog_visitor {
    void *context;
    truc_status (*topic)(void *context, const struct topic_row *row);
    truc_status (*producer)(void *context, const struct producer_row *row);
    truc_status (*sequence)(void *context, const struct sequence_row *row);
    /* Every subscription, then its cursor and lanes after all subscriptions. */
    truc_status (*subscription)(void *context, const struct subscription_row *row);
    truc_status (*cursor)(void *context, const struct cursor_row *row);
    truc_status (*lane)(void *context, const struct lane_row *row);
    truc_status (*recall)(void *context, const struct recall_row *row);
};

#endif
