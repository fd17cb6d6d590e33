#include "broker/main/reading.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/entry.h"
#include "proto/topic.h"

static struct bytes keep(uint8_t **at, struct bytes text)
{
    struct bytes kept = bytes_of(*at, text.size);
    if (text.size > 0) {
        memcpy(*at, text.data, text.size);
        *at += text.size;
    }
    return kept;
}

struct reading *reading_create(uint64_t number, const struct core_read_spec *spec)
{
    size_t size =
        spec->pattern.size + spec->key.size + spec->type.size + spec->agency.size + spec->system.size + spec->headers.size;
    struct reading *reading = calloc(1, sizeof *reading + size);
    if (reading == NULL) {
        return NULL;
    }
    uint8_t *at = reading->texts;
    reading->spec = *spec;
    reading->spec.pattern = keep(&at, spec->pattern);
    reading->spec.key = keep(&at, spec->key);
    reading->spec.type = keep(&at, spec->type);
    reading->spec.agency = keep(&at, spec->agency);
    reading->spec.system = keep(&at, spec->system);
    reading->spec.headers = keep(&at, spec->headers);
    for (int i = 0; i < 2; i++) {
        reading->letters[i].event.reader = number;
    }
    return reading;
}

void reading_destroy(struct reading *reading)
{
    log_reader_destroy(reading->log_reader);
    log_scanner_destroy(reading->log_scanner);
    log_fetcher_destroy(reading->log_fetcher);
    look_destroy(reading->look);
    free(reading->found);
    free(reading->records[0]);
    free(reading->records[1]);
    free(reading->refs[0]);
    free(reading->refs[1]);
    free(reading->keys);
    free(reading->places);
    free(reading);
}

static struct log_filter filter_of(const struct core_read_spec *spec)
{
    return (struct log_filter){.pattern = spec->pattern,
                               .key = spec->key,
                               .type = spec->type,
                               .event_since_ns = spec->event_since_ns,
                               .event_until_ns = spec->event_until_ns,
                               .agency = spec->agency,
                               .system = spec->system};
}

bool reading_prepare(struct reading *reading, struct log *log, bool scans)
{
    struct log_scan_filter filter = {.filter = filter_of(&reading->spec), .headers = reading->spec.headers};
    if (!scans) {
        reading->places = malloc(GRANT_RECORDS_MAX * sizeof *reading->places);
        reading->log_fetcher = log_fetcher_create(log);
        return reading->places != NULL && reading->log_fetcher != NULL;
    }
    reading->found = malloc(SCAN_RECORDS_MAX * sizeof *reading->found);
    reading->records[0] = malloc(SCAN_RECORDS_MAX * sizeof *reading->records[0]);
    reading->records[1] = malloc(SCAN_RECORDS_MAX * sizeof *reading->records[1]);
    reading->keys = malloc(SEARCH_KEYS_MAX * sizeof *reading->keys);
    return reading->found != NULL && reading->keys != NULL && reading->records[0] != NULL && reading->records[1] != NULL &&
           log_scanner_create(log, &filter, &reading->log_scanner) == TRUC_OK;
}

void reading_scan(struct reading *reading, struct letter *letter)
{
    const struct core_scan *wanted = &reading->scan;
    struct share_record *records = reading->records[reading->turn];
    struct log_scan scan = {.from = wanted->from,
                            .until = wanted->until,
                            .keys = wanted->keys,
                            .key_count = wanted->key_count,
                            .records = reading->found,
                            .records_max = wanted->records_max < SCAN_RECORDS_MAX ? wanted->records_max : SCAN_RECORDS_MAX};
    char why[LOG_WHY_BYTES] = "";
    truc_status status = log_scan(reading->log_scanner, &scan, why);
    if (status != TRUC_OK) {
        letter_blame(letter, status, why[0] != '\0' ? why : truc_status_text(status));
        return;
    }
    for (size_t i = 0; i < scan.count; i++) {
        records[i] = (struct share_record){.place = scan.records[i].place,
                                           .bytes = scan.records[i].bytes,
                                           .key = scan.records[i].key,
                                           .deliver_at_ns = scan.records[i].deliver_at_ns,
                                           .expires_at_ns = scan.records[i].expires_at_ns};
    }
    letter->event.scanned = (struct core_scanned){
        .records = records, .count = scan.count, .next = scan.next, .damaged = scan.damaged, .damaged_at = scan.damaged_at};
}

static bool reserve_ref(struct reading *reading, unsigned turn, size_t count)
{
    if (count < reading->ref_capacity[turn]) {
        return true;
    }
    size_t capacity = count * 2 + 16;
    struct core_entry_ref *grown = realloc(reading->refs[turn], capacity * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    reading->refs[turn] = grown;
    reading->ref_capacity[turn] = capacity;
    return true;
}

truc_status reading_tell_refs(struct reading *reading, struct letter *letter)
{
    struct reader data = reader_over(letter->event.done.data);
    const uint8_t *begin = data.at;
    unsigned turn = reading->turn;
    struct entry_view entry;
    struct leaf leaf;
    size_t count = 0;
    truc_status status = TRUC_OK;
    for (; entry_served_peek(&data, &entry, &status); begin = data.at) {
        status = leaf_parse(entry.leaf, &leaf);
        if (status == TRUC_OK && !reserve_ref(reading, turn, count)) {
            status = TRUC_NO_MEMORY;
        }
        if (status != TRUC_OK) {
            break;
        }
        reading->refs[turn][count++] = (struct core_entry_ref){.position = leaf.position,
                                                               .base_offset = leaf.base_offset,
                                                               .topic_id = entry.fields.topic_id,
                                                               .record_count = leaf.record_count,
                                                               .size = (uint32_t)(data.at - begin)};
    }
    if (status == TRUC_OK) {
        letter->event.done.refs = reading->refs[turn];
        letter->event.done.ref_count = count;
    }
    return status;
}

struct bound { /* one end of a range, as asked for */
    enum core_bound kind;
    uint64_t number;
    int64_t time_ns;
};

/* The offset `number` of the topic read, as the lower (inclusive) or upper (exclusive) end of a range of positions. */
static truc_status resolve_offset(struct log *log, const struct core_read_spec *spec, uint64_t offset, bool lower,
                                  uint64_t *ret_position, char *why)
{
    struct topic_row row;
    uint8_t name[TOPIC_BYTES_MAX];
    uint64_t position = 0;
    truc_status status = log_topic(log, spec->pattern, &row, name);
    if (status == TRUC_NOT_FOUND && offset == 0) { /* not begun yet: from its beginning, whenever that is */
        *ret_position = lower ? spec->head : 0;
        return TRUC_OK;
    }
    if (status == TRUC_NOT_FOUND) {
        snprintf(why, LOG_WHY_BYTES, "no topic %.*s", (int)spec->pattern.size, (const char *)spec->pattern.data);
    }
    if (status != TRUC_OK) {
        return status;
    }
    if (offset > row.next_offset && lower) {
        snprintf(why, LOG_WHY_BYTES, "%.*s ends at offset %llu", (int)spec->pattern.size, (const char *)spec->pattern.data,
                 (unsigned long long)row.next_offset);
        return TRUC_OUT_OF_RANGE;
    }
    if (!lower && offset == 0) {
        *ret_position = 0;
        return TRUC_OK;
    }
    /* The upper end is behind the entry that holds the last record wanted. */
    status = log_find_offset(log, spec->pattern, lower ? offset : offset - 1, &position, why);
    if (status == TRUC_OUT_OF_RANGE) {
        *ret_position = spec->head;
        return TRUC_OK;
    }
    if (status == TRUC_OK) {
        *ret_position = lower ? position : position + 1;
    }
    return status;
}

static truc_status resolve(struct log *log, const struct core_read_spec *spec, struct bound bound, bool lower,
                           uint64_t *ret_position, char *why)
{
    truc_status status = TRUC_OK;
    *ret_position = 0;
    switch (bound.kind) {
    case BOUND_START:
        break;
    case BOUND_HEAD:
        *ret_position = spec->head;
        break;
    case BOUND_POSITION:
        *ret_position = bound.number;
        break;
    case BOUND_OFFSET:
        status = resolve_offset(log, spec, bound.number, lower, ret_position, why);
        break;
    case BOUND_TIME:
        status = log_find_time(log, bound.time_ns, ret_position, why);
        break;
    }
    if (*ret_position > spec->head) {
        *ret_position = spec->head;
    }
    return status;
}

void reading_resolve(struct reading *reading, struct log *log, struct letter *letter)
{
    char why[LOG_WHY_BYTES] = "";
    const struct core_read_spec *spec = &reading->spec;
    struct bound from = {spec->from_kind, spec->from, spec->from_ns}, until = {spec->until_kind, spec->until, spec->until_ns};
    uint64_t from_position = 0, until_position = 0;
    struct log_filter filter = filter_of(spec);
    /* Backwards, a reading begins at the upper end of its range. */
    truc_status status = resolve(log, spec, from, !spec->reverse, &from_position, why);
    if (status == TRUC_OK && spec->follow) {
        until_position = UINT64_MAX;
    } else if (status == TRUC_OK) {
        status = resolve(log, spec, until, spec->reverse, &until_position, why);
    }
    if (status == TRUC_OK) {
        status = log_reader_create(log, &filter, spec->reverse, &reading->log_reader);
    }
    if (status != TRUC_OK) {
        letter_blame(letter, status, why[0] != '\0' ? why : truc_status_text(status));
        return;
    }
    letter->event.from = from_position;
    letter->event.until = until_position;
}
