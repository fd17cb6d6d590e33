/* intake.h: the parcels of one reader or worker: in order, from the frame that came to the entries proven in it.
 *
 * Layer: libtruc. Under the client's lock unless said otherwise. Embedded in its owner. The prover takes parcels in the order in
 * which they came, over all intakes; an owner's consumer proves ahead of it rather than wait. */
#ifndef TRUC_CLIENT_INTAKE_H
#define TRUC_CLIENT_INTAKE_H

#include "clients/c/parcel.h"

struct intake {
    truc_client *client;
    bool verify;
    bool pulled;             /* consumed by threads that pull; else by the courier */
    uint64_t unpacked_max;   /* bytes that may be kept unpacked beside the frames */
    uint64_t unpacked_bytes; /* and are */
    uint64_t queued_bytes;   /* payloads in the queue */
    struct parcel *head, *tail;
};

/* Puts a parcel, zeroed but for what its owner keeps in it, behind the others, to be proven. The payload stays where it was
 * received
 * (*inbound is then taken), or is copied when it lies in the link's staging. TRUC_NO_MEMORY: the parcel is still the caller's. */
truc_status intake_add(struct intake *intake, struct parcel *parcel, struct bytes payload, struct inbound **inbound);

/* Makes a raw parcel proven. Unlocks meanwhile. */
void intake_prove(struct parcel *parcel, struct digest_context *digests);

/* Proves the first parcel that is still raw. False: there is none. Unlocks meanwhile. */
bool intake_prove_ahead(struct intake *intake, struct digest_context *digests);

/* Takes the head, which is proven, out of the queue; the caller frees it. */
struct parcel *intake_pop(struct intake *intake);

/* Drops every parcel behind `kept`, which is the head; NULL: all of them. */
void intake_drop(struct intake *intake, struct parcel *kept);

/* Tells whoever consumes that there may be something to do. */
void intake_wake(const struct intake *intake);

#endif
