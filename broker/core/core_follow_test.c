/* Tests of readers that follow: waiting at the head costs nothing, and a commit wakes those whom it concerns. */
#include "core_test_reader.h"

static void follower_parks_and_is_woken_by_its_topic_only(void **state)
{
    Truc__V1__Read read = want("t.1");
    uint64_t reader;

    (void)state;
    append(1, 1);
    read.follow = true;
    reader = open_reader(5, read, 0, 0);
    expect_read(reader, 0, 1);
    append(2, 1); /* while it reads */
    kit_read_done(&kit, reader, 1, 1, 10);
    expect_data(5, 1, 10);
    assert_null(kit_other(&kit, EFFECT_READ)); /* nothing of its topic came: it parks although the head moved */
    append(2, 1);
    append(3, 1);
    assert_null(kit_other(&kit, EFFECT_READ));
    append(1, 1); /* position 4 */
    expect_read(reader, 4, 5);
    append(1, 1); /* while it reads */
    kit_read_done(&kit, reader, 5, 1, 10);
    expect_data(5, 5, 10);
    expect_read(reader, 5, 6);
    kit_read_done(&kit, reader, 6, 1, 10);
    expect_data(5, 6, 10);
    assert_null(kit_other(&kit, EFFECT_READ));
}

static void pattern_follower_is_woken_by_what_matches(void **state)
{
    Truc__V1__Read read = want("*.2");
    uint64_t reader, twin;

    (void)state;
    append(1, 1);
    read.follow = true;
    reader = open_reader(5, read, 1, 0);
    twin = open_reader(6, read, 0, 0);
    expect_read(twin, 0, 1); /* the past of a pattern is not known: it has to look */
    kit_read_done(&kit, twin, 1, 0, 0);
    assert_null(kit_other(&kit, EFFECT_READ));
    for (int i = 0; i < 3; i++)
        append(1, 1);
    append(3, 1);
    assert_null(kit_other(&kit, EFFECT_READ));
    append(2, 1); /* position 5 */
    expect_read(twin, 5, 6);
    expect_read(reader, 5, 6);
    kit_read_done(&kit, reader, 6, 1, 10);
    expect_data(5, 6, 10);
    append(1, 1);
    kit_read_done(&kit, twin, 6, 1, 10);
    expect_data(6, 6, 10);
    assert_null(kit_other(&kit, EFFECT_READ));
    kit_disconnect(&kit, connection);
    assert_int_equal(core_counts(kit.core).readers, 0);
}

static void commit_of_several_entries_wakes_at_the_first_match(void **state)
{
    Truc__V1__Read read = want("t.>");
    uint64_t reader;

    (void)state;
    read.follow = true;
    reader = open_reader(5, read, 0, 0);
    for (uint64_t i = 0; i < 3; i++)
        kit_publish(&kit, connection, 10 + i,
                    &(struct kit_batch){.topic = i == 0 ? "u" : "t.4",
                                        .producer_id = producer.id,
                                        .epoch = 1,
                                        .first_sequence = i ? i - 1 : 0,
                                        .record_count = 1});
    assert_null(kit_other(&kit, EFFECT_READ)); /* nothing is shown before it is durable */
    kit_commit(&kit);
    expect_read(reader, 1, 3);
}

static void follower_of_a_missing_topic_starts_when_it_appears(void **state)
{
    Truc__V1__Read read = want("t.2");
    Truc__V1__Bound from = bound(TRUC__V1__BOUND__AT_OFFSET, 0);
    const struct kit_effect *open;

    (void)state;
    append(1, 1);
    read.follow = true;
    read.from = &from;
    kit_read(&kit, connection, 5, read);
    open = kit_expect(&kit, EFFECT_READ_OPEN);
    assert_int_equal(open->spec.from_kind, BOUND_HEAD); /* a missing topic has no offset to find */
    kit_resolve(&kit, open->effect.reader, 1, 1);
    kit_take(&kit, connection, FRAME_READ_OK, 5);
    append(1, 1);
    assert_null(kit_other(&kit, EFFECT_READ));
    append(2, 1);
    expect_read(open->effect.reader, 2, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(follower_parks_and_is_woken_by_its_topic_only, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(pattern_follower_is_woken_by_what_matches, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(commit_of_several_entries_wakes_at_the_first_match, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(follower_of_a_missing_topic_starts_when_it_appears, reader_setup, reader_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
