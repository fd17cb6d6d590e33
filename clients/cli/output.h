/* output.h: what goes to standard output: a buffer before a descriptor, with the writers that fast streams need.
 *
 * Layer: cli. One owner, one thread at a time. Errors stick: after the first failed write everything else is dropped, and
 * out_flush tells. With descriptor -1 the bytes stay in memory (tests, cells of a line). */
#ifndef TRUC_CLI_OUTPUT_H
#define TRUC_CLI_OUTPUT_H

#include <jansson.h>
#include <stdarg.h>

#include "proto/bytes.h"
#include "proto/status.h"

struct out {
    int descriptor;
    char *data;
    size_t size, capacity;
    truc_status status; /* TRUC_OK, TRUC_CANCELLED (the reader of the pipe went away), TRUC_IO, TRUC_NO_MEMORY */
    int error;          /* errno of the failed write */
};

void out_init(struct out *out, int descriptor);
void out_fini(struct out *out); /* frees, does not flush */

/* Room for `size` more bytes; NULL when out->status is not TRUC_OK. Write there, then add to out->size. */
char *out_room(struct out *out, size_t size);

void out_bytes(struct out *out, const void *data, size_t size);
void out_text(struct out *out, const char *text);
void out_u64(struct out *out, uint64_t value);
void out_i64(struct out *out, int64_t value);
void out_hex(struct out *out, struct bytes bytes);
void out_base64(struct out *out, struct bytes bytes);
void out_format(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes. The bytes must be UTF-8 (proto/utf8.h); escapes as RFC 8259 asks, everything else as it is. */
void out_json_string(struct out *out, struct bytes text);

/* A JSON value and a newline, compact, members in their order. Takes the reference; NULL counts as out of memory. */
void out_json_line(struct out *out, json_t *take_value);

/* Writes what is buffered. */
truc_status out_flush(struct out *out);

/* Whether whoever read the descriptor's pipe or socket is gone, without writing: for streams that may be silent for long. */
bool out_reader_gone(const struct out *out);

#endif
