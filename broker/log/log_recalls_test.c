/* What the log keeps of recalls: rows after a close, a crash, the loss of what is derived; what verify says. Engine lmdb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/log/log_test_kit.h"
#include "broker/log/verify.h"

enum { BLOCKS = 30, RECALLS_EACH = 20, RECORDS = BLOCKS * RECALLS_EACH };

static const char *const agencies[] = {"H26.15", "H26.16"};

static void give_recall(struct maker *maker, uint32_t topic, uint64_t offset, const char *agency, uint64_t position)
{
    const struct delta delta = {
        .kind = DELTA_RECALL,
        .recall = {.topic_id = topic, .offset = offset, .agency = bytes_of_text(agency), .recall_position = position}};
    maker_delta(maker, &delta);
}

/* --- rows ----------------------------------------------------------------------------------------------------------------- */

struct visit {
    size_t count, topics;
    uint64_t last_key; /* rows come by topic, offset and agency */
};

/* Records of both topics are recalled from the last one down, by both agencies; this is where. */
static uint64_t position_of(uint64_t offset)
{
    return 2 + (RECORDS - 1 - offset) / RECALLS_EACH;
}

static truc_status on_topic(void *context, const struct topic_row *row)
{
    (void)row;
    ((struct visit *)context)->topics++;
    return TRUC_OK;
}

static truc_status on_recall(void *context, const struct recall_row *row)
{
    struct visit *visit = context;
    bool own = bytes_equal(row->agency, bytes_of_text(agencies[1]));
    assert_true(own || bytes_equal(row->agency, bytes_of_text(agencies[0])));
    assert_true(row->topic_id >= 1 && row->topic_id <= 2 && row->offset < RECORDS);
    uint64_t key = (row->topic_id * RECORDS + row->offset) * 2 + own;
    assert_true(visit->count == 0 || key > visit->last_key);
    visit->last_key = key;
    assert_int_equal(row->recall_position, position_of(row->offset));
    assert_int_equal(visit->topics, 2);
    visit->count++;
    return TRUC_OK;
}

static struct log *open_log(const char *directory, struct visit *visit)
{
    struct log_options options;
    struct log *log = NULL;
    char why[LOG_WHY_BYTES] = "";
    kit_options(&options, "lmdb", directory);
    options.index_flush_bytes = 1 << 14;
    struct catalog_visitor visitor = {.context = visit, .topic = on_topic, .recall = on_recall};
    truc_status status = log_open(&options, visit == NULL ? NULL : &visitor, &log, why);
    if (status != TRUC_OK) {
        print_error("open: %s: %s\n", truc_status_name(status), why);
    }
    assert_int_equal(status, TRUC_OK);
    return log;
}

static void check_rows(const char *directory)
{
    struct visit visit = {0};
    log_close(open_log(directory, &visit));
    assert_int_equal(visit.count, 2 * 2 * RECORDS);
}

static void fill(struct maker *maker)
{
    uint32_t topics[2] = {maker_topic(maker, "dossier.a"), maker_topic(maker, "dossier.b")};
    maker_add(maker, topics[0], RECORDS, 50, "key", 0);
    maker_add(maker, topics[1], RECORDS, 50, "key", 0);
    (void)maker_commit(maker);
    uint64_t offset = RECORDS;
    for (int block = 0; block < BLOCKS; block++) {
        for (int i = 0; i < RECALLS_EACH; i++) {
            offset--;
            for (int by = 0; by < 2; by++) {
                give_recall(maker, topics[0], offset, agencies[by], maker->position);
                give_recall(maker, topics[1], offset, agencies[by], maker->position);
            }
        }
        maker_add(maker, topics[0], 1, 50, "key", 0);
        (void)maker_commit(maker);
    }
}

static void recalls_come_back_after_close_and_loss(void **state)
{
    (void)state;
    char *directory = kit_directory(), derived[4096];
    struct maker maker;
    struct log *log = open_log(directory, NULL);
    maker_init(&maker, log);
    fill(&maker);
    log_close(log);
    check_rows(directory);
    (void)snprintf(derived, sizeof derived, "%s/derived.mdb", directory);
    assert_int_equal(unlink(derived), 0); /* all of it from the blocks */
    check_rows(directory);
    check_rows(directory);
    maker_fini(&maker);
    kit_remove(directory);
}

static void recalls_come_back_after_a_crash(void **state)
{
    (void)state;
    char *directory = kit_directory();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct maker maker;
        maker_init(&maker, open_log(directory, NULL));
        fill(&maker);
        _exit(0);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    check_rows(directory);
    kit_remove(directory);
}

/* --- verify --------------------------------------------------------------------------------------------------------------- */

/* A log of two entries of each of two topics; the recall stands in the block of the latter two. */
static void check_verify(const struct recall_row *recall, const char *expected)
{
    char *directory = kit_directory(), why[LOG_WHY_BYTES] = "";
    struct maker maker;
    struct log *log = open_log(directory, NULL);
    struct log_verify_report report;
    maker_init(&maker, log);
    for (int block = 0; block < 2; block++) {
        uint32_t first = maker_topic(&maker, "dossier.a"), second = maker_topic(&maker, "dossier.b");
        if (block == 1) {
            const struct delta delta = {.kind = DELTA_RECALL, .recall = *recall};
            maker_delta(&maker, &delta);
        }
        maker_add(&maker, first, 3, 50, "key", 0);
        maker_add(&maker, second, 2, 50, "key", 0);
        (void)maker_commit(&maker);
    }
    log_close(log);
    assert_int_equal(log_verify(directory, NULL, NULL, &report, why), expected == NULL ? TRUC_OK : TRUC_DAMAGED);
    if (expected != NULL && strstr(why, expected) == NULL) {
        fail_msg("`%s` instead of `%s`", why, expected);
    }
    maker_fini(&maker);
    kit_remove(directory);
}

static void verify_finds_recalls_that_cannot_be(void **state)
{
    (void)state;
    const struct {
        struct recall_row row;
        const char *expected;
    } cases[] = {
        {{1, 2, bytes_of_text("H26.16"), 2}, NULL},
        {{2, 0, bytes_of_text("H26.16"), 3}, NULL},
        {{3, 0, bytes_of_text("H26.16"), 3}, "never created"},
        {{1, 2, bytes_of_text("H26.16"), 1}, "not in its block"},
        {{1, 2, bytes_of_text("H26.16"), 4}, "not in its block"},
        {{1, 2, bytes_of_text("H26.16"), UINT64_MAX}, "not in its block"},
        {{1, 2, bytes_of_text("H26.16"), 3}, "another topic"},
        {{1, 3, bytes_of_text("H26.16"), 2}, "came later"},
        {{1, 2, bytes_of_text("G22"), 2}, "another agency"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_verify(&cases[i].row, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recalls_come_back_after_close_and_loss),
        cmocka_unit_test(recalls_come_back_after_a_crash),
        cmocka_unit_test(verify_finds_recalls_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
