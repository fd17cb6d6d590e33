/* share_test_fixture.h: one share over a log, and what its only worker sees. Layer: core (tests). Each test begins with
 * fixture_begin, may change `config`, and calls create(); the functions fail the test when what they say is not so. */
#ifndef TRUC_CORE_SHARE_TEST_FIXTURE_H
#define TRUC_CORE_SHARE_TEST_FIXTURE_H

#include "share_test_kit.h"

enum { SECOND_NS = 1000000000, WORKER = 1, OTHER = 2 };

extern struct share *share;
extern struct kit_log records;
extern struct kit_catalog catalog; /* what was saved */
extern struct share_config config;
extern int64_t now_ns;

int fixture_begin(void **state);
int fixture_end(void **state);
#define SHARE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

/* A share from the catalog, and the worker with its credit. */
void create(uint32_t credit);
void save(void);
/* The broker dies and comes back; what was saved is there. */
void restart(uint32_t credit);
/* Records of a key, each in an entry of its own. */
void add(uint64_t key, size_t count);
void pass(int64_t seconds);

/* What a grant of one record gives to this worker. */
struct share_lease take(uint64_t worker);
/* The worker's next record is the one at this place of the log, for the attempt-th time. */
struct share_lease expect(size_t record, uint32_t attempt);
void take_none(void);
/* The worker says so, and is heard. */
void settle(struct share_lease lease, enum share_outcome outcome);

#endif
