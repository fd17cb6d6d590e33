/* answer.h: frames to clients, encoded into the output of the step. Layer: core. One thread.
 *
 * Nothing here fails towards its caller: a connection whose answer cannot be stored for want of memory is closed, which a client
 * understands as "ask again". Nothing is sent to a connection that is being closed. */
#ifndef TRUC_CORE_ANSWER_H
#define TRUC_CORE_ANSWER_H

#include "broker/core/core_internal.h"

struct ProtobufCMessage;

/* A frame of a message, and a payload that is copied. */
void answer_message(struct core *core, struct connection *connection, enum frame_kind kind, uint64_t request_id,
                    const struct ProtobufCMessage *header, struct bytes payload);

/* ERROR to a request. The text says cause and next step. retry_after_ms and actual: 0 for none. */
struct refusal {
    truc_status status;
    uint32_t retry_after_ms;
    uint64_t actual;
};
static inline struct refusal refusal_of(truc_status status)
{
    return (struct refusal){.status = status};
}
static inline struct refusal refusal_retry(truc_status status, uint32_t after_ms)
{
    return (struct refusal){.status = status, .retry_after_ms = after_ms};
}
static inline struct refusal refusal_actual(truc_status status, uint64_t actual)
{
    return (struct refusal){.status = status, .actual = actual};
}
void answer_error(struct core *core, struct connection *connection, uint64_t request_id, struct refusal refusal, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* ERROR, then the connection is closed. request_id 0 unless the error answers HELLO or LOGIN. */
void answer_fatal(struct core *core, struct connection *connection, uint64_t request_id, truc_status status, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* Decodes a frame's header as a message of this descriptor into the core's arena, where it lives until the next decoding. NULL
 * when it is malformed: the connection was told so and is being closed. */
struct ProtobufCMessageDescriptor;
void *request_decode(struct core *core, struct connection *connection, const struct frame *frame,
                     const struct ProtobufCMessageDescriptor *descriptor);

#endif
