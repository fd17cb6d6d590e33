#include "answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "broker/core/connection.h"
#include "proto/utf8.h"
#include "truc/v1/wire.pb-c.h"

enum { ERROR_TEXT_BYTES = 640 };

void answer_message(struct core *core, struct connection *connection, enum frame_kind kind, uint64_t request_id,
                    const struct ProtobufCMessage *header, struct bytes payload)
{
    size_t size = FRAME_PREFIX_BYTES + protobuf_c_message_get_packed_size(header) + payload.size;
    uint8_t *out;

    if (connection->state == CONNECTION_CLOSING)
        return;
    out = output_room(&core->output, connection, size);
    if (!out) {
        connection_close(core, connection);
        return;
    }
    size = frame_encode(out, size, kind, request_id, header, payload.size);
    CORE_INVARIANT(size > 0);
    if (payload.size > 0)
        memcpy(out + size, payload.data, payload.size);
    output_written(&core->output, connection, size + payload.size);
}

/* Texts of others (a reason of the log, a configured name) must not make our answer malformed. */
static void keep_utf8(char *text)
{
    if (utf8_valid(bytes_of_text(text)))
        return;
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
}

static void error_format(struct core *core, struct connection *connection, uint64_t request_id, struct refusal refusal,
                         const char *format, va_list arguments)
{
    Truc__V1__Error error = TRUC__V1__ERROR__INIT;
    char text[ERROR_TEXT_BYTES];

    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the callers start it; clang-tidy 14 loses sight of it */
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    keep_utf8(text);
    error.status = (uint32_t)refusal.status;
    error.message = text;
    error.retry_after_ms = refusal.retry_after_ms;
    error.actual = refusal.actual;
    answer_message(core, connection, FRAME_ERROR, request_id, &error.base, bytes_of(NULL, 0));
}

void answer_error(struct core *core, struct connection *connection, uint64_t request_id, struct refusal refusal, const char *format,
                  ...)
{
    va_list arguments;

    va_start(arguments, format);
    error_format(core, connection, request_id, refusal, format, arguments);
    va_end(arguments);
}

void answer_fatal(struct core *core, struct connection *connection, uint64_t request_id, truc_status status, const char *format,
                  ...)
{
    va_list arguments;

    va_start(arguments, format);
    error_format(core, connection, request_id, refusal_of(status), format, arguments);
    va_end(arguments);
    connection_close(core, connection);
}

void *request_decode(struct core *core, struct connection *connection, const struct frame *frame,
                     const struct ProtobufCMessageDescriptor *descriptor)
{
    struct arena arena = {core->arena, core->arena + sizeof core->arena};
    const char *why = "malformed";
    void *message = frame_header_decode(&arena, descriptor, frame->header, &why);

    if (!message)
        answer_fatal(core, connection, 0, TRUC_PROTOCOL,
                     "the header of a %s frame cannot be read (%s); the client is faulty, see docs/protocol.md",
                     frame_kind_name(frame->kind), why);
    return message;
}
