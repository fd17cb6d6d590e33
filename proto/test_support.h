/* test_support.h: what the unit tests of the formats share. Layer: tests only; never linked into the product. One thread. */
#ifndef TRUC_PROTO_TEST_SUPPORT_H
#define TRUC_PROTO_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/bytes.h"

#define assert_bytes(bytes, text) assert_true(bytes_equal((bytes), bytes_of_text(text)))
#define assert_status(call, status) assert_int_equal((call), (status))

/* A small reproducible generator (xorshift64*). */
struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline size_t random_below(struct random *random, size_t limit)
{
    return (size_t)(random_next(random) % limit);
}

static inline void random_fill(struct random *random, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)random_next(random);
}

/* Bytes written as "0a 10 ff" or "0a10ff"; out has room for them. */
static inline struct bytes from_hex(const char *hex, uint8_t *out)
{
    size_t digits = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        uint8_t digit = (uint8_t)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
        out[digits / 2] = (uint8_t)(digits % 2 == 0 ? digit << 4 : out[digits / 2] | digit);
        digits++;
    }
    return bytes_of(out, digits / 2);
}

#endif
