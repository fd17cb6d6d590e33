/* dead_test.c: reading a topic of dead letters, and having something done about them. */
#undef NDEBUG
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/work_kit.h"
#include "truc/v1/wire.pb-c.h"

#define TOPIC "dead.H26.16.work" /* the fake broker's agency */

static void publish(truc_producer *producer, const char *type, const truc_header *headers, size_t count)
{
    truc_record record = TRUC_RECORD_INIT;

    record.type = (truc_text){type, strlen(type)};
    record.headers = headers;
    record.header_count = count;
    assert_int_equal(truc_publish(producer, TOPIC, &record, NULL), TRUC_OK);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
}

#define HEADER(name, text)                                                                                                         \
    {                                                                                                                              \
        {name, strlen(name)},                                                                                                      \
        {                                                                                                                          \
            text, strlen(text)                                                                                                     \
        }                                                                                                                          \
    }

static void put_letter(truc_producer *producer, uint64_t position)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)position);
    truc_header headers[] = {HEADER("reason", "attempts"),  HEADER("attempts", "5"),          HEADER("position", text),
                             HEADER("index", "3"),          HEADER("first-failed-ns", "100"), HEADER("last-failed-ns", "200"),
                             HEADER("subscription", "work")};

    publish(producer, "truc.dead.v1", headers, sizeof headers / sizeof headers[0]);
}

static void put_deed(truc_producer *producer, const char *type, uint64_t letter)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)letter);
    truc_header headers[] = {HEADER("letter-offset", text), HEADER("position", "1"), HEADER("index", "3"),
                             HEADER("subscription", "work"), HEADER("by", "H26.16/desk")};

    publish(producer, type, headers, sizeof headers / sizeof headers[0]);
}

/* What came in DEAD frames. */
struct office {
    truc_producer *producer;
    _Atomic unsigned requests;
    unsigned conflicts; /* to be answered so, whatever is expected */
    unsigned losses;    /* answers that are lost after it was done */
    uint64_t letters[8], expected_offset;
    size_t count;
    uint32_t action;
    char name[80];
};

static bool on_dead(void *context, struct fake_broker *broker, const struct frame *frame)
{
    struct office *office = context;
    uint8_t memory[16384];
    struct arena arena = {memory, memory + sizeof memory};
    Truc__V1__DeadOk ok = TRUC__V1__DEAD_OK__INIT;
    const Truc__V1__Dead *dead;
    const char *why;

    if (frame->kind != FRAME_DEAD)
        return false;
    dead = frame_header_decode(&arena, &truc__v1__dead__descriptor, frame->header, &why);
    assert_non_null(dead);
    atomic_fetch_add(&office->requests, 1);
    office->expected_offset = dead->expected_offset;
    if (office->conflicts > 0 || dead->expected_offset != fake_broker_next_offset(broker, TOPIC)) {
        office->conflicts -= office->conflicts > 0;
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, TRUC_CONFLICT, 0);
        return true;
    }
    office->count = dead->n_letters;
    office->action = dead->action;
    (void)snprintf(office->name, sizeof office->name, "%s", dead->name);
    for (size_t i = 0; i < dead->n_letters; i++)
        office->letters[i] = dead->letters[i]->offset * 1000 + dead->letters[i]->position * 10 + dead->letters[i]->index;
    if (office->losses > 0) {
        office->losses--;
        fake_broker_disconnect(broker);
        return true;
    }
    fake_broker_answer(broker, FAKE_NORMAL, FRAME_DEAD_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
    return true;
}

struct fixture {
    struct fake_broker *broker;
    truc_client *client;
    struct office office;
};

/* Letters at 0, 1, 2, 5; the one at 1 is redriven at 3, the one at 0 dropped at 4; 6 and 7 are nonsense. */
static struct fixture *set_up(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    truc_header bad[] = {HEADER("position", "1x"), HEADER("index", "3"), HEADER("letter-offset", "99")};

    assert_non_null(fixture);
    fixture->broker = fake_broker_start();
    fixture->client = kit_client(fixture->broker->url, NULL);
    fixture->office.producer = kit_producer(fixture->client, NULL, "linger_us", "0", NULL);
    fake_broker_lock(fixture->broker);
    fixture->broker->context = &fixture->office;
    fixture->broker->other = on_dead;
    fake_broker_unlock(fixture->broker);
    work_subscribe(fixture->client, "work", "shared");
    for (uint64_t i = 0; i < 3; i++)
        put_letter(fixture->office.producer, 40 + i);
    put_deed(fixture->office.producer, "truc.dead.redriven.v1", 1);
    put_deed(fixture->office.producer, "truc.dead.dropped.v1", 0);
    put_letter(fixture->office.producer, 41);
    publish(fixture->office.producer, "truc.dead.v1", bad, 2);
    publish(fixture->office.producer, "truc.dead.dropped.v1", bad, 3);
    return fixture;
}

static void tear_down(struct fixture *fixture)
{
    truc_client_close(fixture->client);
    fake_broker_stop(fixture->broker);
    free(fixture);
}

static void dead_letters_are_listed_by_page(void **state)
{
    struct fixture *fixture = set_up();
    uint64_t next = 0;
    char *json = NULL;
    bool more = false;

    (void)state;
    assert_int_equal(truc_dead_json(fixture->client, "work", 0, 100, false, &json, &next, &more), TRUC_OK);
    assert_string_equal(json,
                        "[{\"offset\":2,\"state\":\"open\",\"reason\":\"attempts\",\"attempts\":5,\"position\":42,\"index\":3,"
                        "\"first_failed_ns\":100,\"last_failed_ns\":200,\"append_time_ns\":3},"
                        "{\"offset\":5,\"state\":\"open\",\"reason\":\"attempts\",\"attempts\":5,\"position\":41,\"index\":3,"
                        "\"first_failed_ns\":100,\"last_failed_ns\":200,\"append_time_ns\":6}]");
    assert_false(more);
    truc_free(json);
    assert_int_equal(truc_dead_json(fixture->client, "work", 0, 3, true, &json, &next, &more), TRUC_OK);
    assert_non_null(strstr(json, "{\"offset\":0,\"state\":\"dropped\""));
    assert_non_null(strstr(json, "{\"offset\":1,\"state\":\"redriven\""));
    assert_null(strstr(json, "{\"offset\":5"));
    assert_true(more);
    assert_int_equal(next, 3);
    truc_free(json);
    assert_int_equal(truc_dead_json(fixture->client, "work", next, 3, true, &json, &next, &more), TRUC_OK);
    assert_non_null(strstr(json, "[{\"offset\":5,\"state\":\"open\""));
    assert_false(more);
    truc_free(json);
    assert_int_equal(truc_dead_json(fixture->client, "work", 1000, 3, true, &json, &next, &more), TRUC_OK);
    assert_string_equal(json, "[]");
    truc_free(json);
    work_subscribe(fixture->client, "quiet", "shared");
    assert_int_equal(truc_dead_json(fixture->client, "quiet", 0, 3, true, &json, &next, &more), TRUC_OK);
    assert_string_equal(json, "[]");
    truc_free(json);
    assert_int_equal(truc_dead_json(fixture->client, "nobody", 0, 3, true, &json, &next, &more), TRUC_NOT_FOUND);
    tear_down(fixture);
}

static void dead_letters_are_redriven_when_they_are_open(void **state)
{
    struct fixture *fixture = set_up();
    struct office *office = &fixture->office;
    char *why = NULL;

    (void)state;
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_REDRIVE, (uint64_t[]){5, 2}, 2, NULL), TRUC_OK);
    assert_int_equal(office->count, 2);
    assert_int_equal(office->letters[0], 2 * 1000 + 42 * 10 + 3);
    assert_int_equal(office->letters[1], 5 * 1000 + 41 * 10 + 3);
    assert_int_equal(office->expected_offset, 8);
    assert_int_equal(office->action, TRUC__V1__DEAD_ACTION__DEAD_ACTION_REDRIVE);
    assert_string_equal(office->name, "work");
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_DROP, (uint64_t[]){2}, 1, NULL), TRUC_OK);
    assert_int_equal(office->action, TRUC__V1__DEAD_ACTION__DEAD_ACTION_DROP);
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_DROP, (uint64_t[]){2, 1}, 2, &why), TRUC_EXISTS);
    assert_non_null(strstr(why, "offset 1 of dead.H26.16.work was redriven already"));
    truc_free(why);
    for (uint64_t wrong = 3; wrong < 20; wrong += wrong == 4 ? 2 : wrong == 3 ? 1 : 7) {
        assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_DROP, (uint64_t[]){wrong, 2}, 2, &why), TRUC_NOT_FOUND);
        assert_non_null(strstr(why, "is no dead letter"));
        truc_free(why);
    }
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_DROP, (uint64_t[]){900}, 1, NULL), TRUC_NOT_FOUND);
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_DROP, (uint64_t[]){2, 2}, 2, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_DROP, NULL, 0, NULL), TRUC_INVALID_ARGUMENT);
    assert_int_equal(truc_dead_do(fixture->client, "nobody", TRUC_DEAD_DROP, (uint64_t[]){2}, 1, &why), TRUC_NOT_FOUND);
    truc_free(why);
    assert_int_equal(atomic_load(&office->requests), 2);
    tear_down(fixture);
}

/* What the broker has and this side has not read yet comes a little later. */
static void *add_when_asked(void *argument)
{
    struct fixture *fixture = argument;
    uint64_t round_trip_ns;

    while (atomic_load(&fixture->office.requests) == 0)
        assert_int_equal(truc_ping(fixture->client, &round_trip_ns), TRUC_OK);
    put_letter(fixture->office.producer, 77);
    return NULL;
}

static void dead_topic_that_grew_is_read_on(void **state)
{
    struct fixture *fixture = set_up();
    pthread_t thread;

    (void)state;
    fixture->office.conflicts = 1;
    assert_int_equal(pthread_create(&thread, NULL, add_when_asked, fixture), 0);
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_REDRIVE, (uint64_t[]){2}, 1, NULL), TRUC_OK);
    (void)pthread_join(thread, NULL);
    assert_int_equal(fixture->office.expected_offset, 9);
    assert_int_equal(atomic_load(&fixture->office.requests), 2);
    tear_down(fixture);
}

/* The answer was lost, and the topic says by now that it was done. */
static void *do_it_after_the_first(void *argument)
{
    struct fixture *fixture = argument;
    uint64_t round_trip_ns;

    while (atomic_load(&fixture->office.requests) == 0)
        (void)truc_ping(fixture->client, &round_trip_ns);
    put_deed(fixture->office.producer, "truc.dead.redriven.v1", 2);
    return NULL;
}

static void dead_request_with_a_lost_answer_is_not_done_twice(void **state)
{
    struct fixture *fixture = set_up();
    pthread_t thread;

    (void)state;
    fixture->office.losses = 1;
    fixture->office.conflicts = 0;
    assert_int_equal(pthread_create(&thread, NULL, do_it_after_the_first, fixture), 0);
    assert_int_equal(truc_dead_do(fixture->client, "work", TRUC_DEAD_REDRIVE, (uint64_t[]){2}, 1, NULL), TRUC_OK);
    (void)pthread_join(thread, NULL);
    tear_down(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_letters_are_listed_by_page),
        cmocka_unit_test(dead_letters_are_redriven_when_they_are_open),
        cmocka_unit_test(dead_topic_that_grew_is_read_on),
        cmocka_unit_test(dead_request_with_a_lost_answer_is_not_done_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
