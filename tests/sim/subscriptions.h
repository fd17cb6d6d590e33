/* subscriptions.h: the subscriptions as their deltas tell, and who takes part in them as the frames tell. Layer: test of core. */
#ifndef TRUC_TESTS_SIM_SUBSCRIPTIONS_H
#define TRUC_TESTS_SIM_SUBSCRIPTIONS_H

#include "catalog.h"
#include "network.h"
#include "store.h"

enum { GRANT_MAX = 256 };

struct attachment {
    uint64_t connection, request_id;
    struct sub *sub;
    struct attachment *next; /* in the order they came */
    bool confirmed;          /* SUBSCRIBE_OK was sent */
    /* shared */
    uint64_t fetch;  /* the core's reader; 0: not yet known */
    uint64_t credit; /* records it may be given */
    uint32_t run_max;
    uint32_t granted_count, granted_done;
    uint32_t sent_first, sent_count; /* of those granted: what is delivered in this step */
    bool rest_due;                   /* the next fetch is for those that were granted and not delivered */
    uint32_t granted[GRANT_MAX], attempts[GRANT_MAX];
    uint64_t grants[GRANT_MAX]; /* number of each grant */
};

struct record_state;
struct change;

struct sub {
    struct subscription_row row;
    uint8_t text[CATALOG_TEXT_BYTES];
    bool there;   /* accepted and not removed */
    bool started; /* its first cursor has come */
    struct place start, place;
    struct store_filter filter;
    struct attachment *attachments;
    /* shared: share_model.h */
    struct record_state *states; /* by number of the record; owned */
    size_t state_count, state_capacity, open_count;
    uint32_t *leased; /* records; owned */
    size_t leased_count, leased_capacity;
    uint32_t open_from[KEYS_MAX + 1]; /* in the list of its key */
    uint32_t undone;                  /* records below it are resolved, or have expired */
    uint64_t acknowledged, dead, change_count, durable_change;
    struct change *changes; /* not yet durable; owned */
    size_t change_first, change_end, change_capacity;
    size_t change_saved; /* those before it are in a save */
    /* ordered */
    uint64_t confirmed; /* position */
};

void subscriptions_begin(void);
void subscriptions_end(void);

struct sub *sub_at(uint32_t id);                              /* NULL: never heard of, or long gone */
struct sub *sub_named(struct bytes owner, struct bytes name); /* that is there; NULL */
uint32_t sub_first(void);                                     /* ids: from this one ... */
uint32_t sub_last(void);                                      /* ... to this one */

void subscriptions_delta(uint64_t ticket, const struct delta *delta);
void subscriptions_durable(void);
void subscriptions_crash(void);

struct attachment *attachment_of(uint64_t connection, uint64_t request_id);
struct attachment *attachment_fetching(uint64_t reader);
void subscriptions_subscribe(struct connection *connection, uint64_t request_id, const Truc__V1__Subscribe *subscribe);
void subscriptions_subscribed(struct connection *connection, uint64_t request_id);
void subscriptions_fetch_open(uint64_t reader);
void subscriptions_stepped(void); /* those who were not confirmed do not take part */
/* One leaves; counted: what it held failed. */
void attachment_leaves(struct attachment *attachment, bool counted);
void subscriptions_left(uint64_t connection);

#endif
