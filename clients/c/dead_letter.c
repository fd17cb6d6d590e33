#include "clients/c/dead_letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/subscription.h"

static bool text_is(truc_text text, const char *other)
{
    return text.size == strlen(other) && (text.size == 0 || memcmp(text.data, other, text.size) == 0);
}

bool dead_number(const truc_message *message, const char *name, uint64_t *ret_number)
{
    const truc_record *record = &message->record;
    truc_text value = {0};
    uint64_t number = 0;

    for (size_t i = 0; i < record->header_count && value.size == 0; i++) {
        if (text_is(record->headers[i].name, name))
            value = record->headers[i].value;
    }
    for (size_t i = 0; i < value.size; i++) {
        unsigned digit = (unsigned char)value.data[i] - (unsigned)'0';

        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (value.size > 0)
        *ret_number = number;
    return value.size > 0;
}

bool dead_place(const truc_message *message, uint64_t *ret_position, uint32_t *ret_index)
{
    uint64_t position, index;

    if (!dead_number(message, "position", &position) || !dead_number(message, "index", &index) || index > UINT32_MAX)
        return false;
    *ret_position = position;
    *ret_index = (uint32_t)index;
    return true;
}

enum dead_kind dead_kind_of(const truc_message *message, uint64_t *ret_letter)
{
    truc_text type = message->record.type;
    uint64_t position, letter;
    uint32_t index;
    enum dead_kind kind = text_is(type, "truc.dead.redriven.v1")  ? DEAD_REDRIVEN
                          : text_is(type, "truc.dead.dropped.v1") ? DEAD_DROPPED
                                                                  : DEAD_OTHER;

    if (text_is(type, DEAD_LETTER_TYPE) && dead_place(message, &position, &index)) {
        *ret_letter = message->offset;
        return DEAD_LETTER;
    }
    if (kind == DEAD_OTHER || !dead_number(message, "letter-offset", &letter) || letter >= message->offset)
        return DEAD_OTHER;
    *ret_letter = letter;
    return kind;
}

truc_status dead_topic(truc_client *client, const char *subscription, char topic[DEAD_TOPIC_BYTES], char **ret_error)
{
    struct inquiry_answer answer = {0};
    const Truc__V1__SubscriptionInfo *info = NULL;
    uint8_t *memory = NULL;
    int size = 0;
    truc_status status = subscription_change(client, subscription, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_UNSPECIFIED,
                                             NULL, &answer, &memory, &info);

    if (status == TRUC_OK)
        size = snprintf(topic, DEAD_TOPIC_BYTES, "dead.%s.%s", info->owner, info->name);
    if (size >= DEAD_TOPIC_BYTES)
        status = TRUC_PROTOCOL; /* such names the broker does not take */
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(answer.why[0] != '\0' ? answer.why : truc_status_text(status));
    free(memory);
    return status;
}
