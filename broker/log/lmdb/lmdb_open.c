/* lmdb_open.c: opening, recovery, closing.
 *
 * A commit is durable when it returns, and LMDB's are atomic: there is no torn tail, nothing is ever cut. Recovery is: the newest
 * segment with a block in it says where the log ends; derived data is brought up to there; a next segment left half made, or
 * renamed but never used, is removed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/log/lmdb/lmdb.h"

/* Room in the map, not on disk, for a commit larger than a segment. */
#define MAP_SLACK_BYTES ((size_t)512 << 20)

size_t lmdb_map_bytes(uint64_t segment_bytes)
{
    return (size_t)segment_bytes + MAP_SLACK_BYTES;
}

void lmdb_close(struct log *base)
{
    struct lmdb_log *log = (struct lmdb_log *)base;
    indexer_close(log->indexer);
    spare_stop(log->spare);
    segments_fini(&log->segments);
    cache_destroy(log->cache);
    if (log->lock_fd >= 0) {
        (void)close(log->lock_fd);
    }
    log_base_fini(base);
    free(log);
}

static truc_status start_spare(struct lmdb_log *log, const struct log_options *options, uint64_t first_block, char *why)
{
    char path[FILES_PATH_MAX];
    struct spare_options spare = {.directory = log->directory,
                                  .segment_bytes = log->segment_bytes,
                                  .notify = options->notify,
                                  .notify_context = options->notify_context};
    truc_status status = files_segment_path(path, log->directory, first_block, why);
    return status == TRUC_OK ? spare_start(&spare, path, segment_used(log->current), &log->spare, why) : status;
}

static truc_status open_newest(struct lmdb_log *log, uint64_t first_block, char *why)
{
    char path[FILES_PATH_MAX];
    truc_status status = files_segment_path(path, log->directory, first_block, why);
    if (status == TRUC_OK) {
        status = segment_open(path, first_block, true, lmdb_map_bytes(log->segment_bytes), &log->current, why);
    }
    return status;
}

/* Makes the first segment under another name, so that a crash leaves none or a whole one. */
static truc_status make_first_segment(const struct lmdb_log *log, char *why)
{
    char path[FILES_PATH_MAX], made_path[FILES_PATH_MAX], segments_path[FILES_PATH_MAX];
    truc_status status = files_path(segments_path, log->directory, "segments", why);
    if (status == TRUC_OK) {
        status = files_path(made_path, segments_path, "next.mdb", why);
    }
    if (status == TRUC_OK) {
        status = files_segment_path(path, log->directory, 0, why);
    }
    if (status == TRUC_OK && unlink(made_path) != 0 && errno != ENOENT) { /* left half made */
        status = files_error(errno, "removing", made_path, why);
    }
    if (status == TRUC_OK) {
        status = segment_make(made_path, why);
    }
    if (status == TRUC_OK && rename(made_path, path) != 0) {
        status = files_error(errno, "renaming", made_path, why);
    }
    return status == TRUC_OK ? files_sync_directory(segments_path, why) : status;
}

/* Makes a log: its first segment, and block 0, which says which log it is. */
static truc_status create(struct lmdb_log *log, const struct log_options *options, char *why)
{
    truc_status status = log_identity_make(options, &log->base.identity, why);
    if (status == TRUC_OK) {
        status = derived_remove(log->derived_path, why);
    }
    if (status == TRUC_OK) {
        status = make_first_segment(log, why);
    }
    if (status == TRUC_OK) {
        status = open_newest(log, 0, why);
    }
    if (status == TRUC_OK) {
        status = segments_add(&log->segments, 0, log->current);
    }
    if (status == TRUC_OK) {
        segments_set_position(&log->segments, 0, 0);
        status = start_spare(log, options, 0, why);
    }
    return status == TRUC_OK ? log_write_first_block(&log->base, why) : status;
}

/* Opens the newest segment; one without a block was never used and is removed. *ret_count: how many there are then. */
static truc_status open_last(struct lmdb_log *log, const uint64_t *first_blocks, size_t count, size_t *ret_count,
                             uint64_t *ret_last, char *why)
{
    truc_status status = TRUC_NOT_FOUND;
    while (count > 0 && status == TRUC_NOT_FOUND) {
        char path[FILES_PATH_MAX];
        status = open_newest(log, first_blocks[count - 1], why);
        if (status != TRUC_OK) {
            return status;
        }
        status = segment_last_block(log->current, ret_last, why);
        if (status == TRUC_OK) {
            break;
        }
        segment_close(log->current);
        log->current = NULL;
        if (status != TRUC_NOT_FOUND) {
            return status;
        }
        truc_status removed = files_segment_path(path, log->directory, first_blocks[count - 1], why);
        if (removed == TRUC_OK && unlink(path) != 0) {
            removed = files_error(errno, "removing", path, why);
        }
        if (removed != TRUC_OK) {
            return removed;
        }
        count--;
    }
    *ret_count = count;
    return count == 0 ? TRUC_NOT_FOUND : status;
}

/* Where the log ends, and which log it is. */
static truc_status read_ends(struct lmdb_log *log, uint64_t last_block, char *why)
{
    struct block_access access = {.log = &log->base};
    struct block_view view;
    log->base.head.block = last_block + 1;
    truc_status status = log_block(&access, last_block, &view, why);
    if (status == TRUC_OK) {
        log->base.head.position = view.first_position + view.entry_count;
        memcpy(log->base.chain, view.chain, DIGEST_BYTES);
        status = log_block(&access, 0, &view, why);
        if (status == TRUC_OK) {
            status = log_identity_read(&view, &log->base.identity);
        }
        /* The rest is served all the same when the first segment is lost. */
        if (status == TRUC_DAMAGED && indexer_identity(log->derived_path, &log->base.identity) == TRUC_OK) {
            status = TRUC_OK;
        }
        if (status == TRUC_DAMAGED && (why == NULL || why[0] == '\0')) {
            log_why(why, "block 0 does not say which log this is");
        }
    }
    lmdb_access_end(&access);
    return status;
}

/* --- rows: into the log's own table of topics and on to the visitor ------------------------------------------------------- */

struct restore {
    struct lmdb_log *log;
    const struct catalog_visitor *visitor; /* may be NULL */
};

static truc_status restore_topic(void *context, const struct topic_row *row)
{
    struct restore *restore = context;
    truc_status status = topics_add(&restore->log->base.topics, row);
    const struct catalog_visitor *visitor = restore->visitor;
    return status == TRUC_OK && visitor != NULL && visitor->topic != NULL ? visitor->topic(visitor->context, row) : status;
}

static truc_status restore_producer(void *context, const struct producer_row *row)
{
    const struct catalog_visitor *visitor = ((struct restore *)context)->visitor;
    return visitor != NULL && visitor->producer != NULL ? visitor->producer(visitor->context, row) : TRUC_OK;
}

static truc_status restore_sequence(void *context, const struct sequence_row *row)
{
    const struct catalog_visitor *visitor = ((struct restore *)context)->visitor;
    return visitor != NULL && visitor->sequence != NULL ? visitor->sequence(visitor->context, row) : TRUC_OK;
}

static truc_status restore_subscription(void *context, const struct subscription_row *row)
{
    const struct catalog_visitor *visitor = ((struct restore *)context)->visitor;
    return visitor != NULL && visitor->subscription != NULL ? visitor->subscription(visitor->context, row) : TRUC_OK;
}

static truc_status restore_cursor(void *context, const struct cursor_row *row)
{
    const struct catalog_visitor *visitor = ((struct restore *)context)->visitor;
    return visitor != NULL && visitor->cursor != NULL ? visitor->cursor(visitor->context, row) : TRUC_OK;
}

static truc_status restore_lane(void *context, const struct lane_row *row)
{
    const struct catalog_visitor *visitor = ((struct restore *)context)->visitor;
    return visitor != NULL && visitor->lane != NULL ? visitor->lane(visitor->context, row) : TRUC_OK;
}

static truc_status restore_recall(void *context, const struct recall_row *row)
{
    const struct catalog_visitor *visitor = ((struct restore *)context)->visitor;
    return visitor != NULL && visitor->recall != NULL ? visitor->recall(visitor->context, row) : TRUC_OK;
}

static void restore_segment(void *context, uint64_t first_block, uint64_t first_position)
{
    segments_set_position(&((struct restore *)context)->log->segments, first_block, first_position);
}

static truc_status restore(struct lmdb_log *log, const struct catalog_visitor *visitor, char *why)
{
    truc_status status = indexer_open(log, &log->indexer, why);
    if (status != TRUC_OK) {
        return status;
    }
    struct derived_mark mark = indexer_mark(log->indexer);
    log->base.head.record_count = mark.record_count;
    log->base.head.last_append_ns = mark.last_append_ns;
    log->base.first_append_ns = mark.first_append_ns;
    log->base.bytes = mark.bytes;
    log->base.ids = (struct log_ids){mark.last_producer_id, mark.last_subscription_id};
    struct restore restore = {.log = log, .visitor = visitor};
    struct derived_visitor rows = {.catalog = {&restore, restore_topic, restore_producer, restore_sequence, restore_subscription,
                                               restore_cursor, restore_lane, restore_recall},
                                   .segment = restore_segment,
                                   .segment_context = &restore};
    return derived_visit(indexer_derived(log->indexer), &rows, why);
}

static truc_status open_existing(struct lmdb_log *log, const struct log_options *options, const uint64_t *first_blocks,
                                 size_t count, char *why)
{
    uint64_t last_block = 0;
    truc_status status = open_last(log, first_blocks, count, &count, &last_block, why);
    if (status != TRUC_OK) {
        return status;
    }
    for (size_t i = 0; status == TRUC_OK && i < count; i++) {
        status = segments_add(&log->segments, first_blocks[i], i + 1 == count ? log->current : NULL);
    }
    if (status == TRUC_OK) {
        status = read_ends(log, last_block, why);
    }
    if (status == TRUC_OK && options->domain != NULL && strcmp(options->domain, log->base.identity.domain) != 0) {
        log_why(why, "the log in %s is of domain `%s`, not `%s`", log->directory, log->base.identity.domain, options->domain);
        status = TRUC_LOG_MISMATCH;
    }
    return status == TRUC_OK ? start_spare(log, options, first_blocks[count - 1], why) : status;
}

static truc_status prepare_directory(struct lmdb_log *log, char *why)
{
    char path[FILES_PATH_MAX];
    truc_status status = files_path(path, log->directory, "segments", why);
    if (status == TRUC_OK) {
        status = files_make_directory(path, why);
    }
    if (status == TRUC_OK) {
        status = files_lock(log->directory, true, &log->lock_fd, why);
    }
    if (status == TRUC_OK) {
        status = files_path(path, log->directory, "segments/next.mdb", why);
    }
    if (status == TRUC_OK && unlink(path) != 0 && errno != ENOENT) {
        status = files_error(errno, "removing", path, why);
    }
    return status == TRUC_OK ? files_path(log->derived_path, log->directory, "derived.mdb", why) : status;
}

static truc_status open_or_create(struct lmdb_log *log, const struct log_options *options, const struct catalog_visitor *visitor,
                                  char *why)
{
    uint64_t *first_blocks = NULL;
    size_t count = 0;
    truc_status status = prepare_directory(log, why);
    if (status == TRUC_OK) {
        status = files_list_segments(log->directory, &first_blocks, &count, why);
    }
    if (status == TRUC_OK) {
        status = count > 0 ? open_existing(log, options, first_blocks, count, why) : TRUC_NOT_FOUND;
    }
    if (status == TRUC_NOT_FOUND) {
        status = create(log, options, why);
    }
    free(first_blocks);
    if (status == TRUC_OK) {
        status = restore(log, visitor, why);
    }
    return status == TRUC_OK ? indexer_start(log->indexer, why) : status;
}

truc_status lmdb_open(const struct log_options *options, const struct catalog_visitor *visitor, struct log **ret_log, char *why)
{
    if (options->directory == NULL || strlen(options->directory) >= FILES_PATH_MAX) {
        log_why(why, "a directory is needed");
        return TRUC_INVALID_ARGUMENT;
    }
    struct lmdb_log *log = calloc(1, sizeof *log);
    if (log == NULL || log_base_init(&log->base, &log_engine_lmdb) != TRUC_OK) {
        free(log);
        log_why(why, "out of memory");
        return TRUC_NO_MEMORY;
    }
    (void)snprintf(log->directory, sizeof log->directory, "%s", options->directory);
    log->segment_bytes = options->segment_bytes;
    log->index_flush_bytes = options->index_flush_bytes;
    log->lock_fd = -1;
    segments_init(&log->segments, log->directory, options->segments_open_max);
    /* What the index has still to read is kept as well. */
    truc_status status = cache_create(options->cache_bytes + options->index_flush_bytes, &log->segments, &log->cache);
    if (status == TRUC_OK) {
        status = open_or_create(log, options, visitor, why);
    }
    if (status != TRUC_OK) {
        lmdb_close(&log->base);
        return status;
    }
    *ret_log = &log->base;
    return TRUC_OK;
}
