/* codec.h: compression of a batch's payload. Layer: proto. Codecs: none, LZ4 block, one Zstandard frame. Any thread. */
#ifndef TRUC_PROTO_CODEC_H
#define TRUC_PROTO_CODEC_H

#include "bytes.h"
#include "status.h"

enum codec { CODEC_NONE = 0, CODEC_LZ4 = 1, CODEC_ZSTD = 2, CODEC_COUNT };

const char *codec_name(enum codec codec); /* "none", "lz4", "zstd" */
bool codec_find(const char *name, enum codec *ret_codec);

/* Largest stored size for raw bytes. */
size_t codec_bound(enum codec codec, size_t raw_size);

/* Compresses raw into out (capacity >= codec_bound). TRUC_INTERNAL when the library fails. */
truc_status codec_pack(enum codec codec, struct bytes raw, uint8_t *out, size_t capacity, size_t *ret_size);

/* Unpacks stored bytes that must yield exactly raw_size bytes into out (capacity raw_size). TRUC_BAD_CODEC. The caller has
 * checked raw_size against the limits and BATCH_RATIO_MAX (batch_parse does), so a bomb is refused before allocation. */
truc_status codec_unpack(enum codec codec, struct bytes stored, uint8_t *out, size_t raw_size);

#endif
