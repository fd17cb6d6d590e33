/* worker_settle.c: from what the application says of its leases to SETTLE frames, and from their answers to what became of it.
 *
 * While SETTLES_AT_ONCE frames wait for their answers further settlements gather: a lone one leaves at once, many share frames. */
#include <stdlib.h>

#include "clients/c/option_list.h"
#include "clients/c/worker.h"
#include "truc/v1/wire.pb-c.h"

/* How long an acknowledgement waits for company: longer than a request takes, far shorter than any lease. */
#define IDLE_NS INT64_C(3000000)

enum { SETTLES_AT_ONCE = 2, READY_MAX = 128, TOLD_AT_ONCE = 128, RETRY_MS = 10 };
#define MS INT64_C(1000000)

/* --- batches on their way ------------------------------------------------------------------------------------------------------
 */

static void append(struct settle_batch **head, struct settle_batch **tail, struct settle_batch *batch)
{
    batch->next = NULL;
    if (*tail != NULL)
        (*tail)->next = batch;
    else
        *head = batch;
    *tail = batch;
}

static struct settle_batch *take_first(struct settle_batch **head, struct settle_batch **tail)
{
    struct settle_batch *batch = *head;

    *head = batch->next;
    if (*head == NULL)
        *tail = NULL;
    return batch;
}

/* The batch's fate is known. */
static void finish(struct truc_worker *worker, struct settle_batch *batch, truc_status status)
{
    batch->status = status;
    worker->settling.failures += settle_batch_failures(batch);
    if (worker->on_settled != NULL) {
        append(&worker->settling.told_head, &worker->settling.told_tail, batch);
        courier_wake(worker->client);
    } else {
        settle_batch_destroy(batch);
    }
    (void)pthread_cond_broadcast(&worker->client->changed);
}

static void unlink_sent(struct truc_worker *worker, const struct settle_batch *batch)
{
    struct settle_batch **at = &worker->settling.sent;

    while (*at != batch)
        at = &(*at)->next;
    *at = batch->next;
    worker->settling.sent_count--;
}

/* To be sent again, first. */
static void put_back(struct truc_worker *worker, struct settle_batch *batch, int64_t at_ns)
{
    struct settling *settling = &worker->settling;

    batch->next = settling->ready_head;
    settling->ready_head = batch;
    if (settling->ready_tail == NULL)
        settling->ready_tail = batch;
    settling->ready_count++;
    settling->retry_at_ns = at_ns;
    client_wake_at(worker->client, at_ns);
}

static truc_status settle_answered(struct request *request, const struct frame *frame, struct inbound **inbound,
                                   const char **ret_why)
{
    struct settle_batch *batch = (struct settle_batch *)((char *)request - offsetof(struct settle_batch, request));
    struct truc_worker *worker = batch->worker;
    struct client_refusal refusal;
    truc_status status;

    (void)inbound;
    if (frame->kind == FRAME_ERROR) {
        status = client_refusal_read(frame, &refusal, ret_why);
        if (status != TRUC_OK)
            return status;
        request_end(&worker->client->requests, request);
        unlink_sent(worker, batch);
        if (truc_status_retriable(refusal.status) && worker->state == WORKER_ACTIVE) {
            put_back(worker, batch, clock_now_ns() + (refusal.retry_after_ms > RETRY_MS ? refusal.retry_after_ms : RETRY_MS) * MS);
        } else {
            turns_answered(&worker->turns, batch->serial, worker->last_lease);
            finish(worker, batch, refusal.status);
        }
        return TRUC_OK;
    }
    if (frame->kind != FRAME_SETTLE_OK) {
        *ret_why = "settlements were answered with another kind of frame";
        return TRUC_PROTOCOL;
    }
    status = settle_batch_answer(batch, frame->header, ret_why);
    if (status != TRUC_OK)
        return status;
    request_end(&worker->client->requests, request);
    unlink_sent(worker, batch);
    turns_answered(&worker->turns, batch->serial, worker->last_lease);
    finish(worker, batch, TRUC_OK);
    worker_pump(worker);
    return TRUC_OK;
}

struct sending {
    truc_client *client;
    struct request *request;
};

static truc_status send_settle(void *context, const ProtobufCMessage *settle)
{
    const struct sending *sending = context;

    return client_send(sending->client, FRAME_SETTLE, sending->request, 0, settle);
}

/* False: not now. */
static bool send_batch(struct truc_worker *worker, struct settle_batch *batch)
{
    struct sending sending = {worker->client, &batch->request};
    truc_status status;

    settle_batch_pack(batch);
    batch->expired += worker->expired;
    worker->expired = 0;
    batch->request.answer = settle_answered;
    status = settle_batch_encode(batch, worker->request.id, send_settle, &sending);
    if (status != TRUC_OK) {
        put_back(worker, batch, clock_now_ns() + RETRY_MS * MS);
        return false;
    }
    batch->next = worker->settling.sent;
    worker->settling.sent = batch;
    worker->settling.sent_count++;
    worker->owed += batch->records;
    batch->records = 0; /* once, though it may be sent again */
    if (!worker->ordered)
        worker_give_credit(worker);
    return true;
}

static struct settle_batch *open_batch(struct truc_worker *worker)
{
    struct settling *settling = &worker->settling;

    if (settling->open == NULL) {
        settling->open = settle_batch_create(worker, settling->serial + 1);
        if (settling->open != NULL)
            settling->serial++;
    }
    return settling->open;
}

/* Ordered: whether more is acknowledged than the broker was told. */
static bool moved(const struct truc_worker *worker)
{
    return worker->ordered && worker->turn && worker->marks.reached.position > worker->settling.sent_position;
}

/* Ordered: what is acknowledged further becomes a batch. False when out of memory. */
static bool open_moved(struct truc_worker *worker)
{
    const struct mark *reached = &worker->marks.reached;
    struct settlement item = {.first = reached->number, .lease = reached->position, .count = 1, .outcome = TRUC_OUTCOME_ACK};
    struct settle_batch *batch;

    if (!moved(worker))
        return true;
    batch = open_batch(worker);
    if (batch == NULL)
        return false;
    (void)settle_batch_add(batch, &item); /* the batch is empty: it is sent before another position is reached */
    worker->settling.sent_position = reached->position;
    return true;
}

static void pump(struct truc_worker *worker, size_t most)
{
    struct settling *settling = &worker->settling;

    if (worker->state != WORKER_ACTIVE || worker->client->state != CLIENT_UP)
        return;
    settling->retry_at_ns = 0;
    while (settling->sent_count < most) {
        struct settle_batch *batch;

        if (settling->ready_head != NULL) {
            batch = take_first(&settling->ready_head, &settling->ready_tail);
            settling->ready_count--;
        } else {
            if (settling->open == NULL && !open_moved(worker)) {
                settling->retry_at_ns = clock_now_ns() + RETRY_MS * MS;
                client_wake_at(worker->client, settling->retry_at_ns);
                return;
            }
            batch = settling->open;
            settling->open = NULL;
            if (batch == NULL)
                return;
        }
        if (!send_batch(worker, batch))
            return;
    }
}

void worker_pump(struct truc_worker *worker)
{
    struct settling *settling = &worker->settling;

    if (settling->retry_at_ns != 0 && clock_now_ns() < settling->retry_at_ns)
        return;
    if (settling->idle_until_ns != 0 && clock_now_ns() < settling->idle_until_ns)
        return;
    settling->idle_until_ns = 0;
    /* Places follow each other even when one has to be sent again. */
    pump(worker, worker->ordered ? 1 : SETTLES_AT_ONCE);
}

void worker_pump_all(struct truc_worker *worker)
{
    pump(worker, SIZE_MAX);
}

/* --- settling ------------------------------------------------------------------------------------------------------------------
 */

/* Adds an item to the open batch, or to a new one when that is full. */
static truc_status add(struct truc_worker *worker, const struct settlement *item)
{
    struct settling *settling = &worker->settling;
    struct settle_batch *batch = open_batch(worker);

    if (batch == NULL)
        return TRUC_NO_MEMORY;
    if (!settle_batch_add(batch, item)) {
        append(&settling->ready_head, &settling->ready_tail, batch);
        settling->ready_count++;
        settling->open = NULL;
        batch = open_batch(worker);
        if (batch == NULL)
            return TRUC_NO_MEMORY;
        (void)settle_batch_add(batch, item);
    }
    if (item->outcome == TRUC_OUTCOME_ACK || item->outcome == TRUC_OUTCOME_NACK || item->outcome == TRUC_OUTCOME_REJECT)
        batch->records += item->count;
    return TRUC_OK;
}

/* The lease of a key is settled: the next one of it is handed over, or those behind it are void. */
static void pass_turn(struct truc_worker *worker, uint64_t key, uint64_t number, truc_outcome outcome)
{
    struct settle_batch *batch = worker->settling.open; /* the settlement is in it */

    if (outcome != TRUC_OUTCOME_ACK)
        batch->records += (uint32_t)turns_refused(&worker->turns, key, number, batch->serial);
    else if (turns_acknowledged(&worker->turns, key, number))
        intake_wake(&worker->intake);
}

static truc_status settle_shared(struct truc_worker *worker, uint64_t number, truc_outcome outcome, uint32_t delay_ms)
{
    const struct hand_item *held = hand_find(&worker->hand, number);
    struct settlement item = {.first = number, .count = 1, .delay_ms = delay_ms, .outcome = (uint8_t)outcome};
    truc_status status;
    uint64_t key;

    if (held == NULL)
        return TRUC_LEASE_LOST;
    /* What ends a lease is bounded by the credit; extensions are by this. */
    if (outcome == TRUC_OUTCOME_EXTEND && worker->settling.ready_count >= READY_MAX)
        return TRUC_QUEUE_FULL;
    item.lease = held->lease;
    key = held->key;
    status = add(worker, &item);
    if (status != TRUC_OK || outcome == TRUC_OUTCOME_EXTEND)
        return status;
    hand_settle(&worker->hand, number);
    if (key != 0)
        pass_turn(worker, key, number, outcome);
    return TRUC_OK;
}

static truc_status settle_ordered(struct truc_worker *worker, uint64_t number, truc_outcome outcome)
{
    if (outcome != TRUC_OUTCOME_ACK)
        return TRUC_UNSUPPORTED;
    if (!worker->turn || worker->state != WORKER_ACTIVE || number <= worker->marks.floor)
        return TRUC_LEASE_LOST;
    marks_acknowledge(&worker->marks, number);
    return TRUC_OK;
}

static truc_status settle(struct truc_worker *worker, uint64_t lease, truc_outcome outcome, uint32_t delay_ms)
{
    if (lease > worker->given)
        return TRUC_INVALID_ARGUMENT;
    return worker->ordered ? settle_ordered(worker, lease, outcome) : settle_shared(worker, lease, outcome, delay_ms);
}

truc_status worker_settle(struct truc_worker *worker, uint64_t lease, truc_outcome outcome, uint32_t delay_ms)
{
    truc_status status;

    if (worker == NULL || lease == 0 || delay_ms > DELAY_MS_MAX)
        return TRUC_INVALID_ARGUMENT;
    (void)pthread_mutex_lock(&worker->client->lock);
    status = settle(worker, lease, outcome, delay_ms);
    if (status == TRUC_OK) {
        worker->settling.idle_until_ns = 0;
        worker_pump(worker);
    }
    client_unlock(worker->client);
    return status;
}

truc_status worker_ack_idly(struct truc_worker *worker, uint64_t lease)
{
    struct settling *settling = &worker->settling;
    truc_status status;

    (void)pthread_mutex_lock(&worker->client->lock);
    status = settle(worker, lease, TRUC_OUTCOME_ACK, 0);
    if (status == TRUC_OK && settling->idle_until_ns == 0) {
        settling->idle_until_ns = clock_now_ns() + IDLE_NS;
        client_wake_at(worker->client, settling->idle_until_ns); /* mostly it is awake before */
    }
    client_unlock(worker->client);
    return status;
}

void worker_hurry(struct truc_worker *worker)
{
    (void)pthread_mutex_lock(&worker->client->lock);
    if (worker->settling.idle_until_ns != 0) {
        worker->settling.idle_until_ns = 0;
        worker_pump(worker);
    }
    (void)pthread_mutex_unlock(&worker->client->lock);
}

/* False: out of memory. */
static bool give_back(struct truc_worker *worker, uint64_t lease, uint64_t count)
{
    struct settlement item = {.first = lease, .lease = lease, .count = (uint32_t)count, .outcome = SETTLE_RETURN};

    return count == 0 || add(worker, &item) == TRUC_OK;
}

truc_status worker_return(struct truc_worker *worker, uint64_t lease)
{
    if (!give_back(worker, lease, 1))
        return TRUC_NO_MEMORY;
    worker->settling.open->records++;
    return TRUC_OK;
}

void worker_return_rest(struct truc_worker *worker)
{
    const struct turn *turn = worker->turns.ready.head;
    bool there_is_room = true;

    if (worker->ordered)
        return;
    for (uint64_t number = worker->given + 1; there_is_room && number < worker->next_number; number++) {
        const struct hand_item *held = hand_find(&worker->hand, number);

        there_is_room = held == NULL || give_back(worker, held->lease, 1);
    }
    /* What waits behind a record of its key is free with that one. */
    for (; there_is_room && turn != NULL; turn = turn->next)
        there_is_room = give_back(worker, turn->head->lease, 1);
    for (const struct parcel *parcel = worker->intake.head; there_is_room && parcel != NULL; parcel = parcel->next) {
        uint64_t from = parcel == worker->intake.head ? worker->place : 0;

        if (!parcel->stale)
            there_is_room = give_back(worker, delivery_first_lease(parcel) + from, delivery_record_count(parcel) - from);
    }
}

void worker_lose_unsent(struct truc_worker *worker, truc_status status)
{
    struct settling *settling = &worker->settling;

    hand_clear(&worker->hand);
    turns_clear(&worker->turns);
    settling->retry_at_ns = 0;
    while (settling->ready_head != NULL)
        finish(worker, take_first(&settling->ready_head, &settling->ready_tail), status);
    settling->ready_count = 0;
    if (settling->open != NULL)
        finish(worker, settling->open, status);
    settling->open = NULL;
}

void worker_lose(struct truc_worker *worker, truc_status status)
{
    while (worker->settling.sent != NULL) {
        struct settle_batch *batch = worker->settling.sent;

        request_end(&worker->client->requests, &batch->request);
        unlink_sent(worker, batch);
        finish(worker, batch, status);
    }
    worker_lose_unsent(worker, status);
}

/* --- what became of it -----------------------------------------------------------------------------------------------------------
 */

uint64_t worker_last_serial(const struct truc_worker *worker)
{
    return worker->settling.serial + moved(worker); /* the next batch takes what has moved with it */
}

static bool has_serial(const struct settle_batch *batch, uint64_t serial)
{
    for (; batch != NULL; batch = batch->next) {
        if (batch->serial <= serial)
            return true;
    }
    return false;
}

bool worker_unsettled(const struct truc_worker *worker, uint64_t serial)
{
    const struct settling *settling = &worker->settling;

    if (serial > settling->serial && moved(worker))
        return true;
    return has_serial(settling->open, serial) || has_serial(settling->ready_head, serial) || has_serial(settling->sent, serial) ||
           has_serial(settling->told_head, serial) || (settling->telling != 0 && settling->telling <= serial);
}

bool worker_tell(struct truc_worker *worker)
{
    struct settling *settling = &worker->settling;
    truc_client *client = worker->client;
    truc_settled settled[TOLD_AT_ONCE];
    struct settle_batch *batch;
    size_t item = 0, count;
    uint32_t place = 0;

    if (settling->told_head == NULL)
        return false;
    batch = take_first(&settling->told_head, &settling->told_tail);
    settling->telling = batch->serial;
    (void)pthread_mutex_unlock(&client->lock);
    while ((count = settle_batch_tell(batch, &item, &place, settled, TOLD_AT_ONCE)) > 0)
        worker->on_settled(worker->context, settled, count);
    settle_batch_destroy(batch);
    (void)pthread_mutex_lock(&client->lock);
    settling->telling = 0;
    (void)pthread_cond_broadcast(&client->changed);
    return true;
}

void worker_settling_fini(struct truc_worker *worker)
{
    while (worker->settling.told_head != NULL)
        settle_batch_destroy(take_first(&worker->settling.told_head, &worker->settling.told_tail));
}
