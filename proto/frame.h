/* frame.h: the unit of the wire. Layer: proto. docs/protocol.md "Frames".
 *
 *   0 u32 body size (header + payload)   8 u64 request id
 *   4 u16 header size                   16 header (a message of truc/v1/wire.proto, named by the kind)
 *   6 u8  kind                             payload
 *   7 u8  flags = 0 */
#ifndef TRUC_PROTO_FRAME_H
#define TRUC_PROTO_FRAME_H

#include "bytes.h"
#include "limits.h"
#include "status.h"

enum frame_kind {
    FRAME_HELLO = 1,
    FRAME_HELLO_OK = 2,
    FRAME_LOGIN = 3,
    FRAME_LOGIN_OK = 4,
    FRAME_ERROR = 5,
    FRAME_GOAWAY = 6,
    FRAME_PING = 7,
    FRAME_PONG = 8,
    FRAME_PRODUCER_OPEN = 16,
    FRAME_PRODUCER_OK = 17,
    FRAME_PUBLISH = 18,
    FRAME_PUBLISH_OK = 19,
    FRAME_READ = 32,
    FRAME_READ_OK = 33,
    FRAME_READ_DATA = 34,
    FRAME_READ_END = 35,
    FRAME_CREDIT = 36,
    FRAME_CANCEL = 37,
    FRAME_TOPICS = 48,
    FRAME_TOPICS_OK = 49,
    FRAME_LOG_INFO = 50,
    FRAME_LOG_INFO_OK = 51,
    FRAME_SUBSCRIPTION_CREATE = 64,
    FRAME_SUBSCRIPTION_CHANGE = 65,
    FRAME_SUBSCRIPTION_OK = 66,
    FRAME_SUBSCRIPTIONS = 67,
    FRAME_SUBSCRIPTIONS_OK = 68,
    FRAME_SUBSCRIBE = 69,
    FRAME_SUBSCRIBE_OK = 70,
    FRAME_DELIVER = 71,
    FRAME_SETTLE = 72,
    FRAME_SETTLE_OK = 73,
    FRAME_DEAD = 80,
    FRAME_DEAD_OK = 81,
    FRAME_RECEIPT = 82,
    FRAME_RECEIPT_OK = 83
};

struct frame {
    enum frame_kind kind;
    uint64_t request_id;
    struct bytes header, payload; /* borrowed */
};

/* Looks at the front of what arrived. Returns TRUC_OK with *ret_size = bytes of the whole frame (prefix included) as soon as the
 * prefix is there, even when the rest is not (then ret_frame->header.data is NULL); *ret_size = 0 when more prefix is needed.
 * TRUC_FRAME_TOO_LARGE, TRUC_PROTOCOL (kind, flags, sizes that contradict each other): the connection cannot go on. */
truc_status frame_peek(struct bytes arrived, size_t frame_bytes_max, struct frame *ret_frame, size_t *ret_size,
                       const char **ret_why);

/* Writes the 16 bytes of a prefix. */
void frame_prefix_write(uint8_t out[FRAME_PREFIX_BYTES], enum frame_kind kind, uint64_t request_id, size_t header_size,
                        size_t payload_size);

/* --- headers: protobuf-c messages, decoded into a capped arena after a pre-scan ------------------------------------------- */

/* A bump allocator over caller's memory; what does not fit fails the decoding. One thread. */
struct arena {
    uint8_t *at, *end;
};
enum { HEADER_ARENA_BYTES = 16 * 1024 };

struct ProtobufCMessageDescriptor;

/* The message type of a kind's header; NULL for a number that is not a kind. */
const struct ProtobufCMessageDescriptor *frame_header_descriptor(enum frame_kind kind);

/* Decodes a header of the given descriptor; the message lives in the arena. The pre-scan refuses nesting beyond 4, more than
 * 4096 fields, duplicates of singular fields, two members of a oneof, strings that are not UTF-8 or hold a zero byte. NULL when
 * malformed or too large: *ret_why. HEADER_ARENA_BYTES are plenty for a request; a page of n bytes decodes within 4 KiB + 16 n. */
void *frame_header_decode(struct arena *arena, const struct ProtobufCMessageDescriptor *descriptor, struct bytes header,
                          const char **ret_why);

/* The frame of a protobuf-c message without payload, or with room for one: writes prefix and header into out and returns their
 * size; 0 when capacity is too small or the header exceeds FRAME_HEADER_BYTES_MAX. */
struct ProtobufCMessage;
size_t frame_encode(uint8_t *out, size_t capacity, enum frame_kind kind, uint64_t request_id, const struct ProtobufCMessage *header,
                    size_t payload_size);

const char *frame_kind_name(enum frame_kind kind); /* "PUBLISH"; "?" for a number that is not a kind */

#endif
