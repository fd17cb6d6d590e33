/* find.c: places: of a position, of a time, of an offset. */
#include "broker/log/base.h"

truc_status log_block(struct block_access *access, uint64_t block, struct block_view *ret_view, char *why)
{
    struct bytes encoded;
    truc_status status = access->log->engine->block(access, block, &encoded, why);
    if (status != TRUC_OK) {
        return status;
    }
    struct block_view view;
    if (block_parse(encoded, &view) != TRUC_OK || view.block != block) {
        log_why(why, "block %llu: its header fails its checksum", (unsigned long long)block);
        access->after = block + 1;
        access->before = block == 0 ? UINT64_MAX : block - 1;
        return TRUC_DAMAGED;
    }
    *ret_view = view;
    return TRUC_OK;
}

/* The first block from `block` on, below `end`, that can be read. TRUC_DAMAGED when there is none. */
static truc_status readable_from(struct block_access *access, uint64_t block, uint64_t end, struct block_view *ret_view)
{
    truc_status status = log_block(access, block, ret_view, NULL);
    while (status == TRUC_DAMAGED && access->after < end) {
        status = log_block(access, access->after, ret_view, NULL);
    }
    return status;
}

truc_status log_find_block(struct block_access *access, uint64_t position, uint64_t *ret_block, char *why)
{
    const struct log *log = access->log;
    uint64_t low = 0, high = log_head(log).block;
    struct block_view view;
    if (log->engine->narrow != NULL) {
        log->engine->narrow(log, position, &low, &high);
    }
    /* The last block whose first position is at or below: blocks of deltas alone come before the next entry. */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        truc_status status = readable_from(access, middle, high, &view);
        if (status != TRUC_OK && status != TRUC_DAMAGED) {
            return status;
        }
        if (status == TRUC_OK && view.first_position <= position) {
            low = view.block;
        } else {
            high = middle;
        }
    }
    truc_status status = log_block(access, low, &view, why);
    if (status == TRUC_OK && (position < view.first_position || position - view.first_position >= view.entry_count)) {
        low++;
        log_why(why, "block %llu or one after it, which holds position %llu, cannot be read", (unsigned long long)low,
                (unsigned long long)position);
        status = TRUC_DAMAGED;
    }
    if (status == TRUC_OK || status == TRUC_DAMAGED) {
        *ret_block = low;
    }
    return status;
}

/* The table's row of a position. On damage *ret_after is the first position beyond the damaged block. */
static truc_status row_of_position(struct block_access *access, uint64_t position, uint64_t end, struct block_row *ret_row,
                                   uint64_t *ret_after, char *why)
{
    uint64_t block;
    struct block_view view;
    truc_status status = log_find_block(access, position, &block, why);
    if (status == TRUC_OK) {
        status = log_block(access, block, &view, why);
    }
    if (status == TRUC_OK && block_table_check(&view) != TRUC_OK) {
        log_why(why, "block %llu: its table fails its checksum", (unsigned long long)block);
        status = TRUC_DAMAGED;
    }
    if (status == TRUC_OK) {
        *ret_row = block_row_at(&view, (uint32_t)(position - view.first_position));
    } else if (status == TRUC_DAMAGED) {
        *ret_after = readable_from(access, block + 1, log_head(access->log).block, &view) == TRUC_OK ? view.first_position : end;
    }
    return status;
}

truc_status log_position_row(struct log *log, uint64_t position, struct block_row *ret_row, char *why)
{
    struct block_access access = {.log = log};
    uint64_t after, end = log_head(log).position;
    if (position >= end) {
        log_why(why, "position %llu is not there yet", (unsigned long long)position);
        return TRUC_OUT_OF_RANGE;
    }
    truc_status status = row_of_position(&access, position, end, ret_row, &after, why);
    log->engine->access_end(&access);
    return status;
}

truc_status log_find_time(struct log *log, int64_t t_ns, uint64_t *ret_position, char *why)
{
    struct block_access access = {.log = log};
    uint64_t low = 0, high = log_head(log).position;
    truc_status status = TRUC_OK;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, probe = middle;
        struct block_row row;
        do {
            uint64_t after = high;
            status = row_of_position(&access, probe, high, &row, &after, why);
            probe = status == TRUC_DAMAGED ? after : probe;
        } while (status == TRUC_DAMAGED && probe > middle && probe < high);
        if (status != TRUC_OK && status != TRUC_DAMAGED) {
            break;
        }
        if (status == TRUC_OK && row.append_time_ns < t_ns) {
            low = probe + 1;
        } else {
            high = middle;
        }
        status = TRUC_OK; /* what is damaged is told to whoever reads it */
    }
    log->engine->access_end(&access);
    if (status == TRUC_OK) {
        *ret_position = low;
    }
    return status;
}

/* Looks through tables from a position on for the entry of a topic that holds an offset. */
static truc_status scan_for_offset(struct block_access *access, uint32_t topic_id, uint64_t offset, uint64_t from,
                                   uint64_t *ret_position, char *why)
{
    struct log_head head = log_head(access->log);
    uint64_t block;
    truc_status status = log_find_block(access, from, &block, why);
    for (; status == TRUC_OK && block < head.block; block++) {
        struct block_view view;
        status = log_block(access, block, &view, why);
        if (status == TRUC_OK && block_table_check(&view) != TRUC_OK) {
            log_why(why, "block %llu: its table fails its checksum", (unsigned long long)block);
            status = TRUC_DAMAGED;
        }
        for (uint32_t i = 0; status == TRUC_OK && i < view.entry_count; i++) {
            struct block_row row = block_row_at(&view, i);
            if (row.topic_id == topic_id && row.base_offset <= offset && offset - row.base_offset < row.record_count) {
                *ret_position = view.first_position + i;
                return TRUC_OK;
            }
        }
    }
    if (status == TRUC_OK) {
        log_why(why, "offset %llu of topic %u is not where it must be", (unsigned long long)offset, topic_id);
        status = TRUC_DAMAGED;
    }
    return status;
}

truc_status log_find_offset(struct log *log, struct bytes topic, uint64_t offset, uint64_t *ret_position, char *why)
{
    struct topic_row row;
    if (!topics_find(&log->topics, topic, &row, NULL)) {
        log_why(why, "there is no topic `%.*s`", (int)topic.size, (const char *)topic.data);
        return TRUC_NOT_FOUND;
    }
    if (offset >= row.next_offset) {
        *ret_position = log_head(log).position;
        log_why(why, "offset %llu is not there yet: the next is %llu", (unsigned long long)offset,
                (unsigned long long)row.next_offset);
        return TRUC_OUT_OF_RANGE;
    }
    struct block_access access = {.log = log};
    uint64_t from = row.first_position, indexed = 0;
    struct posting posting;
    truc_status status = TRUC_NOT_FOUND;
    if (log->engine->posting_of_offset != NULL) {
        truc_status known = log->engine->posting_of_offset(log, row.topic_id, offset, &posting, &indexed);
        struct block_view view;
        if (known == TRUC_OK && log_block(&access, posting.block, &view, NULL) == TRUC_OK &&
            posting.position >= view.first_position && posting.position - view.first_position < view.entry_count) {
            struct block_row found = block_row_at(&view, (uint32_t)(posting.position - view.first_position));
            if (found.topic_id == row.topic_id && found.base_offset == posting.base_offset &&
                offset - found.base_offset < found.record_count) {
                *ret_position = posting.position;
                status = TRUC_OK;
            }
        }
        if ((known == TRUC_OK || known == TRUC_NOT_FOUND) && indexed > from && indexed < log_head(log).position) {
            from = indexed; /* what the index covers does not hold it */
        }
    }
    if (status != TRUC_OK) {
        status = scan_for_offset(&access, row.topic_id, offset, from, ret_position, why);
    }
    log->engine->access_end(&access);
    return status;
}

truc_status log_topic(struct log *log, struct bytes topic, struct topic_row *ret_row, uint8_t *name_buffer)
{
    return topics_find(&log->topics, topic, ret_row, name_buffer) ? TRUC_OK : TRUC_NOT_FOUND;
}
