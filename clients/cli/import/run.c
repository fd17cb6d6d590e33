#include "clients/cli/import/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/cli/import/compare.h"
#include "clients/cli/import/feed.h"
#include "clients/cli/import/sender.h"
#include "clients/cli/import/slug.h"
#include "clients/cli/import/summary.h"
#include "clients/cli/import/tally.h"
#include "clients/cli/import/topics.h"

/* One import. What is not created yet is NULL. */
struct import {
    struct cli_context *context;
    const struct import_options *options;
    const char *path;
    struct progress progress;
    struct columns *columns;
    struct mapping *mapping;
    struct rejects *rejects;
    struct feed *feed;
    struct topics *topics;
    struct sender *sender;
    struct compare *compare;
    struct tally keys;
    char producer[PRODUCER_NAME_BYTES_MAX + 1];
    int64_t started_ns, sending_ns; /* monotonic */
    struct summary summary;
    bool sending; /* the second pass has begun: a summary makes sense */
};

/* --- what the options say -------------------------------------------------------------------------------------------------------
 */

static truc_status choose_format(const struct import *import, enum rows_format *ret_format, struct failure *failure)
{
    *ret_format = import->options->format != NULL ? rows_format_named(import->options->format) : rows_format_of_path(import->path);
    if (*ret_format == ROWS_UNKNOWN) {
        return failure_set(failure, TRUC_USAGE, "the name %s does not tell its format: say --format csv, xes or jsonl",
                           quote(bytes_of_text(import->path)).text);
    }
    return TRUC_OK;
}

static truc_status choose_delimiter(const struct import *import, enum rows_format format, char *ret_delimiter,
                                    struct failure *failure)
{
    const char *text = import->options->delimiter;
    *ret_delimiter = 0;
    if (text == NULL) {
        return TRUC_OK;
    }
    if (format != ROWS_CSV) {
        return failure_set(failure, TRUC_USAGE, "--delimiter is for CSV files");
    }
    *ret_delimiter = strcmp(text, "tab") == 0 ? '\t' : text[0];
    bool one = strcmp(text, "tab") == 0 || (text[0] != '\0' && text[1] == '\0' && (unsigned char)text[0] < 0x80);
    if (!one || strchr("\"\r\n", *ret_delimiter) != NULL) {
        return failure_set(failure, TRUC_USAGE, "--delimiter is one ASCII character, not a quote, or `tab`");
    }
    return TRUC_OK;
}

static truc_status check_options(const struct import *import, struct failure *failure)
{
    const struct import_options *options = import->options;
    if (options->rate.given && options->speed.given) {
        return failure_set(failure, TRUC_USAGE, "--rate and --speed exclude each other");
    }
    if (options->speed.given && options->time != NULL && options->time[0] == '\0') {
        return failure_set(failure, TRUC_USAGE, "--speed needs --time");
    }
    if (options->producer != NULL && (options->producer[0] == '\0' || strlen(options->producer) > PRODUCER_NAME_BYTES_MAX)) {
        return failure_set(failure, TRUC_USAGE, "--producer is 1 to %d bytes", PRODUCER_NAME_BYTES_MAX);
    }
    return TRUC_OK;
}

/* `import-NAME-DIGEST`: the file's name without its folder, and the first 8 bytes of a digest of the mapping, the format and the
 * order. What the file holds is not in it, so that a file may grow. */
static truc_status name_producer(struct import *import, enum rows_format format, struct failure *failure)
{
    if (import->options->producer != NULL) {
        (void)snprintf(import->producer, sizeof import->producer, "%s", import->options->producer);
        return TRUC_OK;
    }
    enum { NAME_BYTES_MAX = 80 };
    uint8_t digest[DIGEST_BYTES];
    if (mapping_digest(import->mapping, digest) != TRUC_OK) {
        return failure_set(failure, TRUC_NO_MEMORY, "while naming the producer");
    }
    digest[0] ^= (uint8_t)format;
    digest[1] ^= import->options->speed.given;
    const char *slash = strrchr(import->path, '/');
    struct bytes base = bytes_of_text(slash == NULL ? import->path : slash + 1);
    struct out name;
    struct failure ignored; /* a name of which nothing is left */
    out_init(&name, -1);
    if (slug_append(base, &name, &ignored) != TRUC_OK) {
        name.size = 0;
        out_text(&name, "file");
    }
    if (name.status == TRUC_OK) {
        (void)snprintf(import->producer, sizeof import->producer, "import-%.*s-%016" PRIx64,
                       (int)(name.size < NAME_BYTES_MAX ? name.size : NAME_BYTES_MAX), name.data,
                       __builtin_bswap64(load_u64(digest)));
    }
    truc_status status = name.status;
    out_fini(&name);
    return status == TRUC_OK ? TRUC_OK : failure_set(failure, status, "while naming the producer");
}

static const char *source_of(const struct import *import)
{
    return import->context->globals.source != NULL ? import->context->globals.source : "local/dev"; /* libtruc's default */
}

static truc_status prepare(struct import *import, struct failure *failure)
{
    const struct import_options *options = import->options;
    enum rows_format format = ROWS_UNKNOWN;
    char delimiter = 0;
    truc_status status = check_options(import, failure);
    if (status == TRUC_OK) {
        status = choose_format(import, &format, failure);
    }
    if (status == TRUC_OK) {
        status = choose_delimiter(import, format, &delimiter, failure);
    }
    if (status != TRUC_OK) {
        return status;
    }
    import->columns = columns_create();
    import->topics = topics_create();
    if (import->columns == NULL || import->topics == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while starting");
    }
    const struct mapping_options mapping = {options->topic, options->key,  options->type, options->time,
                                            options->as,    options->sets, options->maps, options->headers};
    status = mapping_create(&mapping, import->columns, &import->context->zone, &import->mapping, failure);
    if (status == TRUC_OK) {
        status = name_producer(import, format, failure);
    }
    if (status == TRUC_OK && mapping_identify(import->mapping, source_of(import), import->producer) != TRUC_OK) {
        status = failure_set(failure, TRUC_NO_MEMORY, "while starting");
    }
    if (status == TRUC_OK) {
        status = rejects_open(import->context, &import->progress, options->rejects, import->path, &import->rejects, failure);
    }
    if (status == TRUC_OK) {
        const struct feed_options feed = {import->path,    format,          delimiter,       options->speed.given,
                                          import->columns, import->mapping, import->rejects, &import->progress};
        status = feed_create(&feed, &import->feed, failure);
    }
    return status;
}

/* --- the passes -----------------------------------------------------------------------------------------------------------------
 */

/* The state of the topic of the row at hand. */
static truc_status find_topic(struct import *import, const struct built *built, uint32_t *ret_topic, struct failure *failure)
{
    truc_status status = topics_number(import->topics, bytes_of(built->topic, built->topic_size), ret_topic, failure);
    if (status != TRUC_OK || import->sender == NULL) {
        return status;
    }
    struct topic_state *state = topics_state(import->topics, *ret_topic);
    if (!state->asked) {
        status = sender_stored(import->sender, built->topic, &state->stored, failure);
        state->asked = status == TRUC_OK;
    }
    return status;
}

/* The first pass: nothing is sent before the whole file has been looked at. Rows that the broker has are compared with what it has.
 */
static truc_status check_pass(struct import *import, struct failure *failure)
{
    truc_status status =
        compare_create(import->context, import->context->client, import->topics, import->path, &import->compare, failure);
    if (status == TRUC_OK) {
        status = import_feed_begin(import->feed, "checking", false, failure);
    }
    while (status == TRUC_OK) {
        struct built *built;
        uint32_t topic;
        enum feed_kind kind = feed_next(import->feed, &built, failure);
        if (kind == FEED_END) {
            return compare_finish(import->compare, failure);
        }
        if (cli_stopped()) {
            return failure_set(failure, TRUC_CANCELLED, "stopped");
        }
        status = kind == FEED_FAILED ? failure->status : find_topic(import, built, &topic, failure);
        if (status != TRUC_OK) {
            return status;
        }
        if (topics_state(import->topics, topic)->met >= topics_state(import->topics, topic)->stored) {
            continue; /* new: it need not be built now */
        }
        status = feed_complete(import->feed, failure);
        if (status == TRUC_BAD_ROW) {
            status = TRUC_OK;
            continue;
        }
        if (status == TRUC_OK) {
            status = compare_add(import->compare, topic, topics_state(import->topics, topic)->met++, built, failure);
        }
    }
    return status;
}

/* Rows that were stored must still be in the file. */
static truc_status check_lengths(struct import *import, struct failure *failure)
{
    for (size_t i = 0; i < import_topics_count(import->topics); i++) {
        const struct topic_state *state = topics_state(import->topics, (uint32_t)i);
        if (state->met < state->stored) {
            return failure_set(failure, TRUC_ROW_CHANGED,
                               "topic %s holds %" PRIu64 " records of producer %s, but %.200s has only %" PRIu64 " rows for it",
                               topics_name(import->topics, (uint32_t)i), state->stored, import->producer, import->path, state->met);
        }
    }
    topics_restart(import->topics);
    return TRUC_OK;
}

/* One row of the second pass, whose record is made. */
static truc_status pass_on(struct import *import, struct built *built, uint32_t topic, struct failure *failure)
{
    tally_note(&import->keys, bytes_of(built->record.key.data, built->record.key.size));
    struct topic_state *state = topics_state(import->topics, topic);
    import->summary.topics += state->met++ == 0;
    if (state->met <= state->stored) {
        import->summary.skipped++;
        return TRUC_OK;
    }
    if (import->sender == NULL) {
        summary_sample(&import->summary, import->context, built);
        return TRUC_OK;
    }
    return sender_send(import->sender, built, failure);
}

/* The second pass: sends what is not stored yet. In a dry run: shows it. */
static truc_status send_pass(struct import *import, struct failure *failure)
{
    import->sending_ns = monotonic_ns();
    import->sending = true;
    truc_status status = import_feed_begin(import->feed, import->sender == NULL ? "reading" : "sending", true, failure);
    while (status == TRUC_OK) {
        struct built *built;
        uint32_t topic;
        enum feed_kind kind = feed_next(import->feed, &built, failure);
        if (kind == FEED_END) {
            break;
        }
        if (cli_stopped()) {
            return failure_set(failure, TRUC_CANCELLED, "stopped");
        }
        status = kind == FEED_FAILED ? failure->status : find_topic(import, built, &topic, failure);
        if (status == TRUC_OK) {
            status = feed_complete(import->feed, failure);
        }
        if (status == TRUC_OK) {
            status = pass_on(import, built, topic, failure);
        } else if (status == TRUC_BAD_ROW && kind == FEED_ROW) {
            status = TRUC_OK; /* told already */
        }
    }
    return status == TRUC_OK && import->sender != NULL ? sender_flush(import->sender, failure) : status;
}

/* --- the run
 * ---------------------------------------------------------------------------------------------------------------------- */

static truc_status connect_broker(struct import *import, struct failure *failure)
{
    truc_client *client;
    truc_status status = cli_client(import->context, &client);
    if (status != TRUC_OK) {
        failure->why[0] = '\0'; /* told already */
        return status;
    }
    const struct sender_options sender = {import->producer, import->options->outbox, import->options->rate.value,
                                          import->options->speed.value};
    return sender_open(import->context, client, &sender, &import->sender, failure);
}

static void sum_up(struct import *import)
{
    struct summary *summary = &import->summary;
    struct sender_outcome outcome = {0};
    if (import->sender != NULL) {
        sender_outcome(import->sender, &outcome);
    }
    int64_t now = monotonic_ns();
    summary->path = import->path;
    summary->producer = import->producer;
    summary->rows = feed_rows(import->feed);
    summary->rejected = rejects_count(import->rejects);
    summary->sent = outcome.stored;
    summary->topics = import_topics_count(import->topics);
    summary->keys = import->keys.count;
    summary->keys_more = import->keys.more;
    summary->placed = outcome.placed;
    summary->first_position = outcome.first_position;
    summary->last_position = outcome.last_position;
    summary->seconds = (double)(now - import->started_ns) / 1e9;
    summary->sending_seconds = (double)(now - import->sending_ns) / 1e9;
    summary_print(summary, import->context);
}

static truc_status finish(struct import *import, truc_status status, struct failure *failure)
{
    progress_clear(&import->progress);
    uint64_t rejected = 0;
    if (import->rejects != NULL) {
        rejects_sum_up(import->rejects);
        rejected = rejects_count(import->rejects);
    }
    if (import->sending) {
        sum_up(import);
    }
    struct failure closing;
    truc_status closed = rejects_close(import->rejects, &closing);
    import->rejects = NULL;
    if (status == TRUC_OK && closed != TRUC_OK) {
        status = closed;
        *failure = closing;
    }
    if (status == TRUC_OK && rejected > 0) {
        const char *where = import->options->rejects;
        return cli_error(import->context, TRUC_BAD_ROW, "%" PRIu64 " of %" PRIu64 " rows are bad%s%s", rejected,
                         feed_rows(import->feed), where == NULL ? "; --rejects FILE keeps them" : " and are now in ",
                         where == NULL ? "" : where);
    }
    if (status == TRUC_CANCELLED) {
        cli_note(import->context, "stopped; run the same command again to go on");
    } else if (status != TRUC_OK && failure->why[0] != '\0') {
        (void)cli_error(import->context, status, "%s", failure->why);
    }
    return status;
}

truc_status import_run(struct cli_context *context, const struct import_options *options, const char *path)
{
    struct import import = {.context = context, .options = options, .path = path, .started_ns = monotonic_ns()};
    struct failure failure = {.status = TRUC_OK};
    progress_init(&import.progress, context);
    tally_init(&import.keys);
    cli_catch_stop();
    truc_status status = prepare(&import, &failure);
    if (status == TRUC_OK && !options->dry_run) {
        status = connect_broker(&import, &failure);
    }
    if (status == TRUC_OK) {
        status = check_pass(&import, &failure);
    }
    if (status == TRUC_OK) {
        status = check_lengths(&import, &failure);
    }
    if (status == TRUC_OK) {
        status = send_pass(&import, &failure);
    }
    status = finish(&import, status, &failure);
    compare_destroy(import.compare);
    sender_close(import.sender);
    feed_destroy(import.feed);
    topics_destroy(import.topics);
    mapping_destroy(import.mapping);
    columns_destroy(import.columns);
    tally_fini(&import.keys);
    return status;
}
