/* reader_pool.h: the threads that read the log. Layer: main.
 *
 * The core thread opens readings, asks one thing of each at a time, and closes them; workers answer with CORE_READ_RESOLVED,
 * CORE_READ_DONE, CORE_SCANNED, CORE_FETCHED and CORE_LOOKED. A reading whose last blocks have not gone out yet, because its peer
 * does not take them, is not read further: slow readers cost no memory, they only read later. When the memory of all blocks is used
 * up and somebody waits for it, `starved` is called now and then, so that peers which take nothing at all can be ended. */
#ifndef TRUC_MAIN_READER_POOL_H
#define TRUC_MAIN_READER_POOL_H

#include "broker/log/engine.h"
#include "broker/main/mailbox.h"
#include "broker/main/read_block.h"

enum { READER_THREADS_MAX = 64, READ_BLOCKS_UNSENT_MAX = 2, READ_STARVED_MS = 500 };

struct reader_pool_options {
    struct log *log; /* borrowed, as is the mailbox */
    struct mailbox *mailbox;
    unsigned thread_count;
    size_t block_bytes, block_bytes_total;
    void (*starved)(void *context);
    void *starved_context;
};

struct reader_pool;

struct reader_pool *reader_pool_create(const struct reader_pool_options *options); /* NULL: no memory or no threads */
/* Joins; every block must have come back. NULL is allowed. */
void reader_pool_destroy(struct reader_pool *pool);

/* By the core thread. False: no memory, the core cannot be answered. */
bool reader_pool_open(struct reader_pool *pool, uint64_t reader, const struct core_read_spec *spec);
/* The same for EFFECT_SCAN_OPEN and EFFECT_FETCH_OPEN, which are not answered. */
bool reader_pool_prepare(struct reader_pool *pool, const struct core_effect *effect);
/* EFFECT_LOOK: opens a reading that is asked this alone. */
bool reader_pool_look(struct reader_pool *pool, const struct core_effect *effect);
/* EFFECT_READ, EFFECT_SCAN, EFFECT_FETCH. */
void reader_pool_read(struct reader_pool *pool, const struct core_effect *effect);
void reader_pool_close(struct reader_pool *pool, uint64_t reader);

/* Gives a block of CORE_READ_DONE back; any thread. */
void reader_pool_give(void *block);

#endif
