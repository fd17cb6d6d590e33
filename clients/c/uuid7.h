/* uuid7.h: UUIDv7 record ids (RFC 9562) for one producer, cheap and in order.
 *
 * Layer: libtruc. Under the client's lock. 48 bits of Unix time in ms, then a 74-bit number: at random when the millisecond is
 * new, else the last one plus a random step of 32 bits (RFC 9562, method 2). So ids of one producer grow. */
#ifndef TRUC_CLIENT_UUID7_H
#define TRUC_CLIENT_UUID7_H

#include <stdbool.h>
#include <stdint.h>

struct uuid7 {
    uint64_t state[4]; /* xoshiro256++ */
    uint64_t ms;
    uint64_t low;      /* 62 bits */
    uint16_t high;     /* 12 bits */
};

/* Seeds from the system. False when it gives no random bytes. */
bool uuid7_init(struct uuid7 *uuid);
void uuid7_next(struct uuid7 *uuid, uint8_t ret_id[16]);

#endif
