/* truc.h: libtruc, the C client of Truc, a durable and provable message bus.
 *
 * A client is one connection to one broker, kept up by itself. A producer publishes: truc_publish returns at once, the delivery
 * callback or a flush tells the outcome, and an acknowledged record is on the broker's disk, once, in the producer's order. A
 * reader reads a topic or a pattern from a place on and checks every digest.
 *
 * Threads: every function may be called from any thread unless its comment says otherwise. Callbacks run on the client's one
 * callback thread, never two at once, and must not block for long; inside a callback any function may be called except those
 * marked "not in a callback". Texts are UTF-8. Sizes are bytes, times nanoseconds since 1970-01-01T00:00:00Z unless the name says
 * otherwise. Nothing in here logs.
 *
 * All objects are opaque. Options are set by name, so that new ones need no new ABI. */
#ifndef TRUC_H
#define TRUC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRUC_URL_DEFAULT "tcp://127.0.0.1:8782"

typedef struct truc_client truc_client;
typedef struct truc_producer truc_producer;
typedef struct truc_reader truc_reader;
typedef struct truc_options truc_options;

const char *truc_version(void);

/* --- options: name and text ------------------------------------------------------------------------------------------------
 * truc_options_set checks name and value at once: TRUC_INVALID_ARGUMENT, and truc_options_error tells which and why.
 * client:   url (tcp://127.0.0.1:8782), source (AGENCY/SYSTEM; local/dev), domain, connect_timeout_ms (10000: how long
 *           truc_client_open tries; 0: one attempt),
 *           request_timeout_ms (30000), reconnect_min_ms (50), reconnect_max_ms (5000), memory_file (where the highest
 *           acknowledged place is remembered across runs; none)
 * producer: name (unnamed), batch_bytes (262144), batch_records (65535), linger_us (1000), queue_bytes (67108864),
 *           queue_full (block | error), codec (none | lz4 | zstd), evidence (topic | record | batch), outbox (directory; none),
 *           delivery_timeout_ms (0: for ever), in_flight (16: batches per topic, at most what the broker grants)
 * reader:   see the bounds below: from, until, follow, reverse, key, type, event_since_ns, event_until_ns, source, limit,
 *           credit_bytes (4194304), verify (yes | no)
 *           from and until take: start, head, position=N, offset=N, time_ns=N */
truc_status truc_options_create(truc_options **ret_options);
void truc_options_destroy(truc_options *options);
truc_status truc_options_set(truc_options *options, const char *name, const char *value);
const char *truc_options_error(const truc_options *options);

/* --- client --------------------------------------------------------------------------------------------------------------- */

/* Connects, says hello, logs in; tries again until connect_timeout_ms are over, unless trying again makes no sense. Not in a
 * callback. On failure *ret_error (if given) gets a text to be freed with truc_free.
 * TRUC_UNREACHABLE, TRUC_TIMED_OUT, TRUC_VERSION_MISMATCH, TRUC_LOG_MISMATCH, TRUC_LOG_WENT_BACK, TRUC_BAD_SOURCE, ... */
truc_status truc_client_open(const truc_options *options, truc_client **ret_client, char **ret_error);

/* Closes readers and producers that are still open (a producer without flush: what is not acknowledged is reported
 * TRUC_CLOSED, or stays in its outbox), then the connection. Not in a callback. NULL is allowed. */
void truc_client_close(truc_client *client);

void truc_free(void *memory);

/* What the broker said of itself at the last hello. */
typedef struct truc_log_place {
    uint8_t log_id[16];
    uint64_t generation;
    uint64_t position;
    uint32_t index;
} truc_log_place;
truc_status truc_client_log(truc_client *client, truc_log_place *ret_durable_head, char domain[65]);

/* Last error of the connection, for a human; "" when it is up. Copied into text. */
void truc_client_state(truc_client *client, bool *ret_connected, char *text, size_t text_size);

/* Requests; blocking; not in a callback. JSON texts (documented in docs/protocol.md) to be freed with truc_free. */
truc_status truc_ping(truc_client *client, uint64_t *ret_round_trip_ns);
truc_status truc_log_info_json(truc_client *client, char **ret_json);
/* One page: topics after `after` ("" for the first) that match pattern ("" for all), at most limit; *ret_more. */
truc_status truc_topics_json(truc_client *client, const char *pattern, const char *after, unsigned limit, char **ret_json,
                             bool *ret_more);

/* --- records ---------------------------------------------------------------------------------------------------------------- */

typedef struct truc_text {
    const char *data;
    size_t size;
} truc_text;

typedef struct truc_header {
    truc_text name, value;
} truc_header;

/* A record, to be published or as read. Zero means absent. Published: everything is copied before truc_publish returns; an
 * absent id becomes a UUIDv7. Read: everything is borrowed during the callback, or until the next pull. New fields may be added
 * at the end: initialise with {0} or TRUC_RECORD_INIT and pass sizeof in `size`. */
typedef struct truc_record {
    size_t size; /* sizeof(truc_record) */
    const void *data;
    size_t data_size;
    truc_text id; /* 1..64 bytes */
    truc_text key, type, content_type, schema, correlation_id, traceparent;
    int64_t time_ns, expires_at_ns;
    const truc_header *headers;
    size_t header_count;
    struct {
        const uint8_t *log_id; /* 16 bytes or NULL */
        truc_text topic, id, relation;
        uint64_t offset;
    } relates_to;
} truc_record;
#define TRUC_RECORD_INIT                                                                                                           \
    {                                                                                                                              \
        .size = sizeof(truc_record)                                                                                                \
    }

/* --- producer --------------------------------------------------------------------------------------------------------------- */

/* The outcome of one record. topic and why are borrowed. On TRUC_OK position, index, offset are where it is; on TRUC_DUPLICATE it
 * is stored but its place is no longer known (offset UINT64_MAX). created: this batch created the topic. */
typedef struct truc_delivery {
    size_t size;
    truc_status status;
    const char *topic;
    uint64_t position, offset;
    uint32_t index;
    bool duplicate, created;
    uint64_t sequence; /* of the record, in (producer, topic) */
    void *opaque;      /* as given to truc_publish */
    const char *why;   /* "" on success */
} truc_delivery;

/* Deliveries come in the order of publishing within a topic; several at once. */
typedef void truc_delivery_callback(void *context, const truc_delivery *deliveries, size_t count);

/* Opens under the client. With a name: fences older instances, continues their sequences. With an outbox (needs a name): what an
 * earlier process left there is sent first. Not in a callback. TRUC_LOCKED (outbox in use), ... */
truc_status truc_producer_open(truc_client *client, const truc_options *options, truc_delivery_callback *on_delivery, void *context,
                               truc_producer **ret_producer, char **ret_error);

/* Next sequence of a topic: how many records of this producer the broker has, plus those waiting here. */
truc_status truc_producer_sequence(truc_producer *producer, const char *topic, uint64_t *ret_next);

/* Queues one record. TRUC_OK: exactly one delivery will follow. TRUC_QUEUE_FULL (with queue_full=error), TRUC_BAD_TOPIC,
 * TRUC_BAD_RECORD, TRUC_RECORD_TOO_LARGE, TRUC_CLOSED, TRUC_FENCED: not queued. With queue_full=block it waits for room (so not
 * in a callback then). With an outbox TRUC_OK means: in the outbox file; it is flushed to disk by truc_flush and at each batch
 * before that is sent, so a killed process loses nothing and a power cut nothing that was flushed. */
truc_status truc_publish(truc_producer *producer, const char *topic, const truc_record *record, void *opaque);

/* Sends open batches at once and waits until everything published before is delivered. Not in a callback.
 * timeout_ms < 0: no limit. TRUC_TIMED_OUT. The outcome of each record is in its delivery. */
truc_status truc_flush(truc_producer *producer, int timeout_ms);

/* Publishes one record and waits: TRUC_OK and *ret_delivery (topic and why are then NULL), or the record's own error. Many threads
 * may do so at once; their records share batches. No linger: it is sent as soon as the connection is free. Not in a callback. */
truc_status truc_publish_wait(truc_producer *producer, const char *topic, const truc_record *record, int timeout_ms,
                              truc_delivery *ret_delivery);

/* Flushes for at most timeout_ms, then closes; what is left is reported TRUC_CLOSED or stays in the outbox. Not in a callback. */
truc_status truc_producer_close(truc_producer *producer, int timeout_ms);

/* --- reader ----------------------------------------------------------------------------------------------------------------- */

typedef struct truc_message {
    size_t size;
    truc_record record;
    const char *topic; /* terminated */
    uint64_t position, offset;
    uint32_t index;
    int64_t append_time_ns;
    const char *source, *system; /* terminated */
    const uint8_t *log_id;       /* 16 bytes */
    uint64_t generation;
    uint64_t producer_id, sequence;
    truc_text encoded; /* the record's bytes as they were published and hashed */
} truc_message;

/* Called with records of one entry at a time, at most 128 at once, in order (reverse: last record first). Returning anything but
 * TRUC_OK stops the reader with that status. */
typedef truc_status truc_message_callback(void *context, const truc_message *messages, size_t count);

/* The reader ended: TRUC_OK at its until or limit, TRUC_CANCELLED, TRUC_DAMAGED, ... `next_position` is where to go on (inside an
 * entry that was only partly given: that entry). Called once, last; with pulling the last pull tells instead. */
typedef void truc_end_callback(void *context, truc_status status, const char *why, uint64_t next_position);

/* Opens a reader on a topic or pattern. With on_message: callbacks. Without: pull. A lost connection is mended by itself: the
 * reader goes on behind the last record it gave, without gap or repetition; another log (log_id, generation) ends it with
 * TRUC_LOG_MISMATCH, a shorter one with TRUC_LOG_WENT_BACK. Not in a callback. */
truc_status truc_reader_open(truc_client *client, const char *pattern, const truc_options *options,
                             truc_message_callback *on_message, truc_end_callback *on_end, void *context, truc_reader **ret_reader,
                             char **ret_error);

/* The bounds as the broker resolved them; known when truc_reader_open returned. until UINT64_MAX: follows. */
truc_status truc_reader_bounds(truc_reader *reader, uint64_t *ret_from_position, uint64_t *ret_until_position);

/* Pull: the next record, waiting up to timeout_ms (< 0: no limit, 0: not at all). TRUC_TIMED_OUT; at the end TRUC_CANCELLED or the
 * end's status with *ret_message = NULL (TRUC_OK at until or limit). One thread per reader. Not in a callback. */
truc_status truc_reader_pull(truc_reader *reader, int timeout_ms, const truc_message **ret_message);

/* Waits until the reader ended. Not in a callback. */
truc_status truc_reader_wait(truc_reader *reader, int timeout_ms);

/* Stops and frees. Not in a callback. NULL is allowed. */
void truc_reader_close(truc_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
