#include "clients/cli/import/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

struct source {
    gzFile file; /* reads plain files as they are */
    off_t size;  /* on disk */
    uint8_t head[IMPORT_CHUNK_BYTES];
    size_t head_size, head_at;
    bool peeked;
};

truc_status source_open(const char *path, struct source **ret_source, struct failure *failure)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while opening %s", path);
    }
    truc_status status = TRUC_OK;
    struct stat about;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block here: it is refused below */
    if (descriptor < 0 || fstat(descriptor, &about) != 0) {
        status = failure_set(failure, TRUC_IO, "%s cannot be opened: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(about.st_mode)) {
        status =
            failure_set(failure, TRUC_INVALID_ARGUMENT, "%s is not a regular file: an import reads its file more than once", path);
        goto done;
    }
    source->size = about.st_size;
    source->file = gzdopen(descriptor, "rb");
    if (source->file == NULL) {
        status = failure_set(failure, TRUC_NO_MEMORY, "while opening %s", path);
        goto done;
    }
    descriptor = -1; /* the gzFile has it now */
    (void)gzbuffer(source->file, IMPORT_CHUNK_BYTES * 2);
    struct bytes head;
    status = source_peek(source, &head, failure);
    if (status == TRUC_OK && head.size >= 4 && memcmp(head.data, "PK\3\4", 4) == 0) {
        status = failure_set(failure, TRUC_INVALID_ARGUMENT,
                             "%s is a ZIP archive or an office workbook: save or unpack it as CSV first", path);
    }
done:
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    if (status != TRUC_OK) {
        source_close(source);
        return status;
    }
    *ret_source = source;
    return TRUC_OK;
}

void source_close(struct source *source)
{
    if (source == NULL) {
        return;
    }
    if (source->file != NULL) {
        (void)gzclose_r(source->file); /* only read from: nothing can be lost here */
    }
    free(source);
}

static truc_status read_file(struct source *source, void *buffer, size_t size, size_t *ret_size, struct failure *failure)
{
    int got = gzread(source->file, buffer, (unsigned)size);
    int code = Z_OK;
    const char *text = got < (int)size ? gzerror(source->file, &code) : "";
    if (code == Z_ERRNO) {
        return failure_set(failure, TRUC_IO, "reading failed: %s", strerror(errno));
    }
    if (got < 0 || code == Z_BUF_ERROR) { /* Z_BUF_ERROR: the file ends within its gzip data, and what came is of no use */
        return failure_set(failure, TRUC_IO, "the gzip data is damaged or cut short: %s", text);
    }
    *ret_size = (size_t)got;
    return TRUC_OK;
}

truc_status source_peek(struct source *source, struct bytes *ret_bytes, struct failure *failure)
{
    if (!source->peeked) {
        truc_status status = read_file(source, source->head, sizeof source->head, &source->head_size, failure);
        if (status != TRUC_OK) {
            return status;
        }
        source->peeked = true;
    }
    *ret_bytes = bytes_of(source->head, source->head_size);
    return TRUC_OK;
}

truc_status source_read(struct source *source, void *buffer, size_t size, size_t *ret_size, struct failure *failure)
{
    size_t left = source->head_size - source->head_at;
    if (left == 0) {
        return read_file(source, buffer, size, ret_size, failure);
    }
    size_t taken = left < size ? left : size;
    memcpy(buffer, source->head + source->head_at, taken);
    source->head_at += taken;
    *ret_size = taken;
    return TRUC_OK;
}

double source_progress(const struct source *source)
{
    z_off_t at = gzoffset(source->file);
    return at < 0 || source->size <= 0 ? 0 : at >= source->size ? 1 : (double)at / (double)source->size;
}
