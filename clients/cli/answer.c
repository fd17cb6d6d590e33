/* answer.c: truc answer and truc recall: what is said of a record, published related to it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/cli/place.h"
#include "proto/limits.h"

struct answer_options {
    const char *reason;
};

static const struct cli_option options[] = {
    {"reason", CLI_TEXT, offsetof(struct answer_options, reason), "TEXT", "why, for people; at most 4096 bytes", 0, 0, NULL},
};

/* The outcome of the one record; written by libtruc's thread before the flush returns. */
struct outcome {
    truc_status status;
    char topic[TOPIC_BYTES_MAX + 1], why[256];
    uint64_t offset, position;
};

static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct outcome *outcome = context;
    for (size_t i = 0; i < count; i++) {
        outcome->status = deliveries[i].status;
        outcome->offset = deliveries[i].offset;
        outcome->position = deliveries[i].position;
        snprintf(outcome->topic, sizeof outcome->topic, "%s", deliveries[i].topic);
        snprintf(outcome->why, sizeof outcome->why, "%s", deliveries[i].why);
    }
}

static const char *why_not(truc_status status)
{
    return status == TRUC_NOT_ALLOWED        ? "only its own agency, see --source, can recall a record"
           : status == TRUC_INVALID_ARGUMENT ? "--reason is UTF-8 of at most 4096 bytes"
                                             : truc_status_text(status);
}

static void print(struct cli_context *context, const char *what, const struct outcome *outcome)
{
    if (context->globals.json) {
        out_text(&context->out, "{\"topic\":");
        out_json_string(&context->out, bytes_of_text(outcome->topic));
        out_format(&context->out, ",\"offset\":%" PRIu64 ",\"position\":%" PRIu64 "}\n", outcome->offset, outcome->position);
    } else {
        out_format(&context->out, "%s in %s offset %" PRIu64 " position %" PRIu64 "\n", what, outcome->topic, outcome->offset,
                   outcome->position);
    }
}

/* Answers with a status, or recalls when it is 0, and waits until that is on disk. */
static truc_status say(struct cli_context *context, const truc_message *message, truc_answer_status answer, const char *reason)
{
    struct outcome outcome = {.status = TRUC_TIMED_OUT};
    truc_producer *producer = NULL;
    char *why = NULL;
    truc_status status = truc_producer_open(context->client, NULL, on_delivery, &outcome, &producer, &why);
    if (status != TRUC_OK) {
        cli_error(context, status, "%s", why != NULL ? why : truc_status_text(status));
        truc_free(why);
        return status;
    }
    status = answer != 0 ? truc_answer(producer, message, answer, reason, NULL) : truc_recall(producer, message, reason, NULL);
    if (status != TRUC_OK) {
        cli_error(context, status, "%s offset %" PRIu64 ": %s", message->topic, message->offset, why_not(status));
    } else if ((status = truc_flush(producer, cli_timeout_ms(context))) != TRUC_OK) {
        cli_error(context, status, "the broker has not acknowledged it: whether it is stored is open");
    } else if ((status = outcome.status) != TRUC_OK) {
        cli_error(context, status, "%s", outcome.why[0] != '\0' ? outcome.why : truc_status_text(status));
    }
    truc_producer_close(producer, 0);
    if (status == TRUC_OK) {
        print(context, answer != 0 ? "answered" : "recalled", &outcome);
    }
    return status;
}

static truc_status run_answer(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct answer_options *given = values;
    truc_answer_status answer = TRUC_ANSWER_RECEIVED;
    truc_message *message = NULL;
    (void)operand_count;
    while (truc_answer_name(answer) != NULL && strcmp(truc_answer_name(answer), operands[2]) != 0) {
        answer++;
    }
    if (truc_answer_name(answer) == NULL) {
        return cli_error(context, TRUC_USAGE,
                         "STATUS is received, accepted, refused, processing, done, recall-agreed or recall-refused, not '%.64s'",
                         operands[2]);
    }
    truc_status status = place_read(context, operands[0], operands[1], &message);
    if (status == TRUC_OK) {
        status = say(context, message, answer, given->reason);
    }
    truc_message_free(message);
    return status;
}

static truc_status run_recall(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct answer_options *given = values;
    truc_message *message = NULL;
    (void)operand_count;
    truc_status status = place_read(context, operands[0], operands[1], &message);
    if (status == TRUC_OK) {
        status = say(context, message, 0, given->reason);
    }
    truc_message_free(message);
    return status;
}

static const truc_status exits_answer[] = {TRUC_INVALID_ARGUMENT, TRUC_TIMED_OUT, TRUC_UNREACHABLE,  TRUC_BAD_TOPIC,
                                           TRUC_BAD_SOURCE,       TRUC_NOT_FOUND, TRUC_OUT_OF_RANGE, TRUC_DISK_FULL};
static const truc_status exits_recall[] = {TRUC_INVALID_ARGUMENT, TRUC_TIMED_OUT,  TRUC_UNREACHABLE,
                                           TRUC_BAD_TOPIC,        TRUC_BAD_SOURCE, TRUC_NOT_FOUND,
                                           TRUC_OUT_OF_RANGE,     TRUC_DISK_FULL,  TRUC_NOT_ALLOWED};

const struct cli_verb verb_answer = {
    .name = "answer",
    .summary = "answer a record as its receiver",
    .example = "truc answer dossier.submitted.H26.16 12 accepted\n"
               "truc answer dossier.submitted.H26.16 12 refused --reason 'page 2 is missing'",
    .operands = "TOPIC OFFSET STATUS",
    .operands_min = 3,
    .operands_max = 3,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct answer_options),
    .notes =
        "STATUS is received, accepted, refused, processing, done, recall-agreed or recall-refused. The answer is a record of type "
        "truc.answer.v1 in the topic answer.AGENCY of the sender, related to the record: the sender sees it there, and truc "
        "thread shows it.",
    .exits = exits_answer,
    .exit_count = CLI_COUNT(exits_answer),
    .run = run_answer,
};

const struct cli_verb verb_recall = {
    .name = "recall",
    .summary = "recall an own record",
    .example = "truc recall dossier.submitted.H26.16 12 --reason 'sent to the wrong office'",
    .operands = "TOPIC OFFSET",
    .operands_min = 2,
    .operands_max = 2,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct answer_options),
    .notes = "Publishes a record of type truc.recall.v1 to the topic. Nothing is removed: whoever has not been given the record is "
             "given "
             "it marked as recalled; whoever has sees the recall, and may answer recall-agreed or recall-refused.",
    .exits = exits_recall,
    .exit_count = CLI_COUNT(exits_recall),
    .run = run_recall,
};
