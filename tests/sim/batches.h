/* batches.h: batches of real bytes, as a client makes them, and what the broker's verify pool makes of them. Layer: test of core.
 */
#ifndef TRUC_TESTS_SIM_BATCHES_H
#define TRUC_TESTS_SIM_BATCHES_H

#include "broker/core/core.h"
#include "sim.h"

/* Clients' keys are 1 to KEYS; what the core writes itself has others, up to KEYS_MAX. */
enum { KEYS = 24, KEYS_MAX = 16384, TYPES = 3, BATCH_RECORDS = 6, TEXT_BYTES = 48 };

struct batch_record {
    uint16_t key; /* 0: none */
    uint8_t type;
    uint32_t bytes;
    uint64_t hash;                        /* of the key */
    int64_t deliver_at_ns, expires_at_ns; /* 0: at once, never */
};

/* Shared by the client that keeps it until it is answered, by messages, and by entries. */
struct batch {
    unsigned references;
    struct batch *with; /* sent together: the next one; a reference. NULL: it is the last */
    const char *topic;
    uint64_t first_sequence;
    uint32_t record_count;
    struct batch_record records[BATCH_RECORDS];
    uint8_t *bytes; /* owned, like the directory */
    size_t size;
    uint8_t *directory;
    size_t directory_size;
    uint8_t header_digest[DIGEST_BYTES], records_root[DIGEST_BYTES];
    uint32_t record_largest;
    enum evidence evidence; /* the root was computed at */
};

struct batch_wish {
    const char *topic, *agency, *system;
    enum evidence evidence; /* unspecified: the topic's, prepared at level record */
    uint64_t producer_id, first_sequence;
    uint32_t epoch, record_count;
    int64_t deliver_at_ns;
    int64_t now_ns; /* some of the records expire soon after */
};

void batches_begin(void); /* of a seed */
struct batch *batch_make(const struct batch_wish *wish);
struct batch *batch_ref(struct batch *batch);
void batch_unref(struct batch *batch); /* NULL is allowed */

/* What the verify pool makes of it and those it is sent with; given to the core, each comes back to batch_release. */
struct core_prepared *batch_prepare(struct batch *batch);
struct batch *batch_of(const struct core_prepared *prepared); /* NULL: the core's own */
void batch_release(struct core_prepared *prepared);
size_t batches_held(void); /* by the core */
void batches_forget(void); /* the core is gone, what it held is freed */
truc_status batch_digest_again(void *context, struct core_prepared *prepared, enum evidence evidence);

struct bytes key_text(uint16_t key);
struct bytes type_text(uint8_t type);
/* What a key's record has in the directory. */
uint64_t key_hash(uint16_t key);
/* The number of the core's own key, given to it when it is first seen. */
uint16_t key_of_letter(struct bytes text);
extern const uint8_t hash_secret[16];
extern struct digest_context *digests;

#endif
