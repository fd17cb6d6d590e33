/* Tests of recalls: what is accepted, what the log is given, who is told. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/share.h"
#include "core_test_kit.h"

enum { ENTRY_BYTES = 64 };

static struct kit kit;
static uint64_t sender, stranger; /* sessions of H26.16 and of G22 */
static struct kit_producer sender_producer, stranger_producer;
static uint64_t sender_sequence, stranger_sequence;

static void begin(void)
{
    kit_start(&kit);
    sender_sequence = stranger_sequence = 0;
    sender = kit_session(&kit, "H26.16", "portal");
    sender_producer = kit_open(&kit, sender, "");
    stranger = kit_session(&kit, "G22", "x");
    stranger_producer = kit_open(&kit, stranger, "");
}

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    begin();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_stop(&kit);
    assert_int_equal(kit.prepared_held, 0);
    assert_int_equal(kit.data_held, 0);
    kit_fini(&kit);
    return 0;
}

/* --- helpers --------------------------------------------------------------------------------------------------------------------
 */

/* A batch to t.1; nothing is committed or answered. */
static void offer(uint64_t session, uint32_t records, const uint64_t *recalls, uint32_t recall_count)
{
    bool own = session == sender;

    kit_publish(&kit, session, 1000,
                &(struct kit_batch){.topic = "t.1",
                                    .agency = own ? NULL : "G22",
                                    .system = "x",
                                    .producer_id = own ? sender_producer.id : stranger_producer.id,
                                    .epoch = own ? sender_producer.epoch : stranger_producer.epoch,
                                    .first_sequence = own ? sender_sequence : stranger_sequence,
                                    .record_count = records,
                                    .recalls = recalls,
                                    .recall_count = recall_count});
}

static void accepted(uint64_t session, uint32_t records)
{
    *(session == sender ? &sender_sequence : &stranger_sequence) += records;
    kit_commit(&kit);
    kit_take(&kit, session, FRAME_PUBLISH_OK, 1000);
}

static void publish(uint32_t records)
{
    offer(sender, records, NULL, 0);
    accepted(sender, records);
}

static void recall(uint64_t session, uint64_t offset)
{
    offer(session, 1, &offset, 1);
    accepted(session, 1);
}

static struct delta delta_at(size_t index)
{
    struct reader deltas = reader_over(bytes_of(kit.log[index].delta, kit.log[index].delta_size));
    truc_status status = TRUC_OK;
    struct delta delta;

    assert_true(delta_next(&deltas, &delta, &status));
    return delta;
}

static void subscribe(uint64_t session, char *name, Truc__V1__SubscriptionMode mode)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;
    Truc__V1__Subscribe request = TRUC__V1__SUBSCRIBE__INIT;
    Truc__V1__Bound start = TRUC__V1__BOUND__INIT;

    start.at_case = TRUC__V1__BOUND__AT_POSITION;
    create.name = name;
    create.pattern = "t.>";
    create.mode = mode;
    create.start = &start;
    kit_send(&kit, session, FRAME_SUBSCRIPTION_CREATE, 1, &create.base);
    kit_commit(&kit);
    kit_take(&kit, session, FRAME_SUBSCRIPTION_OK, 1);
    request.name = name;
    request.credit = 1 << 20;
    kit_send(&kit, session, FRAME_SUBSCRIBE, 7, &request.base);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
}

static void *data_of(size_t size)
{
    void *data = calloc(1, size);

    assert_non_null(data);
    kit.data_held++;
    return data;
}

/* Answers the scan that is due with these places, then the fetch, telling these entries; the DELIVER. */
static const Truc__V1__Deliver *deliver(uint64_t session, const struct place *places, size_t count,
                                        const struct core_entry_ref *refs, size_t ref_count)
{
    struct share_record *records = calloc(count, sizeof *records);
    const struct kit_effect *scan = kit_expect(&kit, EFFECT_SCAN), *fetch;
    void *data = data_of(ENTRY_BYTES);

    assert_non_null(records);
    for (size_t i = 0; i < count; i++)
        records[i] = (struct share_record){.place = places[i], .bytes = 100};
    kit_event(&kit, (struct core_event){.kind = CORE_SCANNED,
                                        .reader = scan->effect.reader,
                                        .scanned = {.records = records, .count = count, .next = {kit.head.position, 0}}});
    free(records);
    fetch = kit_expect(&kit, EFFECT_FETCH);
    assert_int_equal(fetch->effect.place_count, count);
    kit_event(&kit, (struct core_event){.kind = CORE_FETCHED,
                                        .reader = fetch->effect.reader,
                                        .done = {.entry_count = (uint32_t)count,
                                                 .data = bytes_of(data, ENTRY_BYTES),
                                                 .owner = data,
                                                 .refs = refs,
                                                 .ref_count = ref_count}});
    return kit_take(&kit, session, FRAME_DELIVER, 7);
}

static void check(const Truc__V1__Recalled *recalled, uint64_t position, uint32_t index, const char *agency, uint64_t by)
{
    assert_true(recalled->position == position && recalled->index == index && recalled->recall_position == by);
    assert_string_equal(recalled->agency, agency);
}

/* --- accepting ------------------------------------------------------------------------------------------------------------------
 */

static void recall_is_noted_in_the_block_of_its_entry(void **state)
{
    const uint64_t recalls[] = {2, 0};
    size_t first;

    (void)state;
    publish(3);
    first = kit.log_count;
    offer(sender, 2, recalls, 2);
    assert_int_equal(kit.log_count, first + 3);
    for (size_t i = 0; i < 2; i++) {
        struct delta delta = delta_at(first + i);

        assert_int_equal(delta.kind, DELTA_RECALL);
        assert_true(delta.recall.topic_id == 1 && delta.recall.offset == recalls[i]);
        assert_true(bytes_equal(delta.recall.agency, bytes_of_text("H26.16")));
        assert_int_equal(delta.recall.recall_position, kit.log[first + 2].position);
        assert_int_equal(kit.log[first + i].joined, i > 0);
    }
    assert_int_equal(kit.log[first + 2].record_count, 2);
    assert_true(kit.log[first + 2].joined);
    accepted(sender, 2);
}

static void recall_of_what_is_not_there_refuses_the_batch(void **state)
{
    const uint64_t new_topic = 0, beyond[] = {1, 3};
    size_t before = kit.log_count;

    (void)state;
    offer(sender, 1, &new_topic, 1);
    assert_non_null(strstr(kit_take_error(&kit, sender, 1000, TRUC_OUT_OF_RANGE)->message, "offset 0"));
    publish(3);
    offer(sender, 2, beyond, 2); /* 3 would be its own */
    assert_non_null(strstr(kit_take_error(&kit, sender, 1000, TRUC_OUT_OF_RANGE)->message, "offset 3"));
    assert_int_equal(kit.log_count, before + 2); /* the topic and its entry */
    recall(sender, 2);
    assert_int_equal(kit.log_count, before + 4);
}

static void recall_by_the_same_agency_again_adds_nothing(void **state)
{
    const uint64_t twice[] = {1, 1};
    size_t before;

    (void)state;
    publish(3);
    before = kit.log_count;
    offer(sender, 2, twice, 2);
    accepted(sender, 2);
    assert_int_equal(kit.log_count, before + 2);
    recall(sender, 1);
    assert_int_equal(kit.log_count, before + 3);
    assert_false(kit.log[before + 2].joined);
    recall(stranger, 1);
    assert_int_equal(kit.log_count, before + 5);
}

static void recalls_beyond_the_limit_are_refused(void **state)
{
    const uint64_t recalls[] = {0, 1, 2};

    (void)state;
    kit_stop(&kit);
    kit.config.recalls_max = 2;
    begin();
    publish(3);
    offer(sender, 3, recalls, 3);
    kit_take_error(&kit, sender, 1000, TRUC_TOO_MANY);
    recall(sender, 0);
    recall(sender, 1);
    offer(sender, 1, recalls + 2, 1);
    kit_take_error(&kit, sender, 1000, TRUC_TOO_MANY);
    publish(1);
}

/* --- telling --------------------------------------------------------------------------------------------------------------------
 */

static void worker_is_told_of_durable_recalls_by_anyone(void **state)
{
    const struct place places[] = {{0, 0}, {0, 2}, {1, 1}};
    const struct core_entry_ref refs[] = {{0, 0, 1, 3, 32}, {1, 3, 1, 2, 32}};
    const uint64_t accepted_only = 2;
    const Truc__V1__Deliver *frame;
    uint64_t worker = kit_session(&kit, "H26.16", "worker");

    (void)state;
    publish(3);
    publish(2);
    recall(sender, 1); /* nobody is given it below */
    recall(stranger, 4);
    recall(sender, 4);
    recall(sender, 0);
    subscribe(worker, "work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    offer(sender, 1, &accepted_only, 1);
    frame = deliver(worker, places, 3, refs, 2);
    assert_int_equal(frame->n_recalled, 3);
    check(frame->recalled[0], 0, 0, "H26.16", 5);
    check(frame->recalled[1], 1, 1, "H26.16", 4);
    check(frame->recalled[2], 1, 1, "G22", 3);
    accepted(sender, 1);
}

static void every_record_of_a_full_delivery_is_told(void **state)
{
    static struct place places[GRANT_RECORDS_MAX];
    static uint64_t recalls[GRANT_RECORDS_MAX];
    uint32_t half = GRANT_RECORDS_MAX / 2; /* a batch holds no more than RECALLS_PER_BATCH_MAX */
    const struct core_entry_ref ref = {0, 0, 1, GRANT_RECORDS_MAX, ENTRY_BYTES};
    const Truc__V1__Deliver *frame;
    uint64_t worker = kit_session(&kit, "H26.16", "worker");
    bool told[GRANT_RECORDS_MAX] = {false};

    (void)state;
    publish(GRANT_RECORDS_MAX);
    for (uint32_t i = 0; i < GRANT_RECORDS_MAX; i++) {
        places[i] = (struct place){0, i};
        recalls[i] = i;
    }
    for (uint32_t i = 0; i < 4; i++) {
        offer(i < 2 ? sender : stranger, half, recalls + i % 2 * half, half);
        accepted(i < 2 ? sender : stranger, half);
    }
    subscribe(worker, "work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    frame = deliver(worker, places, GRANT_RECORDS_MAX, &ref, 1);
    assert_int_equal(frame->n_recalled, GRANT_RECORDS_MAX);
    for (size_t i = 0; i < frame->n_recalled; i++)
        told[frame->recalled[i]->index] = true;
    for (uint32_t i = 0; i < GRANT_RECORDS_MAX; i++)
        assert_true(told[i]);
}

static void read_done(uint64_t reader, uint64_t next, const struct core_entry_ref *refs, size_t count)
{
    size_t size = 0, records = 0;
    void *data;

    for (size_t i = 0; i < count; i++) {
        size += refs[i].size;
        records += refs[i].record_count;
    }
    data = data_of(size);
    kit_event(&kit, (struct core_event){.kind = CORE_READ_DONE,
                                        .reader = reader,
                                        .done = {.next = next,
                                                 .record_count = records,
                                                 .entry_count = (uint32_t)count,
                                                 .data = bytes_of(data, size),
                                                 .owner = data,
                                                 .refs = refs,
                                                 .ref_count = count}});
}

static uint64_t begin_reading(uint64_t session)
{
    const struct kit_effect *open;

    subscribe(session, "mirror", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED);
    open = kit_expect(&kit, EFFECT_READ_OPEN);
    assert_true(open->spec.references);
    kit_resolve(&kit, open->effect.reader, 0, UINT64_MAX);
    kit_take(&kit, session, FRAME_READ_OK, 7);
    return open->effect.reader;
}

static void ordered_receiver_is_told(void **state)
{
    const struct core_entry_ref refs[] = {{0, 0, 1, 3, 32}, {1, 3, 1, 2, 32}, {2, 5, 1, 1, 32}};
    uint64_t mirror = kit_session(&kit, "H26", "mirror"), reader;
    const Truc__V1__ReadData *frame;

    (void)state;
    publish(3);
    publish(2);
    recall(sender, 3);
    reader = begin_reading(mirror);
    kit_expect(&kit, EFFECT_READ);
    read_done(reader, 3, refs, 3);
    frame = kit_take(&kit, mirror, FRAME_READ_DATA, 7);
    assert_int_equal(frame->n_recalled, 1);
    check(frame->recalled[0], 1, 0, "H26.16", 2);
    assert_true(frame->entry_count == 3 && frame->next_position == 3);
}

/* Entries whose recalls do not fit are read again for the next frame; one alone with more is given with the first ones. */
static void entries_beyond_what_a_frame_tells_come_in_the_next_one(void **state)
{
    static uint64_t recalls[RECALLS_PER_BATCH_MAX];
    const struct core_entry_ref refs[] = {{0, 0, 1, 150, 32}, {1, 150, 1, 51, 64}, {2, 201, 1, 250, 128}};
    uint64_t mirror = kit_session(&kit, "H26", "mirror"), reader;
    const struct kit_frame *raw;
    const Truc__V1__ReadData *frame;

    (void)state;
    publish(150);
    publish(51);
    publish(250);
    for (uint32_t first = 0; first < 451; first += RECALLS_PER_BATCH_MAX) {
        uint32_t count = 451 - first < RECALLS_PER_BATCH_MAX ? 451 - first : RECALLS_PER_BATCH_MAX;

        for (uint32_t i = 0; i < count; i++)
            recalls[i] = first + i;
        offer(sender, count, recalls, count);
        accepted(sender, count);
    }
    reader = begin_reading(mirror);
    kit_expect(&kit, EFFECT_READ);
    read_done(reader, 3, refs, 3);
    raw = kit_peek(&kit, mirror);
    assert_int_equal(raw->payload.size, 32);
    frame = kit_take(&kit, mirror, FRAME_READ_DATA, 7);
    assert_true(frame->n_recalled == 150 && frame->entry_count == 1 && frame->next_position == 1);
    assert_int_equal(kit_expect(&kit, EFFECT_READ)->effect.from, 1);
    read_done(reader, 3, refs + 1, 2);
    raw = kit_peek(&kit, mirror);
    assert_int_equal(raw->payload.size, 64);
    frame = kit_take(&kit, mirror, FRAME_READ_DATA, 7);
    assert_true(frame->n_recalled == 51 && frame->entry_count == 1 && frame->next_position == 2);
    assert_int_equal(kit_expect(&kit, EFFECT_READ)->effect.from, 2);
    read_done(reader, 3, refs + 2, 1);
    frame = kit_take(&kit, mirror, FRAME_READ_DATA, 7);
    assert_true(frame->n_recalled == 200 && frame->entry_count == 1 && frame->next_position == 3);
    check(frame->recalled[199], 2, 199, "H26.16", frame->recalled[199]->recall_position);
}

static void plain_reader_asks_for_no_references(void **state)
{
    Truc__V1__Read read = TRUC__V1__READ__INIT;

    (void)state;
    publish(1);
    recall(sender, 0);
    read.pattern = "t.>";
    read.credit_bytes = 1000;
    kit_read(&kit, sender, 5, read);
    assert_false(kit_expect(&kit, EFFECT_READ_OPEN)->spec.references);
}

/* --- restoring ------------------------------------------------------------------------------------------------------------------
 */

static void durable_recalls_are_known_after_a_restart(void **state)
{
    const struct place place = {0, 1};
    const struct core_entry_ref ref = {0, 0, 1, 3, 32};
    const uint64_t lost = 0;
    const Truc__V1__Deliver *frame;
    uint64_t worker;

    (void)state;
    publish(3);
    recall(stranger, 1);
    offer(sender, 1, &lost, 1);
    kit_stop(&kit);
    begin();
    recall(sender, 0); /* the other one was never durable */
    worker = kit_session(&kit, "H26.16", "worker");
    subscribe(worker, "work", TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED);
    frame = deliver(worker, &place, 1, &ref, 1);
    assert_int_equal(frame->n_recalled, 1);
    check(frame->recalled[0], 0, 1, "G22", 1);
}

static void recall_row_that_cannot_be_is_damage(void **state)
{
    const struct topic_row topic = {
        .topic_id = 1, .evidence = EVIDENCE_RECORD, .name = bytes_of_text("t.1"), .next_offset = 5, .entry_count = 1};
    struct recall_row row = {.topic_id = 1, .offset = 4, .agency = bytes_of_text("H26.16"), .recall_position = 7}, bad;
    struct core *core;

    (void)state;
    assert_int_equal(core_create(&kit.config, &core), TRUC_OK);
    assert_int_equal(core_restore_recall(core, &row), TRUC_DAMAGED); /* no such topic */
    assert_int_equal(core_restore_topic(core, &topic), TRUC_OK);
    assert_int_equal(core_restore_recall(core, &row), TRUC_OK);
    assert_int_equal(core_restore_recall(core, &row), TRUC_DAMAGED); /* twice */
    bad = row;
    bad.offset = 5;
    assert_int_equal(core_restore_recall(core, &bad), TRUC_DAMAGED);
    bad = row;
    bad.agency = bytes_of_text("h26");
    assert_int_equal(core_restore_recall(core, &bad), TRUC_DAMAGED);
    bad = row;
    bad.topic_id = 0;
    assert_int_equal(core_restore_recall(core, &bad), TRUC_DAMAGED);
    core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(recall_is_noted_in_the_block_of_its_entry),
        TEST(recall_of_what_is_not_there_refuses_the_batch),
        TEST(recall_by_the_same_agency_again_adds_nothing),
        TEST(recalls_beyond_the_limit_are_refused),
        TEST(worker_is_told_of_durable_recalls_by_anyone),
        TEST(every_record_of_a_full_delivery_is_told),
        TEST(ordered_receiver_is_told),
        TEST(entries_beyond_what_a_frame_tells_come_in_the_next_one),
        TEST(plain_reader_asks_for_no_references),
        TEST(durable_recalls_are_known_after_a_restart),
        TEST(recall_row_that_cannot_be_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
