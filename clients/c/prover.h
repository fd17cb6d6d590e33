/* prover.h: the client's helper thread that checks the digests of received entries ahead of whoever consumes them.
 *
 * Layer: libtruc. Parcels (intake.h) wait in one queue under the client's lock; the thread takes the first, and so does a consumer
 * that finds nothing proven yet: both cores of a small machine prove, and order is kept by each intake's own queue. */
#ifndef TRUC_CLIENT_PROVER_H
#define TRUC_CLIENT_PROVER_H

#include <pthread.h>

#include "clients/c/truc.h"

struct parcel;
struct digest_context;

struct prover {
    pthread_t thread;
    pthread_cond_t work;
    bool started, stopping, initialised;
    struct digest_context *digests; /* the thread's */
    struct parcel *head, *tail;
};

truc_status prover_init(struct prover *prover);
void prover_fini(struct prover *prover); /* after prover_stop */

/* Locked. TRUC_NO_MEMORY. */
truc_status prover_start(truc_client *client);
void prover_stop(truc_client *client); /* unlocked */

/* Locked. */
void prover_add(truc_client *client, struct parcel *parcel);
void prover_remove(truc_client *client, struct parcel *parcel);

#endif
