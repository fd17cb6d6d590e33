/* history_test_kit.h: a log in memory, what a subscription writes into it, and what the log says of a record then. Layer: test of
 * log. One test at a time. */
#ifndef TRUC_LOG_HISTORY_TEST_KIT_H
#define TRUC_LOG_HISTORY_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/log/history.h"
#include "broker/log/log_test_kit.h"

enum { ID = 3, KEY = 77, TICK_NS = 1000 }; /* of the subscription, of records */
#define SECOND_NS INT64_C(1000000000)

extern struct log *bus;
extern struct maker maker;

int history_set_up(void **state);
int history_tear_down(void **state);

/* One block; its time. */
int64_t commit(void);
/* An entry of one record, in a block of its own; its place. */
struct place record(void);
struct place behind(struct place place);

/* Deltas of the block to be. */
void define(uint32_t id, int64_t created_ns);
void cursor(struct place place, uint64_t acknowledged, uint64_t expired);
void lane(struct lane_row row, bool gone);
void lane_at(uint64_t key, struct place place);

struct log_history ask_about(struct place place, bool shared, uint64_t key, int64_t expires_at_ns);
void expect_acknowledged(struct place place, bool shared, uint64_t key, int64_t when_ns, uint32_t attempts);

#endif
