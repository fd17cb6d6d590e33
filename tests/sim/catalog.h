/* catalog.h: the rows that the durable part of the log adds up to, derived from deltas and entries in the simplest way; what a core
 * is restored from, and what the invariants believe. Layer: test of core. */
#ifndef TRUC_TESTS_SIM_CATALOG_H
#define TRUC_TESTS_SIM_CATALOG_H

#include "broker/core/core.h"
#include "sim.h"

enum { CATALOG_TEXT_BYTES = 512 };

struct catalog_topic {
    struct topic_row row;
    char name[TOPIC_BYTES_MAX + 1];
};

struct catalog_producer {
    struct producer_row row;
    bool there;
    char scope[SOURCE_BYTES_MAX + 1], name[PRODUCER_NAME_BYTES_MAX + 1];
};

struct catalog_subscription {
    struct subscription_row row;
    bool there;
    uint8_t text[CATALOG_TEXT_BYTES]; /* the row's texts */
    struct cursor_row cursor;
    struct lane_row *lanes; /* owned, in no order */
    size_t lane_count, lane_capacity;
};

void catalog_begin(void);
void catalog_end(void);

/* They are durable from now on. */
void catalog_delta(const struct delta *delta);
void catalog_entry(const struct core_append *append, size_t batch_bytes);

void catalog_restore(struct core *core);

struct catalog_topic *catalog_topic(uint32_t id); /* NULL: not durable */
uint32_t catalog_topics(void);
struct catalog_producer *catalog_producer(uint64_t id); /* NULL: there is none, or it has ended */
uint64_t catalog_next_sequence(uint64_t producer_id, uint32_t topic_id);
struct catalog_subscription *catalog_subscription(uint32_t id); /* NULL: there is none, or it was removed */
struct catalog_subscription *catalog_find(struct bytes owner, struct bytes name);
/* The row of a key, or of a record without one, or aside, at this place; NULL. */
const struct lane_row *catalog_lane(const struct catalog_subscription *subscription, uint64_t key, bool aside, struct place place);

/* A copy of a definition whose texts are in `text` (CATALOG_TEXT_BYTES). */
void subscription_row_copy(struct subscription_row *ret_row, const struct subscription_row *row, uint8_t *text);

static inline bool place_is_before(struct place a, struct place b)
{
    return a.position != b.position ? a.position < b.position : a.index < b.index;
}

#endif
