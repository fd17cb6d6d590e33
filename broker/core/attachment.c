/* attachment.c: who takes part in a subscription: SUBSCRIBE, leaving, taking over. Layer: core. */
#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/clock.h"
#include "broker/core/connection.h"
#include "broker/core/reader.h"
#include "broker/core/redrive.h"
#include "broker/core/subscription_answer.h"
#include "broker/core/watch.h"
#include "truc/v1/wire.pb-c.h"

struct attachment *attachment_find(const struct connection *connection, uint64_t request_id)
{
    struct attachment *attachment = connection->attachments;

    while (attachment && attachment->request_id != request_id)
        attachment = attachment->connection_next;
    return attachment;
}

static void link_in(struct attachment *attachment)
{
    struct subscription *subscription = attachment->subscription;
    struct connection *connection = attachment->connection;

    attachment->previous = subscription->last;
    *(subscription->last ? &subscription->last->next : &subscription->first) = attachment;
    subscription->last = attachment;
    subscription->attachment_count++;
    attachment->connection_next = connection->attachments;
    if (attachment->connection_next)
        attachment->connection_next->connection_previous = attachment;
    connection->attachments = attachment;
    connection->reader_count++;
}

static void link_out(struct attachment *attachment)
{
    struct subscription *subscription = attachment->subscription;
    struct connection *connection = attachment->connection;

    *(attachment->previous ? &attachment->previous->next : &subscription->first) = attachment->next;
    *(attachment->next ? &attachment->next->previous : &subscription->last) = attachment->previous;
    subscription->attachment_count--;
    *(attachment->connection_previous ? &attachment->connection_previous->connection_next : &connection->attachments) =
        attachment->connection_next;
    if (attachment->connection_next)
        attachment->connection_next->connection_previous = attachment->connection_previous;
    connection->reader_count--;
}

static void give(struct core *core, struct attachment *attachment)
{
    free(attachment->leases);
    free(attachment->places);
    pool_give(&core->attachments, attachment->index);
}

/* --- ordered --------------------------------------------------------------------------------------------------------------------
 */

struct core_read_spec subscription_read_spec(const struct core *core, const struct subscription *subscription)
{
    const struct subscription_row *row = &subscription->row;
    struct core_read_spec spec = {.pattern = row->pattern,
                                  .key = row->key,
                                  .type = row->type,
                                  .headers = row->headers,
                                  .follow = true,
                                  .from_kind = BOUND_POSITION,
                                  .from = subscription->place.position + CANARY_RESUME_BEYOND,
                                  .head = core_visible_position(core)};

    if (row->source.size > 0)
        (void)source_filter_split(row->source, &spec.agency, &spec.system, NULL); /* checked when it was made */
    return spec;
}

/* Its reader is a reader like any other, under the request's id, from the acknowledged place on. */
static bool begin_reading(struct core *core, struct attachment *attachment)
{
    struct subscription *subscription = attachment->subscription;
    struct core_read_spec spec = subscription_read_spec(core, subscription);
    struct core_reader *reader = reader_create(core, attachment->connection, attachment->request_id);
    struct core_effect *effect;

    if (!reader)
        return false;
    spec.references = true; /* what was recalled of it is told */
    attachment->reader = reader;
    if (!reader_keep_spec(reader, &spec) || !watch_join(core, reader)) {
        attachment->reader = NULL;
        reader_drop(core, reader);
        return false;
    }
    reader->attachment = attachment;
    reader->from_offset = 0;
    reader->until_offset = UINT64_MAX;
    reader->credit = reader->window = (int64_t)attachment->credit;
    reader->filtered = spec.key.size > 0 || spec.type.size > 0 || spec.headers.size > 0;
    effect = output_effect(&core->output, EFFECT_READ_OPEN);
    effect->reader = reader->number;
    effect->spec = &reader->spec;
    reader->opened = true;
    return true;
}

void attachment_activate(struct core *core, struct subscription *subscription)
{
    struct attachment *first = subscription->first;

    if (subscription->row.paused || !first)
        return;
    if (subscription->row.mode == SUBSCRIPTION_SHARED)
        subscription_touch(core, subscription);
    else if (!first->reader && !begin_reading(core, first))
        attachment_end(core, first, TRUC_NO_MEMORY, "the broker has no memory for a reader; subscribe again later");
}

/* --- leaving ---------------------------------------------------------------------------------------------------------------------
 */

/* Nobody is left: what only serves those who take part goes; what must be known of waiting keys stays. */
static void rest(struct core *core, struct subscription *subscription)
{
    if (subscription->first || subscription->row.mode != SUBSCRIPTION_SHARED)
        return;
    subscription_drop_readings(core, subscription);
}

static void leave(struct core *core, struct attachment *attachment, bool counted)
{
    struct subscription *subscription = attachment->subscription;

    if (attachment->reader) {
        if (CANARY_STALE_HAND_OVER && attachment->reader->position > subscription->place.position)
            subscription->place.position = attachment->reader->position;
        attachment->reader->attachment = NULL;
        reader_drop(core, attachment->reader);
    }
    if (attachment->fetch)
        reader_drop(core, attachment->fetch);
    if (subscription->share) {
        share_leave(subscription->share, attachment->number, counted, clock_now(core));
        subscription_touch(core, subscription);
    }
    link_out(attachment);
    give(core, attachment);
    rest(core, subscription);
}

void attachment_drop(struct core *core, struct attachment *attachment, bool counted)
{
    struct subscription *subscription = attachment->subscription;

    leave(core, attachment, counted);
    attachment_activate(core, subscription);
}

static void say_end(struct core *core, const struct attachment *attachment, truc_status status, const char *why)
{
    Truc__V1__ReadEnd end = TRUC__V1__READ_END__INIT;

    end.status = (uint32_t)status;
    end.message = (char *)(uintptr_t)why; /* read only; the generated type is not const */
    end.next_position = attachment->subscription->place.position;
    answer_message(core, attachment->connection, FRAME_READ_END, attachment->request_id, &end.base, bytes_of(NULL, 0));
}

void attachment_end(struct core *core, struct attachment *attachment, truc_status status, const char *why)
{
    struct subscription *subscription = attachment->subscription;

    say_end(core, attachment, status, why);
    leave(core, attachment, false);
    attachment_activate(core, subscription);
}

void attachment_drop_all(struct core *core, struct connection *connection)
{
    while (connection->attachments)
        attachment_drop(core, connection->attachments, true);
}

void attachment_pause_all(struct core *core, struct subscription *subscription)
{
    struct attachment *active = subscription->first;

    if (!active || !active->reader)
        return;
    /* It stands by with the credit that it has left, and begins again behind what it acknowledged. */
    active->credit = active->reader->credit > 0 ? (uint64_t)active->reader->credit : 0;
    active->reader->attachment = NULL;
    reader_drop(core, active->reader);
    active->reader = NULL;
}

void attachment_stop_all(struct core *core, struct subscription *subscription, truc_status status, const char *why)
{
    settle_refuse_all(core, subscription, status, why);
    redrive_refuse_all(core, subscription);
    while (subscription->first) {
        say_end(core, subscription->first, status, why);
        leave(core, subscription->first, false);
    }
    subscription_drop_share(core, subscription);
}

/* --- SUBSCRIBE -------------------------------------------------------------------------------------------------------------------
 */

static bool check_room(struct core *core, struct connection *connection, uint64_t request_id)
{
    if (reader_find(connection, request_id) || attachment_find(connection, request_id)) {
        answer_fatal(core, connection, 0, TRUC_PROTOCOL,
                     "SUBSCRIBE with the id of a reader that is still open; give every request its own id");
        return false;
    }
    if (connection->reader_count < core->config.readers_per_connection_max &&
        core->readers_by_number.count + 2 < core->config.readers_max)
        return true;
    answer_error(core, connection, request_id, refusal_retry(TRUC_TOO_MANY, RETRY_STATE_MS),
                 "%u readers are open on this connection (at most %u) and %u in all (at most %u); close some, or raise the limit "
                 "in the broker's configuration",
                 connection->reader_count, core->config.readers_per_connection_max, core->readers_by_number.count,
                 core->config.readers_max);
    return false;
}

/* What a worker needs beside its place in the list. */
static bool provide_worker(struct core *core, struct attachment *attachment, uint64_t credit)
{
    struct subscription *subscription = attachment->subscription;
    uint32_t records = credit < CREDIT_RECORDS_MAX ? (uint32_t)credit : CREDIT_RECORDS_MAX;

    attachment->leases = calloc(GRANT_RECORDS_MAX, sizeof *attachment->leases);
    attachment->places = calloc(GRANT_RECORDS_MAX, sizeof *attachment->places);
    if (!attachment->leases || !attachment->places || !subscription_provide_share(core, subscription) ||
        !subscription_provide_readings(core, subscription))
        return false;
    attachment->fetch = reader_create_own(core, subscription, attachment);
    if (!attachment->fetch)
        return false;
    output_effect(&core->output, EFFECT_FETCH_OPEN)->reader = attachment->fetch->number;
    attachment->fetch->opened = true;
    return share_join(subscription->share, attachment->number, records, attachment->run_max);
}

static struct attachment *create(struct core *core, struct connection *connection, struct subscription *subscription,
                                 uint64_t request_id, const Truc__V1__Subscribe *subscribe)
{
    uint64_t credit = subscribe->credit;
    struct attachment *attachment;
    uint32_t index;

    attachment = pool_take(&core->attachments, &index);
    if (!attachment)
        return NULL;
    attachment->index = index;
    attachment->number = ++core->last_reader;
    attachment->request_id = request_id;
    attachment->subscription = subscription;
    attachment->connection = connection;
    attachment->run_max = subscribe->key_run_max > 0 ? subscribe->key_run_max : 1;
    link_in(attachment);
    if (subscription->row.mode == SUBSCRIPTION_ORDERED) {
        attachment->credit = credit < core->config.read_credit_bytes_max ? credit : core->config.read_credit_bytes_max;
    } else if (!provide_worker(core, attachment, credit)) {
        leave(core, attachment, false);
        return NULL;
    }
    return attachment;
}

void core_request_subscribe(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Subscribe *subscribe = request_decode(core, connection, frame, &truc__v1__subscribe__descriptor);
    Truc__V1__SubscribeOk ok = TRUC__V1__SUBSCRIBE_OK__INIT;
    struct subscription *subscription;
    Truc__V1__SubscriptionInfo info;

    if (!subscribe || !check_room(core, connection, frame->request_id))
        return;
    subscription = subscription_named(core, connection, frame->request_id, subscribe->name);
    if (!subscription)
        return;
    if (subscription->change_ticket > core->committed_ticket) {
        answer_error(core, connection, frame->request_id, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                     "the subscription is being written to disk; retry after the time given");
        return;
    }
    if (subscribe->credit == 0) {
        answer_error(core, connection, frame->request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                     "a subscriber without credit gets nothing; grant bytes (ordered) or records (shared)");
        return;
    }
    if (subscribe->key_run_max > KEY_RUN_MAX) {
        answer_error(core, connection, frame->request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                     "key_run_max is %u; a worker may take 1 to %d records of one key at a time", subscribe->key_run_max,
                     KEY_RUN_MAX);
        return;
    }
    if (!subscription_describe(core, subscription, &info) ||
        !create(core, connection, subscription, frame->request_id, subscribe)) {
        answer_error(core, connection, frame->request_id, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                     "the broker has no memory for another subscriber; retry after the time given");
        return;
    }
    ok.info = &info;
    answer_message(core, connection, FRAME_SUBSCRIBE_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
    attachment_activate(core, subscription);
}
