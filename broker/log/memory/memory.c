/* memory.c: the engine for tests: blocks in memory, gone with the process. Same promises but for durability. */
#include <stdlib.h>

#include "broker/log/base.h"

struct memory_log {
    struct log base;
    pthread_mutex_t lock; /* of the array; a block itself never changes */
    struct bytes *blocks;
    size_t count, capacity;
};

static void memory_close(struct log *log)
{
    struct memory_log *memory = (struct memory_log *)log;
    for (size_t i = 0; i < memory->count; i++) {
        free((void *)(uintptr_t)memory->blocks[i].data);
    }
    free(memory->blocks);
    pthread_mutex_destroy(&memory->lock);
    log_base_fini(log);
    free(memory);
}

static truc_status memory_open(const struct log_options *options, const struct catalog_visitor *visitor, struct log **ret_log,
                               char *why)
{
    (void)visitor; /* a new log has no rows */
    struct memory_log *memory = calloc(1, sizeof *memory);
    if (memory == NULL || log_base_init(&memory->base, &log_engine_memory) != TRUC_OK) {
        free(memory);
        log_why(why, "out of memory");
        return TRUC_NO_MEMORY;
    }
    pthread_mutex_init(&memory->lock, NULL);
    truc_status status = log_identity_make(options, &memory->base.identity, why);
    if (status == TRUC_OK) {
        status = log_write_first_block(&memory->base, why);
    }
    if (status != TRUC_OK) {
        memory_close(&memory->base);
        return status;
    }
    *ret_log = &memory->base;
    return TRUC_OK;
}

static truc_status memory_commit(struct log *log, const struct log_draft *draft, const struct block_place *place,
                                 uint8_t ret_chain[DIGEST_BYTES], char *why)
{
    struct memory_log *memory = (struct memory_log *)log;
    size_t size = block_size(draft);
    uint8_t *encoded = malloc(size);
    truc_status status = encoded == NULL ? TRUC_NO_MEMORY : TRUC_OK;
    if (status == TRUC_OK) {
        block_write(log->digests, encoded, draft, place, ret_chain);
    }
    pthread_mutex_lock(&memory->lock);
    if (status == TRUC_OK && memory->count == memory->capacity) {
        size_t capacity = memory->capacity == 0 ? 64 : memory->capacity * 2;
        struct bytes *blocks = realloc(memory->blocks, capacity * sizeof *blocks);
        if (blocks != NULL) {
            memory->blocks = blocks;
            memory->capacity = capacity;
        } else {
            status = TRUC_NO_MEMORY;
        }
    }
    if (status == TRUC_OK) {
        memory->blocks[memory->count++] = bytes_of(encoded, size);
    }
    pthread_mutex_unlock(&memory->lock);
    if (status != TRUC_OK) {
        free(encoded);
        log_why(why, "block %llu: out of memory", (unsigned long long)place->block);
    }
    return status;
}

static struct log_capacity memory_capacity(const struct log *log)
{
    (void)log;
    return (struct log_capacity){.available_bytes = UINT64_MAX};
}

static uint32_t memory_segment_count(const struct log *log)
{
    (void)log;
    return 1;
}

static truc_status memory_block(struct block_access *access, uint64_t block, struct bytes *ret_encoded, char *why)
{
    struct memory_log *memory = (struct memory_log *)access->log;
    pthread_mutex_lock(&memory->lock);
    bool there = block < memory->count;
    if (there) {
        *ret_encoded = memory->blocks[block];
    }
    pthread_mutex_unlock(&memory->lock);
    if (!there) {
        log_why(why, "block %llu is not there", (unsigned long long)block);
        access->after = block + 1;
        access->before = block == 0 ? UINT64_MAX : block - 1;
    }
    return there ? TRUC_OK : TRUC_DAMAGED;
}

static void memory_access_end(struct block_access *access)
{
    (void)access;
}

const struct log_engine log_engine_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .commit = memory_commit,
    .capacity = memory_capacity,
    .segment_count = memory_segment_count,
    .block = memory_block,
    .access_end = memory_access_end,
};
