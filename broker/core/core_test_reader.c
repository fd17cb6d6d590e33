#include "core_test_reader.h"

struct kit kit;
uint64_t connection;
struct kit_producer producer;

int reader_setup(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
    return 0;
}

int reader_teardown(void **state)
{
    (void)state;
    assert_int_equal(kit.prepared_held, 0);
    assert_int_equal(kit.data_held, 0);
    kit_fini(&kit);
    return 0;
}

static uint64_t next_sequence[8];

void append(unsigned topic, uint32_t count)
{
    char name[] = {'t', '.', (char)('0' + topic), 0};

    if (core_counts(kit.core).sequences == 0)
        memset(next_sequence, 0, sizeof next_sequence);
    kit_publish(&kit, connection, 90,
                &(struct kit_batch){.topic = name,
                                    .producer_id = producer.id,
                                    .epoch = producer.epoch,
                                    .first_sequence = next_sequence[topic],
                                    .record_count = count});
    next_sequence[topic] += count;
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 90);
}

Truc__V1__Read want(const char *pattern)
{
    Truc__V1__Read read = TRUC__V1__READ__INIT;

    read.pattern = (char *)(uintptr_t)pattern;
    read.credit_bytes = UINT64_C(4) * 1024 * 1024;
    return read;
}

Truc__V1__Bound bound(Truc__V1__Bound__AtCase at, uint64_t value)
{
    Truc__V1__Bound result = TRUC__V1__BOUND__INIT;

    result.at_case = at;
    if (at == TRUC__V1__BOUND__AT_HEAD)
        result.head = true;
    else
        result.position = value; /* all members share their place */
    return result;
}

uint64_t open_reader(uint64_t request_id, Truc__V1__Read read, uint64_t from, uint64_t until)
{
    uint64_t reader;
    const Truc__V1__ReadOk *ok;

    kit_read(&kit, connection, request_id, read);
    reader = kit_expect(&kit, EFFECT_READ_OPEN)->effect.reader;
    kit_resolve(&kit, reader, from, until);
    ok = kit_take(&kit, connection, FRAME_READ_OK, request_id);
    assert_int_equal(ok->until_position, read.follow ? UINT64_MAX : until);
    return reader;
}

const struct core_effect *expect_read(uint64_t reader, uint64_t from, uint64_t until)
{
    const struct core_effect *effect = &kit_expect(&kit, EFFECT_READ)->effect;

    assert_int_equal(effect->reader, reader);
    assert_int_equal(effect->from, from);
    assert_int_equal(effect->until, until);
    return effect;
}

void expect_end(uint64_t request_id, truc_status status, uint64_t next)
{
    const Truc__V1__ReadEnd *end = kit_take(&kit, connection, FRAME_READ_END, request_id);

    assert_int_equal(end->status, status);
    assert_int_equal(end->next_position, next);
}

void expect_data(uint64_t request_id, uint64_t next, size_t size)
{
    const struct kit_frame *frame = kit_peek(&kit, connection);

    assert_non_null(frame);
    assert_int_equal(frame->payload.size, size);
    assert_int_equal(((const Truc__V1__ReadData *)kit_take(&kit, connection, FRAME_READ_DATA, request_id))->next_position, next);
}
