/* publish_as_test.c: records for later, and on a condition: how they are parted into batches, refused, and kept in an outbox. */
#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/entry.h"

static const char topic[] = "test.topic";

static truc_status publish_as(truc_producer *producer, uint64_t number, int64_t deliver_at_ns, const uint64_t *expected)
{
    truc_record record = TRUC_RECORD_INIT;
    truc_publish_how how = TRUC_PUBLISH_HOW_INIT;

    record.data = &number;
    record.data_size = sizeof number;
    how.deliver_at_ns = deliver_at_ns;
    how.conditional = expected != NULL;
    how.expected_offset = expected != NULL ? *expected : 0;
    return truc_publish_as(producer, topic, &record, &how, (void *)(uintptr_t)number);
}

/* The header of the broker's entry at a place. */
static struct batch_view stored_batch(const struct fake_broker *broker, size_t position)
{
    struct reader served = reader_over(bytes_of(broker->entries[position].bytes, broker->entries[position].size));
    struct entry_view view;
    struct batch_view batch;
    truc_status status;

    assert_true(position < broker->entry_count);
    assert_true(entry_served_next(&served, &view, &status));
    assert_int_equal(batch_parse(view.batch, &batch, NULL), TRUC_OK);
    return batch;
}

static void publish_as_alike_share_a_batch(void **state)
{
    static const int64_t times[] = {0, 0, 500, 500, 500, 700, 0};
    static const uint32_t counts[] = {2, 3, 1, 1};
    static const int64_t of_batches[] = {0, 500, 700, 0};
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "linger_us", "10000000", NULL);

    (void)state;
    for (uint64_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_int_equal(publish_as(producer, i, times[i], NULL), TRUC_OK);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    kit_assert_stored(broker, topic, 7);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 7);
    assert_int_equal(broker->entry_count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct batch_view batch = stored_batch(broker, i);

        assert_int_equal(batch.record_count, counts[i]);
        assert_int_equal(batch.deliver_at_ns, of_batches[i]);
        assert_false(batch.conditional);
    }
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static void publish_as_bad_ways_are_refused(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    truc_record record = TRUC_RECORD_INIT;
    truc_publish_how how = {.size = 8};

    (void)state;
    assert_int_equal(publish_as(producer, 0, -1, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_publish_as(producer, topic, &record, &how, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_publish_as(NULL, topic, &record, NULL, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(broker->record_count, 0);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* Of records that expect their place one in three expects a wrong one; the others are numbered anew behind it. */
static void publish_as_conflict_names_the_next_offset(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "linger_us", "10000000", NULL);
    uint64_t next = 0, place = 0;

    (void)state;
    for (uint64_t i = 0; i < 300; i++) {
        bool wrong = i % 3 == 2;
        uint64_t expected = wrong ? place + 1 : place;

        if (i % 5 == 0)
            assert_int_equal(publish_as(producer, i, 0, NULL), TRUC_OK);
        else
            assert_int_equal(publish_as(producer, i, (int64_t)(i % 2), &expected), TRUC_OK);
        place += i % 5 == 0 || !wrong;
    }
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger->count, 300);
    place = 0;
    for (uint64_t i = 0; i < 300; i++) {
        bool refused = i % 3 == 2 && i % 5 != 0;

        assert_int_equal(ledger->numbers[i], i);
        assert_int_equal(ledger->statuses[i], refused ? TRUC_CONFLICT : TRUC_OK);
        assert_int_equal(ledger->offsets[i], place); /* refused: the next offset, as it was when it was refused */
        place += !refused;
    }
    assert_int_equal(kit_stored(broker, topic, NULL, 0), place);
    assert_int_equal(truc_producer_sequence(producer, topic, &next), TRUC_OK);
    assert_int_equal(next, place);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static enum fake_deed drop_some(void *context, struct fake_broker *broker, const struct frame *frame)
{
    unsigned *publishes = context;

    (void)broker;
    if (frame->kind != FRAME_PUBLISH || ++*publishes > 60) /* for ever, answers could be lost for ever */
        return FAKE_NORMAL;
    return *publishes % 7 == 3 ? FAKE_DROP_AFTER : *publishes % 11 == 5 ? FAKE_DROP_BEFORE : FAKE_NORMAL;
}

/* An answer that is lost with the connection is given again: met conditions stay met, others stay refused. */
static void publish_as_lost_connections_change_no_outcome(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, "name", "named", NULL);
    unsigned publishes = 0;
    uint64_t place = 0;

    (void)state;
    fake_broker_lock(broker);
    broker->context = &publishes;
    broker->deed = drop_some;
    fake_broker_unlock(broker);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t expected = i % 4 == 3 ? 1000000 : place;

        assert_int_equal(publish_as(producer, i, 0, &expected), TRUC_OK);
        place += i % 4 != 3;
    }
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger->count, 100);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(ledger->statuses[i], i % 4 == 3 ? TRUC_CONFLICT : TRUC_OK);
    assert_int_equal(kit_stored(broker, topic, NULL, 0), 75);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
}

static enum fake_deed silent_publish(void *context, struct fake_broker *broker, const struct frame *frame)
{
    (void)broker;
    return frame->kind == FRAME_PUBLISH && *(bool *)context ? FAKE_SILENT : FAKE_NORMAL;
}

static void remove_directory(const char *path)
{
    DIR *stream = opendir(path);
    struct dirent *entry;
    char name[600];

    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL) {
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        (void)unlink(name);
    }
    (void)closedir(stream);
    assert_int_equal(rmdir(path), 0);
}

static void publish_as_outbox_keeps_the_way(void **state)
{
    static const uint64_t wrong = 77, right = 3;
    char directory[] = "/tmp/truc-outbox-XXXXXX";
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer;
    bool silent = true;
    uint64_t next = 0;

    (void)state;
    assert_non_null(mkdtemp(directory));
    fake_broker_lock(broker);
    broker->context = &silent;
    broker->deed = silent_publish;
    fake_broker_unlock(broker);
    producer = kit_producer(client, NULL, "name", "kept", "outbox", directory, NULL);
    assert_int_equal(publish_as(producer, 0, 0, NULL), TRUC_OK);
    assert_int_equal(publish_as(producer, 1, 900, NULL), TRUC_OK);
    assert_int_equal(publish_as(producer, 2, 900, NULL), TRUC_OK);
    assert_int_equal(publish_as(producer, 3, 0, &wrong), TRUC_OK);
    assert_int_equal(publish_as(producer, 4, INT64_MAX, &right), TRUC_OK);
    assert_int_equal(publish_as(producer, 5, 0, NULL), TRUC_OK);
    assert_int_equal(truc_producer_close(producer, 20), TRUC_TIMED_OUT);

    fake_broker_lock(broker);
    silent = false;
    fake_broker_unlock(broker);
    producer = kit_producer(client, ledger, "name", "kept", "outbox", directory, NULL);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_OK), 5);
    assert_int_equal(ledger_count(ledger, TRUC_CONFLICT), 1);
    assert_int_equal(ledger->statuses[3], TRUC_CONFLICT);
    assert_int_equal(ledger->offsets[3], 3);
    assert_int_equal(broker->entry_count, 4);
    assert_int_equal(stored_batch(broker, 0).deliver_at_ns, 0);
    assert_int_equal(stored_batch(broker, 1).deliver_at_ns, 900);
    assert_int_equal(stored_batch(broker, 1).record_count, 2);
    assert_true(stored_batch(broker, 2).deliver_at_ns == INT64_MAX);
    assert_true(stored_batch(broker, 2).conditional);
    assert_int_equal(stored_batch(broker, 2).expected_offset, 3);
    assert_false(stored_batch(broker, 3).conditional);
    assert_int_equal(truc_producer_close(producer, 0), TRUC_OK);

    /* The refused one is out of the outbox. */
    producer = kit_producer(client, ledger, "name", "kept", "outbox", directory, NULL);
    assert_int_equal(truc_producer_sequence(producer, topic, &next), TRUC_OK);
    assert_int_equal(next, 5);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger->count, 6);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
    remove_directory(directory);
}

static void publish_subscriptions_are_told(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    truc_record record = TRUC_RECORD_INIT;
    truc_delivery delivery;

    (void)state;
    assert_int_equal(truc_publish_wait(producer, topic, &record, WAIT_MS, &delivery), TRUC_OK);
    assert_int_equal(delivery.subscriptions, 0);
    fake_broker_lock(broker);
    broker->subscriptions = 12;
    fake_broker_unlock(broker);
    assert_int_equal(truc_publish_wait(producer, topic, &record, WAIT_MS, &delivery), TRUC_OK);
    assert_int_equal(delivery.subscriptions, 12);
    truc_client_close(client);
    fake_broker_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_as_alike_share_a_batch),
        cmocka_unit_test(publish_as_bad_ways_are_refused),
        cmocka_unit_test(publish_as_conflict_names_the_next_offset),
        cmocka_unit_test(publish_as_lost_connections_change_no_outcome),
        cmocka_unit_test(publish_as_outbox_keeps_the_way),
        cmocka_unit_test(publish_subscriptions_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
