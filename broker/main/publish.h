/* publish.h: a PUBLISH frame made ready for the core: split, parsed, unpacked, walked, digested. Layer: main; uses proto.
 *
 * A publisher is scratch for one thread at a time. A publish is one batch; those of one frame are linked by prepared.next. It owns
 * the received bytes (a reference to their buffer) and the directory; it is what core_prepared.owner points to, and is freed after
 * its commit or when the core refused it. */
#ifndef TRUC_MAIN_PUBLISH_H
#define TRUC_MAIN_PUBLISH_H

#include <stdatomic.h>

#include "broker/core/core.h"
#include "broker/net/net.h"
#include "proto/directory.h"

/* The rules of this broker; constant while it runs. */
struct publish_rules {
    const struct core_family *families;
    size_t family_count;
    uint32_t record_bytes_max, batch_bytes_max;
    uint8_t hash_secret[HASH_SECRET_BYTES];
    atomic_ullong *directory_bytes; /* of all publishes alive */
    void (*freed)(void *context);   /* called after directory_bytes went down; any thread; may be NULL */
    void *freed_context;
};

struct publish {
    struct core_prepared prepared;
    struct net_buffer *buffer;
    const struct publish_rules *rules;
    size_t directory_size;
    uint8_t directory[];
};

struct publisher; /* reusable scratch: digest context, unpacked payload, directory */

enum { PUBLISH_WHY_BYTES = 160 };

struct publisher *publisher_create(void); /* NULL: no memory */
void publisher_destroy(struct publisher *publisher);

/* Checks everything that needs the records; of several batches also what they have to do with each other. Keeps the buffer by
 * references of its own. Fails with the statuses of batch_parse, batch_raw, directory_build, TRUC_BATCH_TOO_LARGE,
 * TRUC_INVALID_ARGUMENT (how many), TRUC_PROTOCOL (the header), TRUC_NO_MEMORY, and why. */
truc_status publish_prepare(struct publisher *publisher, const struct publish_rules *rules, const struct frame *frame,
                            struct net_buffer *buffer, struct publish **ret_publish, char why[PUBLISH_WHY_BYTES]);
/* The root at another level of evidence. TRUC_NO_MEMORY. */
truc_status publish_digest_again(struct publisher *publisher, struct core_prepared *prepared, enum evidence evidence);
void publish_free(struct publish *publish);         /* NULL is allowed; any thread */
void publish_free_all(struct publish *first);       /* with those linked to it; NULL is allowed; any thread */
void prepared_free(struct core_prepared *prepared); /* of a publish, or the core's own; any thread */

/* What a batch says of its unpacked size, to decide where to check it; 0 when it is too short to say. Several count as large. */
uint32_t publish_raw_size(const struct frame *frame);

#endif
