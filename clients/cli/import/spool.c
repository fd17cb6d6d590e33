#include "clients/cli/import/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients/cli/import/bounds.h"

/* In the file: u32 size, then built_write's bytes, one behind the other. */
struct spool {
    struct out out;
    uint64_t written; /* flushed bytes of the file */
    struct spool_entry {
        int64_t time_ns;
        uint64_t at;
    } * entries;
    size_t count, capacity, next;
    uint8_t *record;
    size_t record_capacity;
};

enum { BUFFER_BYTES = 1024 * 1024 };

truc_status spool_create(struct spool **ret_spool, struct failure *failure)
{
    const char *directory = getenv("TMPDIR");
    char path[1024];
    struct spool *spool = calloc(1, sizeof *spool);
    if (spool == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while opening a temporary file");
    }
    int size = snprintf(path, sizeof path, "%s/truc-import-XXXXXX", directory == NULL || *directory == '\0' ? "/tmp" : directory);
    int descriptor = size > 0 && (size_t)size < sizeof path ? mkstemp(path) : (errno = ENAMETOOLONG, -1);
    if (descriptor < 0) {
        free(spool);
        return failure_set(failure, TRUC_IO, "a temporary file in TMPDIR or /tmp: %s", strerror(errno));
    }
    (void)unlink(path);
    out_init(&spool->out, descriptor);
    *ret_spool = spool;
    return TRUC_OK;
}

void spool_destroy(struct spool *spool)
{
    if (spool == NULL) {
        return;
    }
    (void)close(spool->out.descriptor);
    out_fini(&spool->out);
    free(spool->entries);
    free(spool->record);
    free(spool);
}

static truc_status flush(struct spool *spool, struct failure *failure)
{
    size_t size = spool->out.size;
    if (out_flush(&spool->out) != TRUC_OK) {
        return failure_set(failure, spool->out.status == TRUC_NO_MEMORY ? TRUC_NO_MEMORY : TRUC_IO,
                           "writing a temporary file in TMPDIR or /tmp: %s", strerror(spool->out.error));
    }
    spool->written += size;
    return TRUC_OK;
}

truc_status spool_add(struct spool *spool, const struct built *built, struct failure *failure)
{
    if (spool->count == IMPORT_SORT_ROWS_MAX) {
        return failure_set(failure, TRUC_TOO_MANY, "--speed sorts by time and takes at most %d rows: split the file by time",
                           IMPORT_SORT_ROWS_MAX);
    }
    if (spool->count == spool->capacity) {
        size_t capacity = spool->capacity == 0 ? 1024 : spool->capacity * 2;
        struct spool_entry *entries = realloc(spool->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            return failure_set(failure, TRUC_NO_MEMORY, "while sorting by time");
        }
        spool->entries = entries;
        spool->capacity = capacity;
    }
    spool->entries[spool->count] = (struct spool_entry){built->record.time_ns, spool->written + spool->out.size};
    size_t at = spool->out.size;
    uint8_t size[4] = {0};
    out_bytes(&spool->out, size, sizeof size);
    built_write(built, &spool->out);
    if (spool->out.status != TRUC_OK) {
        return failure_set(failure, TRUC_NO_MEMORY, "while sorting by time");
    }
    store_u32((uint8_t *)spool->out.data + at, (uint32_t)(spool->out.size - at - sizeof size));
    spool->count++;
    return spool->out.size >= BUFFER_BYTES ? flush(spool, failure) : TRUC_OK;
}

static int by_time(const void *left, const void *right)
{
    const struct spool_entry *a = left, *b = right;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

truc_status spool_sort(struct spool *spool, struct failure *failure)
{
    if (spool->count > 0) {
        qsort(spool->entries, spool->count, sizeof *spool->entries, by_time);
    }
    return flush(spool, failure);
}

void spool_rewind(struct spool *spool)
{
    spool->next = 0;
}

static truc_status read_at(const struct spool *spool, uint64_t at, uint8_t *bytes, size_t size, struct failure *failure)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(spool->out.descriptor, bytes + done, size - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return failure_set(failure, TRUC_IO, "reading a temporary file: %s",
                               got < 0 ? strerror(errno) : "it is shorter than it was");
        }
        done += (size_t)got;
    }
    return TRUC_OK;
}

truc_status spool_next(struct spool *spool, struct built *ret_built, bool *ret_more, struct failure *failure)
{
    *ret_more = spool->next < spool->count;
    if (!*ret_more) {
        return TRUC_OK;
    }
    uint64_t at = spool->entries[spool->next].at;
    uint8_t prefix[4];
    truc_status status = read_at(spool, at, prefix, sizeof prefix, failure);
    if (status != TRUC_OK) {
        return status;
    }
    size_t size = load_u32(prefix);
    if (size > spool->record_capacity) {
        uint8_t *record = realloc(spool->record, size);
        if (record == NULL) {
            return failure_set(failure, TRUC_NO_MEMORY, "while reading a temporary file");
        }
        spool->record = record;
        spool->record_capacity = size;
    }
    status = read_at(spool, at + sizeof prefix, spool->record, size, failure);
    if (status != TRUC_OK) {
        return status;
    }
    if (!built_read(bytes_of(spool->record, size), ret_built)) {
        return failure_set(failure, TRUC_IO, "a temporary file does not hold what was written to it");
    }
    spool->next++;
    return TRUC_OK;
}

double spool_progress(const struct spool *spool)
{
    return spool->count == 0 ? 1 : (double)spool->next / (double)spool->count;
}
