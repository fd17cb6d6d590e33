#include "share_test_fixture.h"

struct share *share;
struct kit_log records;
struct kit_catalog catalog;
struct share_config config;
int64_t now_ns;

int fixture_begin(void **state)
{
    (void)state;
    config = (struct share_config){.attempts_max = 3,
                                   .ack_wait_ns = 30 * (int64_t)SECOND_NS,
                                   .backoff_ns = {SECOND_NS, 5 * (int64_t)SECOND_NS},
                                   .backoff_count = 2,
                                   .in_flight_max = 1000,
                                   .lanes_max = 2000,
                                   .aside_max = 2000};
    now_ns = SECOND_NS;
    return 0;
}

int fixture_end(void **state)
{
    (void)state;
    share_destroy(share);
    share = NULL;
    kit_log_fini(&records);
    kit_catalog_fini(&catalog);
    return 0;
}

void create(uint32_t credit)
{
    assert_int_equal(share_create(&config, catalog.cursor.place, &share), TRUC_OK);
    for (size_t i = 0; i < catalog.count; i++)
        assert_int_equal(share_restore(share, &catalog.lanes[i]), TRUC_OK);
    share_restore_counts(share, catalog.cursor.acknowledged, catalog.cursor.dead, catalog.cursor.expired);
    assert_true(share_join(share, WORKER, credit, 1));
}

void save(void)
{
    assert_true(share_save(share, 1, kit_catalog_put, &catalog));
    assert_false(share_unsaved(share));
}

void restart(uint32_t credit)
{
    share_destroy(share);
    create(credit);
}

void add(uint64_t key, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kit_log_add(&records, key, true, 0);
}

struct share_lease take(uint64_t worker)
{
    struct share_lease lease;
    uint64_t granted;

    kit_answer_all(&records, share);
    assert_int_equal(share_grant(share, now_ns, &lease, 1, &granted), 1);
    assert_int_equal(granted, worker);
    return lease;
}

void take_none(void)
{
    struct share_lease lease;
    uint64_t worker;

    kit_answer_all(&records, share);
    assert_int_equal(share_grant(share, now_ns, &lease, 1, &worker), 0);
}

void settle(struct share_lease lease, enum share_outcome outcome)
{
    assert_true(share_settle(share, WORKER, lease.lease, outcome, 0, now_ns));
}

void pass(int64_t seconds)
{
    now_ns += seconds * SECOND_NS;
    share_tick(share, now_ns);
}

struct share_lease expect(size_t record, uint32_t attempt)
{
    struct share_lease lease = take(WORKER);

    assert_int_equal(kit_log_at(&records, lease.record.place), record);
    assert_int_equal(lease.attempt, attempt);
    return lease;
}
