#include "clients/c/message_copy.h"

#include <stdlib.h>
#include <string.h>

enum { LOG_ID_SIZE = 16 };

/* message | headers | bytes: first everything is counted, then copied. */
struct copying {
    char *at; /* NULL: counts */
    size_t size;
};

static const char *copy_bytes(struct copying *copying, const void *data, size_t size)
{
    char *at = copying->at;

    copying->size += size;
    if (at == NULL || data == NULL)
        return data;
    if (size > 0)
        memcpy(at, data, size);
    copying->at += size;
    return at;
}

static void copy_text(struct copying *copying, truc_text *text)
{
    text->data = copy_bytes(copying, text->data, text->size);
}

static const char *copy_terminated(struct copying *copying, const char *text)
{
    return copy_bytes(copying, text, strlen(text) + 1);
}

/* Everything that the message points to but the headers' array. */
static void copy_all(struct copying *copying, truc_message *message, truc_header *headers)
{
    truc_record *record = &message->record;
    truc_text *texts[] = {&record->id,
                          &record->key,
                          &record->type,
                          &record->content_type,
                          &record->schema,
                          &record->correlation_id,
                          &record->traceparent,
                          &record->relates_to.topic,
                          &record->relates_to.id,
                          &record->relates_to.relation,
                          &message->encoded};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        copy_text(copying, texts[i]);
    record->data = copy_bytes(copying, record->data, record->data_size);
    if (record->relates_to.log_id != NULL)
        record->relates_to.log_id = (const uint8_t *)copy_bytes(copying, record->relates_to.log_id, LOG_ID_SIZE);
    if (message->log_id != NULL)
        message->log_id = (const uint8_t *)copy_bytes(copying, message->log_id, LOG_ID_SIZE);
    message->topic = copy_terminated(copying, message->topic);
    message->source = copy_terminated(copying, message->source);
    message->system = copy_terminated(copying, message->system);
    for (size_t i = 0; i < record->header_count; i++) {
        truc_header header = record->headers[i];

        copy_text(copying, &header.name);
        copy_text(copying, &header.value);
        if (headers != NULL)
            headers[i] = header;
    }
}

truc_message *message_copy(const truc_message *message)
{
    truc_message draft = *message, *copy;
    size_t headers_size = message->record.header_count * sizeof(truc_header);
    struct copying copying = {0};

    copy_all(&copying, &draft, NULL);
    copy = malloc(sizeof *copy + headers_size + copying.size);
    if (copy == NULL)
        return NULL;
    *copy = *message;
    copying.at = (char *)(copy + 1) + headers_size;
    copy_all(&copying, copy, (truc_header *)(copy + 1));
    copy->record.headers = copy->record.header_count > 0 ? (const truc_header *)(copy + 1) : NULL;
    return copy;
}

void truc_message_free(truc_message *message)
{
    free(message);
}
