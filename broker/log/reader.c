/* reader.c: reading of a pattern: what matches is copied as it is served. */
#include <stdlib.h>

#include "broker/log/walk.h"

struct log_reader {
    struct walk walk;
    struct log_read *read; /* the call under way */
};

static bool full(const struct log_read *read)
{
    return read->entries_max != 0 && read->entry_count >= read->entries_max;
}

/* Copies an entry if it is wanted and there is room. */
static truc_status serve(void *context, const struct walk_entry *at)
{
    struct log_reader *reader = context;
    struct log_read *read = reader->read;
    struct entry_view entry;
    bool wanted = true;
    truc_status status = block_entry(at->block, at->index, &entry);
    if (status == TRUC_OK && entry.fields.topic_id != block_row_at(at->block, at->index).topic_id) {
        status = TRUC_DAMAGED;
    }
    if (status == TRUC_OK && reader->walk.matcher.picky) {
        status = matcher_entry(&reader->walk.matcher, &entry, &wanted);
    }
    if (status != TRUC_OK) {
        log_why(reader->walk.why, "block %llu, position %llu: the entry fails its checksum", (unsigned long long)at->block->block,
                (unsigned long long)at->position);
        return status;
    }
    walk_spend(&reader->walk, entry.entry_size);
    if (!wanted) {
        return TRUC_OK;
    }
    size_t size = entry_served_size(entry.leaf.size, entry.batch.size);
    if (size > read->capacity - read->size) {
        read->needed = read->size == 0 ? size : 0;
        return TRUC_BUSY;
    }
    memcpy(read->out + read->size, entry.leaf.data - ENTRY_HEADER_BYTES, size);
    read->size += size;
    read->entry_count++;
    read->record_count += entry.fields.record_count;
    if (full(read)) {
        walk_stop(&reader->walk);
    }
    return TRUC_OK;
}

truc_status log_reader_create(struct log *log, const struct log_filter *filter, bool reverse, struct log_reader **ret_reader)
{
    struct log_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return TRUC_NO_MEMORY;
    }
    truc_status status = walk_init(&reader->walk, log, filter, reverse);
    if (status != TRUC_OK) {
        free(reader);
        return status;
    }
    reader->walk.visit = serve;
    reader->walk.context = reader;
    *ret_reader = reader;
    return TRUC_OK;
}

void log_reader_destroy(struct log_reader *reader)
{
    if (reader != NULL) {
        walk_fini(&reader->walk);
        free(reader);
    }
}

truc_status log_reader_read(struct log_reader *reader, struct log_read *read, char *why)
{
    read->size = 0;
    read->entry_count = 0;
    read->record_count = 0;
    read->needed = 0;
    reader->read = read;
    reader->walk.budget = WALK_BUDGET_BYTES;
    truc_status status = walk_run(&reader->walk, read->from, read->until, &read->next, why);
    if (status == TRUC_DAMAGED && read->entry_count > 0) {
        /* What was copied before it is given first, the next call comes upon it again and tells. */
        read->next = reader->walk.damaged_from;
        status = TRUC_OK;
    }
    return status;
}
