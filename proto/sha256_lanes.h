/* sha256_lanes.h: SHA-256 of many messages at once, one per lane of the vector unit. Layer: proto, inside digest.c only.
 *
 * Pure, no allocation, any thread. Works where the processor has AVX-512; elsewhere the caller hashes one after the other.
 * Sixteen lanes take about as long as six messages by the SHA extensions, so it pays from there on. */
#ifndef TRUC_PROTO_SHA256_LANES_H
#define TRUC_PROTO_SHA256_LANES_H

#include "bytes.h"

enum { SHA256_LANES = 16, SHA256_SALT_BYTES = 16, SHA256_STATE_WORDS = 8, SHA256_BLOCK_BYTES = 64 };

/* Whether this processor can. */
bool sha256_lanes_available(void);

/* digest_i = SHA-256(tag || salt_i || message_i), 32 bytes each, one after the other. salts: 16 bytes per message, or NULL for
 * no salt. `digests` overlaps nothing that is read. */
void sha256_lanes_hash(uint8_t tag, const uint8_t *salts, const struct bytes *messages, size_t count, uint8_t *digests);

/* One block per lane: state[w][lane] is word w of the lane's chaining value; lanes in `fresh` begin a message, whatever their
 * state was. The seam between scheduling and arithmetic. */
void sha256_lanes_compress(uint32_t state[SHA256_STATE_WORDS][SHA256_LANES], uint16_t fresh,
                           const uint8_t *const blocks[SHA256_LANES]);

#endif
