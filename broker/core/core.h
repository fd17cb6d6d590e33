/* core.h: what decides. Event and time in, effects out.
 *
 * Layer: core; uses proto only. Pure: no socket, clock, file, thread, lock, random number or log line in here; the same events
 * give the same effects, so a simulator can run it from a seed. One thread owns a core. Never blocks, never decodes a record.
 *
 * Order: effects are carried out in order. Appends and deltas go to the log in order; each carries a ticket, a number that grows
 * by one; CORE_COMMITTED says up to which ticket everything is on disk. Only then does the core answer what depends on it, and
 * nothing at or above the durable head is ever answered, read or shown.
 *
 * Ownership: each prepared batch given with CORE_PUBLISH comes back in exactly one effect, EFFECT_APPEND or EFFECT_RELEASE. A
 * buffer given with CORE_READ_DONE or CORE_FETCHED comes back in exactly one EFFECT_SEND_DATA or EFFECT_FREE_DATA. */
#ifndef TRUC_CORE_CORE_H
#define TRUC_CORE_CORE_H

#include "proto/batch.h"
#include "proto/catalog.h"
#include "proto/entry.h"
#include "proto/frame.h"

struct core;
struct core_prepared;

struct core_family { /* a topic family of the configuration; the first whose pattern matches counts */
    struct bytes pattern;
    enum evidence evidence;    /* EVIDENCE_UNSPECIFIED: the first publisher's wish, else record */
    uint32_t record_bytes_max; /* 0: the default */
    int codec;                 /* -1: any; else the only enum codec accepted */
};

struct core_config {
    char domain[DOMAIN_BYTES_MAX + 1];
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t generation;
    uint8_t hash_secret[16]; /* of the log: keys the hash tables, so that nobody can make names collide */
    char engine[16];
    bool durable;
    char agent[64];                     /* "trucd/0.1.0" */
    const struct core_family *families; /* borrowed for the core's life */
    size_t family_count;
    uint32_t record_bytes_max; /* RECORD_BYTES_DEFAULT */
    uint32_t batch_bytes_max;
    uint32_t publish_credit_bytes;  /* per connection, 8 MiB */
    uint64_t pending_bytes_max;     /* batches accepted but not yet durable, over all, 64 MiB; beyond: BUSY */
    uint32_t read_credit_bytes_max; /* 8 MiB */
    uint32_t read_chunk_bytes;      /* asked of a reader at once, 512 KiB */
    uint32_t readers_per_connection_max, readers_max, connections_max, producers_max;
    uint32_t topics_max;        /* 1,000,000 */
    uint32_t subscriptions_max; /* 100,000 */
    uint32_t recalls_max;       /* 1,000,000 */
    uint32_t producer_grace_ms; /* unnamed producers, 600,000 */
    uint32_t clock_jump_ms;     /* 5,000 */
    uint32_t clock_behind_ms;   /* 60,000: at start, clock this far behind the last entry refuses appends */
    bool accept_clock;          /* operator said so */
    uint64_t last_producer_id;  /* given out so far, also to what is gone; at least those of the rows */
    uint32_t last_subscription_id;
    /* A batch that leaves the evidence level open was prepared at another level than its topic turned out to have: computes its
     * root, and sets its level, again. Called within a step; TRUC_NO_MEMORY. */
    truc_status (*digest_again)(void *context, struct core_prepared *prepared, enum evidence evidence);
    void *digest_context;
};
void core_config_init(struct core_config *ret_config); /* the defaults above */

struct core_now {
    int64_t boot_ns; /* boot clock */
    int64_t wall_ns; /* wall clock, Unix epoch */
};

struct core_head { /* what is on disk */
    uint64_t block, position;
    int64_t last_append_ns;
    uint64_t record_count;
};

struct core_capacity {
    uint64_t available_bytes;
    bool full;
};

enum { RECALLS_PER_BATCH_MAX = 256 };

/* Made by the verify pool from a PUBLISH frame; opaque owner handle for whoever frees it. */
struct core_prepared {
    struct batch_view batch; /* borrowed from the owner's buffer */
    struct bytes directory;
    enum evidence evidence; /* level the root was computed at */
    uint8_t header_digest[DIGEST_BYTES], records_root[DIGEST_BYTES];
    uint32_t record_largest;    /* bytes of the largest record */
    uint32_t recall_count;      /* at most RECALLS_PER_BATCH_MAX */
    const uint64_t *recalls;    /* offsets in the batch's topic that its records recall; the owner's */
    struct core_prepared *next; /* of the same PUBLISH, to be appended with it or not at all; NULL: it was the last one */
    void *owner;                /* NULL: made by the core itself; then it is freed with free(), batch and directory with it */
};

enum core_event_kind {
    CORE_START,         /* once, after restoring: head, capacity */
    CORE_CONNECTED,     /* connection, nonce */
    CORE_DISCONNECTED,  /* connection */
    CORE_FRAME,         /* connection, frame: any kind but PUBLISH; borrowed during the step */
    CORE_PUBLISH,       /* connection, request_id, frame_bytes, prepared: the first of at most BATCHES_TOGETHER_MAX, whose topics
                         * are all different */
    CORE_PUBLISH_BAD,   /* connection, request_id, frame_bytes, status, why: the verify pool refused it; in connection order */
    CORE_COMMITTED,     /* ticket, head, capacity */
    CORE_LOG_FAILED,    /* status, why: nothing is acknowledged any more */
    CORE_CAPACITY,      /* capacity */
    CORE_READ_RESOLVED, /* reader: from, until (positions); or status, why. Cuts by offset follow from the request itself */
    CORE_READ_DONE,     /* reader, done; data and its owner when data.size > 0; or status, why */
    CORE_SCANNED,       /* reader, scanned; or status, why */
    CORE_FETCHED, /* reader, done (entry_count: how many places were served), data and owner; status, why: what is wrong with the
                   * place after those */
    CORE_LOOKED,  /* reader, looked; or status, why */
    CORE_TICK,    /* time asked for by EFFECT_WAKE_AT has come */
    CORE_DRAIN    /* shutting down: refuse new publishes, GOAWAY, finish what is pending */
};

/* What an entry among data is: of a cut entry, the whole one's. */
struct core_entry_ref {
    uint64_t position, base_offset;
    uint32_t topic_id, record_count;
    uint32_t size; /* bytes of data */
};

struct core_read_done {
    uint64_t next, record_count;
    uint32_t entry_count;
    struct bytes data;
    void *owner;
    const struct core_entry_ref *refs; /* of FETCHED, and of READ_DONE when its spec asked for references; in the order of data; */
    size_t ref_count;                  /* borrowed during the step */
};

/* The answer to EFFECT_SCAN: all that was wanted in [from, next); borrowed during the step. */
struct share_record; /* share.h */
struct core_scanned {
    const struct share_record *records;
    size_t count;
    struct place next;
    uint64_t damaged, damaged_at; /* entries passed over, as they cannot be read, and the first one's position */
};

/* The answer to EFFECT_LOOK; borrowed during the step. */
struct core_look_record { /* of LOOK_RECORDS */
    bool wanted, damaged; /* damaged: it cannot be told */
    uint32_t bytes;
    uint64_t key; /* hash; 0: none */
    int64_t deliver_at_ns, expires_at_ns;
};
enum core_resolution {                     /* what became of a record, as the log says it */
                       RESOLUTION_UNKNOWN, /* the log does not say, or too much would have to be looked at */
                       RESOLUTION_ACKNOWLEDGED,
                       RESOLUTION_DEAD,
                       RESOLUTION_EXPIRED,
                       RESOLUTION_PASSED, /* the subscription began behind it */
                       RESOLUTION_DONE    /* acknowledged or expired */
};
struct core_look_history { /* of LOOK_HISTORY */
    enum core_resolution resolution;
    uint32_t attempts; /* begun */
    int64_t resolved_ns, first_failed_ns, last_failed_ns;
    const char *reason; /* of DEAD; static */
};
struct core_look_lag { /* of LOOK_LAG */
    uint64_t records, bytes;
    int64_t since_ns; /* append time of the first entry; 0: there is none */
    bool more;        /* there was too much to look at */
};
struct core_looked {
    struct place place;                        /* RECORDS by offset: of the record */
    int64_t append_time_ns;                    /* likewise */
    const struct core_look_record *records;    /* of each subject, each place in turn */
    const struct core_look_history *histories; /* of each subject */
    struct core_look_lag lag;
};

struct core_event {
    enum core_event_kind kind;
    uint32_t frame_bytes;
    uint64_t connection; /* never reused */
    uint64_t request_id;
    uint64_t reader; /* the core's number of a reader */
    uint64_t ticket;
    struct core_head head;
    struct core_capacity capacity;
    uint8_t nonce[32];
    struct frame frame;
    struct core_prepared *prepared;
    struct core_read_done done;
    struct core_scanned scanned;
    struct core_looked looked;
    uint64_t from, until, from_offset, until_offset;
    truc_status status;
    const char *why; /* borrowed during the step */
};

/* What a reader is to read; borrowed from the core until EFFECT_READ_CLOSE. Offsets and times are resolved to positions by
 * whoever owns the log, who answers CORE_READ_RESOLVED. An offset that reaches a spec is below the topic's durable next offset.
 * Forwards, `from` is the first position looked at and `until` exclusive; in reverse `from` is exclusive and `until` the last one
 * looked at. So an exclusive bound at offset N is the position of the entry that holds N - 1, plus one. */
enum core_bound { BOUND_START, BOUND_HEAD, BOUND_POSITION, BOUND_OFFSET, BOUND_TIME };
struct core_read_spec {
    struct bytes pattern, key, type, agency, system;
    int64_t event_since_ns, event_until_ns;
    bool reverse, follow;
    bool references; /* the entries read are told of one by one (core_entry_ref) */
    enum core_bound from_kind, until_kind;
    uint64_t from, until;
    int64_t from_ns, until_ns;
    uint64_t head;        /* durable position at the request: what BOUND_HEAD means, and the upper limit of every bound */
    struct bytes headers; /* of a scan: name, zero byte, value, zero byte, repeated */
};

/* What is asked of a scan. */
struct core_scan {
    struct place from, until; /* until: exclusive, at most the durable head */
    uint32_t records_max;
    const uint64_t *keys; /* ascending; key_count 0: all */
    size_t key_count;
};

/* What is to be found out about records and subscriptions, once. Borrowed until the next step, with all it points to. */
enum core_look_kind {
    LOOK_RECORDS, /* which of the places hold a record that a subject wants, and what the log knows of it unread */
    LOOK_HISTORY, /* how and when each subject was done with the record at places[0], which it is: from the log's deltas */
    LOOK_LAG      /* what lies between places[0] and the head in topics that match the subject's pattern */
};
struct core_look_subject {      /* a subscription */
    struct core_read_spec spec; /* pattern and filter */
    /* of HISTORY: */
    uint32_t subscription; /* its id */
    bool shared;
    uint64_t key; /* of the record */
    int64_t deliver_at_ns, expires_at_ns;
    int64_t created_ns;       /* the subscription, at the earliest */
    struct bytes owner, name; /* whose dead letters are looked through */
};
struct core_look {
    enum core_look_kind kind;
    bool by_offset; /* RECORDS: the place is that of an offset, below the durable head, of a topic: */
    struct bytes topic;
    uint64_t offset;
    const struct place *places;
    size_t place_count;
    const struct core_look_subject *subjects;
    size_t subject_count;
    uint64_t head; /* the durable position: nothing at or above it is looked at */
};

enum core_effect_kind {
    EFFECT_SEND,       /* connection, bytes: encoded frames; borrowed until the next step */
    EFFECT_SEND_DATA,  /* connection, bytes = encoded frame head, data + owner = its payload, to be freed after sending */
    EFFECT_FREE_DATA,  /* owner */
    EFFECT_CLOSE,      /* connection: after what was sent before */
    EFFECT_APPEND,     /* ticket, append: leaf etc. below; batch, directory in prepared, to be freed after the commit */
    EFFECT_RELEASE,    /* prepared */
    EFFECT_DELTA,      /* ticket, bytes: delta_count encoded deltas, which stay together in one block */
    EFFECT_READ_OPEN,  /* reader, spec: resolve bounds, prepare to read */
    EFFECT_READ,       /* reader, from, until, bytes_max, entries_max (0: no limit): read once, answer CORE_READ_DONE. When the
                        * next entry alone is larger than bytes_max: answer TRUC_OK with next == from and no data; the core asks
                        * again with room for any entry once the reader's credit allows it */
    EFFECT_SCAN_OPEN,  /* reader, spec (pattern and filter): prepare to scan; nothing is answered */
    EFFECT_SCAN,       /* reader, scan: answer CORE_SCANNED */
    EFFECT_FETCH_OPEN, /* reader: prepare to fetch; nothing is answered */
    EFFECT_FETCH,      /* reader, places, place_count (at most GRANT_RECORDS_MAX): answer CORE_FETCHED with some of the first ones'
                        * entries,      whole or cut, at least one when it can be read */
    EFFECT_LOOK,       /* reader, look: opened, answered by CORE_LOOKED, nothing else is asked of it */
    EFFECT_READ_CLOSE, /* reader: nothing further will be asked; an answer under way may still come and is dropped */
    EFFECT_WAKE_AT,    /* boot_ns: CORE_TICK is due then; the latest one counts */
    EFFECT_ALARM,      /* bytes: a line for the operator (clock jump, refusals) */
    EFFECT_DRAINED     /* nothing is pending any more: may exit */
};

struct core_append {
    struct entry_fields fields;
    uint64_t position, base_offset;
    int64_t append_time_ns;
    uint8_t leaf_hash[DIGEST_BYTES];
    uint16_t leaf_size;
    uint8_t leaf[LEAF_BYTES_MAX];
};

struct core_effect {
    enum core_effect_kind kind;
    uint64_t connection, reader, ticket;
    struct bytes bytes, data;
    void *owner;
    struct core_prepared *prepared;
    const struct core_append *append; /* borrowed until the next step */
    const struct core_read_spec *spec;
    const struct core_scan *scan; /* this, its keys and the places are borrowed until the next step */
    const struct core_look *look;
    const struct place *places;
    size_t place_count;
    uint64_t from, until;
    uint32_t bytes_max, entries_max, delta_count;
    bool joined; /* APPEND and DELTA: must be in one block with the one before */
    int64_t boot_ns;
};

/* The effects of the last step; owned by the core, valid until the next step. */
struct core_effects {
    const struct core_effect *effects;
    size_t count;
};

truc_status core_create(const struct core_config *config, struct core **ret_core);
void core_destroy(struct core *core); /* NULL is allowed */

/* Before CORE_START: rows of the catalog. Suits struct catalog_visitor with the core as context. */
truc_status core_restore_topic(void *core, const struct topic_row *row);
truc_status core_restore_producer(void *core, const struct producer_row *row);
truc_status core_restore_sequence(void *core, const struct sequence_row *row);
truc_status core_restore_subscription(void *core, const struct subscription_row *row);
truc_status core_restore_cursor(void *core, const struct cursor_row *row);
truc_status core_restore_lane(void *core, const struct lane_row *row);
truc_status core_restore_recall(void *core, const struct recall_row *row);

/* One step. Several events may be given at once: they are stepped in order and answers for one connection are coalesced. */
struct core_effects core_step(struct core *core, const struct core_event *events, size_t event_count, struct core_now now);

/* For the log line at start and LOG_INFO. */
struct core_counts {
    uint64_t topics, producers, sequences, connections, readers, subscriptions;
};
struct core_counts core_counts(const struct core *core);

/* Set by the owner before LOG_INFO answers need it: figures the core does not keep. */
struct core_usage {
    uint64_t bytes;
    uint32_t segment_count;
    int64_t first_append_ns;
};
void core_set_usage(struct core *core, struct core_usage usage);

#endif
