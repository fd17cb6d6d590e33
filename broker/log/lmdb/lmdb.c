/* lmdb.c: the engine's commits and reading. */
#include "broker/log/lmdb/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/log/lmdb/postings.h"

/* next.mdb becomes the current segment: the old one is wholly on disk before the new one's first commit, and so is its name. */
static truc_status roll_over(struct lmdb_log *log, uint64_t first_block, uint64_t first_position, char *why)
{
    char segments_path[FILES_PATH_MAX], next_path[FILES_PATH_MAX], path[FILES_PATH_MAX];
    struct segment *segment;
    truc_status status = segment_sync(log->current, why);
    if (status == TRUC_OK) {
        status = files_path(segments_path, log->directory, "segments", why);
    }
    if (status == TRUC_OK) {
        status = files_path(next_path, segments_path, "next.mdb", why);
    }
    if (status == TRUC_OK) {
        status = files_segment_path(path, log->directory, first_block, why);
    }
    if (status == TRUC_OK && rename(next_path, path) != 0) {
        status = files_error(errno, "renaming", next_path, why);
    }
    if (status == TRUC_OK) {
        status = files_sync_directory(segments_path, why);
    }
    if (status == TRUC_OK) {
        status = spare_advance(log->spare, path, why);
    }
    if (status == TRUC_OK) {
        status = segment_open(path, first_block, true, lmdb_map_bytes(log->segment_bytes), &segment, why);
    }
    if (status != TRUC_OK) {
        return status;
    }
    log->current = segment;
    status = segments_add(&log->segments, first_block, segment);
    segments_set_position(&log->segments, first_block, first_position);
    return status;
}

static truc_status lmdb_commit(struct log *base, const struct log_draft *draft, const struct block_place *place,
                               uint8_t ret_chain[DIGEST_BYTES], char *why)
{
    struct lmdb_log *log = (struct lmdb_log *)base;
    uint64_t size = block_size(draft);
    bool roll = false;
    if (log->indexer != NULL) { /* not yet at block 0 */
        indexer_committed(log->indexer, base->bytes, place->first_position, log->delta_count);
    }
    truc_status status = spare_reserve(log->spare, size, &roll, why);
    if (status == TRUC_OK && roll) {
        status = roll_over(log, place->block, place->first_position, why);
    }
    if (status == TRUC_OK) {
        status = segment_commit(log->current, base->digests, draft, place, ret_chain, why);
    }
    if (status == TRUC_OK) {
        uint64_t used = segment_used(log->current);
        log->delta_count += draft->delta_count;
        cache_written(log->cache, log->current, used > size ? used - size : 0, used);
        spare_used(log->spare, used);
    }
    return status;
}

void lmdb_access_end(struct block_access *access)
{
    if (access->segment != NULL) {
        struct lmdb_log *log = (struct lmdb_log *)access->log;
        segment_end_read(access->segment, access->txn);
        segments_give(&log->segments, access->segment);
        access->segment = NULL;
        access->txn = NULL;
    }
}

static truc_status access_begin(struct block_access *access, uint64_t block, char *why)
{
    struct lmdb_log *log = (struct lmdb_log *)access->log;
    struct segment *segment;
    MDB_txn *txn;
    lmdb_access_end(access);
    truc_status status = segments_take(&log->segments, block, &segment, &access->segment_first, &access->segment_end, why);
    if (status != TRUC_OK) {
        /* None of the segment's blocks can be read. */
        access->after = access->segment_end;
        access->before = access->segment_first == 0 ? UINT64_MAX : access->segment_first - 1;
        return status;
    }
    status = segment_begin_read(segment, &txn, why);
    if (status != TRUC_OK) {
        segments_give(&log->segments, segment);
        return status;
    }
    access->segment = segment;
    access->txn = txn;
    return TRUC_OK;
}

truc_status lmdb_block(struct block_access *access, uint64_t block, struct bytes *ret_encoded, char *why)
{
    truc_status status = TRUC_NOT_FOUND;
    bool fresh = false;
    while (status == TRUC_NOT_FOUND) {
        if (access->segment == NULL || block < access->segment_first || block >= access->segment_end) {
            status = access_begin(access, block, why);
            if (status != TRUC_OK) {
                return status;
            }
            fresh = true;
        }
        status = segment_get(access->segment, access->txn, block, ret_encoded, why);
        if (status != TRUC_NOT_FOUND) {
            break;
        }
        if (fresh) {
            log_why(why, "block %llu is missing", (unsigned long long)block);
            status = TRUC_DAMAGED;
        } else {
            lmdb_access_end(access); /* it may have come after the transaction began, or in a newer segment */
        }
    }
    if (status == TRUC_OK) {
        uint64_t offset = segment_offset(access->segment, ret_encoded->data);
        cache_read(((struct lmdb_log *)access->log)->cache, access->segment, offset, offset + ret_encoded->size);
    }
    if (status == TRUC_DAMAGED) {
        access->after = block + 1;
        access->before = block == 0 ? UINT64_MAX : block - 1;
    }
    return status;
}

static struct log_capacity lmdb_capacity(const struct log *base)
{
    return spare_capacity(((const struct lmdb_log *)base)->spare);
}

static uint32_t lmdb_segment_count(const struct log *base)
{
    return segments_count((struct segments *)&((const struct lmdb_log *)base)->segments);
}

static void lmdb_narrow(const struct log *base, uint64_t position, uint64_t *low, uint64_t *high)
{
    segments_narrow((struct segments *)&((const struct lmdb_log *)base)->segments, position, low, high);
}

static truc_status distrust(const struct lmdb_log *log, truc_status status)
{
    if (status == TRUC_DAMAGED) {
        indexer_distrust(log->indexer);
    }
    return status;
}

static truc_status lmdb_postings(const struct log *base, uint32_t topic_id, uint64_t position, bool reverse,
                                 struct posting *postings, size_t max, size_t *ret_count, uint64_t *ret_indexed)
{
    const struct lmdb_log *log = (const struct lmdb_log *)base;
    return distrust(
        log, postings_find(indexer_derived(log->indexer), topic_id, position, reverse, postings, max, ret_count, ret_indexed));
}

static truc_status lmdb_posting_of_offset(const struct log *base, uint32_t topic_id, uint64_t offset, struct posting *ret_posting,
                                          uint64_t *ret_indexed)
{
    const struct lmdb_log *log = (const struct lmdb_log *)base;
    return distrust(log, postings_find_offset(indexer_derived(log->indexer), topic_id, offset, ret_posting, ret_indexed));
}

const struct log_engine log_engine_lmdb = {
    .name = "lmdb",
    .durable = true,
    .open = lmdb_open,
    .close = lmdb_close,
    .commit = lmdb_commit,
    .capacity = lmdb_capacity,
    .segment_count = lmdb_segment_count,
    .block = lmdb_block,
    .access_end = lmdb_access_end,
    .narrow = lmdb_narrow,
    .postings = lmdb_postings,
    .posting_of_offset = lmdb_posting_of_offset,
};
