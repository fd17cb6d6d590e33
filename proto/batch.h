/* batch.h: a batch as it travels and as it is stored. Layer: proto. Pure; allocation only where said. docs/format.md "Batch".
 *
 *   0  u32 magic "TRB1"          24  u64 reserved, 0
 *   4  u16 version = 1           32  u8[32] salt seed
 *   6  u8  codec                 64  immutable header (truc.v1.BatchHeader), header_size bytes
 *   7  u8  flags = 0 (1: cut)        signature, signature_size bytes (0 in this version)
 *   8  u32 header_size               payload, stored_size bytes: records (record.h) under the codec
 *  12  u32 signature_size
 *  16  u32 stored_size
 *  20  u32 raw_size
 *
 * Bytes 0..63 are storage fields: they may be changed (another codec) without touching any proof. */
#ifndef TRUC_PROTO_BATCH_H
#define TRUC_PROTO_BATCH_H

#include "bytes.h"
#include "codec.h"
#include "digest.h"
#include "limits.h"
#include "record.h"
#include "status.h"

enum { BATCH_PREFIX_BYTES = 64, BATCH_FLAG_CUT = 1 };
#define BATCH_MAGIC 0x31425254u /* "TRB1" */

enum evidence { EVIDENCE_UNSPECIFIED = 0, EVIDENCE_RECORD = 1, EVIDENCE_BATCH = 2 };

/* A parsed batch; everything borrowed from the bytes. */
struct batch_view {
    struct bytes encoded; /* the whole batch */
    struct bytes header;  /* immutable header as received */
    struct bytes signature;
    struct bytes stored; /* payload under the codec */
    const uint8_t *seed; /* SALT_SEED_BYTES */
    enum codec codec;
    uint32_t raw_size;
    /* from the immutable header */
    struct bytes topic, source, system;
    enum evidence evidence;
    uint64_t producer_id;
    uint32_t epoch;
    uint64_t first_sequence;
    uint32_t record_count;
    int64_t deliver_at_ns; /* since the Unix epoch; 0: at once */
    bool conditional;      /* to be appended only if its first record gets this offset: */
    uint64_t expected_offset;
};

/* Parses prefix and header and checks them against limits.h; the payload is not looked at. Topic and source are checked.
 * TRUC_BAD_BATCH, TRUC_BATCH_TOO_LARGE, TRUC_BAD_TOPIC, TRUC_BAD_SOURCE, TRUC_BAD_CODEC; TRUC_UNSUPPORTED when a reserved
 * field is set. *ret_why names the field. */
truc_status batch_parse(struct bytes encoded, struct batch_view *ret_view, const char **ret_why);

/* The same for the batch of a cut entry (cut.h), which is nothing but that: `stored` is then the cut payload, which batch_raw and
 * batch_root know nothing of, and raw_size that of the whole. */
truc_status batch_parse_cut(struct bytes encoded, struct batch_view *ret_view, const char **ret_why);

/* The size of the immutable header for these fields, and the header itself, written by hand-laid protobuf (no allocation). */
struct batch_header_fields {
    struct bytes topic, source, system;
    enum evidence evidence;
    uint64_t producer_id;
    uint32_t epoch;
    uint64_t first_sequence;
    uint32_t record_count;
    int64_t deliver_at_ns;
    bool conditional;
    uint64_t expected_offset;
};
size_t batch_header_size(const struct batch_header_fields *fields);
/* Writes prefix and immutable header (BATCH_PREFIX_BYTES + batch_header_size bytes) before a payload of stored_size bytes. */
void batch_head_write(uint8_t *out, const struct batch_header_fields *fields, enum codec codec, uint32_t stored_size,
                      uint32_t raw_size, const uint8_t seed[SALT_SEED_BYTES]);

/* The same before a cut payload, under the immutable header as it was received. */
void batch_cut_head_write(uint8_t *out, struct bytes header, uint32_t stored_size, uint32_t raw_size);

/* Flags that all of its records have in the directory, as the batch says (directory.h). */
static inline uint8_t batch_record_flags(const struct batch_view *view)
{
    return view->deliver_at_ns != 0 ? RECORD_FLAG_DELAYED : 0;
}

/* The raw payload: the stored bytes themselves, or unpacked into *scratch (realloc'd, owned by the caller, *scratch_capacity
 * kept). TRUC_BAD_CODEC, TRUC_NO_MEMORY. */
truc_status batch_raw(const struct batch_view *view, uint8_t **scratch, size_t *scratch_capacity, struct bytes *ret_raw);

/* records_root of a raw payload at an evidence level (EVIDENCE_RECORD or _BATCH). */
truc_status batch_root(struct digest_context *context, const struct batch_view *view, enum evidence evidence, struct bytes raw,
                       uint8_t ret_root[DIGEST_BYTES]);

#endif
