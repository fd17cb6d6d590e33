/* pub_test.c: the options of truc pub against the fake broker: what they make of the batches, and what is said of the outcome. */
#undef NDEBUG
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/run_kit.h"
#include "proto/entry.h"
#include "proto/record.h"

extern const struct cli_verb verb_pub;

/* A file with this content; its name is kept in path. */
static void write_file(char path[64], const char *content)
{
    int fd;

    (void)snprintf(path, 64, "/tmp/truc-pub-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
}

/* The batch of the broker's entry at a place, and its first record. */
static struct batch_view stored(const struct fake_broker *broker, size_t position, struct record_view *ret_record)
{
    struct reader served = reader_over(bytes_of(broker->entries[position].bytes, broker->entries[position].size)), records;
    struct entry_view view;
    struct batch_view batch;
    struct bytes encoded;
    truc_status status;

    assert_true(position < broker->entry_count);
    assert_true(entry_served_next(&served, &view, &status));
    assert_int_equal(batch_parse(view.batch, &batch, NULL), TRUC_OK);
    records = reader_over(batch.stored);
    assert_true(records_next(&records, &encoded, &status));
    assert_int_equal(record_parse(encoded, ret_record, NULL), TRUC_OK);
    return batch;
}

static void pub_times_reach_batch_and_record(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct record_view record;
    struct batch_view batch;
    struct ran *ran;
    char file[64];

    (void)state;
    write_file(file, "1\n2\n3\n");
    ran = RUN(broker, &verb_pub, "a.b", file, "--lines", "--deliver-at", "+30s", "--expires", "1970-01-02");
    assert_int_equal(ran->status, TRUC_OK);
    assert_string_equal(ran->text, "published 3 records to a.b, offsets 0 to 2\n");
    batch = stored(broker, 0, &record);
    assert_int_equal(batch.deliver_at_ns, INT64_C(30000000000));
    assert_false(batch.conditional);
    assert_int_equal(record.expires_at_ns, INT64_C(86400000000000));
    free(ran);
    ran = RUN(broker, &verb_pub, "a.b", file, "--deliver-at", "-30s");
    assert_int_equal(ran->status, TRUC_USAGE);
    free(ran);
    (void)unlink(file);
    fake_broker_stop(broker);
}

static void pub_expected_offset_conflict_names_the_next(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct record_view record;
    struct ran *ran;
    char file[64];

    (void)state;
    write_file(file, "x");
    ran = RUN(broker, &verb_pub, "a.b", file, "--expect-offset", "0");
    assert_int_equal(ran->status, TRUC_OK);
    assert_true(stored(broker, 0, &record).conditional);
    free(ran);
    ran = RUN(broker, &verb_pub, "a.b", file, "--expect-offset", "0", "--json");
    assert_int_equal(ran->status, TRUC_CONFLICT);
    assert_non_null(strstr(ran->text, "{\"status\":\"CONFLICT\",\"topic\":\"a.b\",\"next_offset\":1,"));
    free(ran);
    ran = RUN(broker, &verb_pub, "a.b", file, "--expect-offset", "0", "--lines");
    assert_int_equal(ran->status, TRUC_USAGE);
    free(ran);
    assert_int_equal(broker->record_count, 1);
    (void)unlink(file);
    fake_broker_stop(broker);
}

static void pub_together_is_one_frame(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ran *ran;
    char one[64], lines[64];

    (void)state;
    write_file(one, "{\"a\":1}");
    write_file(lines, "1\n2\n");
    ran = RUN(broker, &verb_pub, "--together", "a.b", one, "c.d", one);
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(broker->publishes, 1);
    assert_int_equal(broker->entry_count, 2);
    assert_string_equal(ran->text, "published to a.b offset 0 position 0 index 0\npublished to c.d offset 0 position 1 index 0\n");
    free(ran);
    broker->subscriptions = 3;
    ran = RUN(broker, &verb_pub, "--together", "--lines", "--json", "a.b", lines, "c.d", lines);
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(broker->publishes, 2);
    assert_non_null(strstr(ran->text,
                           "\"topic\":\"a.b\",\"offset\":2,\"position\":2,\"index\":1,\"sequence\":1,\"duplicate\":false,"
                           "\"created\":false,\"subscriptions\":3}\n"));
    assert_non_null(strstr(ran->text, "\"topic\":\"c.d\",\"offset\":1,\"position\":3,\"index\":0,"));
    free(ran);
    (void)unlink(one);
    (void)unlink(lines);
    fake_broker_stop(broker);
}

static truc_status judge_second(void *context, const struct batch_view *batch)
{
    (void)context;
    return bytes_equal(batch->topic, bytes_of_text("c.d")) ? TRUC_NOT_ALLOWED : TRUC_OK;
}

static void pub_together_wrong_or_refused_publishes_nothing(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    char file[64];
    char *wrong[][8] = {
        {"a.b", file, "c.d", file},
        {"--together", "a.b", file, "c.d"},
        {"--together", "a.b", "-", "c.d", "-"},
        {"--together", "a.b", file, "c.d", file, "--id", "x"},
        {"--together", "a.b", file, "--deliver-at", "+1h"},
        {"--together", "a.b", file, "--expect-offset", "0"},
    };
    struct ran *ran;

    (void)state;
    write_file(file, "x");
    for (size_t i = 0; i < CLI_COUNT(wrong); i++) {
        ran = run_verb(broker, &verb_pub, wrong[i]);
        assert_int_equal(ran->status, TRUC_USAGE);
        free(ran);
    }
    ran = RUN(broker, &verb_pub, "--together", "a.b", file, "c..d", file);
    assert_int_equal(ran->status, TRUC_BAD_TOPIC);
    free(ran);
    ran = RUN(broker, &verb_pub, "--together", "a.b", file, "c.d", "/nowhere/at/all");
    assert_int_equal(ran->status, TRUC_IO);
    free(ran);
    broker->judge = judge_second;
    ran = RUN(broker, &verb_pub, "--together", "a.b", file, "c.d", file);
    assert_int_equal(ran->status, TRUC_NOT_ALLOWED);
    assert_string_equal(ran->text, "");
    free(ran);
    assert_int_equal(broker->record_count, 0);
    (void)unlink(file);
    fake_broker_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pub_times_reach_batch_and_record),
        cmocka_unit_test(pub_expected_offset_conflict_names_the_next),
        cmocka_unit_test(pub_together_is_one_frame),
        cmocka_unit_test(pub_together_wrong_or_refused_publishes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
