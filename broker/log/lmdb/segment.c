#include "broker/log/lmdb/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READERS_MAX = 256,
    MAP_BYTES_NEW = 1 << 20,
    /* LMDB's meta page, of which there are two, at pages 0 and 1 */
    META_MAGIC_AT = 16,
    META_PAGE_BYTES_AT = 40,
    META_LAST_PAGE_AT = 136,
    META_TXN_AT = 144,
    META_BYTES = 152
};
#define META_MAGIC 0xBEEFC0DEu

static unsigned env_flags(bool writable)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
    /* A sealed segment never changes, and the directory's lock keeps others out: no table of readers is needed. */
    flags |= writable ? 0 : MDB_RDONLY | MDB_NOLOCK;
#ifdef TRUC_CANARY_NOSYNC
    flags |= writable ? MDB_NOSYNC : 0;
#endif
    return flags;
}

truc_status segment_make(const char *path, char *why)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi blocks;
    int code = mdb_env_create(&env);
    if (code == 0) {
        code = mdb_env_set_mapsize(env, MAP_BYTES_NEW);
    }
    if (code == 0) {
        code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK, 0600);
    }
    if (code == 0) {
        code = mdb_txn_begin(env, NULL, 0, &txn);
    }
    if (code == 0) {
        code = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &blocks); /* the main database, whose keys become integers for good */
        if (code == 0) {
            code = mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
    if (code == 0) {
        code = mdb_env_sync(env, 1);
    }
    mdb_env_close(env);
    return code == 0 ? TRUC_OK : files_error(code, "making", path, why);
}

/* Reads one meta page: the last page in use and the transaction that says so. */
static bool read_meta(int fd, off_t at, uint32_t *ret_page_bytes, uint64_t *ret_last_page, uint64_t *ret_txn)
{
    uint8_t meta[META_BYTES];
    if (pread(fd, meta, sizeof meta, at) != (ssize_t)sizeof meta || load_u32(meta + META_MAGIC_AT) != META_MAGIC) {
        return false;
    }
    *ret_page_bytes = load_u32(meta + META_PAGE_BYTES_AT);
    *ret_last_page = load_u64(meta + META_LAST_PAGE_AT);
    *ret_txn = load_u64(meta + META_TXN_AT);
    return *ret_page_bytes >= 512 && *ret_page_bytes <= 65536;
}

truc_status segment_check_file(const char *path, uint64_t *ret_file_bytes, char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return files_error(errno, "opening", path, why);
    }
    truc_status status = TRUC_OK;
    struct stat file;
    uint32_t page_bytes = 0, page_bytes_1 = 0;
    uint64_t last[2] = {0, 0}, txn[2] = {0, 0};
    if (fstat(fd, &file) != 0) {
        status = files_error(errno, "looking at", path, why);
    } else if (!read_meta(fd, 0, &page_bytes, &last[0], &txn[0]) ||
               !read_meta(fd, (off_t)page_bytes, &page_bytes_1, &last[1], &txn[1])) {
        log_why(why, "%s is damaged: its first pages are not LMDB's", path);
        status = TRUC_DAMAGED;
    } else {
        uint64_t last_page = txn[0] > txn[1] ? last[0] : last[1];
        if (last_page >= (uint64_t)INT64_MAX / page_bytes || (uint64_t)file.st_size < (last_page + 1) * page_bytes) {
            log_why(why, "%s was cut short: it has %lld bytes, %llu pages of %u bytes are in use", path, (long long)file.st_size,
                    (unsigned long long)last_page + 1, page_bytes);
            status = TRUC_DAMAGED;
        }
        *ret_file_bytes = (uint64_t)file.st_size;
    }
    (void)close(fd);
    return status;
}

truc_status segment_remove_readers(const char *path, char *why)
{
    char lock_path[FILES_PATH_MAX + 8];
    (void)snprintf(lock_path, sizeof lock_path, "%s-lock", path);
    if (unlink(lock_path) != 0 && errno != ENOENT) {
        return files_error(errno, "removing", lock_path, why);
    }
    return TRUC_OK;
}

truc_status segment_place_readers(const char *path, int *ret_fd, char *why)
{
    char lock_path[FILES_PATH_MAX + 8], target[64];
    truc_status status = segment_remove_readers(path, why);
    if (status != TRUC_OK) {
        return status;
    }
    int fd = memfd_create("truc-readers", MFD_CLOEXEC);
    if (fd < 0) {
        return files_error(errno, "making", "a table of readers", why);
    }
    (void)snprintf(lock_path, sizeof lock_path, "%s-lock", path);
    (void)snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    if (symlink(target, lock_path) != 0) {
        status = files_error(errno, "making", lock_path, why);
        (void)close(fd);
        return status;
    }
    *ret_fd = fd;
    return TRUC_OK;
}

static int open_blocks(struct segment *segment)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(segment->env, NULL, MDB_RDONLY, &txn);
    if (code != 0) {
        return code;
    }
    unsigned flags = 0;
    code = mdb_dbi_open(txn, NULL, 0, &segment->blocks);
    if (code == 0) {
        code = mdb_dbi_flags(txn, segment->blocks, &flags);
    }
    mdb_txn_abort(txn);
    return code == 0 && (flags & MDB_INTEGERKEY) == 0 ? MDB_INCOMPATIBLE : code;
}

truc_status segment_open(const char *path, uint64_t first_block, bool writable, size_t map_bytes, struct segment **ret_segment,
                         char *why)
{
    uint64_t file_bytes = 0;
    int readers_fd = -1;
    truc_status status = segment_check_file(path, &file_bytes, why);
    if (status != TRUC_OK) {
        return status;
    }
    struct segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL) {
        return TRUC_NO_MEMORY;
    }
    if (writable) {
        status = segment_place_readers(path, &readers_fd, why);
    }
    if (status != TRUC_OK) {
        free(segment);
        return status;
    }
    segment->first_block = first_block;
    pthread_mutex_init(&segment->lock, NULL);
    int code = mdb_env_create(&segment->env);
    if (code == 0) {
        code = mdb_env_set_maxreaders(segment->env, READERS_MAX);
    }
    if (code == 0) {
        code = mdb_env_set_mapsize(segment->env, writable && map_bytes > file_bytes ? map_bytes : (size_t)file_bytes);
    }
    if (code == 0) {
        code = mdb_env_open(segment->env, path, env_flags(writable), 0600);
    }
    if (writable) {
        (void)segment_remove_readers(path, NULL);
        (void)close(readers_fd);
    }
    if (code == 0) {
        code = open_blocks(segment);
    }
    MDB_stat stat;
    if (code == 0) {
        code = mdb_env_stat(segment->env, &stat);
    }
    if (code != 0) {
        status = files_error(code, "opening", path, why);
        segment_close(segment);
        return status;
    }
    segment->page_bytes = stat.ms_psize;
    *ret_segment = segment;
    return TRUC_OK;
}

void segment_close(struct segment *segment)
{
    if (segment == NULL) {
        return;
    }
    for (size_t i = 0; i < segment->idle_count; i++) {
        mdb_txn_abort(segment->idle[i]);
    }
    mdb_env_close(segment->env);
    pthread_mutex_destroy(&segment->lock);
    free(segment);
}

uint64_t segment_used(const struct segment *segment)
{
    MDB_envinfo info;
    return mdb_env_info(segment->env, &info) == 0 ? ((uint64_t)info.me_last_pgno + 1) * segment->page_bytes : 0;
}

/* The last block's number and bytes; MDB_NOTFOUND when there is none. */
static int get_last(const struct segment *segment, MDB_txn *txn, MDB_val *ret_key, MDB_val *ret_value)
{
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, segment->blocks, &cursor);
    if (code == 0) {
        code = mdb_cursor_get(cursor, ret_key, ret_value, MDB_LAST);
        mdb_cursor_close(cursor);
    }
    return code;
}

truc_status segment_last_block(struct segment *segment, uint64_t *ret_block, char *why)
{
    MDB_txn *txn = NULL;
    MDB_val key, value;
    truc_status status = segment_begin_read(segment, &txn, why);
    if (status != TRUC_OK) {
        return status;
    }
    int code = get_last(segment, txn, &key, &value);
    if (code == MDB_NOTFOUND) {
        status = TRUC_NOT_FOUND;
    } else if (code != 0) {
        status = files_error(code, "reading", "the last block", why);
    } else if (key.mv_size != sizeof(uint64_t)) {
        status = files_error(MDB_CORRUPTED, "reading", "the last block", why);
    } else {
        *ret_block = load_u64(key.mv_data);
    }
    segment_end_read(segment, txn);
    return status;
}

#ifdef TRUC_CANARY_DROP_FLUSH
/* The seeded bug: every 16th commit is not flushed. */
static void drop_flush(struct segment *segment)
{
    (void)mdb_env_set_flags(segment->env, MDB_NOSYNC, segment->commit_count % 16 == 15);
}
#else
static void drop_flush(struct segment *segment)
{
    (void)segment;
}
#endif

truc_status segment_commit(struct segment *segment, struct digest_context *digests, const struct log_draft *draft,
                           const struct block_place *place, uint8_t ret_chain[DIGEST_BYTES], char *why)
{
    MDB_txn *txn;
    uint64_t number = place->block;
    MDB_val key = {sizeof number, &number}, value = {block_size(draft), NULL};
    drop_flush(segment);
    int code = mdb_txn_begin(segment->env, NULL, 0, &txn);
    if (code == 0) {
        code = mdb_put(txn, segment->blocks, &key, &value, MDB_RESERVE | MDB_APPEND);
        if (code == 0) {
            block_write(digests, value.mv_data, draft, place, ret_chain);
            code = mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
    segment->commit_count++;
    if (code != 0) {
        char what[64];
        (void)snprintf(what, sizeof what, "%llu", (unsigned long long)number);
        return files_error(code, "committing block", what, why);
    }
    return TRUC_OK;
}

truc_status segment_sync(struct segment *segment, char *why)
{
#ifdef TRUC_CANARY_NOSYNC
    (void)segment;
    (void)why;
    return TRUC_OK;
#else
    int code = mdb_env_sync(segment->env, 1);
    return code == 0 ? TRUC_OK : files_error(code, "syncing", "a segment", why);
#endif
}

truc_status segment_begin_read(struct segment *segment, MDB_txn **ret_txn, char *why)
{
    MDB_txn *txn = NULL;
    pthread_mutex_lock(&segment->lock);
    if (segment->idle_count > 0) {
        txn = segment->idle[--segment->idle_count];
    }
    pthread_mutex_unlock(&segment->lock);
    int code;
    if (txn != NULL) {
        code = mdb_txn_renew(txn);
        if (code != 0) {
            mdb_txn_abort(txn);
        }
    } else {
        code = mdb_txn_begin(segment->env, NULL, MDB_RDONLY, &txn);
    }
    if (code != 0) {
        return files_error(code, "reading", "a segment", why);
    }
    *ret_txn = txn;
    return TRUC_OK;
}

void segment_end_read(struct segment *segment, MDB_txn *txn)
{
    mdb_txn_reset(txn);
    pthread_mutex_lock(&segment->lock);
    bool kept = segment->idle_count < SEGMENT_IDLE_TXNS;
    if (kept) {
        segment->idle[segment->idle_count++] = txn;
    }
    pthread_mutex_unlock(&segment->lock);
    if (!kept) {
        mdb_txn_abort(txn);
    }
}

truc_status segment_get(struct segment *segment, MDB_txn *txn, uint64_t block, struct bytes *ret_encoded, char *why)
{
    MDB_val key = {sizeof block, &block}, value;
    int code = mdb_get(txn, segment->blocks, &key, &value);
    if (code == MDB_NOTFOUND) {
        return TRUC_NOT_FOUND;
    }
    if (code != 0) {
        char what[64];
        (void)snprintf(what, sizeof what, "%llu", (unsigned long long)block);
        return files_error(code, "reading block", what, why);
    }
    *ret_encoded = bytes_of(value.mv_data, value.mv_size);
    return TRUC_OK;
}

uint64_t segment_offset(const struct segment *segment, const uint8_t *value)
{
    uint64_t into_page = (uintptr_t)value % segment->page_bytes;
    return load_u64(value - into_page) * segment->page_bytes + into_page;
}

/* Where the file is mapped; NULL when there is no block, or a damaged page told a place where no such file begins. */
static uint8_t *find_map(const struct segment *segment, MDB_txn *txn)
{
    MDB_val key, value;
    if (get_last(segment, txn, &key, &value) != 0) {
        return NULL;
    }
    uint8_t *map = (uint8_t *)value.mv_data - segment_offset(segment, value.mv_data), resident;
    if ((uintptr_t)map % segment->page_bytes != 0 || mincore(map, segment->page_bytes, &resident) != 0) {
        return NULL; /* nothing is mapped there */
    }
    return load_u32(map + META_MAGIC_AT) == META_MAGIC ? map : NULL;
}

void segment_warm(const struct segment *segment, uint64_t begin, uint64_t end)
{
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(segment->env, &fd) == 0) {
        (void)posix_fadvise(fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_WILLNEED);
    }
}

void segment_cool(struct segment *segment, uint64_t begin, uint64_t end)
{
    mdb_filehandle_t fd;
    MDB_txn *txn;
    if (mdb_env_get_fd(segment->env, &fd) != 0 || segment_begin_read(segment, &txn, NULL) != TRUC_OK) {
        return;
    }
    uint8_t *map = find_map(segment, txn);
    uint64_t used = segment_used(segment);
    if (map != NULL && begin < used) {
        (void)madvise(map + begin, (end < used ? end : used) - begin, MADV_DONTNEED); /* of a shared file: unmaps, loses nothing */
    }
    segment_end_read(segment, txn);
    (void)posix_fadvise(fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_DONTNEED);
}
