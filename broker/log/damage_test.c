/* Damage: flipped bits, files cut short, no room. What it touches is refused with its place; the rest is served. Engine lmdb. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/log/base.h"
#include "broker/log/log_test_kit.h"
#include "broker/log/verify.h"

static struct log *open_log(const char *directory)
{
    struct log_options options;
    struct log *log = NULL;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "lmdb", directory);
    truc_status status = log_open(&options, NULL, &log, why);
    if (status != TRUC_OK) {
        print_error("open: %s: %s\n", truc_status_name(status), why);
    }
    assert_int_equal(status, TRUC_OK);
    return log;
}

static char *segment_path(const char *directory, uint64_t first_block)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/segments/%020llu.mdb", directory, (unsigned long long)first_block);
    return path;
}

/* A log of a few blocks, closed. */
static void make_log(const char *directory, struct maker *maker, uint32_t blocks, size_t data_bytes)
{
    struct log *log = open_log(directory);
    maker_init(maker, log);
    for (uint32_t block = 0; block < blocks; block++) {
        for (uint32_t i = 0; i < 3; i++) {
            maker_add(maker, maker_topic(maker, i == 0 ? "a" : "b"), 2, data_bytes, "key", 9);
        }
        (void)maker_commit(maker);
    }
    log_close(log);
}

/* Where in the segment's file a position's entry lies: LMDB keeps a block of more than half a page in pages of its own. */
static void find_entry(const char *directory, uint64_t position, long *ret_at, long *ret_size)
{
    struct log *log = open_log(directory);
    struct block_access access = {.log = log};
    uint64_t block;
    struct block_view view;
    char why[LOG_WHY_BYTES] = "";
    assert_int_equal(log_find_block(&access, position, &block, why), TRUC_OK);
    assert_int_equal(log_block(&access, block, &view, why), TRUC_OK);
    struct block_row row = block_row_at(&view, (uint32_t)(position - view.first_position));
    uint8_t *wanted = malloc(row.size);
    assert_non_null(wanted);
    memcpy(wanted, view.encoded.data + row.offset, row.size);
    log->engine->access_end(&access);
    log_close(log);
    FILE *file = fopen(segment_path(directory, 0), "rb");
    assert_non_null(file);
    static uint8_t content[16 << 20];
    size_t size = fread(content, 1, sizeof content, file);
    (void)fclose(file);
    uint8_t *found = memmem(content, size, wanted, row.size);
    assert_non_null(found);
    assert_null(memmem(found + 1, size - (size_t)(found + 1 - content), wanted, row.size));
    *ret_at = found - content;
    *ret_size = row.size;
    free(wanted);
}

static void flip(const char *path, long at, int bit)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1 << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

/* Reads all; returns how many entries came, how often damage was told, and what was said of it last. */
static size_t read_around(struct log *log, const char *pattern, bool reverse, size_t *ret_damaged, char *why)
{
    static uint8_t out[1 << 20];
    struct log_filter filter = {.pattern = bytes_of_text(pattern)};
    struct log_reader *reader;
    uint64_t head = log_head(log).position;
    assert_int_equal(log_reader_create(log, &filter, reverse, &reader), TRUC_OK);
    struct log_read read = {.from = reverse ? head : 0, .until = reverse ? 0 : head, .out = out, .capacity = sizeof out};
    size_t count = 0;
    *ret_damaged = 0;
    while (read.from != read.until) {
        char said[LOG_WHY_BYTES];
        truc_status status = log_reader_read(reader, &read, said);
        assert_true(status == TRUC_OK || status == TRUC_DAMAGED);
        if (status == TRUC_DAMAGED) {
            (void)snprintf(why, LOG_WHY_BYTES, "%s", said);
        }
        assert_true(reverse ? read.next < read.from : read.next > read.from);
        *ret_damaged += status == TRUC_DAMAGED;
        count += status == TRUC_OK ? read.entry_count : 0;
        read.from = read.next;
    }
    log_reader_destroy(reader);
    return count;
}

static void flipped_bit_anywhere_in_an_entry_is_found_and_never_served(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct maker maker;
    char why[LOG_WHY_BYTES], path[4096], place[64];
    make_log(directory, &maker, 6, 150);
    (void)snprintf(path, sizeof path, "%s", segment_path(directory, 0));
    long at, size;
    const uint64_t position = 7;
    find_entry(directory, position, &at, &size);
    (void)snprintf(place, sizeof place, "position %llu", (unsigned long long)position);
    for (long i = 0; i < size; i++) {
        flip(path, at + i, (int)(i % 8));
        struct log_verify_report report;
        assert_int_equal(log_verify(directory, NULL, NULL, &report, why), TRUC_DAMAGED);
        assert_true(report.bad);
        assert_int_equal(report.bad_position, position);
        if (i % 16 == 0) {
            struct log *log = open_log(directory);
            size_t damaged;
            size_t count = read_around(log, ">", i % 32 == 0, &damaged, why);
            /* The directory is not sent: its damage is told to whoever filters by it. */
            bool in_directory = count == maker.position;
            assert_true(in_directory || (count == maker.position - 1 && damaged == 1 && strstr(why, place) != NULL));
            assert_int_equal(read_around(log, "a", false, &damaged, why), 6);
            log_close(log);
        }
        flip(path, at + i, (int)(i % 8));
    }
    struct log_verify_report report;
    assert_int_equal(log_verify(directory, NULL, NULL, &report, why), TRUC_OK);
    maker_fini(&maker);
    kit_remove(directory);
}

static void flipped_bit_in_a_blocks_head_is_found(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct maker maker;
    char why[LOG_WHY_BYTES], path[4096];
    make_log(directory, &maker, 6, 150);
    (void)snprintf(path, sizeof path, "%s", segment_path(directory, 0));
    long at, size;
    find_entry(directory, 6, &at, &size); /* the first entry of block 3: table and header lie before it */
    for (long i = 1; i <= BLOCK_HEADER_BYTES + 3 * BLOCK_TABLE_ROW_BYTES; i++) {
        flip(path, at - i, (int)(i % 8));
        struct log_verify_report report;
        assert_int_equal(log_verify(directory, NULL, NULL, &report, why), TRUC_DAMAGED);
        assert_int_equal(report.bad_block, 3);
        if (i % 8 == 0) {
            struct log *log = open_log(directory);
            size_t damaged;
            size_t count = read_around(log, ">", i % 16 == 0, &damaged, why);
            assert_int_equal(damaged, 1);
            assert_int_equal(count, maker.position - 3);
            assert_non_null(strstr(why, "block 3"));
            log_close(log);
        }
        flip(path, at - i, (int)(i % 8));
    }
    maker_fini(&maker);
    kit_remove(directory);
}

static void segment_cut_short_is_told_and_the_rest_served(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct maker maker;
    char why[LOG_WHY_BYTES] = "";
    make_log(directory, &maker, 100, 60000); /* some 36 MB, five segments */
    struct log *log = open_log(directory);
    uint32_t segments = log_usage(log).segment_count;
    assert_true(segments >= 4);
    uint64_t total = log_head(log).position;
    log_close(log);
    uint64_t second = 0;
    for (uint64_t block = 1; second == 0; block++) {
        struct stat file;
        second = stat(segment_path(directory, block), &file) == 0 ? block : 0;
    }
    assert_int_equal(truncate(segment_path(directory, second), 3 << 20), 0);
    log = open_log(directory);
    for (int reverse = 0; reverse < 2; reverse++) {
        size_t damaged, count = read_around(log, ">", reverse != 0, &damaged, why);
        assert_true(damaged >= 1);
        assert_true(count < total && count > total / 2);
        assert_non_null(strstr(why, "cut short"));
        assert_true(read_around(log, "a", reverse != 0, &damaged, why) < total / 3);
    }
    uint64_t position;
    assert_int_equal(log_find_time(log, maker.clock_ns, &position, why), TRUC_OK);
    assert_int_equal(position, total - 1);
    log_close(log);
    struct log_verify_report report;
    assert_int_equal(log_verify(directory, NULL, NULL, &report, why), TRUC_DAMAGED);
    assert_int_equal(report.bad_block, second);
    /* The first one too, which says what log it is: derived data knows as well. */
    assert_int_equal(truncate(segment_path(directory, 0), 3 << 20), 0);
    log = open_log(directory);
    assert_string_equal(log_identity(log)->domain, "H26/test");
    size_t left = read_around(log, ">", false, &(size_t){0}, why);
    assert_true(left > 0 && left < total * 3 / 4);
    log_close(log);
    /* The newest one: nothing can be appended to what is not known. */
    char *other = kit_directory();
    struct maker maker_2;
    make_log(other, &maker_2, 10, 1000);
    assert_int_equal(truncate(segment_path(other, 0), 20000), 0);
    struct log_options options;
    kit_options(&options, "lmdb", other);
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_DAMAGED);
    assert_non_null(strstr(why, "cut short"));
    assert_int_equal(log_verify(other, NULL, NULL, &report, why), TRUC_DAMAGED);
    maker_fini(&maker);
    maker_fini(&maker_2);
    kit_remove(directory);
    kit_remove(other);
}

static void verify_of_something_else_is_not_found(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct log_verify_report report;
    char why[LOG_WHY_BYTES] = "";
    assert_int_equal(log_verify(directory, NULL, NULL, &report, why), TRUC_NOT_FOUND);
    assert_int_not_equal(why[0], 0);
    kit_remove(directory);
}

/* --- no room: a limit on the size of files, in a child ---------------------------------------------------------------------- */

static void notified(void *context)
{
    __atomic_add_fetch((uint32_t *)context, 1, __ATOMIC_SEQ_CST);
}

static void set_file_limit(uint64_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Commits as long as the log says there is room; stops before it would not be. */
static void commit_until_full(struct log *log, struct maker *maker)
{
    for (int i = 0; i < 1000; i++) {
        if (log_capacity(log).full) {
            return;
        }
        if (log_capacity(log).available_bytes > 200000) {
            maker_add(maker, maker_topic(maker, "a"), 1, 150000, NULL, 0);
            (void)maker_commit(maker);
        } else {
            struct delta clock = {.kind = DELTA_CLOCK, .clock = {1, 2}}; /* small things go on */
            maker_delta(maker, &clock);
            (void)maker_commit(maker);
        }
    }
}

static void run_into_the_limit(const char *directory)
{
    uint32_t notices = 0;
    struct log_options options;
    struct log *log;
    struct maker maker;
    char why[LOG_WHY_BYTES] = "";
    (void)signal(SIGXFSZ, SIG_IGN);
    kit_options(&options, "lmdb", directory);
    options.segment_bytes = 32 << 20;
    options.notify = notified;
    options.notify_context = &notices;
    set_file_limit(12 << 20);
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_OK);
    maker_init(&maker, log);
    commit_until_full(log, &maker);
    struct log_capacity capacity = log_capacity(log);
    assert_true(capacity.full);
    assert_int_equal(capacity.available_bytes, 0);
    assert_int_not_equal(capacity.why[0], 0);
    assert_true(__atomic_load_n(&notices, __ATOMIC_SEQ_CST) >= 1);
    /* What must still be written can be. */
    for (int i = 0; i < 20; i++) {
        struct delta clock = {.kind = DELTA_CLOCK, .clock = {1, 2}};
        maker_delta(&maker, &clock);
        (void)maker_commit(&maker);
    }
    uint64_t total = log_head(log).position;
    assert_int_equal(kit_read(log, "a", 0, total, false, NULL, 0), total);
    /* There is room again: it goes on by itself, within a second or two. */
    set_file_limit(RLIM_INFINITY);
    for (int i = 0; i < 500 && log_capacity(log).full; i++) {
        struct timespec moment = {0, 10000000};
        (void)nanosleep(&moment, NULL);
    }
    assert_false(log_capacity(log).full);
    maker_add(&maker, maker_topic(&maker, "a"), 1, 150000, NULL, 0);
    (void)maker_commit(&maker);
    log_close(log);
    maker_fini(&maker);
}

static void full_disk_is_noticed_before_a_commit_fails(void **state)
{
    (void)state;
    char *directory = kit_directory();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run_into_the_limit(directory);
        _exit(0);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    struct log_verify_report report;
    char why[LOG_WHY_BYTES] = "";
    assert_int_equal(log_verify(directory, NULL, NULL, &report, why), TRUC_OK);
    kit_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_bit_anywhere_in_an_entry_is_found_and_never_served),
        cmocka_unit_test(flipped_bit_in_a_blocks_head_is_found),
        cmocka_unit_test(segment_cut_short_is_told_and_the_rest_served),
        cmocka_unit_test(verify_of_something_else_is_not_found),
        cmocka_unit_test(full_disk_is_noticed_before_a_commit_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
