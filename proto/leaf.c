/* leaf.c: the fixed layout drawn in leaf.h. */
#include "proto/leaf.h"

enum {
    AT_VERSION = 0,
    AT_KIND = 1,
    AT_EVIDENCE = 2,
    AT_TOPIC_SIZE = 3,
    AT_RECORD_COUNT = 4,
    AT_LOG_ID = 8,
    AT_POSITION = 24,
    AT_BASE_OFFSET = 32,
    AT_APPEND_TIME = 40,
    AT_HEADER_DIGEST = 48,
    AT_RECORDS_ROOT = 80,
    AT_SIGNATURE_DIGEST = 112,
    AT_PREVIOUS = 144,
    AT_RESERVED = 176, /* origin log id, origin position, reserved bytes */
    LEAF_VERSION = 1
};

void leaf_write(const struct leaf *leaf, uint8_t *out)
{
    memset(out, 0, LEAF_FIXED_BYTES);
    out[AT_VERSION] = LEAF_VERSION;
    out[AT_KIND] = LEAF_KIND_BATCH;
    out[AT_EVIDENCE] = leaf->evidence;
    out[AT_TOPIC_SIZE] = (uint8_t)leaf->topic.size;
    store_u32(out + AT_RECORD_COUNT, leaf->record_count);
    memcpy(out + AT_LOG_ID, leaf->log_id, LOG_ID_BYTES);
    store_u64(out + AT_POSITION, leaf->position);
    store_u64(out + AT_BASE_OFFSET, leaf->base_offset);
    store_u64(out + AT_APPEND_TIME, (uint64_t)leaf->append_time_ns);
    memcpy(out + AT_HEADER_DIGEST, leaf->header_digest, DIGEST_BYTES);
    memcpy(out + AT_RECORDS_ROOT, leaf->records_root, DIGEST_BYTES);
    memcpy(out + AT_SIGNATURE_DIGEST, leaf->signature_digest, DIGEST_BYTES);
    memcpy(out + AT_PREVIOUS, leaf->previous, DIGEST_BYTES);
    if (leaf->topic.size != 0)
        memcpy(out + LEAF_FIXED_BYTES, leaf->topic.data, leaf->topic.size);
}

truc_status leaf_parse(struct bytes encoded, struct leaf *ret_leaf)
{
    const uint8_t *in = encoded.data;
    struct leaf leaf;

    if (encoded.size < LEAF_FIXED_BYTES || in[AT_VERSION] != LEAF_VERSION || in[AT_KIND] != LEAF_KIND_BATCH)
        return TRUC_DAMAGED;
    if (in[AT_TOPIC_SIZE] == 0 || encoded.size != leaf_size(in[AT_TOPIC_SIZE]))
        return TRUC_DAMAGED;
    for (size_t i = AT_RESERVED; i < LEAF_FIXED_BYTES; i++) {
        if (in[i] != 0)
            return TRUC_DAMAGED;
    }
    leaf.evidence = in[AT_EVIDENCE];
    leaf.record_count = load_u32(in + AT_RECORD_COUNT);
    memcpy(leaf.log_id, in + AT_LOG_ID, LOG_ID_BYTES);
    leaf.position = load_u64(in + AT_POSITION);
    leaf.base_offset = load_u64(in + AT_BASE_OFFSET);
    leaf.append_time_ns = (int64_t)load_u64(in + AT_APPEND_TIME);
    memcpy(leaf.header_digest, in + AT_HEADER_DIGEST, DIGEST_BYTES);
    memcpy(leaf.records_root, in + AT_RECORDS_ROOT, DIGEST_BYTES);
    memcpy(leaf.signature_digest, in + AT_SIGNATURE_DIGEST, DIGEST_BYTES);
    memcpy(leaf.previous, in + AT_PREVIOUS, DIGEST_BYTES);
    leaf.topic = bytes_of(in + LEAF_FIXED_BYTES, in[AT_TOPIC_SIZE]);
    *ret_leaf = leaf;
    return TRUC_OK;
}
