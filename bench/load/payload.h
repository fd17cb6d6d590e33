/* payload.h: incompressible bytes and clocks for load generators. Layer: bench. */
#ifndef TRUC_LOAD_PAYLOAD_H
#define TRUC_LOAD_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC. */
uint64_t load_now_ns(void);

/* A ring of pseudo-random bytes, made once from a seed; each payload is a window of it that starts elsewhere, so that no two
 * neighbours are alike and nothing compresses, at the cost of an addition. */
struct payload_ring {
    uint8_t *bytes;
    size_t size, at, payload_size;
};

/* payload_size <= 8 MiB. 0 on success, -1 when out of memory. */
int payload_ring_init(struct payload_ring *ring, size_t payload_size, uint64_t seed);
void payload_ring_fini(struct payload_ring *ring);
const uint8_t *payload_next(struct payload_ring *ring); /* payload_size bytes, valid until fini */

#endif
