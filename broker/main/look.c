#include "broker/main/look.h"

#include <stdlib.h>

#include "broker/log/history.h"
#include "broker/log/lag.h"
#include "broker/log/scan.h"

struct look {
    struct core_look asked; /* all it points to is owned */
    struct place *places;
    struct core_look_subject *subjects;
    uint8_t *texts;
    struct core_look_record *records;
    struct core_look_history *histories;
};

/* The texts of a subject, by their places in it. */
enum { SUBJECT_TEXTS = 8 };
static void texts_of(struct core_look_subject *subject, struct bytes *texts[SUBJECT_TEXTS])
{
    struct bytes *const all[SUBJECT_TEXTS] = {&subject->spec.pattern, &subject->spec.key,    &subject->spec.type,
                                              &subject->spec.agency,  &subject->spec.system, &subject->spec.headers,
                                              &subject->owner,        &subject->name};
    memcpy(texts, all, sizeof all);
}

static size_t text_bytes(const struct core_look *asked)
{
    size_t size = asked->topic.size;
    for (size_t i = 0; i < asked->subject_count; i++) {
        struct core_look_subject subject = asked->subjects[i];
        struct bytes *texts[SUBJECT_TEXTS];
        texts_of(&subject, texts);
        for (int j = 0; j < SUBJECT_TEXTS; j++) {
            size += texts[j]->size;
        }
    }
    return size;
}

static void keep(uint8_t **at, struct bytes *text)
{
    if (text->size > 0) {
        memcpy(*at, text->data, text->size);
    }
    *text = bytes_of(*at, text->size);
    *at += text->size;
}

static void copy(struct look *look)
{
    struct core_look *asked = &look->asked;
    uint8_t *at = look->texts;
    if (asked->place_count > 0) {
        memcpy(look->places, asked->places, asked->place_count * sizeof *look->places);
    }
    if (asked->subject_count > 0) {
        memcpy(look->subjects, asked->subjects, asked->subject_count * sizeof *look->subjects);
    }
    asked->places = look->places;
    asked->subjects = look->subjects;
    keep(&at, &asked->topic);
    for (size_t i = 0; i < asked->subject_count; i++) {
        struct bytes *texts[SUBJECT_TEXTS];
        texts_of(&look->subjects[i], texts);
        for (int j = 0; j < SUBJECT_TEXTS; j++) {
            keep(&at, texts[j]);
        }
    }
}

struct look *look_create(const struct core_look *asked)
{
    struct look *look = calloc(1, sizeof *look);
    if (look == NULL) {
        return NULL;
    }
    look->asked = *asked;
    look->places = calloc(asked->place_count + 1, sizeof *look->places);
    look->subjects = calloc(asked->subject_count + 1, sizeof *look->subjects);
    look->texts = malloc(text_bytes(asked) + 1);
    look->records = calloc(asked->subject_count * asked->place_count + 1, sizeof *look->records);
    look->histories = calloc(asked->subject_count + 1, sizeof *look->histories);
    if (look->places == NULL || look->subjects == NULL || look->texts == NULL || look->records == NULL || look->histories == NULL) {
        look_destroy(look);
        return NULL;
    }
    copy(look);
    return look;
}

void look_destroy(struct look *look)
{
    if (look != NULL) {
        free(look->places);
        free(look->subjects);
        free(look->texts);
        free(look->records);
        free(look->histories);
        free(look);
    }
}

/* --- records ----------------------------------------------------------------------------------------------------------------- */

/* The place and time of the record at an offset. */
static truc_status find_offset(struct look *look, struct log *log, struct letter *letter, char *why)
{
    const struct core_look *asked = &look->asked;
    struct block_row row;
    uint64_t position = 0;
    truc_status status = log_find_offset(log, asked->topic, asked->offset, &position, why);
    if (status == TRUC_OK) {
        status = log_position_row(log, position, &row, why);
    }
    if (status == TRUC_OK && (asked->offset < row.base_offset || asked->offset - row.base_offset >= row.record_count)) {
        status = TRUC_DAMAGED;
    }
    if (status == TRUC_OK) {
        look->places[0] = (struct place){position, (uint32_t)(asked->offset - row.base_offset)};
        letter->event.looked.place = look->places[0];
        letter->event.looked.append_time_ns = row.append_time_ns;
    }
    return status;
}

static truc_status look_at_record(struct log_scanner *scanner, uint64_t head, struct place place, struct core_look_record *record,
                                  char *why)
{
    struct log_scan_record found;
    struct log_scan scan = {.from = place, .until = {place.position, place.index + 1}, .records = &found, .records_max = 1};
    if (place.position >= head || place.index == UINT32_MAX) { /* there is no such record */
        return TRUC_OK;
    }
    truc_status status = log_scan(scanner, &scan, why);
    if (status != TRUC_OK) {
        return status;
    }
    record->damaged = scan.damaged > 0;
    record->wanted = scan.count > 0;
    if (record->wanted) {
        record->bytes = found.bytes;
        record->key = found.key;
        record->deliver_at_ns = found.deliver_at_ns;
        record->expires_at_ns = found.expires_at_ns;
    }
    return TRUC_OK;
}

static truc_status look_for_records(struct look *look, struct log *log, struct letter *letter, char *why)
{
    const struct core_look *asked = &look->asked;
    truc_status status = asked->by_offset ? find_offset(look, log, letter, why) : TRUC_OK;
    for (size_t i = 0; i < asked->subject_count && status == TRUC_OK; i++) {
        const struct core_read_spec *spec = &asked->subjects[i].spec;
        struct log_scan_filter filter = {.filter = {.pattern = spec->pattern,
                                                    .key = spec->key,
                                                    .type = spec->type,
                                                    .agency = spec->agency,
                                                    .system = spec->system},
                                         .headers = spec->headers};
        struct log_scanner *scanner = NULL;
        status = log_scanner_create(log, &filter, &scanner);
        for (size_t j = 0; j < asked->place_count && status == TRUC_OK; j++) {
            status = look_at_record(scanner, asked->head, asked->places[j], &look->records[i * asked->place_count + j], why);
        }
        log_scanner_destroy(scanner);
    }
    letter->event.looked.records = look->records;
    return status;
}

/* --- histories --------------------------------------------------------------------------------------------------------------- */

static struct core_look_history told(const struct log_history *history)
{
    static const enum core_resolution resolutions[] = {
        [LOG_RESOLUTION_UNKNOWN] = RESOLUTION_UNKNOWN, [LOG_RESOLUTION_ACKNOWLEDGED] = RESOLUTION_ACKNOWLEDGED,
        [LOG_RESOLUTION_DEAD] = RESOLUTION_DEAD,       [LOG_RESOLUTION_EXPIRED] = RESOLUTION_EXPIRED,
        [LOG_RESOLUTION_PASSED] = RESOLUTION_PASSED,   [LOG_RESOLUTION_DONE] = RESOLUTION_DONE};
    return (struct core_look_history){
        .resolution = resolutions[history->resolution],
        .attempts = history->attempts,
        .resolved_ns = history->resolved_ns,
        .first_failed_ns = history->first_failed_ns,
        .last_failed_ns = history->last_failed_ns,
        .reason = history->resolution == LOG_RESOLUTION_DEAD ? dead_letter_reason_text(history->reason) : NULL};
}

static truc_status look_for_histories(struct look *look, struct log *log, struct letter *letter, char *why)
{
    const struct core_look *asked = &look->asked;
    struct log_history *histories = calloc(asked->subject_count + 1, sizeof *histories);
    if (histories == NULL) {
        return TRUC_NO_MEMORY;
    }
    for (size_t i = 0; i < asked->subject_count; i++) {
        const struct core_look_subject *subject = &asked->subjects[i];
        histories[i] = (struct log_history){.subscription = subject->subscription,
                                            .shared = subject->shared,
                                            .key = subject->key,
                                            .deliver_at_ns = subject->deliver_at_ns,
                                            .expires_at_ns = subject->expires_at_ns,
                                            .created_ns = subject->created_ns,
                                            .owner = subject->owner,
                                            .name = subject->name};
    }
    truc_status status = log_history(log, asked->places[0], histories, asked->subject_count, why);
    for (size_t i = 0; i < asked->subject_count && status == TRUC_OK; i++) {
        look->histories[i] = told(&histories[i]);
    }
    letter->event.looked.histories = look->histories;
    free(histories);
    return status;
}

/* --- lag --------------------------------------------------------------------------------------------------------------------- */

static truc_status look_for_lag(struct look *look, struct log *log, struct letter *letter, char *why)
{
    const struct core_look *asked = &look->asked;
    struct log_lag lag;
    truc_status status = log_lag(log, asked->subjects[0].spec.pattern, asked->places[0].position, asked->head, &lag, why);
    if (status == TRUC_OK) {
        letter->event.looked.lag =
            (struct core_look_lag){.records = lag.records, .bytes = lag.bytes, .since_ns = lag.since_ns, .more = lag.more};
    }
    return status;
}

void look_answer(struct look *look, struct log *log, struct letter *letter)
{
    static truc_status (*const answers[])(struct look *, struct log *, struct letter *, char *) = {
        [LOOK_RECORDS] = look_for_records, [LOOK_HISTORY] = look_for_histories, [LOOK_LAG] = look_for_lag};
    char why[LOG_WHY_BYTES] = "";
    truc_status status = answers[look->asked.kind](look, log, letter, why);
    if (status != TRUC_OK) {
        letter_blame(letter, status, why[0] != '\0' ? why : truc_status_text(status));
    }
}
