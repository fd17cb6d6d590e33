#include "clients/c/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/producer.h"
#include "proto/utf8.h"
#include "truc/v1/answer.pb-c.h"

const char *truc_answer_name(truc_answer_status status)
{
    static const char *const names[] = {NULL,         "received", "accepted",      "refused",
                                        "processing", "done",     "recall-agreed", "recall-refused"};

    return (unsigned)status < sizeof names / sizeof names[0] ? names[status] : NULL;
}

void answer_topic(const truc_message *message, char topic[ANSWER_TOPIC_BYTES])
{
    (void)snprintf(topic, ANSWER_TOPIC_BYTES, "answer.%s", message->source);
}

void answer_key(const truc_message *message, char key[ANSWER_KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    truc_text id = message->record.id;
    size_t size = id.size < RECORD_ID_BYTES_MAX ? id.size : RECORD_ID_BYTES_MAX;

    for (size_t i = 0; i < size; i++) {
        key[2 * i] = digits[(unsigned char)id.data[i] >> 4];
        key[2 * i + 1] = digits[(unsigned char)id.data[i] & 15];
    }
    key[2 * size] = '\0';
}

static truc_text text_of(const char *text)
{
    return (truc_text){text, strlen(text)};
}

/* Whether a message can be related to, and a reason is one. */
static bool is_good(const truc_message *message, const char *reason)
{
    size_t size = reason != NULL ? strlen(reason) : 0;

    return message != NULL && message->size >= sizeof *message && message->topic != NULL && message->source != NULL &&
           message->record.id.size > 0 && size <= ANSWER_REASON_BYTES_MAX && (size == 0 || utf8_valid(bytes_of(reason, size)));
}

/* Publishes what is said of a record, its data packed from a message. */
static truc_status publish(truc_producer *producer, const char *topic, const truc_message *message, truc_text key, const char *type,
                           const char *relation, const char *schema, const ProtobufCMessage *data, void *opaque)
{
    truc_record record = TRUC_RECORD_INIT;
    size_t size = protobuf_c_message_get_packed_size(data);
    uint8_t *packed = malloc(size + 1);
    truc_status status;

    if (packed == NULL)
        return TRUC_NO_MEMORY;
    (void)protobuf_c_message_pack(data, packed);
    record.data = packed;
    record.data_size = size;
    record.key = key;
    record.type = text_of(type);
    record.content_type = text_of("application/protobuf");
    record.schema = text_of(schema);
    record.relates_to.log_id = message->log_id;
    record.relates_to.topic = text_of(message->topic);
    record.relates_to.offset = message->offset;
    record.relates_to.id = message->record.id;
    record.relates_to.relation = text_of(relation);
    status = truc_publish(producer, topic, &record, opaque);
    free(packed);
    return status;
}

truc_status truc_answer(truc_producer *producer, const truc_message *message, truc_answer_status status, const char *reason,
                        void *opaque)
{
    Truc__V1__Answer answer = TRUC__V1__ANSWER__INIT;
    char topic[ANSWER_TOPIC_BYTES], key[ANSWER_KEY_BYTES];

    if (producer == NULL || truc_answer_name(status) == NULL || !is_good(message, reason))
        return TRUC_INVALID_ARGUMENT;
    answer.status = (Truc__V1__AnswerStatus)status;
    if (reason != NULL)
        answer.reason = (char *)(uintptr_t)reason; /* read only */
    answer_topic(message, topic);
    answer_key(message, key);
    return publish(producer, topic, message, text_of(key), ANSWER_TYPE, ANSWER_RELATION, "truc.v1.Answer", &answer.base, opaque);
}

truc_status truc_recall(truc_producer *producer, const truc_message *message, const char *reason, void *opaque)
{
    Truc__V1__Recall recall = TRUC__V1__RECALL__INIT;

    if (producer == NULL || !is_good(message, reason))
        return TRUC_INVALID_ARGUMENT;
    if (strcmp(message->source, producer->client->settings.agency) != 0)
        return TRUC_NOT_ALLOWED;
    if (reason != NULL)
        recall.reason = (char *)(uintptr_t)reason; /* read only */
    return publish(producer, message->topic, message, message->record.key, RECALL_TYPE, RECALL_RELATION, "truc.v1.Recall",
                   &recall.base, opaque);
}
