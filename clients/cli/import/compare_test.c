/* compare.c against a broker that is a table in memory: libtruc's reader is replaced by the one below. */
#define truc_reader_open fake_reader_open
#define truc_reader_pull fake_reader_pull
#define truc_reader_close fake_reader_close
#include "clients/cli/import/compare.c" /* compiled here, against the fake */

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { STORED_MAX = 200000 };

/* What the broker holds: one topic is one letter. */
struct stored {
    const char *topic;
    uint64_t producer_id, sequence, row;
    const char *data;
};
static struct stored log_[STORED_MAX];
static size_t log_size, opened, pull_timeouts;

/* The reader that is open. */
static struct {
    const char *topic;
    uint64_t at;
    truc_message message;
    uint8_t id[IMPORT_ID_BYTES];
    bool open;
} fake;

static void row_id(uint64_t row, const char *topic, uint8_t id[IMPORT_ID_BYTES])
{
    memset(id, 0, IMPORT_ID_BYTES);
    store_u64(id, row);
    id[8] = (uint8_t)topic[0];
}

truc_status fake_reader_open(truc_client *client, const char *pattern, const truc_options *options,
                             truc_message_callback *on_message, truc_end_callback *on_end, void *context, truc_reader **ret_reader,
                             char **ret_error)
{
    (void)client, (void)options, (void)on_message, (void)on_end, (void)context, (void)ret_error;
    assert_false(fake.open);
    fake.topic = pattern;
    fake.at = 0;
    fake.open = true;
    opened++;
    *ret_reader = (truc_reader *)(void *)&fake;
    return TRUC_OK;
}

truc_status fake_reader_pull(truc_reader *reader, int timeout_ms, const truc_message **ret_message)
{
    (void)reader, (void)timeout_ms;
    if (pull_timeouts > 0) {
        pull_timeouts--;
        return TRUC_TIMED_OUT;
    }
    while (fake.at < log_size && strcmp(log_[fake.at].topic, fake.topic) != 0) {
        fake.at++;
    }
    *ret_message = NULL;
    if (fake.at == log_size) {
        return TRUC_OK;
    }
    const struct stored *stored = &log_[fake.at];
    row_id(stored->row, stored->topic, fake.id);
    fake.message = (truc_message){.record = TRUC_RECORD_INIT,
                                  .topic = stored->topic,
                                  .position = fake.at,
                                  .offset = 1000 + fake.at,
                                  .producer_id = stored->producer_id,
                                  .sequence = stored->sequence};
    fake.message.record.id = (truc_text){(const char *)fake.id, sizeof fake.id};
    fake.message.record.data = stored->data;
    fake.message.record.data_size = strlen(stored->data);
    fake.at++;
    *ret_message = &fake.message;
    return TRUC_OK;
}

void fake_reader_close(truc_reader *reader)
{
    assert_true(reader == NULL || fake.open);
    fake.open = false;
}

static void store(const char *topic, uint64_t producer_id, uint64_t sequence, uint64_t row, const char *data)
{
    log_[log_size++] = (struct stored){topic, producer_id, sequence, row, data};
}

/* One comparison under test. */
static struct cli_context context;
static struct topics *topics;
static struct compare *compare;
static struct failure failure;

static int setup(void **state)
{
    (void)state;
    log_size = opened = pull_timeouts = 0;
    topics = topics_create();
    return compare_create(&context, NULL, topics, "file.csv", &compare, &failure) == TRUC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    compare_destroy(compare);
    topics_destroy(topics);
    return 0;
}

static truc_status expect(const char *name, uint64_t row, const char *data)
{
    struct built built = {.row = row, .line = row + 1, .topic = name, .topic_size = strlen(name), .record = TRUC_RECORD_INIT};
    uint32_t topic;
    row_id(row, name, built.id);
    built.record.id = (truc_text){(const char *)built.id, sizeof built.id};
    built.record.data = data;
    built.record.data_size = strlen(data);
    assert_int_equal(topics_number(topics, bytes_of_text(name), &topic, &failure), TRUC_OK);
    return compare_add(compare, topic, topics_state(topics, topic)->met++, &built, &failure);
}

static void ends_with(truc_status status, const char *why)
{
    assert_int_equal(compare_finish(compare, &failure), status);
    if (status != TRUC_OK && strstr(failure.why, why) == NULL) {
        fail_msg("\"%s\" does not hold \"%s\"", failure.why, why);
    }
    assert_false(fake.open);
}

static void compare_equal_rows_pass_among_others(void **state)
{
    (void)state;
    store("a", 7, 0, 90, "someone else's");
    store("a", 3, 0, 1, "one");
    store("b", 3, 0, 2, "two");
    store("a", 7, 1, 91, "someone else's");
    store("a", 3, 1, 3, "three");
    pull_timeouts = 3; /* a broker that is away for a while */
    assert_int_equal(expect("a", 1, "one"), TRUC_OK);
    assert_int_equal(expect("b", 2, "two"), TRUC_OK);
    assert_int_equal(expect("a", 3, "three"), TRUC_OK);
    ends_with(TRUC_OK, "");
    assert_int_equal(opened, 2);
    assert_int_equal(topics_state(topics, 0)->read_from, 4);
}

static void compare_changed_row_is_named(void **state)
{
    (void)state;
    store("a", 3, 0, 1, "one");
    store("a", 3, 1, 2, "two");
    assert_int_equal(expect("a", 1, "one"), TRUC_OK);
    assert_int_equal(expect("a", 2, "TWO"), TRUC_OK);
    ends_with(TRUC_ROW_CHANGED, "file.csv:3: the row has changed since it was stored as offset 1001 of topic a");
}

static void compare_inserted_row_is_named(void **state)
{
    (void)state;
    store("a", 3, 0, 1, "one");
    store("a", 3, 1, 2, "two");
    assert_int_equal(expect("a", 1, "one"), TRUC_OK);
    assert_int_equal(expect("a", 5, "two"), TRUC_OK);
    ends_with(TRUC_ROW_CHANGED, "file.csv:6: rows were inserted, removed or reordered");
}

static void compare_row_that_is_not_there_is_named(void **state)
{
    (void)state;
    store("a", 3, 0, 1, "one");
    assert_int_equal(expect("a", 9, "one"), TRUC_OK);
    ends_with(TRUC_ROW_CHANGED, "file.csv:10: the row was not stored by an earlier import");
}

static void compare_later_gatherings_go_on_in_the_middle_of_an_entry(void **state)
{
    (void)state;
    const uint64_t rows = IMPORT_COMPARE_ROWS * 2 + 10;
    for (uint64_t i = 0; i < rows; i++) {
        store(i % 3 == 0 ? "b" : "a", 3, i % 3 == 0 ? i / 3 : i - i / 3 - 1, i + 1, "x");
    }
    for (uint64_t i = 0; i < rows; i++) {
        assert_int_equal(expect(i % 3 == 0 ? "b" : "a", i + 1, "x"), TRUC_OK);
    }
    ends_with(TRUC_OK, "");
    assert_int_equal(opened, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compare_equal_rows_pass_among_others, setup, teardown),
        cmocka_unit_test_setup_teardown(compare_changed_row_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(compare_inserted_row_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(compare_row_that_is_not_there_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(compare_later_gatherings_go_on_in_the_middle_of_an_entry, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
