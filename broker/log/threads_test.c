/* Readers of every kind beside commits, roll-over, indexing and merging. For TSan above all. Engine lmdb. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/log/log_test_kit.h"

enum { TOPICS = 60, BLOCKS = 500, READERS = 4 };

struct shared {
    struct log *log;
    int done; /* the committer is */
    uint64_t end;
    int failures;
};

struct reading {
    struct shared *shared;
    const char *pattern;
    bool reverse;
    uint64_t entries;
};

/* Checks positions: rising without gaps for what matches all, rising for others; never at or above the head asked for. */
static uint64_t read_to(struct reading *reading, struct log_reader *reader, uint64_t from, uint64_t until, uint64_t *expected)
{
    static __thread uint8_t out[300 * 1024];
    char why[LOG_WHY_BYTES];
    struct log_read read = {.from = from, .until = until, .out = out, .capacity = sizeof out};
    while (read.from != until) {
        truc_status status = log_reader_read(reader, &read, why);
        if (status != TRUC_OK) {
            __atomic_add_fetch(&reading->shared->failures, 1, __ATOMIC_SEQ_CST);
            print_error("%s: %s\n", truc_status_name(status), why);
            return until;
        }
        struct reader payload = reader_over(bytes_of(out, read.size));
        struct entry_view entry;
        while (entry_served_next(&payload, &entry, &status)) {
            struct leaf leaf;
            bool good = leaf_parse(entry.leaf, &leaf) == TRUC_OK && leaf.position < (reading->reverse ? from : until);
            if (expected != NULL) {
                good = good && leaf.position == *expected;
                (*expected)++;
            }
            if (!good) {
                __atomic_add_fetch(&reading->shared->failures, 1, __ATOMIC_SEQ_CST);
            }
            reading->entries++;
        }
        read.from = read.next;
    }
    return until;
}

static void *follow(void *argument)
{
    struct reading *reading = argument;
    struct shared *shared = reading->shared;
    struct log_filter filter = {.pattern = bytes_of_text(reading->pattern)};
    struct log_reader *reader;
    bool all = strcmp(reading->pattern, ">") == 0;
    uint64_t place = 0, expected = 0;
    if (log_reader_create(shared->log, &filter, reading->reverse, &reader) != TRUC_OK) {
        __atomic_add_fetch(&shared->failures, 1, __ATOMIC_SEQ_CST);
        return NULL;
    }
    for (bool last = false; !last;) {
        last = __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST) != 0;
        uint64_t head = log_head(shared->log).position;
        (void)log_capacity(shared->log);
        (void)log_usage(shared->log);
        if (reading->reverse) {
            (void)read_to(reading, reader, head, 0, NULL);
        } else {
            place = read_to(reading, reader, place, head, all ? &expected : NULL);
        }
    }
    log_reader_destroy(reader);
    return NULL;
}

static void readers_beside_commits_see_every_entry_once(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct log_options options;
    struct shared shared = {0};
    struct maker maker;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "lmdb", directory);
    options.index_flush_bytes = 100000;
    assert_int_equal(log_open(&options, NULL, &shared.log, why), TRUC_OK);
    maker_init(&maker, shared.log);
    struct reading readings[READERS] = {
        {&shared, ">", false, 0}, {&shared, "t.*.x", false, 0}, {&shared, "t.7.x", false, 0}, {&shared, "t.9.x", true, 0}};
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &readings[i]), 0);
    }
    uint64_t of_seven = 0;
    for (uint32_t block = 0; block < BLOCKS; block++) {
        for (uint32_t i = 0; i < 4; i++) {
            char name[32];
            uint32_t topic = (block * 4 + i) % TOPICS;
            (void)snprintf(name, sizeof name, "t.%u.x", topic);
            of_seven += topic == 7;
            maker_add(&maker, maker_topic(&maker, name), 1, 12000, NULL, 0);
        }
        (void)maker_commit(&maker);
    }
    __atomic_store_n(&shared.done, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared.failures, 0);
    assert_int_equal(readings[0].entries, BLOCKS * 4);
    assert_int_equal(readings[1].entries, BLOCKS * 4);
    assert_int_equal(readings[2].entries, of_seven);
    log_close(shared.log);
    maker_fini(&maker);
    kit_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_beside_commits_see_every_entry_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
