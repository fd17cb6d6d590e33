/* Batches checked by several threads leave in the order they came, good and bad ones, and their memory stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/main/verify_pool.h"
#include "broker/net/buffer.h"
#include "proto/record.h"

struct fixture {
    struct mailbox mailbox;
    struct publish_rules rules;
    struct verify_pool *pool;
    struct session *session;
    struct buffer_pool *buffers;
    struct buffer_account *account;
};

static void start(struct fixture *fixture, unsigned threads)
{
    static const uint8_t secret[HASH_SECRET_BYTES] = {1, 2, 3};
    *fixture = (struct fixture){.rules = {.record_bytes_max = RECORD_BYTES_DEFAULT, .batch_bytes_max = BATCH_BYTES_MAX}};
    memcpy(fixture->rules.hash_secret, secret, sizeof secret);
    mailbox_init(&fixture->mailbox);
    fixture->pool = verify_pool_create(&fixture->rules, threads);
    fixture->session = session_create(&fixture->mailbox, 7, "test");
    fixture->buffers = buffer_pool_create(1ull << 30);
    fixture->account = buffer_account_create(fixture->buffers, 1ull << 30);
    assert_non_null(fixture->pool);
    assert_non_null(fixture->session);
    assert_non_null(fixture->account);
}

static void stop(struct fixture *fixture)
{
    verify_pool_stop(fixture->pool);
    session_unref(fixture->session);
    mailbox_fini(&fixture->mailbox);
    assert_int_equal(atomic_load(fixture->rules.directory_bytes), 0);
    verify_pool_destroy(fixture->pool);
    assert_int_equal(atomic_load(&fixture->buffers->total), 0);
    buffer_account_unref(fixture->account);
    buffer_pool_unref(fixture->buffers);
}

struct recipe {
    uint32_t records;
    size_t data_size;
    enum codec codec;
    bool spoilt;
    uint32_t recalls; /* the last so many records recall offsets 0, 7, 14, .. */
    const char *relation;
};

/* A batch in a buffer of its own; *ret_payload is where it lies. */
static struct net_buffer *make_batch(struct fixture *fixture, const struct recipe *recipe, struct bytes *ret_payload)
{
    static const uint8_t seed[SALT_SEED_BYTES] = {9};
    size_t raw_max = recipe->records * (recipe->data_size + 128), stored_size = 0;
    uint8_t *raw = malloc(raw_max), *data = calloc(1, recipe->data_size + 1), *at = raw;
    for (uint32_t i = 0; i < recipe->records; i++) {
        struct record_view record = {
            .id = bytes_of("x", 1), .key = bytes_of(i % 2 == 0 ? "a" : "b", 1), .data = bytes_of(data, recipe->data_size)};
        uint32_t others = recipe->records - recipe->recalls;
        if (i >= others) {
            record.type = bytes_of_text(RECALL_TYPE);
            record.has_relation = true;
            record.relation = (struct record_relation){.offset = (i - others) * 7, .relation = bytes_of_text(recipe->relation)};
        }
        at = varint_put(at, record_encoded_size(&record, NULL, 0));
        at = record_encode(&record, NULL, 0, at);
    }
    size_t raw_size = (size_t)(at - raw), stored_max = codec_bound(recipe->codec, raw_size);
    struct batch_header_fields fields = {.topic = bytes_of_text("a.b"),
                                         .source = bytes_of_text("H26"),
                                         .system = bytes_of_text("s"),
                                         .producer_id = 1,
                                         .epoch = 1,
                                         .record_count = recipe->records + recipe->spoilt};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields);
    struct net_buffer *buffer;
    assert_int_equal(buffer_take(fixture->account, head + stored_max, &buffer), TRUC_OK);
    assert_int_equal(codec_pack(recipe->codec, bytes_of(raw, raw_size), buffer->data + head, stored_max, &stored_size), TRUC_OK);
    batch_head_write(buffer->data, &fields, recipe->codec, (uint32_t)stored_size, (uint32_t)raw_size, seed);
    *ret_payload = bytes_of(buffer->data, head + stored_size);
    free(raw);
    free(data);
    return buffer;
}

static void submit(struct fixture *fixture, uint64_t id, struct bytes payload, struct net_buffer *buffer)
{
    struct frame frame = {.kind = FRAME_PUBLISH, .request_id = id, .header = bytes_of("", 0), .payload = payload};
    assert_true(verify_pool_publish(fixture->pool, fixture->session, &frame, buffer));
}

/* Takes letters until `count` came; checks that request ids count up from *next. */
static void take(struct fixture *fixture, uint64_t count, uint64_t *next, void (*look)(struct letter *letter))
{
    while (count > 0) {
        bool closed;
        struct letter *letter = mailbox_take(&fixture->mailbox, INT64_MAX, &closed);
        while (letter != NULL) {
            struct letter *following = letter->next;
            assert_int_equal(letter->event.request_id, (*next)++);
            if (look != NULL) {
                look(letter);
            }
            letter_free(letter);
            letter = following;
            count--;
        }
    }
}

static void look_good_or_bad(struct letter *letter)
{
    bool other = letter->event.request_id % 7 == 3, spoilt = letter->event.request_id % 5 == 4;
    if (other) {
        assert_int_equal(letter->event.kind, CORE_FRAME);
    } else if (spoilt) {
        assert_int_equal(letter->event.kind, CORE_PUBLISH_BAD);
        assert_int_equal(letter->event.status, TRUC_BAD_BATCH);
        assert_true(strlen(letter->event.why) > 0);
    } else {
        assert_int_equal(letter->event.kind, CORE_PUBLISH);
        assert_int_equal(letter->event.prepared->evidence, EVIDENCE_RECORD);
        assert_true(letter->event.prepared->record_largest > 0);
        assert_true(letter->event.prepared->directory.size > 0);
    }
}

static void publishes_leave_in_the_order_they_came(void **state)
{
    enum { ROUNDS = 20, PER_ROUND = 50 };
    struct fixture fixture;
    uint64_t next = 0, id = 0;
    (void)state;
    start(&fixture, 4);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PER_ROUND; i++, id++) {
            struct bytes payload;
            struct recipe recipe = {
                .records = 1 + (uint32_t)(id * 37 % 400), .data_size = 100, .codec = (enum codec)(id % 3), .spoilt = id % 5 == 4};
            if (id % 7 == 3) {
                struct letter *letter = letter_create(CORE_FRAME, 7);
                letter->event.request_id = id;
                session_place(fixture.session, letter, true);
                continue;
            }
            struct net_buffer *buffer = make_batch(&fixture, &recipe, &payload);
            submit(&fixture, id, payload, buffer);
            net_buffer_unref(buffer);
        }
        if (round % 3 == 0) {
            take(&fixture, id - next, &next, look_good_or_bad);
        }
    }
    take(&fixture, id - next, &next, look_good_or_bad);
    stop(&fixture);
}

static void small_publish_is_ready_at_once(void **state)
{
    struct fixture fixture;
    struct bytes payload;
    struct recipe recipe = {.records = 3, .data_size = 100};
    bool closed;
    (void)state;
    start(&fixture, 1);
    struct net_buffer *buffer = make_batch(&fixture, &recipe, &payload);
    submit(&fixture, 1, payload, buffer);
    net_buffer_unref(buffer);
    struct letter *letter = mailbox_take(&fixture.mailbox, 1, &closed); /* a time long past: nothing is waited for */
    assert_non_null(letter);
    assert_int_equal(letter->event.kind, CORE_PUBLISH);
    letter_free(letter);
    assert_true(session_is_clear(fixture.session));
    stop(&fixture);
}

static uint64_t most_directory_bytes;
static struct fixture *watched;

static void look_at_memory(struct letter *letter)
{
    uint64_t bytes = atomic_load(watched->rules.directory_bytes);
    assert_int_equal(letter->event.kind, CORE_PUBLISH);
    most_directory_bytes = bytes > most_directory_bytes ? bytes : most_directory_bytes;
}

static void directories_of_small_batches_stay_bounded(void **state)
{
    enum { BATCHES = 100, RECORDS = BATCH_RECORDS_MAX };
    struct fixture fixture;
    struct bytes payload;
    struct recipe recipe = {.records = RECORDS, .data_size = 1, .codec = CODEC_ZSTD};
    uint64_t next = 0;
    (void)state;
    start(&fixture, 3);
    watched = &fixture;
    most_directory_bytes = 0;
    struct net_buffer *buffer = make_batch(&fixture, &recipe, &payload);
    assert_true(payload.size < 100000); /* 100 of them are some MB on the wire */
    for (uint64_t id = 0; id < BATCHES; id++) {
        submit(&fixture, id, payload, buffer);
    }
    take(&fixture, BATCHES, &next, look_at_memory);
    net_buffer_unref(buffer);
    assert_true(most_directory_bytes > 4 * RECORDS); /* it was worth bounding */
    assert_true(most_directory_bytes < VERIFY_DIRECTORY_BYTES_MAX + 4 * 40 * RECORDS);
    stop(&fixture);
}

static void stopping_frees_what_nobody_took(void **state)
{
    struct fixture fixture;
    struct bytes payload;
    struct recipe recipe = {.records = 200, .data_size = 300};
    (void)state;
    start(&fixture, 2);
    struct net_buffer *buffer = make_batch(&fixture, &recipe, &payload);
    for (uint64_t id = 0; id < 50; id++) {
        submit(&fixture, id, payload, buffer);
    }
    net_buffer_unref(buffer);
    stop(&fixture);
}

static void family_decides_evidence_and_largest_record(void **state)
{
    struct fixture fixture;
    struct core_family families[] = {{.pattern = bytes_of_text("a.*"), .evidence = EVIDENCE_BATCH, .record_bytes_max = 50}};
    struct publisher *publisher = publisher_create();
    struct bytes payload;
    struct recipe recipe = {.records = 1, .data_size = 10};
    struct publish *publish;
    char why[PUBLISH_WHY_BYTES];
    (void)state;
    start(&fixture, 1);
    fixture.rules.families = families;
    fixture.rules.family_count = 1;
    struct net_buffer *buffer = make_batch(&fixture, &recipe, &payload);
    struct frame frame = {.kind = FRAME_PUBLISH, .header = bytes_of("", 0), .payload = payload};
    assert_int_equal(publish_prepare(publisher, &fixture.rules, &frame, buffer, &publish, why), TRUC_OK);
    assert_int_equal(publish->prepared.evidence, EVIDENCE_BATCH);
    publish_free(publish);
    net_buffer_unref(buffer);
    recipe.data_size = 100;
    buffer = make_batch(&fixture, &recipe, &payload);
    frame.payload = payload;
    assert_int_equal(publish_prepare(publisher, &fixture.rules, &frame, buffer, &publish, why), TRUC_RECORD_TOO_LARGE);
    assert_non_null(strstr(why, "record 0"));
    frame.payload.size = 40;
    assert_int_equal(publish_prepare(publisher, &fixture.rules, &frame, buffer, &publish, why), TRUC_BAD_BATCH);
    net_buffer_unref(buffer);
    publisher_destroy(publisher);
    stop(&fixture);
}

static void recalls_of_a_batch_are_told_to_the_core(void **state)
{
    struct fixture fixture;
    struct publisher *publisher = publisher_create();
    struct bytes payload;
    struct recipe recipe = {.records = 300, .data_size = 10, .codec = CODEC_ZSTD, .recalls = 256, .relation = "recall"};
    struct publish *publish;
    char why[PUBLISH_WHY_BYTES];
    (void)state;
    start(&fixture, 1);
    struct net_buffer *buffer = make_batch(&fixture, &recipe, &payload);
    struct frame frame = {.kind = FRAME_PUBLISH, .header = bytes_of("", 0), .payload = payload};
    assert_int_equal(publish_prepare(publisher, &fixture.rules, &frame, buffer, &publish, why), TRUC_OK);
    assert_int_equal(publish->prepared.recall_count, 256);
    for (uint32_t i = 0; i < 256; i++) {
        assert_int_equal(publish->prepared.recalls[i], i * 7);
    }
    publish_free(publish);
    net_buffer_unref(buffer);
    recipe.recalls = 257;
    buffer = make_batch(&fixture, &recipe, &payload);
    frame.payload = payload;
    assert_int_equal(publish_prepare(publisher, &fixture.rules, &frame, buffer, &publish, why), TRUC_BAD_BATCH);
    assert_non_null(strstr(why, "256 recalls"));
    net_buffer_unref(buffer);
    recipe.recalls = 2;
    recipe.relation = "answer";
    buffer = make_batch(&fixture, &recipe, &payload);
    frame.payload = payload;
    assert_int_equal(publish_prepare(publisher, &fixture.rules, &frame, buffer, &publish, why), TRUC_BAD_RECORD);
    assert_ptr_equal(strstr(why, "record 298: relates_to.relation"), why);
    net_buffer_unref(buffer);
    recipe.recalls = 0;
    buffer = make_batch(&fixture, &recipe, &payload);
    frame.payload = payload;
    assert_int_equal(publish_prepare(publisher, &fixture.rules, &frame, buffer, &publish, why), TRUC_OK);
    assert_int_equal(publish->prepared.recall_count, 0);
    publish_free(publish);
    net_buffer_unref(buffer);
    publisher_destroy(publisher);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_leave_in_the_order_they_came),     cmocka_unit_test(small_publish_is_ready_at_once),
        cmocka_unit_test(directories_of_small_batches_stay_bounded),  cmocka_unit_test(stopping_frees_what_nobody_took),
        cmocka_unit_test(family_decides_evidence_and_largest_record), cmocka_unit_test(recalls_of_a_batch_are_told_to_the_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
