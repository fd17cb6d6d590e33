#include "broker/main/read_block.h"

#include <stdlib.h>
#include <string.h>

void read_blocks_init(struct read_blocks *blocks, size_t usual_capacity, size_t bytes_max)
{
    *blocks = (struct read_blocks){.usual_capacity = usual_capacity, .bytes_max = bytes_max};
    pthread_mutex_init(&blocks->mutex, NULL);
}

void read_blocks_fini(struct read_blocks *blocks)
{
    while (blocks->kept != NULL) {
        struct read_block *next = blocks->kept->next;
        free(blocks->kept);
        blocks->kept = next;
    }
    pthread_mutex_destroy(&blocks->mutex);
}

static size_t cost(size_t capacity)
{
    return sizeof(struct read_block) + capacity;
}

/* Frees kept blocks until `size` more bytes fit; with the mutex held. */
static bool make_room_locked(struct read_blocks *blocks, size_t size)
{
    while (blocks->bytes + size > blocks->bytes_max && blocks->kept != NULL) {
        struct read_block *block = blocks->kept;
        blocks->kept = block->next;
        blocks->bytes -= cost(block->capacity);
        free(block);
    }
    return blocks->bytes + size <= blocks->bytes_max || blocks->bytes == 0;
}

static struct read_block *block_create(struct read_blocks *blocks, size_t capacity)
{
    struct read_block *block = malloc(cost(capacity));
    if (block != NULL) {
        block->next = NULL;
        block->blocks = blocks;
        block->reading = NULL;
        block->capacity = capacity;
    }
    return block;
}

struct read_block *read_block_take(struct read_blocks *blocks, size_t capacity)
{
    struct read_block *block = NULL;
    if (capacity < blocks->usual_capacity) {
        capacity = blocks->usual_capacity;
    }
    pthread_mutex_lock(&blocks->mutex);
    if (capacity == blocks->usual_capacity && blocks->kept != NULL) {
        block = blocks->kept;
        blocks->kept = block->next;
    } else if (make_room_locked(blocks, cost(capacity)) && (block = block_create(blocks, capacity)) != NULL) {
        blocks->bytes += cost(capacity);
    }
    pthread_mutex_unlock(&blocks->mutex);
    return block;
}

void read_block_give(struct read_block *block)
{
    struct read_blocks *blocks = block->blocks;
    pthread_mutex_lock(&blocks->mutex);
    if (block->capacity == blocks->usual_capacity) {
        block->next = blocks->kept;
        blocks->kept = block;
        block = NULL;
    } else {
        blocks->bytes -= cost(block->capacity);
    }
    pthread_mutex_unlock(&blocks->mutex);
    free(block);
}

struct read_block *read_block_fit(struct read_block *block, size_t size)
{
    struct read_blocks *blocks = block->blocks;
    if (size > block->capacity / 4) {
        return block;
    }
    struct read_block *fitting = block_create(blocks, size);
    if (fitting == NULL) {
        return block;
    }
    memcpy(fitting->data, block->data, size);
    fitting->reading = block->reading;
    pthread_mutex_lock(&blocks->mutex);
    blocks->bytes += cost(size);
    pthread_mutex_unlock(&blocks->mutex);
    read_block_give(block);
    return fitting;
}
