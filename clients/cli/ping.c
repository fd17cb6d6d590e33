/* ping.c: truc ping: whether the broker answers, and how fast. */
#include <inttypes.h>

#include "clients/cli/cli.h"

struct ping_options {
    struct cli_uint count;
};

static const struct cli_option options[] = {
    {"count", CLI_UINT, offsetof(struct ping_options, count), "N", "how many round trips, one after the other; 1 when not given", 1,
     1000000, NULL},
};

static void print_one(struct cli_context *context, uint64_t number, uint64_t round_trip_ns)
{
    if (context->globals.json) {
        out_format(&context->out, "{\"number\":%" PRIu64 ",\"round_trip_us\":%" PRIu64 ".%03" PRIu64 "}\n", number,
                   round_trip_ns / 1000, round_trip_ns % 1000);
    } else {
        out_format(&context->out, "%" PRIu64 ": %" PRIu64 ".%01" PRIu64 " us\n", number, round_trip_ns / 1000,
                   round_trip_ns % 1000 / 100);
    }
    out_flush(&context->out);
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct ping_options *given = values;
    uint64_t count = given->count.given ? given->count.value : 1, done = 0, least = UINT64_MAX, most = 0, sum = 0;
    truc_client *client = NULL;
    truc_log_place head = {0};
    char domain[65] = "";
    (void)operands;
    (void)operand_count;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    if (truc_client_log(client, &head, domain) == TRUC_OK) {
        cli_note(context, "%s answers for %s, durable head %" PRIu64,
                 context->globals.url != NULL ? context->globals.url : TRUC_URL_DEFAULT, domain, head.position);
    }
    cli_catch_stop();
    while (done < count && !cli_stopped() && context->out.status == TRUC_OK) {
        uint64_t round_trip_ns = 0;
        status = truc_ping(client, &round_trip_ns);
        if (status != TRUC_OK) {
            return cli_error(context, status, "ping %" PRIu64 ": %s", done + 1, truc_status_text(status));
        }
        print_one(context, ++done, round_trip_ns);
        least = round_trip_ns < least ? round_trip_ns : least;
        most = round_trip_ns > most ? round_trip_ns : most;
        sum += round_trip_ns;
    }
    if (done > 1) {
        cli_note(context, "%" PRIu64 " round trips: %.1f us at least, %.1f on average, %.1f at most", done, (double)least / 1e3,
                 (double)sum / 1e3 / (double)done, (double)most / 1e3);
    }
    return cli_stopped() && done < count ? TRUC_CANCELLED : TRUC_OK;
}

static const truc_status exits[] = {TRUC_TIMED_OUT, TRUC_CANCELLED, TRUC_UNREACHABLE, TRUC_PROTOCOL, TRUC_VERSION_MISMATCH};

const struct cli_verb verb_ping = {
    .name = "ping",
    .summary = "ask whether the broker answers, and how fast",
    .example = "truc ping\ntruc --url tcp://127.0.0.1:8782 ping --count 100",
    .operands = "",
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct ping_options),
    .notes = "A round trip goes through the broker's core and back; nothing is written.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
