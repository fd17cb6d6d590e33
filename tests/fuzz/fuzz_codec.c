/* fuzz_codec.c: u8 codec, u16 raw size, then stored bytes: unpacking stays within the stated size. And the bytes packed come back.
 */
#include "proto/codec.h"
#include "tests/fuzz/fuzz_check.h"

static void round_trip(enum codec codec, struct bytes raw)
{
    size_t capacity = codec_bound(codec, raw.size), size;
    uint8_t *stored = malloc(capacity + 1), *back = malloc(raw.size + 1);
    check(stored != NULL && back != NULL);
    check(codec_pack(codec, raw, stored, capacity, &size) == TRUC_OK && size <= capacity);
    check(codec_unpack(codec, bytes_of(stored, size), back, raw.size) == TRUC_OK);
    check(raw.size == 0 || memcmp(back, raw.data, raw.size) == 0);
    free(stored);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    enum codec codec = (enum codec)(data[0] % (CODEC_COUNT + 1)); /* one that is not there, too */
    size_t raw_size = load_u16(data + 1);
    uint8_t *out = malloc(raw_size == 0 ? 1 : raw_size);
    check(out != NULL);
    truc_status status = codec_unpack(codec, bytes_of(data + 3, size - 3), out, raw_size);
    check(status == TRUC_OK || status == TRUC_BAD_CODEC);
    if (codec < CODEC_COUNT && size > 3)
        round_trip(codec, bytes_of(data + 3, size - 3));
    free(out);
    return 0;
}
