#include "bench/load/payload.h"

#include <stdlib.h>
#include <time.h>

enum { RING_SLACK = 4 * 1024 * 1024, STRIDE = 8 * 127 };

uint64_t load_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* splitmix64 (S. Vigna, public domain algorithm). */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int payload_ring_init(struct payload_ring *ring, size_t payload_size, uint64_t seed)
{
    size_t size = RING_SLACK + ((payload_size + 7) & ~(size_t)7);
    uint64_t *words = malloc(size);
    if (!words)
        return -1;
    for (size_t i = 0; i < size / sizeof *words; i++)
        words[i] = random_next(&seed);
    *ring = (struct payload_ring){.bytes = (uint8_t *)words, .size = size, .payload_size = payload_size};
    return 0;
}

void payload_ring_fini(struct payload_ring *ring)
{
    free(ring->bytes);
    *ring = (struct payload_ring){0};
}

const uint8_t *payload_next(struct payload_ring *ring)
{
    const uint8_t *payload = ring->bytes + ring->at;
    ring->at += STRIDE;
    if (ring->at > RING_SLACK)
        ring->at %= RING_SLACK; /* the stride is no divisor of the slack: the next round starts elsewhere */
    return payload;
}
