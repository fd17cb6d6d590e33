/* Tests of the set of recalls, against a plain list. */
#include "recalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TOPICS = 5, OFFSETS = 60, AGENCIES = 7, ROUNDS = 20000, CHUNK_BYTES_MAX = 1600 };

static struct recalls recalls;

static int set_up(void **state)
{
    (void)state;
    recalls_init(&recalls);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    recalls_fini(&recalls);
    return 0;
}

static uint32_t draw(uint32_t below)
{
    static uint64_t random = 11;

    random += 0x9e3779b97f4a7c15u;
    return (uint32_t)(table_mix(random) >> 32) % below;
}

/* Hashes that collide. */
static uint32_t agency(unsigned number)
{
    char name[16];
    uint32_t index;

    (void)snprintf(name, sizeof name, "H26.%u", number);
    assert_true(recalls_agency(&recalls, bytes_of_text(name), number % 2, &index));
    return index;
}

static void add(uint32_t topic, uint64_t offset, uint32_t by, uint64_t position)
{
    assert_true(recalls_reserve(&recalls, 1));
    assert_true(recalls_add(&recalls, topic, offset, by, position));
}

/* --- what is in it --------------------------------------------------------------------------------------------------------------
 */

static uint64_t model[TOPICS][OFFSETS][AGENCIES]; /* position + 1 */

static void check_range(uint32_t topic, uint64_t offset)
{
    struct recalls_cursor cursor = recalls_from(&recalls, topic, offset);
    struct recall recall;

    for (uint32_t t = topic; t < TOPICS; t++) {
        for (uint32_t o = t == topic ? (uint32_t)offset : 0; o < OFFSETS; o++) {
            for (uint32_t a = 0; a < AGENCIES; a++) {
                char name[16];

                if (model[t][o][a] == 0)
                    continue;
                (void)snprintf(name, sizeof name, "H26.%u", a);
                assert_true(recalls_next(&recalls, &cursor, &recall));
                assert_true(recall.topic == t && recall.offset == o && recall.position == model[t][o][a] - 1);
                assert_string_equal((const char *)recall.agency.data, name);
                assert_int_equal(recall.agency.size, strlen(name));
            }
        }
    }
    assert_false(recalls_next(&recalls, &cursor, &recall));
}

static void recalls_in_any_order_are_found_in_theirs(void **state)
{
    uint32_t count = 0;

    (void)state;
    for (uint32_t a = 0; a < AGENCIES; a++)
        assert_int_equal(agency(a), a);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t topic = draw(TOPICS), offset = draw(OFFSETS), by = draw(AGENCIES);
        uint64_t *known = &model[topic][offset][by];

        assert_int_equal(recalls_has(&recalls, topic, offset, by), *known != 0);
        assert_true(recalls_reserve(&recalls, 1));
        assert_int_equal(recalls_add(&recalls, topic, offset, by, i), *known == 0);
        if (*known == 0) {
            *known = (uint64_t)i + 1; /* the first one stays */
            count++;
        }
        assert_int_equal(recalls.count, count);
        if (i % 50 == 0)
            check_range(draw(TOPICS), draw(OFFSETS));
    }
    assert_int_equal(agency(3), 3);
    check_range(0, 0);
}

static void range_of_nothing_is_empty(void **state)
{
    struct recalls_cursor cursor = recalls_from(&recalls, 0, 0);
    struct recall recall;

    (void)state;
    assert_false(recalls_next(&recalls, &cursor, &recall));
    assert_false(recalls_has(&recalls, 0, 0, 0));
    add(3, UINT64_MAX - 1, agency(0), 9);
    cursor = recalls_from(&recalls, 3, UINT64_MAX);
    assert_false(recalls_next(&recalls, &cursor, &recall));
    cursor = recalls_from(&recalls, 2, UINT64_MAX);
    assert_true(recalls_next(&recalls, &cursor, &recall));
    assert_int_equal(recall.topic, 3);
}

/* --- what it costs --------------------------------------------------------------------------------------------------------------
 */

static size_t bytes_each(void)
{
    return (size_t)recalls.chunk_count * CHUNK_BYTES_MAX / recalls.count;
}

static void recalls_of_any_order_are_compact(void **state)
{
    (void)state;
    for (uint64_t offset = 0; offset < 100; offset++)
        add(1, offset, agency(0), offset);
    for (uint64_t offset = 50000; offset > 100; offset--) /* each next to the end of a chunk that does not grow */
        add(1, offset, agency(0), offset);
    assert_true(bytes_each() <= 60);
    recalls_fini(&recalls);
    for (uint64_t offset = 0; offset < 50000; offset++)
        add(1, offset, agency(0), offset);
    assert_true(bytes_each() <= 26);
    assert_int_equal(recalls.agency_count, 1);
}

static void what_was_reserved_is_enough_for_the_worst(void **state)
{
    uint32_t by = agency(0), chunks;

    (void)state;
    for (uint64_t offset = 0; offset < 64 * 300; offset++)
        add(0, offset * 2, by, offset);
    chunks = recalls.chunk_count;
    assert_true(recalls_reserve(&recalls, 256));
    for (uint64_t i = 0; i < 256; i++) /* one into each full chunk */
        assert_true(recalls_add(&recalls, 0, i * 128 + 1, by, i));
    assert_int_equal(recalls.chunk_count, chunks + 256);
    assert_int_equal(recalls.spare_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(recalls_in_any_order_are_found_in_theirs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(range_of_nothing_is_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(recalls_of_any_order_are_compact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_reserved_is_enough_for_the_worst, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
