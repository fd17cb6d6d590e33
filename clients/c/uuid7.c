#include "clients/c/uuid7.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

/* xoshiro256++ 1.0 by Blackman and Vigna, public domain. Ids need to be unique, not secret. */
static uint64_t rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

static uint64_t random_next(struct uuid7 *uuid)
{
    uint64_t *s = uuid->state;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

bool uuid7_init(struct uuid7 *uuid)
{
    *uuid = (struct uuid7){0};
    return getrandom(uuid->state, sizeof uuid->state, 0) == (ssize_t)sizeof uuid->state;
}

void uuid7_next(struct uuid7 *uuid, uint8_t ret_id[16])
{
    const uint64_t low_mask = (UINT64_C(1) << 62) - 1;
    struct timespec now;
    uint64_t ms, word;

    /* The coarse clock is a few ms behind and ten times cheaper. */
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (ms > uuid->ms) {
        uuid->ms = ms;
        uuid->low = random_next(uuid) & low_mask;
        uuid->high = (uint16_t)(random_next(uuid) >> 53); /* 11 bits: room to grow */
    } else {
        uuid->low += 1 + (random_next(uuid) >> 32);
        if (uuid->low > low_mask) {
            uuid->low &= low_mask;
            uuid->high++;
        }
        if (uuid->high > 0xfff) { /* a new millisecond, ahead of the clock */
            uuid->high = 0;
            uuid->ms++;
        }
    }
    word = __builtin_bswap64(uuid->ms << 16 | 0x7000u | uuid->high);
    memcpy(ret_id, &word, 8);
    word = __builtin_bswap64(UINT64_C(0x8000000000000000) | uuid->low);
    memcpy(ret_id + 8, &word, 8);
}
