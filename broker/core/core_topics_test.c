/* Tests of the pages of topics. */
#include "core_test_kit.h"

#include <stdio.h>

static struct kit kit;
static uint64_t connection;
static struct kit_producer producer;

static int setup(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "p");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(kit.prepared_held, 0);
    kit_fini(&kit);
    return 0;
}

static void publish(const char *topic, uint32_t count)
{
    kit_publish(&kit, connection, 5,
                &(struct kit_batch){.topic = topic, .producer_id = producer.id, .epoch = producer.epoch, .record_count = count});
}

static void append(const char *topic, uint32_t count)
{
    publish(topic, count);
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
}

static const Truc__V1__TopicsOk *page(const char *pattern, const char *after, uint32_t limit)
{
    Truc__V1__Topics request = TRUC__V1__TOPICS__INIT;

    request.pattern = (char *)(uintptr_t)pattern;
    request.after = (char *)(uintptr_t)after;
    request.limit = limit;
    kit_send(&kit, connection, FRAME_TOPICS, 6, &request.base);
    return kit_take(&kit, connection, FRAME_TOPICS_OK, 6);
}

static void expect_topics(const char *pattern, const char *after, const char *const *expected, size_t count)
{
    const Truc__V1__TopicsOk *ok = page(pattern, after, 0);

    assert_int_equal(ok->n_topics, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(ok->topics[i]->topic, expected[i]);
    assert_false(ok->more);
}

static void topics_match_in_byte_order(void **state)
{
    const char *const all[] = {"H26", "H26-x.a", "H26.a", "H26.a.b", "H27.a", "sys.x"};

    (void)state;
    append("H26.a.b", 1);
    append("sys.x", 1);
    append("H26", 1);
    append("H27.a", 1);
    append("H26.a", 1);
    append("H26-x.a", 1);
    expect_topics("", "", all, 6);
    expect_topics("", "H26.a", all + 3, 3);
    expect_topics("**", "", all, 5); /* a leading wildcard does not reach the broker's own topics */
    expect_topics("H26.**", "", (const char *const[]){"H26", "H26.a", "H26.a.b"}, 3);
    expect_topics("H26.**", "H26", all + 2, 2);
    expect_topics("H26.>", "", all + 2, 2);
    expect_topics("H26.*", "", all + 2, 1);
    expect_topics("*.a", "", (const char *const[]){"H26-x.a", "H26.a", "H27.a"}, 3);
    expect_topics("H26.a", "", all + 2, 1);
    expect_topics("H26.a", "H26.a", NULL, 0);
    expect_topics("sys.*", "", all + 5, 1);
    expect_topics("none.**", "", NULL, 0);
}

static void topics_show_only_what_is_durable(void **state)
{
    const Truc__V1__TopicsOk *ok;

    (void)state;
    append("a", 3);
    publish("b", 1);
    kit_publish(
        &kit, connection, 7,
        &(struct kit_batch){
            .topic = "a", .producer_id = producer.id, .epoch = 1, .first_sequence = 3, .record_count = 4, .batch_bytes = 50});
    ok = page("", "", 0);
    assert_int_equal(ok->n_topics, 1);
    assert_int_equal(ok->topics[0]->topic_id, 1);
    assert_int_equal(ok->topics[0]->next_offset, 3);
    assert_int_equal(ok->topics[0]->entry_count, 1);
    assert_int_equal(ok->topics[0]->bytes, 100);
    assert_int_equal(ok->topics[0]->last_position, 0);
    kit_commit(&kit);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 5);
    kit_take(&kit, connection, FRAME_PUBLISH_OK, 7);
    ok = page("", "", 0);
    assert_int_equal(ok->n_topics, 2);
    assert_int_equal(ok->topics[0]->next_offset, 7);
    assert_int_equal(ok->topics[0]->entry_count, 2);
    assert_int_equal(ok->topics[0]->bytes, 150);
    assert_int_equal(ok->topics[0]->first_position, 0);
    assert_int_equal(ok->topics[0]->last_position, 2);
    assert_int_equal(ok->topics[0]->created_ns, kit.now.wall_ns);
    assert_int_equal(ok->topics[1]->evidence, TRUC__V1__EVIDENCE_LEVEL__EVIDENCE_RECORD);
}

static void topics_pages_list_every_topic_once(void **state)
{
    char topic[256], last[256] = "";
    unsigned listed = 0;
    bool more = true;

    (void)state;
    for (unsigned i = 0; i < 700; i++) {
        (void)snprintf(topic, sizeof topic, "t.%u%0*u", i * 7919 % 700, i % 2 ? 200 : 1, 1);
        append(topic, 1);
    }
    while (more) {
        const Truc__V1__TopicsOk *ok = page("t.*", last, listed % 3 ? 7 : 0);

        assert_true(ok->n_topics > 0);
        for (size_t i = 0; i < ok->n_topics; i++, listed++) {
            assert_true(strcmp(ok->topics[i]->topic, last) > 0);
            (void)snprintf(last, sizeof last, "%s", ok->topics[i]->topic);
        }
        more = ok->more;
    }
    assert_int_equal(listed, 700);
}

static void topics_bad_pattern_is_refused(void **state)
{
    Truc__V1__Topics request = TRUC__V1__TOPICS__INIT;

    (void)state;
    request.pattern = "a.**.b";
    kit_send(&kit, connection, FRAME_TOPICS, 6, &request.base);
    kit_take_error(&kit, connection, 6, TRUC_BAD_PATTERN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(topics_match_in_byte_order, setup, teardown),
        cmocka_unit_test_setup_teardown(topics_show_only_what_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(topics_pages_list_every_topic_once, setup, teardown),
        cmocka_unit_test_setup_teardown(topics_bad_pattern_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
