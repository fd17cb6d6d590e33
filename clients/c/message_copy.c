#include "clients/c/message_copy.h"

#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"

/* The memory being filled: the message, its headers, then bytes without gaps. */
struct filling {
    uint8_t *at;
    truc_text from, to; /* the encoded record, and its copy: most texts lie in it */
};

static size_t size_of(const truc_message *message)
{
    const truc_record *record = &message->record;
    size_t size = sizeof *message + record->header_count * sizeof *record->headers + message->encoded.size + record->data_size +
                  LOG_ID_BYTES * 2 + strlen(message->topic) + strlen(message->source) + strlen(message->system) + 3;
    const truc_text texts[] = {record->id,
                               record->key,
                               record->type,
                               record->content_type,
                               record->schema,
                               record->correlation_id,
                               record->traceparent,
                               record->relates_to.topic,
                               record->relates_to.id,
                               record->relates_to.relation};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        size += texts[i].size;
    for (size_t i = 0; i < record->header_count; i++)
        size += record->headers[i].name.size + record->headers[i].value.size;
    return size;
}

static void *put(struct filling *filling, const void *bytes, size_t size)
{
    uint8_t *here = filling->at;

    if (size > 0)
        memcpy(here, bytes, size);
    filling->at += size;
    return here;
}

/* Where the copy of something is: in the encoded record when it lies there, else behind everything. */
static const void *move(struct filling *filling, const void *bytes, size_t size)
{
    uintptr_t at = (uintptr_t)bytes, from = (uintptr_t)filling->from.data;

    if (size == 0)
        return NULL;
    if (at >= from && at + size <= from + filling->from.size)
        return filling->to.data + (at - from);
    return put(filling, bytes, size);
}

static void move_text(struct filling *filling, truc_text *text)
{
    text->data = move(filling, text->data, text->size);
}

static void move_record(struct filling *filling, truc_record *record, truc_header *headers)
{
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i] = record->headers[i];
        move_text(filling, &headers[i].name);
        move_text(filling, &headers[i].value);
    }
    record->headers = record->header_count > 0 ? headers : NULL;
    record->data = move(filling, record->data, record->data_size);
    move_text(filling, &record->id);
    move_text(filling, &record->key);
    move_text(filling, &record->type);
    move_text(filling, &record->content_type);
    move_text(filling, &record->schema);
    move_text(filling, &record->correlation_id);
    move_text(filling, &record->traceparent);
    move_text(filling, &record->relates_to.topic);
    move_text(filling, &record->relates_to.id);
    move_text(filling, &record->relates_to.relation);
    if (record->relates_to.log_id != NULL)
        record->relates_to.log_id = move(filling, record->relates_to.log_id, LOG_ID_BYTES);
}

truc_message *message_copy(const truc_message *message)
{
    truc_message *copy = malloc(size_of(message));
    truc_header *headers = (truc_header *)(copy + 1);
    struct filling filling;

    if (copy == NULL)
        return NULL;
    *copy = *message;
    filling = (struct filling){.at = (uint8_t *)(headers + message->record.header_count), .from = message->encoded};
    copy->encoded.data = put(&filling, message->encoded.data, message->encoded.size);
    filling.to = copy->encoded;
    move_record(&filling, &copy->record, headers);
    copy->topic = put(&filling, message->topic, strlen(message->topic) + 1);
    copy->source = put(&filling, message->source, strlen(message->source) + 1);
    copy->system = put(&filling, message->system, strlen(message->system) + 1);
    if (message->log_id != NULL)
        copy->log_id = put(&filling, message->log_id, LOG_ID_BYTES);
    return copy;
}

void truc_message_free(truc_message *message)
{
    free(message);
}
