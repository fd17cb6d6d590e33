/* kinds.h: the kinds of vectors. Layer: tests. Each kind turns a meaning into bytes and, unless the bytes are a digest or come
 * from a compressor, bytes into their meaning. */
#ifndef TRUC_VECTORS_KINDS_H
#define TRUC_VECTORS_KINDS_H

#include "proto/status.h"
#include "tests/vectors/values.h"

struct kind {
    const char *name;
    void (*encode)(const json_t *meaning, struct blob *ret_bytes);

    /* TRUC_OK with *ret_meaning (a new reference), or why the bytes are refused. NULL: one way only. */
    truc_status (*decode)(struct bytes bytes, json_t **ret_meaning);
};

extern const struct kind frame_kind_of_vectors, record_kind, batch_kind, directory_kind, leaf_kind, entry_kind, cut_kind,
    block_kind;
extern const struct kind digest_kinds[];
extern const size_t digest_kind_count;

#endif
