#include "share_test_kit.h"

#include <stdlib.h>

enum { ANSWER_RECORDS_MAX = 8192 };

void kit_log_fini(struct kit_log *log)
{
    free(log->records);
    *log = (struct kit_log){0};
}

void kit_log_add(struct kit_log *log, uint64_t key, bool new_entry, uint32_t gap)
{
    struct place place = log->head;

    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 1024;
        log->records = realloc(log->records, log->capacity * sizeof *log->records);
        assert_non_null(log->records);
    }
    if (new_entry || log->count == 0) {
        place.position += gap;
        place.index = gap;
    } else {
        place.position--;
        place.index = log->records[log->count - 1].place.index + 1 + gap;
    }
    log->records[log->count++] = (struct share_record){.place = place, .bytes = 100 + (uint32_t)(log->count % 50), .key = key};
    log->head = (struct place){place.position + 1, 0};
}

bool kit_log_is_damaged(const struct kit_log *log, struct place place)
{
    for (size_t i = 0; i < log->damaged_count; i++) {
        if (log->damaged[i] == place.position)
            return true;
    }
    return false;
}

/* First record at or above a place. */
static size_t lower_bound(const struct kit_log *log, struct place place)
{
    size_t low = 0, high = log->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (kit_before(log->records[middle].place, place))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t kit_log_at(const struct kit_log *log, struct place place)
{
    size_t at = lower_bound(log, place);

    if (at == log->count || kit_before(place, log->records[at].place))
        fail_msg("there is no record at %llu.%u", (unsigned long long)place.position, place.index);
    return at;
}

static bool wanted(const struct share_scan *scan, uint64_t key)
{
    size_t low = 0, high = scan->key_count;

    if (scan->key_count == 0)
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (scan->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < scan->key_count && scan->keys[low] == key;
}

size_t kit_log_scan(const struct kit_log *log, const struct share_scan *scan, struct place until, struct share_record *records,
                    size_t max, struct place *ret_next)
{
    size_t count = 0;

    *ret_next = until;
    for (size_t i = 1; i < scan->key_count; i++)
        assert_true(scan->keys[i - 1] < scan->keys[i]);
    for (size_t i = lower_bound(log, scan->from); i < log->count && kit_before(log->records[i].place, until); i++) {
        if (!wanted(scan, log->records[i].key) || kit_log_is_damaged(log, log->records[i].place))
            continue;
        if (count == max) { /* full: everything below this one was looked at */
            *ret_next = log->records[i].place;
            return count;
        }
        records[count++] = log->records[i];
    }
    return count;
}

bool kit_answer_scan(struct kit_log *log, struct share *share)
{
    static struct share_record records[ANSWER_RECORDS_MAX];
    struct share_scan scan;
    struct place next;
    size_t count;

    if (!share_next_scan(share, &scan))
        return false;
    assert_true(scan.records_max > 0 && scan.records_max <= ANSWER_RECORDS_MAX);
    count = kit_log_scan(log, &scan, log->head, records, scan.records_max, &next);
    assert_true(share_scanned(share, records, count, next));
    return true;
}

bool kit_answer_search(struct kit_log *log, struct share *share)
{
    static struct share_record records[ANSWER_RECORDS_MAX];
    struct share_scan scan;
    struct place next;
    size_t count;

    if (!share_next_search(share, &scan))
        return false;
    assert_true(scan.records_max > 0 && scan.records_max <= ANSWER_RECORDS_MAX && scan.key_count <= SEARCH_KEYS_MAX);
    assert_true(scan.key_count > 0 && kit_before(scan.from, scan.until));
    count = kit_log_scan(log, &scan, scan.until, records, scan.records_max, &next);
    assert_true(share_found(share, records, count, next));
    return true;
}

void kit_answer_all(struct kit_log *log, struct share *share)
{
    bool more = true;

    while (more) {
        more = kit_answer_search(log, share);
        more |= kit_before(share_scan_place(share), log->head) && kit_answer_scan(log, share);
    }
}

/* --- catalog -------------------------------------------------------------------------------------------------------------------
 */

void kit_catalog_fini(struct kit_catalog *catalog)
{
    free(catalog->lanes);
    *catalog = (struct kit_catalog){0};
}

/* The row of one record, or else of a key. */
static size_t find(const struct kit_catalog *catalog, uint64_t key, struct place place, bool single)
{
    size_t at = 0;

    for (; at < catalog->count; at++) {
        const struct lane_row *row = &catalog->lanes[at];

        if (single != (row->key == 0 || row->aside))
            continue;
        if (single ? row->place.position == place.position && row->place.index == place.index : row->key == key)
            break;
    }
    return at;
}

const struct lane_row *kit_catalog_row(const struct kit_catalog *catalog, const struct share_record *record)
{
    size_t at = find(catalog, record->key, record->place, true);

    if (at == catalog->count && record->key != 0 && record->deliver_at_ns == 0)
        at = find(catalog, record->key, record->place, false);
    return at < catalog->count ? &catalog->lanes[at] : NULL;
}

void kit_catalog_apply(struct kit_catalog *catalog, const struct delta *delta)
{
    size_t at;

    if (delta->kind == DELTA_CURSOR) {
        assert_false(kit_before(delta->cursor.place, catalog->cursor.place));
        catalog->cursor = delta->cursor;
        return;
    }
    assert_int_equal(delta->kind, DELTA_LANE);
    at = find(catalog, delta->lane.row.key, delta->lane.row.place, delta->lane.row.key == 0 || delta->lane.row.aside);
    if (delta->lane.gone) {
        if (at < catalog->count)
            catalog->lanes[at] = catalog->lanes[--catalog->count];
        return;
    }
    if (at == catalog->capacity) {
        catalog->capacity = catalog->capacity ? catalog->capacity * 2 : 64;
        catalog->lanes = realloc(catalog->lanes, catalog->capacity * sizeof *catalog->lanes);
        assert_non_null(catalog->lanes);
    }
    catalog->count += at == catalog->count;
    catalog->lanes[at] = delta->lane.row;
}

bool kit_catalog_put(void *context, const struct delta *delta)
{
    kit_catalog_apply(context, delta);
    return true;
}
