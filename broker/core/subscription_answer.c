#include "subscription_answer.h"

#include "broker/core/answer.h"
#include "broker/core/clock.h"
#include "broker/core/connection.h"
#include "broker/core/pending.h"
#include "truc/v1/wire.pb-c.h"

bool subscription_name_is_valid(struct bytes name)
{
    return name.size <= SUBSCRIPTION_NAME_BYTES_MAX && topic_check(name, NULL) == TRUC_OK && !memchr(name.data, '.', name.size);
}

struct subscription *subscription_named(struct core *core, struct connection *connection, uint64_t request_id, const char *name)
{
    struct bytes wanted = bytes_of_text(name);
    struct subscription *subscription = NULL;

    if (!subscription_name_is_valid(wanted)) {
        answer_error(core, connection, request_id, refusal_of(TRUC_INVALID_ARGUMENT), "%s", SUBSCRIPTION_NAME_TEXT);
        return NULL;
    }
    subscription = subscription_find(core, connection_agency(connection), wanted);
    if (!subscription)
        answer_error(core, connection, request_id, refusal_of(TRUC_NOT_FOUND),
                     "agency %.*s has no subscription %s; `truc subscription ls` lists them", (int)connection->agency_size,
                     (const char *)connection->scope, name);
    return subscription;
}

bool subscription_can_change(struct core *core, struct connection *connection, uint64_t request_id)
{
    if (core->failed)
        answer_error(core, connection, request_id, refusal_retry(TRUC_STOPPED, RETRY_STATE_MS),
                     "the log failed (%s); trucd exits, ask again when it is back", core->failure);
    else if (core->draining)
        answer_error(core, connection, request_id, refusal_retry(TRUC_DRAINING, RETRY_STATE_MS),
                     "the broker is shutting down; ask again when it is back");
    else if (core->capacity.full || !pending_log_has_room(core, 2 * DELTA_BYTES_MAX))
        answer_error(core, connection, request_id, refusal_retry(TRUC_DISK_FULL, RETRY_STATE_MS),
                     "the log's disk has no room; free space on the data directory's disk, the broker goes on by itself");
    else if (!pending_has_room(core, 2 * PENDING_OVERHEAD))
        answer_error(core, connection, request_id, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                     "too much waits for the disk; retry after the time given");
    else
        return true;
    return false;
}

bool subscription_save(struct core *core, struct subscription *subscription, bool cursor)
{
    struct delta definition = {.kind = DELTA_SUBSCRIPTION, .subscription = subscription->row};
    struct delta place = {.kind = DELTA_CURSOR,
                          .cursor = {.subscription_id = subscription->row.subscription_id,
                                     .place = subscription->place,
                                     .acknowledged = subscription->acknowledged,
                                     .dead = subscription->dead,
                                     .expired = subscription->expired}};

    if (!pending_reserve(core, 2) || !output_reserve(&core->output, 2) || !pending_delta(core, &definition, true))
        return false;
    if (cursor && !pending_delta(core, &place, true))
        return false;
    subscription->change_ticket = core->last_ticket;
    return true;
}

void subscription_answer(struct core *core, struct connection *connection, uint64_t request_id, struct subscription *subscription)
{
    Truc__V1__SubscriptionOk ok = TRUC__V1__SUBSCRIPTION_OK__INIT;
    Truc__V1__SubscriptionInfo info;

    if (subscription && subscription->text) { /* else it is gone again */
        if (!subscription_describe(core, subscription, &info)) {
            connection_close(core, connection);
            return;
        }
        ok.info = &info;
    }
    answer_message(core, connection, FRAME_SUBSCRIPTION_OK, request_id, &ok.base, bytes_of(NULL, 0));
}

void subscription_answer_later(struct core *core, struct connection *connection, uint64_t request_id,
                               struct subscription *subscription, enum pending_kind kind)
{
    if (core->failed) { /* nothing waits any more, but what was accepted last is not on disk */
        answer_error(core, connection, request_id, refusal_retry(TRUC_STOPPED, RETRY_STATE_MS),
                     "the log failed (%s); trucd exits, ask again when it is back", core->failure);
        return;
    }
    if (core->pending.count == 0) {
        subscription_answer(core, connection, request_id, kind == PENDING_REMOVAL ? NULL : subscription);
        return;
    }
    if (!pending_reserve(core, 1)) {
        connection_close(core, connection);
        return;
    }
    pending_add(core, &(struct pending){.ticket = core->last_ticket,
                                        .kind = (uint8_t)kind,
                                        .connection = connection->number,
                                        .connection_index = connection->index,
                                        .request_id = request_id,
                                        .subject = kind == PENDING_REMOVAL ? 0 : subscription->index,
                                        .memory_bytes = PENDING_OVERHEAD});
}
