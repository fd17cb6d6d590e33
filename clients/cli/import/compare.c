#include "clients/cli/import/compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/cli/import/bounds.h"

struct expected {
    uint32_t topic;
    uint64_t sequence, line;
    uint8_t id[IMPORT_ID_BYTES];
    uint8_t digest[DIGEST_BYTES];
};

struct compare {
    struct cli_context *context;
    truc_client *client;
    struct topics *topics;
    const char *path;
    struct digest_context *digests;
    struct out scratch;
    bool producer_known;
    uint64_t producer_id;
    struct expected *rows;
    size_t count;
};

enum { PULL_MS = 500 };

truc_status compare_create(struct cli_context *context, truc_client *client, struct topics *topics, const char *path,
                           struct compare **ret_compare, struct failure *failure)
{
    struct compare *compare = calloc(1, sizeof *compare);
    if (compare == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while comparing with the log");
    }
    compare->context = context;
    compare->client = client;
    compare->topics = topics;
    compare->path = path;
    out_init(&compare->scratch, -1);
    compare->digests = digest_context_create();
    compare->rows = malloc(IMPORT_COMPARE_ROWS * sizeof *compare->rows);
    if (compare->digests == NULL || compare->rows == NULL) {
        compare_destroy(compare);
        return failure_set(failure, TRUC_NO_MEMORY, "while comparing with the log");
    }
    *ret_compare = compare;
    return TRUC_OK;
}

void compare_destroy(struct compare *compare)
{
    if (compare == NULL) {
        return;
    }
    digest_context_destroy(compare->digests);
    out_fini(&compare->scratch);
    free(compare->rows);
    free(compare);
}

static truc_status changed(const struct compare *compare, const struct expected *expected, struct failure *failure, const char *how,
                           uint64_t offset)
{
    const char *topic = topics_name(compare->topics, expected->topic);
    if (offset == UINT64_MAX) {
        return failure_set(failure, TRUC_ROW_CHANGED, "%.200s:%" PRIu64 ": %s topic %s", compare->path, expected->line, how, topic);
    }
    return failure_set(failure, TRUC_ROW_CHANGED, "%.200s:%" PRIu64 ": %s offset %" PRIu64 " of topic %s", compare->path,
                       expected->line, how, offset, topic);
}

/* One stored record against the row that is due. *ret_found: it is that row, unchanged. */
static truc_status judge(struct compare *compare, const struct expected *expected, const truc_message *message, bool *ret_found,
                         struct failure *failure)
{
    *ret_found = false;
    bool same_id =
        message->record.id.size == IMPORT_ID_BYTES && memcmp(message->record.id.data, expected->id, IMPORT_ID_BYTES) == 0;
    if (compare->producer_known) {
        if (message->producer_id != compare->producer_id || message->sequence < expected->sequence) {
            return TRUC_OK;
        }
        if (message->sequence != expected->sequence || !same_id) {
            return changed(compare, expected, failure,
                           "rows were inserted, removed or reordered at or before this one: another row was stored as",
                           message->offset);
        }
    } else if (!same_id) {
        return TRUC_OK;
    }
    uint8_t digest[DIGEST_BYTES];
    record_fingerprint(compare->digests, &compare->scratch, &message->record, digest);
    if (compare->scratch.status != TRUC_OK) {
        return failure_set(failure, compare->scratch.status, "while comparing with the log");
    }
    if (message->sequence != expected->sequence || memcmp(digest, expected->digest, DIGEST_BYTES) != 0) {
        return changed(compare, expected, failure, "the row has changed since it was stored as", message->offset);
    }
    compare->producer_known = true;
    compare->producer_id = message->producer_id;
    topics_state(compare->topics, expected->topic)->read_from = message->position;
    *ret_found = true;
    return TRUC_OK;
}

static truc_status open_reader(struct compare *compare, uint32_t topic, truc_reader **ret_reader, struct failure *failure)
{
    char from[40];
    char *why = NULL;
    truc_options *options = NULL;
    const char *name = topics_name(compare->topics, topic);
    truc_status status = truc_options_create(&options);
    (void)snprintf(from, sizeof from, "position=%" PRIu64, topics_state(compare->topics, topic)->read_from);
    if (status == TRUC_OK) {
        status = truc_options_set(options, "from", from);
    }
    if (status == TRUC_OK && compare->context->globals.source != NULL) {
        status = truc_options_set(options, "source", compare->context->globals.source);
    }
    if (status == TRUC_OK) {
        status = truc_reader_open(compare->client, name, options, NULL, NULL, NULL, ret_reader, &why);
    }
    if (status != TRUC_OK) {
        (void)failure_set(failure, status, "reading topic %s: %s", name, why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

/* All expected rows of one topic, in the order of their sequences. */
static truc_status compare_topic(struct compare *compare, const struct expected *rows, size_t count, struct failure *failure)
{
    truc_reader *reader = NULL;
    size_t at = 0;
    truc_status status = open_reader(compare, rows[0].topic, &reader, failure);
    while (status == TRUC_OK && at < count) {
        const truc_message *message = NULL;
        bool found = false;
        truc_status pulled = truc_reader_pull(reader, PULL_MS, &message);
        if (cli_stopped()) {
            status = failure_set(failure, TRUC_CANCELLED, "stopped");
        } else if (pulled == TRUC_TIMED_OUT) {
            continue; /* the library is mending its connection */
        } else if (pulled != TRUC_OK) {
            status = failure_set(failure, pulled, "reading topic %s: %s", topics_name(compare->topics, rows[at].topic),
                                 truc_status_text(pulled));
        } else if (message == NULL) {
            status = changed(compare, &rows[at], failure,
                             "the row was not stored by an earlier import, but others of its producer were, in", UINT64_MAX);
        } else {
            status = judge(compare, &rows[at], message, &found, failure);
            at += found;
        }
    }
    truc_reader_close(reader);
    return status;
}

static int by_topic(const void *left, const void *right)
{
    const struct expected *a = left, *b = right;
    if (a->topic != b->topic) {
        return a->topic < b->topic ? -1 : 1;
    }
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

truc_status compare_finish(struct compare *compare, struct failure *failure)
{
    truc_status status = TRUC_OK;
    if (compare->count > 1) {
        qsort(compare->rows, compare->count, sizeof *compare->rows, by_topic);
    }
    for (size_t from = 0, to; from < compare->count && status == TRUC_OK; from = to) {
        to = from + 1;
        while (to < compare->count && compare->rows[to].topic == compare->rows[from].topic) {
            to++;
        }
        status = compare_topic(compare, compare->rows + from, to - from, failure);
    }
    compare->count = 0;
    return status;
}

truc_status compare_add(struct compare *compare, uint32_t topic, uint64_t sequence, const struct built *built,
                        struct failure *failure)
{
    struct expected *expected = &compare->rows[compare->count];
    expected->topic = topic;
    expected->sequence = sequence;
    expected->line = built->line;
    memcpy(expected->id, built->id, IMPORT_ID_BYTES);
    record_fingerprint(compare->digests, &compare->scratch, &built->record, expected->digest);
    if (compare->scratch.status != TRUC_OK) {
        return failure_set(failure, compare->scratch.status, "while comparing with the log");
    }
    return ++compare->count == IMPORT_COMPARE_ROWS ? compare_finish(compare, failure) : TRUC_OK;
}
