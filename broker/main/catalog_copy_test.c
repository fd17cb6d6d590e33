/* Rows come out as they went in, in order, whatever their number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/main/catalog_copy.h"

enum { ROWS = 5000 };

static struct topic_row topic_row(uint32_t i, char *name)
{
    int size = snprintf(name, 64, "topic.%u", i);
    return (struct topic_row){.topic_id = i + 1, .name = bytes_of(name, (size_t)size), .next_offset = i * 3, .entry_count = i};
}

static struct producer_row producer_row(uint32_t i, char *name)
{
    int size = snprintf(name, 64, "producer-%u", i);
    return (struct producer_row){.producer_id = i + 1,
                                 .epoch = i,
                                 .named = i % 2,
                                 .scope = bytes_of("H26/s", 5),
                                 .name = bytes_of(name, i % 2 ? (size_t)size : 0)};
}

static struct sequence_row sequence_row(uint32_t i)
{
    struct sequence_row row = {
        .producer_id = i + 1, .topic_id = i, .next_sequence = i, .result_count = i % (BATCHES_IN_FLIGHT_MAX + 1)};
    for (uint32_t k = 0; k < row.result_count; k++) {
        row.results[k] = (struct batch_result){i + k, i * k, k};
    }
    return row;
}

static struct recall_row recall_row(uint32_t i)
{
    static const char agency[] = "H26.16.01.02";
    return (struct recall_row){
        .topic_id = i + 1, .offset = i * 3, .agency = bytes_of(agency, i % sizeof agency), .recall_position = i * 5};
}

struct check {
    uint32_t topics, producers, sequences, recalls, refuse_at;
};

static truc_status check_topic(void *context, const struct topic_row *row)
{
    struct check *check = context;
    char name[64];
    struct topic_row expected = topic_row(check->topics, name);
    if (check->topics++ == check->refuse_at) {
        return TRUC_NO_MEMORY;
    }
    assert_true(bytes_equal(row->name, expected.name));
    assert_int_equal(row->topic_id, expected.topic_id);
    assert_int_equal(row->next_offset, expected.next_offset);
    return TRUC_OK;
}

static truc_status check_producer(void *context, const struct producer_row *row)
{
    struct check *check = context;
    char name[64];
    struct producer_row expected = producer_row(check->producers++, name);
    assert_true(bytes_equal(row->name, expected.name));
    assert_true(bytes_equal(row->scope, expected.scope));
    assert_int_equal(row->epoch, expected.epoch);
    assert_int_equal(row->named, expected.named);
    return TRUC_OK;
}

static truc_status check_sequence(void *context, const struct sequence_row *row)
{
    struct check *check = context;
    struct sequence_row expected = sequence_row(check->sequences++);
    assert_memory_equal(row, &expected, sizeof expected);
    return TRUC_OK;
}

static truc_status check_recall(void *context, const struct recall_row *row)
{
    struct check *check = context;
    struct recall_row expected = recall_row(check->recalls++);
    assert_true(bytes_equal(row->agency, expected.agency));
    assert_int_equal(row->topic_id, expected.topic_id);
    assert_int_equal(row->offset, expected.offset);
    assert_int_equal(row->recall_position, expected.recall_position);
    return TRUC_OK;
}

static void catalog_copy_returns_every_row(void **state)
{
    struct catalog_copy copy = {0};
    struct catalog_visitor keep = catalog_copy_visitor(&copy);
    struct check check = {.refuse_at = UINT32_MAX};
    struct catalog_visitor visitor = {
        .context = &check, .topic = check_topic, .producer = check_producer, .sequence = check_sequence, .recall = check_recall};
    char name[64];
    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        struct topic_row row = topic_row(i, name);
        assert_int_equal(keep.topic(keep.context, &row), TRUC_OK);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        struct producer_row row = producer_row(i, name);
        assert_int_equal(keep.producer(keep.context, &row), TRUC_OK);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        struct sequence_row row = sequence_row(i);
        assert_int_equal(keep.sequence(keep.context, &row), TRUC_OK);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        struct recall_row row = recall_row(i);
        assert_int_equal(keep.recall(keep.context, &row), TRUC_OK);
    }
    assert_int_equal(catalog_copy_visit(&copy, &visitor), TRUC_OK);
    assert_int_equal(check.topics, ROWS);
    assert_int_equal(check.producers, ROWS);
    assert_int_equal(check.sequences, ROWS);
    assert_int_equal(check.recalls, ROWS);
    check = (struct check){.refuse_at = 10};
    assert_int_equal(catalog_copy_visit(&copy, &visitor), TRUC_NO_MEMORY);
    assert_int_equal(check.topics, 11);
    catalog_copy_fini(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(catalog_copy_returns_every_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
