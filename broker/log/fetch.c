/* fetch.c: entries by place: whole, or cut to the records that are named. */
#include "broker/log/scan.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/log/base.h"
#include "proto/cut.h"

enum {
    FETCH_BUDGET_BYTES = 64 << 20, /* of entries that one call digests or copies: what is cut may be far less */
    HINT_BLOCKS = 4                /* places often follow one another: so many blocks from the last one on are tried first */
};

struct log_fetcher {
    struct log *log;
    struct cutter *cutter;
    bool taken; /* the cutter holds the packed entry at this position, of which `copy` is a copy */
    uint64_t taken_position;
    uint32_t taken_count; /* its records */
    uint8_t *copy;
    size_t copy_capacity;
    uint32_t *indexes; /* of the records named of one entry */
    size_t index_capacity;
    bool hinted;
    uint64_t hint_block;
    bool checked; /* this block's table was checked before: */
    uint64_t checked_block;
    /* the call under way */
    struct block_access access;
    bool got; /* view is a block got in this call */
    struct block_view view;
    size_t budget;
};

struct log_fetcher *log_fetcher_create(struct log *log)
{
    struct log_fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (fetcher == NULL) {
        return NULL;
    }
    fetcher->log = log;
    fetcher->cutter = cutter_create();
    if (fetcher->cutter == NULL) {
        free(fetcher);
        return NULL;
    }
    return fetcher;
}

void log_fetcher_destroy(struct log_fetcher *fetcher)
{
    if (fetcher != NULL) {
        cutter_destroy(fetcher->cutter);
        free(fetcher->copy);
        free(fetcher->indexes);
        free(fetcher);
    }
}

/* --- the block of a place ------------------------------------------------------------------------------------------------- */

static truc_status get_block(struct log_fetcher *fetcher, uint64_t block, char *why)
{
    if (fetcher->got && fetcher->view.block == block) {
        return TRUC_OK;
    }
    truc_status status = log_block(&fetcher->access, block, &fetcher->view, why);
    fetcher->got = status == TRUC_OK;
    return status;
}

static bool holds(const struct block_view *view, uint64_t position)
{
    return position >= view->first_position && position - view->first_position < view->entry_count;
}

/* Gets the block that holds a position below the durable head, with its table checked. */
static truc_status find_block(struct log_fetcher *fetcher, uint64_t position, char *why)
{
    uint64_t end = log_head(fetcher->log).block, block = 0;
    bool found = false;
    for (uint64_t i = 0; fetcher->hinted && !found && i < HINT_BLOCKS && fetcher->hint_block + i < end; i++) {
        found = get_block(fetcher, fetcher->hint_block + i, NULL) == TRUC_OK && holds(&fetcher->view, position);
    }
    if (!found) {
        fetcher->got = false;
        truc_status status = log_find_block(&fetcher->access, position, &block, why);
        if (status == TRUC_OK) {
            status = get_block(fetcher, block, why);
        }
        if (status != TRUC_OK) {
            return status;
        }
    }
    block = fetcher->view.block;
    fetcher->hinted = true;
    fetcher->hint_block = block;
    if (!(fetcher->checked && fetcher->checked_block == block)) {
        if (block_table_check(&fetcher->view) != TRUC_OK) {
            log_why(why, "block %llu: its table fails its checksum", (unsigned long long)block);
            return TRUC_DAMAGED;
        }
        fetcher->checked = true;
        fetcher->checked_block = block;
    }
    return TRUC_OK;
}

/* --- one entry ------------------------------------------------------------------------------------------------------------ */

static bool is_packed(const struct entry_view *entry)
{
    struct batch_view batch;
    return batch_parse(entry->batch, &batch, NULL) == TRUC_OK && batch.codec != CODEC_NONE;
}

static bool copy_entry(struct log_fetcher *fetcher, const struct entry_view *entry, struct entry_view *ret_copy)
{
    const uint8_t *begin = entry->leaf.data - ENTRY_HEADER_BYTES;
    size_t size = entry_served_size(entry->leaf.size, entry->batch.size);
    if (size > fetcher->copy_capacity) {
        uint8_t *grown = realloc(fetcher->copy, size);
        if (grown == NULL) {
            return false;
        }
        fetcher->copy = grown;
        fetcher->copy_capacity = size;
    }
    memcpy(fetcher->copy, begin, size);
    *ret_copy = *entry;
    ret_copy->leaf.data = fetcher->copy + (entry->leaf.data - begin);
    ret_copy->batch.data = fetcher->copy + (entry->batch.data - begin);
    ret_copy->directory = (struct bytes){NULL, 0};
    return true;
}

/* Gives the cutter an entry; a packed one as a copy that is kept with what it unpacks to, as the entry itself is only there until
 * the call ends. */
static truc_status take_entry(struct log_fetcher *fetcher, uint64_t position, const struct entry_view *entry)
{
    struct entry_view copy = *entry;
    bool packed = is_packed(entry);
    fetcher->taken = false;
    if (packed && !copy_entry(fetcher, entry, &copy)) {
        return TRUC_NO_MEMORY;
    }
    struct cut_tree *known = cut_cache_get(fetcher->log->cuts, position);
    truc_status status = cutter_take(fetcher->cutter, &copy, known);
    if (status == TRUC_OK && known == NULL) {
        cut_cache_put(fetcher->log->cuts, position, cutter_tree(fetcher->cutter));
    }
    cut_tree_unref(known);
    fetcher->taken = status == TRUC_OK && packed;
    fetcher->taken_position = position;
    fetcher->taken_count = entry->fields.record_count;
    return status;
}

/* The records named at one position, which all come next. */
struct group {
    const struct place *places;
    size_t count;
    uint64_t position;
};

/* Whether there is room for an entry of this size; if not, the call is over. */
static bool has_room(struct log_fetch *fetch, size_t size)
{
    if (size > fetch->capacity - fetch->size) {
        fetch->needed = fetch->size == 0 ? size : 0;
        return false;
    }
    return true;
}

/* The indexes of the group's records. */
static truc_status name_records(struct log_fetcher *fetcher, const struct group *group)
{
    if (group->count > fetcher->index_capacity) {
        uint32_t *grown = realloc(fetcher->indexes, group->count * sizeof *grown);
        if (grown == NULL) {
            return TRUC_NO_MEMORY;
        }
        fetcher->indexes = grown;
        fetcher->index_capacity = group->count;
    }
    for (size_t i = 0; i < group->count; i++) {
        fetcher->indexes[i] = group->places[i].index;
    }
    return TRUC_OK;
}

/* Many small records of a full batch with what proves each may be more than a frame holds: then fewer of them go. */
static truc_status serve_cut(struct log_fetcher *fetcher, struct group *group, struct log_fetch *fetch)
{
    size_t size = cutter_size(fetcher->cutter, fetcher->indexes, group->count);
    while (size > BATCH_BYTES_MAX && group->count > 1) {
        group->count /= 2;
        size = cutter_size(fetcher->cutter, fetcher->indexes, group->count);
    }
    if (!has_room(fetch, size)) {
        return TRUC_BUSY;
    }
    cutter_write(fetcher->cutter, fetcher->indexes, group->count, fetch->out + fetch->size);
    fetch->size += size;
    return TRUC_OK;
}

static truc_status serve_whole(const struct entry_view *entry, struct log_fetch *fetch)
{
    size_t size = entry_served_size(entry->leaf.size, entry->batch.size);
    if (!has_room(fetch, size)) {
        return TRUC_BUSY;
    }
    memcpy(fetch->out + fetch->size, entry->leaf.data - ENTRY_HEADER_BYTES, size);
    fetch->size += size;
    return TRUC_OK;
}

/* The row of the entry at the group's position, which must hold its records; its block is the fetcher's. */
static truc_status find_entry(struct log_fetcher *fetcher, const struct group *group, uint32_t *ret_index, char *why)
{
    truc_status status = group->position < log_head(fetcher->log).position ? TRUC_OK : TRUC_DAMAGED;
    if (status != TRUC_OK) {
        log_why(why, "position %llu is not in the log", (unsigned long long)group->position);
        return status;
    }
    status = find_block(fetcher, group->position, why);
    if (status != TRUC_OK) {
        return status;
    }
    *ret_index = (uint32_t)(group->position - fetcher->view.first_position);
    struct block_row row = block_row_at(&fetcher->view, *ret_index);
    if (group->places[group->count - 1].index >= row.record_count) {
        log_why(why, "position %llu has %u records, there is no record %u", (unsigned long long)group->position, row.record_count,
                group->places[group->count - 1].index);
        return TRUC_DAMAGED;
    }
    return TRUC_OK;
}

/* Takes only the group's records of an entry that was cut before: its checksum would cost as much as the whole entry. */
static bool take_again(struct log_fetcher *fetcher, const struct group *group, uint32_t index)
{
    struct block_row row = block_row_at(&fetcher->view, index);
    struct cut_tree *known = group->count < row.record_count ? cut_cache_get(fetcher->log->cuts, group->position) : NULL;
    struct entry_view entry;
    bool taken = known != NULL && block_entry_peek(&fetcher->view, index, &entry) == TRUC_OK &&
                 entry.fields.record_count == row.record_count &&
                 cutter_take_again(fetcher->cutter, &entry, known, fetcher->indexes, group->count);
    cut_tree_unref(known);
    fetcher->taken = false;
    return taken;
}

static truc_status open_entry(struct log_fetcher *fetcher, const struct group *group, uint32_t index, struct entry_view *ret_entry,
                              struct leaf *ret_leaf, char *why)
{
    struct block_row row = block_row_at(&fetcher->view, index);
    if (block_entry(&fetcher->view, index, ret_entry) != TRUC_OK || ret_entry->fields.topic_id != row.topic_id ||
        ret_entry->fields.record_count != row.record_count || leaf_parse(ret_entry->leaf, ret_leaf) != TRUC_OK) {
        log_why(why, "block %llu, position %llu: the entry fails its checksum", (unsigned long long)fetcher->view.block,
                (unsigned long long)group->position);
        return TRUC_DAMAGED;
    }
    fetcher->budget = fetcher->budget > ret_entry->entry_size ? fetcher->budget - ret_entry->entry_size : 0;
    return TRUC_OK;
}

/* TRUC_BUSY: no room. */
static truc_status serve(struct log_fetcher *fetcher, struct group *group, struct log_fetch *fetch, char *why)
{
    struct entry_view entry;
    struct leaf leaf;
    uint32_t index;
    truc_status status = name_records(fetcher, group);
    if (status != TRUC_OK) {
        return status;
    }
    if (fetcher->taken && fetcher->taken_position == group->position && group->count < fetcher->taken_count &&
        group->places[group->count - 1].index < fetcher->taken_count) {
        return serve_cut(fetcher, group, fetch);
    }
    status = find_entry(fetcher, group, &index, why);
    if (status != TRUC_OK) {
        return status;
    }
    if (take_again(fetcher, group, index)) {
        return serve_cut(fetcher, group, fetch);
    }
    status = open_entry(fetcher, group, index, &entry, &leaf, why);
    if (status != TRUC_OK) {
        return status;
    }
    if (group->count == entry.fields.record_count || leaf.evidence == EVIDENCE_BATCH) {
        return serve_whole(&entry, fetch);
    }
    status = take_entry(fetcher, group->position, &entry);
    if (status != TRUC_OK && status != TRUC_NO_MEMORY) {
        log_why(why, "block %llu, position %llu: the entry's records cannot be read", (unsigned long long)fetcher->view.block,
                (unsigned long long)group->position);
        status = TRUC_DAMAGED;
    }
    return status == TRUC_OK ? serve_cut(fetcher, group, fetch) : status;
}

truc_status log_fetch(struct log_fetcher *fetcher, struct log_fetch *fetch, char *why)
{
    truc_status status = TRUC_OK;
    fetch->size = 0;
    fetch->done = 0;
    fetch->needed = 0;
    fetcher->access = (struct block_access){.log = fetcher->log};
    fetcher->got = false;
    fetcher->budget = FETCH_BUDGET_BYTES;
    if (why != NULL) {
        why[0] = '\0';
    }
    while (status == TRUC_OK && fetch->done < fetch->count && fetcher->budget > 0) {
        struct group group = {.places = fetch->places + fetch->done, .count = 1, .position = fetch->places[fetch->done].position};
        while (fetch->done + group.count < fetch->count && group.places[group.count].position == group.position) {
            assert(group.places[group.count].index > group.places[group.count - 1].index);
            group.count++;
        }
        status = serve(fetcher, &group, fetch, why);
        fetch->done += status == TRUC_OK ? group.count : 0;
    }
    fetcher->log->engine->access_end(&fetcher->access);
    return status == TRUC_BUSY ? TRUC_OK : status;
}
