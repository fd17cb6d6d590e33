#include "ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* What is common to a reader that follows and the final dump: a line a record. */
struct lines {
    int fd;
    bool dump;
    char text[256 * 1024];
    size_t size;
};

static void lines_flush(struct lines *lines, bool durable)
{
    if (lines->size > 0)
        ledger_write(lines->fd, lines->text, lines->size, durable);
    lines->size = 0;
}

static void lines_add(struct lines *lines, const truc_message *m)
{
    uint64_t hash = XXH3_64bits(m->encoded.data, m->encoded.size), number = UINT64_MAX;
    char producer[64] = "?";
    if (sizeof lines->text - lines->size < 1024)
        lines_flush(lines, false);
    char *at = lines->text + lines->size;
    size_t left = sizeof lines->text - lines->size;
    int n = snprintf(at, left, "%c %" PRIu64 " %" PRIu32 " %s %" PRIu64 " %016" PRIx64, lines->dump ? 'R' : 'S', m->position,
                     m->index, m->topic, m->offset, hash);
    if (lines->dump) {
        bool proven = record_read(m->record.data, m->record.data_size, ledger_topic_index(m->topic), producer, &number);
        n += snprintf(at + n, left - (size_t)n, " %s %" PRIu64 " %d %" PRIu64 " %" PRId64, proven ? producer : "?", number, proven,
                      m->sequence, m->append_time_ns);
    }
    n += snprintf(at + n, left - (size_t)n, "\n");
    lines->size += (size_t)n;
}

static truc_status on_message(void *context, const truc_message *messages, size_t count)
{
    struct lines *lines = context;
    for (size_t i = 0; i < count; i++)
        lines_add(lines, &messages[i]);
    if (!lines->dump)
        lines_flush(lines, true);
    return TRUC_OK;
}

static void on_end(void *context, truc_status status, const char *why, uint64_t next_position)
{
    struct lines *lines = context;
    if (status != TRUC_OK && status != TRUC_CANCELLED && status != TRUC_CLOSED)
        ledger_error(lines->fd, "the reader ended at position %" PRIu64 ": %s: %s", next_position, truc_status_name(status), why);
}

static truc_status open_reader(truc_client *client, struct lines *lines, uint64_t from, bool follow, truc_reader **ret_reader)
{
    truc_options *options = NULL;
    char *error = NULL, place[64];
    if (truc_options_create(&options) != TRUC_OK)
        return TRUC_NO_MEMORY;
    snprintf(place, sizeof place, "position=%" PRIu64, from);
    ledger_set(options, "from", place);
    ledger_set(options, "follow", follow ? "yes" : "no");
    truc_status status = truc_reader_open(client, "ledger.>", options, on_message, on_end, lines, ret_reader, &error);
    if (status != TRUC_OK)
        fprintf(stderr, "ledger: reader: %s: %s\n", truc_status_name(status), error != NULL ? error : "");
    truc_free(error);
    truc_options_destroy(options);
    return status;
}

/* Opens, however often it takes; what cannot succeed later is an error of the ledger. */
static truc_reader *reader_keep_opening(truc_client *client, struct lines *lines, uint64_t from, bool follow)
{
    while (client != NULL && !ledger_stop) {
        truc_reader *reader = NULL;
        truc_status status = open_reader(client, lines, from, follow, &reader);
        if (status == TRUC_OK)
            return reader;
        if (!truc_status_retriable(status)) {
            ledger_error(lines->fd, "a reader from position %" PRIu64 ": %s", from, truc_status_name(status));
            return NULL;
        }
        ledger_pause(20);
    }
    return NULL;
}

int ledger_follow(const struct ledger_options *options)
{
    struct lines *lines = calloc(1, sizeof *lines);
    struct ledger_past past;
    if (lines == NULL)
        return 2;
    lines->fd = ledger_open(options->ledger, &past);
    truc_client *client = ledger_connect(options);
    /* The last entry may have been written down in part: it is read again. */
    truc_reader *reader = reader_keep_opening(client, lines, past.seen ? past.seen_position : 0, true);
    int result = reader != NULL || ledger_stop ? 0 : 1;
    while (reader != NULL && !ledger_stop) {
        truc_status status = truc_reader_wait(reader, 100);
        if (status != TRUC_TIMED_OUT) {
            ledger_error(lines->fd, "a following reader ended: %s", truc_status_name(status));
            result = 1;
            break;
        }
    }
    truc_reader_close(reader);
    truc_client_close(client);
    free(lines);
    return result;
}

int ledger_dump(const struct ledger_options *options)
{
    struct lines *lines = calloc(1, sizeof *lines);
    struct ledger_past past;
    if (lines == NULL)
        return 2;
    lines->fd = ledger_open(options->out, &past);
    lines->dump = true;
    truc_client *client = ledger_connect(options);
    truc_reader *reader = reader_keep_opening(client, lines, 0, false);
    truc_status status = reader != NULL ? truc_reader_wait(reader, -1) : TRUC_UNREACHABLE;
    truc_reader_close(reader);
    truc_client_close(client);
    lines_flush(lines, true);
    free(lines);
    return status == TRUC_OK ? 0 : 1;
}
