/* subscription.c: truc subscription create, pause, resume, reset, rm. */
#include "clients/cli/subscription.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/topic.h"

/* --- places ---------------------------------------------------------------------------------------------------------------- */

truc_status subscription_place(struct cli_context *context, const char *given, char *text, size_t text_size)
{
    static const char *const bounds[] = {"new", "start", "head"};
    for (size_t i = 0; i < CLI_COUNT(bounds); i++) {
        if (strcmp(given, bounds[i]) == 0) {
            snprintf(text, text_size, "%s", given);
            return TRUC_OK;
        }
    }
    if (strncmp(given, "position=", 9) == 0 || strncmp(given, "offset=", 7) == 0) {
        snprintf(text, text_size, "%s", given);
        return TRUC_OK;
    }
    const char *why = "";
    int64_t ns = 0;
    bool zoned = false;
    if (timestamp_parse(given, strlen(given), &context->zone, context->now_ns, &ns, &zoned, &why) != TRUC_OK) {
        return cli_error(context, TRUC_USAGE, "a place is new, start, head, position=N, offset=N or a time; '%s' is %s", given,
                         why);
    }
    if (zoned) {
        char printed[TIMESTAMP_TEXT_BYTES];
        timestamp_print(ns, printed);
        cli_note(context, "%s, read in %s, is %s", given, context->zone.name, printed);
    }
    snprintf(text, text_size, "time_ns=%" PRId64, ns);
    return TRUC_OK;
}

/* --- create ---------------------------------------------------------------------------------------------------------------- */

struct create_options {
    const char *mode, *from, *key, *type, *source, *backoff;
    struct cli_list headers;
    struct cli_time ack_wait;
    struct cli_uint attempts, in_flight;
};

static const char *const modes[] = {"shared", "ordered", NULL};

static const struct cli_option create_options[] = {
    {"mode", CLI_CHOICE, offsetof(struct create_options, mode), "MODE",
     "shared (default): records are divided among workers; ordered: all in log order to one", 0, 0, modes},
    {"from", CLI_TEXT, offsetof(struct create_options, from), "PLACE",
     "new (default): what comes from now on; start: everything; position=N; offset=N (exact topic); or a time, as -1h", 0, 0, NULL},
    {"key", CLI_TEXT, offsetof(struct create_options, key), "K", "only records with this key", 0, 0, NULL},
    {"type", CLI_TEXT, offsetof(struct create_options, type), "T", "only records of this type", 0, 0, NULL},
    {"source", CLI_TEXT, offsetof(struct create_options, source), "S",
     "only records from this AGENCY or AGENCY/SYSTEM (before the verb --source says who is asking)", 0, 0, NULL},
    {"header", CLI_LIST, offsetof(struct create_options, headers), "N=V", "only records with this header; many: with all of them",
     0, 0, NULL},
    {"ack-wait", CLI_DURATION, offsetof(struct create_options, ack_wait), "S",
     "how long a worker may hold a record before it is given again; 30s when not given", 0, 0, NULL},
    {"attempts", CLI_UINT, offsetof(struct create_options, attempts), "N",
     "a record that failed so often is dead; 5 when not given, 0: never", 0, 1000000, NULL},
    {"in-flight", CLI_UINT, offsetof(struct create_options, in_flight), "N",
     "records that all workers together may hold at once; 10000 when not given", 1, 1000000, NULL},
    {"backoff-ms", CLI_TEXT, offsetof(struct create_options, backoff), "LIST",
     "pauses after the 1st, 2nd, ... failed attempt, as 100,1000,10000; at once when not given", 0, 0, NULL},
};

static truc_status set_headers(struct cli_context *context, truc_options *set, const struct cli_list *headers)
{
    struct out text;
    out_init(&text, -1);
    for (size_t i = 0; i < headers->count; i++) {
        out_text(&text, i > 0 ? ";" : "");
        out_text(&text, headers->items[i]);
    }
    out_bytes(&text, "", 1);
    truc_status status =
        text.status == TRUC_OK ? cli_set(context, set, "headers", text.data) : cli_error(context, text.status, "the headers");
    out_fini(&text);
    return status;
}

static truc_status set_filter(struct cli_context *context, truc_options *set, const struct create_options *given)
{
    truc_status status = cli_set_filter(context, set, given->key, given->type, given->source);
    if (status == TRUC_OK && given->headers.count > 0) {
        status = set_headers(context, set, &given->headers);
    }
    return status;
}

static truc_status set_shared(struct cli_context *context, truc_options *set, const struct create_options *given)
{
    truc_status status = TRUC_OK;
    if (given->ack_wait.given) {
        status = cli_set_i64(context, set, "ack_wait_ms", given->ack_wait.ns / 1000000);
    }
    if (status == TRUC_OK && given->attempts.given) {
        status = cli_set_u64(context, set, "attempts", given->attempts.value);
    }
    if (status == TRUC_OK && given->in_flight.given) {
        status = cli_set_u64(context, set, "in_flight_records", given->in_flight.value);
    }
    if (status == TRUC_OK && given->backoff != NULL) {
        status = cli_set(context, set, "backoff_ms", given->backoff);
    }
    return status;
}

static truc_status set_all(struct cli_context *context, truc_options *set, const char *pattern, const struct create_options *given)
{
    char place[64];
    truc_status status = cli_set(context, set, "pattern", pattern);
    if (status == TRUC_OK && given->mode != NULL) {
        status = cli_set(context, set, "mode", given->mode);
    }
    if (status == TRUC_OK && given->from != NULL) {
        status = subscription_place(context, given->from, place, sizeof place);
        status = status == TRUC_OK ? cli_set(context, set, "start", place) : status;
    }
    if (status == TRUC_OK) {
        status = set_filter(context, set, given);
    }
    return status == TRUC_OK ? set_shared(context, set, given) : status;
}

static truc_status run_create(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    truc_client *client = NULL;
    truc_options *set = NULL;
    const char *rule = "";
    char *why = NULL;
    (void)operand_count;
    truc_status status = pattern_check(bytes_of_text(operands[1]), &rule);
    if (status != TRUC_OK) {
        return cli_error(context, status, "'%.300s': %s", operands[1], rule);
    }
    if ((status = truc_options_create(&set)) != TRUC_OK) {
        return cli_error(context, status, "the subscription's options");
    }
    status = set_all(context, set, operands[1], values);
    if (status == TRUC_OK) {
        status = cli_client(context, &client);
    }
    if (status == TRUC_OK && (status = truc_subscription_create(client, operands[0], set, &why)) != TRUC_OK) {
        cli_error(context, status, "%s: %s", operands[0], why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    truc_options_destroy(set);
    return status == TRUC_OK ? subscription_show(context, operands[0]) : status;
}

static const truc_status exits_create[] = {TRUC_INVALID_ARGUMENT, TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_BAD_PATTERN,
                                           TRUC_OUT_OF_RANGE,     TRUC_TOO_MANY,  TRUC_EXISTS};

const struct cli_verb verb_subscription_create = {
    .name = "subscription create",
    .summary = "create a subscription",
    .example = "truc subscription create intake 'dossier.submitted.*' --from start\n"
               "truc subscription create mirror 'dossier.>' --mode ordered --from start\n"
               "truc subscription create stamps 'dossier.>' --header unit='Mot cua' --attempts 8 --backoff-ms 1000,10000,60000",
    .operands = "NAME PATTERN",
    .operands_min = 2,
    .operands_max = 2,
    .options = create_options,
    .option_count = CLI_COUNT(create_options),
    .options_size = sizeof(struct create_options),
    .notes =
        "The name is 1 to 64 of A-Z a-z 0-9 _ -, and belongs to the agency of --source. It is on the broker's disk when truc ends "
        "with 0. Created again with the same definition it stays as it is; with another one it is EXISTS.",
    .exits = exits_create,
    .exit_count = CLI_COUNT(exits_create),
    .run = run_create,
};

/* --- change ---------------------------------------------------------------------------------------------------------------- */

static truc_status change(struct cli_context *context, const char *name, truc_subscription_action action)
{
    truc_client *client = NULL;
    char *why = NULL;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    if ((status = truc_subscription_change(client, name, action, &why)) != TRUC_OK) {
        cli_error(context, status, "%s: %s", name, why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    return status;
}

static truc_status run_pause(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    (void)values;
    (void)operand_count;
    truc_status status = change(context, operands[0], TRUC_SUBSCRIPTION_PAUSE);
    return status == TRUC_OK ? subscription_show(context, operands[0]) : status;
}

static truc_status run_resume(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    (void)values;
    (void)operand_count;
    truc_status status = change(context, operands[0], TRUC_SUBSCRIPTION_RESUME);
    return status == TRUC_OK ? subscription_show(context, operands[0]) : status;
}

static truc_status run_rm(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    (void)values;
    (void)operand_count;
    truc_status status = change(context, operands[0], TRUC_SUBSCRIPTION_REMOVE);
    if (status == TRUC_OK) {
        cli_note(context, "removed %s", operands[0]);
    }
    return status;
}

static truc_status run_reset(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    truc_client *client = NULL;
    char place[64], *why = NULL;
    (void)values;
    (void)operand_count;
    truc_status status = subscription_place(context, operands[1], place, sizeof place);
    if (status == TRUC_OK) {
        status = cli_client(context, &client);
    }
    if (status != TRUC_OK) {
        return status;
    }
    if ((status = truc_subscription_reset(client, operands[0], place, &why)) != TRUC_OK) {
        cli_error(context, status, "%s: %s", operands[0], why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    return status == TRUC_OK ? subscription_show(context, operands[0]) : status;
}

static const truc_status exits_change[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_NOT_FOUND};
static const truc_status exits_reset[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_NOT_FOUND, TRUC_OUT_OF_RANGE};

const struct cli_verb verb_subscription_pause = {
    .name = "subscription pause",
    .summary = "stop giving a subscription's records",
    .example = "truc subscription pause intake",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .notes = "What workers hold may still be settled. The subscription keeps its place.",
    .exits = exits_change,
    .exit_count = CLI_COUNT(exits_change),
    .run = run_pause,
};

const struct cli_verb verb_subscription_resume = {
    .name = "subscription resume",
    .summary = "go on after a pause",
    .example = "truc subscription resume intake",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .exits = exits_change,
    .exit_count = CLI_COUNT(exits_change),
    .run = run_resume,
};

const struct cli_verb verb_subscription_reset = {
    .name = "subscription reset",
    .summary = "let a subscription go on at another place",
    .example =
        "truc subscription reset mirror start\ntruc subscription reset intake -1h\ntruc subscription reset intake position=120",
    .operands = "NAME PLACE",
    .operands_min = 2,
    .operands_max = 2,
    .notes =
        "PLACE is new, start, position=N, offset=N (exact topic) or a time. What workers hold and what waits is forgotten: records "
        "may be given again, or never. Workers that are connected end with CANCELLED.",
    .exits = exits_reset,
    .exit_count = CLI_COUNT(exits_reset),
    .run = run_reset,
};

const struct cli_verb verb_subscription_rm = {
    .name = "subscription rm",
    .summary = "remove a subscription",
    .example = "truc subscription rm intake",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .notes = "With its place and everything it knows of records; the records stay in the log, and so do its dead letters. Workers "
             "that are "
             "connected end with NOT_FOUND.",
    .exits = exits_change,
    .exit_count = CLI_COUNT(exits_change),
    .run = run_rm,
};
