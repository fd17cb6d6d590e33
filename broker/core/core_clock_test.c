/* Tests of the append clock: slewing, jumps, a clock behind the log. */
#include "core_test_kit.h"

#define SECOND_NS INT64_C(1000000000)

static struct kit kit;
static uint64_t connection, sequence;
static struct kit_producer producer;

static void begin(void)
{
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
}

static int setup(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    sequence = 0;
    begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(kit.prepared_held, 0);
    kit_fini(&kit);
    return 0;
}

static void publish(void)
{
    kit_publish(
        &kit, connection, 5,
        &(struct kit_batch){
            .topic = "a", .producer_id = producer.id, .epoch = producer.epoch, .first_sequence = sequence, .record_count = 1});
}

/* Publishes, commits; the append time. */
static int64_t append(void)
{
    publish();
    sequence++;
    kit_commit(&kit);
    return ((const Truc__V1__PublishOk *)kit_take(&kit, connection, FRAME_PUBLISH_OK, 5))->append_time_ns;
}

static void small_difference_is_slewed(void **state)
{
    int64_t before = append();

    (void)state;
    kit_pass(&kit, 1000);
    kit.now.wall_ns += SECOND_NS; /* ahead by a second */
    assert_int_equal(append(), before + SECOND_NS + SECOND_NS / 2000);
    for (int i = 0; i < 3000; i++) {
        kit_pass(&kit, 1000);
        kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    }
    assert_int_equal(append(), kit.now.wall_ns);
    kit.now.wall_ns -= SECOND_NS; /* behind */
    append();
    kit_pass(&kit, 1000);
    assert_int_equal(append(), kit.now.wall_ns + SECOND_NS - SECOND_NS / 2000);
    assert_null(kit_other(&kit, EFFECT_ALARM));
}

static void jump_is_alarmed_recorded_and_not_followed(void **state)
{
    int64_t before = append();
    struct delta delta;
    struct reader deltas;
    truc_status status;
    const struct kit_entry *entry;

    (void)state;
    kit_pass(&kit, 1000);
    kit.now.wall_ns += 3600 * SECOND_NS;
    assert_int_equal(append(), before + SECOND_NS);
    assert_non_null(strstr(kit_expect(&kit, EFFECT_ALARM)->text, "3600000 ms"));
    entry = &kit.log[kit.log_count - 2];
    deltas = reader_over(bytes_of(entry->delta, entry->delta_size));
    assert_true(delta_next(&deltas, &delta, &status));
    assert_int_equal(delta.kind, DELTA_CLOCK);
    assert_int_equal(delta.clock.expected_ns, before + SECOND_NS);
    assert_int_equal(delta.clock.found_ns, kit.now.wall_ns);
    for (int i = 0; i < 100; i++) {
        kit_pass(&kit, 1000);
        append();
    }
    assert_null(kit_other(&kit, EFFECT_ALARM)); /* once */
    kit.now.wall_ns -= 3600 * SECOND_NS;
    kit_pass(&kit, 1000);
    assert_int_equal(append(), before + 102 * SECOND_NS);
    assert_non_null(strstr(kit_expect(&kit, EFFECT_ALARM)->text, "back"));
    kit.now.wall_ns -= 7200 * SECOND_NS;
    kit_pass(&kit, 1000);
    assert_int_equal(append(), before + 103 * SECOND_NS);
    kit_expect(&kit, EFFECT_ALARM);
}

static void clock_behind_at_start_refuses_until_it_is_set(void **state)
{
    int64_t last = append();
    const Truc__V1__LogInfoOk *info;

    (void)state;
    kit_stop(&kit);
    kit.now.wall_ns -= 3600 * SECOND_NS;
    kit_start(&kit);
    assert_non_null(strstr(kit_expect(&kit, EFFECT_ALARM)->text, "behind"));
    begin();
    publish();
    kit_take_error(&kit, connection, 5, TRUC_CLOCK_BEHIND);
    kit_send_raw(&kit, connection, FRAME_LOG_INFO, 6, bytes_of(NULL, 0), bytes_of(NULL, 0));
    info = kit_take(&kit, connection, FRAME_LOG_INFO_OK, 6);
    assert_string_equal(info->state, "clock behind");
    kit.now.wall_ns += 3600 * SECOND_NS;
    kit_pass(&kit, 10);
    assert_int_equal(append(), last + 10000000);
    kit_expect(&kit, EFFECT_ALARM);
}

static void clock_behind_accepted_by_the_operator_goes_on(void **state)
{
    int64_t last = append();

    (void)state;
    kit_stop(&kit);
    kit.now.wall_ns -= 3600 * SECOND_NS;
    kit.config.accept_clock = true;
    kit_start(&kit);
    begin();
    assert_int_equal(append(), last + 1);
    assert_int_equal(append(), last + 2);
}

static void clock_a_little_behind_at_start_is_no_matter(void **state)
{
    int64_t last = append();

    (void)state;
    kit_stop(&kit);
    kit.now.wall_ns -= 30 * SECOND_NS;
    kit_start(&kit);
    begin();
    assert_int_equal(append(), last + 1);
    assert_null(kit_other(&kit, EFFECT_ALARM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_difference_is_slewed, setup, teardown),
        cmocka_unit_test_setup_teardown(jump_is_alarmed_recorded_and_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_behind_at_start_refuses_until_it_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_behind_accepted_by_the_operator_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_a_little_behind_at_start_is_no_matter, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
