/* How much lies before a reader of a pattern; damage is passed over and told. Engine memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/log/base.h"
#include "broker/log/lag.h"
#include "broker/log/log_test_kit.h"

static struct log *bus;
static struct maker maker;
static int64_t block_ns[3];

/* Three blocks: t.1 with 1 record; t.2 with 3 and u.1 with 5, of 1,000 bytes each; t.1 with 2. */
static int set_up(void **state)
{
    struct log_options options;
    char why[LOG_WHY_BYTES];
    (void)state;
    log_options_init(&options);
    options.engine = "memory";
    assert_int_equal(log_open(&options, NULL, &bus, why), TRUC_OK);
    maker_init(&maker, bus);
    for (int i = 0; i < 3; i++) {
        if (i == 1) {
            maker_add(&maker, maker_topic(&maker, "t.2"), 3, 1000, NULL, 1);
            maker_add(&maker, maker_topic(&maker, "u.1"), 5, 1000, NULL, 1);
        } else {
            maker_add(&maker, maker_topic(&maker, "t.1"), i == 0 ? 1 : 2, 10, NULL, 1);
        }
        block_ns[i] = maker.appends[0].append_time_ns;
        (void)maker_commit(&maker);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    maker_fini(&maker);
    log_close(bus);
    return 0;
}

static struct log_lag lag_of(const char *pattern, uint64_t from, uint64_t until)
{
    struct log_lag lag;
    char why[LOG_WHY_BYTES];
    assert_int_equal(log_lag(bus, bytes_of_text(pattern), from, until, &lag, why), TRUC_OK);
    return lag;
}

static void what_matches_is_counted_between_the_places(void **state)
{
    (void)state;
    struct log_lag lag = lag_of("t.>", 1, UINT64_MAX);
    assert_int_equal(lag.records, 5);
    assert_in_range(lag.bytes, 3000, 4000);
    assert_int_equal(lag.since_ns, block_ns[1]);
    assert_false(lag.more);
    assert_int_equal(lag_of(">", 0, 3).records, 9);
    assert_int_equal(lag_of("u.1", 0, 4).since_ns, block_ns[1] + 1);
    lag = lag_of("t.>", 4, 4);
    assert_int_equal(lag.records, 0);
    assert_int_equal(lag.since_ns, 0);
    assert_int_equal(lag_of("nobody.here", 0, 4).records, 0);
    assert_int_equal(lag_of("t.1", 4, 2).records, 0);
}

static void damaged_block_is_passed_over_and_told(void **state)
{
    struct block_access access = {.log = bus};
    struct block_view view;
    (void)state;
    assert_int_equal(log_block(&access, 2, &view, NULL), TRUC_OK);
    ((uint8_t *)(uintptr_t)view.table.data)[16] ^= 1; /* a record count */
    struct log_lag lag = lag_of("t.>", 0, 4);
    assert_int_equal(lag.records, 3);
    assert_true(lag.more);
    assert_int_equal(lag.since_ns, block_ns[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_matches_is_counted_between_the_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_block_is_passed_over_and_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
