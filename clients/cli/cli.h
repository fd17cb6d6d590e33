/* cli.h: what a verb of `truc` is, and what every verb gets.
 *
 * Layer: cli. Uses libtruc, proto, jansson. Each verb stands in a file of its own and exposes one `const struct cli_verb`; the one
 * table in verbs.c drives parsing, help, the man page and completion. Answers go to context->out (standard output), talk goes to
 * standard error. The exit code is the number of the status that run returned, after cli_error has printed it. One thread, but for
 * libtruc's callbacks, which may write to context->out while the main thread waits for them. */
#ifndef TRUC_CLI_CLI_H
#define TRUC_CLI_CLI_H

#include "clients/c/truc.h"
#include "clients/cli/option.h"
#include "clients/cli/output.h"

/* Options that every verb takes, before or behind it. */
struct cli_globals {
    const char *url, *source, *domain, *zone;
    bool json, quiet, help;
    struct cli_time timeout; /* default 30 s */
};

struct cli_context {
    struct cli_globals globals; /* with the environment's defaults filled in */
    struct zone zone;
    struct out out;      /* standard output */
    bool talking;        /* standard error is a terminal: progress may be drawn */
    int64_t now_ns;      /* wall clock at the start: what relative times refer to */
    truc_client *client; /* NULL until cli_client */
};

struct cli_verb {
    const char *name;     /* "pub", "topic ls" */
    const char *summary;  /* one line for lists, lower case, no full stop */
    const char *example;  /* shown first on the help page: one or more commands, a line each, with `# comments` where they help */
    const char *operands; /* "TOPIC [FILE|-]"; "" when there are none */
    size_t operands_min, operands_max;
    const struct cli_option *options;
    size_t option_count;
    size_t options_size;      /* of the struct the offsets point into */
    const char *notes;        /* paragraphs below the options, or NULL; paragraphs are parted by an empty line, and wrapped */
    const truc_status *exits; /* exit codes that this verb can end with beside OK, INTERNAL, USAGE, NO_MEMORY */
    size_t exit_count;

    /* Runs the verb. options points to its parsed struct. Returns the exit status; whatever is not TRUC_OK has been printed with
     * cli_error, except TRUC_CANCELLED and a closed pipe, which need no words. */
    truc_status (*run)(struct cli_context *context, const void *options, char *const *operands, size_t operand_count);
};

#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- talk ----------------------------------------------------------------------------------------------------------------- */

/* Prints `truc: NAME (code): message; next step` on standard error and returns the status. */
truc_status cli_error(struct cli_context *context, truc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A line for a human on standard error, without prefix; nothing under --quiet. */
void cli_note(struct cli_context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- the broker ----------------------------------------------------------------------------------------------------------- */

/* The one client of this run, opened at the first call with url, source, domain and timeout of the command line. On failure the
 * error has been printed. Closed by main. */
truc_status cli_client(struct cli_context *context, truc_client **ret_client);

/* Sets an option of libtruc; when it refuses, prints its error with the name the user gave ("--key") and returns TRUC_USAGE. */
truc_status cli_set(struct cli_context *context, truc_options *options, const char *name, const char *value);
truc_status cli_set_u64(struct cli_context *context, truc_options *options, const char *name, uint64_t value);
truc_status cli_set_i64(struct cli_context *context, truc_options *options, const char *name, int64_t value);
/* --key (normalised), --type and --source, which choose records; NULL: not given. */
truc_status cli_set_filter(struct cli_context *context, truc_options *options, const char *key, const char *type,
                           const char *source);

/* --timeout in ms, as libtruc takes it. */
int cli_timeout_ms(const struct cli_context *context);

/* --- signals -------------------------------------------------------------------------------------------------------------- */

/* From the first call on SIGINT and SIGTERM no longer kill but make cli_stopped true (a second one kills). For verbs that
 * run long. */
void cli_catch_stop(void);
bool cli_stopped(void);

/* --- texts ---------------------------------------------------------------------------------------------------------------- */

/* A key in NFC, as records hold it: *ret_key is allocated and terminated, for free(). TRUC_BAD_RECORD when it is not UTF-8, holds
 * control characters or is longer than 255 bytes in NFC; *ret_why (static) tells. */
truc_status cli_key_normalise(struct bytes text, char **ret_key, size_t *ret_size, const char **ret_why);

/* A record id as text: UUID form for the 16 bytes of a UUID, else the text that it is, else "hex:" and digits. */
void cli_id_print(struct out *out, struct bytes id);

/* The reverse, for --id: at most RECORD_ID_BYTES_MAX bytes. TRUC_USAGE. */
truc_status cli_id_parse(const char *text, uint8_t *ret_id, size_t *ret_size);

/* --- the table ------------------------------------------------------------------------------------------------------------ */

extern const struct cli_verb *const cli_verbs[];
extern const size_t cli_verb_count;
extern const struct cli_option cli_global_options[];
extern const size_t cli_global_option_count;

#endif
