#include "clients/c/producer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/pack.h"
#include "clients/c/sender.h"
#include "clients/c/together.h"
#include "truc/v1/wire.pb-c.h"

enum { OPEN_RETRY_MS = 100, PAGE_ARENA_BYTES = 512 * 1024 };
#define MS INT64_C(1000000)

/* --- the session with the broker -------------------------------------------------------------------------------------------- */

static void send_open(struct truc_producer *producer);

static void open_later(struct truc_producer *producer, uint32_t after_ms)
{
    producer->state = PRODUCER_WAITING;
    producer->open_at_ns = clock_now_ns() + (int64_t)(after_ms > OPEN_RETRY_MS ? after_ms : OPEN_RETRY_MS) * MS;
    client_wake_at(producer->client, producer->open_at_ns);
}

static void each_lane(struct truc_producer *producer, void (*act)(struct lane *lane))
{
    for (size_t i = 0; i < producer->lane_capacity; i++) {
        for (struct lane *lane = producer->lanes[i]; lane != NULL; lane = lane->hash_next)
            act(lane);
    }
}

static const char forgotten[] =
    "sent before the connection was lost, and the broker has meanwhile forgotten this unnamed producer: it may be stored";

static void forget(struct lane *lane)
{
    lane_forgotten(lane, TRUC_UNKNOWN_PRODUCER, forgotten);
}

static void opened(struct truc_producer *producer)
{
    truc_status status = TRUC_OK;

    producer->known = true;
    if (producer->outbox != NULL)
        status = outbox_resume(producer->outbox, producer);
    if (status != TRUC_OK) {
        producer_fail(producer, status, outbox_why(producer->outbox));
        return;
    }
    producer->state = PRODUCER_OPENED;
    each_lane(producer, lane_schedule);
    if (producer->carries != NULL)
        together_schedule(producer->carries);
    (void)pthread_cond_broadcast(&producer->client->changed);
}

/* Takes in a page of last sequences. */
static truc_status take_page(struct truc_producer *producer, const Truc__V1__ProducerOk *answer)
{
    struct lane *lane;

    for (size_t i = 0; i < answer->n_sequences; i++) {
        const Truc__V1__TopicSequence *row = answer->sequences[i];
        truc_status status = lane_find(producer, row->topic, strlen(row->topic), &lane);

        if (status != TRUC_OK)
            return status == TRUC_NO_MEMORY ? status : TRUC_PROTOCOL;
        lane->acked_next = lane->next_sequence = row->next_sequence;
    }
    free(producer->page_after);
    producer->page_after = NULL;
    if (answer->more) {
        if (answer->n_sequences == 0)
            return TRUC_PROTOCOL;
        producer->page_after = strdup(answer->sequences[answer->n_sequences - 1]->topic);
        if (producer->page_after == NULL)
            return TRUC_NO_MEMORY;
    }
    return TRUC_OK;
}

static truc_status take_answer(struct truc_producer *producer, const Truc__V1__ProducerOk *answer, const char **ret_why)
{
    truc_status status;

    if (producer->known || producer->page_after != NULL) {
        if (answer->producer_id != producer->producer_id || answer->epoch != producer->epoch) {
            *ret_why = "a producer was resumed under another id or epoch";
            return TRUC_PROTOCOL;
        }
    } else {
        producer->producer_id = answer->producer_id;
        producer->epoch = answer->epoch;
    }
    if (producer->known) {
        opened(producer);
        return TRUC_OK;
    }
    status = take_page(producer, answer);
    if (status != TRUC_OK) {
        *ret_why = "the list of a producer's sequences cannot be taken in";
        return status;
    }
    if (producer->page_after != NULL)
        send_open(producer);
    else
        opened(producer);
    return TRUC_OK;
}

static void open_refused(struct truc_producer *producer, const struct client_refusal *refusal)
{
    if (refusal->status == TRUC_UNKNOWN_PRODUCER && producer->known && producer->settings.name == NULL) {
        each_lane(producer, forget);
        if (producer->carries != NULL)
            together_forgotten(producer->carries, TRUC_UNKNOWN_PRODUCER, forgotten);
        producer->known = false;
        send_open(producer);
    } else if (truc_status_retriable(refusal->status)) {
        open_later(producer, refusal->retry_after_ms);
    } else {
        producer_fail(producer, refusal->status, refusal->text);
    }
}

static truc_status open_answered(struct request *request, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    struct truc_producer *producer = (struct truc_producer *)((char *)request - offsetof(struct truc_producer, opening));
    const Truc__V1__ProducerOk *answer;
    struct client_refusal refusal;
    struct arena arena;
    uint8_t *memory;
    truc_status status;

    (void)inbound;
    request_end(&producer->client->requests, request);
    if (frame->kind == FRAME_ERROR) {
        status = client_refusal_read(frame, &refusal, ret_why);
        if (status == TRUC_OK)
            open_refused(producer, &refusal);
        return status;
    }
    *ret_why = "a producer's opening was answered with another kind of frame";
    if (frame->kind != FRAME_PRODUCER_OK)
        return TRUC_PROTOCOL;
    memory = malloc(PAGE_ARENA_BYTES);
    if (memory == NULL) {
        open_later(producer, 0);
        return TRUC_OK;
    }
    arena = (struct arena){memory, memory + PAGE_ARENA_BYTES};
    answer = frame_header_decode(&arena, &truc__v1__producer_ok__descriptor, frame->header, ret_why);
    status = answer == NULL ? TRUC_PROTOCOL : take_answer(producer, answer, ret_why);
    free(memory);
    return status;
}

static void send_open(struct truc_producer *producer)
{
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;
    char empty[] = "";

    open.name = producer->settings.name != NULL ? producer->settings.name : empty;
    open.after_topic = empty;
    if (producer->known || producer->page_after != NULL) {
        open.resume_id = producer->producer_id;
        open.resume_epoch = producer->epoch;
    }
    if (producer->page_after != NULL)
        open.after_topic = producer->page_after;
    producer->opening.answer = open_answered;
    producer->state = PRODUCER_OPENING;
    if (client_send(producer->client, FRAME_PRODUCER_OPEN, &producer->opening, 0, &open.base) != TRUC_OK)
        open_later(producer, 0);
}

void producer_connected(struct truc_producer *producer)
{
    if (producer->state == PRODUCER_FAILED || producer->closing)
        return;
    free(producer->page_after); /* a list cut off by the loss of the connection begins anew */
    producer->page_after = NULL;
    send_open(producer);
    if (producer->together != NULL)
        producer_connected(producer->together->companion);
}

void producer_disconnected(struct truc_producer *producer)
{
    if (producer->state == PRODUCER_FAILED)
        return;
    producer->state = PRODUCER_WAITING;
    producer->open_at_ns = CLOCK_NEVER; /* until connected again */
    each_lane(producer, lane_disconnected);
    if (producer->carries != NULL)
        together_disconnected(producer->carries);
    if (producer->together != NULL)
        producer_disconnected(producer->together->companion);
}

truc_status producer_refusal(const struct truc_producer *producer)
{
    if (producer->closing)
        return TRUC_CLOSED;
    return producer->state == PRODUCER_FAILED ? producer->failure : TRUC_OK;
}

void producer_reopen(struct truc_producer *producer)
{
    if (producer->state == PRODUCER_OPENED)
        send_open(producer);
}

static void fail_each(struct truc_producer *producer, truc_status status, const char *why)
{
    for (size_t i = 0; i < producer->lane_capacity; i++) {
        for (struct lane *lane = producer->lanes[i]; lane != NULL; lane = lane->hash_next)
            lane_fail(lane, status, why);
    }
}

void producer_fail(struct truc_producer *producer, truc_status status, const char *why)
{
    if (producer->state == PRODUCER_FAILED)
        return;
    producer->state = PRODUCER_FAILED;
    producer->failure = status;
    (void)snprintf(producer->why, sizeof producer->why, "%s", why);
    request_end(&producer->client->requests, &producer->opening);
    fail_each(producer, status, producer->why);
    if (producer->carries != NULL)
        together_failed(producer->carries, status, producer->why);
    if (producer->together != NULL)
        producer_fail(producer->together->companion, status, producer->why);
    (void)pthread_cond_broadcast(&producer->room);
    (void)pthread_cond_broadcast(&producer->client->changed);
}

/* --- the client's thread ---------------------------------------------------------------------------------------------------- */

static void step_linger(struct truc_producer *producer, int64_t now_ns)
{
    while (producer->linger_head != NULL) {
        struct send_batch *batch = producer->linger_head;
        int64_t due_ns = batch->opened_ns + producer->settings.linger_ns;

        if (due_ns > now_ns) {
            client_wake_at(producer->client, due_ns);
            return;
        }
        lane_close_batch(batch->lane, batch);
        lane_schedule(batch->lane);
    }
}

static void step_waiting(struct truc_producer *producer, int64_t now_ns)
{
    struct lane *lane = producer->wait_head;

    if (producer->wait_at_ns > now_ns) {
        client_wake_at(producer->client, producer->wait_at_ns);
        return;
    }
    producer->wait_at_ns = CLOCK_NEVER;
    while (lane != NULL) {
        struct lane *next = lane->wait_next;

        lane_unwait(lane);
        lane_schedule(lane); /* waits on if its time has not come */
        lane = next;
    }
}

static void step_timeouts(struct truc_producer *producer, int64_t now_ns)
{
    int64_t timeout_ns = producer->settings.delivery_timeout_ns;
    struct send_batch *batch = producer->age_head;

    if (timeout_ns == 0)
        return;
    while (batch != NULL) {
        if (batch->reported || batch->state == BATCH_ACKED || batch->state == BATCH_REFUSED) {
            batch = batch->age_next;
            continue;
        }
        if (batch->opened_ns + timeout_ns > now_ns) {
            client_wake_at(producer->client, batch->opened_ns + timeout_ns);
            return;
        }
        if (!lane_expire(batch->lane, batch)) {
            client_wake_at(producer->client, now_ns + OPEN_RETRY_MS * MS);
            return;
        }
        batch = producer->age_head; /* others may have left with it */
    }
}

static void step_outbox(struct truc_producer *producer)
{
    truc_status status;

    if (producer->outbox == NULL || producer->state == PRODUCER_FAILED || !outbox_has_work(producer->outbox))
        return;
    producer->stepping = true;
    status = outbox_work(producer->outbox, producer, &producer->client->lock);
    producer->stepping = false;
    (void)pthread_cond_broadcast(&producer->client->changed);
    if (status != TRUC_OK) {
        producer_fail(producer, status, outbox_why(producer->outbox));
        return;
    }
    (void)pthread_cond_broadcast(&producer->room); /* a new segment is room */
    for (struct lane *lane = producer->wait_head; lane != NULL; lane = lane->wait_next)
        lane->sync_wait = false;
    producer->wait_at_ns = 0;
}

void producer_step(struct truc_producer *producer, int64_t now_ns)
{
    if (producer->state == PRODUCER_WAITING && producer->client->state == CLIENT_UP && producer->open_at_ns != CLOCK_NEVER) {
        if (producer->open_at_ns <= now_ns)
            send_open(producer);
        else
            client_wake_at(producer->client, producer->open_at_ns);
    }
    step_linger(producer, now_ns);
    step_timeouts(producer, now_ns);
    step_outbox(producer);
    step_waiting(producer, now_ns);
    if (producer->carries != NULL)
        together_schedule(producer->carries);
    if (producer->together != NULL)
        producer_step(producer->together->companion, now_ns);
}

/* --- batches ---------------------------------------------------------------------------------------------------------------- */

void producer_charge(struct truc_producer *producer, struct send_batch *batch)
{
    size_t footprint = send_batch_footprint(batch);

    producer->queue_used = producer->queue_used - batch->charged + footprint;
    if (footprint < batch->charged && producer->callers > 0)
        (void)pthread_cond_broadcast(&producer->room);
    batch->charged = footprint;
}

void producer_batch_opened(struct truc_producer *producer, struct send_batch *batch, struct send_batch *after)
{
    batch->producer = producer;
    if (after == NULL)
        batch->opened_ns = clock_now_ns();
    batch->generation = after == NULL ? producer->generation : after->generation;
    batch->generation->batch_count++;
    if (after == NULL)
        after = producer->age_tail;
    batch->age_previous = after;
    batch->age_next = after != NULL ? after->age_next : NULL;
    if (batch->age_next != NULL)
        batch->age_next->age_previous = batch;
    else
        producer->age_tail = batch;
    if (after != NULL)
        after->age_next = batch;
    else
        producer->age_head = batch;
    producer_charge(producer, batch);
    if (producer->settings.delivery_timeout_ns != 0)
        client_wake_at(producer->client, batch->opened_ns + producer->settings.delivery_timeout_ns);
}

void producer_linger(struct truc_producer *producer, struct send_batch *batch)
{
    batch->lingering = true;
    batch->linger_next = NULL;
    batch->linger_previous = producer->linger_tail;
    if (producer->linger_tail != NULL)
        producer->linger_tail->linger_next = batch;
    else
        producer->linger_head = batch;
    producer->linger_tail = batch;
    if (producer->linger_head == batch)
        client_wake_at(producer->client, batch->opened_ns + producer->settings.linger_ns);
}

void producer_unlinger(struct truc_producer *producer, struct send_batch *batch)
{
    if (!batch->lingering)
        return;
    batch->lingering = false;
    if (batch->linger_previous != NULL)
        batch->linger_previous->linger_next = batch->linger_next;
    else
        producer->linger_head = batch->linger_next;
    if (batch->linger_next != NULL)
        batch->linger_next->linger_previous = batch->linger_previous;
    else
        producer->linger_tail = batch->linger_previous;
}

void producer_close_open(struct truc_producer *producer)
{
    /* Open batches that do not linger are urgent: they go by themselves. */
    while (producer->linger_head != NULL) {
        struct send_batch *batch = producer->linger_head;

        lane_close_batch(batch->lane, batch);
        lane_schedule(batch->lane);
    }
}

void producer_close_urgent(struct truc_producer *producer)
{
    for (struct send_batch *batch = producer->age_tail; batch != NULL; batch = batch->age_previous) {
        if (batch->state == BATCH_OPEN) {
            lane_close_batch(batch->lane, batch);
            lane_schedule(batch->lane);
        }
    }
}

static void unlink_age(struct truc_producer *producer, struct send_batch *batch)
{
    if (batch->age_previous != NULL)
        batch->age_previous->age_next = batch->age_next;
    else
        producer->age_head = batch->age_next;
    if (batch->age_next != NULL)
        batch->age_next->age_previous = batch->age_previous;
    else
        producer->age_tail = batch->age_previous;
    batch->age_next = batch->age_previous = NULL;
}

void producer_delivery(const struct send_batch *batch, uint32_t index, truc_delivery *ret_delivery)
{
    const struct batch_place *place = &batch->place;
    bool placed = batch->status == TRUC_OK;

    *ret_delivery = (truc_delivery){
        .size = sizeof *ret_delivery,
        .status = batch->status,
        .topic = batch->lane->name,
        .position = placed ? place->position : UINT64_MAX,
        .offset = placed                           ? place->base_offset + index
                  : batch->status == TRUC_CONFLICT ? place->base_offset
                                                   : UINT64_MAX,
        .index = placed ? index : 0,
        .duplicate = place->duplicate,
        .created = place->created,
        .sequence = batch->first_sequence + index,
        .opaque = batch->opaques[index],
        .why = placed               ? ""
               : batch->why != NULL ? batch->why
                                    : truc_status_text(batch->status),
        .subscriptions = place->subscriptions,
    };
}

/* Hands the waiting threads of a batch their results. */
static void wake_waiters(struct send_batch *batch)
{
    struct gate *gate = NULL;

    for (uint32_t i = 0; batch->waited_count != 0 && i < batch->record_count; i++) {
        struct waiter *waiter = send_batch_waited(batch, i) ? batch->opaques[i] : NULL;

        if (waiter == NULL)
            continue;
        gate = waiter->gate; /* one for all of a batch */
        producer_delivery(batch, i, &waiter->result);
        waiter->result.opaque = NULL;
        waiter->result.topic = waiter->result.why = NULL;
        atomic_store_explicit(&waiter->done, true, memory_order_release); /* from here on it is the waiting thread's again */
    }
    if (gate != NULL)
        gate_open(gate);
}

/* What the application is to be told of the batch, by whichever way. */
static void tell(struct truc_producer *producer, struct send_batch *batch)
{
    wake_waiters(batch);
    if (producer->on_delivery != NULL && batch->opaques != NULL && batch->record_count > batch->waited_count)
        courier_give(producer->client, batch);
    else
        producer_batch_told(producer, batch);
}

void producer_batch_decided(struct truc_producer *producer, struct send_batch *batch)
{
    truc_client *client = producer->client;

    if (batch->request.id != 0) { /* given up while its answer was awaited */
        request_end(&client->requests, &batch->request);
        client->credit_used -= batch->frame_size;
    }
    producer_unlinger(producer, batch);
    unlink_age(producer, batch);
    pack_forget(client, batch);
    send_buffer_unref(batch->buffer);
    batch->buffer = NULL;
    producer_charge(producer, batch);
    if (producer->outbox != NULL && (batch->status == TRUC_OK || batch->status == TRUC_DUPLICATE)) {
        outbox_acked(producer->outbox, batch->lane->name, batch->lane->name_size, batch->lane->acked_next);
        if (outbox_has_work(producer->outbox))
            client_wake_at(client, 0);
    }
    tell(producer, batch);
}

bool producer_report(struct truc_producer *producer, struct send_batch *batch, truc_status status, const char *why)
{
    struct send_batch *shell = calloc(1, sizeof *shell);

    if (shell == NULL)
        return false;
    shell->lane = batch->lane;
    shell->producer = producer;
    shell->generation = batch->generation;
    shell->status = status;
    shell->why = strdup(why);
    shell->first_sequence = batch->first_sequence;
    shell->record_count = batch->record_count;
    shell->waited_count = batch->waited_count;
    shell->opaque_capacity = batch->opaque_capacity;
    shell->opaques = batch->opaques;
    shell->waited = batch->waited;
    batch->generation = NULL;
    batch->opaques = NULL;
    batch->waited = NULL;
    batch->opaque_capacity = batch->waited_count = 0;
    batch->reported = true;
    producer_charge(producer, batch);
    producer_charge(producer, shell);
    tell(producer, shell);
    return true;
}

void producer_batch_told(struct truc_producer *producer, struct send_batch *batch)
{
    producer->queue_used -= batch->charged;
    if (producer->callers > 0)
        (void)pthread_cond_broadcast(&producer->room);
    if (batch->generation != NULL) {
        batch->generation->batch_count--;
        while (producer->generations != producer->generation && producer->generations->batch_count == 0) {
            struct generation *oldest = producer->generations;

            producer->generations = oldest->next;
            free(oldest);
            (void)pthread_cond_broadcast(&producer->client->changed);
        }
        if (producer->generation->batch_count == 0 && producer->closing)
            (void)pthread_cond_broadcast(&producer->client->changed);
    }
    send_batch_free(batch);
}
