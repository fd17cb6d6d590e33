/* frame.c: the prefix of frames. Their headers are in frame_header.c. */
#include "proto/frame.h"

#include <protobuf-c/protobuf-c.h>

enum { AT_BODY_SIZE = 0, AT_HEADER_SIZE = 4, AT_KIND = 6, AT_FLAGS = 7, AT_REQUEST_ID = 8 };

static const char *kind_name(unsigned kind)
{
    switch (kind) {
    case FRAME_HELLO:
        return "HELLO";
    case FRAME_HELLO_OK:
        return "HELLO_OK";
    case FRAME_LOGIN:
        return "LOGIN";
    case FRAME_LOGIN_OK:
        return "LOGIN_OK";
    case FRAME_ERROR:
        return "ERROR";
    case FRAME_GOAWAY:
        return "GOAWAY";
    case FRAME_PING:
        return "PING";
    case FRAME_PONG:
        return "PONG";
    case FRAME_PRODUCER_OPEN:
        return "PRODUCER_OPEN";
    case FRAME_PRODUCER_OK:
        return "PRODUCER_OK";
    case FRAME_PUBLISH:
        return "PUBLISH";
    case FRAME_PUBLISH_OK:
        return "PUBLISH_OK";
    case FRAME_READ:
        return "READ";
    case FRAME_READ_OK:
        return "READ_OK";
    case FRAME_READ_DATA:
        return "READ_DATA";
    case FRAME_READ_END:
        return "READ_END";
    case FRAME_CREDIT:
        return "CREDIT";
    case FRAME_CANCEL:
        return "CANCEL";
    case FRAME_TOPICS:
        return "TOPICS";
    case FRAME_TOPICS_OK:
        return "TOPICS_OK";
    case FRAME_LOG_INFO:
        return "LOG_INFO";
    case FRAME_LOG_INFO_OK:
        return "LOG_INFO_OK";
    default:
        return NULL;
    }
}

const char *frame_kind_name(enum frame_kind kind)
{
    const char *name = kind_name((unsigned)kind);
    return name == NULL ? "?" : name;
}

static truc_status refuse(truc_status status, const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return status;
}

truc_status frame_peek(struct bytes arrived, size_t frame_bytes_max, struct frame *ret_frame, size_t *ret_size,
                       const char **ret_why)
{
    const uint8_t *in = arrived.data;

    if (arrived.size < FRAME_PREFIX_BYTES) {
        *ret_size = 0;
        return TRUC_OK;
    }
    size_t body_size = load_u32(in + AT_BODY_SIZE), header_size = load_u16(in + AT_HEADER_SIZE);
    size_t frame_size = FRAME_PREFIX_BYTES + body_size;
    if (kind_name(in[AT_KIND]) == NULL)
        return refuse(TRUC_PROTOCOL, ret_why, "kind: not a kind of frame");
    if (in[AT_FLAGS] != 0)
        return refuse(TRUC_PROTOCOL, ret_why, "flags: not zero");
    if (header_size > FRAME_HEADER_BYTES_MAX)
        return refuse(TRUC_PROTOCOL, ret_why, "header size: over 60 KiB");
    if (header_size > body_size)
        return refuse(TRUC_PROTOCOL, ret_why, "header size: over the body's");
    if (frame_size > frame_bytes_max)
        return refuse(TRUC_FRAME_TOO_LARGE, ret_why, "body size: over the connection's limit");

    struct frame frame = {.kind = (enum frame_kind)in[AT_KIND], .request_id = load_u64(in + AT_REQUEST_ID)};
    if (arrived.size >= frame_size) {
        frame.header = bytes_of(in + FRAME_PREFIX_BYTES, header_size);
        frame.payload = bytes_of(in + FRAME_PREFIX_BYTES + header_size, body_size - header_size);
    }
    *ret_frame = frame;
    *ret_size = frame_size;
    return TRUC_OK;
}

void frame_prefix_write(uint8_t out[FRAME_PREFIX_BYTES], enum frame_kind kind, uint64_t request_id, size_t header_size,
                        size_t payload_size)
{
    store_u32(out + AT_BODY_SIZE, (uint32_t)(header_size + payload_size));
    store_u16(out + AT_HEADER_SIZE, (uint16_t)header_size);
    out[AT_KIND] = (uint8_t)kind;
    out[AT_FLAGS] = 0;
    store_u64(out + AT_REQUEST_ID, request_id);
}

size_t frame_encode(uint8_t *out, size_t capacity, enum frame_kind kind, uint64_t request_id, const struct ProtobufCMessage *header,
                    size_t payload_size)
{
    size_t header_size = protobuf_c_message_get_packed_size(header);
    if (header_size > FRAME_HEADER_BYTES_MAX || capacity < FRAME_PREFIX_BYTES + header_size ||
        payload_size > FRAME_BYTES_MAX - FRAME_PREFIX_BYTES - header_size)
        return 0;
    frame_prefix_write(out, kind, request_id, header_size, payload_size);
    (void)protobuf_c_message_pack(header, out + FRAME_PREFIX_BYTES);
    return FRAME_PREFIX_BYTES + header_size;
}
