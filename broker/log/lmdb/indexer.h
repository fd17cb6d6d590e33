/* indexer.h: brings derived data up to the log, in the background and at start. Layer: log, engine lmdb.
 *
 * Threads: one of its own after indexer_start. Commits never wait for it, unless it has fallen LAG_FLUSHES flushes behind: then
 * they go at its pace, so that a start never has much to catch up with. On a full disk it falls behind instead. */
#ifndef TRUC_LOG_LMDB_INDEXER_H
#define TRUC_LOG_LMDB_INDEXER_H

#include "broker/log/lmdb/derived.h"

struct lmdb_log;
struct indexer;

/* Which log the derived data at a path is of: for when block 0, which says so, cannot be read. TRUC_NOT_FOUND, TRUC_DAMAGED. */
truc_status indexer_identity(const char *path, struct log_identity *ret_identity);

/* Opens derived data; when missing, damaged or not of this log (whose identity and head are set in base), makes it anew. Brings it
 * up to the head. TRUC_DAMAGED: the blocks themselves are. */
truc_status indexer_open(struct lmdb_log *log, struct indexer **ret_indexer, char *why);
truc_status indexer_start(struct indexer *indexer, char *why); /* its thread */
/* Writes what is left, joins, closes. NULL is allowed. */
void indexer_close(struct indexer *indexer);

/* Somebody came upon damage in it: it is not used for what it gave, and made anew at the next start. Any thread. */
void indexer_distrust(struct indexer *indexer);

/* How far it goes, and sums up to there. */
struct derived_mark indexer_mark(struct indexer *indexer);
struct derived *indexer_derived(struct indexer *indexer);

/* Before a commit: so many bytes in blocks, and positions, are durable and readable; deltas are counted since the log was opened.
 */
void indexer_committed(struct indexer *indexer, uint64_t bytes, uint64_t position, uint64_t deltas);

#endif
