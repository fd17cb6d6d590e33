/* option.h: command-line options from a table: parsing, ranges, errors that name the option, help.
 *
 * Layer: cli. Pure but for the memory of repeated options. A table's offsets point into a struct of the verb's own, zeroed before
 * parsing. Texts are borrowed from argv. One thread. */
#ifndef TRUC_CLI_OPTION_H
#define TRUC_CLI_OPTION_H

#include "clients/cli/timestamp.h"

enum { CLI_WHY_BYTES = 512 };

enum cli_option_type {
    CLI_FLAG,     /* bool                                          --evidence            */
    CLI_TEXT,     /* const char *, NULL when absent                --key K               */
    CLI_CHOICE,   /* const char *, one of .choices                 --codec none|lz4|zstd */
    CLI_UINT,     /* struct cli_uint, within .minimum..maximum     --limit N             */
    CLI_SIZE,     /* struct cli_uint, bytes: 64K 8M 1G, in range   --size BYTES          */
    CLI_NUMBER,   /* struct cli_number, finite and above 0         --speed 10.5          */
    CLI_DURATION, /* struct cli_time: .ns is a length              --timeout 5s          */
    CLI_TIME,     /* struct cli_time: .ns is a time                --since 2020-06-05    */
    CLI_LIST      /* struct cli_list, may be given many times      --header N=V          */
};

struct cli_uint {
    bool given;
    uint64_t value;
};
struct cli_number {
    bool given;
    double value;
};
struct cli_time {
    bool given;
    const char *text; /* as written */
    int64_t ns;
};
struct cli_list {
    const char **items; /* owned by the parser: cli_options_fini */
    size_t count;
};

struct cli_option {
    const char *name; /* without the dashes */
    enum cli_option_type type;
    size_t offset;              /* offsetof(struct the_verbs_options, field) */
    const char *value;          /* what help shows for the value: "K"; NULL for a flag */
    const char *help;           /* one sentence, no full stop; may be long, is wrapped */
    uint64_t minimum, maximum;  /* CLI_UINT and CLI_SIZE; maximum 0: no upper bound */
    const char *const *choices; /* CLI_CHOICE: ends with NULL */
};

/* One table and the struct it fills. When a name is in several sets, the first set has it. */
struct cli_option_set {
    const struct cli_option *options;
    size_t count;
    void *values;
};

/* Parses argv[0..argc): `--name value`, `--name=value`, `--` ends options, everything else is an operand, kept in order in
 * `operands` (room for argc). stop_at_operand: stops before the first operand; *ret_used says how many arguments were used.
 * Times are kept as text until cli_options_resolve. An option other than CLI_LIST given twice is an error.
 * TRUC_USAGE with why, naming the option (for an unknown one the nearest); TRUC_NO_MEMORY. */
truc_status cli_options_parse(const struct cli_option_set *sets, size_t set_count, int argc, char **argv, bool stop_at_operand,
                              char **operands, size_t *ret_operand_count, int *ret_used, char why[CLI_WHY_BYTES]);

/* Reads the times of a set, now that the zone is known. echo (if given) is called for each time that had no zone of its own.
 * TRUC_USAGE with why. */
typedef void cli_time_echo(void *context, const struct cli_option *option, const struct cli_time *time);
truc_status cli_options_resolve(const struct cli_option_set *set, const struct zone *zone, int64_t now_ns, cli_time_echo *echo,
                                void *context, char why[CLI_WHY_BYTES]);

/* Frees the lists of a set. */
void cli_options_fini(const struct cli_option_set *set);

/* The nearest of `count` names to a misspelt one, or NULL when none is near. name_at(names, i) gives each. */
const char *cli_nearest(const char *word, const char *(*name_at)(const void *names, size_t index), const void *names, size_t count);

#endif
