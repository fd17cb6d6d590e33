/* worker.c: the wire side of workers. */
#include "clients/c/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truc/v1/wire.pb-c.h"

enum { RETRY_MS = 100 };
#define MS INT64_C(1000000)

static void wait_until(struct truc_worker *worker, int64_t at_ns)
{
    worker->state = WORKER_WAITING;
    worker->retry_at_ns = at_ns;
    client_wake_at(worker->client, at_ns);
}

/* What was received and not given yet is not to be given any more. The head parcel stays while its jobs are in use. */
static void drop_received(struct truc_worker *worker)
{
    struct parcel *head = worker->at_work ? worker->intake.head : NULL;

    worker->pull_index = worker->pull_count = 0;
    worker->turn = false;
    if (head != NULL)
        head->stale = true;
    intake_drop(&worker->intake, head);
    intake_wake(&worker->intake);
}

/* The broker has forgotten this session of the subscription. */
static void forget(struct truc_worker *worker)
{
    request_end(&worker->client->requests, &worker->request);
    drop_received(worker);
    worker_lose(worker, TRUC_LEASE_LOST);
}

static void ask_again(struct truc_worker *worker, uint32_t retry_after_ms)
{
    forget(worker);
    wait_until(worker, clock_now_ns() + (retry_after_ms > RETRY_MS ? retry_after_ms : RETRY_MS) * MS);
}

static void become_over(struct truc_worker *worker, truc_status status, const char *why)
{
    worker->state = WORKER_OVER;
    worker->final.status = status;
    (void)snprintf(worker->final.why, sizeof worker->final.why, "%s", why);
    courier_wake(worker->client);
    (void)pthread_cond_broadcast(&worker->client->changed);
}

void worker_end(struct truc_worker *worker, truc_status status, const char *why)
{
    if (worker->state == WORKER_OVER)
        return;
    forget(worker);
    become_over(worker, status, why);
}

void worker_stop(struct truc_worker *worker, truc_status status, const char *why)
{
    Truc__V1__Cancel cancel = TRUC__V1__CANCEL__INIT;
    truc_client *client = worker->client;

    if (worker->state == WORKER_OVER)
        return;
    if (client->state == CLIENT_UP && worker->request.id != 0) {
        if (worker->state == WORKER_ACTIVE) {
            worker_return_rest(worker);
            worker_pump_all(worker);
        }
        (void)client_send(client, FRAME_CANCEL, NULL, worker->request.id, &cancel.base);
    }
    request_end(&client->requests, &worker->request);
    drop_received(worker);
    worker_lose_unsent(worker, TRUC_LEASE_LOST);
    become_over(worker, status, why);
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

static truc_status take_ok(struct truc_worker *worker, const struct frame *frame, const char **ret_why)
{
    size_t capacity = 4096 + 16 * frame->header.size;
    uint8_t *memory = malloc(capacity);
    struct arena arena = {memory, memory == NULL ? NULL : memory + capacity};
    const Truc__V1__SubscribeOk *ok;
    truc_status status = TRUC_PROTOCOL;

    *ret_why = "no memory for an answer";
    if (memory == NULL)
        return TRUC_NO_MEMORY;
    ok = frame_header_decode(&arena, &truc__v1__subscribe_ok__descriptor, frame->header, ret_why);
    if (ok != NULL && (worker->state != WORKER_ASKED || ok->info == NULL)) {
        *ret_why = "a subscribing was answered twice, or without saying what to";
    } else if (ok != NULL && ok->info->created_ns != worker->created_ns) {
        /* What it filters by is another's. */
        status = TRUC_OK;
        worker_stop(worker, TRUC_NOT_FOUND, "the subscription was removed, and another one created under its name");
    } else if (ok != NULL) {
        status = TRUC_OK;
        worker->state = WORKER_ACTIVE;
        worker->opened = true;
        (void)pthread_cond_broadcast(&worker->client->changed);
    }
    free(memory);
    return status;
}

/* Ordered: it is this worker's turn, from a place on. */
static truc_status take_turn(struct truc_worker *worker, const struct frame *frame, const char **ret_why)
{
    uint8_t memory[1024];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__ReadOk *ok = frame_header_decode(&arena, &truc__v1__read_ok__descriptor, frame->header, ret_why);

    if (ok == NULL)
        return TRUC_PROTOCOL;
    if (!worker->ordered || worker->state != WORKER_ACTIVE || worker->turn) {
        *ret_why = "a place to begin at that was not asked for";
        return TRUC_PROTOCOL;
    }
    worker->turn = true;
    worker->expired = 0;
    worker->next_position = ok->from_position;
    worker->consumed_position = ok->from_position;
    worker->settling.sent_position = ok->from_position;
    marks_reset(&worker->marks, worker->next_number - 1, ok->from_position);
    return TRUC_OK;
}

/* Takes the delivery. */
static truc_status add_parcel(struct truc_worker *worker, uint64_t next_position, struct delivery *delivery, struct bytes payload,
                              struct inbound **inbound)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);

    if (parcel == NULL)
        return TRUC_NO_MEMORY;
    parcel->from_position = worker->next_position;
    parcel->next_position = next_position;
    parcel->notes = delivery;
    if (intake_add(&worker->intake, parcel, payload, inbound) != TRUC_OK) {
        free(parcel);
        return TRUC_NO_MEMORY;
    }
    worker->next_position = next_position;
    return TRUC_OK;
}

/* Entries without a wanted record were passed; behind parcels that are here the last of them passes those, too. */
static void pass(struct truc_worker *worker, uint64_t next_position)
{
    worker->next_position = next_position;
    if (worker->intake.head != NULL && !worker->intake.head->stale)
        return;
    worker->consumed_position = next_position;
    marks_add(&worker->marks, worker->next_number - 1, next_position);
    worker_pump(worker);
}

/* Whether READ_DATA may say this now. */
static bool may_come(const struct truc_worker *worker, const Truc__V1__ReadData *header, size_t payload_size)
{
    return worker->turn && header->next_position >= worker->next_position &&
           (header->next_position > worker->next_position || payload_size == 0) &&
           worker->intake.queued_bytes <= 4 * (worker->credit + FRAME_BYTES_MAX);
}

static truc_status take_data(struct truc_worker *worker, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    const Truc__V1__ReadData *header = NULL;
    struct delivery *delivery = NULL;
    truc_status status = delivery_read(frame, &delivery, &header, ret_why);

    if (status != TRUC_OK)
        return status;
    if (!may_come(worker, header, frame->payload.size)) {
        *ret_why = "data of a subscription that was not asked for, or more of it than was granted";
        status = TRUC_PROTOCOL;
        goto done;
    }
    if (header->durable_position > worker->client->durable_position)
        worker->client->durable_position = header->durable_position;
    *ret_why = "no memory for received data";
    if (frame->payload.size > 0) {
        status = add_parcel(worker, header->next_position, delivery, frame->payload, inbound);
        if (status == TRUC_OK)
            delivery = NULL;
    } else if (header->next_position > worker->next_position) {
        pass(worker, header->next_position);
    }
done:
    free(delivery);
    return status;
}

static truc_status take_end(struct truc_worker *worker, const struct frame *frame, const char **ret_why)
{
    uint8_t memory[4096];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__ReadEnd *end = frame_header_decode(&arena, &truc__v1__read_end__descriptor, frame->header, ret_why);

    if (end == NULL || end->status > 255)
        return TRUC_PROTOCOL;
    if (end->status != TRUC_OK && truc_status_retriable((truc_status)end->status))
        ask_again(worker, 0);
    else /* a subscription has no end of its own */
        worker_end(worker, end->status == TRUC_OK ? TRUC_CANCELLED : (truc_status)end->status, end->message);
    return TRUC_OK;
}

static truc_status subscribe_answered(struct request *request, const struct frame *frame, struct inbound **inbound,
                                      const char **ret_why)
{
    struct truc_worker *worker = (struct truc_worker *)((char *)request - offsetof(struct truc_worker, request));
    struct client_refusal refusal;
    truc_status status;

    switch (frame->kind) {
    case FRAME_SUBSCRIBE_OK:
        return take_ok(worker, frame, ret_why);
    case FRAME_DELIVER:
        if (worker->ordered || worker->state != WORKER_ACTIVE)
            break;
        return delivery_take(worker, frame, inbound, ret_why);
    case FRAME_READ_OK:
        return take_turn(worker, frame, ret_why);
    case FRAME_READ_DATA:
        return take_data(worker, frame, inbound, ret_why);
    case FRAME_READ_END:
        return take_end(worker, frame, ret_why);
    case FRAME_ERROR:
        status = client_refusal_read(frame, &refusal, ret_why);
        if (status != TRUC_OK)
            return status;
        if (truc_status_retriable(refusal.status) && (worker->opened || refusal.status != TRUC_TOO_MANY))
            ask_again(worker, refusal.retry_after_ms);
        else
            worker_end(worker, refusal.status, refusal.text);
        return TRUC_OK;
    default:
        break;
    }
    *ret_why = "a worker was answered with a kind of frame that does not belong there";
    return TRUC_PROTOCOL;
}

/* --- asking ------------------------------------------------------------------------------------------------------------------- */

static void ask(struct truc_worker *worker)
{
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    subscribe.name = worker->name;
    subscribe.credit = worker->credit;
    subscribe.key_run_max = worker->key_run;
    worker->granted = worker->credit;
    worker->owed = 0;
    worker->last_lease = 0;
    worker->turn = false;
    worker->state = WORKER_ASKED;
    worker->request.answer = subscribe_answered;
    if (client_send(worker->client, FRAME_SUBSCRIBE, &worker->request, 0, &subscribe.base) != TRUC_OK)
        wait_until(worker, clock_now_ns() + RETRY_MS * MS);
}

void worker_connected(struct truc_worker *worker)
{
    if (worker->state == WORKER_WAITING)
        ask(worker);
}

void worker_disconnected(struct truc_worker *worker)
{
    if (worker->state == WORKER_OVER) {
        worker_lose(worker, TRUC_LEASE_LOST);
        return;
    }
    forget(worker);
    worker->state = WORKER_WAITING;
    worker->retry_at_ns = CLOCK_NEVER;
}

void worker_step(struct truc_worker *worker, int64_t now_ns)
{
    if (worker->settling.retry_at_ns != 0) {
        if (worker->settling.retry_at_ns <= now_ns)
            worker_pump(worker);
        else
            client_wake_at(worker->client, worker->settling.retry_at_ns);
    }
    if (worker->settling.idle_until_ns != 0) {
        if (worker->settling.idle_until_ns <= now_ns)
            worker_pump(worker);
        else
            client_wake_at(worker->client, worker->settling.idle_until_ns);
    }
    if (worker->state != WORKER_WAITING || worker->client->state != CLIENT_UP || worker->retry_at_ns == CLOCK_NEVER)
        return;
    if (worker->retry_at_ns <= now_ns)
        ask(worker);
    else
        client_wake_at(worker->client, worker->retry_at_ns);
}

void worker_give_credit(struct truc_worker *worker)
{
    Truc__V1__Credit credit = TRUC__V1__CREDIT__INIT;

    if (worker->state != WORKER_ACTIVE || worker->owed == 0)
        return;
    credit.bytes = worker->owed;
    if (client_send(worker->client, FRAME_CREDIT, NULL, worker->request.id, &credit.base) != TRUC_OK)
        return; /* with the next one */
    if (!worker->ordered)
        worker->granted += worker->owed;
    worker->owed = 0;
}
