/* base.h: what every engine's log begins with, and what an engine must be able to do. Layer: log, inside.
 *
 * engine.c does what is the same for all (checks a draft, keeps topics and head, finds places), reader.c reads through
 * block_access; an engine only stores blocks, gets them back, and may know an index. Ownership: an engine's struct embeds
 * struct log as its first member and owns it. Threads: as engine.h says. */
#ifndef TRUC_LOG_BASE_H
#define TRUC_LOG_BASE_H

#include <pthread.h>

#include "broker/log/cut_cache.h"
#include "broker/log/engine.h"
#include "broker/log/topics.h"

/* A short look at blocks by one thread: begins zeroed but for `log`, keeps what was got valid until access_end. */
struct block_access {
    struct log *log;
    void *segment, *txn; /* the engine's; so are the blocks that the segment may hold: */
    uint64_t segment_first, segment_end;
    uint64_t after, before; /* when a block could not be got: the first block beyond, the last one before what is unreadable */
};

/* Where an entry of a topic is. */
struct posting {
    uint64_t position, block, base_offset;
};

struct log_engine {
    const char *name;
    bool durable;
    truc_status (*open)(const struct log_options *options, const struct catalog_visitor *visitor, struct log **ret_log, char *why);
    void (*close)(struct log *log);
    truc_status (*commit)(struct log *log, const struct log_draft *draft, const struct block_place *place,
                          uint8_t ret_chain[DIGEST_BYTES], char *why);
    struct log_capacity (*capacity)(const struct log *log);
    uint32_t (*segment_count)(const struct log *log);

    /* A block below the durable head, as bytes. TRUC_DAMAGED (access->after, ->before are set), TRUC_IO, TRUC_NO_MEMORY. */
    truc_status (*block)(struct block_access *access, uint64_t block, struct bytes *ret_encoded, char *why);
    void (*access_end)(struct block_access *access);

    /* Narrows the blocks [*low, *high) among which a position is; may leave them. NULL: it cannot. */
    void (*narrow)(const struct log *log, uint64_t position, uint64_t *low, uint64_t *high);

    /* Up to max postings of a topic from the index: upwards from `position`, or downwards from the one before it.
     * *ret_indexed: below this position the index is complete; at or above it, it says nothing. Anything but TRUC_OK: the
     * index cannot be used, the blocks can. NULL: the engine has none. */
    truc_status (*postings)(const struct log *log, uint32_t topic_id, uint64_t position, bool reverse, struct posting *postings,
                            size_t max, size_t *ret_count, uint64_t *ret_indexed);
    /* The last posting of a topic whose base offset is at or below `offset`; TRUC_NOT_FOUND when the index has none. */
    truc_status (*posting_of_offset)(const struct log *log, uint32_t topic_id, uint64_t offset, struct posting *ret_posting,
                                     uint64_t *ret_indexed);
};

struct log {
    const struct log_engine *engine;
    struct log_identity identity;
    struct log_ids ids;
    struct topics topics;
    struct cut_cache *cuts;         /* of all fetchers */
    struct digest_context *digests; /* the log thread's */
    uint8_t chain[DIGEST_BYTES];    /* of the last block; the log thread's */
    bool failed;                    /* a commit failed; the log thread's */
    pthread_mutex_t lock;           /* what follows */
    struct log_head head;
    uint64_t bytes; /* of blocks */
    int64_t first_append_ns;
};

extern const struct log_engine log_engine_lmdb, log_engine_memory;

truc_status log_base_init(struct log *log, const struct log_engine *engine);
void log_base_fini(struct log *log);

/* Sets the identity of a log that is created: random id and secret, generation 1. TRUC_INVALID_ARGUMENT (domain), TRUC_IO. */
truc_status log_identity_make(const struct log_options *options, struct log_identity *ret_identity, char *why);
/* Commits block 0, which holds the identity and nothing else. */
truc_status log_write_first_block(struct log *log, char *why);
/* An identity as the delta that says it. */
size_t log_identity_encode(const struct log_identity *identity, uint8_t out[DELTA_BYTES_MAX]);
truc_status log_identity_decode(struct bytes encoded, struct log_identity *ret_identity);
/* Reads an identity from block 0 (or the first block of a generation). TRUC_DAMAGED. */
truc_status log_identity_read(const struct block_view *view, struct log_identity *ret_identity);

/* A text for people; why may be NULL. */
void log_why(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Gets and parses a block; its number must be the one asked for. As log_engine.block. */
truc_status log_block(struct block_access *access, uint64_t block, struct block_view *ret_view, char *why);

/* The block that holds a position below the durable head. TRUC_DAMAGED when what would hold it cannot be read: *ret_block is
 * then a block of it. */
truc_status log_find_block(struct block_access *access, uint64_t position, uint64_t *ret_block, char *why);

#endif
