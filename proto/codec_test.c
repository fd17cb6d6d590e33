#include "proto/codec.h"
#include "proto/test_support.h"

#include <stdlib.h>

static const enum codec codecs[] = {CODEC_NONE, CODEC_LZ4, CODEC_ZSTD};

static void codec_names_are_found_and_others_not(void **state)
{
    enum codec codec = CODEC_ZSTD;
    (void)state;
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        assert_true(codec_find(codec_name(codecs[i]), &codec));
        assert_int_equal(codec, codecs[i]);
    }
    codec = CODEC_LZ4;
    assert_false(codec_find("LZ4", &codec));
    assert_false(codec_find("", &codec));
    assert_int_equal(codec, CODEC_LZ4);
    assert_string_equal(codec_name(CODEC_COUNT), "?");
}

static void pack_then_unpack_gives_the_same_bytes(void **state)
{
    static const size_t sizes[] = {1, 2, 100, 4096, 300000};
    struct random random = {3};
    (void)state;
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (int compressible = 0; compressible < 2; compressible++) {
                size_t size = sizes[s], capacity = codec_bound(codecs[c], size), stored_size;
                uint8_t *raw = malloc(size), *stored = malloc(capacity), *back = malloc(size);
                assert_true(raw != NULL && stored != NULL && back != NULL);
                random_fill(&random, raw, size);
                for (size_t i = 0; compressible && i < size; i++)
                    raw[i] &= 1;
                assert_status(codec_pack(codecs[c], bytes_of(raw, size), stored, capacity, &stored_size), TRUC_OK);
                assert_true(stored_size <= capacity);
                assert_status(codec_unpack(codecs[c], bytes_of(stored, stored_size), back, size), TRUC_OK);
                assert_memory_equal(raw, back, size);
                /* any other stated size, and a cut, is refused */
                uint8_t *more = malloc(size + 1);
                assert_non_null(more);
                assert_status(codec_unpack(codecs[c], bytes_of(stored, stored_size), more, size + 1), TRUC_BAD_CODEC);
                assert_status(codec_unpack(codecs[c], bytes_of(stored, stored_size), more, size - 1), TRUC_BAD_CODEC);
                assert_status(codec_unpack(codecs[c], bytes_of(stored, stored_size - 1), more, size), TRUC_BAD_CODEC);
                free(more);
                free(raw);
                free(stored);
                free(back);
            }
        }
    }
}

static void unpack_altered_bytes_stays_in_bounds(void **state)
{
    struct random random = {4};
    uint8_t raw[2000];
    (void)state;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i % 37);
    for (size_t c = 1; c < CODEC_COUNT; c++) {
        size_t capacity = codec_bound(codecs[c], sizeof raw), stored_size;
        uint8_t *stored = malloc(capacity);
        assert_non_null(stored);
        assert_status(codec_pack(codecs[c], bytes_of(raw, sizeof raw), stored, capacity, &stored_size), TRUC_OK);
        for (int round = 0; round < 5000; round++) {
            uint8_t *bad = malloc(stored_size), *back = malloc(sizeof raw);
            assert_true(bad != NULL && back != NULL);
            memcpy(bad, stored, stored_size);
            for (size_t i = 0; i <= random_below(&random, 3); i++)
                bad[random_below(&random, stored_size)] = (uint8_t)random_next(&random);
            truc_status status = codec_unpack(codecs[c], bytes_of(bad, stored_size), back, sizeof raw);
            assert_true(status == TRUC_OK || status == TRUC_BAD_CODEC);
            free(bad);
            free(back);
        }
        free(stored);
    }
}

static void unpack_second_zstd_frame_is_refused(void **state)
{
    uint8_t raw[64] = {1}, stored[512], back[128];
    size_t size;
    (void)state;
    assert_status(codec_pack(CODEC_ZSTD, bytes_of(raw, 64), stored, sizeof stored, &size), TRUC_OK);
    memcpy(stored + size, stored, size);
    assert_status(codec_unpack(CODEC_ZSTD, bytes_of(stored, 2 * size), back, 128), TRUC_BAD_CODEC);
    assert_status(codec_unpack(CODEC_ZSTD, bytes_of(stored, 2 * size), back, 64), TRUC_BAD_CODEC);
    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'};
    memcpy(stored + size, skippable, sizeof skippable);
    assert_status(codec_unpack(CODEC_ZSTD, bytes_of(stored, size + sizeof skippable), back, 64), TRUC_BAD_CODEC);
    assert_status(codec_unpack(CODEC_ZSTD, bytes_of(stored, size), back, 64), TRUC_OK);
}

static void pack_without_room_or_codec_fails(void **state)
{
    uint8_t raw[1000], out[1000];
    struct random random = {5};
    size_t size;
    (void)state;
    random_fill(&random, raw, sizeof raw);
    for (size_t c = 0; c < CODEC_COUNT; c++)
        assert_status(codec_pack(codecs[c], bytes_of(raw, sizeof raw), out, 100, &size), TRUC_INTERNAL);
    assert_status(codec_pack(CODEC_COUNT, bytes_of(raw, sizeof raw), out, sizeof out, &size), TRUC_INTERNAL);
    assert_status(codec_unpack(CODEC_COUNT, bytes_of(raw, sizeof raw), out, sizeof out), TRUC_BAD_CODEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec_names_are_found_and_others_not), cmocka_unit_test(pack_then_unpack_gives_the_same_bytes),
        cmocka_unit_test(unpack_altered_bytes_stays_in_bounds), cmocka_unit_test(unpack_second_zstd_frame_is_refused),
        cmocka_unit_test(pack_without_room_or_codec_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
