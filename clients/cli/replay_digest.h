/* replay_digest.h: one digest over everything a replay showed, so that two people can compare two replays by 32 bytes.
 *
 * Layer: cli. Uses OpenSSL. One thread at a time.
 *
 *   replay digest = SHA-256("truc-replay-v1\0" || log id[16] || u64 generation || shown records in the order shown)
 *   shown record  = u64 position | u32 index | u64 offset | i64 append time ns | u16 topic size | u16 source size | u32 record size
 *                   | topic | source as AGENCY/SYSTEM | record bytes as they were published
 *
 * Little-endian, without padding. The sizes stand before the bytes, so that no two sequences of records read alike. */
#ifndef TRUC_CLI_REPLAY_DIGEST_H
#define TRUC_CLI_REPLAY_DIGEST_H

#include "clients/c/truc.h"

enum { REPLAY_DIGEST_BYTES = 32 };

struct replay_digest;

/* NULL when out of memory. */
struct replay_digest *replay_digest_create(const uint8_t log_id[16], uint64_t generation);
void replay_digest_destroy(struct replay_digest *digest); /* NULL is allowed */

/* Adds the next record. TRUC_LOG_MISMATCH when it is of another log or generation; TRUC_INTERNAL when OpenSSL fails. */
truc_status replay_digest_add(struct replay_digest *digest, const truc_message *message);

/* Ends it; nothing can be added afterwards. TRUC_INTERNAL. */
truc_status replay_digest_end(struct replay_digest *digest, uint8_t ret_digest[REPLAY_DIGEST_BYTES]);

#endif
