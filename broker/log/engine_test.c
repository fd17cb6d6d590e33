/* The promises of engine.h, over both engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/log/log_test_kit.h"

struct fixture {
    char *directory;
    struct log *log;
    struct maker maker;
};

static const char *engine = "lmdb";

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char why[LOG_WHY_BYTES] = "";
    struct log_options options;
    fixture->directory = kit_directory();
    kit_options(&options, engine, fixture->directory);
    if (log_open(&options, NULL, &fixture->log, why) != TRUC_OK) {
        print_error("%s\n", why);
        return 1;
    }
    maker_init(&fixture->maker, fixture->log);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    maker_fini(&fixture->maker);
    log_close(fixture->log);
    kit_remove(fixture->directory);
    free(fixture);
    return 0;
}

static void open_new_log_holds_its_identity(void **state)
{
    struct fixture *fixture = *state;
    const struct log_identity *identity = log_identity(fixture->log);
    assert_string_equal(identity->domain, "H26/test");
    assert_int_equal(identity->generation, 1);
    struct log_head head = log_head(fixture->log);
    assert_int_equal(head.block, 1);
    assert_int_equal(head.position, 0);
    assert_int_equal(head.last_append_ns, 0);
    assert_string_equal(log_usage(fixture->log).engine, engine);
    assert_false(log_capacity(fixture->log).full);
    assert_true(log_capacity(fixture->log).available_bytes > 0);
}

static void commit_moves_head_and_counts(void **state)
{
    struct fixture *fixture = *state;
    uint32_t topic = maker_topic(&fixture->maker, "dossier.status.H26");
    maker_add(&fixture->maker, topic, 3, 50, "k", 0);
    maker_add(&fixture->maker, topic, 2, 50, "k", 0);
    struct log_head head = maker_commit(&fixture->maker);
    assert_int_equal(head.block, 2);
    assert_int_equal(head.position, 2);
    assert_int_equal(head.record_count, 5);
    assert_int_equal(head.last_append_ns, fixture->maker.clock_ns);
    struct topic_row row;
    uint8_t name[TOPIC_BYTES_MAX];
    assert_int_equal(log_topic(fixture->log, bytes_of_text("dossier.status.H26"), &row, name), TRUC_OK);
    assert_int_equal(row.next_offset, 5);
    assert_int_equal(row.entry_count, 2);
    assert_int_equal(row.first_position, 0);
    assert_int_equal(row.last_position, 1);
    assert_memory_equal(row.last_leaf_hash, fixture->maker.topics[0].last_leaf, DIGEST_BYTES);
    assert_int_equal(log_topic(fixture->log, bytes_of_text("nothing"), &row, name), TRUC_NOT_FOUND);
}

static void commit_out_of_order_is_refused_for_good(void **state)
{
    struct fixture *fixture = *state;
    struct log_head head;
    char why[LOG_WHY_BYTES] = "";
    uint32_t topic = maker_topic(&fixture->maker, "a.b");
    fixture->maker.position = 7; /* not the next one */
    maker_add(&fixture->maker, topic, 1, 10, NULL, 0);
    assert_int_equal(maker_try_commit(&fixture->maker, &head, why), TRUC_INVALID_ARGUMENT);
    assert_int_not_equal(why[0], 0);
    assert_int_equal(log_head(fixture->log).block, 1);
    assert_int_equal(maker_try_commit(&fixture->maker, &head, why), TRUC_STOPPED);
}

/* 40 blocks over 7 topics; which position is of which topic is known. */
enum { ENTRIES = 400, TOPICS = 7 };

static void fill(struct fixture *fixture)
{
    static const char *const names[TOPICS] = {"a.one", "a.two", "a.three.x", "b.one", "b.two", "sys.audit", "rare"};
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint32_t topic = i % 50 == 49 ? 6 : i % 6;
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i % 11);
        maker_add(&fixture->maker, maker_topic(&fixture->maker, names[topic]), 1 + i % 3, 100 + i, key, 1000 + i);
        if (i % 10 == 9) {
            (void)maker_commit(&fixture->maker);
        }
        if (i % 100 == 0) {
            struct delta clock = {.kind = DELTA_CLOCK, .clock = {1, 2}}; /* a block of deltas alone, between */
            if (fixture->maker.append_count == 0) {
                maker_delta(&fixture->maker, &clock);
                (void)maker_commit(&fixture->maker);
            }
        }
    }
}

static void expect(struct fixture *fixture, const char *pattern, uint64_t from, uint64_t until, bool reverse, const bool *topics)
{
    uint64_t positions[ENTRIES], wanted[ENTRIES];
    size_t count = 0;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        uint64_t position = reverse ? ENTRIES - 1 - i : i;
        uint64_t low = reverse ? until : from, high = reverse ? from : until;
        uint32_t topic = position % 50 == 49 ? 6 : (uint32_t)(position % 6);
        if (position >= low && position < high && topics[topic]) {
            wanted[count++] = position;
        }
    }
    assert_int_equal(kit_read(fixture->log, pattern, from, until, reverse, positions, ENTRIES), count);
    assert_memory_equal(positions, wanted, count * sizeof *wanted);
}

static void read_by_pattern_gives_just_what_matches(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    for (int reverse = 0; reverse < 2; reverse++) {
        uint64_t from = reverse ? ENTRIES : 0, until = reverse ? 0 : ENTRIES;
        expect(fixture, ">", from, until, reverse, (bool[]){1, 1, 1, 1, 1, 0, 1});
        expect(fixture, "a.>", from, until, reverse, (bool[]){1, 1, 1, 0, 0, 0, 0});
        expect(fixture, "*.one", from, until, reverse, (bool[]){1, 0, 0, 1, 0, 0, 0});
        expect(fixture, "rare", from, until, reverse, (bool[]){0, 0, 0, 0, 0, 0, 1});
        expect(fixture, "sys.audit", from, until, reverse, (bool[]){0, 0, 0, 0, 0, 1, 0});
        expect(fixture, "none.such", from, until, reverse, (bool[TOPICS]){0});
        expect(fixture, "a.two", reverse ? 333 : 101, reverse ? 101 : 333, reverse, (bool[]){0, 1, 0, 0, 0, 0, 0});
        expect(fixture, "rare", reverse ? 350 : 50, reverse ? 50 : 350, reverse, (bool[]){0, 0, 0, 0, 0, 0, 1});
        expect(fixture, ">", reverse ? 217 : 216, reverse ? 216 : 217, reverse, (bool[]){1, 1, 1, 1, 1, 0, 1});
    }
}

static void read_small_buffer_says_what_it_needs(void **state)
{
    struct fixture *fixture = *state;
    maker_add(&fixture->maker, maker_topic(&fixture->maker, "t"), 1, 1000, NULL, 0);
    maker_add(&fixture->maker, maker_topic(&fixture->maker, "t"), 1, 10, NULL, 0);
    (void)maker_commit(&fixture->maker);
    struct log_filter filter = {.pattern = bytes_of_text("t")};
    struct log_reader *reader;
    char why[LOG_WHY_BYTES];
    uint8_t out[4096];
    assert_int_equal(log_reader_create(fixture->log, &filter, false, &reader), TRUC_OK);
    struct log_read read = {.from = 0, .until = 2, .out = out, .capacity = 100};
    assert_int_equal(log_reader_read(reader, &read, why), TRUC_OK);
    assert_true(read.needed > 1000 && read.size == 0 && read.next == 0);
    read.capacity = read.needed;
    assert_int_equal(log_reader_read(reader, &read, why), TRUC_OK);
    assert_int_equal(read.entry_count, 1);
    assert_int_equal(read.next, 1);
    read.from = 0;
    read.capacity = sizeof out;
    read.entries_max = 1;
    assert_int_equal(log_reader_read(reader, &read, why), TRUC_OK);
    assert_int_equal(read.entry_count, 1);
    read.entries_max = 0;
    read.from = read.next;
    assert_int_equal(log_reader_read(reader, &read, why), TRUC_OK);
    assert_int_equal(read.entry_count, 1);
    assert_int_equal(read.next, 2);
    log_reader_destroy(reader);
}

static void read_filters_by_directory_and_source(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    static const struct {
        struct log_filter filter;
        size_t expected;
    } cases[] = {
        {{.key = {(const uint8_t *)"k3", 2}}, 37},
        {{.key = {(const uint8_t *)"none", 4}}, 0},
        {{.event_since_ns = 1100}, ENTRIES - 100},
        {{.event_since_ns = 1100, .event_until_ns = 1150}, 50},
        {{.agency = {(const uint8_t *)"H26.16", 6}}, ENTRIES},
        {{.agency = {(const uint8_t *)"H26.16", 6}, .system = {(const uint8_t *)"other", 5}}, 0},
        {{.agency = {(const uint8_t *)"G22", 3}}, 0},
    };
    static uint8_t out[1 << 20];
    char why[LOG_WHY_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_filter filter = cases[i].filter;
        filter.pattern = bytes_of_text("**"); /* sys.audit is not matched by it: counted apart */
        struct log_reader *reader;
        size_t count = 0;
        for (int pass = 0; pass < 2; pass++) {
            filter.pattern = bytes_of_text(pass == 0 ? "**" : "sys.>");
            assert_int_equal(log_reader_create(fixture->log, &filter, false, &reader), TRUC_OK);
            struct log_read read = {.from = 0, .until = ENTRIES, .out = out, .capacity = sizeof out};
            assert_int_equal(log_reader_read(reader, &read, why), TRUC_OK);
            assert_int_equal(read.next, ENTRIES);
            count += read.entry_count;
            log_reader_destroy(reader);
        }
        assert_int_equal(count, cases[i].expected);
    }
}

static void find_offset_and_time_give_the_entry(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    char why[LOG_WHY_BYTES];
    uint64_t position, offset = 0;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(log_find_time(fixture->log, fixture->maker.clock_ns - ENTRIES + 1 + (int64_t)i, &position, why), TRUC_OK);
        assert_int_equal(position, i);
        if (i % 50 == 49) { /* the topic `rare` */
            for (uint64_t record = 0; record < 1 + i % 3; record++) {
                assert_int_equal(log_find_offset(fixture->log, bytes_of_text("rare"), offset++, &position, why), TRUC_OK);
                assert_int_equal(position, i);
            }
        }
    }
    assert_int_equal(log_find_offset(fixture->log, bytes_of_text("rare"), offset, &position, why), TRUC_OUT_OF_RANGE);
    assert_int_equal(position, ENTRIES);
    assert_int_equal(log_find_offset(fixture->log, bytes_of_text("no"), 0, &position, why), TRUC_NOT_FOUND);
    assert_int_equal(log_find_time(fixture->log, 0, &position, why), TRUC_OK);
    assert_int_equal(position, 0);
    assert_int_equal(log_find_time(fixture->log, INT64_MAX, &position, why), TRUC_OK);
    assert_int_equal(position, ENTRIES);
}

static void reader_follows_what_comes_later(void **state)
{
    struct fixture *fixture = *state;
    struct log_filter filter = {.pattern = bytes_of_text("a.>")};
    struct log_reader *reader;
    char why[LOG_WHY_BYTES];
    static uint8_t out[65536];
    assert_int_equal(log_reader_create(fixture->log, &filter, false, &reader), TRUC_OK);
    struct log_read read = {.from = 0, .until = 0, .out = out, .capacity = sizeof out};
    for (uint64_t i = 0; i < 50; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "a.n%llu", (unsigned long long)i);
        maker_add(&fixture->maker, maker_topic(&fixture->maker, name), 1, 10, NULL, 0);
        maker_add(&fixture->maker, maker_topic(&fixture->maker, "b.other"), 1, 10, NULL, 0);
        read.until = maker_commit(&fixture->maker).position;
        assert_int_equal(log_reader_read(reader, &read, why), TRUC_OK);
        assert_int_equal(read.entry_count, 1);
        assert_int_equal(read.next, read.until);
        read.from = read.next;
    }
    log_reader_destroy(reader);
}

static void open_bad_options_is_refused(void **state)
{
    (void)state;
    struct log_options options;
    struct log *log;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "floppy", "/nonexistent");
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "floppy"));
    kit_options(&options, engine, "/nonexistent");
    options.segment_bytes = 1;
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_new_log_holds_its_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(commit_moves_head_and_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(commit_out_of_order_is_refused_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(read_by_pattern_gives_just_what_matches, setup, teardown),
        cmocka_unit_test_setup_teardown(read_small_buffer_says_what_it_needs, setup, teardown),
        cmocka_unit_test_setup_teardown(read_filters_by_directory_and_source, setup, teardown),
        cmocka_unit_test_setup_teardown(find_offset_and_time_give_the_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(reader_follows_what_comes_later, setup, teardown),
        cmocka_unit_test(open_bad_options_is_refused),
    };
    int failed = cmocka_run_group_tests_name("engine lmdb", tests, NULL, NULL);
    engine = "memory";
    return failed + cmocka_run_group_tests_name("engine memory", tests, NULL, NULL);
}
