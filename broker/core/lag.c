#include "lag.h"

#include "broker/core/connection.h"
#include "broker/core/inquiry.h"
#include "truc/v1/wire.pb-c.h"

enum { SOURCES_MAX = 100 };

struct lag {
    struct inquiry inquiry;
    uint32_t subscription; /* its index */
    struct place place;
};

/* Who is connected, each source once. */
static bool tell_sources(struct core *core, const struct subscription *subscription, Truc__V1__SubscriptionInfo *info)
{
    char **sources = slab_take(&core->output.slab, SOURCES_MAX * sizeof *sources);
    size_t count = 0;

    if (!sources)
        return false;
    for (const struct attachment *attachment = subscription->first; attachment && count < SOURCES_MAX;
         attachment = attachment->next) {
        struct bytes scope = connection_scope(attachment->connection);
        size_t known = 0;

        while (known < count && !bytes_equal(bytes_of_text(sources[known]), scope))
            known++;
        if (known < count)
            continue;
        sources[count] = slab_take(&core->output.slab, scope.size + 1);
        if (!sources[count])
            return false;
        memcpy(sources[count], scope.data, scope.size);
        sources[count++][scope.size] = '\0';
    }
    info->sources = sources;
    info->n_sources = count;
    return true;
}

static void answer(struct core *core, struct lag *lag, const struct core_look_lag *found)
{
    struct subscription *subscription = core_subscription(core, lag->subscription);
    Truc__V1__SubscriptionOk ok = TRUC__V1__SUBSCRIPTION_OK__INIT;
    Truc__V1__SubscriptionInfo info;
    struct connection *connection;

    if (!subscription->text) {
        inquiry_refuse(core, &lag->inquiry, refusal_of(TRUC_NOT_FOUND),
                       "the subscription was removed or reset meanwhile; `truc subscription ls` lists what there is");
        return;
    }
    if (!subscription_describe(core, subscription, &info) || !tell_sources(core, subscription, &info)) {
        inquiry_refuse(core, &lag->inquiry, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                       "the broker has no memory for this; retry after the time given");
        return;
    }
    info.lag_records = found->records;
    info.lag_bytes = found->bytes;
    info.lag_since_ns = found->since_ns;
    info.lag_more = found->more;
    ok.info = &info;
    connection = inquiry_leave(core, &lag->inquiry);
    answer_message(core, connection, FRAME_SUBSCRIPTION_OK, lag->inquiry.request_id, &ok.base, bytes_of(NULL, 0));
    inquiry_destroy(core, &lag->inquiry);
}

static bool look(struct core *core, struct inquiry *inquiry, struct core_look *look)
{
    struct lag *lag = (struct lag *)inquiry;
    struct subscription *subscription = core_subscription(core, lag->subscription);
    struct core_look_subject *subject = slab_take(&core->output.slab, sizeof *subject);

    if (!subject) {
        inquiry_refuse(core, inquiry, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                       "the broker has no memory to look at the log; retry after the time given");
        return false;
    }
    if (subscription->text)
        lag->place.position = subscription_position(subscription);
    if (!subscription->text || lag->place.position >= look->head) {
        answer(core, lag, &(struct core_look_lag){0});
        return false;
    }
    *subject = (struct core_look_subject){.spec = subscription_read_spec(core, subscription)};
    look->kind = LOOK_LAG;
    look->subjects = subject;
    look->subject_count = 1;
    look->places = &lag->place;
    look->place_count = 1;
    return true;
}

static void looked(struct core *core, struct inquiry *inquiry, const struct core_event *event)
{
    if (event->status == TRUC_OK)
        answer(core, (struct lag *)inquiry, &event->looked.lag);
    else
        inquiry_refuse(core, inquiry, refusal_of(event->status), event->why ? event->why : truc_status_text(event->status));
}

static const struct inquiry_kind lag_kind = {.look = look, .looked = looked};

void lag_request(struct core *core, struct connection *connection, uint64_t request_id, const struct subscription *subscription)
{
    struct lag *lag = inquiry_begin(core, connection, request_id, &lag_kind, sizeof *lag);

    if (!lag)
        return;
    lag->subscription = subscription->index;
    inquiry_ask(core, &lag->inquiry);
}
