/* topics.h: the topics of a log and what its entries add up to for each. Layer: log, inside.
 *
 * Topic ids are dense from 1, so a row is found by its id at once; names are found by a hash table of ids. Rows are small and
 * live in chunks that never move. Threads: any; one writer (the log thread), a read-write lock inside, held briefly. */
#ifndef TRUC_LOG_TOPICS_H
#define TRUC_LOG_TOPICS_H

#include <pthread.h>

#include "broker/log/block.h"

struct topic_slot;
struct topic_names; /* a chunk of names */

struct topics {
    pthread_rwlock_t lock;
    uint32_t count;
    struct topic_slot **chunks; /* TOPICS_CHUNK slots each */
    size_t chunk_count;
    uint32_t *buckets; /* ids by hash of the name, 0: free; a power of two of them, at most two thirds in use */
    size_t bucket_count;
    struct topic_names *names; /* newest chunk first */
};

truc_status topics_init(struct topics *topics);
void topics_fini(struct topics *topics);

/* Adds the next topic; its id must be count + 1 and its name new (TRUC_DAMAGED). */
truc_status topics_add(struct topics *topics, const struct topic_row *row);

/* Checks that what a draft says of topics is possible: new topics follow densely, entries are of known topics and at their next
 * offsets. TRUC_INVALID_ARGUMENT, TRUC_NO_MEMORY. Then, after the commit, counts it all in. */
truc_status topics_check(struct topics *topics, const struct log_draft *draft);
void topics_apply(struct topics *topics, const struct log_draft *draft);

/* Rows are copied; the name into name_buffer (TOPIC_BYTES_MAX), or left out when that is NULL. */
bool topics_find(struct topics *topics, struct bytes name, struct topic_row *ret_row, uint8_t *name_buffer);
bool topics_get(struct topics *topics, uint32_t topic_id, struct topic_row *ret_row, uint8_t *name_buffer);
uint32_t topics_count(struct topics *topics);

/* Which topics from first_id on (at most max of them) match: sets bits (by id) in the bitmap, which has room for the last one,
 * and gives each to `found`. Returns how many were looked at. */
uint32_t topics_match(struct topics *topics, struct bytes pattern, uint32_t first_id, uint32_t max, uint64_t *bitmap,
                      void (*found)(void *context, uint32_t topic_id), void *context);

#endif
