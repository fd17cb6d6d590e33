/* last_words.h: of many deltas of cursors and lanes the last one on each. Layer: log, engine lmdb. One thread.
 *
 * There can be hundreds of thousands of them a second, most of lanes that come and go: what is gathered costs memory and LMDB
 * operations by the lanes that are left, not by the deltas. */
#ifndef TRUC_LOG_LMDB_LAST_WORDS_H
#define TRUC_LOG_LMDB_LAST_WORDS_H

#include "broker/log/lmdb/derived.h"

struct last_word;

/* Begins zeroed. */
struct last_words {
    struct last_word *words;
    size_t count, capacity;
    uint32_t *buckets; /* index + 1 into words by hash, 0: free; a power of two of them, more than twice as many as words */
    size_t bucket_count;
};

void last_words_fini(struct last_words *words);
void last_words_clear(struct last_words *words); /* memory is kept for the next time */

/* Takes a delta of a cursor or a lane. TRUC_NO_MEMORY. */
truc_status last_words_take(struct last_words *words, const struct delta *delta);
/* Writes the rows that are left and removes those that are gone. */
truc_status last_words_write(struct last_words *words, struct derived *derived, MDB_txn *txn, char *why);

#endif
