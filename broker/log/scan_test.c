/* Which records a scan gives: by pattern, filters, keys and places, against a plain model; damage; a budget. Both engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "broker/log/base.h"
#include "broker/log/log_test_kit.h"
#include "broker/log/scan.h"
#include "proto/directory.h"

enum { TOPICS = 30, ENTRIES = 400, RECORDS_MAX = 20000, KEYS = 12 };

/* What was written of each record, in log order. */
struct written {
    struct place place;
    uint32_t topic, key, type, headers; /* key 0: none; type; headers: 0 none, 1 lang=vi, 2 lang=vi and urgent=yes, 3 lang=en */
    int64_t event_ns, expires_at_ns, deliver_at_ns;
    bool other_system;
};
static struct written written[RECORDS_MAX];
static size_t written_count;

struct making {
    uint64_t position;
    uint32_t topic;
    int64_t deliver_at_ns;
    bool other_system;
};

static size_t vary(void *context, uint32_t index, struct record_view *record, struct record_header *headers)
{
    static char texts[2][16];
    const struct making *making = context;
    uint64_t draw = (making->position * 1000 + index + 1) * 0x9e3779b97f4a7c15u;
    struct written *made = &written[written_count++];
    assert_true(written_count <= RECORDS_MAX);
    *made = (struct written){.place = {making->position, index},
                             .topic = making->topic,
                             .key = (uint32_t)(draw >> 20) % KEYS,
                             .type = (uint32_t)(draw >> 30) % 3,
                             .headers = (uint32_t)(draw >> 40) % 4,
                             .event_ns = (int64_t)(draw >> 50) % 100 + 1,
                             .expires_at_ns = draw >> 60 < 5 ? (int64_t)(draw >> 44) : 0,
                             .deliver_at_ns = making->deliver_at_ns,
                             .other_system = making->other_system};
    if (making->position % 5 == 0) { /* all records alike: single columns */
        made->key = (uint32_t)(making->position / 5) % KEYS;
        made->type = 1;
        made->headers = 0;
    }
    (void)snprintf(texts[0], sizeof texts[0], "key-%u", made->key);
    (void)snprintf(texts[1], sizeof texts[1], "type-%u", made->type);
    record->key = made->key == 0 ? (struct bytes){NULL, 0} : bytes_of_text(texts[0]);
    record->type = bytes_of_text(texts[1]);
    record->time_ns = made->event_ns;
    record->expires_at_ns = made->expires_at_ns;
    if (made->headers != 0) {
        headers[0] = (struct record_header){bytes_of_text("lang"), bytes_of_text(made->headers == 3 ? "en" : "vi")};
        headers[1] = (struct record_header){bytes_of_text("urgent"), bytes_of_text("yes")};
    }
    return made->headers == 0 ? 0 : made->headers == 2 ? 2 : 1;
}

static void fill(struct maker *maker)
{
    written_count = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        char name[32];
        struct making making = {.position = maker->position,
                                .topic = i * 7 % TOPICS,
                                .deliver_at_ns = i % 6 == 1 ? 1000000 + i : 0,
                                .other_system = i % 11 == 0};
        struct kit_batch batch = {.record_count = 1 + i % 40,
                                  .data_bytes = 100,
                                  .codec = (enum codec)(i % CODEC_COUNT),
                                  .system = making.other_system ? "desk" : NULL,
                                  .deliver_at_ns = making.deliver_at_ns,
                                  .vary = vary,
                                  .context = &making};
        (void)snprintf(name, sizeof name, "t.%u.%s", making.topic, making.topic % 2 == 0 ? "even" : "odd");
        maker_add_batch(maker, maker_topic(maker, name), &batch);
        if (i % 8 == 7) {
            (void)maker_commit(maker);
        }
        if (i % 50 == 49) {
            struct delta clock = {.kind = DELTA_CLOCK, .clock = {1, 2}}; /* a block of deltas alone, between */
            maker_delta(maker, &clock);
            (void)maker_commit(maker);
        }
    }
}

static struct log *open_log(const char *engine, const char *directory)
{
    struct log_options options;
    struct log *log = NULL;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, engine, directory);
    options.index_flush_bytes = 1 << 16;
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_OK);
    return log;
}

/* A filter, and the same in plain words. */
struct wanted {
    struct log_scan_filter filter;
    int topic, key, type; /* -1: any; topic -2: even ones */
    int headers;          /* 0: any; 1: lang=vi; 2: both */
    int64_t since_ns;
    bool other_system;
    const uint64_t *keys; /* of the search */
    size_t key_count;
};

static uint64_t hash_of_key(struct log *log, uint32_t key)
{
    char text[16];
    (void)snprintf(text, sizeof text, "key-%u", key);
    return key == 0 ? 0 : directory_hash(log_identity(log)->hash_secret, bytes_of_text(text));
}

static bool fits(struct log *log, const struct wanted *wanted, const struct written *record)
{
    bool searched = wanted->key_count == 0;
    for (size_t i = 0; i < wanted->key_count; i++) {
        searched = searched || wanted->keys[i] == hash_of_key(log, record->key);
    }
    return searched &&
           (wanted->topic == -1 || (wanted->topic == -2 ? record->topic % 2 == 0 : record->topic == (uint32_t)wanted->topic)) &&
           (wanted->key == -1 || record->key == (uint32_t)wanted->key) &&
           (wanted->type == -1 || record->type == (uint32_t)wanted->type) &&
           (wanted->headers == 0 || record->headers == 2 || (wanted->headers == 1 && record->headers == 1)) &&
           record->event_ns >= wanted->since_ns && (!wanted->other_system || record->other_system);
}

static bool before(struct place a, struct place b)
{
    return a.position != b.position ? a.position < b.position : a.index < b.index;
}

/* Scans [from, until) in calls of at most so many records and holds all of it against what was written. */
static void check_scan(struct log *log, const struct wanted *wanted, struct place from, struct place until, size_t records_max)
{
    struct log_scanner *scanner;
    struct log_scan_record *records = calloc(records_max, sizeof *records);
    char why[LOG_WHY_BYTES];
    size_t at = 0;
    struct log_scan scan = {.from = from,
                            .until = until,
                            .keys = wanted->keys,
                            .key_count = wanted->key_count,
                            .records = records,
                            .records_max = records_max};
    assert_non_null(records);
    assert_int_equal(log_scanner_create(log, &wanted->filter, &scanner), TRUC_OK);
    while (before(scan.from, until)) {
        assert_int_equal(log_scan(scanner, &scan, why), TRUC_OK);
        assert_true(scan.count <= records_max && scan.damaged == 0 && before(scan.from, scan.next) && !before(until, scan.next));
        for (size_t i = 0; i < scan.count; i++, at++) {
            const struct log_scan_record *record = &records[i];
            while (at < written_count && (before(written[at].place, from) || !fits(log, wanted, &written[at]))) {
                at++;
            }
            assert_true(at < written_count);
            assert_int_equal(record->place.position, written[at].place.position);
            assert_int_equal(record->place.index, written[at].place.index);
            assert_true(record->key == hash_of_key(log, written[at].key) && record->bytes > 100);
            assert_int_equal(record->expires_at_ns, written[at].expires_at_ns);
            assert_int_equal(record->deliver_at_ns, written[at].deliver_at_ns);
            assert_true(before(record->place, scan.next));
        }
        scan.from = scan.next;
    }
    for (; at < written_count; at++) { /* none is missing */
        bool inside = !before(written[at].place, from) && before(written[at].place, until);
        assert_false(inside && fits(log, wanted, &written[at]));
    }
    log_scanner_destroy(scanner);
    free(records);
}

static const char *const engines[] = {"memory", "lmdb"};

static struct wanted any(const char *pattern)
{
    return (struct wanted){.filter = {.filter = {.pattern = bytes_of_text(pattern)}}, .topic = -1, .key = -1, .type = -1};
}

static void check_all_ways(struct log *log, const struct wanted *wanted)
{
    struct place head = {log_head(log).position, 0};
    check_scan(log, wanted, (struct place){0, 0}, head, 4000);
    check_scan(log, wanted, (struct place){0, 0}, head, 7);
    check_scan(log, wanted, (struct place){0, 0}, head, 1);
    check_scan(log, wanted, (struct place){38, 3}, (struct place){222, 5}, 64);     /* within entries at both ends */
    check_scan(log, wanted, (struct place){39, 3}, (struct place){39, 30}, 5);      /* and within one */
    check_scan(log, wanted, (struct place){39, 1000}, (struct place){41, 1000}, 5); /* beyond an entry's end */
}

static void scans_give_what_matches_and_nothing_else(void **state)
{
    (void)state;
    for (size_t e = 0; e < 2; e++) {
        char *directory = kit_directory();
        struct maker maker;
        struct log *log = open_log(engines[e], directory);
        maker_init(&maker, log);
        fill(&maker);
        struct wanted wanted = any("**");
        check_all_ways(log, &wanted);
        wanted = any("t.*.even");
        wanted.topic = -2;
        check_all_ways(log, &wanted);
        wanted = any("t.4.even"); /* few enough for the index */
        wanted.topic = 4;
        check_all_ways(log, &wanted);
        wanted = any("no.such.topic");
        wanted.topic = 1000;
        check_all_ways(log, &wanted);
        wanted = any(">");
        wanted.filter.filter.key = bytes_of_text("key-3");
        wanted.key = 3;
        check_all_ways(log, &wanted);
        wanted.filter.filter.type = bytes_of_text("type-1");
        wanted.type = 1;
        wanted.filter.filter.event_since_ns = wanted.since_ns = 40;
        check_all_ways(log, &wanted);
        wanted = any(">");
        wanted.filter.filter.agency = bytes_of_text("H26.16");
        wanted.filter.filter.system = bytes_of_text("desk");
        wanted.other_system = true;
        check_all_ways(log, &wanted);
        wanted = any(">");
        wanted.filter.headers = bytes_of("lang\0vi\0", 8);
        wanted.headers = 1;
        check_all_ways(log, &wanted);
        wanted.filter.headers = bytes_of("urgent\0yes\0lang\0vi\0", 19);
        wanted.headers = 2;
        check_all_ways(log, &wanted);
        log_close(log);
        maker_fini(&maker);
        kit_remove(directory);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void searches_give_the_records_of_their_keys(void **state)
{
    (void)state;
    for (size_t e = 0; e < 2; e++) {
        char *directory = kit_directory();
        struct maker maker;
        struct log *log = open_log(engines[e], directory);
        maker_init(&maker, log);
        fill(&maker);
        uint64_t keys[] = {hash_of_key(log, 2), hash_of_key(log, 5), hash_of_key(log, 9), 12345};
        qsort(keys, 4, sizeof *keys, by_value);
        struct wanted wanted = any("**");
        wanted.keys = keys;
        wanted.key_count = 4;
        check_all_ways(log, &wanted);
        wanted.key_count = 1;
        check_all_ways(log, &wanted);
        wanted = any("t.5.odd");
        wanted.topic = 5;
        wanted.keys = keys;
        wanted.key_count = 4;
        wanted.filter.headers = bytes_of("lang\0vi\0", 8);
        wanted.headers = 1;
        check_all_ways(log, &wanted);
        log_close(log);
        maker_fini(&maker);
        kit_remove(directory);
    }
}

/* The same scanner goes on with what comes later, new topics included; nothing above the head is looked at. */
static void scanner_goes_on_as_the_log_grows(void **state)
{
    (void)state;
    struct maker maker;
    struct log *log = open_log("memory", NULL);
    struct log_scanner *scanner;
    struct log_scan_record records[64];
    char why[LOG_WHY_BYTES];
    struct log_scan_filter filter = {.filter = {.pattern = bytes_of_text("a.*")}};
    struct log_scan scan = {.until = {UINT64_MAX, UINT32_MAX}, .records = records, .records_max = 64};
    maker_init(&maker, log);
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_OK);
    for (uint32_t i = 0; i < 20; i++) {
        char name[16];
        assert_int_equal(log_scan(scanner, &scan, why), TRUC_OK);
        assert_true(scan.count == 0 && scan.next.position == i && scan.next.index == 0);
        (void)snprintf(name, sizeof name, "a.%u", i / 2);
        maker_add(&maker, maker_topic(&maker, name), 3, 10, NULL, 0);
        (void)maker_commit(&maker);
        assert_int_equal(log_scan(scanner, &scan, why), TRUC_OK);
        assert_true(scan.count == 3 && records[2].place.position == i && records[2].place.index == 2);
        assert_true(scan.next.position == i + 1 && scan.next.index == 0);
        scan.from = scan.next;
    }
    log_scanner_destroy(scanner);
    log_close(log);
    maker_fini(&maker);
}

static void filters_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static uint8_t longer[600];
    memset(longer, 'a', sizeof longer);
    struct log *log = open_log("memory", NULL);
    struct log_scanner *scanner;
    struct log_scan_filter filter = {.filter = {.pattern = bytes_of_text("a.>.b")}};
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_BAD_PATTERN);
    filter.filter.pattern = bytes_of_text(">");
    filter.headers = bytes_of("lang\0vi", 7);
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_INVALID_ARGUMENT);
    filter.headers = bytes_of(longer, sizeof longer);
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_INVALID_ARGUMENT);
    filter.headers = (struct bytes){NULL, 0};
    filter.filter.key = bytes_of(longer, 256);
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_INVALID_ARGUMENT);
    filter.filter.key = (struct bytes){NULL, 0};
    filter.filter.agency = bytes_of(longer, 100);
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_BAD_SOURCE);
    log_close(log);
}

/* --- damage ----------------------------------------------------------------------------------------------------------------- */

/* Flips a byte of the memory engine's blocks: they are plain memory. */
static void flip(struct log *log, uint64_t position, size_t (*where)(const struct entry_view *entry, const uint8_t *block))
{
    struct block_access access = {.log = log};
    struct block_view view;
    struct entry_view entry;
    uint64_t block;
    assert_int_equal(log_find_block(&access, position, &block, NULL), TRUC_OK);
    assert_int_equal(log_block(&access, block, &view, NULL), TRUC_OK);
    assert_int_equal(block_entry_peek(&view, (uint32_t)(position - view.first_position), &entry), TRUC_OK);
    ((uint8_t *)(uintptr_t)view.encoded.data)[where(&entry, view.encoded.data)] ^= 0x10;
}

static size_t in_directory(const struct entry_view *entry, const uint8_t *block)
{
    return (size_t)(entry->directory.data - block) + 9;
}
static size_t in_payload(const struct entry_view *entry, const uint8_t *block)
{
    return (size_t)(entry->batch.data - block) + entry->batch.size - 20;
}
static size_t in_header(const struct entry_view *entry, const uint8_t *block)
{
    return (size_t)(entry->leaf.data - block) - ENTRY_HEADER_BYTES + 9;
}
static size_t in_batch_header(const struct entry_view *entry, const uint8_t *block)
{
    return (size_t)(entry->batch.data - block) + BATCH_PREFIX_BYTES + load_u32(entry->batch.data + 8) -
           3; /* its last field: when to deliver */
}
static size_t in_block_header(const struct entry_view *entry, const uint8_t *block)
{
    (void)entry;
    (void)block;
    return 20;
}

static void damage_is_passed_over_and_counted(void **state)
{
    (void)state;
    struct maker maker;
    struct log *log = open_log("memory", NULL);
    char why[LOG_WHY_BYTES];
    maker_init(&maker, log);
    fill(&maker);
    flip(log, 20, in_directory);
    flip(log, 21, in_header);
    flip(log, 77, in_directory);
    flip(log, 131, in_payload); /* its records are found all the same where no filter looks into it: fetching tells */
    flip(log, 201, in_block_header);
    uint64_t lost = 8; /* entries of that block: 200 to 207 */
    static struct log_scan_record records[RECORDS_MAX];
    for (int headers = 0; headers < 2; headers++) {
        struct log_scanner *scanner;
        struct log_scan_filter filter = {.filter = {.pattern = bytes_of_text(">")}};
        filter.headers = headers == 1 ? bytes_of("lang\0vi\0", 8) : filter.headers;
        assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_OK);
        struct log_scan scan = {.until = {log_head(log).position, 0}, .records = records, .records_max = RECORDS_MAX};
        assert_int_equal(log_scan(scanner, &scan, why), TRUC_OK);
        assert_true(scan.next.position == log_head(log).position);
        assert_int_equal(scan.damaged, 3 + lost + (headers == 1 ? 1 : 0));
        assert_int_equal(scan.damaged_at, 20);
        assert_non_null(strstr(why, "20"));
        size_t at = 0;
        for (size_t i = 0; i < written_count; i++) {
            uint64_t position = written[i].place.position;
            bool gone = position == 20 || position == 21 || position == 77 || (position >= 200 && position < 208) ||
                        (headers == 1 && position == 131);
            if (!gone && (headers == 0 || written[i].headers == 1 || written[i].headers == 2)) {
                assert_true(at < scan.count && records[at].place.position == position);
                assert_int_equal(records[at++].place.index, written[i].place.index);
            }
        }
        assert_int_equal(at, scan.count);
        log_scanner_destroy(scanner);
    }
    log_close(log);
    maker_fini(&maker);
}

/* What a scan takes from a batch's header is proven by the leaf, although nothing else of the batch is looked at. */
static void damaged_delivery_time_is_not_believed(void **state)
{
    (void)state;
    struct maker maker;
    struct log *log = open_log("memory", NULL);
    struct log_scanner *scanner;
    struct log_scan_record records[8];
    char why[LOG_WHY_BYTES];
    struct log_scan_filter filter = {.filter = {.pattern = bytes_of_text("t")}};
    struct log_scan scan = {.until = {3, 0}, .records = records, .records_max = 8};
    maker_init(&maker, log);
    for (int64_t i = 0; i < 3; i++)
        maker_add_batch(&maker, maker_topic(&maker, "t"),
                        &(struct kit_batch){.record_count = 1, .deliver_at_ns = INT64_C(0x1111111111111111) * (i + 1)});
    (void)maker_commit(&maker);
    flip(log, 1, in_batch_header);
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_OK);
    assert_int_equal(log_scan(scanner, &scan, why), TRUC_OK);
    assert_true(scan.count == 2 && scan.damaged == 1 && scan.damaged_at == 1);
    assert_int_equal(records[0].deliver_at_ns, INT64_C(0x1111111111111111));
    assert_int_equal(records[1].deliver_at_ns, INT64_C(0x3333333333333333));
    log_scanner_destroy(scanner);
    log_close(log);
    maker_fini(&maker);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A search never unpacks, and one call looks at a bounded stretch. */
static void searches_over_long_ranges_are_cheap_and_bounded(void **state)
{
    (void)state;
    enum { LARGE = 24000 };
    struct maker maker;
    struct log *log = open_log("memory", NULL);
    char why[LOG_WHY_BYTES];
    maker_init(&maker, log);
    for (uint32_t i = 0; i < LARGE; i++) {
        maker_add(&maker, maker_topic(&maker, "t"), 1, 5000, i == LARGE - 1 ? "wanted" : "other", 0);
        if (i % 100 == 99) {
            (void)maker_commit(&maker);
        }
    }
    struct log_scanner *scanner;
    struct log_scan_record record;
    struct log_scan_filter filter = {.filter = {.pattern = bytes_of_text("t")}};
    uint64_t key = directory_hash(log_identity(log)->hash_secret, bytes_of_text("wanted"));
    struct log_scan scan = {.until = {LARGE, 0}, .records = &record, .records_max = 1, .keys = &key, .key_count = 1};
    assert_int_equal(log_scanner_create(log, &filter, &scanner), TRUC_OK);
    double begin = seconds();
    size_t calls = 0;
    for (; scan.from.position < LARGE; scan.from = scan.next, calls++) {
        assert_int_equal(log_scan(scanner, &scan, why), TRUC_OK);
        assert_true(scan.next.position - scan.from.position <= 20000);
    }
    print_message("%d entries of 5,000 bytes searched in %.1f ms, %zu calls\n", LARGE, (seconds() - begin) * 1e3, calls);
    assert_true(calls > 1 && scan.count == 1 && record.place.position == LARGE - 1 && record.key == key);
    log_scanner_destroy(scanner);
    log_close(log);
    maker_fini(&maker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_give_what_matches_and_nothing_else),
        cmocka_unit_test(searches_give_the_records_of_their_keys),
        cmocka_unit_test(scanner_goes_on_as_the_log_grows),
        cmocka_unit_test(filters_that_cannot_be_are_refused),
        cmocka_unit_test(damage_is_passed_over_and_counted),
        cmocka_unit_test(damaged_delivery_time_is_not_believed),
        cmocka_unit_test(searches_over_long_ranges_are_cheap_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
