#include "broker/log/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/log/lmdb/segment.h"
#include "broker/log/verify_state.h"
#include "proto/directory.h"

enum { PROGRESS_BYTES = 8 << 20 };

struct check {
    struct log_verify_report report;
    struct seen seen;
    struct digest_context *digests;
    uint64_t next_block, next_position;
    int64_t last_append_ns;
    uint8_t *leaf_hashes; /* of the block under way */
    size_t leaf_hashes_capacity;
    uint8_t *scratch, *directory; /* reused buffers: an unpacked payload, a directory built anew */
    size_t scratch_capacity, directory_capacity;
    log_verify_progress *progress;
    void *context;
    uint64_t told_bytes;
    char *why;
};

/* Notes the first bad thing. position UINT64_MAX: not an entry. */
static truc_status bad(struct check *check, uint64_t block, uint64_t position, const char *what)
{
    struct log_verify_report *report = &check->report;
    report->bad = true;
    report->bad_block = block;
    report->bad_position = position;
    (void)snprintf(report->bad_what, sizeof report->bad_what, "%s", what);
    if (position == UINT64_MAX) {
        log_why(check->why, "block %" PRIu64 ": %s", block, what);
    } else {
        log_why(check->why, "block %" PRIu64 ", position %" PRIu64 ": %s", block, position, what);
    }
    return TRUC_DAMAGED;
}

/* --- an entry ------------------------------------------------------------------------------------------------------------- */

static const char *leaf_fault(const struct check *check, const struct leaf *leaf, const struct block_row *row,
                              const struct seen_topic *topic)
{
    static const uint8_t none[DIGEST_BYTES];
    if (memcmp(leaf->log_id, check->report.identity.log_id, LOG_ID_BYTES) != 0) {
        return "its leaf is of another log";
    }
    if (leaf->position != check->next_position) {
        return "its leaf has another position";
    }
    if (leaf->base_offset != row->base_offset || row->base_offset != topic->next_offset) {
        return "its offset does not follow its topic's last one";
    }
    if (leaf->record_count != row->record_count) {
        return "its leaf has another record count";
    }
    if (leaf->append_time_ns != row->append_time_ns || leaf->append_time_ns <= check->last_append_ns) {
        return "its append time does not follow the last one";
    }
    if (!bytes_equal(leaf->topic, bytes_of(topic->name, topic->name_size)) || leaf->evidence != topic->evidence) {
        return "its leaf has another topic or evidence level";
    }
    if (memcmp(leaf->previous, topic->has_leaf ? topic->last_leaf : none, DIGEST_BYTES) != 0) {
        return "its leaf does not cite its topic's previous leaf";
    }
    return NULL;
}

static truc_status check_directory(struct check *check, const struct entry_view *entry, struct bytes raw, const char **ret_why)
{
    struct bytes built;
    const char *why = NULL;
    if (entry_directory_check(entry) != TRUC_OK) {
        *ret_why = "its directory fails its checksum";
        return TRUC_DAMAGED;
    }
    truc_status status = directory_build(check->report.identity.hash_secret, raw, entry->fields.record_count, RECORD_BYTES_MAX,
                                         &check->directory, &check->directory_capacity, &built, NULL, &why);
    if (status == TRUC_NO_MEMORY) {
        return status;
    }
    if (status != TRUC_OK || !bytes_equal(built, entry->directory)) {
        *ret_why = status != TRUC_OK ? "a record in it is malformed" : "its directory does not describe its records";
        return TRUC_DAMAGED;
    }
    return TRUC_OK;
}

/* Everything about one entry; *ret_why says what is wrong on TRUC_DAMAGED. */
static truc_status check_entry(struct check *check, const struct block_view *view, uint32_t index, const char **ret_why)
{
    struct block_row row = block_row_at(view, index);
    struct entry_view entry;
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw;
    struct seen_topic *topic = seen_topic(&check->seen, row.topic_id);
    if (block_entry(view, index, &entry) != TRUC_OK) {
        *ret_why = "the entry fails its checksum";
        return TRUC_DAMAGED;
    }
    if (topic == NULL) {
        *ret_why = "its topic was never created";
        return TRUC_DAMAGED;
    }
    const char *why = NULL;
    truc_status status = entry_prove(check->digests, &entry, &leaf, &batch, &check->scratch, &check->scratch_capacity, &raw, &why);
    if (status != TRUC_OK) {
        *ret_why = why != NULL ? why : "its content does not match its digests";
        return status == TRUC_NO_MEMORY ? status : TRUC_DAMAGED;
    }
    *ret_why = leaf_fault(check, &leaf, &row, topic);
    if (*ret_why == NULL && (batch.producer_id != entry.fields.producer_id || batch.epoch != entry.fields.epoch ||
                             batch.first_sequence != entry.fields.first_sequence)) {
        *ret_why = "its batch has another producer, epoch or sequence";
    }
    if (*ret_why != NULL) {
        return TRUC_DAMAGED;
    }
    status = check_directory(check, &entry, raw, ret_why);
    if (status == TRUC_OK) {
        status = seen_entry(&check->seen, &entry.fields, ret_why);
    }
    if (status == TRUC_OK) {
        uint8_t *hash = check->leaf_hashes + (size_t)index * DIGEST_BYTES;
        digest_leaf(check->digests, entry.leaf, hash);
        memcpy(topic->last_leaf, hash, DIGEST_BYTES);
        topic->has_leaf = true;
        topic->next_offset += row.record_count;
        check->last_append_ns = row.append_time_ns;
        check->next_position++;
        check->report.entry_count++;
        check->report.record_count += row.record_count;
    }
    return status;
}

/* --- a block -------------------------------------------------------------------------------------------------------------- */

static truc_status check_deltas(struct check *check, const struct block_view *view)
{
    struct reader deltas = reader_over(view->deltas);
    struct delta delta;
    truc_status status = TRUC_OK;
    const char *why = "its deltas are malformed";
    uint32_t count = 0;
    check->seen.position = view->first_position;
    while (status == TRUC_OK && delta_next(&deltas, &delta, &status)) {
        if ((delta.kind == DELTA_LOG) != (view->block == 0 && count == 0)) {
            return bad(check, view->block, UINT64_MAX, "what says which log this is stands in a wrong place");
        }
        count++;
        status = seen_delta(&check->seen, &delta, &why);
    }
    if (status == TRUC_OK && count != view->delta_count) {
        status = TRUC_DAMAGED;
    }
    return status == TRUC_DAMAGED ? bad(check, view->block, UINT64_MAX, why) : status;
}

/* Entries lie one after the other from the deltas to the block's end: no byte is anybody's but theirs. */
static bool rows_tile(const struct block_view *view)
{
    uint64_t at = (uint64_t)(view->deltas.data - view->encoded.data) + align8(view->deltas.size);
    for (uint32_t i = 0; i < view->entry_count; i++) {
        struct block_row row = block_row_at(view, i);
        if (row.offset != at) {
            return false;
        }
        at += row.size;
    }
    return at == view->encoded.size;
}

static const char *header_fault(const struct check *check, const struct block_view *view)
{
    if (view->first_position != check->next_position) {
        return "its first position does not follow the block before";
    }
    if (memcmp(view->previous_chain, check->report.chain, DIGEST_BYTES) != 0) {
        return "its chain does not continue the block before";
    }
    if (view->durable_block > view->block || view->durable_position > view->first_position) {
        return "it names a durable head beyond itself";
    }
    if (block_table_check(view) != TRUC_OK || !rows_tile(view)) {
        return "its table fails its checksum, or does not fit the block";
    }
    if (block_deltas_check(view) != TRUC_OK) {
        return "its deltas fail their checksum";
    }
    return NULL;
}

static truc_status check_block(struct check *check, uint64_t number, struct bytes encoded)
{
    struct block_view view;
    uint8_t chain[DIGEST_BYTES];
    if (block_parse(encoded, &view) != TRUC_OK || view.block != number) {
        return bad(check, number, UINT64_MAX, "its header fails its checksum");
    }
    const char *fault = header_fault(check, &view);
    if (fault == NULL && number == 0 && log_identity_read(&view, &check->report.identity) != TRUC_OK) {
        fault = "it does not say which log this is";
    }
    if (fault != NULL) {
        return bad(check, number, UINT64_MAX, fault);
    }
    if (check->leaf_hashes_capacity < view.entry_count) {
        uint8_t *grown = realloc(check->leaf_hashes, (size_t)view.entry_count * DIGEST_BYTES);
        if (grown == NULL) {
            return TRUC_NO_MEMORY;
        }
        check->leaf_hashes = grown;
        check->leaf_hashes_capacity = view.entry_count;
    }
    truc_status status = check_deltas(check, &view);
    for (uint32_t i = 0; status == TRUC_OK && i < view.entry_count; i++) {
        status = check_entry(check, &view, i, &fault);
        if (status == TRUC_DAMAGED) {
            return bad(check, number, view.first_position + i, fault);
        }
    }
    if (status != TRUC_OK) {
        return status;
    }
    digest_chain(check->digests, check->report.chain, number, view.first_position, check->leaf_hashes, view.entry_count,
                 view.deltas, chain);
    if (memcmp(chain, view.chain, DIGEST_BYTES) != 0) {
        return bad(check, number, UINT64_MAX, "its chain value does not cover its leaves and deltas");
    }
    memcpy(check->report.chain, chain, DIGEST_BYTES);
    check->report.block_count++;
    check->report.bytes += encoded.size;
    check->report.topic_count = check->seen.topic_count;
    check->next_block = number + 1;
    return TRUC_OK;
}

/* --- a segment, the directory ---------------------------------------------------------------------------------------------- */

static bool cancelled(struct check *check)
{
    if (check->progress == NULL || check->report.bytes - check->told_bytes < PROGRESS_BYTES) {
        return false;
    }
    check->told_bytes = check->report.bytes;
    return !check->progress(check->context, &check->report);
}

static truc_status check_blocks(struct check *check, struct segment *segment, uint64_t last)
{
    MDB_txn *txn;
    truc_status status = segment_begin_read(segment, &txn, check->why);
    if (status != TRUC_OK) {
        return status;
    }
    for (uint64_t block = segment->first_block; status == TRUC_OK && block <= last; block++) {
        struct bytes encoded;
        status = segment_get(segment, txn, block, &encoded, check->why);
        if (status == TRUC_NOT_FOUND || status == TRUC_DAMAGED) {
            status = bad(check, block, UINT64_MAX, "it is missing");
        } else if (status == TRUC_OK) {
            status = check_block(check, block, encoded);
        }
        if (status == TRUC_OK && cancelled(check)) {
            status = TRUC_CANCELLED;
        }
    }
    segment_end_read(segment, txn);
    return status;
}

static truc_status check_segment(struct check *check, const char *directory, uint64_t first_block, bool newest)
{
    char path[FILES_PATH_MAX], why[LOG_WHY_BYTES] = "";
    struct segment *segment = NULL;
    uint64_t last;
    if (first_block != check->next_block) {
        return bad(check, check->next_block, UINT64_MAX, "the segment that holds it is missing");
    }
    truc_status status = files_segment_path(path, directory, first_block, check->why);
    if (status == TRUC_OK) {
        status = segment_open(path, first_block, false, 0, &segment, why);
        if (status == TRUC_DAMAGED) {
            return bad(check, first_block, UINT64_MAX, why);
        }
        log_why(check->why, "%s", why);
    }
    if (status == TRUC_OK) {
        status = segment_last_block(segment, &last, check->why);
    }
    if (status == TRUC_OK) {
        check->report.segment_count++;
        status = check_blocks(check, segment, last);
    } else if (status == TRUC_NOT_FOUND) {
        /* The newest may have been given its name and never been used. */
        status = newest && first_block > 0 ? TRUC_OK : bad(check, first_block, UINT64_MAX, "its segment is empty");
    } else if (status == TRUC_DAMAGED) {
        status = bad(check, first_block, UINT64_MAX, "its segment cannot be read");
    }
    segment_close(segment);
    return status;
}

static truc_status check_directory_of_log(struct check *check, const char *directory)
{
    uint64_t *first_blocks = NULL;
    size_t count = 0;
    truc_status status = files_list_segments(directory, &first_blocks, &count, check->why);
    if (status != TRUC_OK || count == 0) {
        free(first_blocks);
        log_why(check->why, "%s is not a log's directory: it holds no segments", directory);
        return status == TRUC_NO_MEMORY ? status : TRUC_NOT_FOUND;
    }
    for (size_t i = 0; status == TRUC_OK && i < count; i++) {
        status = check_segment(check, directory, first_blocks[i], i + 1 == count);
    }
    free(first_blocks);
    return status;
}

truc_status log_verify(const char *directory, log_verify_progress *progress, void *context, struct log_verify_report *ret_report,
                       char *why)
{
    struct check check = {.progress = progress, .context = context, .why = why, .digests = digest_context_create()};
    int lock_fd = -1;
    if (check.digests == NULL) {
        return TRUC_NO_MEMORY;
    }
    truc_status status = TRUC_OK;
    char path[FILES_PATH_MAX];
    status = files_path(path, directory, "lock", why);
    if (status == TRUC_OK && access(path, F_OK) == 0) { /* a copy has none */
        status = files_lock(directory, false, &lock_fd, why);
    }
    if (status == TRUC_OK) {
        status = check_directory_of_log(&check, directory);
    }
    if (status == TRUC_OK || status == TRUC_DAMAGED) {
        *ret_report = check.report;
    }
    if (lock_fd >= 0) {
        (void)close(lock_fd);
    }
    seen_fini(&check.seen);
    digest_context_destroy(check.digests);
    free(check.leaf_hashes);
    free(check.scratch);
    free(check.directory);
    return status;
}
