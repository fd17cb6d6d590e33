/* publish.h: records into batches, beside what truc.h offers. Layer: libtruc. Under the client's lock. */
#ifndef TRUC_CLIENT_PUBLISH_H
#define TRUC_CLIENT_PUBLISH_H

#include "clients/c/lane.h"

/* A record that an earlier process left in the outbox, at or behind place `first`: it is sent again. TRUC_NO_MEMORY. */
truc_status publish_recovered(struct truc_producer *producer, struct lane *lane, struct bytes record, const struct batch_how *how,
                              uint64_t first, uint64_t end);

#endif
