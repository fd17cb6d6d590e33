/* receipt.c: truc receipt: what became of a record in each subscription that wants it. */
#include "clients/cli/receipt.h"

#include <inttypes.h>

#include "clients/cli/facts.h"
#include "clients/cli/place.h"

enum { NAMES_MAX = 16 };

struct receipt_options {
    struct cli_list wait_for;
    struct cli_time wait;
};

static const struct cli_option options[] = {
    {"wait-for", CLI_LIST, offsetof(struct receipt_options, wait_for), "SUBSCRIPTION",
     "wait until this one, NAME or AGENCY/NAME, is done with the record; may be given up to 16 times", 0, 0, NULL},
    {"wait-timeout", CLI_DURATION, offsetof(struct receipt_options, wait), "D",
     "for how long, as 5s or 10m; --timeout when not given", 0, 0, NULL},
};

uint32_t receipt_wait_ms(int64_t ns)
{
    int64_t ms = ns / 1000000, most = INT64_C(24) * 3600 * 1000;
    return (uint32_t)(ms > most ? most : ms);
}

/* A subscription's times as text, too. NULL when out of memory. */
static json_t *with_times(const json_t *receipt)
{
    json_t *facts = facts_with_times(receipt), *list = json_array();
    const json_t *subscriptions = json_object_get(receipt, "subscriptions");
    for (size_t i = 0; i < json_array_size(subscriptions); i++) {
        if (json_array_append_new(list, facts_with_times(json_array_get(subscriptions, i))) != 0) {
            goto failed;
        }
    }
    if (json_object_set_new(facts, "subscriptions", list) == 0) {
        return facts;
    }
    list = NULL;
failed:
    json_decref(list);
    json_decref(facts);
    return NULL;
}

static void print_lines(struct cli_context *context, const json_t *receipt)
{
    const json_t *subscriptions = json_object_get(receipt, "subscriptions"), *unwanted = json_object_get(receipt, "unwanted");
    char text[TIMESTAMP_TEXT_BYTES];
    out_format(&context->out,
               "%s offset %" JSON_INTEGER_FORMAT "  position %" JSON_INTEGER_FORMAT " index %" JSON_INTEGER_FORMAT "  %s\n",
               json_string_value(json_object_get(receipt, "topic")), json_integer_value(json_object_get(receipt, "offset")),
               json_integer_value(json_object_get(receipt, "position")), json_integer_value(json_object_get(receipt, "index")),
               place_time(receipt, "append_time_ns", text));
    for (size_t i = 0; i < json_array_size(subscriptions); i++) {
        const json_t *row = json_array_get(subscriptions, i);
        out_format(&context->out, "  %s/%-24s %-8s %-12s attempts %-3" JSON_INTEGER_FORMAT " %s  %s\n",
                   json_string_value(json_object_get(row, "owner")), json_string_value(json_object_get(row, "name")),
                   json_string_value(json_object_get(row, "mode")), json_string_value(json_object_get(row, "state")),
                   json_integer_value(json_object_get(row, "attempts")), place_time(row, "resolved_ns", text),
                   json_string_value(json_object_get(row, "reason")));
    }
    for (size_t i = 0; i < json_array_size(unwanted); i++) {
        out_format(&context->out, "  %s does not want it\n", json_string_value(json_array_get(unwanted, i)));
    }
    if (json_array_size(subscriptions) == 0) {
        cli_note(context, "no subscription wants it");
    }
}

static truc_status print(struct cli_context *context, char *take_text)
{
    json_t *receipt = place_json(context, take_text, "a receipt");
    if (receipt == NULL) {
        return TRUC_NO_MEMORY;
    }
    if (context->globals.json) {
        out_json_line(&context->out, with_times(receipt));
    } else {
        print_lines(context, receipt);
    }
    json_decref(receipt);
    return context->out.status;
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct receipt_options *given = values;
    uint32_t wait_ms = receipt_wait_ms(given->wait.given ? given->wait.ns : context->globals.timeout.ns);
    truc_client *client = NULL;
    uint64_t offset = 0;
    char *text = NULL, *why = NULL;
    (void)operand_count;
    truc_status status = place_parse(context, operands[0], operands[1], &offset);
    if (status == TRUC_OK && given->wait_for.count > NAMES_MAX) {
        status = cli_error(context, TRUC_USAGE, "--wait-for can be given %d times", (int)NAMES_MAX);
    }
    if (status == TRUC_OK) {
        status = cli_client(context, &client);
    }
    if (status != TRUC_OK) {
        return status;
    }
    status = truc_receipt_json(client, operands[0], offset, given->wait_for.items, given->wait_for.count, wait_ms, &text, &why);
    if (text != NULL) {
        truc_status printed = print(context, text);
        status = status != TRUC_OK ? status : printed;
    }
    if (status != TRUC_OK && context->out.status == TRUC_OK) {
        cli_error(context, status, "%s offset %" PRIu64 ": %s", operands[0], offset, why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    return status;
}

static const truc_status exits[] = {TRUC_INVALID_ARGUMENT, TRUC_TIMED_OUT,    TRUC_UNREACHABLE,     TRUC_BAD_TOPIC,
                                    TRUC_NOT_FOUND,        TRUC_OUT_OF_RANGE, TRUC_NOT_ACKNOWLEDGED};

const struct cli_verb verb_receipt = {
    .name = "receipt",
    .summary = "say what became of a record in each subscription",
    .example = "truc receipt dossier.status.H26.16 12\n"
               "truc receipt dossier.status.H26.16 12 --wait-for intake --wait-timeout 1m",
    .operands = "TOPIC OFFSET",
    .operands_min = 2,
    .operands_max = 2,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct receipt_options),
    .notes =
        "ahead: the subscription has not come to it; ready: its turn comes; leased: a worker has it; delayed: it waits for a time; "
        "acknowledged, dead, expired: it is done; passed: the subscription began behind it; resolved: it is done, how could not "
        "be found out.\n\n"
        "With --wait-for truc ends with 0 when all of those named have acknowledged the record, else with NOT_ACKNOWLEDGED; the "
        "answer is printed in either case.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
