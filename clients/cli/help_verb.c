/* help_verb.c: truc help and truc version. */
#include "clients/cli/help.h"

struct help_options {
    bool man, completion;
};

static const struct cli_option options[] = {
    {"man", CLI_FLAG, offsetof(struct help_options, man), NULL, "write the man page truc.1", 0, 0, NULL},
    {"completion", CLI_FLAG, offsetof(struct help_options, completion), NULL, "write completion for bash", 0, 0, NULL},
};

static truc_status run_help(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct help_options *given = values;
    size_t used = 0;
    if (given->man) {
        help_man(&context->out);
        return TRUC_OK;
    }
    if (given->completion) {
        help_completion(&context->out);
        return TRUC_OK;
    }
    if (operand_count == 0) {
        help_overview(&context->out);
        return TRUC_OK;
    }
    const struct cli_verb *verb = verb_find(operands, operand_count, &used);
    if (verb != NULL && used == operand_count) {
        help_verb(&context->out, verb);
        return TRUC_OK;
    }
    if (operand_count == 1 && help_noun(&context->out, operands[0])) {
        return TRUC_OK;
    }
    const char *nearest = cli_nearest(operands[0], verb_name_at, NULL, cli_verb_count);
    return cli_error(context, TRUC_USAGE, "there is no verb `%s%s%s`%s%s%s", operands[0], operand_count > 1 ? " " : "",
                     operand_count > 1 ? operands[1] : "", nearest != NULL ? "; did you mean `" : "",
                     nearest != NULL ? nearest : "", nearest != NULL ? "`?" : "");
}

const struct cli_verb verb_help = {
    .name = "help",
    .summary = "explain a verb",
    .example = "truc help replay\ntruc help --man > truc.1\n. <(truc help --completion)",
    .operands = "[VERB]",
    .operands_max = 2,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct help_options),
    .run = run_help,
};

static truc_status run_version(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    (void)values;
    (void)operands;
    (void)operand_count;
    if (context->globals.json) {
        out_json_line(&context->out, json_pack("{s:s,s:s}", "truc", TRUC_VERSION, "libtruc", truc_version()));
    } else {
        out_format(&context->out, "truc %s, libtruc %s\n", TRUC_VERSION, truc_version());
    }
    return TRUC_OK;
}

const struct cli_verb verb_version = {
    .name = "version",
    .summary = "print the version",
    .example = "truc version",
    .operands = "",
    .run = run_version,
};
