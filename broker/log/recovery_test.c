/* What a log is after it was closed, killed, or lost parts of what is derived. Engine lmdb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/log/lmdb/segment.h"
#include "broker/log/lmdb/sound.h"
#include "broker/log/log_test_kit.h"
#include "broker/log/verify.h"

enum { TOPICS = 40 };

struct rows {
    uint32_t topics, producers, sequences;
    uint64_t next_sequences, results;
    bool order_broken;
};

static truc_status count_topic(void *context, const struct topic_row *row)
{
    struct rows *rows = context;
    rows->order_broken = rows->order_broken || rows->producers > 0 || rows->sequences > 0 || row->topic_id != rows->topics + 1;
    rows->topics++;
    return TRUC_OK;
}

static truc_status count_producer(void *context, const struct producer_row *row)
{
    struct rows *rows = context;
    rows->order_broken = rows->order_broken || rows->sequences > 0 || row->scope.size == 0;
    rows->producers++;
    return TRUC_OK;
}

static truc_status count_sequence(void *context, const struct sequence_row *row)
{
    struct rows *rows = context;
    rows->sequences++;
    rows->next_sequences += row->next_sequence;
    uint64_t covered = 0;
    for (uint32_t i = 0; i < row->result_count; i++) {
        covered += row->results[i].record_count;
        rows->results++;
    }
    rows->order_broken = rows->order_broken || row->result_count == 0 || covered > row->next_sequence;
    return TRUC_OK;
}

static struct log *open_log(const char *directory, struct rows *rows)
{
    struct log_options options;
    struct log *log = NULL;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "lmdb", directory);
    options.index_flush_bytes = 1 << 16;
    *rows = (struct rows){0};
    struct catalog_visitor visitor = {
        .context = rows, .topic = count_topic, .producer = count_producer, .sequence = count_sequence};
    truc_status status = log_open(&options, &visitor, &log, why);
    if (status != TRUC_OK) {
        print_error("open: %s: %s\n", truc_status_name(status), why);
    }
    assert_int_equal(status, TRUC_OK);
    return log;
}

/* Blocks of a few entries over some topics. */
static void fill(struct maker *maker, uint32_t blocks, size_t data_bytes)
{
    for (uint32_t block = 0; block < blocks; block++) {
        for (uint32_t i = 0; i < 5; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "t.%u", (block * 5 + i) % TOPICS);
            maker_add(maker, maker_topic(maker, name), 1 + i, data_bytes, "key", 5);
        }
        (void)maker_commit(maker);
    }
}

static void check_rows(const struct rows *rows, const struct maker *maker)
{
    uint64_t records = 0;
    for (uint32_t i = 0; i < maker->topic_count; i++) {
        records += maker->topics[i].next_offset;
    }
    assert_false(rows->order_broken);
    assert_int_equal(rows->topics, maker->topic_count);
    assert_int_equal(rows->producers, 1);
    assert_int_equal(rows->sequences, maker->topic_count);
    assert_int_equal(rows->next_sequences, records);
}

/* Everything is there, by every way of reading. */
static void check_reading(struct log *log, const struct maker *maker)
{
    struct log_head head = log_head(log);
    assert_int_equal(head.position, maker->position);
    assert_int_equal(head.last_append_ns, maker->clock_ns);
    assert_int_equal(kit_read(log, ">", 0, head.position, false, NULL, 0), head.position);
    assert_int_equal(kit_read(log, ">", head.position, 0, true, NULL, 0), head.position);
    size_t sum = 0, reverse_sum = 0;
    for (uint32_t i = 0; i < maker->topic_count; i++) {
        struct topic_row row;
        uint8_t name[TOPIC_BYTES_MAX];
        char why[LOG_WHY_BYTES];
        assert_int_equal(log_topic(log, bytes_of_text(maker->topics[i].name), &row, name), TRUC_OK);
        assert_int_equal(row.next_offset, maker->topics[i].next_offset);
        assert_memory_equal(row.last_leaf_hash, maker->topics[i].last_leaf, DIGEST_BYTES);
        size_t count = kit_read(log, maker->topics[i].name, 0, head.position, false, NULL, 0);
        assert_int_equal(count, row.entry_count);
        sum += count;
        reverse_sum += kit_read(log, maker->topics[i].name, head.position, 0, true, NULL, 0);
        uint64_t position;
        assert_int_equal(log_find_offset(log, bytes_of_text(maker->topics[i].name), 0, &position, why), TRUC_OK);
        assert_int_equal(position, row.first_position);
        assert_int_equal(log_find_offset(log, bytes_of_text(maker->topics[i].name), row.next_offset - 1, &position, why), TRUC_OK);
        assert_int_equal(position, row.last_position);
    }
    assert_int_equal(sum, head.position);
    assert_int_equal(reverse_sum, head.position);
}

static void check_verify(const char *directory, const struct maker *maker)
{
    struct log_verify_report report;
    char why[LOG_WHY_BYTES] = "";
    truc_status status = log_verify(directory, NULL, NULL, &report, why);
    if (status != TRUC_OK) {
        print_error("verify: %s\n", why);
    }
    assert_int_equal(status, TRUC_OK);
    assert_int_equal(report.entry_count, maker->position);
    assert_int_equal(report.topic_count, maker->topic_count);
}

static void reopen_after_close_keeps_everything(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct rows rows;
    struct maker maker;
    struct log *log = open_log(directory, &rows);
    maker_init(&maker, log);
    for (int round = 0; round < 4; round++) {
        fill(&maker, 50, 200);
        check_reading(log, &maker);
        uint8_t log_id[LOG_ID_BYTES];
        memcpy(log_id, log_identity(log)->log_id, LOG_ID_BYTES);
        log_close(log);
        check_verify(directory, &maker);
        log = open_log(directory, &rows);
        assert_memory_equal(log_id, log_identity(log)->log_id, LOG_ID_BYTES);
        check_rows(&rows, &maker);
        check_reading(log, &maker);
        maker_reopen(&maker, log);
    }
    log_close(log);
    maker_fini(&maker);
    kit_remove(directory);
}

/* A child opens, commits, and is gone without a word; told over a pipe how far it came. The parent sees all of it. */
static void killed_process_leaves_all_it_committed(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct rows rows;
    uint64_t expected = 0, block = 0;
    for (uint32_t round = 0; round < 5; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct maker maker;
            struct log *log = open_log(directory, &rows);
            maker_init(&maker, log);
            if (round > 0) { /* goes on where the last one was: another producer's work on topics of its own */
                struct log_head head = log_head(log);
                maker.position = head.position;
                maker.clock_ns = head.last_append_ns;
                maker.deltas_size = 0;
                maker.delta_count = 0;
                for (uint32_t i = 0; i < TOPICS; i++) {
                    char name[32];
                    uint8_t buffer[TOPIC_BYTES_MAX];
                    struct topic_row row;
                    (void)snprintf(name, sizeof name, "t.%u", i);
                    (void)maker_topic(&maker, name);
                    (void)log_topic(log, bytes_of_text(name), &row, buffer);
                    maker.topics[i].next_offset = maker.topics[i].next_sequence = row.next_offset;
                    memcpy(maker.topics[i].last_leaf, row.last_leaf_hash, DIGEST_BYTES);
                    maker.topics[i].has_leaf = true;
                }
                maker.deltas_size = 0;
                maker.delta_count = 0;
            }
            fill(&maker, 40 + round * 16, 300); /* a whole round over the topics, as it begins at topic 0 */
            _exit(0);
        }
        int code;
        assert_int_equal(waitpid(child, &code, 0), child);
        assert_int_equal(code, 0);
        expected += (uint64_t)5 * (40 + round * 16);
        block += 40 + round * 16;
    }
    struct log *log = open_log(directory, &rows);
    assert_int_equal(log_head(log).position, expected);
    assert_int_equal(log_head(log).block, block + 1);
    assert_int_equal(kit_read(log, ">", 0, expected, false, NULL, 0), expected);
    assert_int_equal(rows.topics, TOPICS);
    assert_false(rows.order_broken);
    log_close(log);
    struct log_verify_report report;
    char why[LOG_WHY_BYTES] = "";
    truc_status status = log_verify(directory, NULL, NULL, &report, why);
    if (status != TRUC_OK) {
        print_error("%s\n", why);
    }
    assert_int_equal(status, TRUC_OK);
    kit_remove(directory);
}

static char *path_in(const char *directory, const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void overwrite(const char *path, long at, uint8_t value, size_t count)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fputc(value, file), value);
    }
    assert_int_equal(fclose(file), 0);
}

static void copy_file(const char *from, const char *to)
{
    char command[9000];
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static void derived_data_missing_stale_or_damaged_is_made_again(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct rows rows;
    struct maker maker;
    struct log *log = open_log(directory, &rows);
    maker_init(&maker, log);
    fill(&maker, 60, 200);
    log_close(log);
    char derived[4096], stale[4096];
    (void)snprintf(derived, sizeof derived, "%s", path_in(directory, "derived.mdb"));
    (void)snprintf(stale, sizeof stale, "%s", path_in(directory, "stale"));
    copy_file(derived, stale);
    log = open_log(directory, &rows);
    maker_reopen(&maker, log);
    fill(&maker, 60, 200);
    log_close(log);
    struct stat file;
    assert_int_equal(stat(derived, &file), 0);
    for (int harm = 0; harm < 6 + 40; harm++) {
        if (harm == 0) {
            assert_int_equal(unlink(derived), 0);
        } else if (harm == 1) {
            copy_file(stale, derived);
        } else if (harm == 2) {
            overwrite(derived, 0, 0xa5, (size_t)file.st_size); /* rubbish */
        } else if (harm == 3) {
            assert_int_equal(truncate(derived, file.st_size / 2), 0);
        } else if (harm == 4) {
            assert_int_equal(truncate(derived, 0), 0);
        } else if (harm == 5) {
            overwrite(derived, 16, 0, 64); /* LMDB's first meta page */
        } else {
            /* Some byte of a value somewhere: rows are text and numbers. A page's own head is spared, see docs/format.md. */
            long page = 2 + (harm - 6) % (file.st_size / 4096 - 2);
            overwrite(derived, page * 4096 + 3000 + (long)harm * 7, 0x5a, 1);
        }
        log = open_log(directory, &rows);
        check_rows(&rows, &maker);
        check_reading(log, &maker);
        log_close(log);
        log = open_log(directory, &rows); /* what was found damaged while reading was removed at the end: it is made again */
        check_rows(&rows, &maker);
        log_close(log);
        assert_int_equal(stat(derived, &file), 0);
    }
    maker_fini(&maker);
    kit_remove(directory);
}

static void derived_data_of_another_log_is_made_again(void **state)
{
    (void)state;
    char *one = kit_directory(), *two = kit_directory();
    struct rows rows;
    struct maker maker, other;
    struct log *log = open_log(one, &rows);
    maker_init(&maker, log);
    fill(&maker, 30, 100);
    log_close(log);
    log = open_log(two, &rows);
    maker_init(&other, log);
    fill(&other, 20, 50);
    log_close(log);
    char from[4096];
    (void)snprintf(from, sizeof from, "%s", path_in(two, "derived.mdb"));
    copy_file(from, path_in(one, "derived.mdb"));
    log = open_log(one, &rows);
    check_rows(&rows, &maker);
    check_reading(log, &maker);
    log_close(log);
    maker_fini(&maker);
    maker_fini(&other);
    kit_remove(one);
    kit_remove(two);
}

static void roll_over_keeps_reading_across_segments(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct rows rows;
    struct maker maker;
    struct log *log = open_log(directory, &rows);
    maker_init(&maker, log);
    fill(&maker, 400, 8000); /* some 50 MB into segments of 8 MiB, two open at a time */
    assert_true(log_usage(log).segment_count >= 5);
    check_reading(log, &maker);
    /* A commit larger than a segment gets one of its own size. */
    for (int i = 0; i < 12; i++) {
        maker_add(&maker, maker_topic(&maker, "t.0"), 1, 1000000, NULL, 0);
    }
    (void)maker_commit(&maker);
    fill(&maker, 10, 8000);
    check_reading(log, &maker);
    log_close(log);
    check_verify(directory, &maker);
    log = open_log(directory, &rows);
    check_rows(&rows, &maker);
    check_reading(log, &maker);
    log_close(log);
    maker_fini(&maker);
    kit_remove(directory);
}

static void segment_never_used_is_removed_at_start(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct rows rows;
    struct maker maker;
    struct log *log = open_log(directory, &rows);
    maker_init(&maker, log);
    fill(&maker, 10, 100);
    log_close(log);
    /* As if the process had died between the rename and the first commit: an empty environment under the next name. */
    char *other = kit_directory();
    log = open_log(other, &rows);
    log_close(log);
    kit_remove(other);
    char name[64], command[9000];
    (void)snprintf(name, sizeof name, "segments/%020d.mdb", 11);
    (void)snprintf(command, sizeof command, "head -c 8192 /dev/zero > '%s'", path_in(directory, name));
    assert_int_equal(system(command), 0);
    struct log_options options;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "lmdb", directory);
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_DAMAGED); /* zeros are not an empty segment */
    assert_non_null(strstr(why, name + 9));
    assert_int_equal(unlink(path_in(directory, name)), 0);
    log = open_log(directory, &rows);
    check_reading(log, &maker);
    log_close(log);
    maker_fini(&maker);
    kit_remove(directory);
}

static void second_opener_is_refused(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct rows rows;
    struct log *log = open_log(directory, &rows), *second = NULL;
    struct log_options options;
    struct log_verify_report report;
    char why[LOG_WHY_BYTES] = "", pid[32];
    kit_options(&options, "lmdb", directory);
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_int_equal(log_open(&options, NULL, &second, why), TRUC_LOCKED);
    assert_non_null(strstr(why, pid));
    assert_int_equal(log_verify(directory, NULL, NULL, &report, why), TRUC_LOCKED);
    log_close(log);
    options.domain = "H26/other";
    assert_int_equal(log_open(&options, NULL, &second, why), TRUC_LOG_MISMATCH);
    options.domain = NULL;
    assert_int_equal(log_open(&options, NULL, &second, why), TRUC_OK);
    log_close(second);
    kit_remove(directory);
}

/* What is sound is found so: else every start would make it anew. */
static void check_sound(const char *directory)
{
    char why[LOG_WHY_BYTES] = "";
    uint64_t bytes = 0;
    const char *path = path_in(directory, "derived.mdb");
    assert_int_equal(segment_check_file(path, &bytes, why), TRUC_OK);
    assert_int_equal(sound_check(path, bytes, why), TRUC_OK);
}

static void many_runs_are_merged_and_still_found(void **state)
{
    (void)state;
    char *directory = kit_directory();
    struct log_options options;
    struct maker maker;
    struct log *log;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "lmdb", directory);
    options.index_flush_bytes = 4096; /* a run every few blocks */
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_OK);
    maker_init(&maker, log);
    fill(&maker, 1000, 100);
    check_reading(log, &maker);
    log_close(log);
    check_sound(directory);
    struct rows rows;
    log = open_log(directory, &rows);
    check_rows(&rows, &maker);
    check_reading(log, &maker);
    log_close(log);
    check_sound(directory);
    maker_fini(&maker);
    kit_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reopen_after_close_keeps_everything),
        cmocka_unit_test(killed_process_leaves_all_it_committed),
        cmocka_unit_test(derived_data_missing_stale_or_damaged_is_made_again),
        cmocka_unit_test(derived_data_of_another_log_is_made_again),
        cmocka_unit_test(roll_over_keeps_reading_across_segments),
        cmocka_unit_test(segment_never_used_is_removed_at_start),
        cmocka_unit_test(second_opener_is_refused),
        cmocka_unit_test(many_runs_are_merged_and_still_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
