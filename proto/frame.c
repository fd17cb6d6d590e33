/* frame.c: the prefix of frames. Their headers are in frame_header.c. */
#include "proto/frame.h"

#include <protobuf-c/protobuf-c.h>

#include "truc/v1/wire.pb-c.h"

enum { AT_BODY_SIZE = 0, AT_HEADER_SIZE = 4, AT_KIND = 6, AT_FLAGS = 7, AT_REQUEST_ID = 8 };

struct kind_row {
    const char *name;
    const ProtobufCMessageDescriptor *header;
};

/* By number; a row without a name is not a kind. */
static const struct kind_row kinds[] = {
    [FRAME_HELLO] = {"HELLO", &truc__v1__client_hello__descriptor},
    [FRAME_HELLO_OK] = {"HELLO_OK", &truc__v1__server_hello__descriptor},
    [FRAME_LOGIN] = {"LOGIN", &truc__v1__login__descriptor},
    [FRAME_LOGIN_OK] = {"LOGIN_OK", &truc__v1__login_ok__descriptor},
    [FRAME_ERROR] = {"ERROR", &truc__v1__error__descriptor},
    [FRAME_GOAWAY] = {"GOAWAY", &truc__v1__go_away__descriptor},
    [FRAME_PING] = {"PING", &truc__v1__ping__descriptor},
    [FRAME_PONG] = {"PONG", &truc__v1__pong__descriptor},
    [FRAME_PRODUCER_OPEN] = {"PRODUCER_OPEN", &truc__v1__producer_open__descriptor},
    [FRAME_PRODUCER_OK] = {"PRODUCER_OK", &truc__v1__producer_ok__descriptor},
    [FRAME_PUBLISH] = {"PUBLISH", &truc__v1__publish__descriptor},
    [FRAME_PUBLISH_OK] = {"PUBLISH_OK", &truc__v1__publish_ok__descriptor},
    [FRAME_READ] = {"READ", &truc__v1__read__descriptor},
    [FRAME_READ_OK] = {"READ_OK", &truc__v1__read_ok__descriptor},
    [FRAME_READ_DATA] = {"READ_DATA", &truc__v1__read_data__descriptor},
    [FRAME_READ_END] = {"READ_END", &truc__v1__read_end__descriptor},
    [FRAME_CREDIT] = {"CREDIT", &truc__v1__credit__descriptor},
    [FRAME_CANCEL] = {"CANCEL", &truc__v1__cancel__descriptor},
    [FRAME_TOPICS] = {"TOPICS", &truc__v1__topics__descriptor},
    [FRAME_TOPICS_OK] = {"TOPICS_OK", &truc__v1__topics_ok__descriptor},
    [FRAME_LOG_INFO] = {"LOG_INFO", &truc__v1__log_info__descriptor},
    [FRAME_LOG_INFO_OK] = {"LOG_INFO_OK", &truc__v1__log_info_ok__descriptor},
    [FRAME_SUBSCRIPTION_CREATE] = {"SUBSCRIPTION_CREATE", &truc__v1__subscription_create__descriptor},
    [FRAME_SUBSCRIPTION_CHANGE] = {"SUBSCRIPTION_CHANGE", &truc__v1__subscription_change__descriptor},
    [FRAME_SUBSCRIPTION_OK] = {"SUBSCRIPTION_OK", &truc__v1__subscription_ok__descriptor},
    [FRAME_SUBSCRIPTIONS] = {"SUBSCRIPTIONS", &truc__v1__subscriptions__descriptor},
    [FRAME_SUBSCRIPTIONS_OK] = {"SUBSCRIPTIONS_OK", &truc__v1__subscriptions_ok__descriptor},
    [FRAME_SUBSCRIBE] = {"SUBSCRIBE", &truc__v1__subscribe__descriptor},
    [FRAME_SUBSCRIBE_OK] = {"SUBSCRIBE_OK", &truc__v1__subscribe_ok__descriptor},
    [FRAME_DELIVER] = {"DELIVER", &truc__v1__deliver__descriptor},
    [FRAME_SETTLE] = {"SETTLE", &truc__v1__settle__descriptor},
    [FRAME_SETTLE_OK] = {"SETTLE_OK", &truc__v1__settle_ok__descriptor},
    [FRAME_DEAD] = {"DEAD", &truc__v1__dead__descriptor},
    [FRAME_DEAD_OK] = {"DEAD_OK", &truc__v1__dead_ok__descriptor},
    [FRAME_RECEIPT] = {"RECEIPT", &truc__v1__receipt__descriptor},
    [FRAME_RECEIPT_OK] = {"RECEIPT_OK", &truc__v1__receipt_ok__descriptor},
};

static const struct kind_row *row_of(unsigned kind)
{
    return kind < sizeof kinds / sizeof kinds[0] && kinds[kind].name != NULL ? &kinds[kind] : NULL;
}

const char *frame_kind_name(enum frame_kind kind)
{
    const struct kind_row *row = row_of((unsigned)kind);
    return row == NULL ? "?" : row->name;
}

const struct ProtobufCMessageDescriptor *frame_header_descriptor(enum frame_kind kind)
{
    const struct kind_row *row = row_of((unsigned)kind);
    return row == NULL ? NULL : row->header;
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
    if (row_of(in[AT_KIND]) == NULL)
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
