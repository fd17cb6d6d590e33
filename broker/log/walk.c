/* walk.c: by the blocks' tables, or by the index where that is less work. */
#include "broker/log/walk.h"

enum {
    BLOCK_COST_BYTES = 4096, /* what a look at a block costs at least */
    INDEX_GAIN = 8           /* the index is worth it when an eighth of the range or less is wanted */
};

truc_status walk_init(struct walk *walk, struct log *log, const struct log_filter *filter, bool reverse)
{
    *walk = (struct walk){.log = log, .reverse = reverse};
    return matcher_init(&walk->matcher, log, filter);
}

void walk_fini(struct walk *walk)
{
    feed_fini(&walk->feed);
    matcher_fini(&walk->matcher);
}

void walk_spend(struct walk *walk, size_t bytes)
{
    walk->budget = walk->budget > bytes ? walk->budget - bytes : 0;
    walk->stopped = walk->stopped || walk->budget == 0;
}

void walk_stop(struct walk *walk)
{
    walk->stopped = true;
}

/* Stops before what is damaged, to go on beyond it. */
static truc_status damaged(struct walk *walk, uint64_t beyond)
{
    walk->stopped = true;
    walk->damaged_from = walk->place;
    walk->place = beyond;
    return TRUC_DAMAGED;
}

/* The place beyond a block that cannot be read, in the direction of reading; `end` when all up to there cannot. */
static uint64_t beyond_block(struct walk *walk, uint64_t block, uint64_t end)
{
    struct block_access *access = &walk->access;
    uint64_t block_end = log_head(walk->log).block;
    struct block_view view;
    bool reverse = walk->reverse;
    walk->got = false;
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
            bool moved = reverse ? place < walk->place : place > walk->place;
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

static truc_status damaged_block(struct walk *walk, uint64_t block, uint64_t end)
{
    return damaged(walk, beyond_block(walk, block, end));
}

/* Gets a block and, where what follows rests on it, checks its table. */
static truc_status get_block(struct walk *walk, uint64_t block, bool table)
{
    if (!walk->got || walk->view.block != block) {
        walk->got = false;
        truc_status status = log_block(&walk->access, block, &walk->view, walk->why);
        if (status != TRUC_OK) {
            return status;
        }
        walk->got = true;
        walk_spend(walk, BLOCK_COST_BYTES);
    }
    if (table && !(walk->checked && walk->checked_block == block)) {
        if (block_table_check(&walk->view) != TRUC_OK) {
            log_why(walk->why, "block %llu: its table fails its checksum", (unsigned long long)block);
            return TRUC_DAMAGED;
        }
        walk->checked = true;
        walk->checked_block = block;
    }
    return TRUC_OK;
}

/* Lets the entry at a position of the current block be looked at and moves beyond it. */
static truc_status visit(struct walk *walk, uint32_t index, uint64_t position)
{
    struct walk_entry entry = {.block = &walk->view, .index = index, .position = position};
    truc_status status = walk->visit(walk->context, &entry);
    uint64_t beyond = walk->reverse ? position : position + 1;
    if (status == TRUC_OK) {
        walk->place = beyond;
        return TRUC_OK;
    }
    walk->place = walk->reverse ? position + 1 : position;
    if (status == TRUC_BUSY) {
        walk->stopped = true;
        return TRUC_OK;
    }
    return status == TRUC_DAMAGED ? damaged(walk, beyond) : status;
}

/* The block to begin a scan with. */
static truc_status first_block(struct walk *walk, uint64_t *ret_block)
{
    uint64_t position = walk->reverse ? walk->place - 1 : walk->place;
    if (walk->hinted && walk->hint_place == walk->place) {
        *ret_block = walk->hint_block;
        return TRUC_OK;
    }
    walk->got = false;
    return log_find_block(&walk->access, position, ret_block, walk->why);
}

static uint32_t topic_id_at(const struct block_view *view, uint64_t index)
{
    return load_u32(view->table.data + index * BLOCK_TABLE_ROW_BYTES + 12);
}

/* The part of the current block from the place on, upwards to `end`. */
static truc_status scan_block_up(struct walk *walk, uint64_t end)
{
    const struct block_view view = walk->view;
    const struct matcher *matcher = &walk->matcher;
    truc_status status = TRUC_OK;
    uint64_t left = end - view.first_position;
    uint64_t count = view.entry_count < left ? view.entry_count : left;
    for (uint64_t i = walk->place - view.first_position; i < count && status == TRUC_OK && !walk->stopped; i++) {
        if (matcher_topic(matcher, topic_id_at(&view, i))) {
            status = visit(walk, (uint32_t)i, view.first_position + i);
        } else {
            walk->place = view.first_position + i + 1;
        }
    }
    return status;
}

static truc_status scan_block_down(struct walk *walk, uint64_t end)
{
    const struct block_view view = walk->view;
    const struct matcher *matcher = &walk->matcher;
    truc_status status = TRUC_OK;
    uint64_t stop = end > view.first_position ? end - view.first_position : 0;
    for (uint64_t i = walk->place - view.first_position; i > stop && status == TRUC_OK && !walk->stopped; i--) {
        if (matcher_topic(matcher, topic_id_at(&view, i - 1))) {
            status = visit(walk, (uint32_t)(i - 1), view.first_position + i - 1);
        } else {
            walk->place = view.first_position + i - 1;
        }
    }
    return status;
}

/* Block after block from the place to `end` (reverse: down to it), by their tables. */
static truc_status scan(struct walk *walk, uint64_t end)
{
    bool reverse = walk->reverse;
    uint64_t block = 0;
    truc_status status = TRUC_OK;
    if (walk->place != end && !walk->stopped) {
        status = first_block(walk, &block);
        if (status == TRUC_DAMAGED) {
            return damaged_block(walk, block, end);
        }
    }
    walk->hinted = false;
    while (status == TRUC_OK && walk->place != end && !walk->stopped) {
        status = get_block(walk, block, true);
        if (status == TRUC_DAMAGED) {
            return damaged_block(walk, block, end);
        }
        if (status != TRUC_OK) {
            return status;
        }
        uint64_t first = walk->view.first_position, next = first + walk->view.entry_count;
        if (walk->place < first || (reverse && walk->place > next)) {
            log_why(walk->why, "block %llu: its positions do not follow", (unsigned long long)block);
            return damaged_block(walk, block, end);
        }
        walk_spend(walk, walk->view.table.size);
        bool outside = reverse ? walk->place == first : walk->place >= next;
        if (!outside) {
            status = reverse ? scan_block_down(walk, end) : scan_block_up(walk, end);
        }
        if (status == TRUC_OK && !walk->stopped && walk->place != end) {
            block = reverse ? block - 1 : block + 1;
        }
    }
    if (status == TRUC_OK) {
        /* Upwards the place may be the next block's first: then this one is passed over at the next call. */
        walk->hinted = walk->got && (!reverse || walk->place > walk->view.first_position);
        walk->hint_place = walk->place;
        walk->hint_block = walk->view.block;
    }
    return status;
}

/* Entry after entry as the index names them; ends where the index or the range does. */
static truc_status follow_index(struct walk *walk, uint64_t end)
{
    bool reverse = walk->reverse;
    uint64_t indexed = feed_indexed(&walk->feed);
    uint64_t stop = reverse || end < indexed ? end : indexed;
    struct posting posting;
    truc_status status = TRUC_OK;
    while (!walk->stopped && feed_front(&walk->feed, &posting, &status)) {
        indexed = feed_indexed(&walk->feed);
        stop = reverse || end < indexed ? end : indexed;
        if (reverse ? posting.position < stop : posting.position >= stop) {
            break;
        }
        status = get_block(walk, posting.block, walk->peeks);
        if (status != TRUC_OK && status != TRUC_DAMAGED) {
            return status;
        }
        if (status == TRUC_DAMAGED) {
            walk->place = reverse ? posting.position + 1 : posting.position;
            return damaged_block(walk, posting.block, end);
        }
        uint64_t index = posting.position - walk->view.first_position;
        if (posting.position < walk->view.first_position || index >= walk->view.entry_count ||
            !matcher_topic(&walk->matcher, topic_id_at(&walk->view, index))) {
            return TRUC_INTERNAL; /* the index is wrong: the blocks decide */
        }
        status = visit(walk, (uint32_t)index, posting.position);
        if (status != TRUC_OK) {
            return status;
        }
        if (walk->place != (reverse ? posting.position + 1 : posting.position)) {
            feed_pass(&walk->feed);
        }
    }
    if (status == TRUC_OK && !walk->stopped) {
        walk->place = stop;
    }
    return status;
}

/* Reads [place, end) upwards, or downwards to end; the range holds entries of the matching topics. */
static truc_status go(struct walk *walk, uint64_t end, bool use_index)
{
    const struct matcher *matcher = &walk->matcher;
    truc_status status = TRUC_UNSUPPORTED;
    if (use_index) {
        status = feed_begin(&walk->feed, walk->log, matcher->few, matcher->matched, walk->reverse, walk->place);
    }
    if (status != TRUC_OK) {
        return status == TRUC_NO_MEMORY ? status : scan(walk, end);
    }
    uint64_t indexed = feed_indexed(&walk->feed);
    if (walk->reverse && walk->place > indexed) {
        status = scan(walk, indexed > end ? indexed : end); /* the tail, which the index does not have yet */
    }
    if (status == TRUC_OK && !walk->stopped && (walk->reverse ? walk->place > end : walk->place < indexed)) {
        status = follow_index(walk, end);
    }
    bool unusable = status != TRUC_OK && status != TRUC_DAMAGED && status != TRUC_NO_MEMORY && status != TRUC_IO;
    if (unusable) {
        walk->feed.begun = false;
        status = TRUC_OK;
    }
    if (status == TRUC_OK && !walk->stopped && walk->place != end) {
        status = scan(walk, end);
    }
    return status;
}

truc_status walk_run(struct walk *walk, uint64_t from, uint64_t until, uint64_t *ret_next, char *why)
{
    if (why != NULL) {
        why[0] = '\0';
    }
    *ret_next = from;
    walk->why = why;
    walk->stopped = false;
    walk->got = false;
    walk->access = (struct block_access){.log = walk->log};
    truc_status status = matcher_update(&walk->matcher);
    if (status != TRUC_OK) {
        return status;
    }
    uint64_t head = log_head(walk->log).position, low = 0, high = UINT64_MAX, entries = UINT64_MAX;
    bool few = matcher_extent(&walk->matcher, &low, &high, &entries);
    uint64_t begin, end;
    if (walk->reverse) {
        begin = from < head ? from : head;
        begin = begin < high ? begin : high;
        end = until > low ? until : low;
    } else {
        until = until < head ? until : head;
        begin = from > low ? from : low;
        end = until < high ? until : high;
    }
    if (walk->reverse ? begin <= end : begin >= end) {
        *ret_next = walk->reverse ? (from < until ? from : until) : (from > until ? from : until);
        return TRUC_OK;
    }
    uint64_t range = walk->reverse ? begin - end : end - begin;
    walk->place = begin;
    status = go(walk, end, few && entries < range / INDEX_GAIN);
    walk->log->engine->access_end(&walk->access);
    *ret_next = walk->place == end ? until : walk->place;
    return status;
}
