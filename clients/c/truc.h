/* truc.h: libtruc, the C client of Truc, a durable and provable message bus.
 *
 * A client is one connection to one broker, kept up by itself. A producer publishes: truc_publish returns at once, the delivery
 * callback or a flush tells the outcome, and an acknowledged record is on the broker's disk, once, in the producer's order. A
 * reader reads a topic or a pattern from a place on and checks every digest. A worker takes its part of a subscription, which the
 * broker remembers: each record is given until it is acknowledged.
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
 *           from and until take: start, head, position=N, offset=N, time_ns=N
 * subscription: pattern, mode (shared | ordered), start (new; as from), key, type, source, headers (NAME=VALUE;...);
 *           shared: ack_wait_ms (30000), attempts (5; 0: without limit), in_flight_records (10000), backoff_ms (100,1000,...)
 * worker:   credit (1000 records in hand; shared), key_run (1000 of one key; shared), credit_bytes (ordered), verify
 * requester: in_flight (1000: requests without a reply), codec, evidence
 * server:   threads (4), credit (1000), codec, evidence */
truc_status truc_options_create(truc_options **ret_options);
void truc_options_destroy(truc_options *options);
truc_status truc_options_set(truc_options *options, const char *name, const char *value);
const char *truc_options_error(const truc_options *options);

/* --- client --------------------------------------------------------------------------------------------------------------- */

/* Connects, says hello, logs in; tries again until connect_timeout_ms are over, unless trying again makes no sense. Not in a
 * callback. On failure *ret_error (if given) gets a text to be freed with truc_free.
 * TRUC_UNREACHABLE, TRUC_TIMED_OUT, TRUC_VERSION_MISMATCH, TRUC_LOG_MISMATCH, TRUC_LOG_WENT_BACK, TRUC_BAD_SOURCE, ... */
truc_status truc_client_open(const truc_options *options, truc_client **ret_client, char **ret_error);

/* Closes readers, producers and workers that are still open (a producer without flush: what is not acknowledged is reported
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
    uint64_t sequence;      /* of the record, in (producer, topic) */
    void *opaque;           /* as given to truc_publish */
    const char *why;        /* "" on success */
    uint32_t subscriptions; /* whose pattern matches the topic; 0: nobody is subscribed, the log keeps the record all the same */
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

/* How a record is to be published. Zero means absent; initialise with TRUC_PUBLISH_HOW_INIT. */
typedef struct truc_publish_how {
    size_t size;
    int64_t deliver_at_ns; /* shared subscriptions give it not before */
    bool conditional;      /* only if it gets expected_offset: else its delivery is TRUC_CONFLICT with the topic's next offset in
                            * `offset`, and nothing is stored */
    uint64_t expected_offset;
} truc_publish_how;
#define TRUC_PUBLISH_HOW_INIT                                                                                                      \
    {                                                                                                                              \
        .size = sizeof(truc_publish_how)                                                                                           \
    }

/* As truc_publish; records published alike share a batch, a conditional one is a batch of its own. how may be NULL. */
truc_status truc_publish_as(truc_producer *producer, const char *topic, const truc_record *record, const truc_publish_how *how,
                            void *opaque);

/* One of several records that are published together. */
typedef struct truc_part {
    const char *topic;
    const truc_record *record;
} truc_part;

/* Appends all or none, in one block, and waits: TRUC_OK and a delivery for each part (`topic` is the part's, why NULL), or the
 * error that kept all of them out. At most 64 topics; parts of one topic keep their order. It is in no order with what truc_publish
 * has on its way, and is not kept in an outbox. After TRUC_TIMED_OUT the outcome is open: the producer tries on by itself, and a
 * later call waits for it. Calls of several threads are carried out one after the other. Not in a callback. */
truc_status truc_publish_together(truc_producer *producer, const truc_part *parts, size_t count, int timeout_ms,
                                  truc_delivery *ret_deliveries, char **ret_error);

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

/* --- subscriptions ------------------------------------------------------------------------------------------------------------ */

/* A subscription is an agency's durable reading of a pattern, kept by the broker under a name (1 to 64 of A-Z a-z 0-9 _ -).
 * Ordered: all records in log order, to one worker at a time, acknowledged up to a place. Shared: each record is leased to one of
 * many workers and is acknowledged, refused, or given again; records of one key never overtake each other.
 *
 * All of these are requests: blocking, not in a callback. On failure *ret_error (if given) gets a text for truc_free. */

/* Creates it; on disk when this returns. With the same name and definition it is as if it had been created now; with another one
 * TRUC_EXISTS. TRUC_INVALID_ARGUMENT (the name, no pattern, an option that this mode has not), TRUC_BAD_PATTERN, ... */
truc_status truc_subscription_create(truc_client *client, const char *name, const truc_options *options, char **ret_error);

typedef enum truc_subscription_action {
    TRUC_SUBSCRIPTION_PAUSE = 1, /* nothing more is given; what is leased may still be settled */
    TRUC_SUBSCRIPTION_RESUME = 2,
    TRUC_SUBSCRIPTION_REMOVE = 4 /* its workers end with TRUC_NOT_FOUND */
} truc_subscription_action;
truc_status truc_subscription_change(truc_client *client, const char *name, truc_subscription_action action, char **ret_error);

/* Goes on at another place (as the option start); leases are forgotten, its workers end with TRUC_CANCELLED. */
truc_status truc_subscription_reset(truc_client *client, const char *name, const char *place, char **ret_error);

/* JSON texts (documented in docs/libtruc.md) to be freed with truc_free. TRUC_NOT_FOUND. */
truc_status truc_subscription_info_json(truc_client *client, const char *name, char **ret_json);
/* One page of the agency's own: names after `after` ("" for the first), at most limit; *ret_more. */
truc_status truc_subscriptions_json(truc_client *client, const char *after, unsigned limit, char **ret_json, bool *ret_more);

/* --- worker ----------------------------------------------------------------------------------------------------------------- */

typedef struct truc_worker truc_worker;

/* A record to be worked on. The message is borrowed during the callback, or until the next pull; the lease outlives it. */
typedef struct truc_job {
    size_t size;
    const truc_message *message;
    uint64_t lease;   /* the worker's own number for it, ascending from 1, never used twice */
    uint32_t attempt; /* this is the attempt-th try, from 1; ordered: always 1 */
    bool recalled;    /* its sender has recalled it: by the entry at recall_position */
    uint64_t recall_position;
} truc_job;

/* Called with jobs of one entry at a time, at most 128 at once. Returning anything but TRUC_OK stops the worker with it. */
typedef truc_status truc_job_callback(void *context, const truc_job *jobs, size_t count);

typedef enum truc_outcome {
    TRUC_OUTCOME_ACK = 1,
    TRUC_OUTCOME_NACK = 2,
    TRUC_OUTCOME_REJECT = 3,
    TRUC_OUTCOME_EXTEND = 4
} truc_outcome;

/* What became of a settlement. TRUC_OK: it is on the broker's disk (EXTEND: it holds). TRUC_LEASE_LOST: the lease had lapsed, or
 * the connection was lost first; the record is or was given again. Ordered: everything up to this lease is acknowledged. */
typedef struct truc_settled {
    size_t size;
    uint64_t lease;
    truc_outcome outcome;
    truc_status status;
} truc_settled;
typedef void truc_settled_callback(void *context, const truc_settled *settled, size_t count);

/* The worker ended: TRUC_NOT_FOUND (the subscription was removed), TRUC_CANCELLED (reset, or closed), TRUC_DAMAGED, ... Called
 * once; with pulling the last pull tells instead. */
typedef void truc_worker_end_callback(void *context, truc_status status, const char *why);

/* Takes part in a subscription. Of one key one record at a time is given, the next one when that was settled; ordered: all in log
 * order, but for records that have expired. With on_jobs: callbacks. Without: pull. on_settled and on_end may be NULL. A lost
 * connection is mended by itself: leases are then lost, settlements that were not answered are told TRUC_LEASE_LOST, and records
 * that were not acknowledged come again. *ret_worker is set before the first callback. Not in a callback. TRUC_NOT_FOUND, ... */
truc_status truc_worker_open(truc_client *client, const char *subscription, const truc_options *options, truc_job_callback *on_jobs,
                             truc_settled_callback *on_settled, truc_worker_end_callback *on_end, void *context,
                             truc_worker **ret_worker, char **ret_error);

/* Pull: the next job, waiting up to timeout_ms (< 0: no limit, 0: not at all). TRUC_TIMED_OUT; at the end its status with
 * *ret_job = NULL. One thread per worker; threads that share a subscription have a worker each. Not in a callback. */
truc_status truc_worker_pull(truc_worker *worker, int timeout_ms, const truc_job **ret_job);

/* Settling: from any thread, also in a callback; returns at once, the outcome comes by on_settled or a flush. A lease is settled
 * once. TRUC_LEASE_LOST: it is not held any more (settled, or lost with a connection). TRUC_INVALID_ARGUMENT: it was never given.
 * Shared: this record. Ordered: this record and all before it; the place moves by whole entries, so that records of an entry of
 * which only some were acknowledged come again; nack, extend and reject are TRUC_UNSUPPORTED. */
truc_status truc_ack(truc_worker *worker, uint64_t lease);
/* Failed: given again after delay_ms (0: the subscription's back-off; at most 7 days), dead after the last attempt. */
truc_status truc_nack(truc_worker *worker, uint64_t lease, uint32_t delay_ms);
/* Never to be tried again: dead at once. */
truc_status truc_reject(truc_worker *worker, uint64_t lease);
/* Still at it: the lease lapses delay_ms from now (0: ack_wait_ms). */
truc_status truc_extend(truc_worker *worker, uint64_t lease, uint32_t delay_ms);

/* Waits until every settlement so far is answered, and told. TRUC_OK; TRUC_LEASE_LOST: some, since the last flush, were not done;
 * TRUC_TIMED_OUT. Not in a callback. */
truc_status truc_worker_flush(truc_worker *worker, int timeout_ms);

/* Waits until the worker ended. Not in a callback. */
truc_status truc_worker_wait(truc_worker *worker, int timeout_ms);

/* Stops taking, gives back what was not given to the application, and waits for at most timeout_ms until its settlements are
 * answered. What it holds unsettled goes to other workers. Returns as a flush. Not in a callback. NULL is allowed. */
truc_status truc_worker_close(truc_worker *worker, int timeout_ms);

/* --- dead letters -------------------------------------------------------------------------------------------------------------
 * Records that a shared subscription gave up are listed in the topic dead.AGENCY.SUBSCRIPTION, which holds for each a letter, and
 * what was done about it. Requests; blocking; not in a callback. */

typedef enum truc_dead_action { TRUC_DEAD_REDRIVE = 1, TRUC_DEAD_DROP = 2 } truc_dead_action;

/* A page of the letters about which nothing was done (or all of them): letters from offset `from` on, at most limit. JSON
 * (documented in docs/libtruc.md) for truc_free; *ret_next is where to go on, *ret_more whether there is more. TRUC_NOT_FOUND: no
 * such subscription. */
truc_status truc_dead_json(truc_client *client, const char *subscription, uint64_t from, unsigned limit, bool all, char **ret_json,
                           uint64_t *ret_next, bool *ret_more);

/* Has the letters at these offsets redriven (given again, each when its key's turn comes) or dropped: all or none, at most 256.
 * TRUC_NOT_FOUND (no such letter), TRUC_EXISTS (something was done about one already), ... */
truc_status truc_dead_do(truc_client *client, const char *subscription, truc_dead_action action, const uint64_t *offsets,
                         size_t count, char **ret_error);

/* --- receipts and answers ----------------------------------------------------------------------------------------------------- */

/* What became of a record in each subscription that wants it, as JSON (docs/libtruc.md) for truc_free. wait_for: names of
 * subscriptions (AGENCY/NAME, or NAME of the own agency; at most 16) that are to be done with it before this returns, for at most
 * wait_ms. TRUC_OK; TRUC_NOT_ACKNOWLEDGED: one of them is not, or has not acknowledged it (the JSON tells which); TRUC_NOT_FOUND,
 * TRUC_OUT_OF_RANGE. Not in a callback. */
truc_status truc_receipt_json(truc_client *client, const char *topic, uint64_t offset, const char *const *wait_for,
                              size_t wait_count, uint32_t wait_ms, char **ret_json, char **ret_error);

typedef enum truc_answer_status {
    TRUC_ANSWER_RECEIVED = 1,
    TRUC_ANSWER_ACCEPTED = 2,
    TRUC_ANSWER_REFUSED = 3,
    TRUC_ANSWER_PROCESSING = 4,
    TRUC_ANSWER_DONE = 5,
    TRUC_ANSWER_RECALL_AGREED = 6,
    TRUC_ANSWER_RECALL_REFUSED = 7
} truc_answer_status;
const char *truc_answer_name(truc_answer_status status); /* "accepted"; NULL for a number that is none */

/* Publishes the receiver's answer to a record: a record of type truc.answer.v1 in the topic answer.AGENCY of the record's source,
 * related to it (docs/format.md "Answers"). reason: for people, at most 4096 bytes, or NULL. Returns and is delivered like a
 * truc_publish. */
truc_status truc_answer(truc_producer *producer, const truc_message *message, truc_answer_status status, const char *reason,
                        void *opaque);

/* Recalls an own record: publishes a record of type truc.recall.v1 to its topic. Whoever has not been given the record is given it
 * marked (truc_job.recalled); who has, sees the recall itself. TRUC_NOT_ALLOWED: its source is another agency. */
truc_status truc_recall(truc_producer *producer, const truc_message *message, const char *reason, void *opaque);

/* A record with its recalls and all answers to it, in log order, as JSON (docs/libtruc.md) for truc_free. Not in a callback.
 * TRUC_NOT_FOUND, TRUC_OUT_OF_RANGE. */
truc_status truc_thread_json(truc_client *client, const char *topic, uint64_t offset, char **ret_json, char **ret_error);

/* Reads one record: a message for truc_message_free. Not in a callback. TRUC_NOT_FOUND, TRUC_OUT_OF_RANGE. */
truc_status truc_message_read(truc_client *client, const char *topic, uint64_t offset, int timeout_ms, truc_message **ret_message,
                              char **ret_error);
void truc_message_free(truc_message *message); /* NULL is allowed */

/* --- request and reply ----------------------------------------------------------------------------------------------------------
 * Requests and replies are records. A request is published to a topic with a deadline (expires_at_ns), an id to correlate by, and
 * where its reply is wanted (docs/format.md "Requests"); servers are workers of a shared subscription of that topic, and publish
 * the reply before they acknowledge the request: a request is served at least once, its first reply counts. */

typedef struct truc_requester truc_requester;

/* Ready to receive replies when it returns. Not in a callback. */
truc_status truc_requester_open(truc_client *client, const truc_options *options, truc_requester **ret_requester, char **ret_error);

/* The reply, borrowed during the call; or what kept it: TRUC_TIMED_OUT (no reply by the deadline), the publish's own error,
 * TRUC_CLOSED. Once for each request, on the client's callback thread. */
typedef void truc_reply_callback(void *opaque, truc_status status, const truc_message *reply, const char *why);

/* Publishes a request; many may be on their way. timeout_ms: 1 or more, the deadline from now. TRUC_OK: on_reply will be called.
 * TRUC_QUEUE_FULL: in_flight are under way; else as truc_publish. Any thread, also in a callback. */
truc_status truc_request(truc_requester *requester, const char *topic, const truc_record *request, int timeout_ms,
                         truc_reply_callback *on_reply, void *opaque);

/* The same, waiting for the reply: for truc_message_free. Not in a callback. */
truc_status truc_request_wait(truc_requester *requester, const char *topic, const truc_record *request, int timeout_ms,
                              truc_message **ret_reply, char **ret_error);

/* What is under way is told TRUC_CLOSED. Not in a callback. NULL is allowed. */
void truc_requester_close(truc_requester *requester);

typedef struct truc_server truc_server;

/* Serves one request, on one of the server's threads, several at once (never two of one key). Writes its reply's data, type,
 * headers etc. into *reply, which borrows from memory that stays until the next call on this thread; id, correlation and relation
 * are set by the server. TRUC_OK: the reply is published, then the request acknowledged. Anything else: the request is refused and
 * comes again, or is dead after the subscription's attempts; TRUC_INVALID_ARGUMENT: it is dead at once. */
typedef truc_status truc_serve_callback(void *context, const truc_job *request, truc_record *reply);

/* Takes part in a shared subscription of the topic that requests are published to. Requests whose deadline has passed are not
 * served. Not in a callback. TRUC_NOT_FOUND, TRUC_UNSUPPORTED (an ordered subscription), ... */
truc_status truc_server_open(truc_client *client, const char *subscription, const truc_options *options,
                             truc_serve_callback *on_request, void *context, truc_server **ret_server, char **ret_error);

/* Waits until it ended: its subscription was removed or reset, the log is another one. Not in a callback. */
truc_status truc_server_wait(truc_server *server, int timeout_ms);

/* Takes no more, lets requests that are being served finish for at most timeout_ms, gives the others back. Not in a callback. NULL
 * is allowed. */
truc_status truc_server_close(truc_server *server, int timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
