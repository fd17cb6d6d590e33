/* A PUBLISH frame of several batches: split, held against each other, all prepared or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/main/publish.h"
#include "broker/net/buffer.h"
#include "proto/record.h"
#include "truc/v1/wire.pb-c.h"

enum { FRAME_MAX = 512 * 1024 };

static struct publish_rules rules;
static atomic_ullong directory_bytes;
static struct publisher *publisher;
static struct buffer_pool *buffers;
static struct buffer_account *account;
static struct net_buffer *buffer;
static size_t payload_size;
static uint32_t sizes[BATCHES_TOGETHER_MAX + 8];
static size_t count;
static char why[PUBLISH_WHY_BYTES];

static int set_up(void **state)
{
    (void)state;
    rules = (struct publish_rules){
        .record_bytes_max = RECORD_BYTES_DEFAULT, .batch_bytes_max = BATCH_BYTES_MAX, .directory_bytes = &directory_bytes};
    publisher = publisher_create();
    buffers = buffer_pool_create(1 << 24);
    account = buffer_account_create(buffers, 1 << 24);
    assert_true(publisher != NULL && buffers != NULL && account != NULL);
    assert_int_equal(buffer_take(account, FRAME_MAX, &buffer), TRUC_OK);
    payload_size = count = 0;
    why[0] = '\0';
    return 0;
}

/* Nothing is left of any publish. */
static int tear_down(void **state)
{
    (void)state;
    net_buffer_unref(buffer);
    assert_int_equal(atomic_load(&directory_bytes), 0);
    assert_int_equal(atomic_load(&buffers->total), 0);
    buffer_account_unref(account);
    buffer_pool_unref(buffers);
    publisher_destroy(publisher);
    return 0;
}

struct recipe {
    const char *topic;
    uint64_t producer_id;
    uint32_t epoch, records;
    int64_t deliver_at_ns;
    bool spoilt; /* its last record is */
};

static void add(const struct recipe *recipe)
{
    static const uint8_t seed[SALT_SEED_BYTES] = {9};
    struct batch_header_fields fields = {.topic = bytes_of_text(recipe->topic),
                                         .source = bytes_of_text("H26"),
                                         .system = bytes_of_text("s"),
                                         .producer_id = recipe->producer_id,
                                         .epoch = recipe->epoch,
                                         .record_count = recipe->records,
                                         .deliver_at_ns = recipe->deliver_at_ns};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), raw_size = 0;
    uint8_t *at = buffer->data + payload_size;

    for (uint32_t i = 0; i < recipe->records; i++) {
        struct record_view record = {.id = bytes_of("x", recipe->spoilt && i + 1 == recipe->records ? 0 : 1)};
        uint8_t *begin = at + head + raw_size, *p = varint_put(begin, record_encoded_size(&record, NULL, 0));
        raw_size += (size_t)(record_encode(&record, NULL, 0, p) - begin);
    }
    batch_head_write(at, &fields, CODEC_NONE, (uint32_t)raw_size, (uint32_t)raw_size, seed);
    sizes[count++] = (uint32_t)(head + raw_size);
    payload_size += head + raw_size;
    assert_true(payload_size <= FRAME_MAX);
}

static void add_topic(const char *topic)
{
    add(&(struct recipe){.topic = topic, .producer_id = 1, .epoch = 1, .records = 3});
}

static truc_status prepare(struct publish **ret_publish)
{
    static uint8_t header[FRAME_HEADER_BYTES_MAX];
    Truc__V1__Publish message = TRUC__V1__PUBLISH__INIT;
    struct frame frame = {.kind = FRAME_PUBLISH, .request_id = 1, .payload = bytes_of(buffer->data, payload_size)};

    message.batch_bytes = sizes;
    message.n_batch_bytes = count;
    frame.header = bytes_of(header, truc__v1__publish__pack(&message, header));
    return publish_prepare(publisher, &rules, &frame, buffer, ret_publish, why);
}

static void assert_refused(truc_status expected, const char *text)
{
    struct publish *publish = NULL;
    truc_status status = prepare(&publish);

    if (status != expected || strstr(why, text) == NULL)
        fail_msg("%s: %s", truc_status_name(status), why);
    assert_null(publish);
}

static void batches_of_a_frame_are_linked_in_their_order(void **state)
{
    static const char *const topics[] = {"a.b", "a.c", "d"};
    struct publish *publish;
    size_t found = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        add(&(struct recipe){
            .topic = topics[i], .producer_id = 7, .epoch = 2, .records = 1 + (uint32_t)i, .deliver_at_ns = i == 1 ? 5 : 0});
    assert_int_equal(prepare(&publish), TRUC_OK);
    for (const struct core_prepared *prepared = &publish->prepared; prepared != NULL; prepared = prepared->next, found++) {
        struct directory_view view;
        assert_true(bytes_equal(prepared->batch.topic, bytes_of_text(topics[found])));
        assert_int_equal(directory_parse(prepared->directory, &view), TRUC_OK);
        assert_int_equal(view.record_count, found + 1);
        assert_int_equal(directory_at(&view, DIRECTORY_FLAGS, 0), found == 1 ? RECORD_FLAG_DELAYED : 0);
    }
    assert_int_equal(found, 3);
    publish_free_all(publish);
}

static void most_batches_are_taken_and_one_more_is_refused(void **state)
{
    struct publish *publish;
    char topic[16];

    (void)state;
    for (int i = 0; i <= BATCHES_TOGETHER_MAX; i++) {
        if (i == BATCHES_TOGETHER_MAX) {
            assert_int_equal(prepare(&publish), TRUC_OK);
            publish_free_all(publish);
        }
        (void)snprintf(topic, sizeof topic, "t.%d", i);
        add_topic(topic);
    }
    assert_refused(TRUC_INVALID_ARGUMENT, "2 to 64");
    count = 1;
    assert_refused(TRUC_INVALID_ARGUMENT, "2 to 64");
}

static void long_list_of_sizes_is_refused_without_harm(void **state)
{
    static uint8_t header[FRAME_HEADER_BYTES_MAX];
    struct publish *publish;

    (void)state;
    add_topic("a");
    memset(header, 0, sizeof header);
    header[0] = 0x0a; /* packed batch_bytes of zeros */
    (void)varint_put(header + 1, sizeof header - 4);
    struct frame frame = {
        .kind = FRAME_PUBLISH, .header = bytes_of(header, sizeof header), .payload = bytes_of(buffer->data, payload_size)};
    assert_int_equal(publish_prepare(publisher, &rules, &frame, buffer, &publish, why), TRUC_INVALID_ARGUMENT);
    frame.header.size = 3;
    assert_int_equal(publish_prepare(publisher, &rules, &frame, buffer, &publish, why), TRUC_PROTOCOL);
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    add_topic("a");
    add_topic("b");
    sizes[1]--;
    assert_refused(TRUC_BAD_BATCH, "add up");
    sizes[1] += 2;
    assert_refused(TRUC_BAD_BATCH, "add up");
    sizes[1]--;
    sizes[0]--;
    sizes[1]++;
    assert_refused(TRUC_BAD_BATCH, "batch 1: sizes");
    sizes[1] += sizes[0];
    sizes[0] = 0;
    assert_refused(TRUC_BAD_BATCH, "batch 1: prefix");
    sizes[0] = UINT32_MAX;
    sizes[1] = (uint32_t)payload_size + 1; /* adds up modulo 2^32 */
    assert_refused(TRUC_BAD_BATCH, "add up");
}

static void batches_that_do_not_belong_together_are_refused_by_number(void **state)
{
    (void)state;
    add_topic("a");
    add_topic("b");
    add_topic("a");
    assert_refused(TRUC_BAD_BATCH, "batch 3: a topic comes twice");
    payload_size = count = 0;
    add_topic("a");
    add(&(struct recipe){.topic = "b", .producer_id = 2, .epoch = 1, .records = 1});
    assert_refused(TRUC_BAD_BATCH, "batch 2: another producer");
    payload_size = count = 0;
    add_topic("a");
    add(&(struct recipe){.topic = "b", .producer_id = 1, .epoch = 2, .records = 1});
    assert_refused(TRUC_BAD_BATCH, "batch 2: another producer");
    payload_size = count = 0;
    add_topic("a");
    add(&(struct recipe){.topic = "b", .producer_id = 1, .epoch = 1, .records = 2, .spoilt = true});
    assert_refused(TRUC_BAD_RECORD, "batch 2: record 1: ");
}

/* So that what is built of a frame is bounded as it is for one batch. */
static void batches_together_are_no_more_than_one_may_be(void **state)
{
    struct publish *publish;

    (void)state;
    add(&(struct recipe){.topic = "a", .producer_id = 1, .epoch = 1, .records = 40000});
    add(&(struct recipe){.topic = "b", .producer_id = 1, .epoch = 1, .records = BATCH_RECORDS_MAX - 40000});
    assert_int_equal(prepare(&publish), TRUC_OK);
    publish_free_all(publish);
    add_topic("c");
    assert_refused(TRUC_BATCH_TOO_LARGE, "batch 3: ");
    rules.batch_bytes_max = (uint32_t)payload_size - 1;
    assert_refused(TRUC_BATCH_TOO_LARGE, "batch_bytes_max");
}

static void several_are_never_checked_in_place(void **state)
{
    struct frame frame = {.payload = bytes_of(buffer->data, 100), .header = bytes_of("\x0a", 1)};

    (void)state;
    assert_int_equal(publish_raw_size(&frame), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_of_a_frame_are_linked_in_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(most_batches_are_taken_and_one_more_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_list_of_sizes_is_refused_without_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_sizes_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_that_do_not_belong_together_are_refused_by_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_together_are_no_more_than_one_may_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_are_never_checked_in_place, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
