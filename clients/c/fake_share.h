/* fake_share.h: the subscriptions of the fake broker: leases records, settles them, and does it wrong on demand.
 *
 * Test support; under the fake broker's lock. One session at a time takes part in one subscription. A record is in exactly one of
 * the states below, so a client that loses or doubles one shows. */
#ifndef TRUC_CLIENT_FAKE_SHARE_H
#define TRUC_CLIENT_FAKE_SHARE_H

#include "proto/frame.h"

enum { FAKE_SUBSCRIPTIONS_MAX = 8, FAKE_KEYS_MAX = 64 };

enum fake_record_state { FAKE_FREE, FAKE_LEASED, FAKE_DONE, FAKE_DEAD };

struct fake_record {
    uint64_t position, lease;
    uint32_t index, attempts;
    uint32_t key; /* number of its key, from 1; 0: none */
    enum fake_record_state state;
};

/* What is wrong with the DELIVER frame number harm_at. */
enum fake_harm {
    HARM_NONE,
    HARM_INDEX_BEYOND,
    HARM_INDEX_ORDER,
    HARM_INDEX_COUNT,
    HARM_INDEX_OTHER, /* of a part: other indexes than its records have */
    HARM_LEASE_BACK,
    HARM_ENTRY_MISSING, /* one entry more is announced than there are */
    HARM_ENTRY_MORE,    /* one less */
    HARM_ATTEMPTS,
    HARM_CREDIT, /* everything at once, whatever the credit */
    HARM_BYTES,  /* a flipped bit */
    HARM_TOPIC,  /* an entry of a topic that was not subscribed to */
    HARM_COUNT
};

struct fake_subscription {
    char name[SUBSCRIPTION_NAME_BYTES_MAX + 1], pattern[TOPIC_BYTES_MAX + 1];
    bool ordered, paused;
    int64_t created_ns;
    uint64_t position; /* ordered: acknowledged below it; shared: looked at below it */
    struct fake_record *records;
    size_t record_count, record_capacity;
    uint64_t keys[FAKE_KEYS_MAX]; /* hashes, in the order in which they came */
    uint32_t key_count;
    uint8_t *created; /* the header of SUBSCRIPTION_CREATE */
    size_t created_size;
};

struct fake_share {
    /* knobs */
    uint32_t every;           /* only records whose index is a multiple of it are wanted; 0: all */
    uint32_t records_at_once; /* of a DELIVER; 0: 64 */
    enum fake_harm harm;
    uint64_t harm_at;
    uint64_t recalled_position; /* records of this entry are told as recalled */
    const char *recalled_by;    /* by this agency; NULL: none is */
    /* what came */
    uint64_t delivers, cuts, settles, settlements, settled, extended, returned, rejected, stale, credits, cancels, returned_late,
        expired;
    struct fake_subscription subscriptions[FAKE_SUBSCRIPTIONS_MAX];
    size_t count;
    int64_t clock_ns;
    /* the session's */
    uint64_t subscribe_id, sent_position, next_lease;
    uint32_t key_run;
    struct fake_subscription *taken;
    int64_t credit;
    struct cutter *cutter;
};

struct fake_broker;

/* False: no frame of subscriptions. deed: an enum fake_deed. */
bool fake_share_handle(struct fake_broker *broker, unsigned deed, const struct frame *frame);
void fake_share_serve(struct fake_broker *broker);
void fake_share_credit(struct fake_broker *broker, uint64_t id, uint64_t more);
void fake_share_cancel(struct fake_broker *broker, uint64_t id);
void fake_share_connected(struct fake_broker *broker); /* anew: what was leased is free */
void fake_share_fini(struct fake_share *share);

/* All leases lapse. */
void fake_share_lapse(struct fake_broker *broker);
size_t fake_share_count(const struct fake_broker *broker, enum fake_record_state state);

#endif
