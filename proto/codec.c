/* codec.c: LZ4 blocks and single Zstandard frames. */
#include "proto/codec.h"

#include <limits.h>
#include <lz4.h>
#include <zstd.h>

enum { ZSTD_LEVEL = 1 }; /* the fastest of zstd's standard levels; ratio is what a topic's owner chooses zstd over lz4 for */

static const char *const names[CODEC_COUNT] = {"none", "lz4", "zstd"};

const char *codec_name(enum codec codec)
{
    return (unsigned)codec < CODEC_COUNT ? names[codec] : "?";
}

bool codec_find(const char *name, enum codec *ret_codec)
{
    for (unsigned i = 0; i < CODEC_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_codec = (enum codec)i;
            return true;
        }
    }
    return false;
}

size_t codec_bound(enum codec codec, size_t raw_size)
{
    switch (codec) {
    case CODEC_LZ4:
        return raw_size <= LZ4_MAX_INPUT_SIZE ? (size_t)LZ4_compressBound((int)raw_size) : 0;
    case CODEC_ZSTD:
        return ZSTD_compressBound(raw_size);
    default:
        return raw_size;
    }
}

static truc_status pack_lz4(struct bytes raw, uint8_t *out, size_t capacity, size_t *ret_size)
{
    if (raw.size > LZ4_MAX_INPUT_SIZE)
        return TRUC_INTERNAL;
    int limit = capacity > INT_MAX ? INT_MAX : (int)capacity;
    int size = LZ4_compress_default((const char *)raw.data, (char *)out, (int)raw.size, limit);
    if (size <= 0)
        return TRUC_INTERNAL;
    *ret_size = (size_t)size;
    return TRUC_OK;
}

static truc_status pack_zstd(struct bytes raw, uint8_t *out, size_t capacity, size_t *ret_size)
{
    size_t size = ZSTD_compress(out, capacity, raw.data, raw.size, ZSTD_LEVEL);
    if (ZSTD_isError(size))
        return TRUC_INTERNAL;
    *ret_size = size;
    return TRUC_OK;
}

truc_status codec_pack(enum codec codec, struct bytes raw, uint8_t *out, size_t capacity, size_t *ret_size)
{
    switch (codec) {
    case CODEC_NONE:
        if (capacity < raw.size)
            return TRUC_INTERNAL;
        if (raw.size != 0)
            memcpy(out, raw.data, raw.size);
        *ret_size = raw.size;
        return TRUC_OK;
    case CODEC_LZ4:
        return pack_lz4(raw, out, capacity, ret_size);
    case CODEC_ZSTD:
        return pack_zstd(raw, out, capacity, ret_size);
    default:
        return TRUC_INTERNAL;
    }
}

static bool unpack_lz4(struct bytes stored, uint8_t *out, size_t raw_size)
{
    if (stored.size > INT_MAX || raw_size > INT_MAX)
        return false;
    int size = LZ4_decompress_safe((const char *)stored.data, (char *)out, (int)stored.size, (int)raw_size);
    return size >= 0 && (size_t)size == raw_size;
}

static bool unpack_zstd(struct bytes stored, uint8_t *out, size_t raw_size)
{
    /* Exactly one frame: libzstd alone would accept several, and skippable ones that hide bytes. */
    unsigned long long stated = ZSTD_getFrameContentSize(stored.data, stored.size);
    if (stated != raw_size || ZSTD_findFrameCompressedSize(stored.data, stored.size) != stored.size)
        return false;
    size_t size = ZSTD_decompress(out, raw_size, stored.data, stored.size);
    return !ZSTD_isError(size) && size == raw_size;
}

truc_status codec_unpack(enum codec codec, struct bytes stored, uint8_t *out, size_t raw_size)
{
    switch (codec) {
    case CODEC_NONE:
        if (stored.size != raw_size)
            return TRUC_BAD_CODEC;
        if (raw_size != 0)
            memcpy(out, stored.data, raw_size);
        return TRUC_OK;
    case CODEC_LZ4:
        return unpack_lz4(stored, out, raw_size) ? TRUC_OK : TRUC_BAD_CODEC;
    case CODEC_ZSTD:
        return unpack_zstd(stored, out, raw_size) ? TRUC_OK : TRUC_BAD_CODEC;
    default:
        return TRUC_BAD_CODEC;
    }
}
