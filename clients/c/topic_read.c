#include "clients/c/topic_read.h"

#include <inttypes.h>
#include <stdio.h>

static truc_status set(truc_options *options, const char *name, const char *value)
{
    return value != NULL ? truc_options_set(options, name, value) : TRUC_OK;
}

static truc_status set_all(truc_options *options, const struct topic_read *read)
{
    char from[40], limit[24];
    truc_status status;

    (void)snprintf(from, sizeof from, "%s=%" PRIu64, read->by_offset ? "offset" : "position", read->from);
    (void)snprintf(limit, sizeof limit, "%" PRIu64, read->limit);
    status = set(options, "from", from);
    status = status == TRUC_OK ? set(options, "limit", limit) : status;
    status = status == TRUC_OK ? set(options, "follow", read->follow ? "yes" : NULL) : status;
    status = status == TRUC_OK ? set(options, "type", read->type) : status;
    return status == TRUC_OK ? set(options, "key", read->key) : status;
}

static truc_status pull_all(truc_reader *reader, int timeout_ms, topic_visit *visit, void *context)
{
    const truc_message *message = NULL;
    truc_status status;

    do {
        status = truc_reader_pull(reader, timeout_ms, &message);
        if (message == NULL)
            break;
        status = visit(context, message);
    } while (status == TRUC_OK);
    return status;
}

truc_status topic_read(truc_client *client, const struct topic_read *read, topic_visit *visit, void *context, char **ret_error)
{
    int timeout_ms = read->timeout_ms != 0 ? read->timeout_ms : client->settings.request_timeout_ms;
    truc_options *options = NULL;
    truc_reader *reader = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = set_all(options, read);
    if (status == TRUC_OK)
        status = truc_reader_open(client, read->topic, options, NULL, NULL, NULL, &reader, ret_error);
    if (status == TRUC_OK)
        status = pull_all(reader, timeout_ms, visit, context);
    truc_reader_close(reader);
    truc_options_destroy(options);
    return status;
}
