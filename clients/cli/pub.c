/* pub.c: truc pub: one record from a file, or one per line, without holding more than libtruc's queue in memory. */
#include "clients/cli/pub.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/json_text.h"
#include "clients/cli/pub_record.h"
#include "clients/cli/pub_together.h"
#include "proto/topic.h"

enum { READ_BYTES = 256 * 1024 };

static const char *const evidence_choices[] = {"topic", "record", "batch", NULL};
static const char *const codec_choices[] = {"none", "lz4", "zstd", NULL};

static const struct cli_option options[] = {
    {"key", CLI_TEXT, offsetof(struct pub_options, key), "K",
     "ordering key, as the dossier's code; brought to Unicode's NFC, at most 255 bytes", 0, 0, NULL},
    {"type", CLI_TEXT, offsetof(struct pub_options, type), "T", "what kind of event it is, as vn.gov.dossier.status", 0, 0, NULL},
    {"header", CLI_LIST, offsetof(struct pub_options, headers), "N=V", "a header; may be given up to 64 times", 0, 0, NULL},
    {"content-type", CLI_TEXT, offsetof(struct pub_options, content_type), "C",
     "media type of the payload; when not given, application/json for a JSON object or array, else none", 0, 0, NULL},
    {"schema", CLI_TEXT, offsetof(struct pub_options, schema), "S", "name of the payload's schema, as truc.egov.v1.DossierEvent", 0,
     0, NULL},
    {"id", CLI_TEXT, offsetof(struct pub_options, id), "ID",
     "the record's id: a UUID, hex:DIGITS, or a text of at most 64 bytes; a new UUIDv7 when not given", 0, 0, NULL},
    {"time", CLI_TIME, offsetof(struct pub_options, time), "T", "when the event happened", 0, 0, NULL},
    {"expires", CLI_TIME, offsetof(struct pub_options, expires), "T",
     "from then on it is not delivered to subscriptions any more; the log keeps it", 0, 0, NULL},
    {"deliver-at", CLI_TIME, offsetof(struct pub_options, deliver_at), "T",
     "shared subscriptions give it not before, as +30s or 2026-12-01T08:00", 0, 0, NULL},
    {"expect-offset", CLI_UINT, offsetof(struct pub_options, expect_offset), "N",
     "publish only if the record gets this offset in its topic; else CONFLICT tells the next one", 0, 0, NULL},
    {"correlation", CLI_TEXT, offsetof(struct pub_options, correlation), "C", "correlation id", 0, 0, NULL},
    {"producer", CLI_TEXT, offsetof(struct pub_options, producer), "NAME",
     "publish under a producer's name: an older run under that name is fenced off, its sequences go on", 0, 0, NULL},
    {"evidence", CLI_CHOICE, offsetof(struct pub_options, evidence), "E", "evidence level wished for a topic that is new", 0, 0,
     evidence_choices},
    {"codec", CLI_CHOICE, offsetof(struct pub_options, codec), "C", "compression of the batches", 0, 0, codec_choices},
    {"wait-for", CLI_LIST, offsetof(struct pub_options, wait_for), "SUBSCRIPTION",
     "wait until this one, NAME or AGENCY/NAME, has acknowledged each record; may be given up to 16 times", 0, 0, NULL},
    {"wait-timeout", CLI_DURATION, offsetof(struct pub_options, wait_timeout), "D",
     "for how long in all, as 5s or 10m; --timeout when not given", 0, 0, NULL},
    {"lines", CLI_FLAG, offsetof(struct pub_options, lines), NULL, "each line is a record, without its newline", 0, 0, NULL},
    {"together", CLI_FLAG, offsetof(struct pub_options, together), NULL,
     "publish all records of this run or none of them, also to several topics: TOPIC FILE TOPIC FILE and so on", 0, 0, NULL},
};

struct pub {
    struct cli_context *context;
    const struct pub_options *options;
    const char *topic, *path; /* path NULL: standard input */
    const char *name;         /* of the input, for people */
    int descriptor;
    struct pub_record record; /* what is the same for every record */
    struct out scratch;       /* for looking whether a payload is JSON */
    truc_producer *producer;
    struct pub_tally tally;
    struct pub_wait wait;
    struct pub_together together;
    uint64_t sent; /* records handed to libtruc, or gathered */
};

/* --- input and producer --------------------------------------------------------------------------------------------------- */

static truc_status open_input(struct pub *pub)
{
    if (pub->path == NULL) {
        pub->descriptor = STDIN_FILENO;
        if (isatty(STDIN_FILENO) == 1) {
            cli_note(pub->context, "reading from the terminal; Ctrl-D ends it");
        }
        return TRUC_OK;
    }
    pub->descriptor = open(pub->path, O_RDONLY | O_CLOEXEC);
    if (pub->descriptor < 0) {
        return cli_error(pub->context, TRUC_IO, "%s: %s", pub->path, strerror(errno));
    }
    return TRUC_OK;
}

static truc_status open_producer(struct pub *pub)
{
    const struct pub_options *given = pub->options;
    truc_client *client = NULL;
    truc_options *set = NULL;
    char *why = NULL;
    truc_status status = cli_client(pub->context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    if ((status = truc_options_create(&set)) != TRUC_OK) {
        return cli_error(pub->context, status, "the producer's options");
    }
    /* This side waits itself when the queue is full, so that it notices a broker that never comes back. */
    status = cli_set(pub->context, set, "queue_full", "error");
    if (status == TRUC_OK && given->producer != NULL) {
        status = cli_set(pub->context, set, "name", given->producer);
    }
    if (status == TRUC_OK && given->evidence != NULL) {
        status = cli_set(pub->context, set, "evidence", given->evidence);
    }
    if (status == TRUC_OK && given->codec != NULL) {
        status = cli_set(pub->context, set, "codec", given->codec);
    }
    if (status == TRUC_OK) {
        status = truc_producer_open(client, set, pub_tally_delivered, &pub->tally, &pub->producer, &why);
        if (status != TRUC_OK) {
            cli_error(pub->context, status, "%s", why != NULL ? why : truc_status_text(status));
        }
    }
    truc_free(why);
    truc_options_destroy(set);
    return status;
}

/* --- publishing ----------------------------------------------------------------------------------------------------------- */

/* Waits for deliveries as long as some come within --timeout. TRUC_OK when at least one came since `seen`. */
static truc_status wait_for_progress(struct pub *pub, uint64_t seen)
{
    int64_t left_ms = cli_timeout_ms(pub->context);
    while (left_ms > 0) {
        if (cli_stopped()) {
            return TRUC_CANCELLED;
        }
        if (pub_tally_wait(&pub->tally, seen) > seen) {
            return TRUC_OK;
        }
        left_ms -= 100;
    }
    return cli_error(pub->context, TRUC_TIMED_OUT,
                     "%" PRIu64 " of %" PRIu64 " records are not acknowledged; the last acknowledgement is %d s old",
                     pub->sent - seen, pub->sent, cli_timeout_ms(pub->context) / 1000);
}

static truc_status publish(struct pub *pub, struct bytes data)
{
    static const char json[] = "application/json";
    truc_record record = pub->record.record;
    uint64_t seen = 0;
    record.data = data.data;
    record.data_size = data.size;
    if (pub->options->content_type == NULL && pub->options->schema == NULL && json_text_is_structure(data, &pub->scratch)) {
        record.content_type = (truc_text){json, sizeof json - 1};
    }
    if (pub->options->together) {
        truc_status status = pub_together_add(&pub->together, pub->topic, &record);
        pub->sent += status == TRUC_OK;
        return status;
    }
    for (;;) {
        truc_status status =
            truc_publish_as(pub->producer, pub->topic, &record, &pub->record.how, (void *)(uintptr_t)(pub->sent + 1));
        if (status == TRUC_OK) {
            pub->sent++;
            return TRUC_OK;
        }
        if (status != TRUC_QUEUE_FULL) {
            return cli_error(pub->context, status, "record %" PRIu64 " (%zu bytes): %s", pub->sent + 1, data.size,
                             truc_status_text(status));
        }
        status = wait_for_progress(pub, seen);
        if (status != TRUC_OK || (status = pub_tally_failed(&pub->tally)) != TRUC_OK) {
            return status;
        }
        pthread_mutex_lock(&pub->tally.lock);
        seen = pub->tally.delivered;
        pthread_mutex_unlock(&pub->tally.lock);
    }
}

static truc_status read_some(struct pub *pub, char *to, size_t room, size_t *ret_size)
{
    for (;;) {
        ssize_t size = read(pub->descriptor, to, room);
        if (size >= 0) {
            *ret_size = (size_t)size;
            return TRUC_OK;
        }
        if (errno != EINTR) {
            return cli_error(pub->context, TRUC_IO, "%s: %s", pub->name, strerror(errno));
        }
        if (cli_stopped()) {
            return TRUC_CANCELLED;
        }
    }
}

static truc_status too_large(struct pub *pub, const char *what)
{
    return cli_error(pub->context, TRUC_RECORD_TOO_LARGE, "%s: %s is longer than %d bytes", pub->name, what, RECORD_BYTES_MAX);
}

/* The whole input is one record. Its size is only known at its end, so at most RECORD_BYTES_MAX are ever held. */
static truc_status publish_whole(struct pub *pub)
{
    struct out input;
    truc_status status = TRUC_OK;
    size_t size = 1;
    out_init(&input, -1);
    while (status == TRUC_OK && size > 0) {
        char *room = out_room(&input, READ_BYTES);
        if (room == NULL) {
            status = cli_error(pub->context, TRUC_NO_MEMORY, "%s", pub->name);
        } else if ((status = read_some(pub, room, READ_BYTES, &size)) == TRUC_OK) {
            input.size += size;
            if (input.size > RECORD_BYTES_MAX) {
                status = too_large(pub, "the input");
            }
        }
    }
    if (status == TRUC_OK && input.size == 0) {
        cli_note(pub->context, "%s is empty: the record has no data", pub->name);
    }
    if (status == TRUC_OK) {
        status = publish(pub, bytes_of(input.data, input.size));
    }
    out_fini(&input);
    return status;
}

/* Publishes the complete lines in input and keeps the rest at its front. */
static truc_status publish_complete_lines(struct pub *pub, struct out *input)
{
    size_t from = 0;
    truc_status status = TRUC_OK;
    char *newline;
    while (status == TRUC_OK && (newline = memchr(input->data + from, '\n', input->size - from)) != NULL) {
        size_t end = (size_t)(newline - input->data);
        status = publish(pub, bytes_of(input->data + from, end - from));
        from = end + 1;
    }
    memmove(input->data, input->data + from, input->size - from);
    input->size -= from;
    return status;
}

static truc_status publish_lines(struct pub *pub)
{
    struct out input;
    truc_status status = TRUC_OK;
    size_t size = 1;
    out_init(&input, -1);
    while (status == TRUC_OK && size > 0 && !cli_stopped()) {
        char *room = out_room(&input, READ_BYTES);
        if (room == NULL) {
            status = cli_error(pub->context, TRUC_NO_MEMORY, "%s", pub->name);
        } else if ((status = read_some(pub, room, READ_BYTES, &size)) == TRUC_OK) {
            input.size += size;
            status = publish_complete_lines(pub, &input);
        }
        if (status == TRUC_OK && input.size > RECORD_BYTES_MAX) {
            char what[64];
            snprintf(what, sizeof what, "line %" PRIu64, pub->sent + 1);
            status = too_large(pub, what);
        }
        if (status == TRUC_OK) {
            status = pub_tally_failed(&pub->tally);
        }
    }
    if (status == TRUC_OK && input.size > 0 && !cli_stopped()) { /* a last line without its newline */
        status = publish(pub, bytes_of(input.data, input.size));
    }
    out_fini(&input);
    return status;
}

/* Waits until everything handed over is delivered. */
static truc_status settle(struct pub *pub)
{
    truc_status status = TRUC_OK;
    uint64_t seen = 0;
    while (status == TRUC_OK) {
        status = truc_flush(pub->producer, 0);
        pthread_mutex_lock(&pub->tally.lock);
        seen = pub->tally.delivered;
        pthread_mutex_unlock(&pub->tally.lock);
        if (seen >= pub->sent) {
            return TRUC_OK;
        }
        if (status != TRUC_OK && status != TRUC_TIMED_OUT) {
            return cli_error(pub->context, status, "%" PRIu64 " of %" PRIu64 " records are not acknowledged", pub->sent - seen,
                             pub->sent);
        }
        status = wait_for_progress(pub, seen);
    }
    return status;
}

/* --- the summary ---------------------------------------------------------------------------------------------------------- */

static truc_status report(struct pub *pub, truc_status status)
{
    struct pub_tally *tally = &pub->tally;
    struct cli_context *context = pub->context;
    /* What was still waiting when this side gave up is reported CLOSED; why it gave up has been said. */
    bool given_up = status != TRUC_OK && tally->failed == TRUC_CLOSED;
    if (tally->failed == TRUC_CONFLICT && tally->failed_offset != UINT64_MAX) {
        status = cli_error(context, TRUC_CONFLICT, "the next offset of %s is %" PRIu64 ", not %" PRIu64, pub->topic,
                           tally->failed_offset, pub->options->expect_offset.value);
    } else if (tally->failed != TRUC_OK && !given_up) {
        cli_error(context, tally->failed, "record %" PRIu64 ": %s", tally->failed_number,
                  tally->failed_why[0] != '\0' ? tally->failed_why : truc_status_text(tally->failed));
        status = tally->failed;
    }
    if (tally->stored > 0) {
        pub_note_topic(
            context, &(truc_delivery){
                         .topic = pub->topic, .created = tally->created, .status = TRUC_OK, .subscriptions = tally->subscriptions});
    }
    if (status == TRUC_CANCELLED) {
        cli_note(context, "interrupted: %" PRIu64 " of %" PRIu64 " records are acknowledged", tally->stored + tally->duplicates,
                 pub->sent);
    }
    if (context->globals.json) {
        return status;
    }
    if (pub->options->lines) {
        out_format(&context->out, "published %" PRIu64 " records to %s", tally->stored, pub->topic);
        if (tally->stored > 0) {
            out_format(&context->out, ", offsets %" PRIu64 " to %" PRIu64, tally->first_offset, tally->last_offset);
        }
        out_text(&context->out, "\n");
    } else if (tally->stored > 0) {
        out_format(&context->out, "published to %s offset %" PRIu64 " position %" PRIu64 " index %u\n", pub->topic,
                   tally->last_offset, tally->position, tally->index);
    }
    return status;
}

/* --- the run -------------------------------------------------------------------------------------------------------------- */

static void set_input(struct pub *pub, const char *topic, const char *path)
{
    pub->topic = topic;
    pub->path = path != NULL && strcmp(path, "-") != 0 ? path : NULL;
    pub->name = pub->path != NULL ? pub->path : "standard input";
}

static void close_input(struct pub *pub)
{
    if (pub->descriptor > STDIN_FILENO) {
        close(pub->descriptor);
    }
    pub->descriptor = -1;
}

/* Operands are a topic and a file, or, together, several such pairs. */
static truc_status check_operands(struct pub *pub, char *const *operands, size_t count)
{
    const char *why = "";
    size_t from_stdin = 0;
    if (pub->options->wait_for.count > 0 && pub->options->together) {
        return cli_error(pub->context, TRUC_USAGE, "--wait-for cannot stand with --together; see truc receipt --wait-for");
    }
    if (count > 2 && !pub->options->together) {
        return cli_error(pub->context, TRUC_USAGE, "several topics need --together");
    }
    if (count > 2 && count % 2 != 0) {
        return cli_error(pub->context, TRUC_USAGE, "with several topics there is a FILE behind each: %s has none",
                         operands[count - 1]);
    }
    if (count > 2 && pub->options->id != NULL) {
        return cli_error(pub->context, TRUC_USAGE, "--id names one record and cannot stand with several topics");
    }
    for (size_t i = 0; i < count; i += 2) {
        truc_status status = topic_check(bytes_of_text(operands[i]), &why);
        if (status != TRUC_OK) {
            return cli_error(pub->context, status, "'%.300s': %s", operands[i], why);
        }
        from_stdin += i + 1 == count || strcmp(operands[i + 1], "-") == 0;
    }
    if (from_stdin > 1) {
        return cli_error(pub->context, TRUC_USAGE, "standard input can be read for one topic only");
    }
    return TRUC_OK;
}

static truc_status publish_input(struct pub *pub)
{
    return pub->options->lines ? publish_lines(pub) : publish_whole(pub);
}

static truc_status run_one(struct pub *pub)
{
    truc_status status = open_input(pub);
    if (status == TRUC_OK) {
        status = open_producer(pub);
    }
    if (status != TRUC_OK) {
        return status;
    }
    cli_catch_stop();
    status = publish_input(pub);
    if (status != TRUC_TIMED_OUT) { /* else it has been waited for already, in vain */
        truc_status settled = settle(pub);
        status = status != TRUC_OK ? status : settled;
    }
    truc_producer_close(pub->producer, 0);
    if (status == TRUC_OK && cli_stopped()) {
        status = TRUC_CANCELLED;
    }
    status = report(pub, status);
    const struct cli_time *timeout =
        pub->options->wait_timeout.given ? &pub->options->wait_timeout : &pub->context->globals.timeout;
    if (status == TRUC_OK && pub->options->wait_for.count > 0 && (status = out_flush(&pub->context->out)) == TRUC_OK) {
        status = pub_wait_run(pub->context, &pub->wait, pub->topic, &pub->options->wait_for, timeout->ns);
    }
    return status;
}

static truc_status run_together(struct pub *pub, char *const *operands, size_t count)
{
    truc_status status = TRUC_OK;
    cli_catch_stop();
    for (size_t i = 0; i < count && status == TRUC_OK; i += 2) {
        set_input(pub, operands[i], i + 1 < count ? operands[i + 1] : NULL);
        status = open_input(pub);
        if (status == TRUC_OK) {
            status = publish_input(pub);
        }
        close_input(pub);
    }
    if (status == TRUC_OK && cli_stopped()) {
        status = TRUC_CANCELLED;
    }
    if (status != TRUC_OK) {
        return status;
    }
    if (pub->sent == 0) {
        cli_note(pub->context, "there is no record to publish");
        return TRUC_OK;
    }
    status = open_producer(pub);
    if (status != TRUC_OK) {
        return status;
    }
    status = pub_together_send(&pub->together, pub->producer);
    truc_producer_close(pub->producer, 0);
    return status;
}

static truc_status run(struct cli_context *context, const void *given, char *const *operands, size_t operand_count)
{
    struct pub pub = {.context = context, .options = given, .descriptor = -1};
    truc_status status = pub_tally_init(&pub.tally, context);
    if (status != TRUC_OK) {
        return cli_error(context, status, "a lock");
    }
    out_init(&pub.scratch, -1);
    pub_together_init(&pub.together, context);
    pub.tally.wait = pub.options->wait_for.count > 0 ? &pub.wait : NULL;
    set_input(&pub, operands[0], operand_count > 1 ? operands[1] : NULL);
    status = check_operands(&pub, operands, operand_count);
    if (status == TRUC_OK) {
        status = pub_record_fill(context, given, &pub.record);
    }
    if (status == TRUC_OK) {
        status = pub.options->together ? run_together(&pub, operands, operand_count) : run_one(&pub);
    }
    close_input(&pub);
    pub_together_fini(&pub.together);
    pub_wait_fini(&pub.wait);
    out_fini(&pub.scratch);
    pub_record_fini(&pub.record);
    pub_tally_fini(&pub.tally);
    return status;
}

static const truc_status exits[] = {
    TRUC_IO,        TRUC_TIMED_OUT,  TRUC_CANCELLED,        TRUC_UNREACHABLE, TRUC_RECORD_TOO_LARGE,  TRUC_BATCH_TOO_LARGE,
    TRUC_BAD_TOPIC, TRUC_BAD_SOURCE, TRUC_BAD_RECORD,       TRUC_FENCED,      TRUC_EVIDENCE_MISMATCH, TRUC_CONFLICT,
    TRUC_DISK_FULL, TRUC_NOT_FOUND,  TRUC_NOT_ACKNOWLEDGED,
};

const struct cli_verb verb_pub = {
    .name = "pub",
    .summary = "publish a record, or one per line",
    .example = "echo '{\"status\":4}' | truc pub dossier.status.H26.16 --key H26.16-200605-0001 --type vn.gov.dossier.status\n"
               "truc pub dossier.scan.H26.16 page.pdf --content-type application/pdf --header page=1\n"
               "truc pub dossier.status.H26.16 events.jsonl --lines --source H26.16/portal\n"
               "truc pub --together dossier.status.H26.16 status.json dossier.fee.H26.16 fee.json",
    .operands = "TOPIC [FILE|-] [TOPIC FILE]...",
    .operands_min = 1,
    .operands_max = 2 * BATCHES_TOGETHER_MAX,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct pub_options),
    .notes =
        "When truc pub ends with 0, what it published is on the broker's disk. A topic is created by its first record, and truc "
        "pub says so on standard error, as it does when no subscription matches the topic. Without FILE, or with -, standard input "
        "is read. With --json there is one line per record: status, topic, offset, position, index, sequence, duplicate, created, "
        "subscriptions.\n\n"
        "With --wait-for truc pub ends with 0 when the subscriptions named have acknowledged every record, and with "
        "NOT_ACKNOWLEDGED "
        "when one has not in time, or never will: the records are stored all the same.\n\n"
        "With --together all records are held in memory and are stored in one block, or none of them is: at most 64 topics and as "
        "many bytes as the broker takes in one batch.\n\n"
        "Personal data belongs into the payload, never into topic, key, type or headers: these are logged and indexed.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
