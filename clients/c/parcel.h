/* parcel.h: one READ_DATA or DELIVER frame on its way to the application: received, proven, consumed.
 *
 * Layer: libtruc. Which thread may touch a parcel is told by its state, which changes under the client's lock only: whoever made it
 * PROVING owns everything in it until it is PROVEN; from then on the consumer of its reader or worker does.
 *
 * Proving checks an entry's checksum, that leaf and batch agree, the header's digest and the records' root, and notes what delivery
 * needs. A compressed payload is unpacked for that; it is kept as long as the budget lasts, else proven again when delivered. */
#ifndef TRUC_CLIENT_PARCEL_H
#define TRUC_CLIENT_PARCEL_H

#include "clients/c/link.h"
#include "clients/c/truc.h"
#include "proto/cut.h"
#include "proto/entry.h"

struct digest_context;
struct intake;

enum parcel_state { PARCEL_RAW, PARCEL_PROVING, PARCEL_PROVEN };

/* What is known of one entry once it is proven; borrowed from the parcel, texts not terminated. */
struct proven_entry {
    truc_status status; /* TRUC_OK, or what is wrong: then nothing but `entry` and `why` counts */
    const char *why;
    bool kept; /* raw is there; else unpack and prove again */
    struct entry_view entry;
    uint64_t position, base_offset, first_sequence, producer_id;
    int64_t append_time_ns;
    uint32_t record_count;
    struct bytes topic, agency, system, raw;
    const uint8_t *log_id;
    uint8_t *unpacked;      /* owned; NULL: raw lies in the frame */
    struct cut_record *cut; /* owned; of a part of an entry its records, instead of raw; else NULL */
    size_t cut_count;
};

struct parcel {
    struct parcel *next;                        /* of its intake, in order */
    struct parcel *prove_next, *prove_previous; /* of the prover's queue */
    struct intake *intake;                      /* NULL: dropped while it was proven */
    enum parcel_state state;
    bool queued;             /* in the prover's queue */
    struct inbound *inbound; /* the frame's memory */
    struct bytes payload;
    uint64_t next_position; /* where the reader stands after it */
    struct proven_entry *entries;
    size_t entry_count, entry_capacity;
    uint64_t from_position; /* where the reader stood before it */
    size_t unpacked_bytes;  /* kept beside the frame */
    bool stale;             /* of a connection that is gone: what is left of it must not be given */
    void *notes;            /* owned: what a worker keeps of the frame's header; NULL: nothing */
};

/* Scratch of whoever proves. */
struct prove_scratch {
    uint8_t *bytes;
    size_t capacity;
};

/* Proves one entry into *entry, whose `entry` view is set. verify false: everything but header digest and root. The payload,
 * if compressed, is unpacked into *scratch; on TRUC_OK raw points there or into the frame. */
void parcel_prove_entry(struct digest_context *digests, bool verify, struct proven_entry *entry, struct prove_scratch *scratch);

/* Unlocked, by the owner: splits the payload and proves each entry, stopping behind the first that is wrong. Unpacked payloads are
 * kept up to budget bytes. Out of memory is the status of the entry at which it happened. */
void parcel_prove(struct parcel *parcel, struct digest_context *digests, bool verify, size_t budget);

/* Locked (the inbound goes back to the link). */
void parcel_free(truc_client *client, struct parcel *parcel);

#endif
