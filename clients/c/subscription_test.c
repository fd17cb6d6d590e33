/* subscription_test.c: requests about subscriptions, lies in deliveries, ordered workers. */
#undef NDEBUG
#include "clients/c/work_kit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/subscription.h"

/* --- requests ----------------------------------------------------------------------------------------------------------------- */

static void subscription_is_created_listed_changed_removed(void **state)
{
    struct fake_broker *broker = work_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    truc_options *other = kit_options("pattern", "other", NULL);
    char *json = NULL, *why = NULL;
    bool more = false;

    (void)state;
    work_subscribe(client, "beta", "shared");
    work_subscribe(client, "alpha", "ordered");
    work_subscribe(client, "beta", "shared"); /* again is the same */
    assert_int_equal(truc_subscription_create(client, "beta", other, &why), TRUC_EXISTS);
    assert_string_equal(why, "refused by the test");
    truc_free(why);
    assert_int_equal(truc_subscription_info_json(client, "beta", &json), TRUC_OK);
    assert_non_null(strstr(json, "\"pattern\":\"test.*\",\"mode\":\"shared\",\"paused\":false"));
    assert_non_null(strstr(json, "\"attempts\":0"));
    truc_free(json);
    assert_int_equal(truc_subscription_change(client, "beta", TRUC_SUBSCRIPTION_PAUSE, NULL), TRUC_OK);
    assert_int_equal(truc_subscriptions_json(client, "", 1, &json, &more), TRUC_OK);
    assert_true(more);
    assert_non_null(strstr(json, "alpha"));
    assert_null(strstr(json, "beta"));
    assert_null(strstr(json, "lag_seconds"));
    truc_free(json);
    assert_int_equal(truc_subscriptions_json(client, "alpha", 1, &json, &more), TRUC_OK);
    assert_false(more);
    assert_non_null(strstr(json, "\"paused\":true"));
    truc_free(json);
    assert_int_equal(truc_subscription_change(client, "beta", TRUC_SUBSCRIPTION_RESUME, NULL), TRUC_OK);
    assert_int_equal(truc_subscription_reset(client, "beta", "position=7", NULL), TRUC_OK);
    assert_int_equal(truc_subscription_info_json(client, "beta", &json), TRUC_OK);
    assert_non_null(strstr(json, "\"position\":7"));
    truc_free(json);
    assert_int_equal(truc_subscription_change(client, "beta", TRUC_SUBSCRIPTION_REMOVE, NULL), TRUC_OK);
    assert_int_equal(truc_subscription_info_json(client, "beta", &json), TRUC_NOT_FOUND);
    truc_options_destroy(other);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void subscription_wrong_arguments_are_named(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    truc_options *none = kit_options(NULL, NULL), *ordered = kit_options("pattern", "a", "mode", "ordered", "attempts", "3", NULL);
    truc_worker *worker = NULL;
    char *why = NULL;

    (void)state;
    assert_int_equal(truc_subscription_create(client, "x", none, &why), TRUC_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "pattern"));
    truc_free(why);
    assert_int_equal(truc_subscription_create(client, "x", ordered, &why), TRUC_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "attempts"));
    truc_free(why);
    assert_int_equal(truc_subscription_reset(client, "x", "yesterday", &why), TRUC_INVALID_ARGUMENT);
    truc_free(why);
    assert_int_equal(truc_worker_open(client, "x", NULL, NULL, NULL, NULL, NULL, &worker, &why), TRUC_NOT_FOUND);
    assert_null(worker);
    truc_free(why);
    truc_options_destroy(none);
    truc_options_destroy(ordered);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static enum fake_deed lose_first_change(void *context, struct fake_broker *broker, const struct frame *frame)
{
    (void)broker;
    return frame->kind == FRAME_SUBSCRIPTION_CHANGE && atomic_fetch_add((_Atomic int *)context, 1) == 0 ? FAKE_DROP_AFTER
                                                                                                        : FAKE_NORMAL;
}

/* Removed, but the answer was lost: asked again it is not there, which is what was wanted. */
static void subscription_removing_survives_a_lost_answer(void **state)
{
    struct fake_broker *broker = fake_broker_start();
    truc_client *client = kit_client(broker->url, NULL);
    _Atomic int seen = 0;

    (void)state;
    work_subscribe(client, "work", "shared");
    fake_broker_lock(broker);
    broker->context = &seen;
    broker->deed = lose_first_change;
    fake_broker_unlock(broker);
    assert_int_equal(truc_subscription_change(client, "work", TRUC_SUBSCRIPTION_REMOVE, NULL), TRUC_OK);
    assert_int_equal(truc_subscription_change(client, "work", TRUC_SUBSCRIPTION_REMOVE, NULL), TRUC_NOT_FOUND);
    truc_client_close(client);
    fake_broker_stop(broker);
}

/* --- lies --------------------------------------------------------------------------------------------------------------------- */

/* What a frame says of itself breaks the connection, and the worker goes on over the next one; what its entries are not ends it. */
static void worker_lies_are_found(void **state)
{
    static const truc_status ends[HARM_COUNT] = {
        [HARM_INDEX_BEYOND] = TRUC_PROTOCOL, [HARM_INDEX_OTHER] = TRUC_PROTOCOL, [HARM_ENTRY_MISSING] = TRUC_PROTOCOL,
        [HARM_ENTRY_MORE] = TRUC_PROTOCOL,   [HARM_BYTES] = TRUC_DAMAGED,        [HARM_TOPIC] = TRUC_PROTOCOL,
    };

    (void)state;
    for (unsigned harm = HARM_NONE + 1; harm < HARM_COUNT; harm++) {
        struct fake_broker *broker = work_broker(1000);
        truc_client *client = kit_client(broker->url, NULL);
        truc_producer *producer = kit_producer(client, NULL, NULL);
        struct work *work = work_create();
        truc_worker *worker;

        kit_publish(producer, "other.topic", 0, 1, 16, 0);
        assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
        work_subscribe(client, "work", "shared");
        broker->share.every = harm == HARM_INDEX_OTHER ? 3 : 0;
        broker->share.records_at_once = 20;
        broker->share.harm = harm;
        broker->share.harm_at = 3;
        worker = work_open(client, work, "work", "100");
        if (ends[harm] != TRUC_OK) {
            truc_status status = truc_worker_wait(worker, WAIT_MS);

            if (status != ends[harm])
                fail_msg("harm %u: %s: %s", harm, truc_status_name(status), work->why);
            assert_string_not_equal(work->why, "");
            assert_true(harm != HARM_INDEX_OTHER || strstr(work->why, "a part of an entry") != NULL);
            assert_int_equal(work->count, harm == HARM_INDEX_OTHER                           ? 40
                                          : harm == HARM_ENTRY_MISSING || harm == HARM_BYTES ? 50
                                          : harm == HARM_ENTRY_MORE                          ? 60
                                                                                             : 40);
        } else {
            work_wait(work, &work->count, 1000);
            assert_true(broker->connections >= 3); /* of filling, and twice of this client */
        }
        (void)truc_worker_close(worker, WAIT_MS);
        truc_client_close(client);
        fake_broker_stop(broker);
        work_destroy(work);
    }
}

/* --- ordered ------------------------------------------------------------------------------------------------------------------ */

static uint64_t position_of(struct fake_broker *broker)
{
    uint64_t position;

    fake_broker_lock(broker);
    position = broker->share.subscriptions[0].position;
    fake_broker_unlock(broker);
    return position;
}

static void ordered_gives_all_in_order_and_moves_its_place(void **state)
{
    struct fake_broker *broker = work_broker(3000);
    truc_client *client = kit_client(broker->url, NULL);
    struct work *work = work_create();
    truc_worker *worker;

    (void)state;
    work_subscribe(client, "mirror", "ordered");
    worker = work_open(client, work, "mirror", "1");
    work_wait(work, &work->count, 3000);
    assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
    assert_true(work->in_order);
    assert_true(work->settled > 0);
    assert_int_equal(work->lost, 0);
    assert_int_equal(position_of(broker), broker->entry_count);
    assert_int_equal(truc_nack(worker, work->last_lease, 0), TRUC_UNSUPPORTED);
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
    work_destroy(work);
}

static void ordered_place_moves_by_whole_entries(void **state)
{
    struct fake_broker *broker = work_broker(100);
    truc_client *client = kit_client(broker->url, NULL);
    const truc_job *job = NULL;
    truc_worker *worker;

    (void)state;
    work_subscribe(client, "mirror", "ordered");
    worker = work_open(client, NULL, "mirror", "1");
    for (uint64_t i = 0; i < 25; i++) {
        assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
        assert_int_equal(work_number(job), i);
        assert_int_equal(truc_ack(worker, job->lease), TRUC_OK);
        assert_int_equal(truc_worker_flush(worker, WAIT_MS), TRUC_OK);
        assert_int_equal(position_of(broker), (i + 1) / 10);
    }
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    worker = work_open(client, NULL, "mirror", "1");
    assert_int_equal(truc_worker_pull(worker, WAIT_MS, &job), TRUC_OK);
    assert_int_equal(work_number(job), 20); /* the entry that was not acknowledged whole */
    assert_int_equal(truc_worker_close(worker, WAIT_MS), TRUC_OK);
    truc_client_close(client);
    fake_broker_stop(broker);
}

static void ordered_goes_on_behind_the_acknowledged_after_a_loss(void **state)
{
    static const enum fake_deed deeds[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_DROP_WITHIN, FAKE_GARBAGE, FAKE_REFUSE};

    (void)state;
    for (size_t d = 0; d < sizeof deeds / sizeof deeds[0]; d++) {
        struct fake_broker *broker = work_broker(2000);
        struct work_trouble trouble = {.at = 2, .deed = deeds[d]};
        truc_client *client = kit_client(broker->url, NULL);
        truc_worker *worker;
        const truc_job *job = NULL;
        uint64_t next = 0;

        work_subscribe(client, "mirror", "ordered");
        fake_broker_lock(broker);
        broker->refuse_status = TRUC_BUSY;
        broker->context = &trouble;
        broker->deed = work_make_trouble;
        fake_broker_unlock(broker);
        worker = work_open(client, NULL, "mirror", "1");
        while (position_of(broker) < broker->entry_count) {
            truc_status status = truc_worker_pull(worker, 20, &job);
            uint64_t number;

            if (status == TRUC_TIMED_OUT) /* all was given, and the place is on its way */
                continue;
            assert_int_equal(status, TRUC_OK);
            number = work_number(job);
            assert_true(number <= next); /* no gap; again is allowed */
            next = number + 1;
            (void)truc_ack(worker, job->lease);
        }
        assert_int_equal(next, 2000);
        (void)truc_worker_close(worker, WAIT_MS);
        truc_client_close(client);
        fake_broker_stop(broker);
    }
}

static void json_tells_lag_and_who_is_connected_of_one(void **state)
{
    char *text, source[] = "H26.16/desk", *sources[] = {source};
    Truc__V1__SubscriptionInfo info = TRUC__V1__SUBSCRIPTION_INFO__INIT;
    json_t *json;

    (void)state;
    info.expired = 3;
    info.aside = 2;
    info.lag_records = 5;
    info.lag_since_ns = 1000;
    info.sources = sources;
    info.n_sources = 1;
    json = subscription_json(&info, 7000001000);
    text = json_dumps(json, JSON_COMPACT);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"expired\":3"));
    assert_non_null(strstr(text, "\"aside\":2"));
    assert_non_null(strstr(text, "\"lag_records\":5"));
    assert_non_null(strstr(text, "\"lag_since_ns\":1000,\"lag_seconds\":7"));
    assert_non_null(strstr(text, "\"sources\":[\"H26.16/desk\"]"));
    free(text);
    json_decref(json);
    json = subscription_json(&info, 999); /* this machine's clock is behind */
    assert_int_equal(json_integer_value(json_object_get(json, "lag_seconds")), 0);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscription_is_created_listed_changed_removed),
        cmocka_unit_test(json_tells_lag_and_who_is_connected_of_one),
        cmocka_unit_test(subscription_wrong_arguments_are_named),
        cmocka_unit_test(subscription_removing_survives_a_lost_answer),
        cmocka_unit_test(worker_lies_are_found),
        cmocka_unit_test(ordered_gives_all_in_order_and_moves_its_place),
        cmocka_unit_test(ordered_place_moves_by_whole_entries),
        cmocka_unit_test(ordered_goes_on_behind_the_acknowledged_after_a_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
