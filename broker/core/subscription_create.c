/* subscription_create.c: SUBSCRIPTION_CREATE: a new subscription of the agency that asks. Layer: core. */
#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/clock.h"
#include "broker/core/connection.h"
#include "broker/core/pending.h"
#include "broker/core/subscription.h"
#include "broker/core/subscription_answer.h"
#include "proto/utf8.h"
#include "truc/v1/wire.pb-c.h"

/* A request under examination. Everything is borrowed from the decoded message. */
struct wish {
    struct core *core;
    struct connection *connection;
    uint64_t request_id;
    const Truc__V1__SubscriptionCreate *create;
    struct subscription_row row;
    struct place place;
    uint8_t headers[SUBSCRIPTION_HEADERS_BYTES_MAX];
};

static bool refuse(const struct wish *wish, truc_status status, const char *text)
{
    answer_error(wish->core, wish->connection, wish->request_id, refusal_of(status), "%s", text);
    return false;
}

static bool check_name(struct wish *wish)
{
    struct subscription_row *row = &wish->row;
    const char *why = "";

    row->owner = connection_agency(wish->connection);
    row->name = bytes_of_text(wish->create->name);
    if (!subscription_name_is_valid(row->name))
        return refuse(wish, TRUC_INVALID_ARGUMENT, SUBSCRIPTION_NAME_TEXT);
    row->pattern = bytes_of_text(wish->create->pattern);
    if (pattern_check(row->pattern, &why) == TRUC_OK)
        return true;
    answer_error(wish->core, wish->connection, wish->request_id, refusal_of(TRUC_BAD_PATTERN),
                 "the pattern is not valid (%s); `*` stands for one token, `>` or `**` only at the end", why);
    return false;
}

static bool keep_headers(struct wish *wish)
{
    size_t used = 0;

    for (size_t i = 0; i < wish->create->n_headers; i++) {
        struct bytes name = bytes_of_text(wish->create->headers[i]->name);
        struct bytes value = bytes_of(wish->create->headers[i]->value.data, wish->create->headers[i]->value.len);

        if (name.size == 0 || used + name.size + value.size + 2 > sizeof wish->headers)
            return refuse(wish, TRUC_INVALID_ARGUMENT, "the filter's headers have no name, or more than 512 bytes together");
        if (value.size > 0 && (memchr(value.data, 0, value.size) || !utf8_valid(value)))
            return refuse(wish, TRUC_INVALID_ARGUMENT, "a header's value in the filter is not a text; filter by texts only");
        memcpy(wish->headers + used, name.data, name.size + 1);
        used += name.size + 1;
        if (value.size > 0)
            memcpy(wish->headers + used, value.data, value.size);
        used += value.size;
        wish->headers[used++] = '\0';
    }
    wish->row.headers = bytes_of(wish->headers, used);
    return true;
}

static bool check_filter(struct wish *wish)
{
    const Truc__V1__SubscriptionCreate *create = wish->create;
    struct subscription_row *row = &wish->row;
    struct bytes source = bytes_of_text(create->source), agency, system;

    row->key = bytes_of(create->key.data, create->key.len);
    row->type = bytes_of(create->type.data, create->type.len);
    row->source = source;
    if (row->key.size > RECORD_KEY_BYTES_MAX || row->type.size > RECORD_TYPE_BYTES_MAX)
        return refuse(wish, TRUC_INVALID_ARGUMENT, "key or type is longer than 255 bytes; no record has such a one");
    if (source.size > 0 && source_filter_split(source, &agency, &system, NULL) != TRUC_OK)
        return refuse(wish, TRUC_BAD_SOURCE,
                      "the source to filter by is not valid; write AGENCY or AGENCY/SYSTEM, for example H26.16/portal");
    return keep_headers(wish);
}

static bool check_limits(struct wish *wish)
{
    const Truc__V1__SubscriptionCreate *create = wish->create;
    struct subscription_row *row = &wish->row;
    bool asked = create->ack_wait_ms != 0 || create->attempts_max != 0 || create->in_flight_max != 0 || create->n_backoff_ms != 0;

    row->mode = create->mode == TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED ? SUBSCRIPTION_ORDERED : SUBSCRIPTION_SHARED;
    if ((unsigned)create->mode > TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED)
        return refuse(wish, TRUC_INVALID_ARGUMENT, "there is no such mode of a subscription; it is ordered or shared");
    if (row->mode == SUBSCRIPTION_ORDERED)
        return !asked || refuse(wish, TRUC_INVALID_ARGUMENT,
                                "ack wait, attempts, in flight and back-off belong to shared subscriptions; leave them out");
    row->ack_wait_ms = create->ack_wait_ms ? create->ack_wait_ms : ACK_WAIT_DEFAULT_MS;
    row->attempts_max = create->attempts_max == UINT32_MAX ? 0 : create->attempts_max ? create->attempts_max : ATTEMPTS_DEFAULT;
    row->in_flight_max = create->in_flight_max ? create->in_flight_max : IN_FLIGHT_DEFAULT;
    if (row->ack_wait_ms > ACK_WAIT_MAX_MS || row->in_flight_max > IN_FLIGHT_MAX ||
        create->n_backoff_ms > SUBSCRIPTION_BACKOFFS_MAX)
        return refuse(wish, TRUC_INVALID_ARGUMENT,
                      "ack wait is at most a day, in flight at most 100,000, and a back-off list has at most 8 delays");
    for (size_t i = 0; i < create->n_backoff_ms; i++) {
        if (create->backoff_ms[i] > BACKOFF_MAX_MS)
            return refuse(wish, TRUC_INVALID_ARGUMENT, "a delay of the back-off list is longer than 7 days");
        row->backoff_ms[i] = create->backoff_ms[i];
    }
    row->backoff_count = (uint32_t)create->n_backoff_ms;
    return true;
}

/* The same definition again is no error: whoever sets a system up may do so twice. */
static bool same_definition(const struct subscription_row *a, const struct subscription_row *b)
{
    return a->mode == b->mode && bytes_equal(a->pattern, b->pattern) && bytes_equal(a->type, b->type) &&
           bytes_equal(a->key, b->key) && bytes_equal(a->source, b->source) && bytes_equal(a->headers, b->headers) &&
           a->ack_wait_ms == b->ack_wait_ms && a->attempts_max == b->attempts_max && a->in_flight_max == b->in_flight_max &&
           a->backoff_count == b->backoff_count &&
           (a->backoff_count == 0 || memcmp(a->backoff_ms, b->backoff_ms, a->backoff_count * sizeof a->backoff_ms[0]) == 0);
}

static void answer_existing(struct wish *wish, struct subscription *subscription)
{
    if (!same_definition(&subscription->row, &wish->row)) {
        (void)refuse(wish, TRUC_EXISTS,
                     "there is a subscription of that name with another definition; remove it first, or take another name");
        return;
    }
    subscription_answer_later(wish->core, wish->connection, wish->request_id, subscription, PENDING_SUBSCRIPTION);
}

static void create(struct wish *wish)
{
    struct core *core = wish->core;
    struct subscription *subscription;

    if (core->subscription_count >= core->config.subscriptions_max) {
        answer_error(core, wish->connection, wish->request_id, refusal_of(TRUC_QUOTA_EXCEEDED),
                     "there are %u subscriptions, the most allowed; raise subscriptions_max in the broker's configuration",
                     core->subscription_count);
        return;
    }
    wish->row.subscription_id = core->last_subscription + 1;
    wish->row.created_ns = clock_now(core);
    if (!subscription_can_change(core, wish->connection, wish->request_id))
        return;
    subscription = subscription_add(core, &wish->row, wish->place);
    if (!subscription) {
        (void)refuse(wish, TRUC_NO_MEMORY, "the broker has no memory for another subscription; retry later");
        return;
    }
    if (!subscription_save(core, subscription, true)) {
        subscription_destroy(core, subscription);
        (void)refuse(wish, TRUC_NO_MEMORY, "the broker has no memory for another subscription; retry later");
        return;
    }
    subscription_answer_later(core, wish->connection, wish->request_id, subscription, PENDING_SUBSCRIPTION);
}

void core_request_subscription_create(struct core *core, struct connection *connection, const struct frame *frame)
{
    struct wish wish = {.core = core, .connection = connection, .request_id = frame->request_id};
    struct subscription *existing;

    wish.create = request_decode(core, connection, frame, &truc__v1__subscription_create__descriptor);
    if (!wish.create || !check_name(&wish) || !check_filter(&wish) || !check_limits(&wish) ||
        !subscription_bound(core, connection, frame, wish.row.pattern, wish.create->start, true, &wish.place))
        return;
    existing = subscription_find(core, wish.row.owner, wish.row.name);
    if (existing)
        answer_existing(&wish, existing);
    else
        create(&wish);
}
