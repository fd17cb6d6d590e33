/* thread.c: truc_thread_json: a record with its recalls and all answers to it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/answer.h"
#include "clients/c/inquire.h"
#include "clients/c/topic_read.h"
#include "truc/v1/answer.pb-c.h"

enum { ITEMS_MAX = 65536 };

struct item {
    uint64_t position;
    uint32_t index;
    json_t *json;
};

struct thread {
    truc_message *record;
    const char *kind; /* of what is being read */
    struct item *items;
    size_t count, capacity;
};

static bool same_text(truc_text a, truc_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static json_t *hex_json(truc_text bytes)
{
    json_t *text = NULL;
    char *hex = malloc(2 * bytes.size + 1);

    if (hex == NULL)
        return NULL;
    for (size_t i = 0; i < bytes.size; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes.data[i]);
    text = json_stringn(hex, 2 * bytes.size);
    free(hex);
    return text;
}

/* Kind, place, times and source: what all of them have. */
static json_t *base_json(const char *kind, const truc_message *message)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "kind", kind, "topic", message->topic, "offset",
                     (json_int_t)message->offset, "position", (json_int_t)message->position, "index", (json_int_t)message->index,
                     "append_time_ns", (json_int_t)message->append_time_ns, "time_ns", (json_int_t)message->record.time_ns,
                     "source", json_sprintf("%s/%s", message->source, message->system), "id", hex_json(message->record.id));
}

/* Adds what an answer says; null for a status that this version does not know. */
static truc_status add_answer(json_t *json, const truc_message *message)
{
    Truc__V1__Answer *answer = truc__v1__answer__unpack(NULL, message->record.data_size, message->record.data);
    const char *name = answer != NULL ? truc_answer_name((truc_answer_status)answer->status) : NULL;
    truc_status status = TRUC_OK;

    if (json_object_set_new(json, "status", name != NULL ? json_string(name) : json_null()) != 0 ||
        json_object_set_new(json, "reason", json_string(answer != NULL ? answer->reason : "")) != 0)
        status = TRUC_NO_MEMORY;
    if (answer != NULL)
        truc__v1__answer__free_unpacked(answer, NULL);
    return status;
}

static truc_status add_recall(json_t *json, const truc_message *message)
{
    Truc__V1__Recall *recall = truc__v1__recall__unpack(NULL, message->record.data_size, message->record.data);
    int set = json_object_set_new(json, "reason", json_string(recall != NULL ? recall->reason : ""));

    if (recall != NULL)
        truc__v1__recall__free_unpacked(recall, NULL);
    return set == 0 ? TRUC_OK : TRUC_NO_MEMORY;
}

static truc_status add_item(struct thread *thread, const char *kind, const truc_message *message)
{
    json_t *json;
    truc_status status = TRUC_OK;

    if (thread->count == ITEMS_MAX)
        return TRUC_TOO_MANY;
    if (thread->count == thread->capacity) {
        size_t capacity = thread->capacity == 0 ? 16 : thread->capacity * 2;
        struct item *items = realloc(thread->items, capacity * sizeof *items);

        if (items == NULL)
            return TRUC_NO_MEMORY;
        thread->items = items;
        thread->capacity = capacity;
    }
    json = base_json(kind, message);
    if (json == NULL)
        return TRUC_NO_MEMORY;
    if (strcmp(kind, ANSWER_RELATION) == 0)
        status = add_answer(json, message);
    else if (strcmp(kind, RECALL_RELATION) == 0)
        status = add_recall(json, message);
    if (status != TRUC_OK) {
        json_decref(json);
        return status;
    }
    thread->items[thread->count++] = (struct item){message->position, message->index, json};
    return TRUC_OK;
}

/* Takes what is related to the record as its kind says; a recall only from the record's own agency. */
static truc_status visit(void *context, const truc_message *message)
{
    struct thread *thread = context;
    const truc_message *record = thread->record;
    truc_text relation = message->record.relates_to.relation, topic = message->record.relates_to.topic;

    if (!same_text(relation, (truc_text){thread->kind, strlen(thread->kind)}) ||
        !same_text(topic, (truc_text){record->topic, strlen(record->topic)}) ||
        message->record.relates_to.offset != record->offset || !same_text(message->record.relates_to.id, record->record.id) ||
        (message->record.relates_to.log_id != NULL &&
         memcmp(message->record.relates_to.log_id, record->log_id, LOG_ID_BYTES) != 0) ||
        (strcmp(thread->kind, RECALL_RELATION) == 0 && strcmp(message->source, record->source) != 0))
        return TRUC_OK;
    return add_item(thread, thread->kind, message);
}

/* What is said of the record comes behind it. */
static truc_status read_kind(truc_client *client, struct thread *thread, const char *kind, const char *topic, const char *type,
                             const char *key)
{
    struct topic_read read = {.topic = topic, .type = type, .key = key, .from = thread->record->position};
    truc_status status;

    thread->kind = kind;
    status = topic_read(client, &read, visit, thread, NULL);
    return status == TRUC_NOT_FOUND ? TRUC_OK : status;
}

static truc_status read_recalls(truc_client *client, struct thread *thread)
{
    truc_text key = thread->record->record.key;
    char *text = key.size > 0 && memchr(key.data, 0, key.size) == NULL ? strndup(key.data, key.size) : NULL;
    truc_status status = read_kind(client, thread, RECALL_RELATION, thread->record->topic, RECALL_TYPE, text);

    free(text);
    return status;
}

static truc_status read_answers(truc_client *client, struct thread *thread)
{
    char topic[ANSWER_TOPIC_BYTES], key[ANSWER_KEY_BYTES];

    answer_topic(thread->record, topic);
    answer_key(thread->record, key);
    return read_kind(client, thread, ANSWER_RELATION, topic, ANSWER_TYPE, key);
}

static int compare(const void *left, const void *right)
{
    const struct item *a = left, *b = right;

    if (a->position != b->position)
        return a->position < b->position ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static truc_status write_json(struct thread *thread, char **ret_json)
{
    json_t *list = json_array();

    qsort(thread->items, thread->count, sizeof thread->items[0], compare);
    for (size_t i = 0; i < thread->count && list != NULL; i++) {
        if (json_array_append(list, thread->items[i].json) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return inquire_json_text(list, ret_json);
}

truc_status truc_thread_json(truc_client *client, const char *topic, uint64_t offset, char **ret_json, char **ret_error)
{
    struct thread thread = {0};
    truc_status status;

    if (client == NULL || topic == NULL || ret_json == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = truc_message_read(client, topic, offset, client->settings.request_timeout_ms, &thread.record, ret_error);
    if (status != TRUC_OK)
        return status;
    status = add_item(&thread, "record", thread.record);
    if (status == TRUC_OK)
        status = read_recalls(client, &thread);
    if (status == TRUC_OK)
        status = read_answers(client, &thread);
    if (status == TRUC_OK)
        status = write_json(&thread, ret_json);
    for (size_t i = 0; i < thread.count; i++)
        json_decref(thread.items[i].json);
    free(thread.items);
    truc_message_free(thread.record);
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(status == TRUC_TOO_MANY ? "more than 65536 answers; read the answer topic by its key instead"
                                                              : truc_status_text(status));
    return status;
}
