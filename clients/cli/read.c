#include "clients/cli/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/replay_digest.h"
#include "proto/topic.h"

enum { FLUSH_BYTES = 256 * 1024, WAIT_MS = 100 };

struct reading {
    struct cli_context *context;
    const struct read_request *request;
    struct message_printer printer;
    struct replay_digest *digest; /* NULL without --digest */
    uint64_t records;
    truc_status end; /* how the reader ended */
    char why[256];
};

truc_status read_check_pattern(struct cli_context *context, const char *pattern)
{
    const char *why = "";
    truc_status status = pattern_check(bytes_of_text(pattern), &why);
    if (status != TRUC_OK) {
        return cli_error(context, status, "'%.300s': %s", pattern, why);
    }
    return TRUC_OK;
}

/* --- callbacks: on libtruc's thread, while the main thread waits ---------------------------------------------------------- */

static truc_status on_message(void *context, const truc_message *messages, size_t count)
{
    struct reading *reading = context;
    struct out *out = reading->printer.out;
    for (size_t i = 0; i < count; i++) {
        message_print(&reading->printer, &messages[i]);
        if (reading->digest != NULL) {
            replay_digest_add(reading->digest, messages[i].position, messages[i].index,
                              bytes_of(messages[i].encoded.data, messages[i].encoded.size));
        }
        reading->records++;
    }
    if (reading->request->follow || out->size >= FLUSH_BYTES) {
        out_flush(out);
    }
    return out->status;
}

static void on_end(void *context, truc_status status, const char *why, uint64_t next_position)
{
    struct reading *reading = context;
    (void)next_position;
    reading->end = status;
    snprintf(reading->why, sizeof reading->why, "%s", why != NULL ? why : "");
}

/* --- the reader ----------------------------------------------------------------------------------------------------------- */

static truc_status set_filter(struct cli_context *context, truc_options *set, const struct read_filter *filter)
{
    truc_status status = cli_set_filter(context, set, filter->key, filter->type, filter->source);
    if (status == TRUC_OK && filter->limit.given) {
        status = cli_set_u64(context, set, "limit", filter->limit.value);
    }
    if (status == TRUC_OK && filter->event_since.given) {
        status = cli_set_i64(context, set, "event_since_ns", filter->event_since.ns);
    }
    if (status == TRUC_OK && filter->event_until.given) {
        status = cli_set_i64(context, set, "event_until_ns", filter->event_until.ns);
    }
    return status;
}

static truc_status set_reader(struct cli_context *context, truc_options *set, const struct read_request *request)
{
    truc_status status = set_filter(context, set, request->filter);
    if (status == TRUC_OK && request->from != NULL) {
        status = cli_set(context, set, "from", request->from);
    }
    if (status == TRUC_OK && request->until != NULL) {
        status = cli_set(context, set, "until", request->until);
    }
    if (status == TRUC_OK && request->follow) {
        status = cli_set(context, set, "follow", "yes");
    }
    if (status == TRUC_OK && request->reverse) {
        status = cli_set(context, set, "reverse", "yes");
    }
    return status;
}

/* What an open end meant: two runs over the same positions see the same records. */
static void echo_bounds(struct cli_context *context, truc_client *client, truc_reader *reader, const struct read_request *request)
{
    truc_log_place head = {0};
    char domain[65] = "";
    uint64_t from = 0, until = 0;
    if (truc_client_log(client, &head, domain) != TRUC_OK || truc_reader_bounds(reader, &from, &until) != TRUC_OK) {
        return;
    }
    if (request->follow) {
        cli_note(context, "following %s in %s from position %" PRIu64, request->pattern, domain, from);
    } else if (request->reverse) {
        cli_note(context, "replaying %s in %s backwards, from position %" PRIu64 " (exclusive) to %" PRIu64, request->pattern,
                 domain, from, until);
    } else {
        cli_note(context, "replaying %s in %s, from position %" PRIu64 " to %" PRIu64 " (exclusive)", request->pattern, domain,
                 from, until);
    }
}

/* True when the reader came to its end by itself; false when it was stopped or nobody reads what it shows any more. */
static bool wait_for_end(const struct out *out, truc_reader *reader)
{
    while (truc_reader_wait(reader, WAIT_MS) == TRUC_TIMED_OUT) {
        if (cli_stopped() || out_reader_gone(out)) {
            return false;
        }
    }
    return true;
}

static truc_status finish(struct reading *reading, bool ended)
{
    struct cli_context *context = reading->context;
    if (context->out.status != TRUC_OK) {
        return context->out.status; /* main tells what needs telling */
    }
    if (!ended) {
        return TRUC_CANCELLED;
    }
    if (reading->end != TRUC_OK) {
        return cli_error(context, reading->end, "after %" PRIu64 " records: %s", reading->records,
                         reading->why[0] != '\0' ? reading->why : truc_status_text(reading->end));
    }
    return TRUC_OK;
}

/* --- the digest ----------------------------------------------------------------------------------------------------------- */

static truc_status begin_digest(struct reading *reading, truc_client *client)
{
    truc_log_place head = {0};
    char domain[65] = "";
    truc_status status = truc_client_log(client, &head, domain);
    if (status != TRUC_OK) {
        return cli_error(reading->context, status, "the log's identity for the replay digest");
    }
    reading->digest = replay_digest_create();
    if (reading->digest == NULL) {
        return cli_error(reading->context, TRUC_NO_MEMORY, "the replay digest");
    }
    replay_digest_begin(reading->digest, head.log_id, head.generation);
    return TRUC_OK;
}

static void end_digest(struct reading *reading)
{
    struct out *out = &reading->context->out;
    bool json = reading->context->globals.json;
    uint8_t digest[DIGEST_BYTES];
    replay_digest_value(reading->digest, digest);
    out_text(out, json ? "{\"digest\":\"" : "digest ");
    out_hex(out, bytes_of(digest, sizeof digest));
    out_text(out, json ? "\",\"records\":" : " over ");
    out_u64(out, reading->records);
    out_text(out, json ? "}\n" : reading->records == 1 ? " record\n" : " records\n");
}

truc_status read_run(struct cli_context *context, const struct read_request *request)
{
    struct reading reading = {.context = context, .request = request, .end = TRUC_OK};
    truc_client *client = NULL;
    truc_reader *reader = NULL;
    truc_options *set = NULL;
    char *why = NULL;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    message_printer_init(&reading.printer, &context->out, request->shape);
    if (request->digest && (status = begin_digest(&reading, client)) != TRUC_OK) {
        goto done;
    }
    if ((status = truc_options_create(&set)) != TRUC_OK) {
        cli_error(context, status, "the reader's options");
        goto done;
    }
    if ((status = set_reader(context, set, request)) != TRUC_OK) {
        goto done;
    }
    cli_catch_stop();
    status = truc_reader_open(client, request->pattern, set, on_message, on_end, &reading, &reader, &why);
    if (status != TRUC_OK) {
        cli_error(context, status, "%s: %s", request->pattern, why != NULL ? why : truc_status_text(status));
        goto done;
    }
    echo_bounds(context, client, reader, request);
    bool ended = wait_for_end(&context->out, reader);
    truc_reader_close(reader);
    status = finish(&reading, ended);
    if (status == TRUC_OK && reading.digest != NULL) {
        end_digest(&reading);
    }
done:
    truc_free(why);
    truc_options_destroy(set);
    replay_digest_destroy(reading.digest);
    message_printer_fini(&reading.printer);
    return status;
}
