/* derived.h: derived.mdb, what is derived from the blocks: rows of the catalog and how far they go. Layer: log, engine lmdb.
 * docs/format.md "Derived data".
 *
 * One environment; everything that one step of indexing brings is written in one transaction, with the mark of how far it goes,
 * so that it can be behind the log, never wrong about it. Every value ends with a checksum over its key and itself: LMDB has none.
 * Whatever is found damaged, or of another log, is thrown away and made again from the blocks.
 *
 * Threads: derived_write_* from one (the indexer); reading from any, in a transaction of its own. */
#ifndef TRUC_LOG_LMDB_DERIVED_H
#define TRUC_LOG_LMDB_DERIVED_H

#include <lmdb.h>

#include "broker/log/lmdb/files.h"

enum { DERIVED_TIERS = 4, DERIVED_KEY_BYTES_MAX = 48, DERIVED_VALUE_BYTES_MAX = 1960 };

enum derived_table {
    TABLE_META,
    TABLE_SEGMENTS,
    TABLE_TOPICS,
    TABLE_PRODUCERS,
    TABLE_SEQUENCES,
    TABLE_SUBSCRIPTIONS,
    TABLE_CURSORS,
    TABLE_LANES,
    TABLE_RECALLS,
    TABLE_RUNS,
    TABLE_POSTINGS, /* .. one per tier */
    TABLE_COUNT = TABLE_POSTINGS + DERIVED_TIERS
};

/* How far the derived data goes, and sums up to there. */
struct derived_mark {
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t generation;
    uint64_t block, position; /* blocks and positions below are in it */
    uint64_t record_count, bytes;
    int64_t first_append_ns, last_append_ns;
    uint8_t chain[DIGEST_BYTES]; /* of block - 1 */
    uint64_t next_run;
    uint64_t last_producer_id; /* these two: given out so far, also to what is gone */
    uint32_t last_subscription_id;
};

struct derived {
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
};

/* Opens derived.mdb or makes it. TRUC_DAMAGED: it cannot be used as it is. */
truc_status derived_open(const char *path, struct derived **ret_derived, char *why);
void derived_close(struct derived *derived); /* NULL is allowed */
/* Removes the file, so that it is made anew. */
truc_status derived_remove(const char *path, char *why);

truc_status derived_begin(struct derived *derived, bool write, MDB_txn **ret_txn, char *why);

/* --- sealed values ------------------------------------------------------------------------------------------------------- */

/* A key of big-endian numbers, so that byte order is their order. */
struct derived_key {
    uint8_t bytes[DERIVED_KEY_BYTES_MAX];
    size_t size;
};
void key_add_u32(struct derived_key *key, uint32_t value);
void key_add_u64(struct derived_key *key, uint64_t value);
uint32_t key_u32(const uint8_t *key);
uint64_t key_u64(const uint8_t *key);

/* value.size at most DERIVED_VALUE_BYTES_MAX. append: the key is greater than all that are there. */
truc_status derived_put(struct derived *derived, MDB_txn *txn, enum derived_table table, const struct derived_key *key,
                        struct bytes value, bool append, char *why);
/* TRUC_NOT_FOUND, TRUC_DAMAGED. The value is valid until the transaction ends or writes. */
truc_status derived_get(struct derived *derived, MDB_txn *txn, enum derived_table table, const struct derived_key *key,
                        struct bytes *ret_value);
/* Checks and strips what a cursor gave. */
truc_status derived_unseal(struct bytes key, struct bytes sealed, struct bytes *ret_value);

/* --- mark and rows ------------------------------------------------------------------------------------------------------- */

truc_status derived_get_mark(struct derived *derived, MDB_txn *txn, struct derived_mark *ret_mark);
truc_status derived_put_mark(struct derived *derived, MDB_txn *txn, const struct derived_mark *mark, char *why);

/* A copy of what block 0 says, for when that cannot be read. TRUC_NOT_FOUND, TRUC_DAMAGED. */
truc_status derived_get_identity(struct derived *derived, MDB_txn *txn, struct log_identity *ret_identity);
truc_status derived_put_identity(struct derived *derived, MDB_txn *txn, const struct log_identity *identity, char *why);

/* Rows borrow their names from the transaction. TRUC_NOT_FOUND, TRUC_DAMAGED. */
truc_status derived_get_topic(struct derived *derived, MDB_txn *txn, uint32_t topic_id, struct topic_row *ret_row);
truc_status derived_put_topic(struct derived *derived, MDB_txn *txn, const struct topic_row *row, char *why);
truc_status derived_put_producer(struct derived *derived, MDB_txn *txn, const struct producer_row *row, char *why);
/* Removes a producer and its sequences. */
truc_status derived_end_producer(struct derived *derived, MDB_txn *txn, uint64_t producer_id, char *why);
truc_status derived_get_sequence(struct derived *derived, MDB_txn *txn, uint64_t producer_id, uint32_t topic_id,
                                 struct sequence_row *ret_row);
truc_status derived_put_sequence(struct derived *derived, MDB_txn *txn, const struct sequence_row *row, char *why);
truc_status derived_put_subscription(struct derived *derived, MDB_txn *txn, const struct subscription_row *row, char *why);
/* Removes a subscription with its cursor and lanes. */
truc_status derived_end_subscription(struct derived *derived, MDB_txn *txn, uint32_t subscription_id, char *why);
truc_status derived_put_cursor(struct derived *derived, MDB_txn *txn, const struct cursor_row *row, char *why);
struct derived_key derived_lane_key(const struct lane_row *row); /* subscription, key, and where that is 0 the place */
truc_status derived_put_lane(struct derived *derived, MDB_txn *txn, const struct lane_row *row, char *why);
truc_status derived_put_recall(struct derived *derived, MDB_txn *txn, const struct recall_row *row, char *why);
truc_status derived_put_segment(struct derived *derived, MDB_txn *txn, uint64_t first_block, uint64_t first_position, char *why);

/* Visits every topic, then producer, sequence, subscription, cursor, lane, recall; also each segment. Any function may be NULL. */
struct derived_visitor {
    struct catalog_visitor catalog;
    void (*segment)(void *context, uint64_t first_block, uint64_t first_position);
    void *segment_context;
};
/* Checks the seal of every row, so that a visit afterwards does not stop half way. TRUC_DAMAGED. */
truc_status derived_check(struct derived *derived, char *why);
truc_status derived_visit(struct derived *derived, const struct derived_visitor *visitor, char *why);

#endif
