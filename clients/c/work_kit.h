/* work_kit.h: what tests of workers share: a filled broker, a callback that remembers, deeds at a chosen frame. Test support. */
#ifndef TRUC_CLIENT_WORK_KIT_H
#define TRUC_CLIENT_WORK_KIT_H

#include <stdatomic.h>

#include "clients/c/client_test_kit.h"

/* A broker with `count` numbered records, ten to an entry, in test.work. */
struct fake_broker *work_broker(uint64_t count);

/* Creates a subscription to test.* from the start. */
void work_subscribe(truc_client *client, const char *name, const char *mode);

/* What the callbacks of a worker have seen. */
struct work {
    pthread_mutex_t lock;
    pthread_cond_t more;
    truc_worker *worker;
    size_t count, settled, lost, most;
    uint8_t seen[LEDGER_MAX]; /* how often each number */
    uint64_t last_lease, last_number;
    uint32_t attempt_max;
    bool ack, in_order, ended, stop;
    truc_status end;
    char why[256];
};

struct work *work_create(void);
void work_destroy(struct work *work);

/* The record's number; asserts that it is whole. */
uint64_t work_number(const truc_job *job);

/* With callbacks to `work`, or to be pulled from. */
truc_worker *work_open(truc_client *client, struct work *work, const char *name, const char *credit);

/* Waits until a count of the work's has come so far. */
void work_wait(struct work *work, const size_t *what, size_t count);

size_t work_in_state(struct fake_broker *broker, enum fake_record_state state);

/* One deed at the at-th SETTLE or SUBSCRIBE: the broker's `context` and `deed`. */
struct work_trouble {
    _Atomic uint64_t seen;
    uint64_t at;
    enum fake_deed deed;
};
enum fake_deed work_make_trouble(void *context, struct fake_broker *broker, const struct frame *frame);

#endif
