/* main.c: from a command line to one verb, and from its status to the exit code. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/help.h"
#include "proto/topic.h"

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void echo_time(void *pointer, const struct cli_option *option, const struct cli_time *time)
{
    struct cli_context *context = pointer;
    char text[TIMESTAMP_TEXT_BYTES];
    timestamp_print(time->ns, text);
    cli_note(context, "--%s %s, read in %s, is %s", option->name, time->text, context->zone.name, text);
}

/* What was not given on the command line comes from the environment, then from here. */
static truc_status settle_globals(struct cli_context *context)
{
    struct cli_globals *globals = &context->globals;
    globals->url = globals->url != NULL ? globals->url : environment("TRUC_URL");
    globals->source = globals->source != NULL ? globals->source : environment("TRUC_SOURCE");
    globals->domain = globals->domain != NULL ? globals->domain : environment("TRUC_DOMAIN");
    globals->zone = globals->zone != NULL ? globals->zone : environment("TRUC_ZONE");
    globals->zone = globals->zone != NULL ? globals->zone : ZONE_DEFAULT;
    if (!globals->timeout.given) {
        globals->timeout.ns = INT64_C(30000000000);
    }
    if (globals->source != NULL) {
        struct bytes agency, system;
        const char *why = "";
        truc_status status = source_split(bytes_of_text(globals->source), &agency, &system, &why);
        if (status != TRUC_OK) {
            return cli_error(context, status, "--source %s: %s", globals->source, why);
        }
    }
    truc_status status = zone_select(globals->zone, &context->zone);
    if (status != TRUC_OK) {
        return cli_error(context, TRUC_USAGE, "--zone %s: no such time zone on this machine; an offset as +07:00 always works",
                         globals->zone);
    }
    return TRUC_OK;
}

static truc_status unknown_verb(struct cli_context *context, char *const *words, size_t count)
{
    char name[64], of_noun[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < cli_verb_count; i++) {
        size_t size = strlen(words[0]);
        if (strncmp(cli_verbs[i]->name, words[0], size) == 0 && cli_verbs[i]->name[size] == ' ' && used < sizeof of_noun) {
            used += (size_t)snprintf(of_noun + used, sizeof of_noun - used, " `%s`", cli_verbs[i]->name);
        }
    }
    if (used > 0) {
        return cli_error(context, TRUC_USAGE, "`%s` is followed by what to do:%s", words[0], of_noun);
    }
    snprintf(name, sizeof name, "%s%s%s", words[0], count > 1 && words[1][0] != '-' ? " " : "",
             count > 1 && words[1][0] != '-' ? words[1] : "");
    const char *nearest = cli_nearest(words[0], verb_name_at, NULL, cli_verb_count);
    nearest = nearest != NULL ? nearest : cli_nearest(name, verb_name_at, NULL, cli_verb_count);
    if (nearest != NULL) {
        return cli_error(context, TRUC_USAGE, "there is no verb `%s`; did you mean `%s`?", words[0], nearest);
    }
    return cli_error(context, TRUC_USAGE, "there is no verb `%s`; `truc help` lists them", words[0]);
}

static truc_status check_operands(struct cli_context *context, const struct cli_verb *verb, size_t count)
{
    if (count < verb->operands_min) {
        return cli_error(context, TRUC_USAGE, "truc %s needs %s", verb->name, verb->operands);
    }
    if (count > verb->operands_max) {
        return cli_error(context, TRUC_USAGE, "truc %s takes %s, not %zu arguments", verb->name,
                         verb->operands[0] != '\0' ? verb->operands : "no arguments", count);
    }
    return TRUC_OK;
}

/* Parses what stands behind the verb and runs it. */
static truc_status run_verb(struct cli_context *context, const struct cli_verb *verb, int argc, char **argv)
{
    char why[CLI_WHY_BYTES];
    size_t operand_count = 0;
    int used = 0;
    truc_status status = TRUC_NO_MEMORY;
    void *values = calloc(1, verb->options_size + 1);
    char **operands = calloc((size_t)argc + 1, sizeof *operands);
    struct cli_option_set sets[] = {{verb->options, verb->option_count, values},
                                    {cli_global_options, cli_global_option_count, &context->globals}};
    if (values == NULL || operands == NULL) {
        cli_error(context, TRUC_NO_MEMORY, "the command line");
        goto done;
    }
    status = cli_options_parse(sets, CLI_COUNT(sets), argc, argv, false, operands, &operand_count, &used, why);
    if (status != TRUC_OK) {
        cli_error(context, status, "truc %s: %s", verb->name, why);
        goto done;
    }
    if (context->globals.help) {
        help_verb(&context->out, verb);
        goto done;
    }
    if ((status = settle_globals(context)) != TRUC_OK || (status = check_operands(context, verb, operand_count)) != TRUC_OK) {
        goto done;
    }
    status = cli_options_resolve(&sets[0], &context->zone, context->now_ns, echo_time, context, why);
    if (status != TRUC_OK) {
        cli_error(context, status, "truc %s: %s", verb->name, why);
        goto done;
    }
    status = verb->run(context, values, operands, operand_count);
done:
    if (values != NULL) {
        cli_options_fini(&sets[0]);
    }
    free(operands);
    free(values);
    return status;
}

static truc_status run(struct cli_context *context, int argc, char **argv)
{
    char why[CLI_WHY_BYTES];
    size_t count = 0, words = 0;
    int used = 0;
    struct cli_option_set set = {cli_global_options, cli_global_option_count, &context->globals};
    truc_status status = cli_options_parse(&set, 1, argc, argv, true, NULL, &count, &used, why);
    if (status != TRUC_OK) {
        return cli_error(context, status, "%s", why);
    }
    argc -= used;
    argv += used;
    if (argc == 0 && context->globals.help) {
        help_overview(&context->out);
        return TRUC_OK;
    }
    if (argc == 0) {
        return cli_error(context, TRUC_USAGE, "what to do is missing; `truc help` lists the verbs");
    }
    const struct cli_verb *verb = verb_find(argv, (size_t)argc, &words);
    if (verb == NULL) {
        return unknown_verb(context, argv, (size_t)argc);
    }
    return run_verb(context, verb, argc - (int)words, argv + words);
}

/* A standard descriptor that was closed would be given to the next socket, and answers would be written into it. In its stead
 * stands one that fails as a closed one does: the read end where writing is asked for, and the reverse. */
static void fill_standard_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        if (fcntl(descriptor, F_GETFD) == -1) {
            /* the lowest free number is this one; when even that fails there is nothing left to protect */
            (void)!open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
        }
    }
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    struct cli_context context = {.talking = isatty(STDERR_FILENO) == 1, .now_ns = timestamp_now()};
    /* A reader that goes away shows as EPIPE, which ends the run with CANCELLED and without a word. */
    signal(SIGPIPE, SIG_IGN);
    out_init(&context.out, STDOUT_FILENO);
    truc_status status = run(&context, argc - 1, argv + 1);
    truc_client_close(context.client);
    truc_status flushed = out_flush(&context.out);
    if (flushed == TRUC_IO) {
        cli_error(&context, flushed, "standard output: %s", strerror(context.out.error));
    } else if (flushed == TRUC_NO_MEMORY && status == TRUC_OK) {
        cli_error(&context, flushed, "the output");
    }
    out_fini(&context.out);
    return (int)(status != TRUC_OK ? status : flushed);
}
