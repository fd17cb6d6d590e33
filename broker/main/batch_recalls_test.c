/* Tests of finding a batch's recalls: what they name, what is wrong with them, and that batches without are not looked at. */
#include "broker/main/batch_recalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/record.h"

enum { PAYLOAD_BYTES = 64 * 1024 };

static const uint8_t secret[HASH_SECRET_BYTES] = {1}, log_id[LOG_ID_BYTES] = {2}, other_log_id[LOG_ID_BYTES] = {3};

struct payload {
    uint8_t bytes[PAYLOAD_BYTES], *end;
    uint32_t count;
    uint8_t *directory;
    size_t capacity;
    struct directory_view view;
};

static struct payload payload;

static void begin(void)
{
    payload.end = payload.bytes;
    payload.count = 0;
}

static void add(const struct record_view *record)
{
    size_t size = record_encoded_size(record, NULL, 0);
    assert_true(size + 10 < (size_t)(payload.bytes + PAYLOAD_BYTES - payload.end));
    payload.end = record_encode(record, NULL, 0, varint_put(payload.end, size));
    payload.count++;
}

static struct record_view plain(void)
{
    return (struct record_view){.id = bytes_of_text("x"), .type = bytes_of_text("a.type")};
}

static struct record_view recall_of(uint64_t offset)
{
    return (struct record_view){.id = bytes_of_text("x"),
                                .type = bytes_of_text(RECALL_TYPE),
                                .has_relation = true,
                                .relation = {.offset = offset, .relation = bytes_of_text("recall")}};
}

static struct bytes raw(void)
{
    return bytes_of(payload.bytes, (size_t)(payload.end - payload.bytes));
}

static bool has_any(void)
{
    struct bytes directory;
    assert_int_equal(directory_build(secret, raw(), payload.count, RECORD_BYTES_MAX, 0, &payload.directory, &payload.capacity,
                                     &directory, NULL, NULL),
                     TRUC_OK);
    assert_int_equal(directory_parse(directory, &payload.view), TRUC_OK);
    return batch_has_recalls(&payload.view);
}

static truc_status find(uint64_t offsets[RECALLS_PER_BATCH_MAX], uint32_t *ret_count, uint32_t *ret_bad, const char **ret_why)
{
    assert_true(has_any());
    return batch_recalls(raw(), &payload.view, bytes_of_text("t.1"), log_id, offsets, ret_count, ret_bad, ret_why);
}

static void directory_tells_whether_there_is_a_recall(void **state)
{
    struct record_view record = plain(), recall = recall_of(1);
    (void)state;
    begin();
    add(&record);
    assert_false(has_any());
    record.has_relation = true;
    record.relation.relation = bytes_of_text("recall"); /* the type decides */
    add(&record);
    assert_false(has_any());
    add(&recall);
    assert_true(has_any());
    begin();
    add(&recall);
    assert_true(has_any());
    add(&recall);
    assert_true(has_any());
}

static void recalls_name_their_offsets_in_order(void **state)
{
    uint64_t offsets[RECALLS_PER_BATCH_MAX];
    struct record_view record = plain(), recall = recall_of(7);
    uint32_t count = 0, bad = 0;
    const char *why = "";
    (void)state;
    begin();
    add(&record);
    recall.relation.topic = bytes_of_text("t.1");
    add(&recall);
    add(&record);
    recall = recall_of(0);
    recall.relation.log_id = bytes_of(log_id, LOG_ID_BYTES);
    add(&recall);
    recall = recall_of(UINT64_MAX);
    recall.relation.id = bytes_of_text("some id");
    add(&recall);
    assert_int_equal(find(offsets, &count, &bad, &why), TRUC_OK);
    assert_int_equal(count, 3);
    assert_true(offsets[0] == 7 && offsets[1] == 0 && offsets[2] == UINT64_MAX);
}

static void expect_bad(const struct record_view *recall, const char *rule)
{
    uint64_t offsets[RECALLS_PER_BATCH_MAX];
    struct record_view record = plain(), good = recall_of(1);
    uint32_t count = 77, bad = 0;
    const char *why = "";
    begin();
    add(&record);
    add(&good);
    add(recall);
    assert_int_equal(find(offsets, &count, &bad, &why), TRUC_BAD_RECORD);
    assert_int_equal(bad, 2);
    assert_int_equal(count, 77);
    if (strncmp(why, rule, strlen(rule)) != 0) {
        fail_msg("`%s` instead of `%s`", why, rule);
    }
}

static void recall_that_names_nothing_it_may_is_refused(void **state)
{
    struct record_view recall = recall_of(1);
    (void)state;
    recall.has_relation = false;
    expect_bad(&recall, "relates_to: missing");
    recall = recall_of(1);
    recall.relation.topic = bytes_of_text("t.2");
    expect_bad(&recall, "relates_to.topic: another topic");
    recall = recall_of(1);
    recall.relation.log_id = bytes_of(other_log_id, LOG_ID_BYTES);
    expect_bad(&recall, "relates_to.log_id: another log");
    recall = recall_of(1);
    recall.relation.relation = bytes_of_text("Recall");
    expect_bad(&recall, "relates_to.relation: not `recall`");
    recall.relation.relation = bytes_of_text("");
    expect_bad(&recall, "relates_to.relation: not `recall`");
}

static void recalls_beyond_the_most_are_a_bad_batch(void **state)
{
    uint64_t offsets[RECALLS_PER_BATCH_MAX];
    uint32_t count = 0, bad = 77;
    const char *why = "";
    (void)state;
    begin();
    for (uint32_t i = 0; i < RECALLS_PER_BATCH_MAX; i++) {
        struct record_view recall = recall_of(i), record = plain();
        add(&recall);
        add(&record);
    }
    assert_int_equal(find(offsets, &count, &bad, &why), TRUC_OK);
    assert_int_equal(count, RECALLS_PER_BATCH_MAX);
    assert_int_equal(offsets[RECALLS_PER_BATCH_MAX - 1], RECALLS_PER_BATCH_MAX - 1);
    struct record_view recall = recall_of(0);
    add(&recall);
    assert_int_equal(find(offsets, &count, &bad, &why), TRUC_BAD_BATCH);
    assert_int_equal(bad, 77);
    assert_non_null(strstr(why, "256 recalls"));
}

static int tear_down(void **state)
{
    (void)state;
    free(payload.directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_tells_whether_there_is_a_recall),
        cmocka_unit_test(recalls_name_their_offsets_in_order),
        cmocka_unit_test(recall_that_names_nothing_it_may_is_refused),
        cmocka_unit_test(recalls_beyond_the_most_are_a_bad_batch),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
