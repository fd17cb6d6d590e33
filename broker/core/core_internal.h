/* core_internal.h: the state that the core's files share. Layer: core; not for anyone outside this folder.
 *
 * Ownership: everything lives in the core's pools and slabs; pointers between objects are good until the object is given back.
 * Accepted and durable: what was given to the log under a ticket is accepted; it is durable when CORE_COMMITTED has named that
 * ticket. Decisions about sequences, offsets and leaves follow what is accepted; everything that leaves follows what is durable. */
#ifndef TRUC_CORE_CORE_INTERNAL_H
#define TRUC_CORE_CORE_INTERNAL_H

#include "broker/core/canary.h"
#include "broker/core/core.h"
#include "broker/core/invariant.h"
#include "broker/core/order.h"
#include "broker/core/output.h"
#include "broker/core/pattern_tree.h"
#include "broker/core/pool.h"
#include "broker/core/slab.h"
#include "broker/core/table.h"
#include "proto/topic.h"

enum {
    NONCE_BYTES = 32,
    PROTOCOL_VERSION = 1,
    RETRY_BUSY_MS = 10,     /* W batches under way, or too much memory pending */
    RETRY_STATE_MS = 1000,  /* disk full, clock behind, draining, stopped */
    PENDING_OVERHEAD = 512, /* what one request that waits for the disk costs in memory, besides its batch */
    LOG_OVERHEAD = 512,     /* at most what a block adds to one entry or delta: header, table row, paddings, the delta itself */
    PING_BYTES_MAX = 64 * 1024,
    GRACE_ENDS_PER_STEP = 1024,
    PAGE_ITEMS_MAX = 300,      /* of PRODUCER_OK and TOPICS_OK: below the 4,096 fields that frame_header_decode takes */
    PAGE_BYTES_MAX = 56 * 1024 /* of their headers, FRAME_HEADER_BYTES_MAX less what is around the items */
};

/* --- topics: never forgotten ------------------------------------------------------------------------------------------------ */

struct topic {
    const uint8_t *name; /* terminated; in core.names */
    uint8_t name_size, evidence;
    uint16_t family;      /* index + 1; 0: none */
    uint32_t commit_slot; /* in core.committed, when that names this topic */
    struct watch *watch;  /* of readers that follow exactly this topic; NULL */
    /* accepted */
    uint64_t next_offset;
    uint8_t last_leaf_hash[DIGEST_BYTES];
    uint32_t subscriptions, subscriptions_generation; /* that match it, when core.subscriptions_generation was this */
    /* durable */
    uint64_t durable_offset, first_position, last_position, bytes, entry_count;
    int64_t created_ns, last_append_ns;
};

/* --- producers and their sequences ------------------------------------------------------------------------------------------- */

struct producer {
    uint64_t open_ticket;             /* of the delta that gave it its epoch */
    uint64_t id;                      /* 0: a free slot */
    int64_t expires_boot_ns;          /* while in the grace list */
    uint8_t *text;                    /* scope, then name; owned */
    struct connection *connection;    /* that opened or resumed it last; NULL: gone */
    struct producer *previous, *next; /* in the connection's list, or in the grace list */
    struct order sequences;
    uint32_t index, epoch;
    uint32_t pending; /* accepted and not yet durable */
    uint8_t scope_size, name_size;
    bool named, in_grace;
};

/* The place of one batch. Packed: a hundred thousand sequences remember sixteen each. */
struct __attribute__((packed)) sequence_result {
    uint64_t position, base_offset;
    uint32_t record_count;
};

/* What one producer has published to one topic. */
struct sequence {
    uint64_t next;                   /* accepted */
    struct sequence_result *results; /* ring of the last ones, owned; their sequences end at next */
    uint32_t producer, topic;        /* indexes */
    uint8_t capacity, start, count;  /* of the ring */
    uint8_t pending;                 /* the newest so many results are not yet durable */
};

/* --- connections ------------------------------------------------------------------------------------------------------------- */

enum connection_state { CONNECTION_NEW, CONNECTION_GREETED, CONNECTION_LOGGED_IN, CONNECTION_CLOSING };

struct connection {
    struct connection *previous, *next;
    uint64_t number;            /* 0: a free slot */
    uint64_t credit_used;       /* bytes of publish frames not yet answered */
    struct producer *producers; /* bound to it */
    struct producer *recent;    /* the one it published with last */
    struct core_reader *readers;
    struct attachment *attachments;
    uint32_t index, reader_count;
    uint32_t output; /* its buffer in this step + 1; 0: none */
    enum connection_state state;
    uint8_t nonce[NONCE_BYTES];      /* the broker's */
    uint8_t agency_size, scope_size; /* of scope, "AGENCY/SYSTEM" */
    uint8_t scope[SOURCE_BYTES_MAX];
};

/* --- readers ------------------------------------------------------------------------------------------------------------------ */

enum reader_state {
    READER_RESOLVING, /* EFFECT_READ_OPEN is out */
    READER_READING,   /* EFFECT_READ is out */
    READER_STARVED,   /* waits for credit */
    READER_PARKED     /* at the head, in its watch's list */
};

struct core_reader {
    uint64_t number, request_id;
    struct core_read_spec spec;
    uint8_t *text; /* what the spec's texts are in; owned */
    struct connection *connection;
    struct core_reader *previous, *next; /* in the connection's list */
    struct core_reader *parked_previous, *parked_next;
    struct subscription *subscription; /* whose own reading it is; then it has no connection */
    struct attachment *attachment;     /* that it reads for, or fetches for */
    struct question *question;         /* that its bounds answer; owned */
    struct watch *watch;               /* when it follows */
    uint64_t position, until;          /* where it stands, where it ends (follow: UINT64_MAX) */
    uint64_t read_until;               /* of the read under way */
    uint64_t from_offset, until_offset;
    int64_t credit, window; /* bytes; credit may fall below 0 by one large entry */
    uint64_t records_left;
    uint32_t index;
    enum reader_state state;
    bool exact, limited, filtered; /* filtered: the broker cannot count what the reader will keep */
    bool cut;                      /* the first entry is only partly within the bounds */
    bool large;                    /* the next entry is larger than what was asked for */
    bool opened;                   /* EFFECT_READ_OPEN is out, so EFFECT_READ_CLOSE must follow */
};

/* What followers of one pattern (or exact topic) share. */
struct watch {
    uint8_t *pattern; /* owned */
    uint64_t hash;
    uint64_t last_match; /* an entry at or above it may match; none above it does */
    bool any_match;
    struct core_reader *parked;
    struct watch *previous, *next; /* in core.pattern_watches */
    uint64_t *misses;              /* bit per topic: known not to match; owned */
    uint32_t miss_words;
    uint32_t index, reader_count;
    uint8_t pattern_size;
    bool exact;
};

/* --- what waits for the disk ---------------------------------------------------------------------------------------------------
 */

enum pending_kind {
    PENDING_DELTA,        /* nobody is answered */
    PENDING_APPEND,       /* PUBLISH_OK */
    PENDING_DUPLICATE,    /* PUBLISH_OK of an earlier batch, which is durable when this ticket is */
    PENDING_STORED,       /* error DUPLICATE, likewise */
    PENDING_SEQUENCE,     /* error OUT_OF_SEQUENCE, which tells of earlier batches */
    PENDING_CONFLICT,     /* error CONFLICT, which tells of earlier batches of the topic */
    PENDING_MIXED,        /* error BAD_BATCH: of batches that came together some are stored and others not */
    PENDING_OPEN,         /* PRODUCER_OK */
    PENDING_OWN,          /* an entry of the core's own: nobody is answered */
    PENDING_SUBSCRIPTION, /* SUBSCRIPTION_OK */
    PENDING_REMOVAL,      /* SUBSCRIPTION_OK of one that is gone then */
    PENDING_SETTLE        /* SETTLE_OK */
};

struct pending {
    uint64_t ticket;
    uint64_t connection, request_id;
    uint64_t position, base_offset; /* of the entry; SEQUENCE, CONFLICT: what is next in base_offset, CONFLICT: what was expected in
                                     * position */
    int64_t append_time_ns;
    uint32_t connection_index;
    uint32_t subject;      /* sequence (APPEND), producer (OPEN), topic (DUPLICATE, OWN), subscription or settle */
    uint32_t record_count; /* of the entry */
    uint32_t epoch;        /* OPEN: that was asked for */
    uint32_t frame_bytes;  /* of publish credit */
    uint32_t log_bytes, memory_bytes, batch_bytes;
    uint8_t kind;
    uint8_t number; /* of the batch that is refused among those of its PUBLISH, from 1; 0: it had but one */
    bool first;     /* of its topic; of its producer */
    bool part;      /* APPEND, DUPLICATE: one of several batches, which the one behind it is answered with */
};

/* What PUBLISH_OK says of a batch. */
struct publish_place {
    uint64_t position, base_offset;
    int64_t append_time_ns; /* 0 for a duplicate: no longer known */
    uint32_t subscriptions;
    bool topic_created;
};

struct pending_queue { /* a ring in ticket order */
    struct pending *items;
    uint32_t capacity, start, count; /* capacity: a power of two */
};

/* A topic that this commit appended to. */
struct committed_topic {
    uint32_t topic;
    uint64_t first, last; /* positions */
};

/* --- clock -----------------------------------------------------------------------------------------------------------------------
 */

struct append_clock {
    int64_t offset_ns;      /* clock = boot clock + offset */
    int64_t boot_ns;        /* of the last step */
    int64_t last_append_ns; /* accepted */
    int64_t jump_ns;        /* gap to the wall clock that was recorded and not followed; 0: none */
    int64_t jump_boot_ns;   /* when */
    bool behind;            /* far behind the last entry: appends are refused */
};

/* --- the core
 * ---------------------------------------------------------------------------------------------------------------------- */

struct core {
    struct core_config config;
    struct core_usage usage;
    struct core_now now;
    struct append_clock clock;
    bool started, failed, draining, drained;
    char failure[256];

    struct core_head head;         /* durable */
    struct core_capacity capacity; /* as last reported */
    uint64_t log_bytes_pending;    /* given to the log since, at most */
    uint64_t next_position;        /* accepted */
    uint64_t last_ticket, committed_ticket;
    struct pending_queue pending;
    uint64_t pending_bytes;
    struct publish_place places[BATCHES_TOGETHER_MAX]; /* of the PUBLISH whose parts are being settled */
    uint32_t place_count;

    struct pool topics; /* index = topic id - 1 */
    struct table topics_by_name;
    struct order topics_in_order;
    struct slab names;
    uint32_t durable_topics;           /* that have an entry on disk */
    struct committed_topic *committed; /* owned */
    uint32_t committed_count, committed_capacity;

    struct pool producers;
    struct table producers_by_id, producers_by_name;
    uint32_t producers_opening; /* new ones whose delta is not yet durable */
    uint64_t last_producer_id;
    struct producer *grace_first, *grace_last; /* unnamed ones without a connection, in the order they end */
    struct pool sequences;
    struct table sequences_by_key;

    struct pool connections;
    struct table connections_by_number;
    struct connection *connection_first;
    struct connection *connection_recent;
    uint64_t last_session;

    struct pool readers;
    struct table readers_by_number;
    uint64_t last_reader;
    struct core_reader *readers_gone; /* since the last step: effects of this step may still borrow their specs */
    struct pool watches;
    struct table watches_by_pattern;
    struct watch *pattern_watches; /* those with wildcards */
    size_t miss_bytes;             /* of all watches */

    struct pool subscriptions;         /* index = id - 1; those removed keep their slot */
    struct pattern_tree patterns;      /* of all of them */
    uint32_t subscriptions_generation; /* grows with each that is made or removed; not 0 */
    struct table subscriptions_by_name;
    struct order subscriptions_in_order;                               /* of owner and name */
    uint32_t last_subscription, subscription_count;                    /* an id; how many there are */
    const struct place *answer;                                        /* while a question is asked again: what it was about */
    struct subscription *subscriptions_touched, *subscriptions_shared; /* the latter have a share */
    int64_t shares_due_ns; /* when one of them is to be looked at; append clock; INT64_MAX: never */
    struct pool attachments, settles;
    struct table attachments_by_number;

    int64_t wake_boot_ns; /* told by EFFECT_WAKE_AT; 0: none */
    struct digest_context *digest;
    struct output output;
    uint8_t arena[HEADER_ARENA_BYTES];
};

static inline struct topic *core_topic(const struct core *core, uint32_t index)
{
    return pool_at(&core->topics, index);
}
static inline struct producer *core_producer(const struct core *core, uint32_t index)
{
    return pool_at(&core->producers, index);
}
static inline struct sequence *core_sequence(const struct core *core, uint32_t index)
{
    return pool_at(&core->sequences, index);
}

static inline struct bytes topic_name(const struct topic *topic)
{
    return bytes_of(topic->name, topic->name_size);
}

/* The position below which everything may be shown. */
static inline uint64_t core_visible_position(const struct core *core)
{
    return CANARY_SHOW_ABOVE_HEAD ? core->next_position : core->head.position;
}

/* Hash of a text that comes from outside. */
uint64_t core_hash(const struct core *core, struct bytes text);

/* --- one function per event and per request; the frame's header is decoded by its handler
 * ------------------------------------------- */

void core_on_start(struct core *core, const struct core_event *event);         /* restore.c */
void core_on_connected(struct core *core, const struct core_event *event);     /* connection.c */
void core_on_disconnected(struct core *core, const struct core_event *event);  /* connection.c */
void core_on_publish(struct core *core, const struct core_event *event);       /* publish.c */
void core_on_publish_bad(struct core *core, const struct core_event *event);   /* publish.c */
void core_on_committed(struct core *core, const struct core_event *event);     /* commit.c */
void core_on_log_failed(struct core *core, const struct core_event *event);    /* commit.c */
void core_on_capacity(struct core *core, const struct core_event *event);      /* commit.c */
void core_on_read_resolved(struct core *core, const struct core_event *event); /* reader.c */
void core_on_read_done(struct core *core, const struct core_event *event);     /* reader.c */
void core_on_scanned(struct core *core, const struct core_event *event);       /* deliver.c */
void core_on_fetched(struct core *core, const struct core_event *event);       /* deliver.c */
void core_on_drain(struct core *core);                                         /* drain.c */

void core_request_hello(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_login(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_ping(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_producer_open(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_read(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_credit(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_cancel(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_topics(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_subscription_create(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_subscription_change(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_subscriptions(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_subscribe(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_settle(struct core *core, struct connection *connection, const struct frame *frame);
void core_request_log_info(struct core *core, struct connection *connection, const struct frame *frame);

#endif
