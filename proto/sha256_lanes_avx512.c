/* sha256_lanes_avx512.c: FIPS 180-4's compression function, sixteen independent blocks abreast.
 *
 * A vector holds the same word of all sixteen lanes. Rotations and the three-input functions are single instructions
 * (vprord, vpternlogd), so a round costs 17 vector instructions and the schedule 11 a word. */
#include "proto/sha256_lanes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define INLINE static inline __attribute__((always_inline)) TARGET

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t initial_state[SHA256_STATE_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* Truth tables of vpternlogd: index = first << 2 | second << 1 | third. */
enum { XOR3 = 0x96, CHOOSE = 0xca, MAJORITY = 0xe8 };

INLINE __m512i add(__m512i a, __m512i b)
{
    return _mm512_add_epi32(a, b);
}

INLINE __m512i big_sigma0(__m512i x)
{
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 2), _mm512_ror_epi32(x, 13), _mm512_ror_epi32(x, 22), XOR3);
}

INLINE __m512i big_sigma1(__m512i x)
{
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 6), _mm512_ror_epi32(x, 11), _mm512_ror_epi32(x, 25), XOR3);
}

INLINE __m512i small_sigma0(__m512i x)
{
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18), _mm512_srli_epi32(x, 3), XOR3);
}

INLINE __m512i small_sigma1(__m512i x)
{
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 17), _mm512_ror_epi32(x, 19), _mm512_srli_epi32(x, 10), XOR3);
}

/* Sixteen rows of sixteen words become sixteen columns. */
INLINE void transpose(__m512i r[16])
{
    __m512i t[16];

    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Word t of the schedule, in place of word t - 16. */
#define SCHEDULE(w, t)                                                                                                             \
    (w)[(t)&15] =                                                                                                                  \
        add(add((w)[(t)&15], small_sigma0((w)[((t) + 1) & 15])), add((w)[((t) + 9) & 15], small_sigma1((w)[((t) + 14) & 15])))

#define ROUND(a, b, c, d, e, f, g, h, word, constant)                                                                              \
    do {                                                                                                                           \
        __m512i t1 = add(add((h), add((word), _mm512_set1_epi32((int)(constant)))),                                                \
                         add(big_sigma1(e), _mm512_ternarylogic_epi32((e), (f), (g), CHOOSE)));                                    \
        __m512i t2 = add(big_sigma0(a), _mm512_ternarylogic_epi32((a), (b), (c), MAJORITY));                                       \
        (d) = add((d), t1);                                                                                                        \
        (h) = add(t1, t2);                                                                                                         \
    } while (0)

#define EIGHT_ROUNDS(s, w, k, t)                                                                                                   \
    do {                                                                                                                           \
        ROUND((s)[0], (s)[1], (s)[2], (s)[3], (s)[4], (s)[5], (s)[6], (s)[7], (w)[(t)], (k)[(t)]);                                 \
        ROUND((s)[7], (s)[0], (s)[1], (s)[2], (s)[3], (s)[4], (s)[5], (s)[6], (w)[(t) + 1], (k)[(t) + 1]);                         \
        ROUND((s)[6], (s)[7], (s)[0], (s)[1], (s)[2], (s)[3], (s)[4], (s)[5], (w)[(t) + 2], (k)[(t) + 2]);                         \
        ROUND((s)[5], (s)[6], (s)[7], (s)[0], (s)[1], (s)[2], (s)[3], (s)[4], (w)[(t) + 3], (k)[(t) + 3]);                         \
        ROUND((s)[4], (s)[5], (s)[6], (s)[7], (s)[0], (s)[1], (s)[2], (s)[3], (w)[(t) + 4], (k)[(t) + 4]);                         \
        ROUND((s)[3], (s)[4], (s)[5], (s)[6], (s)[7], (s)[0], (s)[1], (s)[2], (w)[(t) + 5], (k)[(t) + 5]);                         \
        ROUND((s)[2], (s)[3], (s)[4], (s)[5], (s)[6], (s)[7], (s)[0], (s)[1], (w)[(t) + 6], (k)[(t) + 6]);                         \
        ROUND((s)[1], (s)[2], (s)[3], (s)[4], (s)[5], (s)[6], (s)[7], (s)[0], (w)[(t) + 7], (k)[(t) + 7]);                         \
    } while (0)

#define EIGHT_WORDS(w, t)                                                                                                          \
    do {                                                                                                                           \
        SCHEDULE(w, (t));                                                                                                          \
        SCHEDULE(w, (t) + 1);                                                                                                      \
        SCHEDULE(w, (t) + 2);                                                                                                      \
        SCHEDULE(w, (t) + 3);                                                                                                      \
        SCHEDULE(w, (t) + 4);                                                                                                      \
        SCHEDULE(w, (t) + 5);                                                                                                      \
        SCHEDULE(w, (t) + 6);                                                                                                      \
        SCHEDULE(w, (t) + 7);                                                                                                      \
    } while (0)

TARGET void sha256_lanes_compress(uint32_t state[SHA256_STATE_WORDS][SHA256_LANES], uint16_t fresh,
                                  const uint8_t *const blocks[SHA256_LANES])
{
    const __m512i to_big_endian = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    __m512i before[SHA256_STATE_WORDS], s[SHA256_STATE_WORDS], w[16];

    for (int i = 0; i < SHA256_LANES; i++)
        w[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[i]), to_big_endian);
    transpose(w);
    for (int i = 0; i < SHA256_STATE_WORDS; i++)
        s[i] = before[i] = _mm512_mask_set1_epi32(_mm512_loadu_si512(state[i]), fresh, (int)initial_state[i]);

    EIGHT_ROUNDS(s, w, round_constants, 0);
    EIGHT_ROUNDS(s, w, round_constants, 8);
    for (int t = 16; t < 64; t += 16) {
        const uint32_t *k = round_constants + t;
        EIGHT_WORDS(w, 0);
        EIGHT_ROUNDS(s, w, k, 0);
        EIGHT_WORDS(w, 8);
        EIGHT_ROUNDS(s, w, k, 8);
    }
    for (int i = 0; i < SHA256_STATE_WORDS; i++)
        _mm512_storeu_si512(state[i], add(s[i], before[i]));
}

bool sha256_lanes_available(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

#else /* another architecture: the caller hashes one message after the other */

#include <stdlib.h>

void sha256_lanes_compress(uint32_t state[SHA256_STATE_WORDS][SHA256_LANES], uint16_t fresh,
                           const uint8_t *const blocks[SHA256_LANES])
{
    (void)state;
    (void)fresh;
    (void)blocks;
    abort();
}

bool sha256_lanes_available(void)
{
    return false;
}

#endif
