/* client_read_test.c: readers and sessions against a broker that behaves, drops connections, and serves damage. */
#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char topic[] = "test.read";

struct seen {
    pthread_mutex_t lock;
    pthread_cond_t more;
    size_t count, most, entries_at_once;
    uint64_t numbers[LEDGER_MAX];
    uint64_t last_position;
    bool ended;
    truc_status status, stop_with;
    uint64_t next_position;
};

static struct seen *seen_create(void)
{
    struct seen *seen = calloc(1, sizeof *seen);

    assert_non_null(seen);
    (void)pthread_mutex_init(&seen->lock, NULL);
    (void)pthread_cond_init(&seen->more, NULL);
    seen->most = SIZE_MAX;
    return seen;
}

static void seen_destroy(struct seen *seen)
{
    (void)pthread_cond_destroy(&seen->more);
    (void)pthread_mutex_destroy(&seen->lock);
    free(seen);
}

static truc_status on_message(void *context, const truc_message *messages, size_t count)
{
    struct seen *seen = context;
    truc_status status = TRUC_OK;

    (void)pthread_mutex_lock(&seen->lock);
    for (size_t i = 0; i < count; i++) {
        uint64_t number;

        memcpy(&number, messages[i].record.data, sizeof number);
        seen->numbers[seen->count++] = number;
        if (messages[i].position != messages[0].position)
            seen->entries_at_once++;
        seen->last_position = messages[i].position;
    }
    if (seen->count >= seen->most)
        status = seen->stop_with;
    (void)pthread_cond_broadcast(&seen->more);
    (void)pthread_mutex_unlock(&seen->lock);
    return status;
}

static void on_end(void *context, truc_status status, const char *why, uint64_t next_position)
{
    struct seen *seen = context;

    (void)why;
    (void)pthread_mutex_lock(&seen->lock);
    assert_false(seen->ended);
    seen->ended = true;
    seen->status = status;
    seen->next_position = next_position;
    (void)pthread_mutex_unlock(&seen->lock);
}

static void wait_for(struct seen *seen, size_t count)
{
    (void)pthread_mutex_lock(&seen->lock);
    while (seen->count < count)
        (void)pthread_cond_wait(&seen->more, &seen->lock);
    (void)pthread_mutex_unlock(&seen->lock);
}

/* A broker with `count` numbered records in batches of ten, every hundredth with the key "the-bad-one". */
static struct fake_broker *filled_broker(uint64_t count, size_t size)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer =
        kit_producer(client, NULL, "batch_records", "10", "linger_us", "10000000", "codec", size > 100 ? "lz4" : "none", NULL);

    kit_publish(producer, topic, 0, count, size, 100);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    return broker;
}

static truc_reader *open_reader(truc_client *client, struct seen *seen, const char *pattern, truc_options *options)
{
    truc_reader *reader = NULL;
    char *why = NULL;

    if (truc_reader_open(client, pattern, options, seen != NULL ? on_message : NULL, seen != NULL ? on_end : NULL, seen, &reader,
                         &why) != TRUC_OK)
        fail_msg("reader: %s", why);
    truc_options_destroy(options);
    return reader;
}

static void read_all_arrive_in_order(void **state)
{
    static const size_t sizes[] = {16, 300};

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        struct fake_broker *broker = filled_broker(5000, sizes[s]);
        struct seen *seen = seen_create();
        truc_client *client = kit_client(broker->url, NULL);
        truc_reader *reader = open_reader(client, seen, "test.>", kit_options("credit_bytes", "65536", NULL));
        uint64_t from = 1, until = 0;

        assert_int_equal(truc_reader_bounds(reader, &from, &until), TRUC_OK);
        assert_int_equal(from, 0);
        assert_int_equal(until, broker->entry_count);
        assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_OK);
        assert_true(seen->ended);
        assert_int_equal(seen->count, 5000);
        assert_int_equal(seen->entries_at_once, 0);
        assert_int_equal(seen->next_position, broker->entry_count);
        for (size_t i = 0; i < seen->count; i++)
            assert_int_equal(seen->numbers[i], i);
        truc_reader_close(reader);
        truc_client_close(client);
        fake_broker_stop(broker);
        seen_destroy(seen);
    }
}

static void read_reverse_limit_key_are_exact(void **state)
{
    struct fake_broker *broker = filled_broker(1000, 16);
    truc_client *client = kit_client(broker->url, NULL);
    struct seen *seen = seen_create();
    truc_reader *reader = open_reader(client, seen, topic, kit_options("reverse", "yes", "limit", "25", NULL));

    (void)state;
    assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_OK);
    assert_int_equal(seen->count, 25);
    for (size_t i = 0; i < 25; i++)
        assert_int_equal(seen->numbers[i], 999 - i);
    assert_int_equal(seen->next_position, 98); /* its last five records are in 97, which must be looked at again */
    truc_reader_close(reader);
    seen_destroy(seen);

    seen = seen_create();
    reader = open_reader(client, seen, topic, kit_options("key", "the-bad-one", "from", "position=20", NULL));
    assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_OK);
    assert_int_equal(seen->count, 8);
    assert_int_equal(seen->numbers[0], 299);
    truc_reader_close(reader);
    seen_destroy(seen);

    seen = seen_create();
    reader = open_reader(client, seen, topic, kit_options("source", "H26/other", NULL));
    assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_OK);
    assert_int_equal(seen->count, 0);
    truc_reader_close(reader);
    seen_destroy(seen);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void read_pull_gives_one_by_one(void **state)
{
    struct fake_broker *broker = filled_broker(1000, 16);
    truc_client *client = kit_client(broker->url, NULL);
    truc_reader *reader = open_reader(client, NULL, topic, kit_options("verify", "no", NULL));
    const truc_message *message = NULL;
    uint64_t count = 0;
    truc_status status;

    (void)state;
    while ((status = truc_reader_pull(reader, WAIT_MS, &message)) == TRUC_OK && message != NULL) {
        assert_memory_equal(message->record.data, &count, sizeof count);
        assert_int_equal(message->offset, count);
        count++;
    }
    assert_int_equal(status, TRUC_OK);
    assert_int_equal(count, 1000);
    assert_int_equal(truc_reader_pull(reader, 0, &message), TRUC_OK);
    assert_null(message);
    truc_reader_close(reader);
    reader = open_reader(client, NULL, topic, kit_options("follow", "yes", "from", "head", NULL));
    assert_int_equal(truc_reader_pull(reader, 0, &message), TRUC_TIMED_OUT);
    assert_int_equal(truc_reader_pull(reader, 20, &message), TRUC_TIMED_OUT);
    truc_reader_close(reader);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void read_follow_sees_what_is_published(void **state)
{
    struct fake_broker *broker = filled_broker(100, 16);
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "batch_records", "7", NULL);
    struct seen *seen = seen_create();
    truc_reader *reader = open_reader(client, seen, topic, kit_options("follow", "yes", NULL));

    (void)state;
    kit_publish(producer, topic, 100, 300, 16, 0);
    wait_for(seen, 300);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(seen->numbers[i], i);
    assert_int_equal(truc_reader_wait(reader, 1), TRUC_TIMED_OUT);
    truc_reader_close(reader);
    assert_int_equal(seen->status, TRUC_CANCELLED);
    truc_client_close(client);
    fake_broker_stop(broker);
    seen_destroy(seen);
}

static void read_callback_stops_it(void **state)
{
    struct fake_broker *broker = filled_broker(1000, 16);
    truc_client *client = kit_client(broker->url, NULL);
    struct seen *seen = seen_create();
    truc_reader *reader;

    (void)state;
    seen->most = 30;
    seen->stop_with = TRUC_CONFLICT;
    reader = open_reader(client, seen, topic, NULL);
    assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_CONFLICT);
    assert_int_equal(seen->count, 30);
    truc_reader_close(reader);
    truc_client_close(client);
    fake_broker_stop(broker);
    seen_destroy(seen);
}

static void read_damage_ends_it_and_says_where(void **state)
{
    struct fake_broker *broker = filled_broker(1000, 16);
    truc_client *client = kit_client(broker->url, NULL);
    struct seen *seen = seen_create();
    truc_reader *reader;

    (void)state;
    broker->damage_position = 42;
    reader = open_reader(client, seen, topic, NULL);
    assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_DAMAGED);
    assert_int_equal(seen->count, 420);
    assert_int_equal(seen->next_position, 42);
    truc_reader_close(reader);
    truc_client_close(client);
    fake_broker_stop(broker);
    seen_destroy(seen);
}

/* Deeds for the frames of a reader, one after the other. */
struct trouble {
    _Atomic uint64_t seen;
    uint64_t at;
    enum fake_deed deed;
};

static enum fake_deed make_trouble(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct trouble *trouble = context;

    (void)broker;
    if (frame->kind != FRAME_READ && frame->kind != FRAME_CREDIT)
        return FAKE_NORMAL;
    return atomic_fetch_add(&trouble->seen, 1) == trouble->at ? trouble->deed : FAKE_NORMAL;
}

static void read_lost_connections_leave_no_gap(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN,
                                           FAKE_GARBAGE,     FAKE_STRANGER,   FAKE_TWICE};

    (void)state;
    for (size_t d = 0; d < 6; d++) {
        for (uint64_t at = 0; at < 6; at++) {
            struct fake_broker *broker = filled_broker(3000, 60);
            struct trouble trouble = {.at = at, .deed = deeds[d]};
            truc_client *client;
            struct seen *seen = seen_create();
            truc_reader *reader;
            bool reverse = at % 2 == 1;

            broker->deed = make_trouble;
            broker->context = &trouble;
            client = kit_client(broker->url, NULL);
            reader =
                open_reader(client, seen, topic, kit_options("credit_bytes", "65536", "reverse", reverse ? "yes" : "no", NULL));
            /* Data sent twice does not move on: that connection is given up, the reading is not. */
            assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_OK);
            assert_int_equal(seen->count, 3000);
            for (size_t i = 0; i < seen->count; i++)
                assert_int_equal(seen->numbers[i], reverse ? 2999 - i : i);
            truc_reader_close(reader);
            truc_client_close(client);
            fake_broker_stop(broker);
            seen_destroy(seen);
        }
    }
}

static void read_record_comes_back_whole(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, "source", "H26.16/portal", NULL);
    truc_producer *producer = kit_producer(client, NULL, NULL);
    const uint8_t log_id[16] = {7};
    truc_header headers[2] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {"2", 1}}};
    truc_record record = TRUC_RECORD_INIT;
    truc_reader *reader;
    const truc_message *message = NULL;

    (void)state;
    record.data = "data";
    record.data_size = 4;
    record.id = (truc_text){"my-id", 5};
    record.key = (truc_text){"k", 1};
    record.type = (truc_text){"t", 1};
    record.content_type = (truc_text){"text/plain", 10};
    record.schema = (truc_text){"s", 1};
    record.correlation_id = (truc_text){"c", 1};
    record.traceparent = (truc_text){"tp", 2};
    record.time_ns = -5;
    record.expires_at_ns = 99;
    record.headers = headers;
    record.header_count = 2;
    record.relates_to.log_id = log_id;
    record.relates_to.topic = (truc_text){"x.y", 3};
    record.relates_to.id = (truc_text){"rid", 3};
    record.relates_to.relation = (truc_text){"answer", 6};
    record.relates_to.offset = 12;
    assert_int_equal(truc_publish_wait(producer, topic, &record, WAIT_MS, NULL), TRUC_OK);
    reader = open_reader(client, NULL, topic, NULL);
    assert_int_equal(truc_reader_pull(reader, WAIT_MS, &message), TRUC_OK);
    assert_non_null(message);
    assert_string_equal(message->topic, topic);
    assert_string_equal(message->source, "H26.16");
    assert_string_equal(message->system, "portal");
    assert_int_equal(message->generation, 1);
    assert_memory_equal(message->log_id, broker->log_id, 16);
    assert_memory_equal(message->record.data, "data", 4);
    assert_memory_equal(message->record.id.data, "my-id", 5);
    assert_memory_equal(message->record.traceparent.data, "tp", 2);
    assert_int_equal(message->record.time_ns, -5);
    assert_int_equal(message->record.expires_at_ns, 99);
    assert_int_equal(message->record.header_count, 2);
    assert_memory_equal(message->record.headers[1].name.data, "b", 1);
    assert_memory_equal(message->record.headers[1].value.data, "2", 1);
    assert_memory_equal(message->record.relates_to.log_id, log_id, 16);
    assert_int_equal(message->record.relates_to.offset, 12);
    assert_int_equal(message->record.relates_to.relation.size, 6);
    truc_reader_close(reader);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- the session ------------------------------------------------------------------------------------------------------------- */

static truc_status try_client(const char *url, const char *name, const char *value)
{
    truc_options *options = kit_options("url", url, "connect_timeout_ms", "300", name, value, NULL);
    truc_client *client = NULL;
    char *why = NULL;
    truc_status status = truc_client_open(options, &client, &why);

    if (status == TRUC_OK)
        truc_client_close(client);
    else
        assert_non_null(why);
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

static void session_wrong_peer_is_named(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    char url[64];

    (void)state;
    assert_int_equal(try_client(broker->url, "domain", "test/fake"), TRUC_OK);
    assert_int_equal(try_client(broker->url, "domain", "H26/prod"), TRUC_LOG_MISMATCH);
    assert_int_equal(try_client("http://127.0.0.1:1", NULL, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(try_client(broker->url, "source", "H26.16"), TRUC_BAD_SOURCE);
    (void)snprintf(url, sizeof url, "%s", broker->url);
    fake_broker_stop(broker);
    assert_int_equal(try_client(url, NULL, NULL), TRUC_UNREACHABLE);
    assert_int_equal(try_client(url, "connect_timeout_ms", "0"), TRUC_UNREACHABLE);
}

static void session_log_that_went_back_ends_everything(void **state)
{
    struct fake_broker *broker = filled_broker(100, 16);
    struct ledger *ledger = ledger_create();
    struct seen *seen = seen_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer = kit_producer(client, ledger, NULL);
    truc_reader *reader = open_reader(client, seen, topic, kit_options("follow", "yes", NULL));
    truc_record record = TRUC_RECORD_INIT;
    bool connected = true;
    char text[128];

    (void)state;
    wait_for(seen, 100);
    fake_broker_lock(broker);
    broker->durable_back = 3;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    assert_int_equal(truc_reader_wait(reader, WAIT_MS), TRUC_LOG_WENT_BACK);
    assert_int_equal(truc_publish(producer, topic, &record, NULL), TRUC_LOG_WENT_BACK);
    truc_client_state(client, &connected, text, sizeof text);
    assert_false(connected);
    assert_non_null(strstr(text, "position"));
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
    seen_destroy(seen);
}

static void session_memory_file_outlives_the_client(void **state)
{
    struct fake_broker *broker = filled_broker(100, 16);
    char directory[] = "/tmp/truc-memory-XXXXXX", path[64];

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/memory", directory);
    assert_int_equal(try_client(broker->url, "memory_file", path), TRUC_OK);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(try_client(broker->url, "memory_file", path), TRUC_OK);
    broker->durable_back = 1;
    assert_int_equal(try_client(broker->url, "memory_file", path), TRUC_LOG_WENT_BACK);
    broker->durable_back = 0;
    broker->generation = 2;
    assert_int_equal(try_client(broker->url, "memory_file", path), TRUC_LOG_MISMATCH);
    fake_broker_stop(broker);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static enum fake_deed greet_badly(void *context, struct fake_broker *broker, const struct frame *frame)
{
    (void)broker;
    return frame->kind == FRAME_HELLO || frame->kind == FRAME_LOGIN ? *(enum fake_deed *)context : FAKE_NORMAL;
}

static void session_bad_greetings_end_in_time(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_SILENT,  FAKE_DROP_BEFORE, FAKE_DROP_WITHIN,
                                           FAKE_GARBAGE, FAKE_STRANGER,    FAKE_TWICE};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct fake_broker *broker = fake_broker_start();
        enum fake_deed deed = deeds[i];
        truc_status status;

        broker->context = &deed;
        broker->deed = greet_badly;
        status = try_client(broker->url, NULL, NULL);
        assert_true(deed == FAKE_TWICE ? status == TRUC_OK
                                       : status == TRUC_TIMED_OUT || status == TRUC_UNREACHABLE || status == TRUC_PROTOCOL);
        fake_broker_stop(broker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_all_arrive_in_order),
        cmocka_unit_test(read_reverse_limit_key_are_exact),
        cmocka_unit_test(read_pull_gives_one_by_one),
        cmocka_unit_test(read_follow_sees_what_is_published),
        cmocka_unit_test(read_callback_stops_it),
        cmocka_unit_test(read_damage_ends_it_and_says_where),
        cmocka_unit_test(read_lost_connections_leave_no_gap),
        cmocka_unit_test(read_record_comes_back_whole),
        cmocka_unit_test(session_wrong_peer_is_named),
        cmocka_unit_test(session_log_that_went_back_ends_everything),
        cmocka_unit_test(session_memory_file_outlives_the_client),
        cmocka_unit_test(session_bad_greetings_end_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
