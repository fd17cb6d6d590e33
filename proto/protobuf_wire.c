#include "proto/protobuf_wire.h"

enum { TAG_BYTES_MAX = 5 };

uint32_t protobuf_tag(struct reader *r)
{
    const uint8_t *begin = r->at;
    uint64_t tag = reader_varint(r);

    if (r->failed || tag < 8 || tag > UINT32_MAX || r->at - begin > TAG_BYTES_MAX) {
        r->failed = true;
        return 0;
    }
    return (uint32_t)tag;
}

struct bytes protobuf_skip(struct reader *r, uint32_t wire_type)
{
    struct bytes none = {NULL, 0};

    switch (wire_type) {
    case WIRE_VARINT:
        (void)reader_varint(r);
        return none;
    case WIRE_FIXED64:
        return reader_take(r, 8);
    case WIRE_DELIMITED:
        return reader_delimited(r);
    case WIRE_FIXED32:
        return reader_take(r, 4);
    default:
        r->failed = true;
        return none;
    }
}
