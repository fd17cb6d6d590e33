/* values.h: JSON values as the vectors write them. Layer: tests.
 *
 * Bytes are lower-case hex. 64-bit numbers are decimal strings, since many JSON readers round beyond 2^53; others are numbers.
 * What is zero or empty is left out. A wrong or missing value ends the program: the files are ours. */
#ifndef TRUC_VECTORS_VALUES_H
#define TRUC_VECTORS_VALUES_H

#include <jansson.h>

#include "proto/bytes.h"

enum { BLOB_BYTES_MAX = 64 * 1024 };

/* Bytes being put together. */
struct blob {
    size_t size;
    uint8_t data[BLOB_BYTES_MAX];
};

_Noreturn void vectors_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline struct bytes blob_bytes(const struct blob *blob)
{
    return bytes_of(blob->data, blob->size);
}
void blob_add(struct blob *blob, struct bytes more);

/* Reading: absent is empty or 0. get_hex allocates from memory that lives as long as the program. */
struct bytes get_hex(const json_t *object, const char *key);
struct bytes get_text(const json_t *object, const char *key);
uint64_t get_u64(const json_t *object, const char *key);
int64_t get_i64(const json_t *object, const char *key);
struct bytes hex_of(const json_t *value);

/* Writing: zero and empty are left out. */
void put_hex(json_t *object, const char *key, struct bytes value);
void put_text(json_t *object, const char *key, struct bytes value);
void put_number(json_t *object, const char *key, uint64_t value); /* up to 32 bits */
void put_u64(json_t *object, const char *key, uint64_t value);
void put_i64(json_t *object, const char *key, int64_t value);
void put(json_t *object, const char *key, json_t *value); /* takes value */
json_t *hex_value(struct bytes bytes);

#endif
