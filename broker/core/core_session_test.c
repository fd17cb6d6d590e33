/* Tests of hello, login and what may be sent when; ping and log info. */
#include "core_test_kit.h"

#include "broker/core/table.h"

static struct kit kit;

static int setup(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(kit.prepared_held, 0);
    kit_fini(&kit);
    return 0;
}

static Truc__V1__ClientHello good_hello(void)
{
    static uint8_t nonce[32];
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;

    hello.magic = 0x54525543;
    hello.version_min = hello.version_max = 1;
    hello.nonce = (ProtobufCBinaryData){sizeof nonce, nonce};
    return hello;
}

static void expect_refused(const Truc__V1__ClientHello *hello, truc_status status)
{
    uint64_t connection = kit_connect(&kit);

    kit_send(&kit, connection, FRAME_HELLO, 9, &hello->base);
    kit_take_error(&kit, connection, 9, status);
    kit_expect_closed(&kit, connection);
    /* What was sent meanwhile is dropped without a word. */
    kit_send(&kit, connection, FRAME_HELLO, 10, &hello->base);
    kit_expect_nothing(&kit, connection);
}

static void hello_matching_log_is_answered_with_head_and_limits(void **state)
{
    Truc__V1__ClientHello hello = good_hello();
    uint64_t connection = kit_connect(&kit);
    const Truc__V1__ServerHello *answer;

    (void)state;
    hello.domain = "local/dev";
    hello.log_id = (ProtobufCBinaryData){LOG_ID_BYTES, kit.config.log_id};
    hello.generation = 1;
    hello.version_max = 7;
    kit_send(&kit, connection, FRAME_HELLO, 1, &hello.base);
    answer = kit_take(&kit, connection, FRAME_HELLO_OK, 1);
    assert_int_equal(answer->magic, 0x54525543);
    assert_int_equal(answer->version, 1);
    assert_int_equal(answer->nonce.len, 32);
    assert_int_equal(answer->nonce.data[0], 0x4e);
    assert_string_equal(answer->domain, "local/dev");
    assert_int_equal(answer->log_id.len, LOG_ID_BYTES);
    assert_int_equal(answer->durable_position, 0);
    assert_int_equal(answer->limits->batches_in_flight_max, BATCHES_IN_FLIGHT_MAX);
    assert_int_equal(answer->limits->publish_credit_bytes, 8 * 1024 * 1024);
    assert_int_equal(answer->n_login_algorithms, 1);
    assert_string_equal(answer->capabilities[0], "engine=memory");
    assert_int_equal(answer->n_capabilities, 6); /* a memory engine is not durable */
}

static void hello_wrong_magic_closes(void **state)
{
    Truc__V1__ClientHello hello = good_hello();

    (void)state;
    hello.magic = 1;
    expect_refused(&hello, TRUC_PROTOCOL);
}

static void hello_other_version_closes(void **state)
{
    Truc__V1__ClientHello hello = good_hello();

    (void)state;
    hello.version_min = 2;
    hello.version_max = 3;
    expect_refused(&hello, TRUC_VERSION_MISMATCH);
    hello.version_min = hello.version_max = 0;
    expect_refused(&hello, TRUC_VERSION_MISMATCH);
}

static void hello_short_nonce_closes(void **state)
{
    Truc__V1__ClientHello hello = good_hello();

    (void)state;
    hello.nonce.len = 16;
    expect_refused(&hello, TRUC_PROTOCOL);
}

static void hello_other_log_closes(void **state)
{
    Truc__V1__ClientHello hello = good_hello();
    uint8_t other[LOG_ID_BYTES] = {1};

    (void)state;
    hello.domain = "H26/prod";
    expect_refused(&hello, TRUC_LOG_MISMATCH);
    hello = good_hello();
    hello.log_id = (ProtobufCBinaryData){sizeof other, other};
    expect_refused(&hello, TRUC_LOG_MISMATCH);
    hello.log_id = (ProtobufCBinaryData){3, kit.config.log_id};
    expect_refused(&hello, TRUC_LOG_MISMATCH);
    hello = good_hello();
    hello.generation = 2;
    expect_refused(&hello, TRUC_LOG_MISMATCH);
}

static void expect_login(const Truc__V1__Login *login, truc_status status)
{
    uint64_t connection = kit_connect(&kit);

    kit_hello(&kit, connection);
    kit_send(&kit, connection, FRAME_LOGIN, 2, &login->base);
    kit_take_error(&kit, connection, 2, status);
    kit_expect_closed(&kit, connection);
}

static void login_wrong_source_or_algorithm_closes(void **state)
{
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;
    uint8_t key[4] = {1};

    (void)state;
    login.algorithm = "none";
    login.source = "not an agency";
    login.system = "portal";
    expect_login(&login, TRUC_BAD_SOURCE);
    login.source = "H26.16";
    login.system = "";
    expect_login(&login, TRUC_BAD_SOURCE);
    login.system = "portal";
    login.algorithm = "ed25519";
    expect_login(&login, TRUC_UNSUPPORTED);
    login.algorithm = "none";
    login.key_id = (ProtobufCBinaryData){sizeof key, key};
    expect_login(&login, TRUC_UNSUPPORTED);
}

static void requests_before_login_close(void **state)
{
    Truc__V1__Ping ping = TRUC__V1__PING__INIT;
    uint64_t connection = kit_connect(&kit);

    (void)state;
    kit_send(&kit, connection, FRAME_PING, 5, &ping.base);
    kit_take_error(&kit, connection, 0, TRUC_NOT_LOGGED_IN);
    kit_expect_closed(&kit, connection);
    connection = kit_connect(&kit);
    kit_hello(&kit, connection);
    kit_publish(&kit, connection, 5, &(struct kit_batch){.topic = "a", .producer_id = 1, .epoch = 1, .record_count = 1});
    kit_take_error(&kit, connection, 0, TRUC_NOT_LOGGED_IN);
    kit_expect_closed(&kit, connection);
}

static void second_hello_or_broker_kinds_close(void **state)
{
    const enum frame_kind kinds[] = {FRAME_HELLO,     FRAME_LOGIN,  FRAME_HELLO_OK, FRAME_ERROR,        FRAME_PUBLISH_OK,
                                     FRAME_READ_DATA, FRAME_GOAWAY, FRAME_PUBLISH,  (enum frame_kind)99};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint64_t connection = kit_session(&kit, "H26.16", "portal");

        kit_send_raw(&kit, connection, kinds[i], 5, bytes_of(NULL, 0), bytes_of(NULL, 0));
        kit_take_error(&kit, connection, 0, TRUC_PROTOCOL);
        kit_expect_closed(&kit, connection);
    }
}

static void request_id_zero_closes(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");

    (void)state;
    kit_send_raw(&kit, connection, FRAME_PING, 0, bytes_of(NULL, 0), bytes_of(NULL, 0));
    kit_take_error(&kit, connection, 0, TRUC_PROTOCOL);
    kit_expect_closed(&kit, connection);
}

static uint64_t next_random(void)
{
    static uint64_t random = 99;

    return table_mix(random++);
}

static void random_frames_never_break_it(void **state)
{

    (void)state;
    for (int i = 0; i < 5000; i++) {
        uint64_t connection = i % 3 ? kit_session(&kit, "H26.16", "portal") : kit_connect(&kit);
        uint8_t header[64], payload[16] = {0};
        size_t size = next_random() % sizeof header;

        for (size_t at = 0; at < size; at++)
            header[at] = (uint8_t)(next_random() & (i & 1 ? 0xff : 0x1f));
        uint64_t request_id = next_random() % 4;
        enum frame_kind kind = (enum frame_kind)(next_random() % 64);

        kit_send_raw(&kit, connection, kind, request_id, bytes_of(header, size), bytes_of(payload, next_random() % sizeof payload));
        kit_disconnect(&kit, connection);
        kit.other_count = 0;
        if (i % 100 == 0)
            kit_commit(&kit);
    }
    assert_int_equal(core_counts(kit.core).connections, 0);
    assert_int_equal(core_counts(kit.core).readers, 0);
}

static void connections_beyond_the_limit_are_turned_away(void **state)
{
    uint64_t last = 0;

    (void)state;
    for (uint32_t i = 0; i < kit.config.connections_max; i++)
        last = kit_connect(&kit);
    kit_expect_nothing(&kit, last);
    last = kit_connect(&kit);
    kit_take_error(&kit, last, 0, TRUC_TOO_MANY);
    kit_expect_closed(&kit, last);
    kit_disconnect(&kit, last);
    assert_int_equal(core_counts(kit.core).connections, kit.config.connections_max);
}

static void ping_echoes_its_payload(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    const Truc__V1__Pong *pong;

    (void)state;
    kit_send_raw(&kit, connection, FRAME_PING, 5, bytes_of(NULL, 0), bytes_of_text("hello"));
    assert_memory_equal(kit_peek(&kit, connection)->payload.data, "hello", 5);
    assert_int_equal(kit_peek(&kit, connection)->payload.size, 5);
    pong = kit_take(&kit, connection, FRAME_PONG, 5);
    assert_int_equal(pong->clock_ns, kit.now.wall_ns);
}

static void log_info_tells_what_is_durable(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    struct kit_producer producer = kit_open(&kit, connection, "p");
    const Truc__V1__LogInfoOk *info;

    (void)state;
    kit_publish(&kit, connection, 5,
                &(struct kit_batch){.topic = "a.b", .producer_id = producer.id, .epoch = producer.epoch, .record_count = 3});
    kit_send_raw(&kit, connection, FRAME_LOG_INFO, 6, bytes_of(NULL, 0), bytes_of(NULL, 0));
    info = kit_take(&kit, connection, FRAME_LOG_INFO_OK, 6);
    assert_int_equal(info->durable_position, 0);
    assert_int_equal(info->topic_count, 0);
    assert_int_equal(info->producer_count, 1);
    assert_string_equal(info->state, "ok");
    assert_true(info->available_bytes < kit.capacity.available_bytes);
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
    kit_send_raw(&kit, connection, FRAME_LOG_INFO, 7, bytes_of(NULL, 0), bytes_of(NULL, 0));
    info = kit_take(&kit, connection, FRAME_LOG_INFO_OK, 7);
    assert_int_equal(info->durable_position, 1);
    assert_int_equal(info->topic_count, 1);
    assert_int_equal(info->record_count, 3);
    assert_int_equal(info->available_bytes, kit.capacity.available_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hello_matching_log_is_answered_with_head_and_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(hello_wrong_magic_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(hello_other_version_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(hello_short_nonce_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(hello_other_log_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(login_wrong_source_or_algorithm_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_before_login_close, setup, teardown),
        cmocka_unit_test_setup_teardown(second_hello_or_broker_kinds_close, setup, teardown),
        cmocka_unit_test_setup_teardown(request_id_zero_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(random_frames_never_break_it, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_beyond_the_limit_are_turned_away, setup, teardown),
        cmocka_unit_test_setup_teardown(ping_echoes_its_payload, setup, teardown),
        cmocka_unit_test_setup_teardown(log_info_tells_what_is_durable, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
