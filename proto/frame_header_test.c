#include "proto/frame.h"
#include "proto/test_support.h"

#include <stdlib.h>

#include "truc/v1/wire.pb-c.h"

static uint8_t memory[HEADER_ARENA_BYTES];

static void *decode(const ProtobufCMessageDescriptor *descriptor, struct bytes header, const char **why)
{
    struct arena arena = {memory, memory + sizeof memory};
    *why = NULL;
    return frame_header_decode(&arena, descriptor, header, why);
}

static void assert_refused(const ProtobufCMessageDescriptor *descriptor, const char *hex, const char *part_of_why)
{
    uint8_t buffer[256];
    const char *why;
    assert_null(decode(descriptor, from_hex(hex, buffer), &why));
    if (strstr(why, part_of_why) == NULL)
        fail_msg("%s: %s, not %s", hex, why, part_of_why);
}

static void decode_empty_header_gives_defaults(void **state)
{
    const char *why;
    (void)state;
    Truc__V1__Read *read = decode(&truc__v1__read__descriptor, bytes_of(NULL, 0), &why);
    assert_non_null(read);
    assert_string_equal(read->pattern, "");
    assert_null(read->from);
}

static void decode_hostile_headers_are_refused(void **state)
{
    (void)state;
    assert_refused(&truc__v1__ping__descriptor, "08", "cut short");
    assert_refused(&truc__v1__ping__descriptor, "00 01", "not protobuf");
    assert_refused(&truc__v1__ping__descriptor, "0b 0c", "not protobuf"); /* a group */
    assert_refused(&truc__v1__error__descriptor, "08 01 08 01", "twice");
    assert_refused(&truc__v1__error__descriptor, "12 01 61 12 01 61", "twice");
    assert_refused(&truc__v1__error__descriptor, "12 02 c0 80", "UTF-8");
    assert_refused(&truc__v1__error__descriptor, "12 03 61 00 62", "zero byte");
    assert_refused(&truc__v1__error__descriptor, "12 05 61", "cut short");
    assert_refused(&truc__v1__error__descriptor, "10 05", "wire type");
    assert_refused(&truc__v1__error__descriptor, "0a 01 05", "wire type"); /* a scalar that is not repeated is never packed */
    assert_refused(&truc__v1__read__descriptor, "12 02 08 01 12 02 08 01", "twice");
    assert_refused(&truc__v1__read__descriptor, "12 04 08 01 10 01", "oneof");
    assert_refused(&truc__v1__read__descriptor, "12 04 08 01 08 01", "twice");
    assert_refused(&truc__v1__read__descriptor, "10 01", "wire type");
    assert_refused(&truc__v1__producer_ok__descriptor, "1a 03 0a 01 ff", "UTF-8");
}

static void decode_repeated_fields_packed_or_not(void **state)
{
    uint8_t buffer[64];
    const char *why;
    (void)state;
    Truc__V1__Publish *publish = decode(&truc__v1__publish__descriptor, from_hex("0a 02 05 06 08 07", buffer), &why);
    assert_non_null(publish);
    assert_int_equal(publish->n_batch_bytes, 3);
    assert_int_equal(publish->batch_bytes[2], 7);
}

static void decode_unknown_fields_are_accepted(void **state)
{
    uint8_t buffer[64];
    const char *why;
    (void)state;
    Truc__V1__Error *error = decode(&truc__v1__error__descriptor, from_hex("08 19 f2 3f 01 61 f2 3f 01 62", buffer), &why);
    assert_non_null(error);
    assert_int_equal(error->status, 25);
}

static void decode_field_count_is_limited(void **state)
{
    static uint8_t header[2 * 4097];
    struct arena arena;
    static uint8_t large[4 * 1024 * 1024];
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof header; i += 2) {
        header[i] = 0x08; /* batch_bytes */
        header[i + 1] = 1;
    }
    arena = (struct arena){large, large + sizeof large};
    assert_non_null(frame_header_decode(&arena, &truc__v1__publish__descriptor, bytes_of(header, 2 * 4096), &why));
    arena = (struct arena){large, large + sizeof large};
    assert_null(frame_header_decode(&arena, &truc__v1__publish__descriptor, bytes_of(header, 2 * 4097), &why));
    assert_string_equal(why, "more than 4096 fields");
}

static void decode_beyond_the_arena_fails(void **state)
{
    uint8_t header[202] = {0x12, 0xc7, 0x01};
    const char *why = NULL;
    bool fitted = false;
    (void)state;
    memset(header + 3, 'a', 199);
    for (size_t size = 0; size < 1024 && !fitted; size++) {
        uint8_t *exact = malloc(size == 0 ? 1 : size); /* a sanitizer sees any byte used beyond */
        assert_non_null(exact);
        struct arena arena = {exact, exact + size};
        Truc__V1__Error *error = frame_header_decode(&arena, &truc__v1__error__descriptor, bytes_of(header, sizeof header), &why);
        if (error == NULL)
            assert_string_equal(why, "malformed, or larger than the arena");
        else
            assert_int_equal(strlen(error->message), 199);
        fitted = error != NULL;
        free(exact);
    }
    assert_true(fitted);
}

static void decode_over_60_kib_is_refused(void **state)
{
    static uint8_t header[FRAME_HEADER_BYTES_MAX + 1];
    const char *why;
    (void)state;
    assert_null(decode(&truc__v1__ping__descriptor, bytes_of(header, sizeof header), &why));
    assert_string_equal(why, "over 60 KiB");
}

/* The largest pages the broker sends; a client sizes its arena by the rule in frame.h. */
static void decode_full_page_of_sequences_fits_16_times_its_size(void **state)
{
    static Truc__V1__TopicSequence sequences[2000];
    static Truc__V1__TopicSequence *pointers[2000];
    static uint8_t out[FRAME_PREFIX_BYTES + FRAME_HEADER_BYTES_MAX], large[16 * FRAME_HEADER_BYTES_MAX];
    Truc__V1__ProducerOk ok = TRUC__V1__PRODUCER_OK__INIT;
    struct arena arena = {large, NULL};
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i < 2000; i++) {
        truc__v1__topic_sequence__init(&sequences[i]);
        sequences[i].topic = "t.a";
        sequences[i].next_sequence = i;
        pointers[i] = &sequences[i];
    }
    ok.sequences = pointers;
    for (size_t count = 0; count <= 1300; count += 50) {
        ok.n_sequences = count;
        size_t size = frame_encode(out, sizeof out, FRAME_PRODUCER_OK, 1, &ok.base, 0);
        assert_true(size > 0);
        size_t header_size = size - FRAME_PREFIX_BYTES;
        arena = (struct arena){large, large + 4096 + 16 * header_size};
        if (arena.end > large + sizeof large)
            break;
        Truc__V1__ProducerOk *back =
            frame_header_decode(&arena, &truc__v1__producer_ok__descriptor, bytes_of(out + FRAME_PREFIX_BYTES, header_size), &why);
        assert_non_null(back);
        assert_int_equal(back->n_sequences, count);
    }
}

static void decode_altered_headers_stay_in_bounds(void **state)
{
    static const char *const hexes[] = {
        "0a 05 61 2e 62 2e 3e 12 02 10 05 1a 02 20 01 20 01 30 80 80 40 42 02 6b 31 51 01 02 03 04 05 06 07 08 62 03 48 32 36",
        "0a 03 61 2e 62 10 01 18 02 20 03",
        "0a 04 08 01 10 02 1a 05 0a 01 61 10 09 1a 05 0a 01 62 10 08 20 01",
    };
    static const ProtobufCMessageDescriptor *const descriptors[] = {
        &truc__v1__read__descriptor, &truc__v1__topics_ok__descriptor, &truc__v1__producer_ok__descriptor,
        &truc__v1__client_hello__descriptor, &truc__v1__server_hello__descriptor};
    struct random random = {31};
    size_t decoded = 0;
    (void)state;
    for (int round = 0; round < 100000; round++) {
        uint8_t buffer[128];
        const char *why;
        struct bytes good = from_hex(hexes[random_below(&random, 3)], buffer);
        size_t size = random_below(&random, 3) == 0 ? random_below(&random, good.size + 1) : good.size;
        uint8_t *exact = malloc(size == 0 ? 1 : size);
        assert_non_null(exact);
        memcpy(exact, buffer, size);
        for (size_t i = random_below(&random, 3); i > 0 && size > 0; i--)
            exact[random_below(&random, size)] = (uint8_t)random_next(&random);
        decoded += decode(descriptors[random_below(&random, 5)], bytes_of(exact, size), &why) != NULL;
        free(exact);
    }
    assert_true(decoded > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_empty_header_gives_defaults),
        cmocka_unit_test(decode_hostile_headers_are_refused),
        cmocka_unit_test(decode_repeated_fields_packed_or_not),
        cmocka_unit_test(decode_unknown_fields_are_accepted),
        cmocka_unit_test(decode_field_count_is_limited),
        cmocka_unit_test(decode_beyond_the_arena_fails),
        cmocka_unit_test(decode_over_60_kib_is_refused),
        cmocka_unit_test(decode_full_page_of_sequences_fits_16_times_its_size),
        cmocka_unit_test(decode_altered_headers_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
