/* digest.h: salts, record digests, records_root, header digest, leaf hash. Layer: proto. docs/format.md "Digests".
 *
 *   salts            = AES-256-CTR keystream under the batch's 32-byte seed, zero IV: 16 bytes each, in order
 *   digest_i         = SHA-256(0x00 || salt_i || record bytes)                          (evidence `record`)
 *                    = SHA-256(0x03 || salt_i || 1,024 bytes of the raw payload, the last one what is left)  (evidence `batch`)
 *   node             = SHA-256(0x02 || up to 16 digests), level upon level until one is left (one digest: itself)
 *   records_root     = that one
 *   header_digest    = SHA-256("truc-header-v1\0" || immutable header bytes)
 *   leaf_hash        = SHA-256(0x00 || leaf)                                (RFC 6962)
 *
 * A context is reusable scratch (OpenSSL contexts, digest array); one per thread. */
#ifndef TRUC_PROTO_DIGEST_H
#define TRUC_PROTO_DIGEST_H

#include "bytes.h"
#include "limits.h"
#include "status.h"

enum { SALT_SEED_BYTES = 32, SALT_BYTES = 16, CHUNK_BYTES = 1024, TREE_FAN = 16 };

struct digest_context;

/* NULL when out of memory. */
struct digest_context *digest_context_create(void);
void digest_context_destroy(struct digest_context *context);

/* SHA-256 of up to 4 parts one after the other. */
void digest_parts(struct digest_context *context, const struct bytes *parts, size_t part_count, uint8_t ret_digest[DIGEST_BYTES]);

/* Root over the records of a raw payload. TRUC_BAD_BATCH when the payload does not hold exactly record_count records,
 * TRUC_NO_MEMORY. */
truc_status digest_records_root(struct digest_context *context, const uint8_t seed[SALT_SEED_BYTES], struct bytes raw_payload,
                                uint32_t record_count, uint8_t ret_root[DIGEST_BYTES]);
/* Root over a raw payload as a whole. TRUC_BAD_BATCH when it is empty or larger than a batch may be, TRUC_NO_MEMORY. */
truc_status digest_batch_root(struct digest_context *context, const uint8_t seed[SALT_SEED_BYTES], struct bytes raw_payload,
                              uint8_t ret_root[DIGEST_BYTES]);

/* The steps of digest_records_root, for whoever keeps parts of the tree (cut.h). Counts are at most BATCH_RECORDS_MAX; arrays of
 * salts and digests are contiguous, and outputs overlap no input. */
void digest_salts(struct digest_context *context, const uint8_t seed[SALT_SEED_BYTES], size_t count, uint8_t *ret_salts);
void digest_records(struct digest_context *context, const uint8_t *salts, const struct bytes *records, size_t count,
                    uint8_t *ret_digests);
/* How many nodes stand above `count` digests, and those nodes. */
static inline size_t tree_nodes(size_t count)
{
    return (count + TREE_FAN - 1) / TREE_FAN;
}
void digest_level(struct digest_context *context, const uint8_t *digests, size_t count, uint8_t *ret_nodes);

void digest_header(struct digest_context *context, struct bytes immutable_header, uint8_t ret_digest[DIGEST_BYTES]);
void digest_leaf(struct digest_context *context, struct bytes leaf, uint8_t ret_hash[DIGEST_BYTES]);

/* chain = SHA-256("truc-block-v1\0" || previous chain || block u64 || first position u64 || leaf hashes in order ||
 * SHA-256(deltas)). leaf_hashes: entry_count x 32 bytes, contiguous. */
void digest_chain(struct digest_context *context, const uint8_t previous[DIGEST_BYTES], uint64_t block, uint64_t first_position,
                  const uint8_t *leaf_hashes, size_t entry_count, struct bytes deltas, uint8_t ret_chain[DIGEST_BYTES]);

#endif
