#include "proto/catalog.h"
#include "proto/test_support.h"

#include <stdlib.h>

#define TEXT(literal)                                                                                                              \
    {                                                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                                                            \
    }

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
    {.kind = DELTA_SUBSCRIPTION,
     .subscription = {.subscription_id = 3,
                      .mode = SUBSCRIPTION_SHARED,
                      .paused = true,
                      .owner = TEXT("H26.16"),
                      .name = TEXT("desk-1"),
                      .pattern = TEXT("dossier.*.H26.>"),
                      .type = TEXT("vn.gov.t"),
                      .key = TEXT("k"),
                      .source = TEXT("H26/portal"),
                      .headers = {(const uint8_t *)"lang\0vi\0empty\0", 15},
                      .created_ns = 77,
                      .ack_wait_ms = 30000,
                      .attempts_max = 5,
                      .in_flight_max = 1000,
                      .backoff_ms = {100, 2000},
                      .backoff_count = 2}},
    {.kind = DELTA_SUBSCRIPTION,
     .subscription = {.subscription_id = 4,
                      .mode = SUBSCRIPTION_ORDERED,
                      .owner = TEXT("local"),
                      .name = TEXT("a"),
                      .pattern = TEXT("**"),
                      .source = TEXT("H26")}},
    {.kind = DELTA_SUBSCRIPTION_END, .subscription_end = 4},
    {.kind = DELTA_CURSOR, .cursor = {.subscription_id = 3, .place = {300, 65535}, .acknowledged = 1000, .dead = 1, .expired = 7}},
    {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 3, .key = 0xfedcba9876543210, .place = {299, 2}}}},
    {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 3, .place = {1, 65534}}}},
    {.kind = DELTA_LANE,
     .lane = {.row = {.subscription_id = 3,
                      .key = 5,
                      .place = {0, 0},
                      .attempts = 2,
                      .not_before_ns = 90,
                      .first_failed_ns = 70,
                      .last_failed_ns = 80}}},
    {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 3, .key = 6, .place = {8, 1}, .dead = 3}}},
    {.kind = DELTA_LANE, .lane = {.gone = true, .row = {.subscription_id = 3, .key = 5}}},
    {.kind = DELTA_LANE, .lane = {.gone = true, .row = {.subscription_id = 3, .place = {1, 65534}}}},
    {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 3, .key = 5, .aside = true, .place = {7, 1}, .not_before_ns = 500}}},
    {.kind = DELTA_LANE, .lane = {.gone = true, .row = {.subscription_id = 3, .key = 5, .aside = true, .place = {7, 1}}}},
    {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 3, .place = {1, 2}, .expires_at_ns = 700}}},
    {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 3, .key = 5, .place = {7, 1}, .attempts = 1, .expires_at_ns = 700}}},
    {.kind = DELTA_RECALL, .recall = {.topic_id = 4, .offset = 1000, .agency = TEXT("H26.16"), .recall_position = 77}},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static size_t write_all(uint8_t *out)
{
    size_t size = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t written = delta_write(out + size, &samples[i]);
        assert_true(written <= delta_bytes_max(samples[i].kind) && written % 8 == 0);
        size += written;
    }
    return size;
}

static void assert_subscription(const struct subscription_row *row, const struct subscription_row *expected)
{
    assert_true(row->subscription_id == expected->subscription_id && row->mode == expected->mode);
    assert_true(row->paused == expected->paused && row->created_ns == expected->created_ns);
    assert_true(bytes_equal(row->owner, expected->owner) && bytes_equal(row->name, expected->name));
    assert_true(bytes_equal(row->pattern, expected->pattern) && bytes_equal(row->type, expected->type));
    assert_true(bytes_equal(row->key, expected->key) && bytes_equal(row->source, expected->source));
    assert_true(bytes_equal(row->headers, expected->headers));
    assert_true(row->ack_wait_ms == expected->ack_wait_ms && row->attempts_max == expected->attempts_max);
    assert_true(row->in_flight_max == expected->in_flight_max && row->backoff_count == expected->backoff_count);
    assert_memory_equal(row->backoff_ms, expected->backoff_ms, sizeof row->backoff_ms);
}

static void assert_lane(const struct delta_lane *lane, const struct delta_lane *expected)
{
    const struct lane_row *row = &lane->row, *wanted = &expected->row;
    assert_true(lane->gone == expected->gone && row->subscription_id == wanted->subscription_id && row->key == wanted->key);
    assert_true(row->place.position == wanted->place.position && row->place.index == wanted->place.index);
    assert_true(row->aside == wanted->aside && row->expires_at_ns == wanted->expires_at_ns);
    assert_true(row->attempts == wanted->attempts && row->dead == wanted->dead && row->not_before_ns == wanted->not_before_ns);
    assert_true(row->first_failed_ns == wanted->first_failed_ns && row->last_failed_ns == wanted->last_failed_ns);
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
        } else if (delta.kind == DELTA_SUBSCRIPTION) {
            assert_subscription(&delta.subscription, &samples[i].subscription);
        } else if (delta.kind == DELTA_SUBSCRIPTION_END) {
            assert_int_equal(delta.subscription_end, 4);
        } else if (delta.kind == DELTA_CURSOR) {
            assert_true(delta.cursor.subscription_id == 3 && delta.cursor.place.position == 300);
            assert_true(delta.cursor.place.index == 65535 && delta.cursor.acknowledged == 1000 && delta.cursor.dead == 1);
            assert_int_equal(delta.cursor.expired, 7);
        } else if (delta.kind == DELTA_LANE) {
            assert_lane(&delta.lane, &samples[i].lane);
        } else if (delta.kind == DELTA_RECALL) {
            assert_true(delta.recall.topic_id == 4 && delta.recall.offset == 1000 && delta.recall.recall_position == 77);
            assert_bytes(delta.recall.agency, "H26.16");
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
    uint8_t headers[SUBSCRIPTION_HEADERS_BYTES_MAX];
    memset(headers, 'h', sizeof headers);
    headers[1] = headers[sizeof headers - 1] = 0;
    memset(text, 'A', AGENCY_BYTES_MAX);
    for (size_t i = 4; i < AGENCY_BYTES_MAX; i += 5) {
        text[i] = '.';
    }
    text[AGENCY_BYTES_MAX - 2] = '.';
    text[AGENCY_BYTES_MAX - 1] = 'A';
    uint8_t source[SOURCE_BYTES_MAX];
    memset(source, 'a', sizeof source);
    memcpy(source, text, AGENCY_BYTES_MAX);
    source[AGENCY_BYTES_MAX] = '/';
    uint8_t longest[RECORD_KEY_BYTES_MAX];
    memset(longest, 'z', sizeof longest);
    delta = (struct delta){.kind = DELTA_SUBSCRIPTION,
                           .subscription = {.subscription_id = UINT32_MAX,
                                            .mode = SUBSCRIPTION_SHARED,
                                            .owner = bytes_of(text, AGENCY_BYTES_MAX),
                                            .name = bytes_of(longest, SUBSCRIPTION_NAME_BYTES_MAX),
                                            .pattern = bytes_of(longest, TOPIC_BYTES_MAX),
                                            .type = bytes_of(longest, RECORD_TYPE_BYTES_MAX),
                                            .key = bytes_of(longest, RECORD_KEY_BYTES_MAX),
                                            .source = bytes_of(source, sizeof source),
                                            .headers = bytes_of(headers, sizeof headers),
                                            .backoff_count = SUBSCRIPTION_BACKOFFS_MAX}};
    size_t size = delta_write(out, &delta);
    assert_true(size == delta_bytes_max(DELTA_SUBSCRIPTION));
    deltas = reader_over(bytes_of(out, size));
    assert_true(delta_next(&deltas, &back, &status));
    assert_subscription(&back.subscription, &delta.subscription);
}

/* They are written per record. */
static void lanes_without_failures_are_small(void **state)
{
    (void)state;
    uint8_t out[DELTA_BYTES_MAX];
    struct delta lane = {.kind = DELTA_LANE, .lane = {.row = {.subscription_id = 9, .key = UINT64_MAX, .place = {1 << 27, 100}}}};
    assert_int_equal(delta_write(out, &lane), 24);
    lane.lane.gone = true;
    assert_int_equal(delta_write(out, &lane), 16);
    lane.lane = (struct delta_lane){.row = {UINT32_MAX, UINT64_MAX, true, {UINT64_MAX, 65534}, UINT32_MAX, 1, 1, 1, 1, 1}};
    assert_true(delta_write(out, &lane) <= delta_bytes_max(DELTA_LANE));
    assert_true(delta_bytes_max(DELTA_LANE) <= 80);
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
        "0b 00 01 00 78 00 00 00",                                                 /* unknown kind */
        "0a 00 0a 00 00 00 00 00 01 02 03 48 32 36 00 00",                         /* recall in topic 0 */
        "0a 00 0a 00 01 00 00 00 01 02 03 68 32 36 00 00",                         /* recall by no agency */
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
        "07 00 04 00 00 00 00 00",                                                 /* end of subscription 0 */
        "08 00 06 00 00 01 01 01 01 01 00 00 00 00 00 00",                         /* cursor of subscription 0 */
        "08 00 07 00 81 00 01 01 01 01 01 00 00 00 00 00",                         /* a varint longer than it need be */
        "08 00 08 00 01 01 80 80 04 01 01 01 00 00 00 00",                         /* index beyond any batch */
        "09 00 0c 00 03 01 01 00 00 00 00 00 00 00 01 01",                         /* form 3 */
        "09 00 0c 00 01 00 01 00 00 00 00 00 00 00 01 01",                         /* lane of subscription 0 */
        "09 00 0a 00 01 01 01 00 00 00 00 00 00 00 00 00",                         /* fresh without a place */
        "09 00 0c 00 00 01 01 00 00 00 00 00 00 00 01 01",                         /* gone, a key's, with a place */
        "09 00 14 00 09 01 01 00 00 00 00 00 00 00 01 01 00 00 00 00 00 00 00 00", /* expires, at no time */
        "09 00 12 00 08 01 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00", /* gone, but expires */
        "09 00 0a 00 04 01 01 00 00 00 00 00 00 00 00 00",                         /* gone, aside, without a place */
        "09 00 0a 00 00 01 00 00 00 00 00 00 00 00 00 00",                         /* gone, nobody's key, without a place */
        "09 00 26 00 02 01 01 00 00 00 00 00 00 00 01 01 00 00 00 00 00 00 00 00 " /* failed, but never did */
        "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t buffer[64];
        truc_status status = TRUC_OK;
        assert_int_equal(read_all(from_hex(bad[i], buffer), &status), 0);
        assert_int_equal(status, TRUC_DAMAGED);
    }
}

/* Makes one thing of a good subscription wrong. */
static void subscriptions_malformed_are_damage(void **state)
{
    (void)state;
    const struct subscription_row good = samples[6].subscription;
    struct subscription_row bad[16];
    size_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bad[i] = good;
    }
    bad[count++].subscription_id = 0;
    bad[count++].mode = 0;
    bad[count++].mode = 3;
    bad[count++].mode = SUBSCRIPTION_ORDERED; /* with what only a shared one has */
    bad[count++].owner = bytes_of_text("h26");
    bad[count++].owner = bytes_of_text("");
    bad[count++].name = bytes_of_text("");
    bad[count++].name = bytes_of_text("two.tokens");
    bad[count++].name = bytes_of_text("*");
    bad[count++].pattern = bytes_of_text("a.>.b");
    bad[count++].pattern = bytes_of_text("");
    bad[count++].source = bytes_of_text("H26/");
    bad[count++].source = bytes_of_text("/portal");
    bad[count++].headers = bytes_of("name\0value", 10);
    bad[count++].headers = bytes_of("\0value\0", 7);
    bad[count++].headers = bytes_of("name\0", 5);
    assert_int_equal(count, sizeof bad / sizeof *bad);
    for (size_t i = 0; i <= count; i++) {
        uint8_t out[DELTA_BYTES_MAX];
        struct delta delta = {.kind = DELTA_SUBSCRIPTION, .subscription = i < count ? bad[i] : good};
        truc_status status = TRUC_OK;
        size_t read = read_all(bytes_of(out, delta_write(out, &delta)), &status);
        assert_true(i < count ? read == 0 && status == TRUC_DAMAGED : read == 1 && status == TRUC_OK);
    }
    uint8_t out[DELTA_BYTES_MAX];
    struct delta delta = {.kind = DELTA_SUBSCRIPTION, .subscription = good};
    truc_status status = TRUC_OK;
    size_t size = delta_write(out, &delta);
    out[4 + 5] = 2; /* paused */
    assert_int_equal(read_all(bytes_of(out, size), &status), 0);
    out[4 + 5] = 1;
    out[4 + 26] = SUBSCRIPTION_BACKOFFS_MAX + 1;
    assert_int_equal(read_all(bytes_of(out, size), &status), 0);
    assert_int_equal(status, TRUC_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_come_back_in_order),      cmocka_unit_test(deltas_longest_texts_fit),
        cmocka_unit_test(deltas_cut_anywhere_are_damage), cmocka_unit_test(lanes_without_failures_are_small),
        cmocka_unit_test(deltas_malformed_are_damage),    cmocka_unit_test(subscriptions_malformed_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
