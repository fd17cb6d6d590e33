/* work.c: truc work: takes a worker's part of a subscription, shows its records or gives them to a command, and settles them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clients/cli/cli.h"
#include "clients/cli/command.h"
#include "clients/cli/message_print.h"

enum {
    WAIT_MS = 100,
    UNSHOWN_MAX = 128, /* records written before they are flushed and settled together */
    EXIT_REJECT = 65,  /* EX_DATAERR: the record itself is wrong */
    CREDIT_EXEC = 8    /* a command works on one at a time: others shall have the rest */
};

struct work_options {
    struct cli_uint limit, credit, key_run;
    const char *exec;
    bool ack, nack, reject, raw;
};

static const struct cli_option options[] = {
    {"limit", CLI_UINT, offsetof(struct work_options, limit), "N", "end after this many records", 1, 0, NULL},
    {"exec", CLI_TEXT, offsetof(struct work_options, exec), "CMD",
     "give each record's payload to `sh -c CMD` instead of showing it: exit 0 acknowledges it, 65 rejects it, anything else "
     "refuses it",
     0, 0, NULL},
    {"ack", CLI_FLAG, offsetof(struct work_options, ack), NULL, "acknowledge what was shown (the default)", 0, 0, NULL},
    {"nack", CLI_FLAG, offsetof(struct work_options, nack), NULL, "refuse what was shown: it is given again after its back-off", 0,
     0, NULL},
    {"reject", CLI_FLAG, offsetof(struct work_options, reject), NULL, "reject what was shown: it is dead at once", 0, 0, NULL},
    {"credit", CLI_UINT, offsetof(struct work_options, credit), "N",
     "records to hold at once; 1000 when not given, 8 with --exec, at most --limit", 1, 65536, NULL},
    {"key-run", CLI_UINT, offsetof(struct work_options, key_run), "N",
     "records of one key to hold at once, worked on one after the other; 1000 when not given", 1, 1024, NULL},
    {"raw", CLI_FLAG, offsetof(struct work_options, raw), NULL, "only the payloads' bytes, each with a newline behind it", 0, 0,
     NULL},
};

struct work {
    struct cli_context *context;
    const struct work_options *given;
    truc_worker *worker;
    struct message_printer printer;
    bool ordered;
    int ack_wait_ms;
    uint64_t records, lease; /* lease: which the command works on */
    uint64_t unshown[UNSHOWN_MAX];
    size_t unshown_count;
};

/* --- settling --------------------------------------------------------------------------------------------------------------- */

/* A lease that was lost is no error of this run's: the record goes to somebody else, or comes again. */
static truc_status settle(struct work *work, uint64_t lease, truc_outcome outcome)
{
    truc_status status = outcome == TRUC_OUTCOME_ACK    ? truc_ack(work->worker, lease)
                         : outcome == TRUC_OUTCOME_NACK ? truc_nack(work->worker, lease, 0)
                                                        : truc_reject(work->worker, lease);
    if (status == TRUC_OK || status == TRUC_LEASE_LOST) {
        return TRUC_OK;
    }
    return cli_error(work->context, status, "%s",
                     status == TRUC_UNSUPPORTED ? "an ordered subscription's records can only be acknowledged"
                                                : truc_status_text(status));
}

/* What was written reaches its reader, and only then is settled. */
static truc_status settle_shown(struct work *work)
{
    truc_outcome outcome = work->given->nack ? TRUC_OUTCOME_NACK : work->given->reject ? TRUC_OUTCOME_REJECT : TRUC_OUTCOME_ACK;
    truc_status status = out_flush(work->printer.out);
    for (size_t i = 0; i < work->unshown_count && status == TRUC_OK; i++) {
        status = settle(work, work->unshown[i], outcome);
    }
    work->unshown_count = 0;
    return status;
}

static truc_status show(struct work *work, const truc_job *job)
{
    work->printer.recalled = job->recalled;
    work->printer.recall_position = job->recall_position;
    message_print(&work->printer, job->message);
    work->unshown[work->unshown_count++] = job->lease;
    return work->unshown_count == UNSHOWN_MAX ? settle_shown(work) : TRUC_OK;
}

static void extend(void *context)
{
    struct work *work = context;
    (void)truc_extend(work->worker, work->lease, 0); /* whether it was lost shows when it is settled */
}

static truc_status execute(struct work *work, const truc_job *job)
{
    struct command_beat beat = {extend, work, work->ordered ? 0 : work->ack_wait_ms / 3 + 1};
    int code = 0;
    work->lease = job->lease;
    truc_status status = command_run(work->given->exec, job, &beat, &code);
    if (status != TRUC_OK) {
        return cli_error(work->context, status, "%s: %s", work->given->exec, strerror(errno));
    }
    if (code != 0) {
        cli_note(work->context, "%s offset %" PRIu64 ", attempt %" PRIu32 ": the command ended with %d", job->message->topic,
                 job->message->offset, job->attempt, code);
    }
    if (code != 0 && work->ordered) {
        return cli_error(work->context, TRUC_CANCELLED,
                         "an ordered subscription does not go past a record that failed, %s offset %" PRIu64, job->message->topic,
                         job->message->offset);
    }
    return settle(work, job->lease, code == 0 ? TRUC_OUTCOME_ACK : code == EXIT_REJECT ? TRUC_OUTCOME_REJECT : TRUC_OUTCOME_NACK);
}

/* --- the run ------------------------------------------------------------------------------------------------------------------ */

static bool stopped(const struct work *work)
{
    return cli_stopped() || out_reader_gone(work->printer.out);
}

/* The next job; NULL with TRUC_OK when the run is to end. Before it waits, what was written is shown and settled. */
static truc_status next_job(struct work *work, const truc_job **ret_job)
{
    truc_status status = truc_worker_pull(work->worker, 0, ret_job);
    if (status == TRUC_TIMED_OUT) {
        if ((status = settle_shown(work)) != TRUC_OK) {
            return status;
        }
        do {
            status = truc_worker_pull(work->worker, WAIT_MS, ret_job);
        } while (status == TRUC_TIMED_OUT && !stopped(work));
        if (status == TRUC_TIMED_OUT) {
            *ret_job = NULL;
            return TRUC_OK;
        }
    }
    if (status != TRUC_OK) {
        return cli_error(work->context, status, "after %" PRIu64 " records the subscription ended", work->records);
    }
    if (cli_stopped()) {
        *ret_job = NULL; /* it goes back */
    }
    return TRUC_OK;
}

static truc_status run_jobs(struct work *work)
{
    const struct cli_uint *limit = &work->given->limit;
    truc_status status = TRUC_OK;
    while (status == TRUC_OK && !(limit->given && work->records == limit->value)) {
        const truc_job *job = NULL;
        status = next_job(work, &job);
        if (status != TRUC_OK || job == NULL) {
            break;
        }
        work->records++;
        status = work->given->exec != NULL ? execute(work, job) : show(work, job);
    }
    if (status == TRUC_OK) {
        status = settle_shown(work);
    }
    return status == TRUC_OK && out_reader_gone(work->printer.out) ? TRUC_CANCELLED : status;
}

/* Mode and ack_wait of the subscription. */
static truc_status look(struct work *work, truc_client *client, const char *name)
{
    char *text = NULL;
    truc_status status = truc_subscription_info_json(client, name, &text);
    if (status != TRUC_OK) {
        return cli_error(work->context, status, "%s: %s", name,
                         status == TRUC_NOT_FOUND ? "there is no such subscription" : truc_status_text(status));
    }
    json_t *facts = json_loads(text, 0, NULL);
    const char *mode = json_string_value(json_object_get(facts, "mode"));
    truc_free(text);
    if (mode == NULL) {
        return cli_error(work->context, TRUC_NO_MEMORY, "%s", name);
    }
    work->ordered = strcmp(mode, "ordered") == 0;
    work->ack_wait_ms = (int)json_integer_value(json_object_get(facts, "ack_wait_ms"));
    json_decref(facts);
    return TRUC_OK;
}

static truc_status set_credit(struct work *work, truc_options *set)
{
    const struct work_options *given = work->given;
    uint64_t credit = given->credit.given ? given->credit.value : given->exec != NULL ? CREDIT_EXEC : 1000;
    if (given->limit.given && given->limit.value < credit) {
        credit = given->limit.value;
    }
    truc_status status = cli_set_u64(work->context, set, "credit", credit);
    if (status == TRUC_OK && given->key_run.given) {
        status = cli_set_u64(work->context, set, "key_run", given->key_run.value);
    }
    return status;
}

static truc_status open_worker(struct work *work, truc_client *client, const char *name)
{
    truc_options *set = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&set);
    if (status != TRUC_OK) {
        return cli_error(work->context, status, "the worker's options");
    }
    status = set_credit(work, set);
    if (status == TRUC_OK &&
        (status = truc_worker_open(client, name, set, NULL, NULL, NULL, NULL, &work->worker, &why)) != TRUC_OK) {
        cli_error(work->context, status, "%s: %s", name, why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    truc_options_destroy(set);
    return status;
}

static truc_status check(struct cli_context *context, const struct work_options *given)
{
    if (given->ack + given->nack + given->reject > 1) {
        return cli_error(context, TRUC_USAGE, "--ack, --nack and --reject exclude each other");
    }
    if (given->exec != NULL && (given->ack || given->nack || given->reject || given->raw)) {
        return cli_error(context, TRUC_USAGE, "with --exec nothing is shown, and the command's exit status settles");
    }
    if (given->raw && context->globals.json) {
        return cli_error(context, TRUC_USAGE, "--raw writes nothing but payloads and cannot stand with --json");
    }
    return TRUC_OK;
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    struct work work = {.context = context, .given = values};
    truc_client *client = NULL;
    (void)operand_count;
    truc_status status = check(context, values);
    if (status == TRUC_OK) {
        status = cli_client(context, &client);
    }
    if (status == TRUC_OK) {
        status = look(&work, client, operands[0]);
    }
    if (status == TRUC_OK) {
        status = open_worker(&work, client, operands[0]);
    }
    if (status != TRUC_OK) {
        return status;
    }
    message_printer_init(&work.printer, &context->out,
                         context->globals.json ? MESSAGE_JSON
                         : work.given->raw     ? MESSAGE_RAW
                                               : MESSAGE_LINE);
    cli_catch_stop();
    status = run_jobs(&work);
    truc_status closed = truc_worker_close(work.worker, cli_timeout_ms(context));
    message_printer_fini(&work.printer);
    if (status == TRUC_OK && closed == TRUC_LEASE_LOST) {
        cli_note(context, "some leases were lost before they were settled: those records are given again");
    } else if (status == TRUC_OK && closed != TRUC_OK) {
        status = cli_error(context, closed, "the last settlements were not answered");
    }
    return status;
}

static const truc_status exits[] = {TRUC_IO,           TRUC_UNSUPPORTED,   TRUC_TIMED_OUT,       TRUC_CANCELLED, TRUC_UNREACHABLE,
                                    TRUC_LOG_MISMATCH, TRUC_LOG_WENT_BACK, TRUC_DIGEST_MISMATCH, TRUC_NOT_FOUND, TRUC_DAMAGED};

const struct cli_verb verb_work = {
    .name = "work",
    .summary = "take a subscription's records and settle them",
    .example = "truc work intake\n"
               "truc work intake --exec './handle-dossier'    # as many of these as there is work for\n"
               "truc work mirror --limit 100 --json",
    .operands = "SUBSCRIPTION",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct work_options),
    .notes =
        "A record is acknowledged after it was shown, or after the command ended with 0. Exit status 65 rejects it: it is dead at "
        "once. Any other, 75 among them, and a signal refuse it: it is given again after its back-off, to any worker. The command "
        "finds TRUC_TOPIC, TRUC_POSITION, TRUC_OFFSET, TRUC_ATTEMPT, TRUC_KEY, TRUC_TYPE, TRUC_ID, TRUC_RECORD_SOURCE and "
        "TRUC_RECALLED (1: its sender has recalled the record) in its environment; as long as it runs the lease is extended.\n\n"
        "An ordered subscription is only acknowledged: when the command fails, truc work ends with CANCELLED, and the next one "
        "begins with the record that failed, or before it in its entry. Interrupted (Ctrl-C), truc work ends with 0, and what was "
        "not settled goes to others.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
