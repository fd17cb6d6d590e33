/* log_info.c: truc log info: what the broker says of its log and of itself. */
#include "clients/cli/facts.h"

static truc_status run(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    truc_client *client = NULL;
    char *text = NULL;
    json_t *answer = NULL, *facts = NULL;
    (void)options;
    (void)operands;
    (void)operand_count;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    status = truc_log_info_json(client, &text);
    if (status != TRUC_OK) {
        return cli_error(context, status, "log info: %s", truc_status_text(status));
    }
    answer = json_loads(text, 0, NULL);
    facts = json_is_object(answer) ? facts_with_times(answer) : NULL;
    if (facts == NULL) {
        status = cli_error(context, TRUC_NO_MEMORY, "the answer of %zu bytes", strlen(text));
    } else if (context->globals.json) {
        out_json_line(&context->out, json_incref(facts));
    } else {
        facts_print(&context->out, facts);
    }
    json_decref(facts);
    json_decref(answer);
    truc_free(text);
    return status;
}

static const truc_status exits[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE};

const struct cli_verb verb_log_info = {
    .name = "log info",
    .summary = "say what the broker's log holds and how it fares",
    .example = "truc log info\ntruc log info --json | jq .durable_position",
    .operands = "",
    .notes = "durable_position is the durable head: every position below it is on disk. available_bytes is what may still be "
             "appended before the "
             "broker refuses. state is ok, or says what is wrong. Times are the broker's, in UTC.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
