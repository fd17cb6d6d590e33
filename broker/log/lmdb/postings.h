/* postings.h: the topic index: for each topic, where its entries are. Layer: log, engine lmdb. docs/format.md "Derived data".
 *
 * A run covers a stretch of positions: (run, topic, position of the first) -> a chunk of postings, written once, in order. One
 * step of indexing makes one run of tier 0; MERGE_FACTOR runs of a tier are merged to one of the next (merge.h), so that a topic
 * is found in few places however long the log. Threads: as derived.h. */
#ifndef TRUC_LOG_LMDB_POSTINGS_H
#define TRUC_LOG_LMDB_POSTINGS_H

#include "broker/log/lmdb/derived.h"

enum run_state { RUN_LIVE = 1, RUN_BUILDING = 2, RUN_DEAD = 3 }; /* readers see live ones only */

struct run {
    uint64_t id; /* grows */
    uint8_t tier, state;
    uint64_t first_position, end_position;
};

truc_status run_put(struct derived *derived, MDB_txn *txn, const struct run *run, char *why);
truc_status run_delete(struct derived *derived, MDB_txn *txn, uint64_t id, char *why);
/* All runs, by id; free()d by the caller. */
truc_status runs_list(struct derived *derived, MDB_txn *txn, struct run **ret_runs, size_t *ret_count);

/* Each chunk names the posting before its first one, wherever that is, so that a reader notices when one is missing: a flipped bit
 * in a key, which no checksum of a value can show. */
#define NO_POSITION UINT64_MAX

/* Writes the chunks of a run: postings in order of topic, then position. */
struct chunk_writer {
    struct derived *derived;
    MDB_txn *txn;
    const struct run *run;
    uint32_t topic_id;
    struct posting first, last;
    size_t size;      /* 0: no chunk is open */
    uint64_t written; /* bytes put so far */
    uint8_t bytes[DERIVED_VALUE_BYTES_MAX];
};
/* previous: the topic's posting before this one, or NO_POSITION. TRUC_DAMAGED when that is not the one added before. */
truc_status chunk_add(struct chunk_writer *writer, uint32_t topic_id, uint64_t previous, const struct posting *posting, char *why);
truc_status chunk_flush(struct chunk_writer *writer, char *why); /* writes the open chunk */

/* Reads a chunk's postings one by one. */
struct chunk_reader {
    struct reader reader;
    struct posting posting;
    uint64_t previous; /* the posting's position before this one, or NO_POSITION */
    bool begun;
};
struct chunk_reader chunk_read(uint64_t first_position, struct bytes value);
bool chunk_next(struct chunk_reader *chunk, truc_status *ret_status);

enum { CHUNK_KEY_BYTES = 20 };
struct derived_key chunk_key(uint64_t run, uint32_t topic_id, uint64_t position);

/* log_engine.postings and .posting_of_offset, below the mark. */
truc_status postings_find(struct derived *derived, uint32_t topic_id, uint64_t position, bool reverse, struct posting *postings,
                          size_t max, size_t *ret_count, uint64_t *ret_indexed);
truc_status postings_find_offset(struct derived *derived, uint32_t topic_id, uint64_t offset, struct posting *ret_posting,
                                 uint64_t *ret_indexed);

#endif
