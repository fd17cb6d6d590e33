/* core_test_kit.h: a core between a fake log and fake clients, for tests. Layer: test of core. One thread.
 *
 * kit_step gives events and files every effect: frames go to an inbox, appends and deltas to a log that commits when told, the
 * rest to a list. What an effect owns is freed at once, and a count says what the core still holds. Everything asserts. */
#ifndef TRUC_CORE_CORE_TEST_KIT_H
#define TRUC_CORE_CORE_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/core.h"
#include "truc/v1/wire.pb-c.h"

struct kit_frame {
    uint64_t connection, request_id;
    enum frame_kind kind;
    uint8_t *bytes; /* owned: header, then payload */
    struct bytes header, payload;
    bool taken;
};

struct kit_entry { /* an append, or (record_count 0) deltas that stay together */
    uint64_t ticket, position, base_offset, first_sequence, producer_id;
    int64_t append_time_ns;
    uint32_t record_count, topic_id, epoch;
    size_t batch_bytes;
    uint8_t leaf_hash[DIGEST_BYTES], leaf[LEAF_BYTES_MAX];
    uint16_t leaf_size;
    uint8_t delta[DELTA_BYTES_MAX];
    size_t delta_size;
    uint32_t delta_count;
    bool joined; /* in one block with the one before */
};

struct kit_effect { /* one of the others */
    struct core_effect effect;
    char text[512]; /* of an alarm */
    struct core_read_spec spec;
    uint8_t pattern[256];
    bool taken;
};

struct kit {
    struct core_config config;
    struct core *core;
    struct core_now now;
    struct core_head head;
    struct core_capacity capacity;
    struct kit_entry *log;
    size_t log_count, log_capacity, durable_count;
    struct kit_frame *inbox;
    size_t inbox_count, inbox_capacity;
    struct kit_effect *others;
    size_t other_count, other_capacity;
    uint64_t last_connection;
    size_t prepared_held; /* given to the core, not come back */
    size_t data_held;
    size_t send_count; /* EFFECT_SENDs so far */
    uint8_t arena[256 * 1024];
};

void kit_init(struct kit *kit);    /* fields of config may be changed before kit_start */
void kit_start(struct kit *kit);   /* creates the core, restores what is durable, starts it */
void kit_restore(struct kit *kit); /* kit_start's part: what is durable, as rows */
void kit_stop(struct kit *kit);    /* destroys the core; what is not durable is gone, as after a crash */
void kit_fini(struct kit *kit);

void kit_step(struct kit *kit, const struct core_event *events, size_t count);
void kit_event(struct kit *kit, struct core_event event);
void kit_pass(struct kit *kit, int64_t ms); /* both clocks */
void kit_commit(struct kit *kit);           /* everything given so far */
void kit_commit_some(struct kit *kit, size_t count);
struct core_event kit_commit_event(struct kit *kit, size_t count); /* marks as durable; the caller steps it */

/* --- clients */

uint64_t kit_connect(struct kit *kit);
void kit_disconnect(struct kit *kit, uint64_t connection);
void kit_send(struct kit *kit, uint64_t connection, enum frame_kind kind, uint64_t request_id, const ProtobufCMessage *message);
void kit_send_raw(struct kit *kit, uint64_t connection, enum frame_kind kind, uint64_t request_id, struct bytes header,
                  struct bytes payload);
void kit_hello(struct kit *kit, uint64_t connection);
uint64_t kit_session(struct kit *kit, const char *agency, const char *system); /* connected, greeted, logged in */

/* The next frame of a connection must be of this kind; its decoded header, good until the next take. */
void *kit_take(struct kit *kit, uint64_t connection, enum frame_kind kind, uint64_t request_id);
const struct kit_frame *kit_peek(struct kit *kit, uint64_t connection); /* NULL: nothing has come */
void kit_expect_nothing(struct kit *kit, uint64_t connection);
/* The next frame must be this error; its message. */
const Truc__V1__Error *kit_take_error(struct kit *kit, uint64_t connection, uint64_t request_id, truc_status status);

/* The next other effect of this kind; NULL when there is none. */
const struct kit_effect *kit_other(struct kit *kit, enum core_effect_kind kind);
const struct kit_effect *kit_expect(struct kit *kit, enum core_effect_kind kind);
void kit_expect_closed(struct kit *kit, uint64_t connection);

/* Opens a producer and takes its answer (commits for it). */
struct kit_producer {
    uint64_t id;
    uint32_t epoch;
};
struct kit_producer kit_open(struct kit *kit, uint64_t connection, const char *name);

struct kit_batch {
    const char *topic, *agency, *system; /* agency NULL: H26.16/portal */
    uint64_t producer_id, first_sequence;
    uint32_t epoch, record_count;
    enum evidence evidence; /* 0: left to the topic, prepared as record */
    enum codec codec;
    uint32_t record_largest, frame_bytes;
    size_t batch_bytes; /* 0: 100 */
    bool conditional;
    uint64_t expected_offset;
    const uint64_t *recalls;
    uint32_t recall_count;
};
struct core_event kit_publish_event(struct kit *kit, uint64_t connection, uint64_t request_id, const struct kit_batch *batch);
/* Several batches in one PUBLISH. */
struct core_event kit_together_event(struct kit *kit, uint64_t connection, uint64_t request_id, const struct kit_batch *batches,
                                     size_t count);
void kit_publish(struct kit *kit, uint64_t connection, uint64_t request_id, const struct kit_batch *batch);

/* READ with these fields; commits nothing. */
void kit_read(struct kit *kit, uint64_t connection, uint64_t request_id, Truc__V1__Read read);
/* Answers EFFECT_READ_OPEN and EFFECT_READ. */
void kit_resolve(struct kit *kit, uint64_t reader, uint64_t from, uint64_t until);
void kit_read_done(struct kit *kit, uint64_t reader, uint64_t next, uint64_t records, size_t size);
/* The look that must be due, good until the next step; and its answer. */
const struct core_look *kit_look(struct kit *kit, enum core_look_kind kind, uint64_t *ret_reader);
void kit_looked(struct kit *kit, uint64_t reader, struct core_looked looked);

#endif
