/* Reading through the pool: bounds resolved, entries read whole, slow readers held, memory bounded. On the memory engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "broker/main/reader_pool.h"
#include "proto/directory.h"
#include "proto/record.h"

enum { BLOCK_BYTES = 64 * 1024, ENTRIES = 40, RECORDS = 10 };

struct fixture {
    struct mailbox mailbox;
    struct log *log;
    struct reader_pool *pool;
    uint64_t position, offset;
    atomic_uint starved;
};

static truc_status no_topic(void *context, const struct topic_row *row)
{
    (void)context;
    (void)row;
    return TRUC_OK;
}

static void on_starved(void *context)
{
    struct fixture *fixture = context;
    atomic_fetch_add(&fixture->starved, 1);
}

/* Appends one entry of RECORDS records with so many bytes of data each to topic "a.b". */
static void append(struct fixture *fixture, size_t data_size)
{
    static const uint8_t seed[SALT_SEED_BYTES] = {4};
    struct digest_context *digests = digest_context_create();
    const struct log_identity *identity = log_identity(fixture->log);
    char why[LOG_WHY_BYTES];
    uint8_t *batch = malloc(4096 + RECORDS * (data_size + 64)), *data = calloc(1, data_size + 1);
    struct batch_header_fields fields = {.topic = bytes_of_text("a.b"),
                                         .source = bytes_of_text("H26"),
                                         .system = bytes_of_text("s"),
                                         .producer_id = 1,
                                         .epoch = 1,
                                         .first_sequence = fixture->offset,
                                         .record_count = RECORDS};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), directory_capacity = 0;
    uint8_t *at = batch + head, *directory_buffer = NULL, leaf_bytes[LEAF_BYTES_MAX], deltas[DELTA_BYTES_MAX * 2];
    size_t deltas_size = 0;
    uint32_t delta_count = 0;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record_view record = {.id = bytes_of("x", 1), .data = bytes_of(data, data_size)};
        at = varint_put(at, record_encoded_size(&record, NULL, 0));
        at = record_encode(&record, NULL, 0, at);
    }
    size_t raw_size = (size_t)(at - batch) - head;
    batch_head_write(batch, &fields, CODEC_NONE, (uint32_t)raw_size, (uint32_t)raw_size, seed);
    struct batch_view view;
    struct bytes directory;
    const char *rule;
    assert_int_equal(batch_parse(bytes_of(batch, head + raw_size), &view, &rule), TRUC_OK);
    assert_int_equal(directory_build(identity->hash_secret, view.stored, RECORDS, RECORD_BYTES_MAX, 0, &directory_buffer,
                                     &directory_capacity, &directory, NULL, &rule),
                     TRUC_OK);
    struct leaf leaf = {.evidence = EVIDENCE_RECORD,
                        .record_count = RECORDS,
                        .position = fixture->position,
                        .base_offset = fixture->offset,
                        .append_time_ns = 1000 + (int64_t)fixture->position,
                        .topic = view.topic};
    memcpy(leaf.log_id, identity->log_id, LOG_ID_BYTES);
    digest_header(digests, view.header, leaf.header_digest);
    assert_int_equal(batch_root(digests, &view, EVIDENCE_RECORD, view.stored, leaf.records_root), TRUC_OK);
    leaf_write(&leaf, leaf_bytes);
    struct log_append entry = {
        .fields = {.topic_id = 1, .record_count = RECORDS, .epoch = 1, .producer_id = 1, .first_sequence = fixture->offset},
        .position = fixture->position,
        .base_offset = fixture->offset,
        .append_time_ns = leaf.append_time_ns,
        .leaf = bytes_of(leaf_bytes, leaf_size(view.topic.size)),
        .batch = view.encoded,
        .directory = directory};
    digest_leaf(digests, entry.leaf, entry.leaf_hash);
    if (fixture->position == 0) {
        struct delta topic = {.kind = DELTA_TOPIC, .topic = {.topic_id = 1, .evidence = EVIDENCE_RECORD, .name = view.topic}};
        struct delta producer = {.kind = DELTA_PRODUCER,
                                 .producer = {.producer_id = 1, .epoch = 1, .scope = bytes_of_text("H26/s")}};
        deltas_size = delta_write(deltas, &topic);
        deltas_size += delta_write(deltas + deltas_size, &producer);
        delta_count = 2;
    }
    struct log_draft draft = {
        .appends = &entry, .append_count = 1, .deltas = bytes_of(deltas, deltas_size), .delta_count = delta_count};
    struct log_head log_head_after;
    assert_int_equal(log_commit(fixture->log, &draft, &log_head_after, why), TRUC_OK);
    fixture->position++;
    fixture->offset += RECORDS;
    free(directory_buffer);
    free(data);
    free(batch);
    digest_context_destroy(digests);
}

static void start(struct fixture *fixture, size_t total)
{
    struct log_options options;
    struct catalog_visitor visitor = {.topic = no_topic};
    char why[LOG_WHY_BYTES];
    *fixture = (struct fixture){.position = 0};
    mailbox_init(&fixture->mailbox);
    log_options_init(&options);
    options.engine = "memory";
    options.now_ns = 1;
    assert_int_equal(log_open(&options, &visitor, &fixture->log, why), TRUC_OK);
    struct reader_pool_options pool_options = {.log = fixture->log,
                                               .mailbox = &fixture->mailbox,
                                               .thread_count = 2,
                                               .block_bytes = BLOCK_BYTES,
                                               .block_bytes_total = total,
                                               .starved = on_starved,
                                               .starved_context = fixture};
    fixture->pool = reader_pool_create(&pool_options);
    assert_non_null(fixture->pool);
    for (int i = 0; i < ENTRIES; i++) {
        append(fixture, 100);
    }
}

static void stop(struct fixture *fixture)
{
    mailbox_close(&fixture->mailbox);
    reader_pool_destroy(fixture->pool);
    log_close(fixture->log);
    mailbox_fini(&fixture->mailbox);
}

/* The next letter, which must be of that kind; its block, if any, is the caller's. */
static struct core_event next_event(struct fixture *fixture, enum core_event_kind kind)
{
    bool closed;
    struct letter *letter = mailbox_take(&fixture->mailbox, INT64_MAX, &closed);
    assert_non_null(letter);
    assert_null(letter->next);
    struct core_event event = letter->event;
    event.why = NULL;
    letter->event.done.owner = NULL;
    assert_int_equal(event.kind, kind);
    letter_free(letter);
    return event;
}

static struct core_event open_reading(struct fixture *fixture, uint64_t number, const struct core_read_spec *spec)
{
    assert_true(reader_pool_open(fixture->pool, number, spec));
    return next_event(fixture, CORE_READ_RESOLVED);
}

static void ask(struct fixture *fixture, uint64_t number, uint64_t from, uint64_t until, uint32_t bytes_max)
{
    struct core_effect effect = {.kind = EFFECT_READ, .reader = number, .from = from, .until = until, .bytes_max = bytes_max};
    reader_pool_read(fixture->pool, &effect);
}

static struct core_read_spec spec_of(const struct fixture *fixture, const char *pattern)
{
    return (struct core_read_spec){
        .pattern = bytes_of_text(pattern), .from_kind = BOUND_START, .until_kind = BOUND_HEAD, .head = fixture->position};
}

static void bounds_resolve_to_positions(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, 16 << 20);
    struct core_read_spec spec = spec_of(&fixture, "a.b");
    struct core_event event = open_reading(&fixture, 1, &spec);
    assert_int_equal(event.from, 0);
    assert_int_equal(event.until, ENTRIES);

    spec.from_kind = spec.until_kind = BOUND_OFFSET; /* [15, 40): within entry 1, up to the end of entry 3 */
    spec.from = 15;
    spec.until = 40;
    event = open_reading(&fixture, 2, &spec);
    assert_int_equal(event.from, 1);
    assert_int_equal(event.until, 4);

    spec.until = 41; /* one record of entry 4 */
    event = open_reading(&fixture, 3, &spec);
    assert_int_equal(event.until, 5);

    spec.reverse = true; /* the same range from its other end */
    spec.from = 41;
    spec.until = 15;
    event = open_reading(&fixture, 4, &spec);
    assert_int_equal(event.from, 5);
    assert_int_equal(event.until, 1);

    spec = spec_of(&fixture, "a.>");
    spec.from_kind = spec.until_kind = BOUND_TIME;
    spec.from_ns = 1003;
    spec.until_ns = 1008;
    event = open_reading(&fixture, 5, &spec);
    assert_int_equal(event.from, 3);
    assert_int_equal(event.until, 8);

    spec.head = 6; /* nothing beyond the head of the request */
    event = open_reading(&fixture, 6, &spec);
    assert_int_equal(event.until, 6);

    spec = spec_of(&fixture, "a.b");
    spec.from_kind = BOUND_OFFSET;
    spec.from = ENTRIES * RECORDS + 1;
    event = open_reading(&fixture, 7, &spec);
    assert_int_equal(event.status, TRUC_OUT_OF_RANGE);
    spec.pattern = bytes_of_text("no.such");
    event = open_reading(&fixture, 8, &spec);
    assert_int_equal(event.status, TRUC_NOT_FOUND);
    for (uint64_t number = 1; number <= 8; number++) {
        reader_pool_close(fixture.pool, number);
    }
    stop(&fixture);
}

static void slow_reader_is_held_until_its_blocks_come_back(void **state)
{
    struct fixture fixture;
    void *owners[READ_BLOCKS_UNSENT_MAX];
    bool closed;
    uint64_t from = 0;
    (void)state;
    start(&fixture, 16 << 20);
    struct core_read_spec spec = spec_of(&fixture, "a.b");
    (void)open_reading(&fixture, 1, &spec);
    for (int i = 0; i < READ_BLOCKS_UNSENT_MAX; i++) {
        ask(&fixture, 1, from, ENTRIES, 4000);
        struct core_event event = next_event(&fixture, CORE_READ_DONE);
        assert_true(event.done.data.size > 0 && event.done.data.size <= 4000);
        assert_true(event.done.next > from);
        from = event.done.next;
        owners[i] = event.done.owner;
    }
    ask(&fixture, 1, from, ENTRIES, 4000);
    assert_null(mailbox_take(&fixture.mailbox, 1, &closed)); /* held: decided before a worker sees it */
    reader_pool_give(owners[0]);
    struct core_event event = next_event(&fixture, CORE_READ_DONE);
    assert_true(event.done.data.size > 0);
    reader_pool_close(fixture.pool, 1);
    reader_pool_give(owners[1]);
    reader_pool_give(event.done.owner);
    stop(&fixture);
}

static void entry_larger_than_asked_is_read_when_more_is_asked(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, 16 << 20);
    append(&fixture, 20000); /* 200 KB, larger than a block */
    struct core_read_spec spec = spec_of(&fixture, "a.b");
    (void)open_reading(&fixture, 1, &spec);
    ask(&fixture, 1, ENTRIES, ENTRIES + 1, BLOCK_BYTES);
    struct core_event event = next_event(&fixture, CORE_READ_DONE);
    assert_int_equal(event.status, TRUC_OK);
    assert_int_equal(event.done.data.size, 0);
    assert_int_equal(event.done.next, ENTRIES); /* where it stood */
    ask(&fixture, 1, ENTRIES, ENTRIES + 1, BATCH_BYTES_MAX + 4096);
    event = next_event(&fixture, CORE_READ_DONE);
    assert_true(event.done.data.size > 200000);
    assert_int_equal(event.done.next, ENTRIES + 1);
    reader_pool_give(event.done.owner);
    reader_pool_close(fixture.pool, 1);
    stop(&fixture);
}

static void memory_used_up_calls_starved_and_goes_on(void **state)
{
    enum { READERS = 4 };
    struct fixture fixture;
    void *owners[READERS];
    (void)state;
    start(&fixture, 2 * (BLOCK_BYTES + 100)); /* two blocks */
    struct core_read_spec spec = spec_of(&fixture, "a.b");
    for (uint64_t number = 1; number <= READERS; number++) {
        (void)open_reading(&fixture, number, &spec);
        ask(&fixture, number, 0, ENTRIES, BLOCK_BYTES);
        if (number <= 2) {
            struct core_event event = next_event(&fixture, CORE_READ_DONE);
            assert_true(event.done.data.size > BLOCK_BYTES / 4); /* kept its block */
            owners[number - 1] = event.done.owner;
        }
    }
    for (unsigned tries = 0; atomic_load(&fixture.starved) == 0 && tries < 100; tries++) {
        bool closed;
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_null(mailbox_take(&fixture.mailbox, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + 100000000, &closed));
    }
    assert_true(atomic_load(&fixture.starved) > 0);
    reader_pool_give(owners[0]);
    struct core_event event = next_event(&fixture, CORE_READ_DONE);
    reader_pool_give(owners[1]);
    reader_pool_give(event.done.owner);
    event = next_event(&fixture, CORE_READ_DONE);
    reader_pool_give(event.done.owner);
    for (uint64_t number = 1; number <= READERS; number++) {
        reader_pool_close(fixture.pool, number);
    }
    stop(&fixture);
}

/* Takes and drops answers, with their blocks, until one of that kind has come to the reader. */
static void drop_until(struct fixture *fixture, uint64_t number, enum core_event_kind kind)
{
    for (bool came = false; !came;) {
        bool closed;
        struct letter *letter = mailbox_take(&fixture->mailbox, INT64_MAX, &closed);
        while (letter != NULL) {
            struct letter *next = letter->next;
            came |= letter->event.reader == number && letter->event.kind == kind;
            letter_free(letter);
            letter = next;
        }
    }
}

static void closing_while_asked_frees_everything(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, 16 << 20);
    struct core_read_spec spec = spec_of(&fixture, "a.**");
    for (uint64_t number = 1; number <= 50; number++) {
        assert_true(reader_pool_open(fixture.pool, number, &spec));
        drop_until(&fixture, number, CORE_READ_RESOLVED);
        ask(&fixture, number, 0, ENTRIES, BLOCK_BYTES);
        if (number % 2 == 0) { /* its answer may still come, or not */
            reader_pool_close(fixture.pool, number);
        } else {
            drop_until(&fixture, number, CORE_READ_DONE);
        }
    }
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_resolve_to_positions),
        cmocka_unit_test(slow_reader_is_held_until_its_blocks_come_back),
        cmocka_unit_test(entry_larger_than_asked_is_read_when_more_is_asked),
        cmocka_unit_test(memory_used_up_calls_starved_and_goes_on),
        cmocka_unit_test(closing_while_asked_frees_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
