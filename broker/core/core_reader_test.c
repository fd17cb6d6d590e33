/* Tests of readers: bounds, credit, limits, ends. Followers are in core_follow_test.c. */
#include "core_test_reader.h"

static void read_is_served_in_chunks_until_its_end(void **state)
{
    uint64_t reader;

    (void)state;
    for (int i = 0; i < 10; i++)
        append(1, 2);
    reader = open_reader(5, want("t.1"), 0, 10);
    assert_int_equal(expect_read(reader, 0, 10)->bytes_max, kit.config.read_chunk_bytes);
    kit_read_done(&kit, reader, 4, 8, 4000);
    expect_data(5, 4, 4000);
    expect_read(reader, 4, 10);
    kit_read_done(&kit, reader, 7, 0, 0); /* nothing matched there */
    kit_expect_nothing(&kit, connection);
    expect_read(reader, 7, 10);
    kit_read_done(&kit, reader, 10, 6, 3000);
    expect_data(5, 10, 3000);
    expect_end(5, TRUC_OK, 10);
    assert_int_equal(kit_expect(&kit, EFFECT_READ_CLOSE)->effect.reader, reader);
    assert_null(kit_other(&kit, EFFECT_READ));
}

static void read_spec_carries_the_request(void **state)
{
    Truc__V1__Read read = want("t.*");
    Truc__V1__Bound from = bound(TRUC__V1__BOUND__AT_APPEND_TIME_NS, 77), until = bound(TRUC__V1__BOUND__AT_POSITION, 1);
    const struct core_read_spec *spec;

    (void)state;
    append(1, 1);
    append(1, 1);
    read.from = &from;
    read.until = &until;
    read.key = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "key"};
    read.type = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "t"};
    read.event_since_ns = 5;
    read.event_until_ns = 6;
    read.source = "H26.16/portal";
    kit_read(&kit, connection, 5, read);
    spec = &kit_expect(&kit, EFFECT_READ_OPEN)->spec;
    assert_int_equal(spec->pattern.size, 3);
    assert_int_equal(spec->key.size, 3);
    assert_int_equal(spec->type.size, 1);
    assert_int_equal(spec->agency.size, 6);
    assert_int_equal(spec->system.size, 6);
    assert_int_equal(spec->event_since_ns, 5);
    assert_int_equal(spec->event_until_ns, 6);
    assert_int_equal(spec->from_kind, BOUND_TIME);
    assert_int_equal(spec->from_ns, 77);
    assert_int_equal(spec->until_kind, BOUND_POSITION);
    assert_int_equal(spec->until, 1);
    assert_int_equal(spec->head, 2);
}

static void bounds_are_never_above_the_head_of_the_request(void **state)
{
    uint64_t reader;
    const Truc__V1__ReadOk *ok;

    (void)state;
    append(1, 1);
    kit_read(&kit, connection, 5, want("t.*"));
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    append(1, 1); /* meanwhile */
    kit_resolve(&kit, reader, 0, 2);
    ok = kit_take(&kit, connection, FRAME_READ_OK, 5);
    assert_int_equal(ok->until_position, 1);
    assert_int_equal(ok->durable_position, 2);
    expect_read(reader, 0, 1);
}

static void offset_bounds_cut_and_become_positions(void **state)
{
    Truc__V1__Read read = want("t.1");
    Truc__V1__Bound from = bound(TRUC__V1__BOUND__AT_OFFSET, 3), until = bound(TRUC__V1__BOUND__AT_OFFSET, 100);
    const struct kit_effect *open;
    const Truc__V1__ReadOk *ok;

    (void)state;
    append(1, 5);
    append(1, 5);
    read.from = &from;
    read.until = &until;
    kit_read(&kit, connection, 5, read);
    open = kit_expect(&kit, EFFECT_READ_OPEN);
    assert_int_equal(open->spec.from_kind, BOUND_OFFSET);
    assert_int_equal(open->spec.from, 3);
    assert_int_equal(open->spec.until_kind, BOUND_HEAD); /* beyond the topic's end */
    kit_resolve(&kit, open->effect.reader, 0, 2);
    ok = kit_take(&kit, connection, FRAME_READ_OK, 5);
    assert_true(ok->exact);
    assert_int_equal(ok->from_offset, 3);
    assert_int_equal(ok->until_offset, 100);
}

static void expect_refused(Truc__V1__Read read, truc_status status)
{
    kit_read(&kit, connection, 5, read);
    kit_take_error(&kit, connection, 5, status);
    assert_null(kit_other(&kit, EFFECT_READ_OPEN));
    assert_int_equal(core_counts(kit.core).readers, 0);
}

static void read_wrongly_said_is_refused(void **state)
{
    Truc__V1__Bound offset = bound(TRUC__V1__BOUND__AT_OFFSET, 0), beyond = bound(TRUC__V1__BOUND__AT_POSITION, 2);
    Truc__V1__Read read = want("t.*");

    (void)state;
    append(1, 1);
    expect_refused(want(""), TRUC_BAD_PATTERN);
    expect_refused(want("a..b"), TRUC_BAD_PATTERN);
    expect_refused(want("**.a"), TRUC_BAD_PATTERN);
    read.from = &offset;
    expect_refused(read, TRUC_INVALID_ARGUMENT);
    read.from = &beyond;
    expect_refused(read, TRUC_OUT_OF_RANGE);
    read = want("t.1");
    offset.offset = 2;
    read.from = &offset;
    expect_refused(read, TRUC_OUT_OF_RANGE);
    read = want("t.2");
    read.from = &offset;
    expect_refused(read, TRUC_NOT_FOUND);
    read = want("t.1");
    read.follow = read.reverse = true;
    expect_refused(read, TRUC_INVALID_ARGUMENT);
    read = want("t.1");
    read.source = "not an agency";
    expect_refused(read, TRUC_BAD_SOURCE);
    read.source = "H26/";
    expect_refused(read, TRUC_BAD_SOURCE);
}

static void read_of_a_missing_topic_ends_at_once(void **state)
{
    const Truc__V1__ReadOk *ok;

    (void)state;
    append(1, 1);
    kit_read(&kit, connection, 5, want("t.2"));
    ok = kit_take(&kit, connection, FRAME_READ_OK, 5);
    assert_int_equal(ok->from_position, ok->until_position);
    expect_end(5, TRUC_OK, 1);
    assert_null(kit_other(&kit, EFFECT_READ_CLOSE)); /* the log never knew of it */
}

static void unresolvable_read_is_refused(void **state)
{
    uint64_t reader;

    (void)state;
    append(1, 1);
    kit_read(&kit, connection, 5, want("t.1"));
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_event(&kit, (struct core_event){.kind = CORE_READ_RESOLVED, .reader = reader, .status = TRUC_IO, .why = "segment 3"});
    kit_take_error(&kit, connection, 5, TRUC_IO);
    kit_expect(&kit, EFFECT_READ_CLOSE);
    assert_int_equal(core_counts(kit.core).readers, 0);
}

static void credit_bounds_what_is_sent(void **state)
{
    Truc__V1__Read read = want("t.1");
    Truc__V1__Credit credit = TRUC__V1__CREDIT__INIT;
    uint64_t reader;

    (void)state;
    for (int i = 0; i < 4; i++)
        append(1, 1);
    read.credit_bytes = 1000;
    reader = open_reader(5, read, 0, 4);
    assert_int_equal(expect_read(reader, 0, 4)->bytes_max, 1000);
    kit_read_done(&kit, reader, 1, 1, 900);
    expect_data(5, 1, 900);
    assert_null(kit_other(&kit, EFFECT_READ)); /* less than half is left */
    credit.bytes = 300;
    kit_send(&kit, connection, FRAME_CREDIT, 5, &credit.base);
    assert_null(kit_other(&kit, EFFECT_READ));
    kit_send(&kit, connection, FRAME_CREDIT, 5, &credit.base);
    assert_int_equal(expect_read(reader, 1, 4)->bytes_max, 700);
    kit_read_done(&kit, reader, 2, 1, 100);
    expect_data(5, 2, 100);
    expect_read(reader, 2, 4);
    credit.bytes = UINT64_MAX; /* capped by what the broker allows */
    kit_send(&kit, connection, FRAME_CREDIT, 5, &credit.base);
    kit_send(&kit, connection, FRAME_CREDIT, 999, &credit.base); /* unknown: ignored */
    kit_expect_nothing(&kit, connection);
    kit_read_done(&kit, reader, 4, 2, 200);
    expect_data(5, 4, 200);
    expect_end(5, TRUC_OK, 4);
}

static void entry_larger_than_the_credit_cannot_stall_for_ever(void **state)
{
    Truc__V1__Read read = want("t.1");
    Truc__V1__Credit credit = TRUC__V1__CREDIT__INIT;
    const struct core_effect *effect;
    uint64_t reader;

    (void)state;
    append(1, 1);
    append(1, 1);
    read.credit_bytes = 1000;
    reader = open_reader(5, read, 0, 2);
    expect_read(reader, 0, 2);
    kit_read_done(&kit, reader, 0, 0, 0); /* the next entry is larger than what was asked for */
    effect = expect_read(reader, 0, 2);
    assert_true(effect->bytes_max > BATCH_BYTES_MAX);
    assert_int_equal(effect->entries_max, 1);
    kit_read_done(&kit, reader, 1, 1, 50000);
    expect_data(5, 1, 50000);
    assert_null(kit_other(&kit, EFFECT_READ)); /* 49,000 in debt */
    credit.bytes = 49000;
    kit_send(&kit, connection, FRAME_CREDIT, 5, &credit.base);
    assert_null(kit_other(&kit, EFFECT_READ));
    credit.bytes = 500;
    kit_send(&kit, connection, FRAME_CREDIT, 5, &credit.base);
    expect_read(reader, 1, 2);
    kit_read_done(&kit, reader, 2, 1, 10);
    expect_data(5, 2, 10);
    expect_end(5, TRUC_OK, 2);
}

static void no_credit_reads_nothing(void **state)
{
    Truc__V1__Read read = want("t.1");
    Truc__V1__Credit credit = TRUC__V1__CREDIT__INIT;
    uint64_t reader;

    (void)state;
    append(1, 1);
    read.credit_bytes = 0;
    reader = open_reader(5, read, 0, 1);
    assert_null(kit_other(&kit, EFFECT_READ));
    credit.bytes = 10;
    kit_send(&kit, connection, FRAME_CREDIT, 5, &credit.base);
    assert_int_equal(expect_read(reader, 0, 1)->bytes_max, 10);
}

static void records_max_ends_the_reading(void **state)
{
    Truc__V1__Read read = want("t.1");
    uint64_t reader;

    (void)state;
    for (int i = 0; i < 4; i++)
        append(1, 10);
    read.records_max = 15;
    reader = open_reader(5, read, 0, 4);
    assert_int_equal(expect_read(reader, 0, 4)->entries_max, 15);
    kit_read_done(&kit, reader, 1, 10, 100);
    expect_data(5, 1, 100);
    assert_int_equal(expect_read(reader, 1, 4)->entries_max, 5);
    kit_read_done(&kit, reader, 2, 10, 100);
    expect_data(5, 2, 100);
    expect_end(5, TRUC_OK, 2);
}

static void records_max_never_ends_before_the_reader_has_enough(void **state)
{
    Truc__V1__Read read = want("t.1");
    Truc__V1__Bound from = bound(TRUC__V1__BOUND__AT_OFFSET, 9);
    uint64_t reader;

    (void)state;
    for (int i = 0; i < 4; i++)
        append(1, 10);
    read.records_max = 5;
    read.from = &from;
    reader = open_reader(5, read, 0, 4);
    assert_int_equal(expect_read(reader, 0, 4)->entries_max, 1);
    kit_read_done(&kit, reader, 1, 10, 100); /* only its last record is wanted */
    expect_data(5, 1, 100);
    expect_read(reader, 1, 4);
    kit_read_done(&kit, reader, 2, 10, 100);
    expect_data(5, 2, 100);
    expect_end(5, TRUC_OK, 2);

    read = want("t.1"); /* behind a filter only the reader can count */
    read.records_max = 1;
    read.key = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "k"};
    reader = open_reader(6, read, 0, 4);
    expect_read(reader, 0, 4);
    kit_read_done(&kit, reader, 1, 10, 100);
    expect_data(6, 1, 100);
    expect_read(reader, 1, 4);
    kit_send(&kit, connection, FRAME_CANCEL, 6, &(const Truc__V1__Cancel)TRUC__V1__CANCEL__INIT.base);
    expect_end(6, TRUC_CANCELLED, 1);
    kit_read_done(&kit, reader, 2, 10, 100); /* was under way: dropped */
    kit_expect_nothing(&kit, connection);
}

static void reverse_runs_down(void **state)
{
    Truc__V1__Read read = want("t.1");
    const struct kit_effect *open;

    (void)state;
    append(1, 1);
    append(1, 1);
    read.reverse = true;
    kit_read(&kit, connection, 5, read);
    open = kit_expect(&kit, EFFECT_READ_OPEN);
    assert_int_equal(open->spec.from_kind, BOUND_HEAD);
    assert_int_equal(open->spec.until_kind, BOUND_START);
    kit_resolve(&kit, open->effect.reader, 2, 0);
    kit_take(&kit, connection, FRAME_READ_OK, 5);
    expect_read(open->effect.reader, 2, 0);
    kit_read_done(&kit, open->effect.reader, 0, 2, 20);
    expect_data(5, 0, 20);
    expect_end(5, TRUC_OK, 0);
}

static void damage_ends_beyond_the_damaged_entry(void **state)
{
    uint64_t reader;

    (void)state;
    append(1, 1);
    append(1, 1);
    reader = open_reader(5, want("t.1"), 0, 2);
    expect_read(reader, 0, 2);
    kit_event(
        &kit,
        (struct core_event){
            .kind = CORE_READ_DONE, .reader = reader, .status = TRUC_DAMAGED, .why = "block 3, position 0", .done = {.next = 1}});
    expect_end(5, TRUC_DAMAGED, 1);
}

static void readers_of_a_gone_connection_are_closed(void **state)
{
    Truc__V1__Read read = want("t.1");
    uint64_t reader, other = kit_session(&kit, "H26.16", "portal");

    (void)state;
    append(1, 1);
    kit_read(&kit, other, 5, read);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_resolve(&kit, reader, 0, 1);
    expect_read(reader, 0, 1);
    kit_disconnect(&kit, other);
    assert_int_equal(kit_expect(&kit, EFFECT_READ_CLOSE)->effect.reader, reader);
    kit_read_done(&kit, reader, 1, 1, 100); /* its data comes back */
    assert_int_equal(kit.data_held, 0);
}

static void opened_and_cancelled_in_one_step_keeps_its_spec(void **state)
{
    Truc__V1__Read read = want("t.1");
    uint8_t header[256];
    struct core_event events[2] = {{.kind = CORE_FRAME, .connection = connection}, {.kind = CORE_FRAME, .connection = connection}};

    (void)state;
    append(1, 1);
    events[0].frame =
        (struct frame){FRAME_READ, 5, bytes_of(header, protobuf_c_message_pack(&read.base, header)), bytes_of(NULL, 0)};
    events[1].frame = (struct frame){FRAME_CANCEL, 5, bytes_of(NULL, 0), bytes_of(NULL, 0)};
    kit_step(&kit, events, 2);
    assert_string_equal((const char *)kit_expect(&kit, EFFECT_READ_OPEN)->pattern, "t.1");
    kit_expect(&kit, EFFECT_READ_CLOSE);
    expect_end(5, TRUC_CANCELLED, 0);
}

static void readers_beyond_the_limit_or_with_a_used_id_are_refused(void **state)
{
    (void)state;
    append(1, 1);
    for (uint64_t i = 0; i < kit.config.readers_per_connection_max; i++) {
        Truc__V1__Read read = want("t.1");

        read.follow = true;
        open_reader(100 + i, read, 1, 0);
    }
    kit_read(&kit, connection, 5, want("t.1"));
    kit_take_error(&kit, connection, 5, TRUC_TOO_MANY);
    kit_read(&kit, connection, 100, want("t.1"));
    kit_take_error(&kit, connection, 0, TRUC_PROTOCOL);
    kit_expect_closed(&kit, connection);
    assert_int_equal(core_counts(kit.core).readers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(read_is_served_in_chunks_until_its_end, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(read_spec_carries_the_request, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(bounds_are_never_above_the_head_of_the_request, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(offset_bounds_cut_and_become_positions, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(read_wrongly_said_is_refused, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(read_of_a_missing_topic_ends_at_once, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(unresolvable_read_is_refused, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(credit_bounds_what_is_sent, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(entry_larger_than_the_credit_cannot_stall_for_ever, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(no_credit_reads_nothing, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(records_max_ends_the_reading, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(records_max_never_ends_before_the_reader_has_enough, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(reverse_runs_down, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(damage_ends_beyond_the_damaged_entry, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(readers_of_a_gone_connection_are_closed, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(opened_and_cancelled_in_one_step_keeps_its_spec, reader_setup, reader_teardown),
        cmocka_unit_test_setup_teardown(readers_beyond_the_limit_or_with_a_used_id_are_refused, reader_setup, reader_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
