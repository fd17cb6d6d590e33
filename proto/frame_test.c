#include "proto/frame.h"
#include "proto/test_support.h"

#include "truc/v1/wire.pb-c.h"

static const size_t frame_max = 4096;

static truc_status peek(const uint8_t *data, size_t size, struct frame *frame, size_t *frame_size, const char **why)
{
    *why = NULL;
    return frame_peek(bytes_of(data, size), frame_max, frame, frame_size, why);
}

static void peek_needs_the_prefix_then_the_rest(void **state)
{
    uint8_t out[FRAME_PREFIX_BYTES + 10] = {0};
    struct frame frame;
    size_t size;
    const char *why;
    (void)state;
    frame_prefix_write(out, FRAME_PUBLISH, 0x1122334455667788, 4, 6);
    for (size_t arrived = 0; arrived < FRAME_PREFIX_BYTES; arrived++) {
        size = 99;
        assert_status(peek(out, arrived, &frame, &size, &why), TRUC_OK);
        assert_int_equal(size, 0);
    }
    for (size_t arrived = FRAME_PREFIX_BYTES; arrived < sizeof out; arrived++) {
        assert_status(peek(out, arrived, &frame, &size, &why), TRUC_OK);
        assert_int_equal(size, sizeof out);
        assert_int_equal(frame.kind, FRAME_PUBLISH);
        assert_true(frame.request_id == UINT64_C(0x1122334455667788));
        assert_null(frame.header.data);
    }
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_OK);
    assert_ptr_equal(frame.header.data, out + FRAME_PREFIX_BYTES);
    assert_int_equal(frame.header.size, 4);
    assert_ptr_equal(frame.payload.data, out + FRAME_PREFIX_BYTES + 4);
    assert_int_equal(frame.payload.size, 6);
}

static void peek_empty_frame_is_complete(void **state)
{
    uint8_t out[FRAME_PREFIX_BYTES];
    struct frame frame;
    size_t size;
    const char *why;
    (void)state;
    frame_prefix_write(out, FRAME_CANCEL, 1, 0, 0);
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_OK);
    assert_int_equal(size, FRAME_PREFIX_BYTES);
    assert_non_null(frame.header.data);
}

static void peek_lying_prefix_is_refused(void **state)
{
    uint8_t out[FRAME_PREFIX_BYTES];
    struct frame frame;
    size_t size;
    const char *why;
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        frame_prefix_write(out, (enum frame_kind)kind, 1, 0, 0);
        bool known = strcmp(frame_kind_name((enum frame_kind)kind), "?") != 0;
        assert_status(peek(out, sizeof out, &frame, &size, &why), known ? TRUC_OK : TRUC_PROTOCOL);
    }
    frame_prefix_write(out, FRAME_PING, 1, 0, 0);
    out[7] = 0x80;
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_PROTOCOL);
    frame_prefix_write(out, FRAME_PING, 1, 5, 0);
    store_u32(out, 4);
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_PROTOCOL);
    frame_prefix_write(out, FRAME_PING, 1, 0xffff, 0);
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_PROTOCOL);
    frame_prefix_write(out, FRAME_PING, 1, 0, 0);
    store_u32(out, 0xffffffff);
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_FRAME_TOO_LARGE);
    frame_prefix_write(out, FRAME_PING, 1, 0, frame_max - FRAME_PREFIX_BYTES);
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_OK);
    frame_prefix_write(out, FRAME_PING, 1, 0, frame_max - FRAME_PREFIX_BYTES + 1);
    assert_status(peek(out, sizeof out, &frame, &size, &why), TRUC_FRAME_TOO_LARGE);
    assert_non_null(why);
}

static void encode_then_peek_and_decode(void **state)
{
    uint8_t out[256], memory[1024];
    Truc__V1__PublishOk ok = TRUC__V1__PUBLISH_OK__INIT;
    struct arena arena = {memory, memory + sizeof memory};
    struct frame frame;
    size_t frame_size;
    const char *why;
    (void)state;
    ok.position = 12;
    ok.base_offset = 345;
    ok.append_time_ns = -1;
    ok.duplicate = 1;
    size_t size = frame_encode(out, sizeof out, FRAME_PUBLISH_OK, 42, &ok.base, 0);
    assert_true(size > FRAME_PREFIX_BYTES);
    assert_status(peek(out, size, &frame, &frame_size, &why), TRUC_OK);
    assert_int_equal(frame_size, size);
    assert_int_equal(frame.request_id, 42);
    Truc__V1__PublishOk *back = frame_header_decode(&arena, &truc__v1__publish_ok__descriptor, frame.header, &why);
    assert_non_null(back);
    assert_int_equal(back->position, 12);
    assert_int_equal(back->base_offset, 345);
    assert_true(back->append_time_ns == -1 && back->duplicate);
}

static void encode_announces_a_payload_that_follows(void **state)
{
    uint8_t out[256];
    Truc__V1__Publish publish = TRUC__V1__PUBLISH__INIT;
    struct frame frame;
    size_t frame_size;
    const char *why;
    (void)state;
    assert_int_equal(frame_encode(out, sizeof out, FRAME_PUBLISH, 7, &publish.base, 1000), FRAME_PREFIX_BYTES);
    assert_status(peek(out, FRAME_PREFIX_BYTES, &frame, &frame_size, &why), TRUC_OK);
    assert_int_equal(frame_size, FRAME_PREFIX_BYTES + 1000);
}

static void encode_without_room_is_zero(void **state)
{
    static char text[FRAME_HEADER_BYTES_MAX + 1];
    static uint8_t out[2 * FRAME_HEADER_BYTES_MAX];
    Truc__V1__GoAway message = TRUC__V1__GO_AWAY__INIT;
    (void)state;
    memset(text, 'a', sizeof text - 1);
    message.reason = text;
    assert_int_equal(frame_encode(out, sizeof out, FRAME_GOAWAY, 0, &message.base, 0), 0); /* over the header's limit */
    text[100] = '\0';
    assert_int_equal(frame_encode(out, FRAME_PREFIX_BYTES + 102, FRAME_GOAWAY, 0, &message.base, 0), FRAME_PREFIX_BYTES + 102);
    assert_int_equal(frame_encode(out, FRAME_PREFIX_BYTES + 101, FRAME_GOAWAY, 0, &message.base, 0), 0);
    assert_int_equal(frame_encode(out, sizeof out, FRAME_GOAWAY, 0, &message.base, FRAME_BYTES_MAX), 0);
    assert_int_equal(frame_encode(out, sizeof out, FRAME_GOAWAY, 0, &message.base, SIZE_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peek_needs_the_prefix_then_the_rest),
        cmocka_unit_test(peek_empty_frame_is_complete),
        cmocka_unit_test(peek_lying_prefix_is_refused),
        cmocka_unit_test(encode_then_peek_and_decode),
        cmocka_unit_test(encode_announces_a_payload_that_follows),
        cmocka_unit_test(encode_without_room_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
