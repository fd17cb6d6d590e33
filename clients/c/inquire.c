#include "clients/c/inquire.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truc/v1/wire.pb-c.h"

struct inquiry {
    struct request request;
    truc_client *client;
    enum frame_kind answer_kind;
    bool answered;
    truc_status status;
    struct inquiry_answer *answer;
};

static truc_status answered(struct request *request, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    struct inquiry *inquiry = (struct inquiry *)request; /* its first field */
    struct client_refusal refusal;
    truc_status status = TRUC_OK;

    (void)inbound;
    request_end(&inquiry->client->requests, request);
    inquiry->answered = true;
    if (frame->kind == FRAME_ERROR) {
        status = client_refusal_read(frame, &refusal, ret_why);
        inquiry->status = status == TRUC_OK ? refusal.status : status;
        if (status == TRUC_OK)
            (void)snprintf(inquiry->answer->why, sizeof inquiry->answer->why, "%s", refusal.text);
    } else if (frame->kind != inquiry->answer_kind) {
        *ret_why = "a request was answered with another kind of frame";
        inquiry->status = status = TRUC_PROTOCOL;
    } else {
        inquiry->answer->header = malloc(frame->header.size + 1);
        inquiry->answer->header_size = frame->header.size;
        inquiry->status = inquiry->answer->header == NULL ? TRUC_NO_MEMORY : TRUC_OK;
        if (inquiry->answer->header != NULL && frame->header.size > 0)
            memcpy(inquiry->answer->header, frame->header.data, frame->header.size);
    }
    (void)pthread_cond_broadcast(&inquiry->client->changed);
    return status;
}

/* Locked. Asks on the present connection; TRUC_UNREACHABLE when it is lost meanwhile. */
static truc_status ask_once(truc_client *client, enum frame_kind kind, const ProtobufCMessage *question, struct inquiry *inquiry,
                            int64_t deadline_ns)
{
    uint64_t session = client->session;
    truc_status status = client_send(client, kind, &inquiry->request, 0, question);

    if (status != TRUC_OK)
        return status;
    if (link_prepare(&client->link)) {
        (void)pthread_mutex_unlock(&client->lock);
        link_post(&client->link);
        (void)pthread_mutex_lock(&client->lock);
    }
    while (!inquiry->answered && client->state == CLIENT_UP && client->session == session) {
        if (!clock_wait(&client->changed, &client->lock, deadline_ns))
            break;
    }
    if (inquiry->answered)
        return inquiry->status;
    request_end(&client->requests, &inquiry->request);
    return client->state == CLIENT_UP && client->session == session ? TRUC_TIMED_OUT : TRUC_UNREACHABLE;
}

truc_status inquire(truc_client *client, enum frame_kind kind, const ProtobufCMessage *question, enum frame_kind answer_kind,
                    struct inquiry_answer *answer)
{
    struct inquiry inquiry = {.request = {.answer = answered}, .client = client, .answer_kind = answer_kind, .answer = answer};
    int64_t deadline_ns = clock_deadline(client->settings.request_timeout_ms);
    truc_status status = TRUC_UNREACHABLE;

    (void)pthread_mutex_lock(&client->lock);
    while (status == TRUC_UNREACHABLE) {
        while (client->state != CLIENT_UP && client->state != CLIENT_FAILED) {
            if (!clock_wait(&client->changed, &client->lock, deadline_ns))
                break;
        }
        if (client->state != CLIENT_UP) {
            status = client->status != TRUC_OK ? client->status : TRUC_TIMED_OUT;
            break;
        }
        answer->asked++;
        status = ask_once(client, kind, question, &inquiry, deadline_ns);
    }
    (void)pthread_mutex_unlock(&client->lock);
    return status;
}

truc_status truc_ping(truc_client *client, uint64_t *ret_round_trip_ns)
{
    Truc__V1__Ping ping = TRUC__V1__PING__INIT;
    struct inquiry_answer answer = {0};
    int64_t begin_ns = clock_now_ns();
    truc_status status;

    if (client == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = inquire(client, FRAME_PING, &ping.base, FRAME_PONG, &answer);
    if (status == TRUC_OK && ret_round_trip_ns != NULL)
        *ret_round_trip_ns = (uint64_t)(clock_now_ns() - begin_ns);
    free(answer.header);
    return status;
}

/* --- JSON ------------------------------------------------------------------------------------------------------------------- */

static json_t *hex_json(ProtobufCBinaryData bytes)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * 64 + 1];
    size_t size = bytes.len < 64 ? bytes.len : 64;

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    return json_stringn(text, 2 * size);
}

static json_t *number_json(uint64_t number)
{
    return json_integer((json_int_t)number);
}

static const char *evidence_name(int evidence)
{
    return evidence == TRUC__V1__EVIDENCE_LEVEL__EVIDENCE_BATCH ? "batch" : "record";
}

truc_status inquire_message(truc_client *client, enum frame_kind kind, const ProtobufCMessage *question,
                            enum frame_kind answer_kind, struct inquiry_answer *answer, uint8_t **ret_memory, void **ret_message)
{
    struct inquiry_answer own = {0};
    uint8_t *memory;
    struct arena arena;
    const char *why;
    size_t capacity;
    void *message;
    truc_status status;

    if (answer == NULL)
        answer = &own;
    status = inquire(client, kind, question, answer_kind, answer);
    if (status != TRUC_OK)
        return status;
    capacity = 4096 + 16 * answer->header_size; /* frame.h: a page decodes within this */
    memory = malloc(capacity);
    arena = (struct arena){memory, memory == NULL ? NULL : memory + capacity};
    message = memory == NULL ? NULL
                             : frame_header_decode(&arena, frame_header_descriptor(answer_kind),
                                                   bytes_of(answer->header, answer->header_size), &why);
    free(answer->header);
    answer->header = NULL;
    if (message == NULL) {
        free(memory);
        return memory == NULL ? TRUC_NO_MEMORY : TRUC_PROTOCOL;
    }
    *ret_memory = memory;
    *ret_message = message;
    return TRUC_OK;
}

truc_status inquire_json_text(json_t *take_json, char **ret_text)
{
    char *text = take_json == NULL ? NULL : json_dumps(take_json, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(take_json);
    if (text == NULL)
        return TRUC_NO_MEMORY;
    *ret_text = text;
    return TRUC_OK;
}

truc_status truc_log_info_json(truc_client *client, char **ret_json)
{
    Truc__V1__LogInfo question = TRUC__V1__LOG_INFO__INIT;
    const Truc__V1__LogInfoOk *info;
    uint8_t *memory = NULL;
    void *message = NULL;
    truc_status status;

    if (client == NULL || ret_json == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = inquire_message(client, FRAME_LOG_INFO, &question.base, FRAME_LOG_INFO_OK, NULL, &memory, &message);
    if (status != TRUC_OK)
        return status;
    info = message;
    status = inquire_json_text(
        json_pack("{s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "domain",
                  info->domain, "log_id", hex_json(info->log_id), "generation", number_json(info->generation), "engine",
                  info->engine, "state", info->state, "durable_block", number_json(info->durable_block), "durable_position",
                  number_json(info->durable_position), "record_count", number_json(info->record_count), "topic_count",
                  number_json(info->topic_count), "producer_count", number_json(info->producer_count), "bytes",
                  number_json(info->bytes), "segment_count", number_json(info->segment_count), "first_append_ns",
                  number_json((uint64_t)info->first_append_ns), "last_append_ns", number_json((uint64_t)info->last_append_ns),
                  "connection_count", number_json(info->connection_count), "reader_count", number_json(info->reader_count),
                  "clock_ns", number_json((uint64_t)info->clock_ns), "available_bytes", number_json(info->available_bytes)),
        ret_json);
    free(memory);
    return status;
}

static json_t *topic_json(const Truc__V1__TopicInfo *topic)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "topic", topic->topic, "topic_id",
                     number_json(topic->topic_id), "evidence", evidence_name((int)topic->evidence), "next_offset",
                     number_json(topic->next_offset), "first_position", number_json(topic->first_position), "last_position",
                     number_json(topic->last_position), "created_ns", number_json((uint64_t)topic->created_ns), "last_append_ns",
                     number_json((uint64_t)topic->last_append_ns), "bytes", number_json(topic->bytes), "entry_count",
                     number_json(topic->entry_count));
}

truc_status truc_topics_json(truc_client *client, const char *pattern, const char *after, unsigned limit, char **ret_json,
                             bool *ret_more)
{
    Truc__V1__Topics question = TRUC__V1__TOPICS__INIT;
    const Truc__V1__TopicsOk *page;
    uint8_t *memory = NULL;
    void *message = NULL;
    char *pattern_copy = NULL, *after_copy = NULL;
    json_t *list = NULL;
    truc_status status = TRUC_NO_MEMORY;

    if (client == NULL || pattern == NULL || after == NULL || ret_json == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    pattern_copy = strdup(pattern);
    after_copy = strdup(after);
    if (pattern_copy == NULL || after_copy == NULL)
        goto done;
    question.pattern = pattern_copy;
    question.after = after_copy;
    question.limit = limit;
    status = inquire_message(client, FRAME_TOPICS, &question.base, FRAME_TOPICS_OK, NULL, &memory, &message);
    if (status != TRUC_OK)
        goto done;
    page = message;
    list = json_array();
    for (size_t i = 0; i < page->n_topics && list != NULL; i++) {
        if (json_array_append_new(list, topic_json(page->topics[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    status = inquire_json_text(list, ret_json);
    if (status == TRUC_OK && ret_more != NULL)
        *ret_more = page->more;
done:
    free(memory);
    free(pattern_copy);
    free(after_copy);
    return status;
}
