/* Records by their places: whole entries and cut ones, each proven, and the same bytes as a reader gets. Both engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "broker/log/base.h"
#include "broker/log/log_test_kit.h"
#include "broker/log/scan.h"
#include "proto/cut.h"

enum { ENTRIES = 90, RECORDS_MAX = 120, OUT_BYTES = 4 << 20 };

/* What readers get: each entry, and the records in it. */
struct reference {
    struct bytes entry;
    struct bytes records[RECORDS_MAX];
    uint32_t record_count;
    bool divisible; /* evidence record */
    uint8_t *raw;
};
static struct reference references[ENTRIES];
static uint8_t *out; /* of a fetch */

static uint32_t record_count_of(uint32_t position)
{
    static const uint32_t counts[] = {1, 2, 3, 15, 16, 17, 33, 100};
    return counts[position % 8];
}

static void fill(struct maker *maker)
{
    uint32_t topics[2];
    topics[0] = maker_new_topic(maker, "by.record", EVIDENCE_RECORD);
    topics[1] = maker_new_topic(maker, "by.batch", EVIDENCE_BATCH);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        struct kit_batch batch = {
            .record_count = record_count_of(i), .data_bytes = 10 + i * 3, .key = "k", .codec = (enum codec)(i % CODEC_COUNT)};
        maker_add_batch(maker, topics[i % 10 == 9], &batch);
        if (i % 4 == 3 || i + 1 == ENTRIES) {
            (void)maker_commit(maker);
        }
    }
}

static void *copy_of(const void *bytes, size_t size)
{
    void *copied = malloc(size);
    assert_non_null(copied);
    memcpy(copied, bytes, size);
    return copied;
}

static void read_references(struct log *log)
{
    struct log_filter filter = {.pattern = bytes_of_text(">")};
    struct log_reader *reader;
    struct digest_context *digests = digest_context_create();
    char why[LOG_WHY_BYTES];
    uint8_t *scratch = NULL;
    size_t scratch_capacity = 0, position = 0;
    struct log_read read = {.until = ENTRIES, .out = out, .capacity = OUT_BYTES};
    assert_int_equal(log_reader_create(log, &filter, false, &reader), TRUC_OK);
    assert_int_equal(log_reader_read(reader, &read, why), TRUC_OK);
    assert_int_equal(read.entry_count, ENTRIES);
    struct reader payload = reader_over(bytes_of(out, read.size));
    struct entry_view entry;
    truc_status status;
    while (entry_served_next(&payload, &entry, &status)) {
        struct reference *reference = &references[position++];
        struct leaf leaf;
        struct batch_view batch;
        struct bytes raw;
        const char *fault;
        assert_int_equal(entry_prove(digests, &entry, &leaf, &batch, &scratch, &scratch_capacity, &raw, &fault), TRUC_OK);
        size_t size = entry_served_size(entry.leaf.size, entry.batch.size);
        *reference = (struct reference){.entry = bytes_of(copy_of(entry.leaf.data - ENTRY_HEADER_BYTES, size), size),
                                        .divisible = leaf.evidence == EVIDENCE_RECORD,
                                        .raw = copy_of(raw.data, raw.size)};
        struct reader records = reader_over(bytes_of(reference->raw, raw.size));
        struct bytes record;
        while (records_next(&records, &record, &status)) {
            reference->records[reference->record_count++] = record;
        }
    }
    assert_int_equal(position, ENTRIES);
    free(scratch);
    digest_context_destroy(digests);
    log_reader_destroy(reader);
}

static void free_references(void)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        free((void *)(uintptr_t)references[i].entry.data);
        free(references[i].raw);
    }
}

struct setting {
    char *directory;
    struct log *log;
    struct maker maker;
    struct log_fetcher *fetcher;
};

static void begin(struct setting *setting, const char *engine)
{
    struct log_options options;
    char why[LOG_WHY_BYTES] = "";
    setting->directory = kit_directory();
    kit_options(&options, engine, setting->directory);
    assert_int_equal(log_open(&options, NULL, &setting->log, why), TRUC_OK);
    maker_init(&setting->maker, setting->log);
    fill(&setting->maker);
    out = aligned_alloc(64, OUT_BYTES);
    setting->fetcher = log_fetcher_create(setting->log);
    assert_true(out != NULL && setting->fetcher != NULL);
    read_references(setting->log);
}

static void finish(struct setting *setting)
{
    free_references();
    free(out);
    log_fetcher_destroy(setting->fetcher);
    log_close(setting->log);
    maker_fini(&setting->maker);
    kit_remove(setting->directory);
}

/* Proves a cut entry and holds its records against the whole. */
static void check_cut(struct digest_context *digests, const struct entry_view *entry, const struct place *places, size_t count)
{
    const struct reference *reference = &references[places[0].position];
    struct cut_record *records = NULL;
    size_t capacity = 0, record_count = 0;
    struct leaf leaf;
    struct batch_view batch;
    const char *fault = NULL;
    assert_int_equal(cut_prove(digests, entry, &leaf, &batch, &records, &capacity, &record_count, &fault), TRUC_OK);
    assert_true(leaf.position == places[0].position && record_count == count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(records[i].index, places[i].index);
        assert_true(bytes_equal(records[i].encoded, reference->records[places[i].index]));
    }
    free(records);
}

/* What was fetched is, entry by entry, what the places name. */
static void check_fetched(const struct log_fetch *fetch)
{
    struct digest_context *digests = digest_context_create();
    struct reader payload = reader_over(bytes_of(fetch->out, fetch->size));
    struct entry_view entry;
    truc_status status;
    size_t at = 0;
    while (entry_served_next(&payload, &entry, &status)) {
        size_t count = 1;
        assert_true(at < fetch->done);
        while (at + count < fetch->done && fetch->places[at + count].position == fetch->places[at].position) {
            count++;
        }
        const struct reference *reference = &references[fetch->places[at].position];
        bool whole = count == reference->record_count || !reference->divisible;
        assert_true(entry_is_cut(&entry) == !whole);
        if (whole) {
            size_t size = entry_served_size(entry.leaf.size, entry.batch.size);
            assert_true(bytes_equal(bytes_of(entry.leaf.data - ENTRY_HEADER_BYTES, size), reference->entry));
        } else {
            check_cut(digests, &entry, fetch->places + at, count);
        }
        at += count;
    }
    assert_int_equal(status, TRUC_OK);
    assert_int_equal(at, fetch->done);
    digest_context_destroy(digests);
}

/* Fetches all of the places, in as many calls as the room needs. Returns how many calls. */
static size_t fetch_all(struct setting *setting, const struct place *places, size_t count, size_t capacity)
{
    char why[LOG_WHY_BYTES];
    size_t calls = 0;
    for (size_t at = 0; at < count; calls++) {
        struct log_fetch fetch = {.places = places + at, .count = count - at, .out = out, .capacity = capacity};
        assert_int_equal(log_fetch(setting->fetcher, &fetch, why), TRUC_OK);
        if (fetch.needed != 0) {
            assert_true(fetch.done == 0 && fetch.size == 0 && fetch.needed > capacity);
            fetch.capacity = fetch.needed;
            assert_int_equal(log_fetch(setting->fetcher, &fetch, why), TRUC_OK);
            assert_true(fetch.size == fetch.capacity && fetch.needed == 0);
        }
        assert_true(fetch.done > 0 && fetch.size <= fetch.capacity && fetch.size % 8 == 0);
        check_fetched(&fetch);
        at += fetch.done;
    }
    return calls;
}

static const char *const engines[] = {"memory", "lmdb"};

static void all_one_and_some_records_prove(void **state)
{
    (void)state;
    static struct place places[ENTRIES * RECORDS_MAX];
    for (size_t e = 0; e < 2; e++) {
        struct setting setting;
        begin(&setting, engines[e]);
        for (uint32_t step = 1; step <= 200; step = step * 3 + 1) { /* 1: all of every entry */
            size_t count = 0, number = 0;
            for (uint32_t position = 0; position < ENTRIES; position++) {
                for (uint32_t index = 0; index < references[position].record_count; index++, number++) {
                    if (number % step == 0) {
                        places[count++] = (struct place){position, index};
                    }
                }
            }
            assert_int_equal(fetch_all(&setting, places, count, OUT_BYTES), 1);
            assert_true(fetch_all(&setting, places, count, 4096) > 1);
            (void)fetch_all(&setting, places, count, 8);
        }
        for (uint32_t position = 0; position < ENTRIES; position++) { /* the first, the last, and all but the last */
            uint32_t last = references[position].record_count - 1;
            struct place ends[] = {{position, 0}, {position, last}};
            (void)fetch_all(&setting, ends, last == 0 ? 1 : 2, OUT_BYTES);
            (void)fetch_all(&setting, ends + 1, 1, OUT_BYTES);
            for (uint32_t i = 0; i < last; i++) {
                places[i] = (struct place){position, i};
            }
            (void)fetch_all(&setting, places, last, OUT_BYTES);
        }
        finish(&setting);
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The entry is unpacked and digested for the first part only. */
static void parts_of_one_entry_digest_it_once(void **state)
{
    (void)state;
    enum { RECORDS = 60000 };
    struct setting setting;
    char why[LOG_WHY_BYTES];
    begin(&setting, "memory");
    struct kit_batch batch = {.record_count = RECORDS, .data_bytes = 60, .codec = CODEC_LZ4};
    maker_add_batch(&setting.maker, 1, &batch);
    uint64_t position = maker_commit(&setting.maker).position - 1;
    double took[2] = {0, 0};
    for (uint32_t part = 0; part < 8; part++) {
        struct place place = {position, part * 7000};
        struct log_fetch fetch = {.places = &place, .count = 1, .out = out, .capacity = OUT_BYTES};
        double before = seconds();
        assert_int_equal(log_fetch(setting.fetcher, &fetch, why), TRUC_OK);
        took[part > 0] += seconds() - before;
        assert_int_equal(fetch.done, 1);
    }
    print_message("a record of 60,000: %.1f ms, seven more parts: %.1f ms\n", took[0] * 1e3, took[1] * 1e3);
    assert_true(took[1] < took[0] * 3); /* seven times would be digesting again */
    finish(&setting);
}

static void flip(struct log *log, uint64_t position, bool table)
{
    struct block_access access = {.log = log};
    struct block_view view;
    struct entry_view entry;
    uint64_t block;
    assert_int_equal(log_find_block(&access, position, &block, NULL), TRUC_OK);
    assert_int_equal(log_block(&access, block, &view, NULL), TRUC_OK);
    assert_int_equal(block_entry_peek(&view, (uint32_t)(position - view.first_position), &entry), TRUC_OK);
    const uint8_t *at = table ? view.table.data + 3 : entry.batch.data + entry.batch.size - 5;
    *(uint8_t *)(uintptr_t)at ^= 0x10;
}

static void damage_stops_at_the_place_it_is_of(void **state)
{
    (void)state;
    struct setting setting;
    char why[LOG_WHY_BYTES];
    begin(&setting, "memory");
    flip(setting.log, 14, false);
    flip(setting.log, 40, true); /* the block of 40 to 43 */
    const struct place places[] = {{6, 0}, {6, 5}, {7, 1}, {14, 0}, {14, 3}, {15, 0}, {41, 0}, {45, 9}, {46, 33}, {ENTRIES, 0}};
    const size_t stops[] = {3, 6, 8, 9};
    size_t at = 0;
    for (size_t i = 0; i < 4; i++) {
        struct log_fetch fetch = {
            .places = places + at, .count = sizeof places / sizeof *places - at, .out = out, .capacity = OUT_BYTES};
        assert_int_equal(log_fetch(setting.fetcher, &fetch, why), TRUC_DAMAGED);
        assert_int_equal(at + fetch.done, stops[i]);
        assert_true(why[0] != '\0');
        check_fetched(&fetch);
        at = stops[i] + (i == 0 ? 2 : 1); /* beyond what cannot be read */
    }
    finish(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_one_and_some_records_prove),
        cmocka_unit_test(parts_of_one_entry_digest_it_once),
        cmocka_unit_test(damage_stops_at_the_place_it_is_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
