/* source.h: the bytes of a file, unpacked when it is a gzip file, in chunks, with one byte of look-ahead.
 *
 * Layer: cli/import. Only regular files: they are read more than once. One thread. */
#ifndef TRUC_CLI_IMPORT_SOURCE_H
#define TRUC_CLI_IMPORT_SOURCE_H

#include "clients/cli/import/bounds.h"
#include "clients/cli/import/failure.h"

struct source;

/* TRUC_IO, TRUC_INVALID_ARGUMENT (a directory, a pipe, a ZIP archive), TRUC_NO_MEMORY, with failure set. */
truc_status source_open(const char *path, struct source **ret_source, struct failure *failure);
void source_close(struct source *source); /* NULL is allowed */

/* Reads up to `size` bytes; *ret_size 0 at the end. TRUC_IO when the disk fails, or the gzip data is damaged or cut short. */
truc_status source_read(struct source *source, void *buffer, size_t size, size_t *ret_size, struct failure *failure);

/* The file's first bytes, unread: at most IMPORT_CHUNK_BYTES. To be called before the first read. */
truc_status source_peek(struct source *source, struct bytes *ret_bytes, struct failure *failure);

/* How much of the file, as it lies on disk, has been read: 0..1. */
double source_progress(const struct source *source);

#endif
