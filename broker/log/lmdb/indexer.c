#include "broker/log/lmdb/indexer.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "broker/log/lmdb/harvest.h"
#include "broker/log/lmdb/lmdb.h"
#include "broker/log/lmdb/merge.h"

enum { FLUSH_ENTRIES = 65536, FLUSH_DELTAS = 262144, LAG_FLUSHES = 3, RETRY_SECONDS = 1 };

struct indexer {
    struct lmdb_log *log;
    struct derived *derived;
    struct harvest harvest; /* its thread's; before that the opener's */
    struct merge merge;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t work, progress;
    struct derived_mark mark;
    uint64_t log_bytes, log_position;
    uint64_t log_deltas, indexed_deltas; /* since it was opened */
    bool stop, failing, distrusted;
};

truc_status indexer_identity(const char *path, struct log_identity *ret_identity)
{
    struct derived *derived;
    MDB_txn *txn;
    truc_status status = access(path, F_OK) == 0 ? derived_open(path, &derived, NULL) : TRUC_NOT_FOUND;
    if (status != TRUC_OK) {
        return status;
    }
    status = derived_begin(derived, false, &txn, NULL);
    if (status == TRUC_OK) {
        status = derived_get_identity(derived, txn, ret_identity);
        mdb_txn_abort(txn);
    }
    derived_close(derived);
    return status;
}

/* Opens derived.mdb and reads its mark, which must be this log's and not beyond it. */
static truc_status open_derived(struct indexer *indexer, char *why)
{
    struct lmdb_log *log = indexer->log;
    truc_status status = derived_open(log->derived_path, &indexer->derived, why);
    if (status != TRUC_OK) {
        return status;
    }
    MDB_txn *txn;
    status = derived_begin(indexer->derived, false, &txn, why);
    if (status != TRUC_OK) {
        return status;
    }
    const struct log_identity *identity = &log->base.identity;
    struct derived_mark mark;
    status = derived_get_mark(indexer->derived, txn, &mark);
    if (status == TRUC_NOT_FOUND) {
        mark = (struct derived_mark){.generation = identity->generation, .next_run = 1};
        memcpy(mark.log_id, identity->log_id, LOG_ID_BYTES);
        status = TRUC_OK;
    } else if (status == TRUC_OK &&
               (memcmp(mark.log_id, identity->log_id, LOG_ID_BYTES) != 0 || mark.generation != identity->generation ||
                mark.block > log->base.head.block || mark.position > log->base.head.position)) {
        status = TRUC_DAMAGED;
    }
    mdb_txn_abort(txn);
    struct block_access access = {.log = &log->base};
    struct block_view view;
    if (status == TRUC_OK && mark.block > 0 && log_block(&access, mark.block - 1, &view, why) == TRUC_OK &&
        memcmp(view.chain, mark.chain, DIGEST_BYTES) != 0) {
        status = TRUC_DAMAGED; /* of another past */
    }
    lmdb_access_end(&access);
    if (status == TRUC_OK) {
        status = derived_check(indexer->derived, why);
    }
    if (status == TRUC_OK) {
        indexer->mark = mark;
    }
    return status;
}

/* The directory of segments that begin in the stretch harvested, so that a start needs not open them. */
static truc_status write_segments(struct indexer *indexer, struct block_access *access, uint64_t from, uint64_t to, char *why)
{
    struct segments *segments = &indexer->log->segments;
    struct segment_slot slot;
    truc_status status = TRUC_OK;
    for (size_t i = segments_count(segments);
         status == TRUC_OK && i-- > 0 && segments_at(segments, i, &slot) && slot.first_block >= from;) {
        struct block_view view;
        if (slot.first_block >= to) {
            continue;
        }
        status = log_block(access, slot.first_block, &view, why);
        if (status == TRUC_OK) {
            segments_set_position(segments, slot.first_block, view.first_position);
            status = derived_put_segment(indexer->derived, indexer->harvest.txn, slot.first_block, view.first_position, why);
        }
    }
    return status;
}

/* Gathers blocks from the mark on, as many as one transaction should take. */
static truc_status gather(struct indexer *indexer, struct block_access *access, uint64_t head_block, char *why)
{
    struct harvest *harvest = &indexer->harvest;
    uint64_t first_bytes = harvest->mark.bytes;
    truc_status status = TRUC_OK;
    while (status == TRUC_OK && harvest->mark.block < head_block && harvest->count < HARVEST_ENTRIES_MAX &&
           harvest->delta_count < HARVEST_DELTAS_MAX && harvest->mark.bytes - first_bytes < indexer->log->index_flush_bytes) {
        struct block_view view;
        status = log_block(access, harvest->mark.block, &view, why);
        if (status == TRUC_OK) {
            status = harvest_block(harvest, &view, why);
        }
    }
    return status;
}

/* One step: gathers and writes in one transaction. */
static truc_status step(struct indexer *indexer, char *why)
{
    struct block_access access = {.log = &indexer->log->base};
    uint64_t head_block = log_head(access.log).block;
    struct derived_mark mark = indexer_mark(indexer);
    MDB_txn *txn;
    truc_status status = derived_begin(indexer->derived, true, &txn, why);
    if (status != TRUC_OK) {
        return status;
    }
    struct derived_mark stored;
    if (derived_get_mark(indexer->derived, txn, &stored) == TRUC_OK) {
        mark.next_run = stored.next_run; /* merges take ids as well */
    }
    harvest_begin(&indexer->harvest, indexer->derived, txn, &mark);
    status = gather(indexer, &access, head_block, why);
    if (status == TRUC_OK) {
        status = write_segments(indexer, &access, mark.block, indexer->harvest.mark.block, why);
    }
    lmdb_access_end(&access);
    if (status == TRUC_OK && mark.block == 0) {
        status = derived_put_identity(indexer->derived, txn, &access.log->identity, why);
    }
    if (status == TRUC_OK) {
        status = harvest_write(&indexer->harvest, why);
    }
    if (status != TRUC_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    int code = mdb_txn_commit(txn);
    if (code != 0) {
        return files_error(code, "writing", "derived.mdb", why);
    }
    pthread_mutex_lock(&indexer->lock);
    indexer->mark = indexer->harvest.mark;
    indexer->indexed_deltas += indexer->harvest.delta_count;
    pthread_cond_broadcast(&indexer->progress);
    pthread_mutex_unlock(&indexer->lock);
    return TRUC_OK;
}

/* All steps up to the head. Where the disk has no room the ballast is given up for it. */
static truc_status catch_up(struct indexer *indexer, char *why)
{
    truc_status status = TRUC_OK;
    while (status == TRUC_OK && indexer_mark(indexer).block < log_head(&indexer->log->base).block) {
        status = step(indexer, why);
        if (status == TRUC_DISK_FULL || status == TRUC_IO) {
            spare_drop_ballast(indexer->log->spare);
            status = step(indexer, why);
        }
    }
    return status;
}

truc_status indexer_open(struct lmdb_log *log, struct indexer **ret_indexer, char *why)
{
    struct indexer *indexer = calloc(1, sizeof *indexer);
    if (indexer == NULL) {
        return TRUC_NO_MEMORY;
    }
    indexer->log = log;
    pthread_mutex_init(&indexer->lock, NULL);
    pthread_cond_init(&indexer->progress, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&indexer->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    truc_status status = open_derived(indexer, why);
    if (status == TRUC_OK) {
        status = catch_up(indexer, why);
    }
    if (status != TRUC_OK && status != TRUC_NO_MEMORY && status != TRUC_DISK_FULL) {
        /* It is only derived: thrown away and made again. What is wrong with the blocks will come up once more. */
        derived_close(indexer->derived);
        indexer->derived = NULL;
        status = derived_remove(log->derived_path, why);
        if (status == TRUC_OK) {
            status = open_derived(indexer, why);
        }
        if (status == TRUC_OK) {
            status = catch_up(indexer, why);
        }
    }
    if (status != TRUC_OK) {
        indexer_close(indexer);
        return status;
    }
    indexer->log_bytes = indexer->mark.bytes;
    indexer->log_position = indexer->mark.position;
    indexer->indexed_deltas = 0;
    *ret_indexer = indexer;
    return TRUC_OK;
}

/* By how much; a step may have come upon blocks that indexer_committed has not told of yet. */
static uint64_t lag(uint64_t log, uint64_t indexed)
{
    return log > indexed ? log - indexed : 0;
}

/* Whether derived data is so many flushes behind the log: by bytes, or by entries or deltas where these are small. */
static bool behind(const struct indexer *indexer, uint64_t flushes)
{
    return lag(indexer->log_bytes, indexer->mark.bytes) >= flushes * indexer->log->index_flush_bytes ||
           lag(indexer->log_position, indexer->mark.position) >= flushes * FLUSH_ENTRIES ||
           lag(indexer->log_deltas, indexer->indexed_deltas) >= flushes * FLUSH_DELTAS;
}

/* A step failed: on a full disk the ballast makes room for once; then it is tried again now and then. */
static void failed(struct indexer *indexer, truc_status status)
{
    pthread_mutex_lock(&indexer->lock);
    bool first = !indexer->failing;
    indexer->failing = true;
    pthread_cond_broadcast(&indexer->progress);
    if ((status == TRUC_DISK_FULL || status == TRUC_IO) && first) {
        pthread_mutex_unlock(&indexer->lock);
        spare_drop_ballast(indexer->log->spare);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_SECONDS;
    while (!indexer->stop && pthread_cond_timedwait(&indexer->work, &indexer->lock, &until) == 0) {
        /* A commit's signal changes nothing. */
    }
    pthread_mutex_unlock(&indexer->lock);
}

static void *run(void *argument)
{
    struct indexer *indexer = argument;
    bool merging = true;
    pthread_mutex_lock(&indexer->lock);
    while (!indexer->stop) {
        bool due = behind(indexer, 1);
        if (!due && !merging) {
            pthread_cond_wait(&indexer->work, &indexer->lock);
            continue;
        }
        pthread_mutex_unlock(&indexer->lock);
        char why[LOG_WHY_BYTES];
        truc_status status = due ? step(indexer, why) : merge_step(&indexer->merge, indexer->derived, &merging, why);
        if (status != TRUC_OK) {
            merging = false;
            if (status == TRUC_DAMAGED) {
                indexer_distrust(indexer);
            }
            failed(indexer, status);
        }
        pthread_mutex_lock(&indexer->lock);
        if (status == TRUC_OK && due) {
            indexer->failing = false;
            merging = true;
        }
    }
    pthread_mutex_unlock(&indexer->lock);
    return NULL;
}

truc_status indexer_start(struct indexer *indexer, char *why)
{
    if (pthread_create(&indexer->thread, NULL, run, indexer) != 0) {
        log_why(why, "no thread can be started");
        return TRUC_NO_MEMORY;
    }
    indexer->threaded = true;
    return TRUC_OK;
}

void indexer_close(struct indexer *indexer)
{
    if (indexer == NULL) {
        return;
    }
    if (indexer->threaded) {
        pthread_mutex_lock(&indexer->lock);
        indexer->stop = true;
        pthread_cond_broadcast(&indexer->work);
        pthread_cond_broadcast(&indexer->progress);
        pthread_mutex_unlock(&indexer->lock);
        pthread_join(indexer->thread, NULL);
        (void)catch_up(indexer, NULL); /* what cannot be written now is derived at the next start */
    }
    harvest_fini(&indexer->harvest);
    derived_close(indexer->derived);
    if (indexer->distrusted) {
        (void)derived_remove(indexer->log->derived_path, NULL);
    }
    pthread_cond_destroy(&indexer->work);
    pthread_cond_destroy(&indexer->progress);
    pthread_mutex_destroy(&indexer->lock);
    free(indexer);
}

void indexer_distrust(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    indexer->distrusted = true;
    pthread_mutex_unlock(&indexer->lock);
}

struct derived_mark indexer_mark(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    struct derived_mark mark = indexer->mark;
    pthread_mutex_unlock(&indexer->lock);
    return mark;
}

struct derived *indexer_derived(struct indexer *indexer)
{
    return indexer->derived;
}

void indexer_committed(struct indexer *indexer, uint64_t bytes, uint64_t position, uint64_t deltas)
{
    pthread_mutex_lock(&indexer->lock);
    indexer->log_bytes = bytes;
    indexer->log_position = position;
    indexer->log_deltas = deltas;
    if (behind(indexer, 1)) {
        pthread_cond_signal(&indexer->work);
    }
    while (!indexer->failing && !indexer->stop && behind(indexer, LAG_FLUSHES)) {
        pthread_cond_wait(&indexer->progress, &indexer->lock);
    }
    pthread_mutex_unlock(&indexer->lock);
}
