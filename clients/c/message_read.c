/* message_read.c: one record, read by its place, as a message of its own. */
#include <stdio.h>

#include "clients/c/message_copy.h"
#include "clients/c/topic_read.h"
#include "proto/topic.h"

static truc_status keep(void *context, const truc_message *message)
{
    truc_message **copy = context;

    *copy = message_copy(message);
    return *copy != NULL ? TRUC_OK : TRUC_NO_MEMORY;
}

truc_status truc_message_read(truc_client *client, const char *topic, uint64_t offset, int timeout_ms, truc_message **ret_message,
                              char **ret_error)
{
    struct topic_read read = {.topic = topic, .by_offset = true, .from = offset, .limit = 1, .timeout_ms = timeout_ms};
    truc_message *message = NULL;
    const char *rule = "";
    char *why = NULL;
    truc_status status;

    if (client == NULL || topic == NULL || ret_message == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = topic_check(bytes_of_text(topic), &rule); /* a pattern has no offsets */
    if (status == TRUC_OK) {
        rule = "";
        status = topic_read(client, &read, keep, &message, &why);
    }
    if (status == TRUC_OK && message == NULL) {
        rule = "the offset is the topic's next one: there is no such record yet";
        status = TRUC_OUT_OF_RANGE;
    }
    if (status == TRUC_OK) {
        *ret_message = message;
    } else {
        truc_message_free(message);
        if (ret_error != NULL)
            *ret_error = client_text_copy(why != NULL ? why : rule[0] != '\0' ? rule : truc_status_text(status));
    }
    truc_free(why);
    return status;
}
