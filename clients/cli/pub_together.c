#include "clients/cli/pub_together.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/pub.h"
#include "proto/limits.h"

enum { FIRST_RECORDS = 64 };

struct gathered {
    const char *topic;
    truc_record record; /* data is set when all are there */
    size_t at;          /* of the payload */
    bool reported;
};

void pub_together_init(struct pub_together *together, struct cli_context *context)
{
    *together = (struct pub_together){.context = context};
    out_init(&together->data, -1);
}

void pub_together_fini(struct pub_together *together)
{
    out_fini(&together->data);
    free(together->records);
}

static truc_status no_memory(struct pub_together *together)
{
    return cli_error(together->context, TRUC_NO_MEMORY, "%zu records together", together->count + 1);
}

truc_status pub_together_add(struct pub_together *together, const char *topic, const truc_record *record)
{
    if (together->data.size + record->data_size > BATCH_BYTES_MAX) {
        return cli_error(together->context, TRUC_BATCH_TOO_LARGE, "record %zu: all together are longer than %d bytes",
                         together->count + 1, BATCH_BYTES_MAX);
    }
    if (together->count == together->capacity) {
        size_t capacity = together->capacity == 0 ? FIRST_RECORDS : together->capacity * 2;
        struct gathered *records = realloc(together->records, capacity * sizeof *records);
        if (records == NULL) {
            return no_memory(together);
        }
        together->records = records;
        together->capacity = capacity;
    }
    together->records[together->count] = (struct gathered){.topic = topic, .record = *record, .at = together->data.size};
    out_bytes(&together->data, record->data, record->data_size);
    if (together->data.status != TRUC_OK) {
        return no_memory(together);
    }
    together->count++;
    return TRUC_OK;
}

/* --- the outcome ---------------------------------------------------------------------------------------------------------- */

/* What became of one topic's records, the first of which has this index. */
static void report_topic(struct pub_together *together, const truc_delivery *deliveries, size_t first)
{
    struct out *out = &together->context->out;
    const char *topic = together->records[first].topic;
    const truc_delivery *last = &deliveries[first];
    uint64_t count = 0;
    for (size_t i = first; i < together->count; i++) {
        if (strcmp(together->records[i].topic, topic) == 0) {
            together->records[i].reported = true;
            last = &deliveries[i];
            count++;
        }
    }
    pub_note_topic(together->context, last);
    if (together->context->globals.json) {
        return;
    }
    if (last->status != TRUC_OK) {
        out_format(out, "%" PRIu64 " records are in %s already; where is no longer known\n", count, topic);
    } else if (count == 1) {
        out_format(out, "published to %s offset %" PRIu64 " position %" PRIu64 " index %u\n", topic, last->offset, last->position,
                   last->index);
    } else {
        out_format(out, "published %" PRIu64 " records to %s, offsets %" PRIu64 " to %" PRIu64 " position %" PRIu64 "\n", count,
                   topic, deliveries[first].offset, last->offset, last->position);
    }
}

static void report(struct pub_together *together, truc_delivery *deliveries)
{
    for (size_t i = 0; i < together->count; i++) {
        deliveries[i].why = truc_status_text(deliveries[i].status);
        if (together->context->globals.json) {
            pub_delivery_print(&together->context->out, &deliveries[i]);
        }
    }
    for (size_t i = 0; i < together->count; i++) {
        if (!together->records[i].reported) {
            report_topic(together, deliveries, i);
        }
    }
}

truc_status pub_together_send(struct pub_together *together, truc_producer *producer)
{
    truc_part *parts = calloc(together->count, sizeof *parts);
    truc_delivery *deliveries = calloc(together->count, sizeof *deliveries);
    char *why = NULL;
    truc_status status = TRUC_NO_MEMORY;
    if (parts == NULL || deliveries == NULL) {
        no_memory(together);
        goto done;
    }
    for (size_t i = 0; i < together->count; i++) {
        struct gathered *gathered = &together->records[i];
        gathered->record.data = together->data.data + gathered->at;
        parts[i] = (truc_part){gathered->topic, &gathered->record};
    }
    status = truc_publish_together(producer, parts, together->count, cli_timeout_ms(together->context), deliveries, &why);
    if (status == TRUC_OK) {
        report(together, deliveries);
    } else {
        cli_error(together->context, status, "%s%s",
                  status == TRUC_TIMED_OUT ? "" : "nothing is published: ", why != NULL ? why : truc_status_text(status));
    }
done:
    truc_free(why);
    free(deliveries);
    free(parts);
    return status;
}
