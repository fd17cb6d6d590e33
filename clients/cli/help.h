/* help.h: help pages, the man page and shell completion, all from the table of verbs. Layer: cli. */
#ifndef TRUC_CLI_HELP_H
#define TRUC_CLI_HELP_H

#include "clients/cli/cli.h"

/* All verbs and the options that each takes. */
void help_overview(struct out *out);

/* One verb: an example first, then usage, options, exit codes. */
void help_verb(struct out *out, const struct cli_verb *verb);

/* The verbs of a noun ("topic"), a line each. False when there are none. */
bool help_noun(struct out *out, const char *noun);

/* truc.1 in man(7). */
void help_man(struct out *out);

/* Completion for bash. */
void help_completion(struct out *out);

/* The verb that `words` name ("topic ls"), and how many words its name has; NULL when there is none. */
const struct cli_verb *verb_find(char *const *words, size_t word_count, size_t *ret_used);

/* The table's names, for cli_nearest. */
const char *verb_name_at(const void *unused, size_t index);

#endif
