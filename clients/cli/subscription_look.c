/* subscription_look.c: truc subscription ls and truc subscription info. */
#include <stdio.h>

#include "clients/cli/facts.h"
#include "clients/cli/subscription.h"
#include "proto/limits.h"

enum { PAGE_SUBSCRIPTIONS = 100 };

/* Lists as one text, for lines: "100, 1000". NULL when out of memory. */
static json_t *list_text(const json_t *list)
{
    struct out text;
    out_init(&text, -1);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        out_text(&text, i > 0 ? ", " : "");
        if (json_is_integer(item)) {
            out_i64(&text, (int64_t)json_integer_value(item));
        } else {
            out_text(&text, json_is_string(item) ? json_string_value(item) : "-");
        }
    }
    json_t *whole = text.status == TRUC_OK ? json_stringn(text.size > 0 ? text.data : "", text.size) : NULL;
    out_fini(&text);
    return whole;
}

/* One subscription as a JSON line, or as lines for people. */
static truc_status print_facts(struct cli_context *context, const json_t *object)
{
    json_t *facts = facts_with_times(object), *value;
    const char *name;
    void *next;
    if (facts == NULL) {
        return cli_error(context, TRUC_NO_MEMORY, "a subscription");
    }
    if (context->globals.json) {
        out_json_line(&context->out, facts);
        return TRUC_OK;
    }
    json_object_foreach_safe(facts, next, name, value)
    {
        if (json_is_array(value) && json_object_set_new(facts, name, list_text(value)) != 0) {
            json_decref(facts);
            return cli_error(context, TRUC_NO_MEMORY, "a subscription");
        }
    }
    facts_print(&context->out, facts);
    json_decref(facts);
    return TRUC_OK;
}

truc_status subscription_show(struct cli_context *context, const char *name)
{
    truc_client *client = NULL;
    char *text = NULL;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    status = truc_subscription_info_json(client, name, &text);
    if (status != TRUC_OK) {
        return cli_error(context, status, "%s: %s", name,
                         status == TRUC_NOT_FOUND ? "there is no such subscription" : truc_status_text(status));
    }
    json_t *object = json_loads(text, 0, NULL);
    truc_free(text);
    status = object != NULL ? print_facts(context, object) : cli_error(context, TRUC_NO_MEMORY, "a subscription");
    json_decref(object);
    return status;
}

static truc_status run_info(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    (void)options;
    (void)operand_count;
    return subscription_show(context, operands[0]);
}

/* --- ls ------------------------------------------------------------------------------------------------------------------- */

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static truc_status print_row(struct cli_context *context, const json_t *object)
{
    if (context->globals.json) {
        return print_facts(context, object);
    }
    out_format(&context->out,
               "%-24s %-8s %-7s %12" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT " %9" JSON_INTEGER_FORMAT
               " %8" JSON_INTEGER_FORMAT "  %s\n",
               json_string_value(json_object_get(object, "name")), json_string_value(json_object_get(object, "mode")),
               json_is_true(json_object_get(object, "paused")) ? "paused" : "on", number(object, "position"),
               number(object, "lag_positions"), number(object, "in_flight"), number(object, "dead"),
               json_string_value(json_object_get(object, "pattern")));
    return TRUC_OK;
}

/* Prints one page. The last name goes to `after`. */
static truc_status print_page(struct cli_context *context, char after[SUBSCRIPTION_NAME_BYTES_MAX + 1], size_t *ret_count,
                              bool *ret_more)
{
    char *text = NULL;
    truc_status status = truc_subscriptions_json(context->client, after, PAGE_SUBSCRIPTIONS, &text, ret_more);
    if (status != TRUC_OK) {
        return cli_error(context, status, "a page of subscriptions: %s", truc_status_text(status));
    }
    json_t *page = json_loads(text, 0, NULL);
    truc_free(text);
    if (page == NULL) {
        return cli_error(context, TRUC_NO_MEMORY, "a page of subscriptions");
    }
    *ret_count = json_array_size(page);
    for (size_t i = 0; status == TRUC_OK && i < *ret_count; i++) {
        const json_t *object = json_array_get(page, i);
        const char *name = json_string_value(json_object_get(object, "name"));
        snprintf(after, SUBSCRIPTION_NAME_BYTES_MAX + 1, "%s", name != NULL ? name : "");
        status = print_row(context, object);
    }
    json_decref(page);
    return status;
}

static truc_status run_ls(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    char after[SUBSCRIPTION_NAME_BYTES_MAX + 1] = "";
    truc_client *client = NULL;
    size_t count = 0, total = 0;
    bool more = true;
    (void)options;
    (void)operands;
    (void)operand_count;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    if (!context->globals.json) {
        out_format(&context->out, "%-24s %-8s %-7s %12s %10s %9s %8s  %s\n", "subscription", "mode", "state", "position", "waiting",
                   "in flight", "dead", "pattern");
    }
    while (status == TRUC_OK && more) {
        status = print_page(context, after, &count, &more);
        total += status == TRUC_OK ? count : 0;
        more = more && count > 0; /* an empty page is the end whatever it says */
        if (out_flush(&context->out) != TRUC_OK) {
            return context->out.status; /* main tells */
        }
    }
    if (status == TRUC_OK) {
        cli_note(context, "%zu subscription%s", total, total == 1 ? "" : "s");
    }
    return status;
}

static const truc_status exits_ls[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE};
static const truc_status exits_info[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_NOT_FOUND};

const struct cli_verb verb_subscription_ls = {
    .name = "subscription ls",
    .summary = "list the agency's subscriptions",
    .example = "truc subscription ls\ntruc --source H26.16/portal subscription ls --json | jq -r .name",
    .operands = "",
    .notes = "Those of the agency of --source, in the order of their names' bytes. With --json a line per subscription, with the "
             "members of `truc subscription info` but for the lag in records, bytes and seconds, and sources.",
    .exits = exits_ls,
    .exit_count = CLI_COUNT(exits_ls),
    .run = run_ls,
};

const struct cli_verb verb_subscription_info = {
    .name = "subscription info",
    .summary = "say what a subscription is and how it stands",
    .example = "truc subscription info intake",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .notes =
        "Everything below position is done. lag_positions is the entries of the log above it; lag_records and lag_bytes those of "
        "topics that match (lag_more: there are more), lag_seconds how long the first of them has been in the log, by this "
        "machine's clock. expired are records that expired before they were given. Of a shared subscription in_flight are held by "
        "workers, ready wait for one, delayed wait for their next attempt or their time, aside are for later or given again, lanes "
        "are keys that wait; lanes_full: too many keys wait, or too many records stand aside, and looking further has stopped "
        "until "
        "some are done. sources are those connected.",
    .exits = exits_info,
    .exit_count = CLI_COUNT(exits_info),
    .run = run_info,
};
