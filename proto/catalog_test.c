#include "proto/catalog.h"
#include "proto/test_support.h"

#include <stdlib.h>

static const struct delta samples[] = {
    {.kind = DELTA_LOG,
     .log = {.log_id = {1, 2}, .generation = 3, .hash_secret = {4}, .created_ns = -5, .domain = {(const uint8_t *)"H26/prod", 8}}},
    {.kind = DELTA_TOPIC, .topic = {.topic_id = 4, .evidence = 2, .name = {(const uint8_t *)"a.b", 3}}},
    {.kind = DELTA_PRODUCER,
     .producer =
         {.producer_id = 7, .epoch = 3, .named = true, .scope = {(const uint8_t *)"H26/x", 5}, .name = {(const uint8_t *)"n", 1}}},
    {.kind = DELTA_PRODUCER, .producer = {.producer_id = 8, .epoch = 1, .scope = {(const uint8_t *)"H26/x", 5}}},
    {.kind = DELTA_PRODUCER_END, .producer_end = 8},
    {.kind = DELTA_CLOCK, .clock = {.expected_ns = 10, .found_ns = -10}},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static size_t write_all(uint8_t *out)
{
    size_t size = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t written = delta_write(out + size, &samples[i]);
        assert_true(written <= DELTA_BYTES_MAX && written % 8 == 0);
        size += written;
    }
    return size;
}

static void deltas_come_back_in_order(void **state)
{
    uint8_t out[SAMPLES * DELTA_BYTES_MAX];
    struct reader deltas = reader_over(bytes_of(out, write_all(out)));
    struct delta delta;
    truc_status status = TRUC_INTERNAL;
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_true(delta_next(&deltas, &delta, &status));
        assert_int_equal(delta.kind, samples[i].kind);
        if (i == 0) {
            assert_memory_equal(delta.log.log_id, samples[0].log.log_id, LOG_ID_BYTES);
            assert_memory_equal(delta.log.hash_secret, samples[0].log.hash_secret, 16);
            assert_true(delta.log.generation == 3 && delta.log.created_ns == -5);
            assert_bytes(delta.log.domain, "H26/prod");
        } else if (i == 1) {
            assert_true(delta.topic.topic_id == 4 && delta.topic.evidence == 2);
            assert_bytes(delta.topic.name, "a.b");
        } else if (delta.kind == DELTA_PRODUCER) {
            assert_true(delta.producer.producer_id == samples[i].producer.producer_id);
            assert_true(delta.producer.epoch == samples[i].producer.epoch && delta.producer.named == samples[i].producer.named);
            assert_true(bytes_equal(delta.producer.scope, samples[i].producer.scope));
            assert_true(bytes_equal(delta.producer.name, samples[i].producer.name));
        } else if (i == 4) {
            assert_int_equal(delta.producer_end, 8);
        } else {
            assert_true(delta.clock.expected_ns == 10 && delta.clock.found_ns == -10);
        }
    }
    assert_false(delta_next(&deltas, &delta, &status));
    assert_int_equal(status, TRUC_OK);
}

static void deltas_longest_texts_fit(void **state)
{
    uint8_t out[DELTA_BYTES_MAX], text[255];
    struct delta delta = {.kind = DELTA_PRODUCER, .producer = {.producer_id = 1, .epoch = 1, .named = true}}, back;
    struct reader deltas;
    truc_status status;
    (void)state;
    memset(text, 'a', sizeof text);
    delta.producer.scope = bytes_of(text, SOURCE_BYTES_MAX);
    delta.producer.name = bytes_of(text, PRODUCER_NAME_BYTES_MAX);
    deltas = reader_over(bytes_of(out, delta_write(out, &delta)));
    assert_true(delta_next(&deltas, &back, &status));
    delta = (struct delta){.kind = DELTA_TOPIC, .topic = {.topic_id = 1, .evidence = 1, .name = bytes_of(text, TOPIC_BYTES_MAX)}};
    deltas = reader_over(bytes_of(out, delta_write(out, &delta)));
    assert_true(delta_next(&deltas, &back, &status));
    assert_int_equal(back.topic.name.size, TOPIC_BYTES_MAX);
}

/* How many deltas are read before the end or the damage. */
static size_t read_all(struct bytes bytes, truc_status *ret_status)
{
    struct reader deltas = reader_over(bytes);
    struct delta delta;
    size_t count = 0;
    while (delta_next(&deltas, &delta, ret_status))
        count++;
    return count;
}

static void deltas_cut_anywhere_are_damage(void **state)
{
    uint8_t out[SAMPLES * DELTA_BYTES_MAX];
    size_t size = write_all(out), whole = 0;
    (void)state;
    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *exact = malloc(cut == 0 ? 1 : cut);
        truc_status status;
        assert_non_null(exact);
        memcpy(exact, out, cut);
        size_t count = read_all(bytes_of(exact, cut), &status);
        assert_true(status == TRUC_OK || status == TRUC_DAMAGED);
        whole += status == TRUC_OK; /* the cut fell between two deltas */
        assert_true(count <= SAMPLES);
        free(exact);
    }
    assert_int_equal(whole, SAMPLES + 1);
}

static void deltas_malformed_are_damage(void **state)
{
    static const char *const bad[] = {
        "00 00 00 00 00 00 00 00",                                                 /* kind 0 */
        "09 00 01 00 78 00 00 00",                                                 /* unknown kind */
        "04 00 08 00 00 00 00 00 00 00 00 00 00 00 00 00",                         /* producer 0 */
        "04 00 08 00 01 00 00 00 00 00 00 00 00 00 00 01",                         /* padding that is not zero */
        "04 00 07 00 01 00 00 00 00 00 00 00 00 00 00 00",                         /* body too short */
        "04 00 09 00 01 00 00 00 00 00 00 00 00 00 00 00",                         /* body too long */
        "02 00 07 00 00 00 00 00 01 01 61 00 00 00 00 00",                         /* topic 0 */
        "02 00 07 00 01 00 00 00 03 01 61 00 00 00 00 00",                         /* evidence 3 */
        "02 00 07 00 01 00 00 00 01 01 2a 00 00 00 00 00",                         /* a topic with a wildcard */
        "02 00 07 00 01 00 00 00 01 02 61 00 00 00 00 00",                         /* a name beyond the body */
        "03 00 0f 00 01 00 00 00 00 00 00 00 01 00 00 00 02 00 00 00 00 00 00 00", /* named: 2 */
        "03 00 0f 00 01 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00", /* named without a name */
        "03 00 0f 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", /* epoch 0 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t buffer[64];
        truc_status status = TRUC_OK;
        assert_int_equal(read_all(from_hex(bad[i], buffer), &status), 0);
        assert_int_equal(status, TRUC_DAMAGED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_come_back_in_order),
        cmocka_unit_test(deltas_longest_texts_fit),
        cmocka_unit_test(deltas_cut_anywhere_are_damage),
        cmocka_unit_test(deltas_malformed_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
