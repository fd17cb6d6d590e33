/* settle_batch_test.c: settlements merge, and stale leases are told. */
#undef NDEBUG
#include "clients/c/settle_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "truc/v1/wire.pb-c.h"

static bool add(struct settle_batch *batch, uint64_t number, uint64_t lease, uint8_t outcome)
{
    const struct settlement item = {.first = number, .lease = lease, .count = 1, .outcome = outcome};

    return settle_batch_add(batch, &item);
}

static void batch_ranges_merge_whatever_their_order(void **state)
{
    struct settle_batch *batch = settle_batch_create(NULL, 1);

    (void)state;
    assert_non_null(batch);
    for (uint64_t number = 2000; number > 0; number--)
        assert_true(add(batch, number, number + 500, TRUC_OUTCOME_ACK));
    settle_batch_pack(batch);
    assert_int_equal(batch->count, 1);
    assert_int_equal(batch->items[0].first, 1);
    assert_int_equal(batch->items[0].lease, 501);
    assert_int_equal(batch->items[0].count, 2000);
    settle_batch_destroy(batch);
}

static void batch_unequal_items_stay_apart(void **state)
{
    struct settle_batch *batch = settle_batch_create(NULL, 1);

    (void)state;
    assert_non_null(batch);
    assert_true(add(batch, 1, 1, TRUC_OUTCOME_ACK));
    assert_true(add(batch, 2, 2, TRUC_OUTCOME_EXTEND));
    assert_true(add(batch, 2, 2, TRUC_OUTCOME_ACK)); /* extended, then done: in this order */
    assert_true(add(batch, 3, 7, TRUC_OUTCOME_ACK)); /* another DELIVER's */
    assert_true(add(batch, 4, 8, TRUC_OUTCOME_NACK));
    settle_batch_pack(batch);
    assert_int_equal(batch->count, 4);
    assert_int_equal(batch->items[0].outcome, TRUC_OUTCOME_EXTEND);
    assert_int_equal(batch->items[1].count, 2);
    assert_int_equal(batch->items[2].lease, 7);
    assert_int_equal(batch->items[3].outcome, TRUC_OUTCOME_NACK);
    settle_batch_destroy(batch);
}

static void batch_takes_a_thousand_items(void **state)
{
    struct settle_batch *batch = settle_batch_create(NULL, 1);

    (void)state;
    assert_non_null(batch);
    for (uint64_t i = 0; i < SETTLEMENTS_MAX; i++)
        assert_true(add(batch, 2 * i + 1, 2 * i + 1, TRUC_OUTCOME_ACK));
    assert_false(add(batch, 5000, 5000, TRUC_OUTCOME_ACK));
    assert_true(add(batch, 2 * SETTLEMENTS_MAX, 2 * SETTLEMENTS_MAX, TRUC_OUTCOME_ACK)); /* adjoins the last */
    settle_batch_destroy(batch);
}

/* Answers the batch with one stale run. */
static truc_status answer(struct settle_batch *batch, uint64_t lease, uint32_t count)
{
    Truc__V1__SettleOk ok = TRUC__V1__SETTLE_OK__INIT;
    Truc__V1__Settlement stale = TRUC__V1__SETTLEMENT__INIT, *pointer = &stale;
    uint8_t bytes[64];
    const char *why = "";

    stale.first = lease;
    stale.count = count;
    ok.n_stale = 1;
    ok.stale = &pointer;
    free(batch->stale);
    batch->stale = NULL;
    batch->stale_count = 0;
    return settle_batch_answer(batch, bytes_of(bytes, truc__v1__settle_ok__pack(&ok, bytes)), &why);
}

static void batch_stale_leases_are_told(void **state)
{
    struct settle_batch *batch = settle_batch_create(NULL, 1);
    truc_settled settled[4];
    uint64_t told = 0;
    size_t item = 0, count;
    uint32_t place = 0;

    (void)state;
    assert_non_null(batch);
    for (uint64_t number = 1; number <= 10; number++)
        assert_true(add(batch, number, number + 100, number == 10 ? SETTLE_RETURN : TRUC_OUTCOME_ACK));
    settle_batch_pack(batch);
    assert_int_equal(answer(batch, 100, 1), TRUC_PROTOCOL);
    assert_int_equal(answer(batch, 105, 7), TRUC_PROTOCOL);
    assert_int_equal(answer(batch, 108, UINT32_MAX), TRUC_PROTOCOL);
    assert_int_equal(answer(batch, 104, 2), TRUC_OK);
    assert_int_equal(settle_batch_failures(batch), 2);
    while ((count = settle_batch_tell(batch, &item, &place, settled, 4)) > 0) {
        for (size_t i = 0; i < count; i++) {
            told++;
            assert_int_equal(settled[i].lease, told);
            assert_int_equal(settled[i].status, told == 4 || told == 5 ? TRUC_LEASE_LOST : TRUC_OK);
        }
    }
    assert_int_equal(told, 9); /* what was given back nobody had */
    settle_batch_destroy(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_ranges_merge_whatever_their_order),
        cmocka_unit_test(batch_unequal_items_stay_apart),
        cmocka_unit_test(batch_takes_a_thousand_items),
        cmocka_unit_test(batch_stale_leases_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
