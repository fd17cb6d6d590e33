/* dead.c: truc dead ls and truc dead show: what a subscription gave up. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/cli/facts.h"
#include "clients/cli/message_print.h"
#include "clients/cli/place.h"

enum { PAGE_LETTERS = 1000 };

static truc_status list_error(struct cli_context *context, const char *subscription, truc_status status)
{
    return cli_error(context, status, "%s: %s", subscription,
                     status == TRUC_NOT_FOUND ? "there is no such subscription" : truc_status_text(status));
}

/* --- ls -------------------------------------------------------------------------------------------------------------------------
 */

struct ls_options {
    bool all;
};

static const struct cli_option ls_options[] = {
    {"all", CLI_FLAG, offsetof(struct ls_options, all), NULL, "also letters that were redriven or dropped", 0, 0, NULL},
};

static void print_row(struct cli_context *context, const json_t *letter)
{
    char text[TIMESTAMP_TEXT_BYTES];
    if (context->globals.json) {
        out_json_line(&context->out, facts_with_times(letter));
        return;
    }
    out_format(&context->out,
               "%10" JSON_INTEGER_FORMAT "  %-9s %-9s %8" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT
               "  %s\n",
               json_integer_value(json_object_get(letter, "offset")), json_string_value(json_object_get(letter, "state")),
               json_string_value(json_object_get(letter, "reason")), json_integer_value(json_object_get(letter, "attempts")),
               json_integer_value(json_object_get(letter, "position")), json_integer_value(json_object_get(letter, "index")),
               place_time(letter, "append_time_ns", text));
}

static truc_status run_ls(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct ls_options *given = values;
    truc_client *client = NULL;
    uint64_t from = 0, total = 0;
    bool more = true;
    (void)operand_count;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    while (more) {
        char *text = NULL;
        status = truc_dead_json(client, operands[0], from, PAGE_LETTERS, given->all, &text, &from, &more);
        if (status != TRUC_OK) {
            return list_error(context, operands[0], status);
        }
        json_t *page = place_json(context, text, "a page of letters");
        if (page == NULL) {
            return TRUC_NO_MEMORY;
        }
        if (total == 0 && json_array_size(page) > 0 && !context->globals.json) {
            out_format(&context->out, "%10s  %-9s %-9s %8s %12s %6s  %s\n", "letter", "state", "reason", "attempts", "position",
                       "index", "since");
        }
        for (size_t i = 0; i < json_array_size(page); i++) {
            print_row(context, json_array_get(page, i));
        }
        total += json_array_size(page);
        json_decref(page);
        if (out_flush(&context->out) != TRUC_OK) {
            return context->out.status; /* main tells */
        }
    }
    cli_note(context, "%" PRIu64 " %sletter%s", total, given->all ? "" : "open ", total == 1 ? "" : "s");
    return TRUC_OK;
}

static const truc_status exits_ls[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_NOT_FOUND};

const struct cli_verb verb_dead_ls = {
    .name = "dead ls",
    .summary = "list a subscription's dead letters",
    .example = "truc dead ls intake\ntruc dead ls intake --all --json",
    .operands = "SUBSCRIPTION",
    .operands_min = 1,
    .operands_max = 1,
    .options = ls_options,
    .option_count = CLI_COUNT(ls_options),
    .options_size = sizeof(struct ls_options),
    .notes =
        "A letter stands for a record that the subscription gave up: after its last attempt (attempts), because a worker rejected "
        "it (rejected), or because it cannot be read (damaged). The letter's number is its offset in "
        "dead.AGENCY.SUBSCRIPTION; position and index are the record's. Without --all only letters about which nothing was done.",
    .exits = exits_ls,
    .exit_count = CLI_COUNT(exits_ls),
    .run = run_ls,
};

/* --- show -----------------------------------------------------------------------------------------------------------------------
 */

/* The letter at an offset, as truc_dead_json lists it; NULL: printed. */
static json_t *find_letter(struct cli_context *context, truc_client *client, const char *subscription, uint64_t offset,
                           truc_status *ret_status)
{
    char *text = NULL;
    *ret_status = truc_dead_json(client, subscription, offset, 1, true, &text, NULL, NULL);
    if (*ret_status != TRUC_OK) {
        list_error(context, subscription, *ret_status);
        return NULL;
    }
    json_t *page = place_json(context, text, "a letter");
    json_t *letter = json_incref(json_array_get(page, 0));
    json_decref(page);
    if (page == NULL) {
        *ret_status = TRUC_NO_MEMORY;
    } else if (letter == NULL || (uint64_t)json_integer_value(json_object_get(letter, "offset")) != offset) {
        *ret_status = cli_error(context, TRUC_NOT_FOUND, "%s has no dead letter %" PRIu64, subscription, offset);
        json_decref(letter);
        letter = NULL;
    }
    return letter;
}

/* Reads the record at a place; a letter knows it by its entry's position, whatever its topic. */
static truc_status show_record(struct cli_context *context, truc_client *client, const char *pattern, uint64_t position,
                               uint64_t index)
{
    struct message_printer printer;
    const truc_message *message = NULL;
    truc_options *set = NULL;
    truc_reader *reader = NULL;
    char bound[40], *why = NULL;
    truc_status status = truc_options_create(&set);
    if (status != TRUC_OK) {
        return cli_error(context, status, "the reader's options");
    }
    message_printer_init(&printer, &context->out, context->globals.json ? MESSAGE_JSON : MESSAGE_LINE);
    snprintf(bound, sizeof bound, "position=%" PRIu64, position);
    status = cli_set(context, set, "from", bound);
    snprintf(bound, sizeof bound, "position=%" PRIu64, position + 1);
    status = status == TRUC_OK ? cli_set(context, set, "until", bound) : status;
    if (status != TRUC_OK) {
        goto done;
    }
    status = truc_reader_open(client, pattern, set, NULL, NULL, NULL, &reader, &why);
    while (status == TRUC_OK) {
        status = truc_reader_pull(reader, cli_timeout_ms(context), &message);
        if (message == NULL || message->index == index) {
            break;
        }
    }
    if (status != TRUC_OK) {
        cli_error(context, status, "the record at position %" PRIu64 ": %s", position,
                  why != NULL ? why : truc_status_text(status));
    } else if (message == NULL) {
        status = cli_error(context, TRUC_NOT_FOUND, "there is no record at position %" PRIu64 " index %" PRIu64, position, index);
    } else {
        message_print(&printer, message);
    }
done:
    truc_reader_close(reader);
    truc_free(why);
    truc_options_destroy(set);
    message_printer_fini(&printer);
    return status;
}

static truc_status show(struct cli_context *context, truc_client *client, const char *subscription, const json_t *letter)
{
    char *text = NULL;
    json_t *facts = facts_with_times(letter);
    if (facts == NULL) {
        return cli_error(context, TRUC_NO_MEMORY, "a letter");
    }
    if (context->globals.json) {
        out_json_line(&context->out, json_incref(facts));
    } else {
        facts_print(&context->out, facts);
    }
    json_decref(facts);
    truc_status status = truc_subscription_info_json(client, subscription, &text);
    if (status != TRUC_OK) {
        return list_error(context, subscription, status);
    }
    json_t *info = place_json(context, text, "a subscription");
    const char *pattern = json_string_value(json_object_get(info, "pattern"));
    status = pattern == NULL
                 ? TRUC_NO_MEMORY
                 : show_record(context, client, pattern, (uint64_t)json_integer_value(json_object_get(letter, "position")),
                               (uint64_t)json_integer_value(json_object_get(letter, "index")));
    json_decref(info);
    return status;
}

static truc_status run_show(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    truc_client *client = NULL;
    uint64_t offset = 0;
    (void)values;
    (void)operand_count;
    truc_status status = place_number(context, "OFFSET", operands[1], &offset);
    if (status == TRUC_OK) {
        status = cli_client(context, &client);
    }
    if (status != TRUC_OK) {
        return status;
    }
    json_t *letter = find_letter(context, client, operands[0], offset, &status);
    if (letter != NULL) {
        status = show(context, client, operands[0], letter);
    }
    json_decref(letter);
    return status;
}

static const truc_status exits_show[] = {TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_NOT_FOUND, TRUC_OUT_OF_RANGE, TRUC_DAMAGED};

const struct cli_verb verb_dead_show = {
    .name = "dead show",
    .summary = "show a dead letter and the record that it stands for",
    .example = "truc dead show intake 12",
    .operands = "SUBSCRIPTION OFFSET",
    .operands_min = 2,
    .operands_max = 2,
    .notes =
        "OFFSET is the letter's, as truc dead ls shows it. The record is read by its place in the log; one that is damaged cannot "
        "be shown.",
    .exits = exits_show,
    .exit_count = CLI_COUNT(exits_show),
    .run = run_show,
};
