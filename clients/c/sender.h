/* sender.h: batches of ready lanes become PUBLISH frames, within the connection's publish credit; answers find their batch.
 *
 * Layer: libtruc. Under the client's lock. */
#ifndef TRUC_CLIENT_SENDER_H
#define TRUC_CLIENT_SENDER_H

#include "clients/c/lane.h"

/* Writes the head of a batch for the lane's next sequence, unless it is there. TRUC_INTERNAL: no random bytes, try again. */
truc_status sender_freeze(const struct lane *lane, struct send_batch *batch);

/* Queues on the link what may be sent now; client_unlock then sends it. */
void sender_pump(truc_client *client);

/* Ready list. */
void sender_add(truc_client *client, struct lane *lane);
void sender_remove(truc_client *client, struct lane *lane);

#endif
