#include "check.h"

#include "broker/log/engine.h"
#include "broker/log/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

enum { TOPICS_MAX = 64, SEQUENCES_MAX = 512, BUFFER_BYTES = 16 * 1024 * 1024 };

/* What the entries add up to, and what the catalog says they do. */
struct sums {
    uint64_t offsets[TOPICS_MAX], catalog_offsets[TOPICS_MAX];
    struct {
        uint64_t producer, next;
        uint32_t topic;
    } sequences[SEQUENCES_MAX], catalog_sequences[SEQUENCES_MAX];
    size_t sequence_count, catalog_sequence_count;
    bool overflow;
};

static truc_status on_topic(void *context, const struct topic_row *row)
{
    struct sums *sums = context;
    if (row->topic_id >= TOPICS_MAX)
        sums->overflow = true;
    else
        sums->catalog_offsets[row->topic_id] = row->next_offset;
    return TRUC_OK;
}

static truc_status on_producer(void *context, const struct producer_row *row)
{
    (void)context;
    (void)row;
    return TRUC_OK;
}

static truc_status on_sequence(void *context, const struct sequence_row *row)
{
    struct sums *sums = context;
    if (sums->catalog_sequence_count == SEQUENCES_MAX) {
        sums->overflow = true;
        return TRUC_OK;
    }
    size_t i = sums->catalog_sequence_count++;
    sums->catalog_sequences[i].producer = row->producer_id;
    sums->catalog_sequences[i].topic = row->topic_id;
    sums->catalog_sequences[i].next = row->next_sequence;
    return TRUC_OK;
}

static bool sums_add(struct sums *sums, const struct entry_view *entry, const struct leaf *leaf, char why[CHECK_WHY_BYTES])
{
    const struct entry_fields *f = &entry->fields;
    if (f->topic_id >= TOPICS_MAX || leaf->base_offset != sums->offsets[f->topic_id]) {
        snprintf(why, CHECK_WHY_BYTES, "position %" PRIu64 ": offset %" PRIu64 " of topic %" PRIu32 " where %" PRIu64 " was due",
                 leaf->position, leaf->base_offset, f->topic_id, f->topic_id < TOPICS_MAX ? sums->offsets[f->topic_id] : 0);
        return false;
    }
    sums->offsets[f->topic_id] += f->record_count;
    size_t i = 0;
    while (i < sums->sequence_count && (sums->sequences[i].producer != f->producer_id || sums->sequences[i].topic != f->topic_id))
        i++;
    if (i == SEQUENCES_MAX) {
        snprintf(why, CHECK_WHY_BYTES, "more producers and topics than this checker holds");
        return false;
    }
    if (i == sums->sequence_count) {
        sums->sequences[i].producer = f->producer_id;
        sums->sequences[i].topic = f->topic_id;
        sums->sequences[i].next = 0;
        sums->sequence_count++;
    }
    if (sums->sequences[i].next != f->first_sequence) {
        snprintf(why, CHECK_WHY_BYTES, "position %" PRIu64 ": sequence %" PRIu64 " where %" PRIu64 " was due", leaf->position,
                 f->first_sequence, sums->sequences[i].next);
        return false;
    }
    sums->sequences[i].next += f->record_count;
    return true;
}

static bool sums_agree(const struct sums *sums, char why[CHECK_WHY_BYTES])
{
    for (size_t t = 0; t < TOPICS_MAX; t++) {
        if (sums->offsets[t] != sums->catalog_offsets[t]) {
            snprintf(why, CHECK_WHY_BYTES, "the catalog has offset %" PRIu64 " for topic %zu, the log %" PRIu64,
                     sums->catalog_offsets[t], t, sums->offsets[t]);
            return false;
        }
    }
    for (size_t i = 0; i < sums->sequence_count; i++) {
        size_t k = 0;
        while (k < sums->catalog_sequence_count && (sums->catalog_sequences[k].producer != sums->sequences[i].producer ||
                                                    sums->catalog_sequences[k].topic != sums->sequences[i].topic))
            k++;
        uint64_t next = k < sums->catalog_sequence_count ? sums->catalog_sequences[k].next : 0;
        if (next != sums->sequences[i].next) {
            snprintf(why, CHECK_WHY_BYTES, "the catalog expects sequence %" PRIu64 " of producer %" PRIu64 ", the log %" PRIu64,
                     next, sums->sequences[i].producer, sums->sequences[i].next);
            return false;
        }
    }
    if (sums->overflow || sums->catalog_sequence_count > sums->sequence_count) {
        snprintf(why, CHECK_WHY_BYTES, "the catalog knows %zu sequences, the log %zu", sums->catalog_sequence_count,
                 sums->sequence_count);
        return false;
    }
    return true;
}

/* --- reading ------------------------------------------------------------------------------------------------------------------ */

/* What a walk does with each entry: hash of its served bytes at a position. */
typedef bool entry_visit(void *context, uint64_t position, uint64_t hash, char why[CHECK_WHY_BYTES]);

static bool payload_walk(struct bytes payload, uint64_t *position, struct sums *sums, entry_visit *visit, void *context,
                         char why[CHECK_WHY_BYTES])
{
    struct reader r = reader_over(payload);
    struct entry_view entry;
    truc_status status = TRUC_OK;
    const uint8_t *start = r.at;
    while (entry_served_next(&r, &entry, &status)) {
        struct leaf leaf;
        if (leaf_parse(entry.leaf, &leaf) != TRUC_OK || leaf.position != *position) {
            snprintf(why, CHECK_WHY_BYTES, "an entry of another position where %" PRIu64 " was due", *position);
            return false;
        }
        if (!sums_add(sums, &entry, &leaf, why) || !visit(context, *position, XXH3_64bits(start, (size_t)(r.at - start)), why))
            return false;
        start = r.at;
        ++*position;
    }
    if (status != TRUC_OK)
        snprintf(why, CHECK_WHY_BYTES, "what a reader got does not parse near position %" PRIu64, *position);
    return status == TRUC_OK;
}

static bool log_walk(struct log *log, struct sums *sums, entry_visit *visit, void *context, char why[CHECK_WHY_BYTES])
{
    struct log_reader *reader = NULL;
    struct log_filter filter = {.pattern = bytes_of_text(">")};
    uint8_t *buffer = malloc(BUFFER_BYTES);
    bool fine = false;
    if (buffer == NULL || log_reader_create(log, &filter, false, &reader) != TRUC_OK) {
        snprintf(why, CHECK_WHY_BYTES, "no reader could be made");
        goto done;
    }
    uint64_t position = 0;
    struct log_read read = {.until = log_head(log).position, .out = buffer, .capacity = BUFFER_BYTES};
    while (read.from < read.until) {
        truc_status status = log_reader_read(reader, &read, why);
        if (status != TRUC_OK)
            goto done;
        if (!payload_walk(bytes_of(buffer, read.size), &position, sums, visit, context, why))
            goto done;
        read.from = read.next;
    }
    fine = position == read.until;
    if (!fine)
        snprintf(why, CHECK_WHY_BYTES, "reading ended at position %" PRIu64 " of %" PRIu64, position, read.until);
done:
    log_reader_destroy(reader);
    free(buffer);
    return fine;
}

static bool open_log(const char *directory, uint64_t segment_bytes, struct sums *sums, struct log **ret_log,
                     char why[CHECK_WHY_BYTES])
{
    struct log_options options;
    log_options_init(&options);
    options.engine = "lmdb";
    options.directory = directory;
    options.segment_bytes = segment_bytes;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    options.now_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
    struct catalog_visitor visitor = {.context = sums, .topic = on_topic, .producer = on_producer, .sequence = on_sequence};
    char reason[LOG_WHY_BYTES] = "";
    truc_status status = log_open(&options, &visitor, ret_log, reason);
    if (status != TRUC_OK)
        snprintf(why, CHECK_WHY_BYTES, "does not open: %s: %s", truc_status_name(status), reason);
    return status == TRUC_OK;
}

static bool reference_add(void *context, uint64_t position, uint64_t hash, char why[CHECK_WHY_BYTES])
{
    struct reference *reference = context;
    if (reference->count == reference->capacity) {
        size_t capacity = reference->capacity == 0 ? 4096 : reference->capacity * 2;
        uint64_t *moved = realloc(reference->entries, capacity * sizeof *moved);
        if (moved == NULL) {
            snprintf(why, CHECK_WHY_BYTES, "out of memory");
            return false;
        }
        reference->entries = moved;
        reference->capacity = capacity;
    }
    reference->entries[position] = hash;
    reference->count++;
    return true;
}

bool reference_read(struct reference *reference, const char *directory, char why[CHECK_WHY_BYTES])
{
    struct log *log = NULL;
    struct sums *sums = calloc(1, sizeof *sums);
    bool fine = sums != NULL && open_log(directory, reference->segment_bytes, sums, &log, why) &&
                log_walk(log, sums, reference_add, reference, why) && sums_agree(sums, why);
    log_close(log);
    free(sums);
    return fine;
}

void reference_fini(struct reference *reference)
{
    free(reference->entries);
    *reference = (struct reference){0};
}

static bool entry_compare(void *context, uint64_t position, uint64_t hash, char why[CHECK_WHY_BYTES])
{
    const struct reference *reference = context;
    if (position < reference->count && reference->entries[position] == hash)
        return true;
    snprintf(why, CHECK_WHY_BYTES, "position %" PRIu64 " is not what was written there", position);
    return false;
}

/* Service goes on: the state takes a commit. A block of deltas alone needs nothing else. */
static bool commit_one(struct log *log, char why[CHECK_WHY_BYTES])
{
    struct delta delta = {.kind = DELTA_CLOCK, .clock = {1, 2}};
    uint8_t encoded[DELTA_BYTES_MAX];
    struct log_draft draft = {
        .deltas = {encoded, delta_write(encoded, &delta)}, .delta_count = 1, .append_time_ns = log_head(log).last_append_ns + 1};
    struct log_head head;
    char reason[LOG_WHY_BYTES] = "";
    truc_status status = log_commit(log, &draft, &head, reason);
    if (status != TRUC_OK)
        snprintf(why, CHECK_WHY_BYTES, "takes no further commit: %s: %s", truc_status_name(status), reason);
    return status == TRUC_OK;
}

bool state_check(const struct reference *reference, const char *directory, uint64_t need, char why[CHECK_WHY_BYTES])
{
    struct log *log = NULL;
    struct sums *sums = calloc(1, sizeof *sums);
    bool fine = sums != NULL && open_log(directory, reference->segment_bytes, sums, &log, why);
    if (fine && log_head(log).position < need) {
        snprintf(why, CHECK_WHY_BYTES, "LOST: the log ends at position %" PRIu64 ", but positions below %" PRIu64 " were told",
                 log_head(log).position, need);
        fine = false;
    }
    fine = fine && log_walk(log, sums, entry_compare, (void *)(uintptr_t)reference, why) && sums_agree(sums, why) &&
           commit_one(log, why);
    log_close(log);
    free(sums);
    if (!fine)
        return false;
    struct log_verify_report report;
    char reason[LOG_WHY_BYTES] = "";
    truc_status status = log_verify(directory, NULL, NULL, &report, reason);
    if (status != TRUC_OK)
        snprintf(why, CHECK_WHY_BYTES, "does not verify: %s: %.255s %.255s", truc_status_name(status), report.bad_what, reason);
    return status == TRUC_OK;
}
