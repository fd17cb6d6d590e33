/* fuzz_frame.c: any bytes as what a connection brings: frames, and their headers decoded within an arena. What decodes encodes to
 * a frame that decodes again. */
#include "proto/frame.h"

#include <protobuf-c/protobuf-c.h>

#include "tests/fuzz/fuzz_check.h"

static void decode(const struct frame *frame)
{
    static uint8_t memory[HEADER_ARENA_BYTES], again[16 * HEADER_ARENA_BYTES], out[FRAME_PREFIX_BYTES + FRAME_HEADER_BYTES_MAX];
    const ProtobufCMessageDescriptor *descriptor = frame_header_descriptor(frame->kind);
    struct arena arena = {memory, memory + sizeof memory};
    struct frame encoded;
    const char *why = NULL;
    size_t size;

    check(descriptor != NULL);
    ProtobufCMessage *message = frame_header_decode(&arena, descriptor, frame->header, &why);
    check((message == NULL) == (why != NULL));
    if (message == NULL)
        return;
    size = frame_encode(out, sizeof out, frame->kind, frame->request_id, message, 0);
    if (size == 0) /* packed wider than it came */
        return;
    check(frame_peek(bytes_of(out, size), sizeof out, &encoded, &size, NULL) == TRUC_OK && encoded.kind == frame->kind);
    arena = (struct arena){again, again + sizeof again};
    check(frame_header_decode(&arena, descriptor, encoded.header, NULL) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes arrived = bytes_of(data, size);
    struct frame frame;
    const char *why = NULL;
    size_t frame_size;

    while (frame_peek(arrived, size, &frame, &frame_size, &why) == TRUC_OK && frame_size != 0 && frame_size <= arrived.size) {
        check(frame.header.size + frame.payload.size + FRAME_PREFIX_BYTES == frame_size);
        decode(&frame);
        arrived = bytes_of(arrived.data + frame_size, arrived.size - frame_size);
    }
    return 0;
}
