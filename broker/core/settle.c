/* settle.c: SETTLE: what workers say of their leases, and what an ordered subscriber has taken in. Layer: core. */
#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/clock.h"
#include "broker/core/connection.h"
#include "broker/core/pending.h"
#include "broker/core/subscription.h"
#include "truc/v1/wire.pb-c.h"

#define MS INT64_C(1000000)

void settle_fini(struct settle *settle)
{
    free(settle->stale);
}

void settle_forget(struct core *core, uint32_t index)
{
    struct settle *settle = pool_at(&core->settles, index);

    settle_fini(settle);
    pool_give(&core->settles, index);
}

void settle_answer(struct core *core, uint32_t index)
{
    struct settle *settle = pool_at(&core->settles, index);
    struct pending of = {.connection = settle->connection, .connection_index = settle->connection_index};
    struct connection *connection = connection_of_pending(core, &of);
    Truc__V1__SettleOk ok = TRUC__V1__SETTLE_OK__INIT;
    Truc__V1__Settlement messages[SETTLEMENTS_MAX], *pointers[SETTLEMENTS_MAX];

    if (!connection)
        return;
    for (uint32_t i = 0; i < settle->stale_count; i++) {
        truc__v1__settlement__init(&messages[i]);
        messages[i].first = settle->stale[i].first;
        messages[i].count = settle->stale[i].count;
        pointers[i] = &messages[i];
    }
    ok.stale = pointers;
    ok.n_stale = settle->stale_count;
    answer_message(core, connection, FRAME_SETTLE_OK, settle->request_id, &ok.base, bytes_of(NULL, 0));
}

bool settle_pend(struct core *core, struct subscription *subscription)
{
    while (subscription->settles) {
        struct settle *settle = subscription->settles;

        if (core->pending.count > 0 && !CANARY_SETTLE_BEFORE_COMMIT) {
            if (!pending_reserve(core, 1))
                return false;
            pending_add(core, &(struct pending){.ticket = core->last_ticket,
                                                .kind = PENDING_SETTLE,
                                                .subject = settle->index,
                                                .memory_bytes = PENDING_OVERHEAD});
        }
        subscription->settles = settle->next;
        if (core->pending.count == 0 || CANARY_SETTLE_BEFORE_COMMIT) {
            settle_answer(core, settle->index);
            settle_forget(core, settle->index);
        }
    }
    return true;
}

void settle_refuse_all(struct core *core, struct subscription *subscription, truc_status status, const char *why)
{
    while (subscription->settles) {
        struct settle *settle = subscription->settles;
        struct pending of = {.connection = settle->connection, .connection_index = settle->connection_index};
        struct connection *connection = connection_of_pending(core, &of);

        subscription->settles = settle->next;
        if (connection)
            answer_error(core, connection, settle->request_id, refusal_of(status), "%s", why);
        settle_forget(core, settle->index);
    }
}

static struct settle *create(struct core *core, struct connection *connection, uint64_t request_id)
{
    struct settle *settle;
    uint32_t index;

    settle = pool_take(&core->settles, &index);
    if (!settle)
        return NULL;
    settle->index = index;
    settle->connection = connection->number;
    settle->connection_index = connection->index;
    settle->request_id = request_id;
    return settle;
}

/* --- shared ----------------------------------------------------------------------------------------------------------------------
 */

static const enum share_outcome outcomes[] = {
    [TRUC__V1__OUTCOME__OUTCOME_ACK] = SHARE_ACK,       [TRUC__V1__OUTCOME__OUTCOME_NACK] = SHARE_NACK,
    [TRUC__V1__OUTCOME__OUTCOME_REJECT] = SHARE_REJECT, [TRUC__V1__OUTCOME__OUTCOME_EXTEND] = SHARE_EXTEND,
    [TRUC__V1__OUTCOME__OUTCOME_RETURN] = SHARE_RETURN,
};

/* Leases that follow one another in being stale are told as one. Of more ranges than a SETTLE_OK holds the last one grows: a client
 * then believes of some more that they are lost, which come again or were settled. False when out of memory. */
static bool add_stale(struct settle *settle, uint64_t lease)
{
    struct settle_range *last = settle->stale_count > 0 ? &settle->stale[settle->stale_count - 1] : NULL;

    if (!settle->stale)
        settle->stale = calloc(SETTLEMENTS_MAX, sizeof *settle->stale);
    if (!settle->stale)
        return false;
    if (last && (last->first + last->count == lease || settle->stale_count == SETTLEMENTS_MAX))
        last->count = (uint32_t)(lease - last->first + 1);
    else
        settle->stale[settle->stale_count++] = (struct settle_range){lease, 1};
    return true;
}

static bool settle_range(struct core *core, struct attachment *attachment, const Truc__V1__Settlement *settlement,
                         struct settle *settle)
{
    uint32_t count = settlement->count == 0 ? 1 : settlement->count;

    for (uint32_t i = 0; i < count; i++) {
        if (!share_settle(attachment->subscription->share, attachment->number, settlement->first + i, outcomes[settlement->outcome],
                          settlement->delay_ms * MS, clock_now(core)) &&
            !add_stale(settle, settlement->first + i))
            return false;
    }
    return true;
}

static bool check(struct core *core, struct connection *connection, uint64_t request_id, const Truc__V1__Settle *request)
{
    uint64_t leases = 0;

    for (size_t i = 0; i < request->n_settlements; i++) {
        const Truc__V1__Settlement *settlement = request->settlements[i];

        leases += settlement->count;
        if (settlement->outcome >= TRUC__V1__OUTCOME__OUTCOME_ACK && settlement->outcome <= TRUC__V1__OUTCOME__OUTCOME_RETURN &&
            settlement->delay_ms <= BACKOFF_MAX_MS && leases <= CREDIT_RECORDS_MAX)
            continue;
        answer_error(core, connection, request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                     "settlement %zu has no known outcome, a delay beyond 7 days, or more leases than a worker may hold", i);
        return false;
    }
    if (request->n_settlements > 0 && request->n_settlements <= SETTLEMENTS_MAX)
        return true;
    answer_error(core, connection, request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                 "a SETTLE holds 1 to %d settlements; send the others in a frame of their own", SETTLEMENTS_MAX);
    return false;
}

static void settle_shared(struct core *core, struct attachment *attachment, uint64_t request_id, const Truc__V1__Settle *request)
{
    struct subscription *subscription = attachment->subscription;
    struct settle *settle = create(core, attachment->connection, request_id);

    if (!settle) {
        answer_error(core, attachment->connection, request_id, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                     "the broker has no memory for this; retry after the time given");
        return;
    }
    subscription_touch(core, subscription);
    for (size_t i = 0; i < request->n_settlements; i++) {
        if (settle_range(core, attachment, request->settlements[i], settle))
            continue;
        settle_forget(core, settle->index); /* what it could not be told of it learns by doing it again */
        connection_close(core, attachment->connection);
        return;
    }
    if (subscription->settles)
        subscription->settles_last->next = settle;
    else
        subscription->settles = settle;
    subscription->settles_last = settle;
}

/* --- ordered ---------------------------------------------------------------------------------------------------------------------
 */

/* What it says has expired, at most as many records as there can be up to the position. */
static uint64_t expired_within(const struct subscription *subscription, uint64_t position, uint64_t expired)
{
    uint64_t entries = position > subscription->place.position ? position - subscription->place.position : 0;

    return expired / BATCH_RECORDS_MAX < entries ? expired : entries * BATCH_RECORDS_MAX;
}

static void settle_ordered(struct core *core, struct attachment *attachment, uint64_t request_id, const Truc__V1__Settle *request)
{
    struct subscription *subscription = attachment->subscription;
    uint64_t position = request->settlements[request->n_settlements - 1]->first;
    struct delta delta = {.kind = DELTA_CURSOR,
                          .cursor = {.subscription_id = subscription->row.subscription_id, .place = {.position = position}}};
    struct settle *settle;

    delta.cursor.expired = subscription->expired + expired_within(subscription, position, request->expired);

    if (!attachment->reader || position > attachment->reader->position) {
        answer_error(core, attachment->connection, request_id, refusal_actual(TRUC_OUT_OF_RANGE, subscription->place.position),
                     "only the active subscriber acknowledges, and at most what it was sent; acknowledged is what lies below %llu",
                     (unsigned long long)subscription->place.position);
        return;
    }
    if (core->failed) { /* also of what was acknowledged before: it may not have come to the disk */
        answer_error(core, attachment->connection, request_id, refusal_retry(TRUC_STOPPED, RETRY_STATE_MS),
                     "the log failed (%s); trucd exits, acknowledge again when it is back", core->failure);
        return;
    }
    settle = create(core, attachment->connection, request_id);
    if (!settle || (position > subscription->place.position && !pending_delta(core, &delta, false))) {
        if (settle)
            settle_forget(core, settle->index);
        answer_error(core, attachment->connection, request_id, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                     "the log takes nothing now; retry after the time given");
        return;
    }
    if (position > subscription->place.position) {
        subscription->place.position = position;
        subscription->expired = delta.cursor.expired;
        core->resolutions++;
    }
    settle->next = subscription->settles;
    subscription->settles = settle;
    if (!settle_pend(core, subscription))
        settle_refuse_all(core, subscription, TRUC_BUSY, "no memory; the position may be acknowledged again");
}

void core_request_settle(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Settle *request = request_decode(core, connection, frame, &truc__v1__settle__descriptor);
    struct attachment *attachment;

    if (!request || !check(core, connection, frame->request_id, request))
        return;
    attachment = attachment_find(connection, request->subscribe_id);
    if (!attachment) {
        answer_error(core, connection, frame->request_id, refusal_of(TRUC_NOT_FOUND),
                     "this session does not take part in that subscription any more; subscribe again, what it held comes again");
        return;
    }
    if (attachment->subscription->row.mode == SUBSCRIPTION_SHARED)
        settle_shared(core, attachment, frame->request_id, request);
    else
        settle_ordered(core, attachment, frame->request_id, request);
}
