/* import.c: the verb `truc import`: its options and its help page. */
#include "clients/cli/import/run.h"

static const char *const formats[] = {"csv", "xes", "jsonl", NULL};

static const struct cli_option options[] = {
    {"topic", CLI_TEXT, offsetof(struct import_options, topic), "TEMPLATE",
     "where each row goes; values are made into what a topic can hold (below)", 0, 0, NULL},
    {"key", CLI_TEXT, offsetof(struct import_options, key), "TEMPLATE",
     "what is kept in order together, as the dossier's code; '' for none", 0, 0, NULL},
    {"type", CLI_TEXT, offsetof(struct import_options, type), "TEMPLATE",
     "what kind of record it is, as vn.gov.dossier.status; '' for none", 0, 0, NULL},
    {"time", CLI_TEXT, offsetof(struct import_options, time), "TEMPLATE",
     "the event's own time; without a zone it is read in --zone; '' for none", 0, 0, NULL},
    {"format", CLI_CHOICE, offsetof(struct import_options, format), "csv|xes|jsonl",
     "what FILE is; else its extension says so, with or without .gz", 0, 0, formats},
    {"delimiter", CLI_TEXT, offsetof(struct import_options, delimiter), "C",
     "of a CSV: a character or `tab`; else whichever of , ; and tab line 1 holds most", 0, 0, NULL},
    {"as", CLI_TEXT, offsetof(struct import_options, as), "TYPE",
     "payload type, as truc.egov.v1.DossierEvent; else the row as JSON", 0, 0, NULL},
    {"set", CLI_LIST, offsetof(struct import_options, sets), "FIELD=TEMPLATE",
     "a field of the payload; what comes out empty is left out", 0, 0, NULL},
    {"map", CLI_LIST, offsetof(struct import_options, maps), "COLUMN=FILE",
     "translate a column's values in templates: a CSV of VALUE,NAME lines; a value it does not hold makes a bad row", 0, 0, NULL},
    {"header", CLI_LIST, offsetof(struct import_options, headers), "N=TEMPLATE",
     "a header of the records; what comes out empty is left out", 0, 0, NULL},
    {"producer", CLI_TEXT, offsetof(struct import_options, producer), "NAME",
     "whose records they are; else a name made of the file's name and the mapping. Running again under the same name goes on", 0, 0,
     NULL},
    {"rate", CLI_NUMBER, offsetof(struct import_options, rate), "N", "send at most N records a second", 0, 0, NULL},
    {"speed", CLI_NUMBER, offsetof(struct import_options, speed), "X",
     "sort by time and keep the events' own spacing, divided by X", 0, 0, NULL},
    {"rejects", CLI_TEXT, offsetof(struct import_options, rejects), "FILE", "where bad rows are written as they came", 0, 0, NULL},
    {"outbox", CLI_TEXT, offsetof(struct import_options, outbox), "DIR", "keep what is not yet acknowledged in this directory", 0,
     0, NULL},
    {"dry-run", CLI_FLAG, offsetof(struct import_options, dry_run), NULL,
     "read everything and show what would be sent, without a broker", 0, 0, NULL},
};

static truc_status run(struct cli_context *context, const void *given, char *const *operands, size_t operand_count)
{
    (void)operand_count;
    return import_run(context, given, operands[0]);
}

static const truc_status exits[] = {
    TRUC_BAD_ROW,      TRUC_SLUG_CLASH,       TRUC_ROW_CHANGED,    TRUC_INVALID_ARGUMENT, TRUC_IO,
    TRUC_BAD_CONFIG,   TRUC_TOO_MANY,         TRUC_CANCELLED,      TRUC_UNREACHABLE,      TRUC_TIMED_OUT,
    TRUC_BAD_SOURCE,   TRUC_RECORD_TOO_LARGE, TRUC_FENCED,         TRUC_LOCKED,           TRUC_DISK_FULL,
    TRUC_LOG_MISMATCH, TRUC_LOG_WENT_BACK,    TRUC_OUT_OF_SEQUENCE};

const struct cli_verb verb_import = {
    .name = "import",
    .summary = "publish the rows of an event log: CSV, XES or JSON lines",
    .example =
        "truc import receipts.csv --topic 'dossier.event.{org:group}' --key '{case:concept:name}' --type '{concept:name}' "
        "--time '{time:timestamp}'\n"
        "truc import steps.xes.gz --topic 'dossier.step.{org:group}' --key '{case:concept:name}' --type vn.gov.dossier.step "
        "--time '{time:timestamp}' --rejects bad.xml\n"
        "truc import dossiers.csv --topic 'dossier.status.{agency}' --key '{dossier}' --type vn.gov.dossier.status --time '{at}' "
        "--as truc.egov.v1.DossierEvent --set 'dossier={dossier}' --set 'status={status}' --set 'occurred={at}'",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct import_options),
    .notes =
        "A TEMPLATE holds {column} wherever a row's value belongs; {{ and }} stand for braces. Behind the column's name, each "
        "after "
        "a |, may stand lower, upper, trim and or:TEXT (for an empty value). In XES an event's attributes are columns, those of "
        "its "
        "trace are named case:NAME, nested ones a/b; in JSON lines likewise a/b.\n\n"
        "In --topic each value becomes a token: an agency code as H26.16 stays as it is; of other texts accents are dropped, "
        "U+0111 becomes "
        "d, everything outside A-Z a-z 0-9 _ - becomes -, runs of - become one. Two values that become the same stop the run.\n\n"
        "Running an import again, after a crash or because the file has grown, stores nothing twice: rows that are stored are "
        "compared "
        "with the log, the rest is sent. A row that has changed since is an error, and nothing is sent then.\n\n"
        "Bad rows are told with their line, written to --rejects, and the rest goes on; the exit code tells that there were some. "
        "With --json the summary is one JSON object.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
