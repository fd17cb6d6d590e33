/* replay_digest.h: the digest of a replay: equal for two auditors who were given the same records in the same order.
 *
 *   D_0 = SHA-256("truc-replay-v1\0" || log_id || u64 generation)
 *   D_k = SHA-256(D_{k-1} || u64 position || u32 index || SHA-256(record bytes))      k-th delivered record, from 1
 *
 * Layer: proto. The caller owns the object; one thread at a time. docs/format.md "Replay digest". */
#ifndef TRUC_PROTO_REPLAY_DIGEST_H
#define TRUC_PROTO_REPLAY_DIGEST_H

#include "bytes.h"
#include "limits.h"

struct replay_digest;

/* NULL when out of memory. destroy takes NULL. */
struct replay_digest *replay_digest_create(void);
void replay_digest_destroy(struct replay_digest *digest);

/* D_0. Before the first record, also when none comes; again for another replay. */
void replay_digest_begin(struct replay_digest *digest, const uint8_t log_id[LOG_ID_BYTES], uint64_t generation);

/* The next delivered record: its place, and its bytes as they were published. */
void replay_digest_add(struct replay_digest *digest, uint64_t position, uint32_t index, struct bytes record);

/* How many records were added, and the digest so far. */
uint64_t replay_digest_record_count(const struct replay_digest *digest);
void replay_digest_value(const struct replay_digest *digest, uint8_t ret_value[DIGEST_BYTES]);

#endif
