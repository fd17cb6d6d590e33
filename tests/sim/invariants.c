#include "invariants.h"

#include "append_clock.h"
#include "catalog.h"
#include "clients.h"
#include "read_model.h"
#include "share_model.h"
#include "store.h"
#include "subscriptions.h"
#include "world.h"

/* A change of this step, the only one; what it says of the subscription must be so at its end. */
static struct {
    struct request *request;
    uint32_t id;
} change;

void invariants_begin(void)
{
    subscriptions_begin();
    read_model_begin();
    keys_begin();
    change.request = NULL;
}

void invariants_end(void)
{
    subscriptions_end();
}

/* --- what clients ask
 * -------------------------------------------------------------------------------------------------------------- */

static void settle_asked(struct connection *connection, uint64_t request_id, const Truc__V1__Settle *settle)
{
    struct attachment *attachment = attachment_of(connection->number, settle->subscribe_id);
    struct request *request = request_of(connection, request_id);

    if (!attachment || settle->n_settlements == 0)
        return;
    if (attachment->sub->row.mode == SUBSCRIPTION_SHARED) {
        share_settle_asked(attachment, request, settle);
    } else {
        request->subscription = attachment->sub->row.subscription_id;
        request->position = settle->settlements[settle->n_settlements - 1]->first;
    }
}

static void change_asked(struct connection *connection, uint64_t request_id, const Truc__V1__SubscriptionChange *asked)
{
    const struct sub *sub = sub_named(client_agency(connection->client), bytes_of_text(asked->name));

    change.request = sub ? request_of(connection, request_id) : NULL;
    if (!sub)
        return;
    change.request->action = (int)asked->action;
    change.id = sub->row.subscription_id;
}

static void check_change(void)
{
    const struct sub *sub = sub_at(change.id);
    const struct request *request = change.request;

    change.request = NULL;
    if (!request || request->refused)
        return;
    if (request->action == TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE)
        SIM_CHECK(!sub || !sub->there, "a subscription is there after its removal");
    if (request->action == TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_PAUSE)
        SIM_CHECK(sub && sub->row.paused, "a subscription goes on although it was paused");
    if (request->action == TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESUME)
        SIM_CHECK(sub && !sub->row.paused, "a subscription stays paused although it was resumed");
}

static void asked(struct connection *connection, const struct frame *frame)
{
    struct attachment *attachment;

    switch (frame->kind) {
    case FRAME_SUBSCRIBE:
        subscriptions_subscribe(connection, frame->request_id, header_decode(frame));
        break;
    case FRAME_SETTLE:
        settle_asked(connection, frame->request_id, header_decode(frame));
        break;
    case FRAME_CREDIT:
        read_model_credit(connection, frame->request_id, ((const Truc__V1__Credit *)header_decode(frame))->bytes);
        break;
    case FRAME_CANCEL:
        attachment = attachment_of(connection->number, frame->request_id);
        if (attachment)
            attachment_leaves(attachment, false);
        break;
    case FRAME_READ:
        read_model_asked(connection, frame->request_id, header_decode(frame));
        break;
    case FRAME_SUBSCRIPTION_CHANGE:
        change_asked(connection, frame->request_id, header_decode(frame));
        break;
    default:
        break;
    }
}

void invariants_event(const struct core_event *event)
{
    struct attachment *attachment;

    if (event->kind == CORE_FRAME) {
        request_of(connection_at(event->connection), event->frame.request_id)->ticket = store.last_ticket;
        asked(connection_at(event->connection), &event->frame);
    } else if (event->kind == CORE_DISCONNECTED) {
        invariants_left(event->connection);
    } else if (event->kind == CORE_FETCHED && event->status != TRUC_OK && event->status != TRUC_DAMAGED) {
        attachment = attachment_fetching(event->reader);
        if (attachment)
            attachment_leaves(attachment, false);
    } else if (event->kind == CORE_FETCHED) {
        attachment = attachment_fetching(event->reader);
        if (attachment)
            share_fetched(attachment, &event->done);
    }
}

void invariants_left(uint64_t connection)
{
    subscriptions_left(connection);
    read_model_left(connection);
}

/* --- what the core does
 * ------------------------------------------------------------------------------------------------------------- */

void invariants_time(void)
{
    for (uint32_t id = sub_first(); id <= sub_last(); id++) {
        struct sub *sub = sub_at(id);

        if (sub && sub->leased_count > 0)
            share_time(sub);
    }
}

void invariants_append(const struct core_effect *effect)
{
    if (!effect->prepared->owner)
        share_letter(effect);
}

void invariants_delta(uint64_t ticket, const struct delta *delta)
{
    subscriptions_delta(ticket, delta);
}

void invariants_fetch_open(uint64_t reader)
{
    subscriptions_fetch_open(reader);
}

void invariants_fetch(uint64_t reader, const struct place *places, size_t count)
{
    struct attachment *attachment = attachment_fetching(reader);

    SIM_CHECK(attachment, "records are fetched for a worker who has left");
    share_fetch(attachment, places, count);
}

void invariants_stepped(void)
{
    struct core_counts counts = core_counts(world.core);
    uint32_t subscriptions = 0;

    subscriptions_stepped();
    check_change();
    for (uint32_t id = sub_first(); id <= sub_last(); id++)
        subscriptions += sub_at(id) && sub_at(id)->there;
    SIM_CHECK(counts.subscriptions == subscriptions, "the core counts %llu subscriptions, there are %u",
              (unsigned long long)counts.subscriptions, subscriptions);
}

void invariants_durable(uint64_t ticket)
{
    (void)ticket;
    keys_durable();
    subscriptions_durable();
}

void invariants_crash(void)
{
    read_model_crash();
    subscriptions_crash();
}

/* --- publishes
 * ------------------------------------------------------------------------------------------------------------------------ */

static uint32_t topic_id_of(const char *name)
{
    for (uint32_t id = 1; id <= catalog_topics(); id++) {
        if (strcmp(catalog_topic(id)->name, name) == 0)
            return id;
    }
    return 0;
}

static uint64_t sequence_on_disk(const struct request *request, const struct batch *batch)
{
    return catalog_next_sequence(request->producer_id, topic_id_of(batch->topic));
}

static void check_published(const struct batch *batch, const Truc__V1__PublishedBatch *told, bool duplicate)
{
    const struct stored_entry *entry;

    SIM_CHECK(told->position < store.head.position, "position %llu is acknowledged and is not on disk",
              (unsigned long long)told->position);
    entry = &store.entries[told->position];
    SIM_CHECK(entry->batch == batch, "position %llu is acknowledged and holds another batch", (unsigned long long)told->position);
    SIM_CHECK(entry->append.base_offset == told->base_offset, "position %llu is acknowledged with another offset",
              (unsigned long long)told->position);
    SIM_CHECK(duplicate || entry->append.append_time_ns == told->append_time_ns,
              "position %llu is acknowledged with another append time", (unsigned long long)told->position);
}

static void check_publish_ok(const struct request *request, const Truc__V1__PublishOk *ok)
{
    Truc__V1__PublishedBatch first = TRUC__V1__PUBLISHED_BATCH__INIT;
    const struct batch *batch = request->batch;

    first.position = ok->position;
    first.base_offset = ok->base_offset;
    first.append_time_ns = ok->append_time_ns;
    check_published(batch, &first, ok->duplicate);
    for (size_t i = 0; i < ok->n_others; i++) {
        batch = batch->with;
        SIM_CHECK(batch, "more batches are acknowledged than were sent");
        check_published(batch, ok->others[i], ok->duplicate);
    }
    SIM_CHECK(!batch->with, "fewer batches are acknowledged than were sent");
    SIM_CHECK(!world.failed, "a publish is acknowledged after a flush has failed");
}

/* Of batches sent together an error is about one. */
static void check_sequence_error(const struct request *request, const Truc__V1__Error *error)
{
    bool right = false;

    for (const struct batch *batch = request->batch; batch; batch = batch->with) {
        uint64_t next = sequence_on_disk(request, batch);

        SIM_CHECK(error->status != TRUC_DUPLICATE || batch->first_sequence + batch->record_count <= next,
                  "a duplicate of what is not on disk");
        right = right || error->status == TRUC_DUPLICATE || error->actual <= next;
    }
    SIM_CHECK(right, "a sequence is told that is not on disk");
}

static void check_error(const struct request *request, const Truc__V1__Error *error)
{
    if (request->kind == FRAME_PUBLISH && (error->status == TRUC_DUPLICATE || error->status == TRUC_OUT_OF_SEQUENCE))
        check_sequence_error(request, error);
    SIM_CHECK(error->status != TRUC_INTERNAL && error->status != TRUC_NO_MEMORY && error->status != TRUC_PROTOCOL,
              "the core says: %s", error->message);
}

static void check_producer_ok(const Truc__V1__ProducerOk *ok)
{
    const struct catalog_producer *producer = catalog_producer(ok->producer_id);

    SIM_CHECK(producer && producer->row.epoch >= ok->epoch, "producer %llu is opened and is not on disk",
              (unsigned long long)ok->producer_id);
    for (size_t i = 0; i < ok->n_sequences; i++)
        SIM_CHECK(ok->sequences[i]->next_sequence <= catalog_next_sequence(ok->producer_id, topic_id_of(ok->sequences[i]->topic)),
                  "a producer is told of a sequence that is not on disk");
}

/* --- what the core sends
 * -------------------------------------------------------------------------------------------------------------- */

static void check_info(const Truc__V1__SubscriptionInfo *info)
{
    const struct sub *sub = sub_named(bytes_of_text(info->owner), bytes_of_text(info->name));
    uint32_t connected = 0;

    SIM_CHECK(info->head_position <= store.head.position && info->position <= info->scan_position, "the state of a subscription");
    SIM_CHECK(info->lag_positions == (info->head_position > info->position ? info->head_position - info->position : 0),
              "the lag of a subscription");
    if (!sub)
        return;
    for (const struct attachment *at = sub->attachments; at; at = at->next)
        connected += at->confirmed;
    SIM_CHECK(world.events > 1 || info->connected == connected, "%u take part in a subscription, %u are told", connected,
              info->connected);
    SIM_CHECK(bytes_equal(bytes_of_text(info->pattern), sub->row.pattern) && (int)info->mode == sub->row.mode &&
                  bytes_equal(bytes_of(info->key.data, info->key.len), sub->row.key) &&
                  bytes_equal(bytes_of(info->type.data, info->type.len), sub->row.type) && info->paused == sub->row.paused &&
                  info->ack_wait_ms == sub->row.ack_wait_ms && info->attempts_max == sub->row.attempts_max &&
                  info->in_flight_max == sub->row.in_flight_max && info->n_backoff_ms == sub->row.backoff_count,
              "a subscription is told as another than it is");
    /* As it was at some moment of the step. */
    SIM_CHECK(info->in_flight <= sub->row.in_flight_max || sub->row.mode == SUBSCRIPTION_ORDERED, "%u records are in flight",
              info->in_flight);
    SIM_CHECK(info->acknowledged <= sub->acknowledged && info->dead <= sub->dead, "%llu records are acknowledged and %llu dead",
              (unsigned long long)info->acknowledged, (unsigned long long)info->dead);
}

static void check_subscription_ok(const struct request *request, const Truc__V1__SubscriptionOk *ok)
{
    SIM_CHECK(store.durable_ticket >= request->ticket, "a change of a subscription is confirmed that is not on disk%s",
              world.failed ? ", after a flush has failed" : "");
    SIM_CHECK(!world.failed, "a change of a subscription is confirmed after a flush has failed");
    if (ok->info)
        check_info(ok->info);
}

static void check_settle_ok(struct request *request, const Truc__V1__SettleOk *ok)
{
    if (request->subscription == 0)
        sim_fail("SETTLE_OK of nobody's settlement");
    if (request->position > 0) { /* said again when it is on disk already: that is no news */
        ordered_settled(request);
        return;
    }
    share_settled(request, ok);
    SIM_CHECK(!world.failed, "a settlement is confirmed after a flush has failed");
}

static void check_deliver(struct connection *connection, const struct frame *frame, const Truc__V1__Deliver *deliver)
{
    struct attachment *attachment = attachment_of(connection->number, frame->request_id);

    SIM_CHECK(attachment, "a delivery to nobody");
    SIM_CHECK(deliver->durable_position <= store.head.position, "a worker is shown what is not on disk");
    share_delivered(attachment, deliver, frame->payload);
}

void invariants_frame(struct connection *connection, const struct frame *frame)
{
    struct request *request = request_of(connection, frame->request_id);
    void *header = header_decode(frame);

    SIM_CHECK(!request || !request->wrong || frame->kind == FRAME_ERROR, "a wrong %s is answered by %s",
              frame_kind_name(request->kind), frame_kind_name(frame->kind));
    SIM_CHECK(request || frame->request_id == 0, "an answer to request %llu, which was never asked",
              (unsigned long long)frame->request_id);
    switch (frame->kind) {
    case FRAME_HELLO_OK:
        SIM_CHECK(((const Truc__V1__ServerHello *)header)->durable_position <= store.head.position, "the hello shows too much");
        break;
    case FRAME_PONG:
        SIM_CHECK(((const Truc__V1__Pong *)header)->clock_ns == append_clock_ns(), "the append clock shows %lld instead of %lld",
                  (long long)((const Truc__V1__Pong *)header)->clock_ns, (long long)append_clock_ns());
        break;
    case FRAME_PRODUCER_OK:
        check_producer_ok(header);
        break;
    case FRAME_PUBLISH_OK:
        check_publish_ok(request, header);
        break;
    case FRAME_ERROR:
        if (request) {
            request->refused = true;
            check_error(request, header);
        }
        break;
    case FRAME_SUBSCRIPTION_OK:
        check_subscription_ok(request, header);
        break;
    case FRAME_SUBSCRIBE_OK:
        check_info(((const Truc__V1__SubscribeOk *)header)->info); /* as it was before */
        subscriptions_subscribed(connection, frame->request_id);
        break;
    case FRAME_SETTLE_OK:
        check_settle_ok(request, header);
        break;
    case FRAME_DELIVER:
        check_deliver(connection, frame, header);
        break;
    case FRAME_READ_OK:
        read_model_ok(connection, frame->request_id, header);
        break;
    case FRAME_READ_DATA:
        read_model_data(connection, frame->request_id, header, frame->payload);
        break;
    case FRAME_READ_END:
        read_model_end(connection, frame->request_id, header);
        break;
    default:
        break;
    }
    if (request && frame->kind != FRAME_DELIVER && frame->kind != FRAME_READ_DATA)
        request->answered = true;
}

/* --- the end
 * ------------------------------------------------------------------------------------------------------------------------------ */

static bool is_answered(struct connection *connection)
{
    while (connection->answered_count < connection->request_count && connection->requests[connection->answered_count].answered)
        connection->answered_count++;
    return !connection->broker_has || !connection->client_has || connection->answered_count == connection->request_count;
}

bool invariants_done(const char **ret_why)
{
    *ret_why = "something waits for the disk";
    if (!store_is_idle())
        return false;
    for (uint32_t id = sub_first(); id <= sub_last(); id++) {
        struct sub *sub = sub_at(id);

        if (!sub || !sub->there)
            continue;
        *ret_why = sub->row.mode == SUBSCRIPTION_SHARED ? "records of a shared subscription are not resolved"
                                                        : "an ordered subscription is not at the end";
        if (!(sub->row.mode == SUBSCRIPTION_SHARED ? share_done(sub) : ordered_done(sub)))
            return false;
    }
    *ret_why = "a request is never answered";
    for (uint64_t number = 1; number <= connection_count(); number++) {
        if (!is_answered(connection_at(number)))
            return false;
    }
    return true;
}

/* When all is done the disk alone tells the same. */
void invariants_finish(void)
{
    world_crash();
}
