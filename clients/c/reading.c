/* reading.c: the wire side of readers. */
#include "clients/c/reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/bound.h"

enum { RETRY_MS = 100 };
#define MS INT64_C(1000000)

void reading_end(struct truc_reader *reader, truc_status status, const char *why)
{
    if (reader->state == READING_OVER)
        return;
    request_end(&reader->client->requests, &reader->request);
    reader->state = READING_OVER;
    reader->final.status = status;
    reader->final.next_position = reader->next_position;
    (void)snprintf(reader->final.why, sizeof reader->final.why, "%s", why);
    courier_wake(reader->client);
    (void)pthread_cond_broadcast(&reader->client->changed);
}

bool reading_at_until(const struct truc_reader *reader)
{
    if (reader->follow)
        return false;
    return reader->reverse ? reader->next_position <= reader->until_position : reader->next_position >= reader->until_position;
}

static void wait_until(struct truc_reader *reader, int64_t at_ns)
{
    reader->state = READING_WAITING;
    reader->retry_at_ns = at_ns;
    client_wake_at(reader->client, at_ns);
}

void reading_ask_again(struct truc_reader *reader, int64_t at_ns)
{
    request_end(&reader->client->requests, &reader->request);
    wait_until(reader, at_ns);
}

static void take_ok(struct truc_reader *reader, const Truc__V1__ReadOk *ok)
{
    reader->state = READING_ACTIVE;
    if (reader->opened)
        return;
    reader->opened = true;
    reader->from_position = reader->next_position = reader->consumed_position = ok->from_position;
    reader->until_position = ok->until_position;
    if (ok->exact) {
        reader->filter.cut_by_offset = true;
        reader->filter.offset_low = reader->reverse ? ok->until_offset : ok->from_offset;
        reader->filter.offset_high = reader->reverse ? ok->from_offset : ok->until_offset;
    }
    (void)pthread_cond_broadcast(&reader->client->changed);
}

static truc_status add_parcel(struct truc_reader *reader, const Truc__V1__ReadData *header, struct bytes payload,
                              struct inbound **inbound)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);

    if (parcel == NULL)
        return TRUC_NO_MEMORY;
    parcel->from_position = reader->next_position;
    parcel->next_position = header->next_position;
    if (intake_add(&reader->intake, parcel, payload, inbound) != TRUC_OK) {
        free(parcel);
        return TRUC_NO_MEMORY;
    }
    reader->next_position = header->next_position;
    return TRUC_OK;
}

static truc_status take_data(struct truc_reader *reader, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    uint8_t memory[1024];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__ReadData *header = frame_header_decode(&arena, &truc__v1__read_data__descriptor, frame->header, ret_why);
    bool forward;

    if (header == NULL)
        return TRUC_PROTOCOL;
    forward = reader->reverse ? header->next_position < reader->next_position : header->next_position > reader->next_position;
    if (!forward && frame->payload.size == 0 && header->next_position == reader->next_position)
        return TRUC_OK; /* nothing, of nothing new */
    if (reader->state != READING_ACTIVE || !forward || reader->intake.queued_bytes > 4 * (reader->credit_bytes + FRAME_BYTES_MAX)) {
        *ret_why = "data of a reader that was not asked for, or more of it than was granted";
        return TRUC_PROTOCOL;
    }
    if (header->durable_position > reader->client->durable_position)
        reader->client->durable_position = header->durable_position;
    if (frame->payload.size == 0) {
        reader->next_position = header->next_position;
        return TRUC_OK;
    }
    *ret_why = "no memory for received data";
    return add_parcel(reader, header, frame->payload, inbound);
}

static truc_status take_end(struct truc_reader *reader, const struct frame *frame, const char **ret_why)
{
    uint8_t memory[4096];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__ReadEnd *end = frame_header_decode(&arena, &truc__v1__read_end__descriptor, frame->header, ret_why);

    if (end == NULL || end->status > 255)
        return TRUC_PROTOCOL;
    if (end->status != TRUC_OK && truc_status_retriable((truc_status)end->status)) {
        reading_ask_again(reader, clock_now_ns() + RETRY_MS * MS);
        return TRUC_OK;
    }
    /* Positions behind the last parcel in which nothing matched are passed too. */
    if (reader->reverse ? end->next_position < reader->next_position : end->next_position > reader->next_position)
        reader->next_position = end->next_position;
    reading_end(reader, (truc_status)end->status, end->message);
    return TRUC_OK;
}

static truc_status read_answered(struct request *request, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    struct truc_reader *reader = (struct truc_reader *)((char *)request - offsetof(struct truc_reader, request));
    uint8_t memory[1024];
    struct arena arena = {memory, memory + sizeof memory};
    const Truc__V1__ReadOk *ok;
    struct client_refusal refusal;
    truc_status status;

    switch (frame->kind) {
    case FRAME_READ_OK:
        ok = frame_header_decode(&arena, &truc__v1__read_ok__descriptor, frame->header, ret_why);
        if (ok == NULL)
            return TRUC_PROTOCOL;
        take_ok(reader, ok);
        return TRUC_OK;
    case FRAME_READ_DATA:
        return take_data(reader, frame, inbound, ret_why);
    case FRAME_READ_END:
        return take_end(reader, frame, ret_why);
    case FRAME_ERROR:
        status = client_refusal_read(frame, &refusal, ret_why);
        if (status != TRUC_OK)
            return status;
        if (truc_status_retriable(refusal.status) && (reader->opened || refusal.status != TRUC_TOO_MANY))
            reading_ask_again(reader,
                              clock_now_ns() + (refusal.retry_after_ms > RETRY_MS ? refusal.retry_after_ms : RETRY_MS) * MS);
        else
            reading_end(reader, refusal.status, refusal.text);
        return TRUC_OK;
    default:
        *ret_why = "a reader was answered with another kind of frame";
        return TRUC_PROTOCOL;
    }
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)(uintptr_t)bytes.data};
}

static void ask(struct truc_reader *reader)
{
    Truc__V1__Read read = TRUC__V1__READ__INIT;
    Truc__V1__Bound from, until;
    struct option_bound here = {.kind = BOUND_AT_POSITION, .value = reader->next_position};
    struct option_bound there = {.kind = BOUND_AT_POSITION, .value = reader->until_position};
    char source[SOURCE_BYTES_MAX + 1] = "";
    uint64_t queued = reader->intake.queued_bytes, least = reader->credit_bytes / 4;

    read.pattern = reader->pattern;
    read.from = bound_message(reader->opened ? &here : &reader->from, &from);
    read.until = reader->follow ? NULL : bound_message(reader->opened ? &there : &reader->until, &until);
    read.follow = reader->follow;
    read.reverse = reader->reverse;
    read.credit_bytes = reader->credit_bytes > queued + least ? reader->credit_bytes - queued : least;
    /* The broker is told what the parcels under way do not fill already; what it sends beyond is cut here. */
    read.records_max = reader->limit == UINT64_MAX ? 0 : reader->limit - reader->delivered;
    read.key = binary(reader->filter.key);
    read.type = binary(reader->filter.type);
    read.event_since_ns = reader->filter.event_since_ns;
    read.event_until_ns = reader->filter.event_until_ns;
    if (reader->agency != NULL)
        (void)snprintf(source, sizeof source, "%s%s%s", reader->agency, reader->system != NULL ? "/" : "",
                       reader->system != NULL ? reader->system : "");
    read.source = source;
    reader->owed_credit = 0;
    reader->state = READING_ASKED;
    reader->request.answer = read_answered;
    if (client_send(reader->client, FRAME_READ, &reader->request, 0, &read.base) != TRUC_OK)
        wait_until(reader, clock_now_ns() + RETRY_MS * MS);
}

void reading_connected(struct truc_reader *reader)
{
    if (reader->state == READING_WAITING)
        ask(reader);
}

void reading_disconnected(struct truc_reader *reader)
{
    if (reader->state == READING_OVER)
        return;
    reader->state = READING_WAITING;
    reader->retry_at_ns = CLOCK_NEVER;
}

void reading_step(struct truc_reader *reader, int64_t now_ns)
{
    if (reader->state != READING_WAITING || reader->client->state != CLIENT_UP || reader->retry_at_ns == CLOCK_NEVER)
        return;
    if (reader->retry_at_ns <= now_ns)
        ask(reader);
    else
        client_wake_at(reader->client, reader->retry_at_ns);
}

void reading_give_credit(struct truc_reader *reader, uint64_t bytes)
{
    Truc__V1__Credit credit = TRUC__V1__CREDIT__INIT;

    reader->owed_credit += bytes;
    if (reader->state != READING_ACTIVE || reader->owed_credit < reader->credit_bytes / 8)
        return;
    credit.bytes = reader->owed_credit;
    if (client_send(reader->client, FRAME_CREDIT, NULL, reader->request.id, &credit.base) == TRUC_OK)
        reader->owed_credit = 0;
}
