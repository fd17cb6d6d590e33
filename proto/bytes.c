/* bytes.c: the bounded cursor. Every read of outside bytes passes through reader_take or reader_varint. */
#include "proto/bytes.h"

struct bytes reader_take(struct reader *r, size_t size)
{
    if (r->failed || size > reader_left(r)) {
        r->failed = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes taken = {r->at, size};
    if (size != 0)
        r->at += size;
    return taken;
}

uint8_t reader_u8(struct reader *r)
{
    struct bytes b = reader_take(r, 1);
    return r->failed ? 0 : b.data[0];
}

uint16_t reader_u16(struct reader *r)
{
    struct bytes b = reader_take(r, 2);
    return r->failed ? (uint16_t)0 : load_u16(b.data);
}

uint32_t reader_u32(struct reader *r)
{
    struct bytes b = reader_take(r, 4);
    return r->failed ? 0 : load_u32(b.data);
}

uint64_t reader_u64(struct reader *r)
{
    struct bytes b = reader_take(r, 8);
    return r->failed ? 0 : load_u64(b.data);
}

uint64_t reader_varint(struct reader *r)
{
    uint64_t value = 0;
    const uint8_t *at = r->at;

    if (r->failed)
        return 0;
    for (unsigned shift = 0; shift < 70 && at != r->end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) /* the tenth byte holds one bit of a u64 */
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            r->at = at;
            return value;
        }
    }
    r->failed = true;
    return 0;
}

struct bytes reader_delimited(struct reader *r)
{
    enum { LENGTH_BYTES_MAX = 5 }; /* protobuf libraries read no more */
    const uint8_t *begin = r->at;
    uint64_t size = reader_varint(r);
    if (r->failed || size > reader_left(r) || r->at - begin > LENGTH_BYTES_MAX) {
        r->failed = true;
        return (struct bytes){NULL, 0};
    }
    return reader_take(r, (size_t)size);
}
