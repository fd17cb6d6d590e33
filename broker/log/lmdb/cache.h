/* cache.h: which parts of the log stay in the page cache: those used last, up to a number of bytes. Layer: log, engine lmdb.
 *
 * A commit then writes into pages that were just given back, instead of taking new ones from the system and, in the end, from other
 * programs; a reader that goes through an old log does not drive the newest part out (ADR 0036). The unit is a stretch of a
 * segment's file. Who reads one stretch after the other has the next one read ahead.
 *
 * Threads: any. The system is asked outside the lock. */
#ifndef TRUC_LOG_LMDB_CACHE_H
#define TRUC_LOG_LMDB_CACHE_H

#include "broker/log/lmdb/segments.h"

#define CACHE_STRETCH_BYTES ((uint64_t)8 << 20)

struct cache;

/* At least two stretches. TRUC_NO_MEMORY. */
truc_status cache_create(uint64_t bytes, struct segments *segments, struct cache **ret_cache);
void cache_destroy(struct cache *cache); /* NULL is allowed */

/* Bytes [begin, end) of a segment that the caller has taken were written. */
void cache_written(struct cache *cache, const struct segment *segment, uint64_t begin, uint64_t end);
/* They are about to be read. */
void cache_read(struct cache *cache, const struct segment *segment, uint64_t begin, uint64_t end);

#endif
