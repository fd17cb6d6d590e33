/* pack.h: closed batches are compressed by the client's thread, outside the lock, in the order in which they were closed.
 *
 * Layer: libtruc. All functions locked. */
#ifndef TRUC_CLIENT_PACK_H
#define TRUC_CLIENT_PACK_H

#include "clients/c/send_batch.h"

/* Client thread: compresses what waits; unlocks meanwhile. */
void pack_step(truc_client *client);

/* The calling thread does it now; unlocks meanwhile. The batch is nobody else's, in no lane. */
void pack_batch(truc_client *client, struct send_batch *batch, enum codec codec);

/* The batch is given up: it is taken out of the list, or its result will be dropped. */
void pack_forget(truc_client *client, struct send_batch *batch);

#endif
