/* log_test_kit.h: for tests and benchmarks of the log: makes real entries as the core would. Not part of the product.
 *
 * A maker keeps what the core keeps of a log (topics, offsets, leaf hashes, sequences), so that what it makes passes every check
 * of verify.h. Failures end the test. One thread. */
#ifndef TRUC_LOG_TEST_KIT_H
#define TRUC_LOG_TEST_KIT_H

#include "broker/log/engine.h"
#include "proto/record.h"

enum { KIT_TOPICS_MAX = 200000 };

struct kit_topic {
    char name[64];
    uint64_t next_offset, next_sequence;
    uint8_t last_leaf[DIGEST_BYTES];
    bool has_leaf;
    enum evidence evidence;
};

/* Records of a batch to be. */
enum { KIT_HEADERS_MAX = 4 };
struct kit_batch {
    uint32_t record_count;
    size_t data_bytes;
    const char *key; /* NULL: none */
    int64_t event_ns;
    enum codec codec;
    const char *system; /* of the source; NULL: portal */
    int64_t deliver_at_ns;
    /* Changes a record; headers are written to the array, their count returned. May be NULL. */
    size_t (*vary)(void *context, uint32_t index, struct record_view *record, struct record_header *headers);
    void *context;
};

struct maker {
    struct log *log;
    struct digest_context *digests;
    uint64_t producer_id;
    struct kit_topic *topics;
    uint32_t topic_count;
    uint32_t topics_announced; /* in earlier blocks */
    int64_t clock_ns;
    /* the draft being made */
    struct log_append *appends;
    size_t append_count, append_capacity;
    uint8_t **owned; /* buffers of the draft's entries */
    size_t owned_count, owned_capacity;
    uint8_t *deltas;
    size_t deltas_size, deltas_capacity;
    uint32_t delta_count;
    uint64_t position;
};

/* A directory of its own; removed with kit_remove. */
char *kit_directory(void);
void kit_remove(char *directory);

void kit_options(struct log_options *ret_options, const char *engine, const char *directory); /* small segments and flushes */

/* Begins on an open log that is at its beginning (block 1). */
void maker_init(struct maker *maker, struct log *log);
void maker_fini(struct maker *maker);
/* The same makers' state goes on with the log opened again. */
void maker_reopen(struct maker *maker, struct log *log);

/* The topic's number (its id), made at first use. */
uint32_t maker_topic(struct maker *maker, const char *name);
/* The same, of a topic that is new. */
uint32_t maker_new_topic(struct maker *maker, const char *name, enum evidence evidence);
/* Adds an entry of so many records of so many bytes of data; key and type may be NULL. */
void maker_add(struct maker *maker, uint32_t topic, uint32_t record_count, size_t data_bytes, const char *key, int64_t event_ns);
void maker_add_batch(struct maker *maker, uint32_t topic, const struct kit_batch *batch);
void maker_delta(struct maker *maker, const struct delta *delta);
/* Commits what was added as one block. */
struct log_head maker_commit(struct maker *maker);
truc_status maker_try_commit(struct maker *maker, struct log_head *ret_head, char *why);

/* Reads a range wholly; returns the entries' count, their positions into positions[max]. */
size_t kit_read(struct log *log, const char *pattern, uint64_t from, uint64_t until, bool reverse, uint64_t *positions, size_t max);

#endif
