#include "broker/log/lmdb/merge.h"

#include <stdlib.h>

enum { STEP_BYTES = 1 << 20, STEP_DELETES = 2048 };

/* Removes chunks of a dead run, then the run. */
static truc_status bury(struct derived *derived, MDB_txn *txn, const struct run *run, char *why)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    int code = mdb_cursor_open(txn, derived->tables[TABLE_POSTINGS + run->tier], &cursor);
    if (code != 0) {
        return files_error(code, "writing", "derived.mdb", why);
    }
    struct derived_key key = chunk_key(run->id, 0, 0);
    bool emptied = false;
    for (int deleted = 0; code == 0 && deleted < STEP_DELETES; deleted++) {
        k = (MDB_val){key.size, key.bytes};
        code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (code == MDB_NOTFOUND || (code == 0 && (k.mv_size != CHUNK_KEY_BYTES || key_u64(k.mv_data) != run->id))) {
            emptied = true;
            code = 0;
            break;
        }
        code = code == 0 ? mdb_cursor_del(cursor, 0) : code;
    }
    mdb_cursor_close(cursor);
    if (code != 0) {
        return files_error(code, "writing", "derived.mdb", why);
    }
    return emptied ? run_delete(derived, txn, run->id, why) : TRUC_OK;
}

/* Picks what to merge: the oldest runs of the lowest tier that has enough. False: nothing. */
static bool pick_inputs(const struct run *runs, size_t count, struct run *ret_inputs)
{
    for (uint8_t tier = 0; tier + 1 < DERIVED_TIERS; tier++) {
        size_t found = 0;
        for (size_t i = 0; i < count && found < MERGE_FACTOR; i++) { /* by id, and so by position within a tier */
            if (runs[i].state == RUN_LIVE && runs[i].tier == tier) {
                ret_inputs[found++] = runs[i];
            }
        }
        if (found == MERGE_FACTOR) {
            return true;
        }
    }
    return false;
}

static truc_status begin(struct merge *merge, struct derived *derived, MDB_txn *txn, char *why)
{
    struct derived_mark mark;
    truc_status status = derived_get_mark(derived, txn, &mark);
    if (status != TRUC_OK) {
        return status;
    }
    merge->output = (struct run){.id = mark.next_run++,
                                 .tier = (uint8_t)(merge->inputs[0].tier + 1),
                                 .state = RUN_BUILDING,
                                 .first_position = merge->inputs[0].first_position,
                                 .end_position = merge->inputs[MERGE_FACTOR - 1].end_position};
    merge->topic_id = 0;
    merge->position = 0;
    merge->under_way = true;
    status = derived_put_mark(derived, txn, &mark, why);
    return status == TRUC_OK ? run_put(derived, txn, &merge->output, why) : status;
}

static truc_status finish(struct merge *merge, struct derived *derived, MDB_txn *txn, char *why)
{
    merge->output.state = RUN_LIVE;
    truc_status status = run_put(derived, txn, &merge->output, why);
    for (int i = 0; status == TRUC_OK && i < MERGE_FACTOR; i++) {
        merge->inputs[i].state = RUN_DEAD;
        status = run_put(derived, txn, &merge->inputs[i], why);
    }
    merge->under_way = false;
    return status;
}

/* One input: where its cursor stands. */
struct input {
    MDB_cursor *cursor;
    uint64_t run;
    bool over;
    uint32_t topic_id;
    uint64_t position;
    struct bytes value;
};

static truc_status input_take(struct input *input, int code, const MDB_val *k, const MDB_val *v)
{
    input->over = true;
    if (code == MDB_NOTFOUND) {
        return TRUC_OK;
    }
    if (code != 0 || k->mv_size != CHUNK_KEY_BYTES) {
        return code != 0 ? TRUC_IO : TRUC_DAMAGED;
    }
    const uint8_t *key = k->mv_data;
    if (key_u64(key) != input->run) {
        return TRUC_OK;
    }
    input->over = false;
    input->topic_id = key_u32(key + 8);
    input->position = key_u64(key + 12);
    return derived_unseal(bytes_of(key, CHUNK_KEY_BYTES), bytes_of(v->mv_data, v->mv_size), &input->value);
}

static truc_status input_open(struct input *input, struct derived *derived, MDB_txn *txn, const struct run *run, uint32_t topic_id,
                              uint64_t position)
{
    input->run = run->id;
    if (mdb_cursor_open(txn, derived->tables[TABLE_POSTINGS + run->tier], &input->cursor) != 0) {
        return TRUC_IO;
    }
    struct derived_key key = chunk_key(run->id, topic_id, position);
    MDB_val k = {key.size, key.bytes}, v;
    int code = mdb_cursor_get(input->cursor, &k, &v, MDB_SET_RANGE);
    return input_take(input, code, &k, &v);
}

static truc_status input_next(struct input *input)
{
    MDB_val k, v;
    int code = mdb_cursor_get(input->cursor, &k, &v, MDB_NEXT);
    return input_take(input, code, &k, &v);
}

/* The input with the lowest topic; of those the first, which is the earliest in position. NULL: all are over. */
static struct input *lowest(struct input *inputs)
{
    struct input *best = NULL;
    for (int i = 0; i < MERGE_FACTOR; i++) {
        if (!inputs[i].over && (best == NULL || inputs[i].topic_id < best->topic_id)) {
            best = &inputs[i];
        }
    }
    return best;
}

/* Copies chunks until the step's size is reached, which is between two chunks of the inputs; or to the end: *ret_done. */
static truc_status copy(struct merge *merge, struct derived *derived, MDB_txn *txn, bool *ret_done, char *why)
{
    struct input inputs[MERGE_FACTOR] = {0};
    struct chunk_writer writer = {.derived = derived, .txn = txn, .run = &merge->output};
    truc_status status = TRUC_OK;
    for (int i = 0; status == TRUC_OK && i < MERGE_FACTOR; i++) {
        status = input_open(&inputs[i], derived, txn, &merge->inputs[i], merge->topic_id, merge->position);
    }
    struct input *input = NULL;
    while (status == TRUC_OK && writer.written < STEP_BYTES && (input = lowest(inputs)) != NULL) {
        struct chunk_reader chunk = chunk_read(input->position, input->value);
        while (status == TRUC_OK && chunk_next(&chunk, &status)) {
            status = chunk_add(&writer, input->topic_id, chunk.previous, &chunk.posting, why);
        }
        merge->topic_id = input->topic_id;
        merge->position = chunk.posting.position + 1;
        status = status == TRUC_OK ? input_next(input) : status;
    }
    if (status == TRUC_OK) {
        *ret_done = lowest(inputs) == NULL;
        status = chunk_flush(&writer, why);
    }
    for (int i = 0; i < MERGE_FACTOR; i++) {
        if (inputs[i].cursor != NULL) {
            mdb_cursor_close(inputs[i].cursor);
        }
    }
    return status;
}

/* What there is to do, in this order: a merge under way; leftovers; a new merge. */
static truc_status work(struct merge *merge, struct derived *derived, MDB_txn *txn, bool *ret_more, char *why)
{
    bool done = false;
    truc_status status;
    if (merge->under_way) {
        status = copy(merge, derived, txn, &done, why);
        *ret_more = true;
        return status == TRUC_OK && done ? finish(merge, derived, txn, why) : status;
    }
    struct run *runs;
    size_t count;
    status = runs_list(derived, txn, &runs, &count);
    if (status != TRUC_OK) {
        return status;
    }
    const struct run *left = NULL;
    for (size_t i = 0; i < count && left == NULL; i++) {
        left = runs[i].state != RUN_LIVE ? &runs[i] : NULL;
    }
    *ret_more = true;
    if (left != NULL) {
        status = bury(derived, txn, left, why);
    } else if (pick_inputs(runs, count, merge->inputs)) {
        status = begin(merge, derived, txn, why);
    } else {
        *ret_more = false;
    }
    free(runs);
    return status;
}

truc_status merge_step(struct merge *merge, struct derived *derived, bool *ret_more, char *why)
{
    MDB_txn *txn;
    *ret_more = false;
    truc_status status = derived_begin(derived, true, &txn, why);
    if (status != TRUC_OK) {
        return status;
    }
    bool more = false;
    status = work(merge, derived, txn, &more, why);
    if (status != TRUC_OK || !more) {
        mdb_txn_abort(txn);
    } else {
        int code = mdb_txn_commit(txn);
        status = code == 0 ? TRUC_OK : files_error(code, "writing", "derived.mdb", why);
    }
    if (status != TRUC_OK) {
        merge->under_way = false; /* what was built is dead: it begins again */
        return status;
    }
    *ret_more = more;
    return TRUC_OK;
}
