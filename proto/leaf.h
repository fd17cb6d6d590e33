/* leaf.h: the leaf of the log's Merkle tree for one entry, fixed binary layout v1, little-endian. Layer: proto.
 * docs/format.md "Leaf".
 *
 *    0 u8 version = 1        24 u64 position             112 u8[32] signature digest (0: none)
 *    1 u8 kind = 1 (batch)   32 u64 base offset          144 u8[32] previous leaf hash of the same topic (0: first)
 *    2 u8 evidence           40 i64 append time ns       176 u8[16] origin log id (reserved, 0)
 *    3 u8 topic size         48 u8[32] header digest     192 u64 origin position (reserved, 0)
 *    4 u32 record count      80 u8[32] records root      200 u8[24] reserved, 0
 *    8 u8[16] log id                                     224 topic */
#ifndef TRUC_PROTO_LEAF_H
#define TRUC_PROTO_LEAF_H

#include "bytes.h"
#include "limits.h"
#include "status.h"

enum { LEAF_FIXED_BYTES = 224, LEAF_BYTES_MAX = LEAF_FIXED_BYTES + TOPIC_BYTES_MAX, LEAF_KIND_BATCH = 1 };

struct leaf {
    uint8_t evidence;
    uint32_t record_count;
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t position, base_offset;
    int64_t append_time_ns;
    uint8_t header_digest[DIGEST_BYTES], records_root[DIGEST_BYTES], signature_digest[DIGEST_BYTES], previous[DIGEST_BYTES];
    struct bytes topic; /* borrowed */
};

static inline size_t leaf_size(size_t topic_size)
{
    return LEAF_FIXED_BYTES + topic_size;
}

/* Writes leaf_size(leaf->topic.size) bytes. */
void leaf_write(const struct leaf *leaf, uint8_t *out);

/* TRUC_DAMAGED when version, kind, sizes or reserved bytes are not v1's. */
truc_status leaf_parse(struct bytes encoded, struct leaf *ret_leaf);

#endif
