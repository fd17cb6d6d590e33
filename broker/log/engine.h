/* engine.h: the seam between what decides and what keeps. Layer: log. Uses proto only.
 *
 * A log is opened once per process. Threads: log_commit from one thread (the log thread); readers from any thread, each reader
 * object from one at a time; everything else from any thread. An engine's own threads call only options.notify.
 * Errors carry a text in the log's language of paths, blocks and positions: `why`, a caller's buffer of LOG_WHY_BYTES. */
#ifndef TRUC_LOG_ENGINE_H
#define TRUC_LOG_ENGINE_H

#include "broker/log/block.h"

enum { LOG_WHY_BYTES = 512 };

struct log;        /* an open log */
struct log_reader; /* a reading of a pattern: what it knows of topics and where it stands; not a snapshot, holds no transaction */

struct log_options {
    const char *engine;            /* "lmdb" or "memory" */
    const char *directory;         /* lmdb: created when missing; locked against a second process (TRUC_LOCKED) */
    const char *domain;            /* of a log that is created; an existing log must have it (TRUC_LOG_MISMATCH) unless NULL */
    int64_t now_ns;                /* wall clock, stamped into block 0 of a log that is created */
    uint64_t segment_bytes;        /* 1 GiB by default; 8 MiB at least, always room for the largest commit */
    uint64_t cache_bytes;          /* so much of the log, what was used last, stays in the page cache; 1 GiB by default */
    uint64_t index_flush_bytes;    /* derived data is written every so many bytes of log; 256 MiB by default. Or every 65,536
                                    * entries or 262,144 deltas */
    uint32_t segments_open_max;    /* 16 by default */
    void (*notify)(void *context); /* capacity changed; called from an engine's thread; must not call back into the log */
    void *notify_context;
};

struct log_identity {
    char domain[DOMAIN_BYTES_MAX + 1];
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t generation;
    uint8_t hash_secret[16];
    int64_t created_ns;
};

/* Below it everything is on disk: blocks below `block`, positions below `position`. */
struct log_head {
    uint64_t block, position;
    int64_t last_append_ns; /* 0 when there is no entry */
    uint64_t record_count;
};

struct log_capacity {
    uint64_t available_bytes; /* that commits may still take (sum of block_size) before appends must be refused */
    bool full;                /* refuse appends now: the next segment could not be made (why tells) */
    char why[128];
};

/* Numbers given out when the log was opened, also to what is gone by then: none is given out twice. */
struct log_ids {
    uint64_t last_producer;
    uint32_t last_subscription;
};

struct log_usage {
    const char *engine;
    uint64_t bytes; /* of blocks */
    uint32_t segment_count;
    int64_t first_append_ns;
    bool durable; /* false: memory */
};

void log_options_init(struct log_options *ret_options); /* the defaults above */

/* Opens or creates; recovers (reads the unindexed tail, brings the derived data up), then visits every row of the catalog.
 * TRUC_LOCKED, TRUC_DAMAGED, TRUC_DISK_FULL, TRUC_LOG_MISMATCH, TRUC_IO, TRUC_NO_MEMORY, TRUC_INVALID_ARGUMENT. */
truc_status log_open(const struct log_options *options, const struct catalog_visitor *visitor, struct log **ret_log, char *why);

/* Writes what is derived, joins the engine's threads, closes. NULL is allowed. No reader may be left. */
void log_close(struct log *log);

const struct log_identity *log_identity(const struct log *log);
struct log_head log_head(const struct log *log);
struct log_capacity log_capacity(const struct log *log);
struct log_usage log_usage(const struct log *log);
struct log_ids log_ids(const struct log *log);

/* Commits one block. On TRUC_OK everything in it is durable and readable, and *ret_head is the new durable head. On any other
 * status nothing may be assumed, the log accepts no further commit, and the caller stops acknowledging and exits. */
truc_status log_commit(struct log *log, const struct log_draft *draft, struct log_head *ret_head, char *why);

/* --- reading ----------------------------------------------------------------------------------------------------------- */

struct log_filter {
    struct bytes pattern;                   /* valid pattern or topic; copied */
    struct bytes key, type;                 /* empty: any. By hash: an entry may come without a true match, never the reverse */
    int64_t event_since_ns, event_until_ns; /* 0: any; of at least one record, [since, until) */
    struct bytes agency, system;            /* of the source; empty: any */
};

truc_status log_reader_create(struct log *log, const struct log_filter *filter, bool reverse, struct log_reader **ret_reader);
void log_reader_destroy(struct log_reader *reader); /* NULL is allowed */

struct log_read {
    /* in: from is the next position to look at, until the exclusive end, at most the durable head;
     * reverse: from is exclusive, going down to until, inclusive */
    uint64_t from, until;
    uint8_t *out; /* served entries (entry.h) are copied here, one after the other */
    size_t capacity;
    uint32_t entries_max; /* 0: no limit */
    /* out */
    size_t size; /* bytes written */
    uint32_t entry_count;
    uint64_t record_count;
    uint64_t next; /* from of the next call; == until when the range is exhausted */
    size_t needed; /* when not 0: the next entry alone needs this capacity, nothing was written */
};

/* Copies what matches, within bounds: a call looks at no more than some 64 MiB of the log, then returns with next moved on even
 * if nothing matched. TRUC_DAMAGED: read->next is beyond the damaged entry, why names block and position. */
truc_status log_reader_read(struct log_reader *reader, struct log_read *read, char *why);

/* First position whose append time is at or after t; the durable head when there is none. */
truc_status log_find_time(struct log *log, int64_t t_ns, uint64_t *ret_position, char *why);

/* The entry that holds an offset of a topic. TRUC_NOT_FOUND (no such topic), TRUC_OUT_OF_RANGE (offset at or beyond its next:
 * *ret_position is then the durable head). */
truc_status log_find_offset(struct log *log, struct bytes topic, uint64_t offset, uint64_t *ret_position, char *why);

/* What the table of its block says of an entry below the durable head. TRUC_OUT_OF_RANGE, TRUC_DAMAGED. */
truc_status log_position_row(struct log *log, uint64_t position, struct block_row *ret_row, char *why);

/* A topic's row (name is copied into name_buffer of TOPIC_BYTES_MAX). TRUC_NOT_FOUND. */
truc_status log_topic(struct log *log, struct bytes topic, struct topic_row *ret_row, uint8_t *name_buffer);

#endif
