/* commit.c: the log's word on what was given to it: it is on disk, it has failed, so much room is left. Layer: core. */
#include <stdio.h>

#include "broker/core/connection.h"
#include "broker/core/pending.h"
#include "broker/core/producer_answer.h"
#include "broker/core/producer_state.h"
#include "broker/core/publish_answer.h"
#include "broker/core/sequence.h"
#include "broker/core/subscription_answer.h"
#include "broker/core/topic_state.h"
#include "broker/core/watch.h"

/* An entry is durable: topic, sequence and producer know, whether or not anybody still waits for the answer. */
static void settle_append(struct core *core, const struct pending *pending)
{
    struct sequence *sequence = core_sequence(core, pending->subject);

    sequence->pending--;
    core_producer(core, sequence->producer)->pending--;
    topic_committed(core, sequence->topic, pending);
}

/* What is to be said of a batch, kept until the last one of its PUBLISH is there: they are one behind the other. */
static void keep_place(struct core *core, const struct pending *pending)
{
    uint32_t topic = pending->kind == PENDING_APPEND ? core_sequence(core, pending->subject)->topic : pending->subject;

    CORE_INVARIANT(core->place_count < BATCHES_TOGETHER_MAX);
    core->places[core->place_count++] = (struct publish_place){.position = pending->position,
                                                               .base_offset = pending->base_offset,
                                                               .append_time_ns = pending->append_time_ns,
                                                               .topic_created = pending->first,
                                                               .subscriptions = topic_subscriptions(core, core_topic(core, topic))};
}

static void answer_open(struct core *core, struct connection *connection, const struct pending *pending)
{
    struct producer *producer = core_producer(core, pending->subject);

    if (producer->epoch != pending->epoch)
        answer_error(
            core, connection, pending->request_id, refusal_of(TRUC_FENCED),
            "another instance opened this producer in the same moment; only one may publish under its name, stop one of them");
    else
        producer_answer_ok(core, connection, pending->request_id, producer, bytes_of(NULL, 0));
}

static void answer(struct core *core, struct connection *connection, const struct pending *pending)
{
    switch ((enum pending_kind)pending->kind) {
    case PENDING_DELTA:
    case PENDING_OWN:
    case PENDING_SETTLE: /* answered whether or not it is of a connection that is known here */
        break;
    case PENDING_SUBSCRIPTION:
        subscription_answer(core, connection, pending->request_id, core_subscription(core, pending->subject));
        break;
    case PENDING_REMOVAL:
        subscription_answer(core, connection, pending->request_id, NULL);
        break;
    case PENDING_APPEND:
        if (!CANARY_ACK_BEFORE_COMMIT)
            publish_answer_ok(core, connection, pending->request_id, core->places, core->place_count, false);
        break;
    case PENDING_DUPLICATE:
        publish_answer_ok(core, connection, pending->request_id, core->places, core->place_count, true);
        break;
    case PENDING_STORED:
    case PENDING_SEQUENCE:
    case PENDING_CONFLICT:
    case PENDING_MIXED:
        publish_answer_refusal(core, connection, pending->request_id,
                               &(struct publish_refusal){.kind = (enum pending_kind)pending->kind,
                                                         .number = pending->number,
                                                         .actual = pending->base_offset,
                                                         .expected = pending->position});
        break;
    case PENDING_OPEN:
        answer_open(core, connection, pending);
        break;
    }
}

/* One of the waiting is durable. */
static void settle(struct core *core, const struct pending *pending)
{
    struct connection *connection = pending->connection != 0 ? connection_of_pending(core, pending) : NULL;

    if (pending->kind == PENDING_APPEND) {
        settle_append(core, pending);
    } else if (pending->kind == PENDING_OPEN) {
        core_producer(core, pending->subject)->pending--;
        core->producers_opening -= pending->first;
    } else if (pending->kind == PENDING_OWN) {
        topic_committed(core, pending->subject, pending);
    } else if (pending->kind == PENDING_SETTLE) {
        settle_answer(core, pending->subject);
        settle_forget(core, pending->subject);
    }
    if (pending->kind == PENDING_APPEND || pending->kind == PENDING_DUPLICATE)
        keep_place(core, pending);
    if (connection) {
        connection->credit_used -= pending->frame_bytes;
        answer(core, connection, pending);
    }
    if (!pending->part)
        core->place_count = 0;
}

static void set_capacity(struct core *core, const struct core_capacity *capacity)
{
    if (capacity->full && !core->capacity.full)
        output_alarm(&core->output, "the log's disk is full: publishes are refused until there is space again");
    else if (!capacity->full && core->capacity.full)
        output_alarm(&core->output, "the log's disk has space again: publishes are accepted");
    core->capacity = *capacity;
}

void core_on_committed(struct core *core, const struct core_event *event)
{
    uint64_t count = event->ticket - core->committed_ticket;
    bool noted;

    CORE_INVARIANT(event->ticket >= core->committed_ticket && event->ticket <= core->last_ticket);
    CORE_INVARIANT(event->head.position >= core->head.position && event->head.position <= core->next_position);
    if (core->failed)
        return;
    noted = watch_prepare(core, (uint32_t)count);
    core->committed_ticket = event->ticket;
    core->head = event->head;
    while (core->pending.count > 0 && pending_first(core)->ticket <= event->ticket) {
        struct pending pending = *pending_first(core);

        pending_drop_first(core);
        settle(core, &pending);
    }
    set_capacity(core, &event->capacity);
    watch_wake(core, noted);
}

void core_on_capacity(struct core *core, const struct core_event *event)
{
    set_capacity(core, &event->capacity);
}

void core_on_log_failed(struct core *core, const struct core_event *event)
{
    if (core->failed)
        return;
    core->failed = true;
    (void)snprintf(core->failure, sizeof core->failure, "%s", event->why ? event->why : truc_status_text(event->status));
    output_alarm(&core->output, "the log failed: %s; nothing more is acknowledged", core->failure);
    while (core->pending.count > 0) {
        struct pending pending = *pending_first(core);
        struct connection *connection = pending.connection != 0 ? connection_of_pending(core, &pending) : NULL;

        pending_drop_first(core);
        if (pending.kind == PENDING_SETTLE)
            settle_forget(core, pending.subject); /* unanswered: what it settled comes again */
        if (connection) {
            connection->credit_used -= pending.frame_bytes;
            answer_error(core, connection, pending.request_id, refusal_retry(TRUC_STOPPED, RETRY_STATE_MS),
                         "the log failed (%s) before this was on disk; trucd exits, send it again when it is back", core->failure);
        }
    }
}
