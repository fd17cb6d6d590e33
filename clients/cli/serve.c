/* serve.c: truc serve: gives the requests of a subscription to a command, and publishes what it writes as the replies. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/cli.h"
#include "clients/cli/command.h"
#include "clients/cli/json_text.h"

enum {
    WAIT_MS = 100,
    EXIT_REJECT = 65, /* EX_DATAERR: the request itself is wrong */
    WORKERS_DEFAULT = 4,
    WORKERS_MAX = 256,
    CREDIT_PER_WORKER = 2 /* what is held here the others cannot have */
};

struct serve_options {
    const char *exec, *type;
    struct cli_uint workers;
};

static const struct cli_option options[] = {
    {"exec", CLI_TEXT, offsetof(struct serve_options, exec), "CMD",
     "give each request's data to `sh -c CMD`; what it writes is the reply", 0, 0, NULL},
    {"workers", CLI_UINT, offsetof(struct serve_options, workers), "N", "commands that run at once; 4 when not given", 1,
     WORKERS_MAX, NULL},
    {"type", CLI_TEXT, offsetof(struct serve_options, type), "T", "type of the replies", 0, 0, NULL},
};

/* A thread's reply, which lives until its next one. */
struct serving {
    struct out output, scratch;
};

struct serve {
    struct cli_context *context;
    const struct serve_options *given;
    pthread_key_t serving; /* a struct serving of each thread */
};

static void serving_destroy(void *of_thread)
{
    struct serving *serving = of_thread;
    out_fini(&serving->output);
    out_fini(&serving->scratch);
    free(serving);
}

static struct serving *serving_of_thread(struct serve *serve)
{
    struct serving *serving = pthread_getspecific(serve->serving);
    if (serving != NULL) {
        return serving;
    }
    serving = calloc(1, sizeof *serving);
    if (serving == NULL) {
        return NULL;
    }
    out_init(&serving->output, -1);
    out_init(&serving->scratch, -1);
    if (pthread_setspecific(serve->serving, serving) != 0) {
        serving_destroy(serving);
        return NULL;
    }
    return serving;
}

/* The server's threads are here, several at once. */
static truc_status on_request(void *context, const truc_job *request, truc_record *reply)
{
    static const char json[] = "application/json";
    struct serve *serve = context;
    struct serving *serving = serving_of_thread(serve);
    const char *type = serve->given->type;
    int code = 0;
    if (serving == NULL) {
        return TRUC_NO_MEMORY;
    }
    serving->output.size = 0;
    truc_status status = command_reply(serve->given->exec, request, &serving->output, &code);
    if (status != TRUC_OK) {
        cli_note(serve->context, "%s offset %" PRIu64 ": %s: %s", request->message->topic, request->message->offset,
                 serve->given->exec, status == TRUC_IO ? strerror(errno) : truc_status_text(status));
        return status;
    }
    if (code != 0) {
        cli_note(serve->context, "%s offset %" PRIu64 ", attempt %" PRIu32 ": the command ended with %d", request->message->topic,
                 request->message->offset, request->attempt, code);
        return code == EXIT_REJECT ? TRUC_INVALID_ARGUMENT : TRUC_CANCELLED;
    }
    reply->data = serving->output.data;
    reply->data_size = serving->output.size;
    if (type != NULL) {
        reply->type = (truc_text){type, strlen(type)};
    }
    if (json_text_is_structure(bytes_of(serving->output.data, serving->output.size), &serving->scratch)) {
        reply->content_type = (truc_text){json, sizeof json - 1};
    }
    return TRUC_OK;
}

static truc_status open_server(struct serve *serve, truc_client *client, const char *name, truc_server **ret_server)
{
    uint64_t workers = serve->given->workers.given ? serve->given->workers.value : WORKERS_DEFAULT;
    truc_options *set = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&set);
    if (status != TRUC_OK) {
        return cli_error(serve->context, status, "the server's options");
    }
    status = cli_set_u64(serve->context, set, "threads", workers);
    if (status == TRUC_OK) {
        status = cli_set_u64(serve->context, set, "credit", CREDIT_PER_WORKER * workers);
    }
    if (status == TRUC_OK && (status = truc_server_open(client, name, set, on_request, serve, ret_server, &why)) != TRUC_OK) {
        cli_error(serve->context, status, "%s: %s", name, why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    truc_options_destroy(set);
    return status;
}

static truc_status serve_until_stopped(struct serve *serve, truc_client *client, const char *name)
{
    truc_server *server = NULL;
    truc_status status = open_server(serve, client, name, &server), closed;
    if (status != TRUC_OK) {
        return status;
    }
    do {
        status = truc_server_wait(server, WAIT_MS);
    } while (status == TRUC_TIMED_OUT && !cli_stopped());
    if (status == TRUC_TIMED_OUT) {
        status = TRUC_OK;
    } else {
        cli_error(serve->context, status, "%s: the subscription ended", name);
    }
    closed = truc_server_close(server, cli_timeout_ms(serve->context));
    if (status == TRUC_OK && closed != TRUC_OK) {
        status = cli_error(serve->context, closed, "not everything was served, or settled, in time: it is given again");
    }
    return status;
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    struct serve serve = {.context = context, .given = values};
    truc_client *client = NULL;
    (void)operand_count;
    if (serve.given->exec == NULL) {
        return cli_error(context, TRUC_USAGE, "--exec CMD must be given: it makes the replies");
    }
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    if (pthread_key_create(&serve.serving, serving_destroy) != 0) {
        return cli_error(context, TRUC_NO_MEMORY, "a thread's memory");
    }
    cli_catch_stop();
    status = serve_until_stopped(&serve, client, operands[0]);
    (void)pthread_key_delete(serve.serving);
    return status;
}

static const truc_status exits[] = {TRUC_UNSUPPORTED,   TRUC_TIMED_OUT,       TRUC_CANCELLED, TRUC_UNREACHABLE, TRUC_LOG_MISMATCH,
                                    TRUC_LOG_WENT_BACK, TRUC_DIGEST_MISMATCH, TRUC_NOT_FOUND, TRUC_DAMAGED};

const struct cli_verb verb_serve = {
    .name = "serve",
    .summary = "answer the requests of a subscription by a command",
    .example = "truc serve lookup --exec './look-up-dossier' --workers 8    # as many of these as there is need for\n"
               "truc subscription create lookup dossier.lookup.H26.16      # before that, once",
    .operands = "SUBSCRIPTION",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct serve_options),
    .notes =
        "The subscription is a shared one of the topic that requests are published to. The command has a request's data on its "
        "standard input, and the same environment as with `truc work --exec`. When it ends with 0, what it wrote to its standard "
        "output is the reply, and the request is acknowledged once that is on disk. Exit status 65 rejects the request: it is dead "
        "at once. Any other, and a signal, refuse it: it is given again after its back-off, to any server.\n\n"
        "Requests whose deadline has passed are not served. A command that runs longer than the subscription's ack_wait is run "
        "again elsewhere. Interrupted (Ctrl-C), truc serve finishes what it has begun, for --timeout at most, and ends with 0.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
