/* protobuf_wire.h: protobuf's encoding, for walkers that need no message structs. Layer: proto. Pure, any thread.
 *
 * Strict where protobuf libraries differ: a tag has at most 5 bytes, field numbers begin at 1, groups are malformed. */
#ifndef TRUC_PROTO_PROTOBUF_WIRE_H
#define TRUC_PROTO_PROTOBUF_WIRE_H

#include "bytes.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_DELIMITED = 2, WIRE_FIXED32 = 5 };

/* The next tag: field number << 3 | wire type. Fails the reader, and is 0, when malformed. */
uint32_t protobuf_tag(struct reader *r);

/* Steps over a value of a wire type; a delimited or fixed one is returned. */
struct bytes protobuf_skip(struct reader *r, uint32_t wire_type);

#endif
