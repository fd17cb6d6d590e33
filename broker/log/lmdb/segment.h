/* segment.h: one segment: an LMDB environment that holds consecutive blocks, block number -> block, and nothing else.
 * Layer: log, engine lmdb. docs/format.md "Segments".
 *
 * Ownership: whoever opened it. Threads: one writer; readers from any thread, each within its own transaction. A process never
 * has the same segment open twice: segments.h sees to that. */
#ifndef TRUC_LOG_LMDB_SEGMENT_H
#define TRUC_LOG_LMDB_SEGMENT_H

#include <lmdb.h>

#include "broker/log/lmdb/files.h"

enum {
    SEGMENT_IDLE_TXNS = 32,              /* reader transactions kept for reuse */
    SEGMENT_COMMIT_OVERHEAD = 128 * 1024 /* what LMDB's own pages of one commit may take beside the block */
};

struct segment {
    uint64_t first_block;
    MDB_env *env;
    MDB_dbi blocks;
    uint32_t page_bytes;
    uint64_t commit_count;
    pthread_mutex_t lock; /* of the idle transactions */
    MDB_txn *idle[SEGMENT_IDLE_TXNS];
    size_t idle_count;
};

/* Makes an empty segment at a path where nothing is, synced. It is closed again. */
truc_status segment_make(const char *path, char *why);

/* An LMDB file that is shorter than its meta pages say would kill the process with SIGBUS once mapped: TRUC_DAMAGED. */
truc_status segment_check_file(const char *path, uint64_t *ret_file_bytes, char *why);
/* LMDB keeps a table of readers beside a file, NAME-lock, and writes to it through a map, which on a full disk would be SIGBUS.
 * So it is placed in memory: the name becomes a link to a memory file. Called before the environment is opened; afterwards the
 * name, which nobody needs, since the directory's lock keeps other processes out, is removed and the descriptor closed. */
truc_status segment_place_readers(const char *path, int *ret_fd, char *why);
truc_status segment_remove_readers(const char *path, char *why); /* also one that a crash left */

/* Opens one. writable: the newest one; a stale table of readers is removed. Its size is checked against what its meta pages say
 * before anything is mapped: TRUC_DAMAGED when it was cut short or is no segment. map_bytes: room for it to grow, when writable. */
truc_status segment_open(const char *path, uint64_t first_block, bool writable, size_t map_bytes, struct segment **ret_segment,
                         char *why);
void segment_close(struct segment *segment); /* no transaction may be left; NULL is allowed */

/* Bytes of the file that are in use. */
uint64_t segment_used(const struct segment *segment);
/* The last block in it. TRUC_NOT_FOUND when it is empty. */
truc_status segment_last_block(struct segment *segment, uint64_t *ret_block, char *why);

/* Commits a block; durable when it returns. */
truc_status segment_commit(struct segment *segment, struct digest_context *digests, const struct log_draft *draft,
                           const struct block_place *place, uint8_t ret_chain[DIGEST_BYTES], char *why);
/* Flushes everything once more, before the next segment is begun. */
truc_status segment_sync(struct segment *segment, char *why);

truc_status segment_begin_read(struct segment *segment, MDB_txn **ret_txn, char *why);
void segment_end_read(struct segment *segment, MDB_txn *txn);
/* The block as it lies in the map, valid until the transaction ends. TRUC_NOT_FOUND in this transaction's state. */
truc_status segment_get(struct segment *segment, MDB_txn *txn, uint64_t block, struct bytes *ret_encoded, char *why);

/* Where in the file a value lies that segment_get gave, of which some pages may not be in memory yet. LMDB does not tell, but each
 * page of its files begins with the page's number, and a value lies behind such a beginning. On a damaged page: anything. */
uint64_t segment_offset(const struct segment *segment, const uint8_t *value);

/* Begins to read the file's bytes [begin, end) into the page cache, without waiting. */
void segment_warm(const struct segment *segment, uint64_t begin, uint64_t end);
/* Gives the page cache of the file's bytes [begin, end) back to the system, also where readers of this process mapped it. What is
 * dirty stays; what is needed again is read from the disk. */
void segment_cool(struct segment *segment, uint64_t begin, uint64_t end);

#endif
