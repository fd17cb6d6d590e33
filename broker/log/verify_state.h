/* verify_state.h: what a check of a log remembers of the blocks before: topics, producers, sequences, subscriptions. Layer: log,
 * inside. One thread. */
#ifndef TRUC_LOG_VERIFY_STATE_H
#define TRUC_LOG_VERIFY_STATE_H

#include "broker/log/block.h"

struct seen_topic {
    uint8_t name[TOPIC_BYTES_MAX];
    uint8_t name_size, evidence;
    bool has_leaf;
    uint64_t next_offset;
    uint8_t last_leaf[DIGEST_BYTES];
};

struct seen_producer {
    uint64_t producer_id;
    uint32_t epoch;
    bool ended;
};

struct seen_subscription {
    uint8_t mode;
    bool ended;
};

struct seen_sequence {
    uint64_t producer_id; /* 0: a free bucket */
    uint32_t topic_id;
    uint64_t next_sequence;
};

struct seen {
    uint64_t position;         /* entries of the blocks before the one that is looked at */
    struct seen_topic *topics; /* by id - 1 */
    size_t topic_count, topic_capacity;
    struct seen_producer *producers; /* by id - 1 */
    size_t producer_count, producer_capacity;
    struct seen_subscription *subscriptions; /* by id - 1 */
    size_t subscription_count, subscription_capacity;
    struct seen_sequence *sequences; /* buckets by hash, a power of two of them */
    size_t sequence_count, sequence_capacity;
};

void seen_fini(struct seen *seen);

/* Notes a delta. TRUC_DAMAGED with *ret_why when it does not follow what was seen. TRUC_NO_MEMORY. */
truc_status seen_delta(struct seen *seen, const struct delta *delta, const char **ret_why);

/* NULL when it was not created. */
struct seen_topic *seen_topic(struct seen *seen, uint32_t topic_id);

/* Checks producer, epoch and sequence of an entry, and counts it in. Ids may be 0 for nobody's. */
truc_status seen_entry(struct seen *seen, const struct entry_fields *fields, const char **ret_why);

#endif
