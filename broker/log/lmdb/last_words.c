#include "broker/log/lmdb/last_words.h"

#include <stdlib.h>
#include <xxhash.h>

enum { WORDS_FIRST = 1024 };

struct last_word {
    bool cursor, gone; /* a cursor's, else a lane's */
    uint32_t subscription_id;
    uint64_t key;       /* 0 of lanes of one record: without a key, or aside */
    struct place place; /* that tells these apart; else zero */
    union {
        struct cursor_row cursor_row;
        struct lane_row lane_row;
    };
};

void last_words_fini(struct last_words *words)
{
    free(words->words);
    free(words->buckets);
}

void last_words_clear(struct last_words *words)
{
    if (words->count > 0) {
        memset(words->buckets, 0, words->bucket_count * sizeof *words->buckets);
        words->count = 0;
    }
}

static struct last_word word_of(const struct delta *delta)
{
    if (delta->kind == DELTA_CURSOR) {
        return (struct last_word){.cursor = true, .subscription_id = delta->cursor.subscription_id, .cursor_row = delta->cursor};
    }
    const struct lane_row *row = &delta->lane.row;
    struct last_word word = {.gone = delta->lane.gone, .subscription_id = row->subscription_id, .lane_row = *row};
    if (row->key == 0 || row->aside) {
        word.place = row->place;
    } else {
        word.key = row->key;
    }
    return word;
}

/* In the order of the tables' keys: cursors, then lanes. */
static int by_row(const void *a, const void *b)
{
    const struct last_word *left = a, *right = b;
    if (left->cursor != right->cursor) {
        return left->cursor ? -1 : 1;
    }
    if (left->subscription_id != right->subscription_id) {
        return left->subscription_id < right->subscription_id ? -1 : 1;
    }
    if (left->key != right->key) {
        return left->key < right->key ? -1 : 1;
    }
    if (left->place.position != right->place.position) {
        return left->place.position < right->place.position ? -1 : 1;
    }
    return left->place.index < right->place.index ? -1 : left->place.index > right->place.index;
}

/* The bucket of a row's word, or the free one where it belongs. */
static uint32_t *bucket_of(const struct last_words *words, const struct last_word *word)
{
    const uint64_t identity[] = {word->key, word->place.position, (uint64_t)word->place.index << 32 | word->subscription_id,
                                 word->cursor};
    size_t at = (size_t)XXH3_64bits(identity, sizeof identity) & (words->bucket_count - 1);
    while (words->buckets[at] != 0 && by_row(&words->words[words->buckets[at] - 1], word) != 0) {
        at = (at + 1) & (words->bucket_count - 1);
    }
    return &words->buckets[at];
}

static truc_status grow(struct last_words *words)
{
    if (words->count < words->capacity) {
        return TRUC_OK;
    }
    size_t capacity = words->capacity == 0 ? WORDS_FIRST : words->capacity * 2;
    uint32_t *buckets = calloc(capacity * 2, sizeof *buckets);
    struct last_word *grown = buckets == NULL ? NULL : realloc(words->words, capacity * sizeof *grown);
    if (grown == NULL) {
        free(buckets);
        return TRUC_NO_MEMORY;
    }
    free(words->buckets);
    words->words = grown;
    words->capacity = capacity;
    words->buckets = buckets;
    words->bucket_count = capacity * 2;
    for (size_t i = 0; i < words->count; i++) {
        *bucket_of(words, &grown[i]) = (uint32_t)i + 1;
    }
    return TRUC_OK;
}

truc_status last_words_take(struct last_words *words, const struct delta *delta)
{
    truc_status status = grow(words);
    if (status != TRUC_OK) {
        return status;
    }
    struct last_word word = word_of(delta);
    uint32_t *bucket = bucket_of(words, &word);
    if (*bucket == 0) {
        *bucket = (uint32_t)++words->count;
    }
    words->words[*bucket - 1] = word;
    return TRUC_OK;
}

/* Removes lanes that are gone, in the order of keys. Most of them never were in the table: a look tells the next lane there is, and
 * whatever would stand before that needs no look of its own. */
static truc_status remove_gone(const struct last_words *words, struct derived *derived, MDB_txn *txn, char *why)
{
    struct derived_key next = {.size = 0}; /* the lane at which the table goes on, when it is known */
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, derived->tables[TABLE_LANES], &cursor);
    if (code != 0) {
        return files_error(code, "writing", "derived.mdb", why);
    }
    for (size_t i = 0; code == 0 && i < words->count; i++) {
        if (!words->words[i].gone) {
            continue;
        }
        struct derived_key key = derived_lane_key(&words->words[i].lane_row);
        MDB_val k = {key.size, key.bytes}, v;
        /* No lane's key is the beginning of another's, so the bytes that both have decide. */
        int order = next.size == 0 ? -1 : memcmp(next.bytes, key.bytes, next.size < key.size ? next.size : key.size);
        if (order < 0) {
            code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
            if (code != 0) {
                break;
            }
            if (k.mv_size > sizeof next.bytes) {
                code = MDB_CORRUPTED;
                break;
            }
            next.size = k.mv_size;
            memcpy(next.bytes, k.mv_data, k.mv_size);
            order = next.size == key.size ? memcmp(next.bytes, key.bytes, key.size) : 1;
        }
        if (order == 0) {
            code = mdb_cursor_del(cursor, 0);
            next.size = 0;
        }
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND ? TRUC_OK : files_error(code, "writing", "derived.mdb", why);
}

truc_status last_words_write(struct last_words *words, struct derived *derived, MDB_txn *txn, char *why)
{
    if (words->count == 0) {
        return TRUC_OK;
    }
    qsort(words->words, words->count, sizeof *words->words, by_row); /* buckets mean nothing from here on */
    truc_status status = remove_gone(words, derived, txn, why);
    for (size_t i = 0; status == TRUC_OK && i < words->count; i++) {
        const struct last_word *word = &words->words[i];
        if (word->cursor) {
            status = derived_put_cursor(derived, txn, &word->cursor_row, why);
        } else if (!word->gone) {
            status = derived_put_lane(derived, txn, &word->lane_row, why);
        }
    }
    return status;
}
