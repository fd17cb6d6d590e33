/* thread.c: truc thread: a record with its recalls and all answers to it. */
#include <inttypes.h>

#include "clients/cli/facts.h"
#include "clients/cli/message_print.h"
#include "clients/cli/place.h"

static void print_item(struct cli_context *context, const json_t *item)
{
    struct out *out = &context->out;
    char text[TIMESTAMP_TEXT_BYTES];
    if (context->globals.json) {
        out_json_line(out, facts_with_times(item));
        return;
    }
    const char *answer = json_string_value(json_object_get(item, "status")),
               *kind = json_string_value(json_object_get(item, "kind"));
    const char *reason = json_string_value(json_object_get(item, "reason"));
    out_format(out, "%s  %-14s  %s  %s %" JSON_INTEGER_FORMAT, place_time(item, "append_time_ns", text),
               answer != NULL ? answer : kind, json_string_value(json_object_get(item, "source")),
               json_string_value(json_object_get(item, "topic")), json_integer_value(json_object_get(item, "offset")));
    if (reason != NULL && reason[0] != '\0') {
        out_text(out, "  ");
        print_plain_text(out, bytes_of_text(reason));
    }
    out_text(out, "\n");
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    truc_client *client = NULL;
    uint64_t offset = 0;
    char *text = NULL, *why = NULL;
    (void)values;
    (void)operand_count;
    truc_status status = place_parse(context, operands[0], operands[1], &offset);
    if (status == TRUC_OK) {
        status = cli_client(context, &client);
    }
    if (status != TRUC_OK) {
        return status;
    }
    status = truc_thread_json(client, operands[0], offset, &text, &why);
    if (status != TRUC_OK) {
        cli_error(context, status, "%s offset %" PRIu64 ": %s", operands[0], offset, why != NULL ? why : truc_status_text(status));
        truc_free(why);
        return status;
    }
    json_t *items = place_json(context, text, "a thread");
    for (size_t i = 0; i < json_array_size(items); i++) {
        print_item(context, json_array_get(items, i));
    }
    json_decref(items);
    return items != NULL ? context->out.status : TRUC_NO_MEMORY;
}

static const truc_status exits[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE,  TRUC_BAD_TOPIC,
                                    TRUC_NOT_FOUND, TRUC_OUT_OF_RANGE, TRUC_TOO_MANY};

const struct cli_verb verb_thread = {
    .name = "thread",
    .summary = "show a record with its recalls and all answers to it",
    .example = "truc thread dossier.submitted.H26.16 12",
    .operands = "TOPIC OFFSET",
    .operands_min = 2,
    .operands_max = 2,
    .notes = "In the order of the log: the record, then what its sender and its receivers said of it. With --json a line each.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
