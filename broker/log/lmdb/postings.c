#include "broker/log/lmdb/postings.h"

#include <stdlib.h>

enum { RUN_BYTES = 18, POSTING_BYTES_MAX = 40 };

static struct derived_key run_key(uint64_t id)
{
    struct derived_key key = {.size = 0};
    key_add_u64(&key, id);
    return key;
}

struct derived_key chunk_key(uint64_t run, uint32_t topic_id, uint64_t position)
{
    struct derived_key key = {.size = 0};
    key_add_u64(&key, run);
    key_add_u32(&key, topic_id);
    key_add_u64(&key, position);
    return key;
}

truc_status run_put(struct derived *derived, MDB_txn *txn, const struct run *run, char *why)
{
    struct derived_key key = run_key(run->id);
    uint8_t value[RUN_BYTES] = {run->tier, run->state};
    store_u64(value + 2, run->first_position);
    store_u64(value + 10, run->end_position);
    return derived_put(derived, txn, TABLE_RUNS, &key, bytes_of(value, sizeof value), false, why);
}

truc_status run_delete(struct derived *derived, MDB_txn *txn, uint64_t id, char *why)
{
    struct derived_key key = run_key(id);
    MDB_val k = {key.size, key.bytes};
    int code = mdb_del(txn, derived->tables[TABLE_RUNS], &k, NULL);
    return code == 0 ? TRUC_OK : files_error(code, "writing", "derived.mdb", why);
}

truc_status runs_list(struct derived *derived, MDB_txn *txn, struct run **ret_runs, size_t *ret_count)
{
    MDB_stat stat;
    MDB_cursor *cursor;
    MDB_val k, v;
    int code = mdb_stat(txn, derived->tables[TABLE_RUNS], &stat);
    if (code != 0 || mdb_cursor_open(txn, derived->tables[TABLE_RUNS], &cursor) != 0) {
        return TRUC_IO;
    }
    struct run *runs = malloc((stat.ms_entries + 1) * sizeof *runs);
    size_t count = 0;
    truc_status status = runs == NULL ? TRUC_NO_MEMORY : TRUC_OK;
    while (status == TRUC_OK && count < stat.ms_entries && mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
        struct bytes key = bytes_of(k.mv_data, k.mv_size), value;
        status = derived_unseal(key, bytes_of(v.mv_data, v.mv_size), &value);
        if (status == TRUC_OK && (key.size != 8 || value.size != RUN_BYTES || value.data[0] >= DERIVED_TIERS)) {
            status = TRUC_DAMAGED;
        }
        if (status == TRUC_OK) {
            runs[count++] = (struct run){.id = key_u64(key.data),
                                         .tier = value.data[0],
                                         .state = value.data[1],
                                         .first_position = load_u64(value.data + 2),
                                         .end_position = load_u64(value.data + 10)};
        }
    }
    mdb_cursor_close(cursor);
    if (status != TRUC_OK) {
        free(runs);
        return status;
    }
    *ret_runs = runs;
    *ret_count = count;
    return TRUC_OK;
}

truc_status chunk_flush(struct chunk_writer *writer, char *why)
{
    if (writer->size == 0) {
        return TRUC_OK;
    }
    struct derived_key key = chunk_key(writer->run->id, writer->topic_id, writer->first.position);
    enum derived_table table = (enum derived_table)(TABLE_POSTINGS + writer->run->tier);
    truc_status status = derived_put(writer->derived, writer->txn, table, &key, bytes_of(writer->bytes, writer->size), true, why);
    writer->written += writer->size + CHUNK_KEY_BYTES;
    writer->size = 0;
    return status;
}

truc_status chunk_add(struct chunk_writer *writer, uint32_t topic_id, uint64_t previous, const struct posting *posting, char *why)
{
    if (writer->written + writer->size > 0 && writer->topic_id == topic_id && writer->last.position != previous) {
        return TRUC_DAMAGED;
    }
    if (writer->size > 0 && (writer->topic_id != topic_id || writer->size + POSTING_BYTES_MAX > sizeof writer->bytes)) {
        truc_status status = chunk_flush(writer, why);
        if (status != TRUC_OK) {
            return status;
        }
    }
    uint8_t *p = writer->bytes + writer->size;
    if (writer->size == 0) {
        writer->topic_id = topic_id;
        writer->first = *posting;
        p = varint_put(p, previous + 1); /* 0: none */
        p = varint_put(p, posting->block);
        p = varint_put(p, posting->base_offset);
    } else {
        p = varint_put(p, posting->position - writer->last.position);
        p = varint_put(p, posting->block - writer->last.block);
        p = varint_put(p, posting->base_offset - writer->last.base_offset);
    }
    writer->last = *posting;
    writer->size = (size_t)(p - writer->bytes);
    return TRUC_OK;
}

struct chunk_reader chunk_read(uint64_t first_position, struct bytes value)
{
    struct chunk_reader chunk = {.reader = reader_over(value), .posting = {.position = first_position}};
    chunk.previous = reader_varint(&chunk.reader) - 1;
    return chunk;
}

bool chunk_next(struct chunk_reader *chunk, truc_status *ret_status)
{
    *ret_status = TRUC_OK;
    if (chunk->begun && reader_left(&chunk->reader) == 0) {
        return false;
    }
    if (chunk->begun) {
        chunk->previous = chunk->posting.position;
        chunk->posting.position += reader_varint(&chunk->reader);
    }
    chunk->begun = true;
    chunk->posting.block += reader_varint(&chunk->reader);
    chunk->posting.base_offset += reader_varint(&chunk->reader);
    *ret_status = chunk->reader.failed ? TRUC_DAMAGED : TRUC_OK;
    return !chunk->reader.failed;
}

/* --- finding ------------------------------------------------------------------------------------------------------------- */

/* A look at one topic in one run. */
struct view {
    struct derived *derived;
    MDB_txn *txn;
    const struct run *run;
    uint32_t topic_id;
    MDB_cursor *cursor;
    uint64_t position; /* of the chunk that the cursor stands on */
    struct bytes value;
};

/* Takes what the cursor gave, if it is this topic's in this run. */
static truc_status view_take(struct view *view, int code, const MDB_val *k, const MDB_val *v)
{
    if (code == MDB_NOTFOUND) {
        return TRUC_NOT_FOUND;
    }
    if (code != 0) {
        return TRUC_IO;
    }
    const uint8_t *key = k->mv_data;
    if (k->mv_size != CHUNK_KEY_BYTES) {
        return TRUC_DAMAGED;
    }
    if (key_u64(key) != view->run->id || key_u32(key + 8) != view->topic_id) {
        return TRUC_NOT_FOUND;
    }
    view->position = key_u64(key + 12);
    return derived_unseal(bytes_of(key, CHUNK_KEY_BYTES), bytes_of(v->mv_data, v->mv_size), &view->value);
}

/* Moves to the last chunk that begins at or before a position; or, when there is none, to the first one of all if `or_first`. */
static truc_status view_seek(struct view *view, uint64_t position, bool or_first)
{
    struct derived_key key = chunk_key(view->run->id, view->topic_id, position);
    MDB_val k = {key.size, key.bytes}, v;
    int code = mdb_cursor_get(view->cursor, &k, &v, MDB_SET_RANGE);
    truc_status above = view_take(view, code, &k, &v);
    if (above == TRUC_OK && view->position == position) {
        return TRUC_OK;
    }
    uint64_t first_above = view->position;
    struct bytes value_above = view->value;
    code = mdb_cursor_get(view->cursor, &k, &v, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    truc_status below = view_take(view, code, &k, &v);
    if (below != TRUC_NOT_FOUND || !or_first || above != TRUC_OK) {
        return below == TRUC_NOT_FOUND && above != TRUC_OK ? above : below;
    }
    /* The cursor goes back to the chunk above. */
    k = (MDB_val){key.size, key.bytes};
    (void)mdb_cursor_get(view->cursor, &k, &v, MDB_SET_RANGE);
    view->position = first_above;
    view->value = value_above;
    return TRUC_OK;
}

static truc_status view_step(struct view *view, bool reverse)
{
    MDB_val k, v;
    int code = mdb_cursor_get(view->cursor, &k, &v, reverse ? MDB_PREV : MDB_NEXT);
    return view_take(view, code, &k, &v);
}

/* What a search gathers. */
struct found {
    struct posting *postings;
    size_t count, max;
    uint64_t position;  /* where it began: at or after this, or before it when falling */
    uint64_t neighbour; /* the next posting's must be this: rising, the one given last; falling, the one it named before itself */
    bool linked;        /* neighbour says something */
};

/* Adds a chunk's postings upwards. The first one taken must follow the last one taken, or what lies before the beginning. */
static truc_status take_chunk_up(const struct view *view, struct found *found)
{
    struct chunk_reader chunk = chunk_read(view->position, view->value);
    truc_status status = TRUC_OK;
    while (found->count < found->max && chunk_next(&chunk, &status)) {
        if (chunk.posting.position < found->position) {
            continue;
        }
        bool follows =
            found->linked ? chunk.previous == found->neighbour : chunk.previous == NO_POSITION || chunk.previous < found->position;
        if (!follows) {
            return TRUC_DAMAGED; /* there is one between, which was not found */
        }
        found->linked = true;
        found->neighbour = chunk.posting.position;
        found->postings[found->count++] = chunk.posting;
    }
    return status;
}

/* The same downwards. A chunk is read upwards only: all of it, then turned around. */
static truc_status take_chunk_down(const struct view *view, struct found *found)
{
    struct chunk_reader chunk = chunk_read(view->position, view->value);
    struct posting postings[DERIVED_VALUE_BYTES_MAX / 2];
    size_t held = 0;
    truc_status status = TRUC_OK;
    uint64_t before = chunk.previous;
    while (held < sizeof postings / sizeof *postings && chunk_next(&chunk, &status)) {
        if (chunk.posting.position >= found->position) {
            if (!found->linked) { /* the one above the place of beginning tells which is below it */
                found->linked = true;
                found->neighbour = chunk.previous;
            }
            break;
        }
        postings[held++] = chunk.posting;
    }
    if (status != TRUC_OK || held == 0) {
        return status;
    }
    if (found->linked && postings[held - 1].position != found->neighbour) {
        return TRUC_DAMAGED;
    }
    found->linked = true;
    found->neighbour = before;
    while (held > 0 && found->count < found->max) {
        found->postings[found->count++] = postings[--held];
    }
    return TRUC_OK;
}

static truc_status find_in_run(struct view *view, bool reverse, struct found *found)
{
    truc_status status = view_seek(view, found->position, !reverse);
    while (status == TRUC_OK && found->count < found->max) {
        status = reverse ? take_chunk_down(view, found) : take_chunk_up(view, found);
        if (status == TRUC_OK && found->count < found->max) {
            status = view_step(view, reverse);
        }
    }
    return status == TRUC_NOT_FOUND ? TRUC_OK : status;
}

/* When the index gave all it has, it must have come to the topic's last entry below the mark, or its first; and from above the last
 * one it must have begun with that. */
static truc_status check_end(struct derived *derived, MDB_txn *txn, uint32_t topic_id, bool reverse, const struct found *found)
{
    struct topic_row row;
    truc_status status = derived_get_topic(derived, txn, topic_id, &row);
    if (status != TRUC_OK || row.entry_count == 0) {
        return status == TRUC_NOT_FOUND || (status == TRUC_OK && found->count == 0) ? TRUC_OK : TRUC_DAMAGED;
    }
    uint64_t last = found->count > 0 ? found->postings[found->count - 1].position : NO_POSITION;
    if (reverse) {
        bool top = found->count == 0 || row.last_position >= found->position || found->postings[0].position == row.last_position;
        bool bottom =
            found->count == found->max || (found->count == 0 ? row.first_position >= found->position : last == row.first_position);
        return top && bottom ? TRUC_OK : TRUC_DAMAGED;
    }
    bool whole =
        found->count == found->max || (found->count == 0 ? row.last_position < found->position : last == row.last_position);
    return whole ? TRUC_OK : TRUC_DAMAGED;
}

static int compare_runs(const void *a, const void *b)
{
    const struct run *left = a, *right = b;
    return left->first_position < right->first_position ? -1 : left->first_position > right->first_position;
}

/* The live runs in order of position, and the mark. */
static truc_status live_runs(struct derived *derived, MDB_txn *txn, struct run **ret_runs, size_t *ret_count, uint64_t *ret_indexed)
{
    struct derived_mark mark;
    truc_status status = derived_get_mark(derived, txn, &mark);
    struct run *runs = NULL;
    size_t count = 0, live = 0;
    if (status == TRUC_OK) {
        status = runs_list(derived, txn, &runs, &count);
    }
    if (status != TRUC_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        if (runs[i].state == RUN_LIVE) {
            runs[live++] = runs[i];
        }
    }
    qsort(runs, live, sizeof *runs, compare_runs);
    *ret_runs = runs;
    *ret_count = live;
    *ret_indexed = mark.position;
    return TRUC_OK;
}

static truc_status open_view(struct view *view, const struct run *run)
{
    view->run = run;
    return mdb_cursor_open(view->txn, view->derived->tables[TABLE_POSTINGS + run->tier], &view->cursor) == 0 ? TRUC_OK : TRUC_IO;
}

truc_status postings_find(struct derived *derived, uint32_t topic_id, uint64_t position, bool reverse, struct posting *postings,
                          size_t max, size_t *ret_count, uint64_t *ret_indexed)
{
    MDB_txn *txn;
    truc_status status = derived_begin(derived, false, &txn, NULL);
    if (status != TRUC_OK) {
        return status;
    }
    struct run *runs = NULL;
    size_t run_count = 0;
    struct found found = {.postings = postings, .max = max, .position = position};
    status = live_runs(derived, txn, &runs, &run_count, ret_indexed);
    for (size_t n = 0; status == TRUC_OK && n < run_count && found.count < max; n++) {
        const struct run *run = &runs[reverse ? run_count - 1 - n : n];
        if (reverse ? run->first_position > position : run->end_position <= position) {
            continue;
        }
        struct view view = {.derived = derived, .txn = txn, .topic_id = topic_id};
        status = open_view(&view, run);
        if (status == TRUC_OK) {
            status = find_in_run(&view, reverse, &found);
            mdb_cursor_close(view.cursor);
        }
    }
    free(runs);
    if (status == TRUC_OK) {
        status = check_end(derived, txn, topic_id, reverse, &found);
    }
    mdb_txn_abort(txn);
    if (status == TRUC_OK) {
        *ret_count = found.count;
    }
    return status;
}

/* The last posting of a chunk at or below an offset. */
static truc_status last_in_chunk(const struct view *view, uint64_t offset, struct posting *ret_posting)
{
    struct chunk_reader chunk = chunk_read(view->position, view->value);
    truc_status status;
    bool found = false;
    while (chunk_next(&chunk, &status) && chunk.posting.base_offset <= offset) {
        *ret_posting = chunk.posting;
        found = true;
    }
    return status == TRUC_OK && !found ? TRUC_NOT_FOUND : status;
}

/* Within a run: by bisection over positions, since offsets grow with them. */
static truc_status offset_in_run(struct view *view, uint64_t offset, struct posting *ret_posting)
{
    uint64_t low = view->run->first_position, high = view->run->end_position;
    truc_status status = view_seek(view, low, true);
    if (status != TRUC_OK) {
        return status;
    }
    struct posting found;
    status = last_in_chunk(view, offset, &found);
    if (status != TRUC_OK) {
        return status; /* the run's first one is beyond */
    }
    low = view->position;
    *ret_posting = found;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        status = view_seek(view, middle, false);
        if (status == TRUC_OK) {
            status = last_in_chunk(view, offset, &found);
        }
        if (status == TRUC_OK) {
            *ret_posting = found;
            low = middle;
        } else if (status == TRUC_NOT_FOUND) {
            high = middle;
        } else {
            return status;
        }
    }
    return TRUC_OK;
}

truc_status postings_find_offset(struct derived *derived, uint32_t topic_id, uint64_t offset, struct posting *ret_posting,
                                 uint64_t *ret_indexed)
{
    MDB_txn *txn;
    truc_status status = derived_begin(derived, false, &txn, NULL);
    if (status != TRUC_OK) {
        return status;
    }
    struct run *runs = NULL;
    size_t run_count = 0;
    status = live_runs(derived, txn, &runs, &run_count, ret_indexed);
    truc_status found = TRUC_NOT_FOUND;
    for (size_t n = run_count; status == TRUC_OK && found == TRUC_NOT_FOUND && n > 0; n--) {
        struct view view = {.derived = derived, .txn = txn, .topic_id = topic_id};
        status = open_view(&view, &runs[n - 1]);
        if (status == TRUC_OK) {
            found = offset_in_run(&view, offset, ret_posting);
            mdb_cursor_close(view.cursor);
        }
    }
    free(runs);
    mdb_txn_abort(txn);
    return status == TRUC_OK ? found : status;
}
