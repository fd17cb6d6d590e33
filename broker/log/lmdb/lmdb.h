/* lmdb.h: the engine's own log, as its parts see it. Layer: log, engine lmdb. Threads: as engine.h says, and one each of
 * spare.h and indexer.h. */
#ifndef TRUC_LOG_LMDB_LMDB_H
#define TRUC_LOG_LMDB_LMDB_H

#include "broker/log/lmdb/cache.h"
#include "broker/log/lmdb/indexer.h"
#include "broker/log/lmdb/segments.h"
#include "broker/log/lmdb/spare.h"

struct lmdb_log {
    struct log base;
    char directory[FILES_PATH_MAX], derived_path[FILES_PATH_MAX];
    uint64_t segment_bytes, index_flush_bytes;
    uint64_t delta_count; /* committed since it was opened; the log thread's */
    int lock_fd;
    struct segments segments;
    struct cache *cache;
    struct segment *current; /* the newest; the log thread's */
    struct spare *spare;
    struct indexer *indexer;
};

/* log_engine.block and .access_end */
truc_status lmdb_block(struct block_access *access, uint64_t block, struct bytes *ret_encoded, char *why);
void lmdb_access_end(struct block_access *access);

/* Map of a segment that is written: its bytes, and room for a commit larger than it. */
size_t lmdb_map_bytes(uint64_t segment_bytes);

/* Opens what is there, or makes a new log: segments, head, derived data, rows (lmdb_open.c). */
truc_status lmdb_open(const struct log_options *options, const struct catalog_visitor *visitor, struct log **ret_log, char *why);
void lmdb_close(struct log *log);

#endif
