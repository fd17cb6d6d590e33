/* explain.c: truc explain: what a status means and what to do next; all of them without an argument. */
#include <stdio.h>

#include "clients/cli/cli.h"

static const char *status_name_at(const void *unused, size_t index)
{
    (void)unused;
    return truc_status_name(truc_status_at(index));
}

static void print_json(struct out *out, truc_status status)
{
    out_json_line(out, json_pack("{s:i,s:s,s:b,s:s,s:s}", "code", (int)status, "name", truc_status_name(status), "retriable",
                                 (int)truc_status_retriable(status), "text", truc_status_text(status), "next",
                                 truc_status_next(status)));
}

static truc_status explain_all(struct cli_context *context)
{
    struct out *out = &context->out;
    for (size_t i = 0; i < truc_status_count(); i++) {
        truc_status status = truc_status_at(i);
        if (context->globals.json) {
            print_json(out, status);
        } else {
            out_format(out, "%3d %-18s %s\n", (int)status, truc_status_name(status), truc_status_text(status));
        }
    }
    return TRUC_OK;
}

static truc_status run(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    struct out *out = &context->out;
    truc_status status = TRUC_OK;
    (void)options;
    if (operand_count == 0) {
        return explain_all(context);
    }
    if (!truc_status_find(operands[0], &status)) {
        const char *nearest = cli_nearest(operands[0], status_name_at, NULL, truc_status_count());
        return cli_error(context, TRUC_NOT_FOUND, "'%s' is no status%s%s%s; `truc explain` lists them all", operands[0],
                         nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    }
    if (context->globals.json) {
        print_json(out, status);
        return TRUC_OK;
    }
    out_format(out, "%s (%d): %s\nnext: %s\nretry: %s\n", truc_status_name(status), (int)status, truc_status_text(status),
               truc_status_next(status),
               truc_status_retriable(status) ? "the same request may succeed later" : "the same request would fail again");
    return TRUC_OK;
}

static const truc_status exits[] = {TRUC_NOT_FOUND};

const struct cli_verb verb_explain = {
    .name = "explain",
    .summary = "say what a status or exit code means",
    .example = "truc explain 38\ntruc explain OUT_OF_SEQUENCE\ntruc explain $?      # after a command that failed",
    .operands = "[CODE]",
    .operands_max = 1,
    .notes = "CODE is a number or a name. Without it all of them are listed. The same list stands behind the wire's errors, "
             "libtruc's results "
             "and the exit codes of truc. No broker is asked.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
