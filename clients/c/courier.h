/* courier.h: the client's one callback thread: it brings deliveries, messages and jobs to the application, one callback at a time.
 *
 * Layer: libtruc. State under the client's lock; callbacks run without it. Started when the first producer, reader or worker
 * with a callback is opened. */
#ifndef TRUC_CLIENT_COURIER_H
#define TRUC_CLIENT_COURIER_H

#include <pthread.h>

#include "clients/c/truc.h"

struct send_batch;

struct courier {
    pthread_t thread;
    pthread_cond_t work;
    _Atomic bool started; /* read without the lock, to know the callback thread */
    bool stopping, initialised;
    struct send_batch *head, *tail; /* batches whose outcome is to be told */
};

truc_status courier_init(struct courier *courier);
void courier_fini(struct courier *courier); /* after courier_stop */

/* Locked. Starts the thread unless it runs. TRUC_NO_MEMORY. */
truc_status courier_start(truc_client *client);
/* Unlocked. Tells what is waiting, then ends the thread. */
void courier_stop(truc_client *client);

/* Locked. */
void courier_give(truc_client *client, struct send_batch *batch);
void courier_wake(truc_client *client);

#endif
