/* client_test_kit.h: what tests of the client share: opening against a fake broker, a ledger of outcomes, what the broker stored.
 *
 * Test support. A test numbers its records; number N of a topic carries N as its data, so that loss, doubling and disorder show. */
#ifndef TRUC_CLIENT_TEST_KIT_H
#define TRUC_CLIENT_TEST_KIT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients/c/fake_broker.h"
#include "clients/c/truc.h"

enum { LEDGER_MAX = 200000, WAIT_MS = 20000 };

/* Outcomes in the order in which they were told; opaque is the record's number. */
struct ledger {
    pthread_mutex_t lock;
    size_t count;
    uint64_t numbers[LEDGER_MAX];
    truc_status statuses[LEDGER_MAX];
    uint64_t offsets[LEDGER_MAX];
};

struct ledger *ledger_create(void);
void ledger_destroy(struct ledger *ledger);
void ledger_on_delivery(void *ledger, const truc_delivery *deliveries, size_t count);
size_t ledger_count(struct ledger *ledger, truc_status status);

/* NAME, VALUE, ..., NULL. Asserts success. */
truc_options *kit_options(const char *name, ...);
truc_client *kit_client(const char *url, ...);
truc_producer *kit_producer(truc_client *client, struct ledger *ledger, ...);

/* Publishes numbers [first, last) with data of `size` bytes (at least 8), key "the-bad-one" where number % bad_every == bad_every
 * - 1. */
void kit_publish(truc_producer *producer, const char *topic, uint64_t first, uint64_t last, size_t size, uint64_t bad_every);

/* The numbers stored in a topic, in log order: asserts that each is above the one before, and returns their count. */
size_t kit_stored(struct fake_broker *broker, const char *topic, uint64_t *ret_numbers, size_t capacity);

/* Asserts that exactly [0, count) are stored in the topic. */
void kit_assert_stored(struct fake_broker *broker, const char *topic, uint64_t count);

#endif
