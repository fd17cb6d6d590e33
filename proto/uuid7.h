/* uuid7.h: UUIDv7 (RFC 9562): making them in growing order, and their text form.
 *
 * Layer: proto. Pure: the caller brings time and randomness. A state has one owner at a time; no allocation.
 *
 *   unix ms: 48 bits | 0111 | high: 12 bits | 10 | low: 62 bits
 *
 * In a new millisecond high and low are random, with the top bit clear so that they can grow; within one they grow by a random
 * step of up to 2^32 (RFC 9562, section 6.2, method 2). Ids are unique, not secret. */
#ifndef TRUC_PROTO_UUID7_H
#define TRUC_PROTO_UUID7_H

#include "bytes.h"

enum { UUID_BYTES = 16, UUID_TEXT_BYTES = 36, UUID7_SEED_WORDS = 4 };

struct uuid7_state {
    uint64_t random[UUID7_SEED_WORDS]; /* xoshiro256++ */
    uint64_t ms, high, low;            /* of the last id */
};

/* seed: 256 bits from the system's random source, not all zero. */
void uuid7_seed(struct uuid7_state *state, const uint64_t seed[UUID7_SEED_WORDS]);

/* The next id: greater, byte by byte, than every earlier one of this state, also when the clock stands or goes back. */
void uuid7_generate(struct uuid7_state *state, uint64_t unix_ms, uint8_t ret_id[UUID_BYTES]);

/* "01890a5d-ac96-774b-bcce-b302099a8057", not terminated. Any 16 bytes have this form. */
void uuid_format(const uint8_t id[UUID_BYTES], char ret_text[UUID_TEXT_BYTES]);

/* Reads that form, hexadecimal digits in any case. False, and nothing written, for anything else. */
bool uuid_parse(struct bytes text, uint8_t ret_id[UUID_BYTES]);

#endif
