/* Tests of producers: epochs, fencing, resuming, pages of sequences, the grace of unnamed ones. */
#include "core_test_kit.h"

#include <stdio.h>

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

static void ask(uint64_t connection, uint64_t request_id, const char *name, struct kit_producer resume, const char *after_topic)
{
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;

    open.name = (char *)(uintptr_t)name;
    open.resume_id = resume.id;
    open.resume_epoch = resume.epoch;
    open.after_topic = (char *)(uintptr_t)after_topic;
    kit_send(&kit, connection, FRAME_PRODUCER_OPEN, request_id, &open.base);
}

static const struct kit_producer nothing;

static void publish(uint64_t connection, uint64_t request_id, struct kit_producer producer, const char *topic, uint64_t first,
                    uint32_t count)
{
    kit_publish(
        &kit, connection, request_id,
        &(struct kit_batch){
            .topic = topic, .producer_id = producer.id, .epoch = producer.epoch, .first_sequence = first, .record_count = count});
}

static void open_is_answered_when_its_epoch_is_durable(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    const Truc__V1__ProducerOk *ok;

    (void)state;
    ask(connection, 3, "p", nothing, "");
    kit_expect_nothing(&kit, connection);
    kit_commit(&kit);
    ok = kit_take(&kit, connection, FRAME_PRODUCER_OK, 3);
    assert_int_equal(ok->producer_id, 1);
    assert_int_equal(ok->epoch, 1);
    assert_int_equal(ok->grace_ms, 0);
    assert_int_equal(ok->n_sequences, 0);
}

static void open_again_fences_the_older_instance(void **state)
{
    uint64_t old = kit_session(&kit, "H26.16", "portal"), new = kit_session(&kit, "H26.16", "portal");
    struct kit_producer first = kit_open(&kit, old, "p");
    const Truc__V1__ProducerOk *ok;

    (void)state;
    publish(old, 5, first, "a", 0, 4);
    ask(new, 3, "p", nothing, "");
    publish(old, 6, first, "a", 4, 1); /* fenced at once, although the epoch is not durable yet */
    kit_take_error(&kit, old, 6, TRUC_FENCED);
    kit_commit(&kit);
    kit_take(&kit, old, FRAME_PUBLISH_OK, 5);
    ok = kit_take(&kit, new, FRAME_PRODUCER_OK, 3);
    assert_int_equal(ok->producer_id, first.id);
    assert_int_equal(ok->epoch, 2);
    assert_int_equal(ok->n_sequences, 1);
    assert_string_equal(ok->sequences[0]->topic, "a");
    assert_int_equal(ok->sequences[0]->next_sequence, 4);
    ask(old, 7, "p", first, ""); /* nor may it resume */
    kit_take_error(&kit, old, 7, TRUC_FENCED);
}

static void open_twice_in_one_commit_fences_the_first(void **state)
{
    uint64_t a = kit_session(&kit, "H26.16", "portal"), b = kit_session(&kit, "H26.16", "portal");

    (void)state;
    ask(a, 3, "p", nothing, "");
    ask(b, 3, "p", nothing, "");
    kit_commit(&kit);
    kit_take_error(&kit, a, 3, TRUC_FENCED);
    assert_int_equal(((const Truc__V1__ProducerOk *)kit_take(&kit, b, FRAME_PRODUCER_OK, 3))->epoch, 2);
}

static void names_are_scoped_by_source(void **state)
{
    uint64_t a = kit_session(&kit, "H26.16", "portal"), b = kit_session(&kit, "H26.16", "archive");
    struct kit_producer first = kit_open(&kit, a, "p"), second = kit_open(&kit, b, "p");

    (void)state;
    assert_int_not_equal(first.id, second.id);
    assert_int_equal(second.epoch, 1);
    ask(b, 5, "p", first, "");
    kit_take_error(&kit, b, 5, TRUC_UNKNOWN_PRODUCER);
}

static void resume_moves_the_producer_to_the_new_connection(void **state)
{
    uint64_t old = kit_session(&kit, "H26.16", "portal"), new = kit_session(&kit, "H26.16", "portal");
    struct kit_producer producer = kit_open(&kit, old, "p");
    const Truc__V1__ProducerOk *ok;

    (void)state;
    publish(old, 5, producer, "a", 0, 4);
    publish(old, 6, producer, "b", 0, 1);
    kit_commit_some(&kit, 2);
    ask(new, 3, "p", producer, "");
    ok = kit_take(&kit, new, FRAME_PRODUCER_OK, 3); /* nothing to commit: no delta, and only what is durable */
    assert_int_equal(ok->epoch, producer.epoch);
    assert_int_equal(ok->n_sequences, 1);
    publish(old, 7, producer, "a", 4, 1); /* the zombie must not interleave */
    kit_take(&kit, old, FRAME_PUBLISH_OK, 5);
    kit_take_error(&kit, old, 7, TRUC_FENCED);
    publish(new, 4, producer, "b", 0, 1); /* sent again: answered when the first try is durable */
    kit_expect_nothing(&kit, new);
    kit_commit(&kit);
    assert_true(((const Truc__V1__PublishOk *)kit_take(&kit, new, FRAME_PUBLISH_OK, 4))->duplicate);
    publish(new, 5, producer, "a", 4, 1);
    kit_commit(&kit);
    kit_take(&kit, new, FRAME_PUBLISH_OK, 5);
}

static void resume_wrongly_said_is_refused(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    struct kit_producer producer = kit_open(&kit, connection, "p");

    (void)state;
    ask(connection, 3, "p", (struct kit_producer){99, 1}, "");
    kit_take_error(&kit, connection, 3, TRUC_UNKNOWN_PRODUCER);
    ask(connection, 4, "q", producer, "");
    kit_take_error(&kit, connection, 4, TRUC_UNKNOWN_PRODUCER);
    ask(connection, 5, "p", (struct kit_producer){producer.id, 9}, "");
    kit_take_error(&kit, connection, 5, TRUC_UNKNOWN_PRODUCER);
    ask(connection, 6, "p", (struct kit_producer){0, 1}, "");
    kit_take_error(&kit, connection, 6, TRUC_INVALID_ARGUMENT);
    ask(connection, 7, "p", nothing, "a");
    kit_take_error(&kit, connection, 7, TRUC_INVALID_ARGUMENT);
    ask(connection, 8, "bad\tname", nothing, "");
    kit_take_error(&kit, connection, 8, TRUC_INVALID_ARGUMENT);
}

static void resume_pages_list_every_topic_once_in_byte_order(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    struct kit_producer producer = kit_open(&kit, connection, "p"), other = kit_open(&kit, connection, "q");
    char topic[256], last[256] = "";
    unsigned listed = 0, pages = 0;
    bool more = true;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        /* some names as long as names get, to test the page's bound */
        (void)snprintf(topic, sizeof topic, "t.%u%0*u", i * 7919 % 1000, i % 2 ? 200 : 1, 1);
        publish(connection, 10, i % 10 ? producer : other, topic, 0, i + 1);
        kit_commit(&kit);
        kit_take(&kit, connection, FRAME_PUBLISH_OK, 10);
    }
    while (more) {
        const Truc__V1__ProducerOk *ok;

        ask(connection, 5, "", producer, last);
        ok = kit_take(&kit, connection, FRAME_PRODUCER_OK, 5);
        assert_true(ok->n_sequences > 0);
        for (size_t i = 0; i < ok->n_sequences; i++) {
            assert_true(strcmp(ok->sequences[i]->topic, last) > 0);
            (void)snprintf(last, sizeof last, "%s", ok->sequences[i]->topic);
            listed++;
        }
        more = ok->more;
        pages++;
    }
    assert_int_equal(listed, 900);
    assert_true(pages > 2);
}

static void unnamed_producer_ends_after_its_grace(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    struct kit_producer producer;
    const Truc__V1__ProducerOk *ok;
    int64_t end;

    (void)state;
    ask(connection, 3, "", nothing, "");
    kit_commit(&kit);
    ok = kit_take(&kit, connection, FRAME_PRODUCER_OK, 3);
    producer = (struct kit_producer){ok->producer_id, ok->epoch};
    assert_int_equal(ok->grace_ms, 600000);
    publish(connection, 4, producer, "a", 0, 1);
    kit_commit(&kit);
    kit_disconnect(&kit, connection);
    end = kit_expect(&kit, EFFECT_WAKE_AT)->effect.boot_ns;
    assert_int_equal(end, kit.now.boot_ns + INT64_C(600000000000));

    kit_pass(&kit, 599999);
    connection = kit_session(&kit, "H26.16", "portal");
    ask(connection, 5, "", producer, ""); /* back in time */
    assert_int_equal(((const Truc__V1__ProducerOk *)kit_take(&kit, connection, FRAME_PRODUCER_OK, 5))->n_sequences, 1);
    kit_pass(&kit, 1000000);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    assert_int_equal(core_counts(kit.core).producers, 1);

    kit_disconnect(&kit, connection);
    kit_pass(&kit, 600001);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    assert_int_equal(core_counts(kit.core).producers, 0);
    assert_int_equal(core_counts(kit.core).sequences, 0);
    assert_true(kit.log_count > kit.durable_count); /* DELTA_PRODUCER_END */
    kit_commit(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    ask(connection, 5, "", producer, "");
    kit_take_error(&kit, connection, 5, TRUC_UNKNOWN_PRODUCER);
    assert_int_equal(kit_open(&kit, connection, "").id, producer.id + 1); /* ids are not used again */
}

static void unnamed_producers_found_at_start_end_after_their_grace(void **state)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    struct kit_producer named = kit_open(&kit, connection, "p");

    (void)state;
    kit_open(&kit, connection, "");
    kit_open(&kit, connection, "");
    kit_stop(&kit);
    kit_start(&kit);
    assert_int_equal(core_counts(kit.core).producers, 3);
    kit_expect(&kit, EFFECT_WAKE_AT);
    kit_pass(&kit, 600000);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    assert_int_equal(core_counts(kit.core).producers, 1);
    kit_commit(&kit);
    kit_stop(&kit);
    kit_start(&kit);
    assert_int_equal(core_counts(kit.core).producers, 1);
    connection = kit_session(&kit, "H26.16", "portal");
    assert_int_equal(kit_open(&kit, connection, "p").epoch, named.epoch + 1);
}

static void unnamed_producer_with_a_batch_under_way_outlives_its_grace(void **state)
{
    uint64_t connection;
    struct kit_producer producer;

    (void)state;
    kit_fini(&kit);
    kit_init(&kit);
    kit.config.producer_grace_ms = 0;
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    producer = kit_open(&kit, connection, "");
    publish(connection, 4, producer, "a", 0, 1);
    kit_disconnect(&kit, connection);
    assert_int_equal(core_counts(kit.core).producers, 1);
    kit_commit(&kit);
    kit_pass(&kit, 20000);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    assert_int_equal(core_counts(kit.core).producers, 0);
}

static void producers_beyond_the_limit_are_refused(void **state)
{
    uint64_t connection;

    (void)state;
    kit_fini(&kit);
    kit_init(&kit);
    kit.config.producers_max = 1;
    kit_start(&kit);
    connection = kit_session(&kit, "H26.16", "portal");
    kit_open(&kit, connection, "p");
    ask(connection, 4, "q", nothing, "");
    kit_take_error(&kit, connection, 4, TRUC_TOO_MANY);
    assert_int_equal(kit_open(&kit, connection, "p").epoch, 2); /* known ones are not new */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_is_answered_when_its_epoch_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(open_again_fences_the_older_instance, setup, teardown),
        cmocka_unit_test_setup_teardown(open_twice_in_one_commit_fences_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_scoped_by_source, setup, teardown),
        cmocka_unit_test_setup_teardown(resume_moves_the_producer_to_the_new_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(resume_wrongly_said_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(resume_pages_list_every_topic_once_in_byte_order, setup, teardown),
        cmocka_unit_test_setup_teardown(unnamed_producer_ends_after_its_grace, setup, teardown),
        cmocka_unit_test_setup_teardown(unnamed_producers_found_at_start_end_after_their_grace, setup, teardown),
        cmocka_unit_test_setup_teardown(unnamed_producer_with_a_batch_under_way_outlives_its_grace, setup, teardown),
        cmocka_unit_test_setup_teardown(producers_beyond_the_limit_are_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
