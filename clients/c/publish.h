/* publish.h: records into batches, beside what truc.h offers. Layer: libtruc. Under the client's lock. */
#ifndef TRUC_CLIENT_PUBLISH_H
#define TRUC_CLIENT_PUBLISH_H

#include "clients/c/lane.h"
#include "clients/c/record_input.h"

/* A record that an earlier process left in the outbox, at or behind place `first`: it is sent again. TRUC_NO_MEMORY. */
truc_status publish_recovered(struct truc_producer *producer, struct lane *lane, struct bytes record, const struct batch_how *how,
                              uint64_t first, uint64_t end);

/* Writes a record with its length; an absent id is made here. The bytes are the input's encoded size and its varint's.
 * TRUC_BAD_RECORD: a rare field is malformed. */
truc_status publish_encode(struct truc_producer *producer, struct record_input *input, uint8_t *at, struct bytes *ret_record);

#endif
