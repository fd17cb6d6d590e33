/* subscription_change.c: SUBSCRIPTION_CHANGE: pause, resume, reset, remove, or only look. Layer: core. */
#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/lag.h"
#include "broker/core/pending.h"
#include "broker/core/subscription_answer.h"
#include "truc/v1/wire.pb-c.h"

static bool set_paused(struct core *core, struct subscription *subscription, bool paused)
{
    if (subscription->row.paused == paused)
        return true;
    subscription->row.paused = paused;
    if (!subscription_save(core, subscription, false)) {
        subscription->row.paused = !paused;
        return false;
    }
    if (paused)
        attachment_pause_all(core, subscription);
    else
        attachment_activate(core, subscription);
    return true;
}

/* Everything begins anew at the place: to the log, lanes and all, it is removed and another one made. */
static struct subscription *reset(struct core *core, struct subscription *subscription, struct place place)
{
    struct delta end = {.kind = DELTA_SUBSCRIPTION_END, .subscription_end = subscription->row.subscription_id};

    if (!pending_reserve(core, 3) || !output_reserve(&core->output, 3) || !pending_delta(core, &end, false))
        return NULL;
    attachment_stop_all(core, subscription, TRUC_CANCELLED, "the subscription was reset; subscribe again");
    subscription = subscription_renew(core, subscription, place);
    if (subscription && subscription_save(core, subscription, true))
        return subscription;
    core_on_log_failed(core, &(struct core_event){.status = TRUC_NO_MEMORY, .why = "no memory to reset a subscription"});
    return NULL;
}

static bool remove_it(struct core *core, struct subscription *subscription)
{
    struct delta delta = {.kind = DELTA_SUBSCRIPTION_END, .subscription_end = subscription->row.subscription_id};

    if (!pending_delta(core, &delta, false))
        return false;
    attachment_stop_all(core, subscription, TRUC_NOT_FOUND, "the subscription was removed");
    subscription_destroy(core, subscription);
    return true;
}

void core_request_subscription_change(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__SubscriptionChange *change =
        request_decode(core, connection, frame, &truc__v1__subscription_change__descriptor);
    enum pending_kind kind = PENDING_SUBSCRIPTION;
    struct subscription *subscription;
    struct place place;
    bool done = true;

    if (!change)
        return;
    subscription = subscription_named(core, connection, frame->request_id, change->name);
    if (!subscription)
        return;
    if (change->action != TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_UNSPECIFIED &&
        !subscription_can_change(core, connection, frame->request_id))
        return;
    switch (change->action) {
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_UNSPECIFIED:
        lag_request(core, connection, frame->request_id, subscription);
        return;
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_PAUSE:
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESUME:
        done = set_paused(core, subscription, change->action == TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_PAUSE);
        break;
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET:
        if (!subscription_bound(core, connection, frame, subscription->row.pattern, change->place, false, &place))
            return;
        subscription = reset(core, subscription, place);
        done = subscription != NULL;
        break;
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE:
        kind = PENDING_REMOVAL;
        done = remove_it(core, subscription);
        break;
    default:
        answer_error(core, connection, frame->request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                     "there is no such action on a subscription; upgrade the broker, or see docs/protocol.md");
        return;
    }
    if (done)
        subscription_answer_later(core, connection, frame->request_id, subscription, kind);
    else
        answer_error(core, connection, frame->request_id, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                     "the broker has no memory for this change; retry after the time given");
}
