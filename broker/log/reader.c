/* reader.c: reading of a pattern: by the blocks' tables, or by the index where that is less work. */
#include <stdlib.h>

#include "broker/log/matcher.h"

enum {
    READ_BUDGET_BYTES = 64 << 20, /* of the log that one call looks at */
    BLOCK_COST_BYTES = 4096,      /* what a look at a block costs at least */
    INDEX_GAIN = 8                /* the index is worth it when an eighth of the range or less is wanted */
};

struct log_reader {
    struct log *log;
    struct matcher matcher;
    struct feed feed;
    bool reverse;
    bool hinted; /* the block of the next position is known: */
    uint64_t hint_place, hint_block;
    bool checked; /* this block's table was checked before: */
    uint64_t checked_block;
};

/* One call under way. */
struct pass {
    struct log_reader *reader;
    struct log_read *read;
    struct block_access access;
    char *why;
    size_t budget;
    uint64_t place; /* next position; reverse: exclusive */
    bool stopped;   /* full, or enough looked at */
    bool got;       /* `view` is a block got in this call */
    struct block_view view;
};

truc_status log_reader_create(struct log *log, const struct log_filter *filter, bool reverse, struct log_reader **ret_reader)
{
    struct log_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return TRUC_NO_MEMORY;
    }
    truc_status status = matcher_init(&reader->matcher, log, filter);
    if (status != TRUC_OK) {
        free(reader);
        return status;
    }
    reader->log = log;
    reader->reverse = reverse;
    *ret_reader = reader;
    return TRUC_OK;
}

void log_reader_destroy(struct log_reader *reader)
{
    if (reader != NULL) {
        feed_fini(&reader->feed);
        matcher_fini(&reader->matcher);
        free(reader);
    }
}

static void spend(struct pass *pass, size_t bytes)
{
    pass->budget = pass->budget > bytes ? pass->budget - bytes : 0;
    pass->stopped = pass->stopped || pass->budget == 0;
}

/* Damage: what was copied before it is given first, the next call comes upon it again and tells. */
static truc_status damaged(struct pass *pass, uint64_t beyond)
{
    pass->stopped = true;
    if (pass->read->entry_count > 0) {
        return TRUC_OK;
    }
    pass->place = beyond;
    return TRUC_DAMAGED;
}

/* The place beyond a block that cannot be read, in the direction of reading; `end` when all up to there cannot. */
static uint64_t beyond_block(struct pass *pass, uint64_t block, uint64_t end)
{
    struct block_access *access = &pass->access;
    uint64_t block_end = log_head(pass->reader->log).block;
    struct block_view view;
    bool reverse = pass->reader->reverse;
    pass->got = false;
    access->after = block + 1;
    access->before = block == 0 ? UINT64_MAX : block - 1;
    for (;;) {
        uint64_t next = reverse ? access->before : access->after;
        if (next >= block_end) { /* also UINT64_MAX, the one before the first */
            return end;
        }
        truc_status status = log_block(access, next, &view, NULL);
        if (status == TRUC_OK) {
            uint64_t place = reverse ? view.first_position + view.entry_count : view.first_position;
            bool moved = reverse ? place < pass->place : place > pass->place;
            bool within = reverse ? place > end : place < end;
            if (moved) {
                return within ? place : end;
            }
            access->after = next + 1;
            access->before = next == 0 ? UINT64_MAX : next - 1;
        } else if (status != TRUC_DAMAGED) {
            return end;
        }
    }
}

static truc_status damaged_block(struct pass *pass, uint64_t block, uint64_t end)
{
    return damaged(pass, pass->read->entry_count > 0 ? pass->place : beyond_block(pass, block, end));
}

/* Gets a block and, for a scan, checks its table. */
static truc_status get_block(struct pass *pass, uint64_t block, bool table)
{
    struct log_reader *reader = pass->reader;
    if (!pass->got || pass->view.block != block) {
        pass->got = false;
        truc_status status = log_block(&pass->access, block, &pass->view, pass->why);
        if (status != TRUC_OK) {
            return status;
        }
        pass->got = true;
        spend(pass, BLOCK_COST_BYTES);
    }
    if (table && !(reader->checked && reader->checked_block == block)) {
        if (block_table_check(&pass->view) != TRUC_OK) {
            log_why(pass->why, "block %llu: its table fails its checksum", (unsigned long long)block);
            return TRUC_DAMAGED;
        }
        reader->checked = true;
        reader->checked_block = block;
    }
    return TRUC_OK;
}

static bool full(const struct pass *pass)
{
    return pass->read->entries_max != 0 && pass->read->entry_count >= pass->read->entries_max;
}

/* Copies an entry of the current block if it is wanted and there is room. On TRUC_DAMAGED it is this entry that is. */
static truc_status serve(struct pass *pass, uint32_t index, uint64_t position, uint32_t topic_id)
{
    struct log_read *read = pass->read;
    struct entry_view entry;
    bool wanted = true;
    truc_status status = block_entry(&pass->view, index, &entry);
    if (status == TRUC_OK && entry.fields.topic_id != topic_id) {
        status = TRUC_DAMAGED;
    }
    if (status == TRUC_OK && pass->reader->matcher.picky) {
        status = matcher_entry(&pass->reader->matcher, &entry, &wanted);
    }
    if (status != TRUC_OK) {
        log_why(pass->why, "block %llu, position %llu: the entry fails its checksum", (unsigned long long)pass->view.block,
                (unsigned long long)position);
        return status;
    }
    spend(pass, entry.entry_size);
    if (!wanted) {
        return TRUC_OK;
    }
    size_t size = entry_served_size(entry.leaf.size, entry.batch.size);
    if (size > read->capacity - read->size) {
        read->needed = read->size == 0 ? size : 0;
        pass->stopped = true;
        return TRUC_BUSY; /* no room: this entry is the next one again */
    }
    memcpy(read->out + read->size, entry.leaf.data - ENTRY_HEADER_BYTES, size);
    read->size += size;
    read->entry_count++;
    read->record_count += entry.fields.record_count;
    pass->stopped = pass->stopped || full(pass);
    return TRUC_OK;
}

/* Serves the entry at a position of the current block and moves beyond it. */
static truc_status visit(struct pass *pass, uint32_t index, uint64_t position, uint32_t topic_id)
{
    bool reverse = pass->reader->reverse;
    truc_status status = serve(pass, index, position, topic_id);
    uint64_t beyond = reverse ? position : position + 1;
    if (status == TRUC_OK) {
        pass->place = beyond;
        return TRUC_OK;
    }
    pass->place = reverse ? position + 1 : position;
    return status == TRUC_BUSY ? TRUC_OK : damaged(pass, beyond);
}

/* The block to begin a scan with. */
static truc_status first_block(struct pass *pass, uint64_t *ret_block)
{
    struct log_reader *reader = pass->reader;
    uint64_t position = reader->reverse ? pass->place - 1 : pass->place;
    if (reader->hinted && reader->hint_place == pass->place) {
        *ret_block = reader->hint_block;
        return TRUC_OK;
    }
    pass->got = false;
    return log_find_block(&pass->access, position, ret_block, pass->why);
}

static uint32_t topic_id_at(const struct block_view *view, uint64_t index)
{
    return load_u32(view->table.data + index * BLOCK_TABLE_ROW_BYTES + 12);
}

/* The part of the current block from the place on, upwards to `end`. */
static truc_status scan_block_up(struct pass *pass, uint64_t end)
{
    const struct block_view view = pass->view;
    const struct matcher *matcher = &pass->reader->matcher;
    truc_status status = TRUC_OK;
    uint64_t left = end - view.first_position;
    uint64_t count = view.entry_count < left ? view.entry_count : left;
    for (uint64_t i = pass->place - view.first_position; i < count && status == TRUC_OK && !pass->stopped; i++) {
        if (matcher_topic(matcher, topic_id_at(&view, i))) {
            status = visit(pass, (uint32_t)i, view.first_position + i, topic_id_at(&view, i));
        } else {
            pass->place = view.first_position + i + 1;
        }
    }
    return status;
}

static truc_status scan_block_down(struct pass *pass, uint64_t end)
{
    const struct block_view view = pass->view;
    const struct matcher *matcher = &pass->reader->matcher;
    truc_status status = TRUC_OK;
    uint64_t stop = end > view.first_position ? end - view.first_position : 0;
    for (uint64_t i = pass->place - view.first_position; i > stop && status == TRUC_OK && !pass->stopped; i--) {
        if (matcher_topic(matcher, topic_id_at(&view, i - 1))) {
            status = visit(pass, (uint32_t)(i - 1), view.first_position + i - 1, topic_id_at(&view, i - 1));
        } else {
            pass->place = view.first_position + i - 1;
        }
    }
    return status;
}

/* Block after block from the place to `end` (reverse: down to it), by their tables. */
static truc_status scan(struct pass *pass, uint64_t end)
{
    struct log_reader *reader = pass->reader;
    bool reverse = reader->reverse;
    uint64_t block = 0;
    truc_status status = TRUC_OK;
    if (pass->place != end && !pass->stopped) {
        status = first_block(pass, &block);
        if (status == TRUC_DAMAGED) {
            return damaged_block(pass, block, end);
        }
    }
    reader->hinted = false;
    while (status == TRUC_OK && pass->place != end && !pass->stopped) {
        status = get_block(pass, block, true);
        if (status == TRUC_DAMAGED) {
            return damaged_block(pass, block, end);
        }
        if (status != TRUC_OK) {
            return status;
        }
        uint64_t first = pass->view.first_position, next = first + pass->view.entry_count;
        if (pass->place < first || (reverse && pass->place > next)) {
            log_why(pass->why, "block %llu: its positions do not follow", (unsigned long long)block);
            return damaged_block(pass, block, end);
        }
        spend(pass, pass->view.table.size);
        bool outside = reverse ? pass->place == first : pass->place >= next;
        if (!outside) {
            status = reverse ? scan_block_down(pass, end) : scan_block_up(pass, end);
        }
        if (status == TRUC_OK && !pass->stopped && pass->place != end) {
            block = reverse ? block - 1 : block + 1;
        }
    }
    if (status == TRUC_OK) {
        /* Upwards the place may be the next block's first: then this one is passed over at the next call. */
        reader->hinted = pass->got && (!reverse || pass->place > pass->view.first_position);
        reader->hint_place = pass->place;
        reader->hint_block = pass->view.block;
    }
    return status;
}

/* Entry after entry as the index names them; ends where the index or the range does. */
static truc_status follow_index(struct pass *pass, uint64_t end)
{
    struct log_reader *reader = pass->reader;
    bool reverse = reader->reverse;
    uint64_t indexed = feed_indexed(&reader->feed);
    uint64_t stop = reverse || end < indexed ? end : indexed;
    struct posting posting;
    truc_status status = TRUC_OK;
    while (!pass->stopped && feed_front(&reader->feed, &posting, &status)) {
        indexed = feed_indexed(&reader->feed);
        stop = reverse || end < indexed ? end : indexed;
        if (reverse ? posting.position < stop : posting.position >= stop) {
            break;
        }
        status = get_block(pass, posting.block, false);
        if (status != TRUC_OK && status != TRUC_DAMAGED) {
            return status;
        }
        if (status == TRUC_DAMAGED) {
            pass->place = reverse ? posting.position + 1 : posting.position;
            return damaged_block(pass, posting.block, end);
        }
        uint64_t index = posting.position - pass->view.first_position;
        if (posting.position < pass->view.first_position || index >= pass->view.entry_count ||
            !matcher_topic(&reader->matcher, topic_id_at(&pass->view, index))) {
            return TRUC_INTERNAL; /* the index is wrong: the blocks decide */
        }
        status = visit(pass, (uint32_t)index, posting.position, topic_id_at(&pass->view, index));
        if (status != TRUC_OK) {
            return status;
        }
        if (pass->place != (reverse ? posting.position + 1 : posting.position)) {
            feed_pass(&reader->feed);
        }
    }
    if (status == TRUC_OK && !pass->stopped) {
        pass->place = stop;
    }
    return status;
}

/* Reads [place, end) upwards, or downwards to end; the range holds entries of the matching topics. */
static truc_status run(struct pass *pass, uint64_t end, bool use_index)
{
    struct log_reader *reader = pass->reader;
    const struct matcher *matcher = &reader->matcher;
    truc_status status = TRUC_UNSUPPORTED;
    if (use_index) {
        status = feed_begin(&reader->feed, reader->log, matcher->few, matcher->matched, reader->reverse, pass->place);
    }
    if (status != TRUC_OK) {
        return status == TRUC_NO_MEMORY ? status : scan(pass, end);
    }
    uint64_t indexed = feed_indexed(&reader->feed);
    if (reader->reverse && pass->place > indexed) {
        status = scan(pass, indexed > end ? indexed : end); /* the tail, which the index does not have yet */
    }
    if (status == TRUC_OK && !pass->stopped && (reader->reverse ? pass->place > end : pass->place < indexed)) {
        status = follow_index(pass, end);
    }
    bool unusable = status != TRUC_OK && status != TRUC_DAMAGED && status != TRUC_NO_MEMORY && status != TRUC_IO;
    if (unusable) {
        reader->feed.begun = false;
        status = TRUC_OK;
    }
    if (status == TRUC_OK && !pass->stopped && pass->place != end) {
        status = scan(pass, end);
    }
    return status;
}

truc_status log_reader_read(struct log_reader *reader, struct log_read *read, char *why)
{
    if (why != NULL) {
        why[0] = '\0';
    }
    read->size = 0;
    read->entry_count = 0;
    read->record_count = 0;
    read->needed = 0;
    read->next = read->from;
    struct pass pass = {.reader = reader, .read = read, .access = {.log = reader->log}, .why = why, .budget = READ_BUDGET_BYTES};
    truc_status status = matcher_update(&reader->matcher);
    if (status != TRUC_OK) {
        return status;
    }
    uint64_t head = log_head(reader->log).position, low = 0, high = UINT64_MAX, entries = UINT64_MAX;
    bool few = matcher_extent(&reader->matcher, &low, &high, &entries);
    uint64_t begin, end, until;
    if (reader->reverse) {
        begin = read->from < head ? read->from : head;
        begin = begin < high ? begin : high;
        until = read->until;
        end = until > low ? until : low;
    } else {
        until = read->until < head ? read->until : head;
        begin = read->from > low ? read->from : low;
        end = until < high ? until : high;
    }
    if (reader->reverse ? begin <= end : begin >= end) {
        read->next = reader->reverse ? (read->from < until ? read->from : until) : (read->from > until ? read->from : until);
        return TRUC_OK;
    }
    uint64_t range = reader->reverse ? begin - end : end - begin;
    pass.place = begin;
    status = run(&pass, end, few && entries < range / INDEX_GAIN);
    reader->log->engine->access_end(&pass.access);
    read->next = pass.place == end ? until : pass.place;
    return status;
}
