#include "clients/c/dead_letter.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/subscription.h"

bool dead_letter_of(const truc_message *message, struct dead_letter *ret_letter)
{
    struct record_view record;
    const char *why;

    if (record_parse(bytes_of(message->encoded.data, message->encoded.size), &record, &why) != TRUC_OK ||
        !dead_letter_read(&record, ret_letter))
        return false;
    if (ret_letter->kind == LETTER_DEAD)
        ret_letter->letter_offset = message->offset;
    return ret_letter->kind == LETTER_DEAD || ret_letter->letter_offset < message->offset;
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
