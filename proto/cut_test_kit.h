/* cut_test_kit.h: entries to cut, and what a receiver makes of their parts. Layer: tests. One thread. */
#ifndef TRUC_PROTO_CUT_TEST_KIT_H
#define TRUC_PROTO_CUT_TEST_KIT_H

#include "proto/cut.h"
#include "proto/test_support.h"

enum { RECORD_BYTES = 60, TREE_LEVELS = 5 };

extern struct random source; /* of all that is random */

/* Memory, or the test fails. */
void *need(size_t size);

/* An entry of `count` random records as stored, and by itself what its parts must prove. */
struct whole {
    uint32_t count;
    uint8_t *payload, *entry;
    struct bytes *records;
    struct entry_view view;
    uint8_t *salts, *levels[TREE_LEVELS];
    size_t widths[TREE_LEVELS], height;
    struct digest_context *digests;
};

/* Records of 0 to record_bytes bytes. */
void whole_init(struct whole *w, uint32_t count, size_t record_bytes, enum codec codec, enum evidence evidence);
void whole_fini(struct whole *w);

/* What a receiver makes of a part. */
struct proven {
    struct entry_view view;
    struct leaf leaf;
    struct batch_view batch;
    struct cut_record *records;
    size_t capacity, count;
    const char *why;
};

/* As a receiver does with a part that came alone; `records` is the caller's to free. TRUC_OK for nothing at all. */
truc_status prove(struct digest_context *digests, struct bytes part, struct proven *p);

/* The part of these records; free its data. */
struct bytes cut(struct cutter *cutter, const uint32_t *indexes, size_t count);

#endif
