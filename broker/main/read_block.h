/* read_block.h: memory for what is read from the log on its way to a reader. Layer: main. Any thread.
 *
 * The sum of all blocks is bounded. Blocks of the usual size are kept and used again; a small result moves into a block of its
 * own size, so that readers which do not read hold little. */
#ifndef TRUC_MAIN_READ_BLOCK_H
#define TRUC_MAIN_READ_BLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct read_block {
    struct read_block *next;
    struct read_blocks *blocks;
    void *reading; /* who it was read for; reader_pool's */
    size_t capacity;
    _Alignas(16) uint8_t data[];
};

struct read_blocks {
    pthread_mutex_t mutex;
    size_t usual_capacity;
    size_t bytes_max, bytes; /* of blocks given out and kept */
    struct read_block *kept;
};

void read_blocks_init(struct read_blocks *blocks, size_t usual_capacity, size_t bytes_max);
void read_blocks_fini(struct read_blocks *blocks); /* no block may be out */

/* At least that capacity. NULL: the bound is reached (or no memory): try again when one was given back. One larger than the bound
 * is given when it would be the only one. */
struct read_block *read_block_take(struct read_blocks *blocks, size_t capacity);
void read_block_give(struct read_block *block);

/* Moves `size` bytes to a block of that size when that saves much; else the block itself. Beyond the bound if need be, by
 * little. */
struct read_block *read_block_fit(struct read_block *block, size_t size);

#endif
