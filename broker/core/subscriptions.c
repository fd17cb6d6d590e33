/* subscriptions.c: SUBSCRIPTIONS: a page of an agency's subscriptions, in byte order of their names. Layer: core. */
#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/subscription.h"
#include "truc/v1/wire.pb-c.h"

enum {
    INFO_BYTES = 300,
    PAGE_SUBSCRIPTIONS_MAX = 100
}; /* a SubscriptionInfo as encoded, besides its texts, at most; and fields of a page */

static size_t info_bytes(const struct subscription_row *row)
{
    return (size_t)INFO_BYTES + row->owner.size + row->name.size + row->pattern.size + row->type.size + row->key.size +
           row->source.size + 4 * row->headers.size;
}

static bool is_of(const struct subscription *subscription, struct bytes owner)
{
    return bytes_equal(subscription->row.owner, owner);
}

void core_request_subscriptions(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Subscriptions *request = request_decode(core, connection, frame, &truc__v1__subscriptions__descriptor);
    Truc__V1__SubscriptionsOk ok = TRUC__V1__SUBSCRIPTIONS_OK__INIT;
    Truc__V1__SubscriptionInfo page[PAGE_SUBSCRIPTIONS_MAX], *pointers[PAGE_SUBSCRIPTIONS_MAX];
    struct order_names names = subscription_order_names(core);
    struct bytes owner = connection_agency(connection), after;
    uint8_t text[AGENCY_BYTES_MAX + 1 + SUBSCRIPTION_NAME_BYTES_MAX];
    size_t limit = PAGE_SUBSCRIPTIONS_MAX, bytes = 0;
    struct order_cursor cursor;
    uint32_t index;

    if (!request)
        return;
    after = bytes_of_text(request->after);
    if (after.size > SUBSCRIPTION_NAME_BYTES_MAX)
        after.size = SUBSCRIPTION_NAME_BYTES_MAX; /* no name is longer, so none is passed over */
    if (request->limit > 0 && request->limit < limit)
        limit = request->limit;
    memcpy(text, owner.data, owner.size);
    text[owner.size] = '\0';
    memcpy(text + owner.size + 1, after.data, after.size);
    cursor = order_after(&core->subscriptions_in_order, &names, bytes_of(text, owner.size + 1 + after.size));
    while (order_next(&core->subscriptions_in_order, &cursor, &index)) {
        struct subscription *subscription = core_subscription(core, index);

        if (!is_of(subscription, owner))
            break;
        if (subscription->change_ticket > core->committed_ticket)
            continue; /* not on disk yet */
        bytes += info_bytes(&subscription->row);
        if (ok.n_subscriptions == limit || bytes > PAGE_BYTES_MAX) {
            ok.more = true;
            break;
        }
        if (!subscription_describe(core, subscription, &page[ok.n_subscriptions])) {
            connection_close(core, connection);
            return;
        }
        pointers[ok.n_subscriptions] = &page[ok.n_subscriptions];
        ok.n_subscriptions++;
    }
    ok.subscriptions = pointers;
    answer_message(core, connection, FRAME_SUBSCRIPTIONS_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
}
