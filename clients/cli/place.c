#include "clients/cli/place.h"

#include <inttypes.h>

#include "proto/topic.h"

truc_status place_number(struct cli_context *context, const char *name, const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10) {
            break;
        }
        number = number * 10 + digit;
    }
    if (at == text || *at != '\0') {
        return cli_error(context, TRUC_USAGE, "%s is a number from 0 on, not '%.64s'", name, text);
    }
    *ret_number = number;
    return TRUC_OK;
}

truc_status place_parse(struct cli_context *context, const char *topic, const char *offset, uint64_t *ret_offset)
{
    const char *why = "";
    truc_status status = topic_check(bytes_of_text(topic), &why);
    if (status != TRUC_OK) {
        return cli_error(context, status, "'%.300s': %s", topic, why);
    }
    return place_number(context, "OFFSET", offset, ret_offset);
}

truc_status place_read(struct cli_context *context, const char *topic, const char *offset, truc_message **ret_message)
{
    truc_client *client = NULL;
    uint64_t number = 0;
    char *why = NULL;
    truc_status status = place_parse(context, topic, offset, &number);
    if (status == TRUC_OK) {
        status = cli_client(context, &client);
    }
    if (status != TRUC_OK) {
        return status;
    }
    status = truc_message_read(client, topic, number, cli_timeout_ms(context), ret_message, &why);
    if (status != TRUC_OK) {
        cli_error(context, status, "%s offset %" PRIu64 ": %s", topic, number, why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    return status;
}

json_t *place_json(struct cli_context *context, char *take_text, const char *what)
{
    json_t *json = json_loads(take_text, 0, NULL);
    truc_free(take_text);
    if (json == NULL) {
        cli_error(context, TRUC_NO_MEMORY, "%s", what);
    }
    return json;
}

const char *place_time(const json_t *object, const char *name, char text[TIMESTAMP_TEXT_BYTES])
{
    int64_t ns = json_integer_value(json_object_get(object, name));
    if (ns == 0) {
        return "-";
    }
    timestamp_print(ns, text);
    return text;
}
