#include "clients/c/request_wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proto/topic.h"

#define REPLY_TOPICS "reply."

truc_status request_names_make(struct request_names *ret_names, const char *agency, const char *system)
{
    uint64_t random[3];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return TRUC_INTERNAL;
    (void)snprintf(ret_names->topic, sizeof ret_names->topic, REPLY_TOPICS "%s.%s", agency, system);
    (void)snprintf(ret_names->key, sizeof ret_names->key, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    (void)snprintf(ret_names->run, sizeof ret_names->run, "%016" PRIx64, random[2]);
    return TRUC_OK;
}

void request_correlation(const struct request_names *names, uint64_t serial, char ret_text[CORRELATION_DIGITS + 1])
{
    (void)snprintf(ret_text, CORRELATION_DIGITS + 1, "%s%016" PRIx64, names->run, serial);
}

uint64_t request_serial(const struct request_names *names, truc_text correlation)
{
    uint64_t serial = 0;

    if (correlation.size != CORRELATION_DIGITS || memcmp(correlation.data, names->run, CORRELATION_RUN_DIGITS) != 0)
        return 0;
    for (size_t i = CORRELATION_RUN_DIGITS; i < CORRELATION_DIGITS; i++) {
        char digit = correlation.data[i];

        if (digit >= '0' && digit <= '9')
            serial = serial << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            serial = serial << 4 | (uint64_t)(digit - 'a' + 10);
        else
            return 0;
    }
    return serial;
}

static truc_text text_of(const char *text)
{
    return (truc_text){text, strlen(text)};
}

static bool is_text(truc_text text, const char *wanted)
{
    return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

/* The value of the first header of this name; NULL: there is none. */
static const truc_text *header_of(const truc_record *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++) {
        if (is_text(record->headers[i].name, name))
            return &record->headers[i].value;
    }
    return NULL;
}

truc_status request_dress(const struct request_names *names, const truc_record *request, int64_t expires_at_ns,
                          truc_header headers[RECORD_HEADERS_MAX], truc_record *ret_record)
{
    if (request == NULL || request->size < sizeof *request || (request->header_count > 0 && request->headers == NULL))
        return TRUC_INVALID_ARGUMENT;
    if (request->header_count > RECORD_HEADERS_MAX - REQUEST_HEADERS)
        return TRUC_BAD_RECORD;
    if (request->correlation_id.size > 0 || request->expires_at_ns != 0 || header_of(request, REQUEST_REPLY_TO) != NULL ||
        header_of(request, REQUEST_REPLY_KEY) != NULL)
        return TRUC_INVALID_ARGUMENT;
    *ret_record = *request;
    ret_record->size = sizeof *ret_record;
    ret_record->expires_at_ns = expires_at_ns;
    ret_record->headers = headers;
    for (size_t i = 0; i < request->header_count; i++)
        headers[i] = request->headers[i];
    headers[ret_record->header_count++] = (truc_header){text_of(REQUEST_REPLY_TO), text_of(names->topic)};
    headers[ret_record->header_count++] = (truc_header){text_of(REQUEST_REPLY_KEY), text_of(names->key)};
    return TRUC_OK;
}

bool request_wants_reply(const truc_record *request, char ret_topic[TOPIC_BYTES_MAX + 1], truc_text *ret_key)
{
    static const size_t prefix = sizeof REPLY_TOPICS - 1;
    const truc_text *to = header_of(request, REQUEST_REPLY_TO), *key = header_of(request, REQUEST_REPLY_KEY);

    /* Whoever may publish requests must not make a server publish anywhere else. */
    if (to == NULL || to->size <= prefix || memcmp(to->data, REPLY_TOPICS, prefix) != 0 ||
        topic_check(bytes_of(to->data, to->size), NULL) != TRUC_OK || (key != NULL && key->size > RECORD_KEY_BYTES_MAX))
        return false;
    memcpy(ret_topic, to->data, to->size);
    ret_topic[to->size] = '\0';
    *ret_key = key != NULL ? *key : (truc_text){0};
    return true;
}

void reply_dress(const truc_message *request, truc_text key, truc_record *reply)
{
    reply->size = sizeof *reply;
    reply->id = (truc_text){0};
    reply->key = key;
    reply->correlation_id = request->record.correlation_id;
    reply->relates_to.log_id = request->log_id;
    reply->relates_to.topic = text_of(request->topic);
    reply->relates_to.offset = request->offset;
    reply->relates_to.id = request->record.id;
    reply->relates_to.relation = text_of(REPLY_RELATION);
}
