/* bytes.h: borrowed byte ranges, little-endian fields, and bounded cursors over them.
 *
 * Layer: proto. No allocation, no state, any thread. Everything that reads outside bytes goes through a reader:
 * once a read goes beyond the end, or a varint is malformed, the reader is failed, stays failed and yields zeros,
 * so a parser checks once, at its end. */
#ifndef TRUC_PROTO_BYTES_H
#define TRUC_PROTO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns. data may be NULL when size is 0. Not terminated. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){(const uint8_t *)data, size};
}
static inline struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Little-endian loads and stores at any alignment. */
static inline uint16_t load_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t load_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t load_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void store_u16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline void store_u32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline void store_u64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian and so must the machine be");

/* Rounds up to the next multiple of 8: every part of a block is aligned so. */
static inline size_t align8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static inline struct reader reader_over(struct bytes b)
{
    return (struct reader){b.data, b.size == 0 ? b.data : b.data + b.size, false};
}
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}
struct bytes reader_take(struct reader *r, size_t size);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
uint64_t reader_varint(struct reader *r);        /* at most 10 bytes */
struct bytes reader_delimited(struct reader *r); /* varint length of at most 5 bytes, then that many bytes */

/* Protobuf varints. varint_put writes at most 10 bytes and returns the end. */
static inline size_t varint_size(uint64_t v)
{
    return ((size_t)(63 - __builtin_clzll(v | 1)) * 9 + 73) / 64;
}
static inline uint8_t *varint_put(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

#endif
