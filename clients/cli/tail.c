/* tail.c: truc tail: what is published from now on, as it comes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/cli/read.h"
#include "proto/topic.h"

struct tail_options {
    struct read_filter filter;
    const char *from;
    bool raw;
};

static const struct cli_option options[] = {
    {"from", CLI_TEXT, offsetof(struct tail_options, from), "PLACE",
     "new (default): what comes from now on; start: everything; an offset (exact topic); position=N; or a time, as -1h", 0, 0,
     NULL},
    {"key", CLI_TEXT, offsetof(struct tail_options, filter.key), "K", "only records with this key", 0, 0, NULL},
    {"type", CLI_TEXT, offsetof(struct tail_options, filter.type), "T", "only records of this type", 0, 0, NULL},
    {"source", CLI_TEXT, offsetof(struct tail_options, filter.source), "S",
     "only records from this AGENCY or AGENCY/SYSTEM (before the verb --source says who is asking)", 0, 0, NULL},
    {"limit", CLI_UINT, offsetof(struct tail_options, filter.limit), "N", "end after this many records", 1, 0, NULL},
    {"raw", CLI_FLAG, offsetof(struct tail_options, raw), NULL, "only the payloads' bytes, each with a newline behind it", 0, 0,
     NULL},
};

static bool all_digits(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* --from as a bound of libtruc's. */
static truc_status bound(struct cli_context *context, const char *from, const char *pattern, char *text, size_t text_size)
{
    if (from == NULL || strcmp(from, "new") == 0) {
        snprintf(text, text_size, "head");
        return TRUC_OK;
    }
    if (strcmp(from, "start") == 0 || strcmp(from, "head") == 0 || strncmp(from, "position=", 9) == 0) {
        snprintf(text, text_size, "%s", from);
        return TRUC_OK;
    }
    /* Eight digits and more are a date, as 20200605; longer offsets are written offset=N. */
    const char *offset = strncmp(from, "offset=", 7) == 0 ? from + 7 : all_digits(from) && strlen(from) < 8 ? from : NULL;
    if (offset != NULL) {
        if (!pattern_is_exact(bytes_of_text(pattern))) {
            return cli_error(context, TRUC_USAGE, "--from %s is an offset, which only an exact topic has, not '%.255s'", from,
                             pattern);
        }
        snprintf(text, text_size, "offset=%s", offset);
        return TRUC_OK;
    }
    const char *why = "";
    int64_t ns = 0;
    bool zoned = false;
    if (timestamp_parse(from, strlen(from), &context->zone, context->now_ns, &ns, &zoned, &why) != TRUC_OK) {
        return cli_error(context, TRUC_USAGE, "--from takes new, start, an offset, position=N or a time; '%s' is %s", from, why);
    }
    if (zoned) {
        char printed[TIMESTAMP_TEXT_BYTES];
        timestamp_print(ns, printed);
        cli_note(context, "--from %s, read in %s, is %s", from, context->zone.name, printed);
    }
    snprintf(text, text_size, "time_ns=%" PRId64, ns);
    return TRUC_OK;
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct tail_options *given = values;
    char from[64];
    (void)operand_count;
    truc_status status = read_check_pattern(context, operands[0]);
    if (status == TRUC_OK) {
        status = bound(context, given->from, operands[0], from, sizeof from);
    }
    if (status == TRUC_OK && given->raw && context->globals.json) {
        status = cli_error(context, TRUC_USAGE, "--raw writes nothing but payloads and cannot stand with --json");
    }
    if (status != TRUC_OK) {
        return status;
    }
    struct read_request request = {
        .pattern = operands[0],
        .from = from,
        .filter = &given->filter,
        .follow = true,
        .shape = context->globals.json ? MESSAGE_JSON
                 : given->raw          ? MESSAGE_RAW
                                       : MESSAGE_LINE,
    };
    status = read_run(context, &request);
    /* Being stopped is how a tail ends. */
    return status == TRUC_CANCELLED && cli_stopped() && context->out.status == TRUC_OK ? TRUC_OK : status;
}

static const truc_status exits[] = {TRUC_IO,           TRUC_TIMED_OUT,     TRUC_CANCELLED,   TRUC_UNREACHABLE,
                                    TRUC_LOG_MISMATCH, TRUC_LOG_WENT_BACK, TRUC_BAD_PATTERN, TRUC_DIGEST_MISMATCH,
                                    TRUC_OUT_OF_RANGE, TRUC_DAMAGED};

const struct cli_verb verb_tail = {
    .name = "tail",
    .summary = "show records as they are published",
    .example = "truc tail 'dossier.>'\n"
               "truc tail dossier.status.H26.16 --from -1h --json | jq -r .key\n"
               "truc tail dossier.status.H26.16 --from 100 --limit 10",
    .operands = "PATTERN",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct tail_options),
    .notes = "In a pattern * stands for one token, > at the end for one or more, ** at the end for any number; quote patterns, or "
             "the shell "
             "takes them. A lost connection is mended by itself, without gap or repetition. Interrupted (Ctrl-C), truc tail ends "
             "with 0.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
