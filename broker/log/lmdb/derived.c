#include "broker/log/lmdb/derived.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "broker/log/lmdb/segment.h"
#include "broker/log/lmdb/sound.h"

enum {
    SEAL_BYTES = 8,
    READERS_MAX = 256,
    FORMAT_VERSION = 2,
    MARK_NUMBERS = 10,
    MARK_BYTES = 4 + LOG_ID_BYTES + MARK_NUMBERS * 8 + DIGEST_BYTES
};
#define MAP_BYTES ((size_t)1 << 38) /* of address space only: the file has the size that it needs */

static const char *const table_names[TABLE_COUNT] = {"meta",          "segments",  "topics",    "producers", "sequences",
                                                     "subscriptions", "cursors",   "lanes",     "recalls",   "runs",
                                                     "postings0",     "postings1", "postings2", "postings3"};

static int open_tables(struct derived *derived)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(derived->env, NULL, 0, &txn);
    if (code != 0) {
        return code;
    }
    for (int i = 0; i < TABLE_COUNT && code == 0; i++) {
        code = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &derived->tables[i]);
    }
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

truc_status derived_open(const char *path, struct derived **ret_derived, char *why)
{
    uint64_t file_bytes;
    if (access(path, F_OK) == 0 &&
        (segment_check_file(path, &file_bytes, why) != TRUC_OK || sound_check(path, file_bytes, why) != TRUC_OK)) {
        return TRUC_DAMAGED;
    }
    struct derived *derived = calloc(1, sizeof *derived);
    if (derived == NULL) {
        return TRUC_NO_MEMORY;
    }
    int readers_fd = -1;
    truc_status status = segment_place_readers(path, &readers_fd, why);
    if (status != TRUC_OK) {
        free(derived);
        return status;
    }
    int code = mdb_env_create(&derived->env);
    if (code == 0) {
        code = mdb_env_set_mapsize(derived->env, MAP_BYTES);
    }
    if (code == 0) {
        code = mdb_env_set_maxdbs(derived->env, TABLE_COUNT);
    }
    if (code == 0) {
        code = mdb_env_set_maxreaders(derived->env, READERS_MAX);
    }
    if (code == 0) {
        code = mdb_env_open(derived->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    }
    (void)segment_remove_readers(path, NULL);
    (void)close(readers_fd);
    if (code == 0) {
        code = open_tables(derived);
    }
    if (code != 0) {
        derived_close(derived);
        return files_error(code, "opening", path, why);
    }
    *ret_derived = derived;
    return TRUC_OK;
}

void derived_close(struct derived *derived)
{
    if (derived != NULL) {
        mdb_env_close(derived->env);
        free(derived);
    }
}

truc_status derived_remove(const char *path, char *why)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return files_error(errno, "removing", path, why);
    }
    return segment_remove_readers(path, why);
}

truc_status derived_begin(struct derived *derived, bool write, MDB_txn **ret_txn, char *why)
{
    int code = mdb_txn_begin(derived->env, NULL, write ? 0 : MDB_RDONLY, ret_txn);
    return code == 0 ? TRUC_OK : files_error(code, "reading", "derived.mdb", why);
}

void key_add_u32(struct derived_key *key, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(key->bytes + key->size, &value, sizeof value);
    key->size += sizeof value;
}

void key_add_u64(struct derived_key *key, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(key->bytes + key->size, &value, sizeof value);
    key->size += sizeof value;
}

uint32_t key_u32(const uint8_t *key)
{
    return __builtin_bswap32(load_u32(key));
}
uint64_t key_u64(const uint8_t *key)
{
    return __builtin_bswap64(load_u64(key));
}

static uint64_t seal(struct bytes key, struct bytes value)
{
    return XXH3_64bits_withSeed(value.data, value.size, XXH3_64bits(key.data, key.size));
}

truc_status derived_put(struct derived *derived, MDB_txn *txn, enum derived_table table, const struct derived_key *key,
                        struct bytes value, bool append, char *why)
{
    MDB_val k = {key->size, (void *)(uintptr_t)key->bytes}, v = {value.size + SEAL_BYTES, NULL};
    int code = mdb_put(txn, derived->tables[table], &k, &v, MDB_RESERVE | (append ? MDB_APPEND : 0));
    if (code != 0) {
        return files_error(code, "writing", "derived.mdb", why);
    }
    uint8_t *out = v.mv_data;
    if (value.size > 0) {
        memcpy(out, value.data, value.size);
    }
    store_u64(out + value.size, seal(bytes_of(key->bytes, key->size), value));
    return TRUC_OK;
}

truc_status derived_unseal(struct bytes key, struct bytes sealed, struct bytes *ret_value)
{
    if (sealed.size < SEAL_BYTES) {
        return TRUC_DAMAGED;
    }
    struct bytes value = bytes_of(sealed.data, sealed.size - SEAL_BYTES);
    if (load_u64(sealed.data + value.size) != seal(key, value)) {
        return TRUC_DAMAGED;
    }
    *ret_value = value;
    return TRUC_OK;
}

truc_status derived_get(struct derived *derived, MDB_txn *txn, enum derived_table table, const struct derived_key *key,
                        struct bytes *ret_value)
{
    MDB_val k = {key->size, (void *)(uintptr_t)key->bytes}, v;
    int code = mdb_get(txn, derived->tables[table], &k, &v);
    if (code != 0) {
        return code == MDB_NOTFOUND ? TRUC_NOT_FOUND : files_error(code, "reading", "derived.mdb", NULL);
    }
    return derived_unseal(bytes_of(key->bytes, key->size), bytes_of(v.mv_data, v.mv_size), ret_value);
}

/* Rows of the table `meta`. */
enum meta_row { META_MARK = 0, META_IDENTITY = 1 };

static struct derived_key meta_key(enum meta_row row)
{
    struct derived_key key = {.size = 0};
    key_add_u32(&key, row);
    return key;
}

truc_status derived_get_identity(struct derived *derived, MDB_txn *txn, struct log_identity *ret_identity)
{
    struct derived_key key = meta_key(META_IDENTITY);
    struct bytes value = {0};
    truc_status status = derived_get(derived, txn, TABLE_META, &key, &value);
    return status == TRUC_OK ? log_identity_decode(value, ret_identity) : status;
}

truc_status derived_put_identity(struct derived *derived, MDB_txn *txn, const struct log_identity *identity, char *why)
{
    struct derived_key key = meta_key(META_IDENTITY);
    uint8_t value[DELTA_BYTES_MAX];
    size_t size = log_identity_encode(identity, value);
    return derived_put(derived, txn, TABLE_META, &key, bytes_of(value, size), false, why);
}

truc_status derived_get_mark(struct derived *derived, MDB_txn *txn, struct derived_mark *ret_mark)
{
    struct derived_key key = meta_key(META_MARK);
    struct bytes value = {0};
    truc_status status = derived_get(derived, txn, TABLE_META, &key, &value);
    if (status != TRUC_OK) {
        return status;
    }
    struct reader reader = reader_over(value);
    struct derived_mark mark;
    uint32_t version = reader_u32(&reader);
    struct bytes log_id = reader_take(&reader, LOG_ID_BYTES);
    mark.generation = reader_u64(&reader);
    mark.block = reader_u64(&reader);
    mark.position = reader_u64(&reader);
    mark.record_count = reader_u64(&reader);
    mark.bytes = reader_u64(&reader);
    mark.first_append_ns = (int64_t)reader_u64(&reader);
    mark.last_append_ns = (int64_t)reader_u64(&reader);
    mark.next_run = reader_u64(&reader);
    mark.last_producer_id = reader_u64(&reader);
    mark.last_subscription_id = (uint32_t)reader_u64(&reader);
    struct bytes chain = reader_take(&reader, DIGEST_BYTES);
    if (reader.failed || reader_left(&reader) != 0 || version != FORMAT_VERSION) {
        return TRUC_DAMAGED;
    }
    memcpy(mark.log_id, log_id.data, LOG_ID_BYTES);
    memcpy(mark.chain, chain.data, DIGEST_BYTES);
    *ret_mark = mark;
    return TRUC_OK;
}

truc_status derived_put_mark(struct derived *derived, MDB_txn *txn, const struct derived_mark *mark, char *why)
{
    struct derived_key key = meta_key(META_MARK);
    uint8_t value[MARK_BYTES], *p = value;
    const uint64_t numbers[MARK_NUMBERS] = {mark->generation,
                                            mark->block,
                                            mark->position,
                                            mark->record_count,
                                            mark->bytes,
                                            (uint64_t)mark->first_append_ns,
                                            (uint64_t)mark->last_append_ns,
                                            mark->next_run,
                                            mark->last_producer_id,
                                            mark->last_subscription_id};
    store_u32(p, FORMAT_VERSION);
    memcpy(p + 4, mark->log_id, LOG_ID_BYTES);
    p += 4 + LOG_ID_BYTES;
    for (int i = 0; i < MARK_NUMBERS; i++, p += 8) {
        store_u64(p, numbers[i]);
    }
    memcpy(p, mark->chain, DIGEST_BYTES);
    return derived_put(derived, txn, TABLE_META, &key, bytes_of(value, sizeof value), false, why);
}
