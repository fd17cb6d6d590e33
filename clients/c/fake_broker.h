/* fake_broker.h: a small broker for tests: keeps a log in memory, answers as docs/protocol.md says, and misbehaves on demand.
 *
 * Test support. Plain sockets, one thread, one connection at a time per accept; every decision is made by hooks or counters that a
 * test sets under fake_broker_lock. It judges sequences as the real one does, so a client that loses, doubles or reorders shows. */
#ifndef TRUC_CLIENT_FAKE_BROKER_H
#define TRUC_CLIENT_FAKE_BROKER_H

#include <pthread.h>

#include "clients/c/fake_share.h"
#include "proto/batch.h"
#include "proto/frame.h"

enum { FAKE_ENTRIES_MAX = 4096, FAKE_TOPICS_MAX = 256, FAKE_PRODUCERS_MAX = 16 };

/* What to do with a frame that has come. */
enum fake_deed {
    FAKE_NORMAL,
    FAKE_DROP_BEFORE, /* close without looking at it */
    FAKE_DROP_AFTER,  /* do it, close without answering */
    FAKE_DROP_WITHIN, /* do it, send half of the answer, close */
    FAKE_REFUSE,      /* answer ERROR with refuse_status */
    FAKE_GARBAGE,     /* answer with bytes that are no frame */
    FAKE_TWICE,       /* answer twice */
    FAKE_STRANGER,    /* answer a request that was never made */
    FAKE_SILENT       /* do nothing */
};

struct fake_entry {
    uint8_t *bytes; /* as served */
    size_t size;
    uint64_t position, base_offset;
    char topic[TOPIC_BYTES_MAX + 1];
};

struct fake_lane {
    uint64_t producer_id, next_sequence;
    char topic[TOPIC_BYTES_MAX + 1];
};

struct fake_topic {
    char name[TOPIC_BYTES_MAX + 1];
    uint64_t next_offset;
};

struct fake_producer {
    uint64_t id;
    uint32_t epoch;
    bool gone;
    char name[PRODUCER_NAME_BYTES_MAX + 1];
};

struct fake_broker {
    pthread_mutex_t lock;
    pthread_t thread;
    int listener, connection, wake[2];
    bool stopping;
    char url[64];
    /* knobs */
    void *context;
    enum fake_deed (*deed)(void *context, struct fake_broker *broker, const struct frame *frame); /* locked; NULL: normal */
    truc_status (*judge)(void *context, const struct batch_view *batch);                          /* locked; NULL: accept */
    /* Locked; answers a frame of a kind that the fake does not know. False: it does not either. NULL: nobody does. */
    bool (*other)(void *context, struct fake_broker *broker, const struct frame *frame);
    truc_status refuse_status;
    uint32_t retry_after_ms, batch_bytes_max, in_flight_max;
    uint64_t credit_bytes, generation;
    uint32_t subscriptions; /* that are said to match the first topic of a publish; the next one has one more, and so on */
    uint32_t slice_bytes;   /* answers are sent in pieces of so many bytes; 0: whole */
    uint8_t log_id[LOG_ID_BYTES];
    size_t damage_position; /* entry whose bytes are flipped when served; SIZE_MAX: none */
    uint64_t durable_back;  /* the hello claims so many positions less */
    /* what came */
    uint64_t frames, publishes, connections, outstanding_bytes, credit_peak;
    struct fake_entry entries[FAKE_ENTRIES_MAX];
    size_t entry_count;
    uint64_t record_count;
    struct fake_lane lanes[FAKE_TOPICS_MAX];
    size_t lane_count;
    struct fake_topic topics[FAKE_TOPICS_MAX];
    size_t topic_count;
    struct fake_producer producers[FAKE_PRODUCERS_MAX];
    size_t producer_count;
    struct digest_context *digests;
    /* the reader under way */
    uint64_t reader_id, reader_position, reader_until;
    int64_t reader_credit;
    bool reader_reverse, reader_follow;
    char reader_pattern[TOPIC_BYTES_MAX + 1];
    struct fake_share share; /* subscriptions */
};

struct fake_broker *fake_broker_start(void);
void fake_broker_stop(struct fake_broker *broker);
void fake_broker_lock(struct fake_broker *broker);
void fake_broker_unlock(struct fake_broker *broker);
void fake_broker_disconnect(struct fake_broker *broker);                         /* locked */
uint64_t fake_broker_next_offset(struct fake_broker *broker, const char *topic); /* locked */

/* Locked: for the parts of the broker. */
struct ProtobufCMessage;
void fake_broker_answer(struct fake_broker *broker, enum fake_deed deed, enum frame_kind kind, uint64_t id,
                        const struct ProtobufCMessage *header, struct bytes payload);
void fake_broker_refuse(struct fake_broker *broker, enum fake_deed deed, uint64_t id, truc_status status, uint64_t actual);

/* fake_read.c; locked */
void fake_read_begin(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame);
void fake_read_serve(struct fake_broker *broker, enum fake_deed deed);
void fake_read_credit(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame);
void fake_read_end(struct fake_broker *broker, truc_status status);

/* fake_publish.c: a PUBLISH. */
void fake_publish(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame);

#endif
