#include "broker/log/history_test_kit.h"

#include <stdlib.h>

struct log *bus;
struct maker maker;

int history_set_up(void **state)
{
    struct log_options options;
    char why[LOG_WHY_BYTES];
    (void)state;
    log_options_init(&options);
    options.engine = "memory";
    assert_int_equal(log_open(&options, NULL, &bus, why), TRUC_OK);
    maker_init(&maker, bus);
    return 0;
}

int history_tear_down(void **state)
{
    (void)state;
    maker_fini(&maker);
    log_close(bus);
    return 0;
}

/* --- what is written --------------------------------------------------------------------------------------------------------- */

/* One block; its time. */
int64_t commit(void)
{
    int64_t block_ns = maker.append_count > 0 ? maker.appends[0].append_time_ns : maker.clock_ns;
    (void)maker_commit(&maker);
    maker.clock_ns += TICK_NS;
    return block_ns;
}

/* An entry of one record, in a block of its own; its place. */
struct place record(void)
{
    maker_add(&maker, maker_topic(&maker, "t.1"), 1, 10, NULL, 1);
    (void)commit();
    return (struct place){maker.position - 1, 0};
}

void define(uint32_t id, int64_t created_ns)
{
    struct delta delta = {.kind = DELTA_SUBSCRIPTION,
                          .subscription = {.subscription_id = id,
                                           .mode = SUBSCRIPTION_SHARED,
                                           .owner = bytes_of_text("H26.16"),
                                           .name = bytes_of_text("desk"),
                                           .pattern = bytes_of_text("t.>"),
                                           .created_ns = created_ns,
                                           .ack_wait_ms = 1,
                                           .in_flight_max = 1}};
    maker_delta(&maker, &delta);
}

void cursor(struct place place, uint64_t acknowledged, uint64_t expired)
{
    struct delta delta = {.kind = DELTA_CURSOR,
                          .cursor = {.subscription_id = ID, .place = place, .acknowledged = acknowledged, .expired = expired}};
    maker_delta(&maker, &delta);
}

void lane(struct lane_row row, bool gone)
{
    struct delta delta = {.kind = DELTA_LANE, .lane = {.gone = gone, .row = row}};
    delta.lane.row.subscription_id = ID;
    maker_delta(&maker, &delta);
}

void lane_at(uint64_t key, struct place place)
{
    lane((struct lane_row){.key = key, .place = place}, false);
}

struct place behind(struct place place)
{
    return (struct place){place.position + 1, 0};
}

/* --- what is asked ----------------------------------------------------------------------------------------------------------- */

struct log_history ask_about(struct place place, bool shared, uint64_t key, int64_t expires_at_ns)
{
    struct log_history history = {.subscription = ID,
                                  .shared = shared,
                                  .key = key,
                                  .expires_at_ns = expires_at_ns,
                                  .owner = bytes_of_text("H26.16"),
                                  .name = bytes_of_text("desk")};
    char why[LOG_WHY_BYTES];
    assert_int_equal(log_history(bus, place, &history, 1, why), TRUC_OK);
    return history;
}

void expect_acknowledged(struct place place, bool shared, uint64_t key, int64_t when_ns, uint32_t attempts)
{
    struct log_history history = ask_about(place, shared, key, 0);
    assert_int_equal(history.resolution, LOG_RESOLUTION_ACKNOWLEDGED);
    assert_int_equal(history.resolved_ns, when_ns);
    assert_int_equal(history.attempts, attempts);
}
