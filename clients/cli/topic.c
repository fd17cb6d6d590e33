/* topic.c: truc topic ls and truc topic info. */
#include <inttypes.h>
#include <stdio.h>

#include "clients/cli/facts.h"
#include "proto/limits.h"
#include "proto/topic.h"

enum { PAGE_TOPICS = 200 };

/* Asks for one page and calls `each` with every topic's facts. The last topic's name goes to `after`. */
static truc_status visit_page(struct cli_context *context, const char *pattern, char after[TOPIC_BYTES_MAX + 1],
                              void (*each)(struct cli_context *context, const json_t *facts), size_t *ret_count, bool *ret_more)
{
    char *text = NULL;
    json_t *page = NULL;
    truc_status status = truc_topics_json(context->client, pattern, after, PAGE_TOPICS, &text, ret_more);
    if (status != TRUC_OK) {
        return cli_error(context, status, "%s: %s", pattern, truc_status_text(status));
    }
    page = json_loads(text, 0, NULL);
    truc_free(text);
    *ret_count = json_array_size(page);
    for (size_t i = 0; status == TRUC_OK && i < *ret_count; i++) {
        json_t *facts = facts_with_times(json_array_get(page, i));
        const char *name = json_string_value(json_object_get(facts, "topic"));
        if (facts == NULL || name == NULL) {
            status = cli_error(context, TRUC_NO_MEMORY, "a page of topics");
        } else {
            snprintf(after, TOPIC_BYTES_MAX + 1, "%s", name);
            each(context, facts);
        }
        json_decref(facts);
    }
    if (page == NULL) {
        status = cli_error(context, TRUC_NO_MEMORY, "a page of topics");
    }
    json_decref(page);
    return status;
}

/* --- ls ------------------------------------------------------------------------------------------------------------------- */

static void print_row(struct cli_context *context, const json_t *facts)
{
    struct out *out = &context->out;
    if (context->globals.json) {
        out_json_line(out, json_incref((json_t *)(uintptr_t)facts));
        return;
    }
    const char *last = json_string_value(json_object_get(facts, "last_append"));
    out_format(out, "%-40s %12" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT "  %-8s  %s\n",
               json_string_value(json_object_get(facts, "topic")), json_integer_value(json_object_get(facts, "next_offset")),
               json_integer_value(json_object_get(facts, "bytes")), json_string_value(json_object_get(facts, "evidence")),
               last != NULL ? last : "-");
}

static truc_status run_ls(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    const char *pattern = operand_count > 0 ? operands[0] : "", *why = "";
    char after[TOPIC_BYTES_MAX + 1] = "";
    truc_client *client = NULL;
    size_t count = 0, total = 0;
    bool more = true;
    truc_status status = TRUC_OK;
    (void)options;
    if (operand_count > 0 && (status = pattern_check(bytes_of_text(pattern), &why)) != TRUC_OK) {
        return cli_error(context, status, "'%.300s': %s", pattern, why);
    }
    if ((status = cli_client(context, &client)) != TRUC_OK) {
        return status;
    }
    if (!context->globals.json) {
        out_format(&context->out, "%-40s %12s %14s  %-8s  %s\n", "topic", "records", "bytes", "evidence", "last append");
    }
    while (status == TRUC_OK && more) {
        status = visit_page(context, pattern, after, print_row, &count, &more);
        total += count;
        more = more && count > 0; /* an empty page is the end whatever it says */
        if (out_flush(&context->out) != TRUC_OK) {
            return context->out.status; /* main tells */
        }
    }
    if (status == TRUC_OK) {
        cli_note(context, "%zu topic%s", total, total == 1 ? "" : "s");
    }
    return status;
}

static const truc_status exits_ls[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_BAD_PATTERN};

const struct cli_verb verb_topic_ls = {
    .name = "topic ls",
    .summary = "list topics",
    .example = "truc topic ls\ntruc topic ls 'dossier.**' --json | jq -r .topic",
    .operands = "[PATTERN]",
    .operands_max = 1,
    .notes = "In the order of their names' bytes. With --json a line per topic, with the members of `truc topic info`.",
    .exits = exits_ls,
    .exit_count = CLI_COUNT(exits_ls),
    .run = run_ls,
};

/* --- info ----------------------------------------------------------------------------------------------------------------- */

static void print_facts(struct cli_context *context, const json_t *facts)
{
    if (context->globals.json) {
        out_json_line(&context->out, json_incref((json_t *)(uintptr_t)facts));
    } else {
        facts_print(&context->out, facts);
    }
}

static truc_status run_info(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    char after[TOPIC_BYTES_MAX + 1] = "";
    const char *why = "";
    truc_client *client = NULL;
    size_t count = 0;
    bool more = false;
    (void)options;
    (void)operand_count;
    truc_status status = topic_check(bytes_of_text(operands[0]), &why);
    if (status != TRUC_OK) {
        return cli_error(context, status, "'%.300s': %s", operands[0], why);
    }
    if ((status = cli_client(context, &client)) != TRUC_OK) {
        return status;
    }
    status = visit_page(context, operands[0], after, print_facts, &count, &more);
    if (status == TRUC_OK && count == 0) {
        return cli_error(context, TRUC_NOT_FOUND, "there is no topic %s", operands[0]);
    }
    return status;
}

static const truc_status exits_info[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_BAD_TOPIC, TRUC_NOT_FOUND};

const struct cli_verb verb_topic_info = {
    .name = "topic info",
    .summary = "say what a topic holds",
    .example = "truc topic info dossier.status.H26.16",
    .operands = "TOPIC",
    .operands_min = 1,
    .operands_max = 1,
    .notes = "next_offset is the number of records; their offsets are 0 to next_offset - 1. evidence record: each record can be "
             "proven alone; batch: "
             "a batch only as a whole. bytes are those of batches as they are stored.",
    .exits = exits_info,
    .exit_count = CLI_COUNT(exits_info),
    .run = run_info,
};
