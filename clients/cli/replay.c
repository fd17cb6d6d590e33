/* replay.c: truc replay: the past of a topic or a pattern, within bounds, forwards or backwards. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/cli/read.h"
#include "proto/topic.h"

struct replay_options {
    struct read_filter filter;
    struct cli_uint from, to;
    struct cli_time since, until;
    bool reverse, digest, raw;
};

static const struct cli_option options[] = {
    {"from", CLI_UINT, offsetof(struct replay_options, from), "OFFSET",
     "begin with the record at this offset; needs an exact topic", 0, 0, NULL},
    {"to", CLI_UINT, offsetof(struct replay_options, to), "OFFSET", "end before the record at this offset; needs an exact topic", 0,
     0, NULL},
    {"since", CLI_TIME, offsetof(struct replay_options, since), "TIME", "begin with what was appended at or after this time", 0, 0,
     NULL},
    {"until", CLI_TIME, offsetof(struct replay_options, until), "TIME", "end before what was appended at or after this time", 0, 0,
     NULL},
    {"event-since", CLI_TIME, offsetof(struct replay_options, filter.event_since), "TIME",
     "only records whose own time is at or after this", 0, 0, NULL},
    {"event-until", CLI_TIME, offsetof(struct replay_options, filter.event_until), "TIME",
     "only records whose own time is before this", 0, 0, NULL},
    {"key", CLI_TEXT, offsetof(struct replay_options, filter.key), "K", "only records with this key", 0, 0, NULL},
    {"type", CLI_TEXT, offsetof(struct replay_options, filter.type), "T", "only records of this type", 0, 0, NULL},
    {"source", CLI_TEXT, offsetof(struct replay_options, filter.source), "S",
     "only records from this AGENCY or AGENCY/SYSTEM (before the verb --source says who is asking)", 0, 0, NULL},
    {"limit", CLI_UINT, offsetof(struct replay_options, filter.limit), "N", "end after this many records", 1, 0, NULL},
    {"reverse", CLI_FLAG, offsetof(struct replay_options, reverse), NULL, "the same records, the last one first", 0, 0, NULL},
    {"digest", CLI_FLAG, offsetof(struct replay_options, digest), NULL,
     "end with the digest of what was shown: equal for everybody who replays the same", 0, 0, NULL},
    {"raw", CLI_FLAG, offsetof(struct replay_options, raw), NULL, "only the payloads' bytes, each with a newline behind it", 0, 0,
     NULL},
};

/* "offset=12", "time_ns=99" or, when neither was given, NULL. */
static const char *bound(const struct cli_uint *offset, const struct cli_time *time, char *text, size_t text_size)
{
    if (offset->given) {
        snprintf(text, text_size, "offset=%" PRIu64, offset->value);
    } else if (time->given) {
        snprintf(text, text_size, "time_ns=%" PRId64, time->ns);
    } else {
        return NULL;
    }
    return text;
}

static truc_status check(struct cli_context *context, const struct replay_options *given, const char *pattern)
{
    truc_status status = read_check_pattern(context, pattern);
    if (status != TRUC_OK) {
        return status;
    }
    if ((given->from.given || given->to.given) && !pattern_is_exact(bytes_of_text(pattern))) {
        return cli_error(context, TRUC_USAGE,
                         "--from and --to take offsets, which only an exact topic has, not '%.255s'; use --since and --until",
                         pattern);
    }
    if ((given->from.given && given->since.given) || (given->to.given && given->until.given)) {
        return cli_error(context, TRUC_USAGE, "%s both say where to %s; give one of them",
                         given->from.given ? "--from and --since" : "--to and --until", given->from.given ? "begin" : "end");
    }
    if (given->from.given && given->to.given && given->from.value > given->to.value) {
        return cli_error(context, TRUC_USAGE, "--from %" PRIu64 " lies behind --to %" PRIu64, given->from.value, given->to.value);
    }
    if (given->since.given && given->until.given && given->since.ns > given->until.ns) {
        return cli_error(context, TRUC_USAGE, "--since %s lies behind --until %s", given->since.text, given->until.text);
    }
    if (given->raw && (given->digest || context->globals.json)) {
        return cli_error(context, TRUC_USAGE, "--raw writes nothing but payloads and cannot stand with %s",
                         given->digest ? "--digest" : "--json");
    }
    return TRUC_OK;
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct replay_options *given = values;
    char first[64], last[64];
    (void)operand_count;
    truc_status status = check(context, given, operands[0]);
    if (status != TRUC_OK) {
        return status;
    }
    struct read_request request = {
        .pattern = operands[0],
        .filter = &given->filter,
        .reverse = given->reverse,
        .digest = given->digest,
        .shape = context->globals.json ? MESSAGE_JSON
                 : given->raw          ? MESSAGE_RAW
                                       : MESSAGE_LINE,
    };
    const char *begin = bound(&given->from, &given->since, first, sizeof first);
    const char *end = bound(&given->to, &given->until, last, sizeof last);
    /* Backwards the same range is walked from its end. */
    request.from = given->reverse ? end : begin;
    request.until = given->reverse ? begin : end;
    return read_run(context, &request);
}

static const truc_status exits[] = {TRUC_IO,           TRUC_TIMED_OUT,     TRUC_CANCELLED,   TRUC_UNREACHABLE,
                                    TRUC_LOG_MISMATCH, TRUC_LOG_WENT_BACK, TRUC_BAD_PATTERN, TRUC_DIGEST_MISMATCH,
                                    TRUC_NOT_FOUND,    TRUC_OUT_OF_RANGE,  TRUC_DAMAGED};

const struct cli_verb verb_replay = {
    .name = "replay",
    .summary = "show the past of a topic or pattern",
    .example = "truc replay dossier.status.H26.16 --from 100 --to 200\n"
               "truc replay 'dossier.>' --since 2020-06-05 --until '2020-06-06 12:00' --json\n"
               "truc replay 'dossier.>' --key H26.16-200605-0001 --reverse --limit 1\n"
               "truc replay '**' --digest | tail -n 1     # what two auditors compare",
    .operands = "PATTERN",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct replay_options),
    .notes = "An end that is left open is the durable head at the start; the positions that the bounds came to are echoed on "
             "standard error. "
             "A time without a zone is read in --zone and echoed in UTC; relative times such as -1h count from now. "
             "--since and --until mean the time of appending, --event-since and --event-until the record's own.\n\n"
             "With --json each record is a line with the members log_id, generation, position, index, topic, offset, append_time, "
             "time, id, "
             "type, key, source, headers, content_type, data. JSON payloads and known protobuf types stand as JSON under data, "
             "text/* as a "
             "string; anything else stands under data_base64 instead. Every digest is checked on the way: what does not match is "
             "never shown.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
