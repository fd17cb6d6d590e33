#include "proto/uuid7.h"

static const uint64_t low_max = (UINT64_C(1) << 62) - 1, high_max = (UINT64_C(1) << 12) - 1, ms_max = (UINT64_C(1) << 48) - 1;

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* xoshiro256++ 1.0, David Blackman and Sebastiano Vigna, https://prng.di.unimi.it/xoshiro256plusplus.c (public domain). */
static uint64_t random_next(uint64_t s[UUID7_SEED_WORDS])
{
    uint64_t result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void uuid7_seed(struct uuid7_state *state, const uint64_t seed[UUID7_SEED_WORDS])
{
    *state = (struct uuid7_state){.random = {seed[0], seed[1], seed[2], seed[3]}};
}

void uuid7_generate(struct uuid7_state *state, uint64_t unix_ms, uint8_t ret_id[UUID_BYTES])
{
    if ((unix_ms & ms_max) > state->ms) {
        state->ms = unix_ms & ms_max;
        state->high = random_next(state->random) >> 53; /* 11 bits */
        state->low = random_next(state->random) & low_max;
    } else {
        state->low += 1 + (random_next(state->random) >> 32);
        state->high += state->low >> 62;
        state->low &= low_max;
        state->ms += state->high >> 12; /* used up: a millisecond ahead of the clock */
        state->high &= high_max;
    }
    uint64_t first = __builtin_bswap64(state->ms << 16 | UINT64_C(0x7000) | state->high);
    uint64_t second = __builtin_bswap64(UINT64_C(1) << 63 | state->low);
    store_u64(ret_id, first);
    store_u64(ret_id + 8, second);
}

static bool dash_at(size_t text_index)
{
    return text_index == 8 || text_index == 13 || text_index == 18 || text_index == 23;
}

void uuid_format(const uint8_t id[UUID_BYTES], char ret_text[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t nibble = 0;

    for (size_t i = 0; i < UUID_TEXT_BYTES; i++) {
        if (dash_at(i)) {
            ret_text[i] = '-';
        } else {
            ret_text[i] = digits[nibble % 2 == 0 ? id[nibble / 2] >> 4 : id[nibble / 2] & 15];
            nibble++;
        }
    }
}

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool uuid_parse(struct bytes text, uint8_t ret_id[UUID_BYTES])
{
    uint8_t id[UUID_BYTES] = {0};
    size_t nibble = 0;

    if (text.size != UUID_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < UUID_TEXT_BYTES; i++) {
        if (dash_at(i)) {
            if (text.data[i] != '-')
                return false;
            continue;
        }
        int value = digit_value(text.data[i]);
        if (value < 0)
            return false;
        id[nibble / 2] = (uint8_t)(id[nibble / 2] << 4 | value);
        nibble++;
    }
    memcpy(ret_id, id, UUID_BYTES);
    return true;
}
