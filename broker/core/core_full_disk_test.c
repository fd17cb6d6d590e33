/* Tests of dead letters when the disk has room for little: a letter and the save that says so are given to the log together. */
#include <stdlib.h>

#include "broker/core/share.h"
#include "core_test_kit.h"

enum { LETTER_BYTES_ABOUT = 1500 }; /* what one letter is reckoned with, and a part of the save behind it */

static struct kit kit;
static uint64_t session;

static void create_and_subscribe(void)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    create.name = "work";
    create.pattern = "t.1";
    create.attempts_max = 1;
    kit_send(&kit, session, FRAME_SUBSCRIPTION_CREATE, 1, &create.base);
    kit_commit(&kit);
    kit_take(&kit, session, FRAME_SUBSCRIPTION_OK, 1);
    subscribe.name = "work";
    subscribe.credit = 8;
    kit_send(&kit, session, FRAME_SUBSCRIBE, 7, &subscribe.base);
    kit_take(&kit, session, FRAME_SUBSCRIBE_OK, 7);
}

/* Four records of different keys are published, scanned and given out. */
static void give_four(void)
{
    struct kit_producer producer = kit_open(&kit, session, "p");
    struct share_record records[4];
    const struct kit_effect *effect;
    uint8_t *data = calloc(1, 64);

    kit_publish(&kit, session, 2,
                &(struct kit_batch){.topic = "t.1", .producer_id = producer.id, .epoch = producer.epoch, .record_count = 4});
    kit_commit(&kit);
    kit_take(&kit, session, FRAME_PUBLISH_OK, 2);
    for (uint32_t i = 0; i < 4; i++)
        records[i] = (struct share_record){.place = {0, i}, .bytes = 10, .key = 100 + i};
    effect = kit_expect(&kit, EFFECT_SCAN);
    kit_event(&kit, (struct core_event){.kind = CORE_SCANNED,
                                        .reader = effect->effect.reader,
                                        .scanned = {.records = records, .count = 4, .next = {1, 0}}});
    effect = kit_expect(&kit, EFFECT_FETCH);
    kit.data_held++;
    kit_event(&kit, (struct core_event){.kind = CORE_FETCHED,
                                        .reader = effect->effect.reader,
                                        .done = {.entry_count = 4, .data = bytes_of(data, 64), .owner = data}});
    kit_take(&kit, session, FRAME_DELIVER, 7);
}

static void reject_first(void)
{
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *settlements[] = {&settlement};
    Truc__V1__Settle settle = TRUC__V1__SETTLE__INIT;

    settlement.first = 1;
    settlement.outcome = TRUC__V1__OUTCOME__OUTCOME_REJECT;
    settle.subscribe_id = 7;
    settle.settlements = settlements;
    settle.n_settlements = 1;
    kit_send(&kit, session, FRAME_SETTLE, 9, &settle.base);
}

/* Whatever room is left: no letter without the cursor of its save, in the same step. */
static void dead_letter_with_little_room_comes_with_its_save(void **state)
{
    bool buried = false, refused = false;

    (void)state;
    for (uint64_t room = 500; room < 3 * LETTER_BYTES_ABOUT; room += 100) {
        size_t letters = 0, cursors = 0, before;

        kit_init(&kit);
        kit_start(&kit);
        session = kit_session(&kit, "H26.16", "portal");
        create_and_subscribe();
        give_four();
        before = kit.log_count;
        kit.capacity.available_bytes = room;
        kit_event(&kit, (struct core_event){.kind = CORE_CAPACITY, .capacity = kit.capacity});
        reject_first();
        for (size_t i = before; i < kit.log_count; i++) {
            struct reader deltas = reader_over(bytes_of(kit.log[i].delta, kit.log[i].delta_size));
            truc_status status = TRUC_OK;
            struct delta delta;

            letters += kit.log[i].record_count > 0;
            while (delta_next(&deltas, &delta, &status))
                cursors += delta.kind == DELTA_CURSOR;
        }
        if (letters > 0)
            assert_int_equal(cursors, 1);
        buried |= letters > 0;
        refused |= letters == 0;
        kit_stop(&kit);
        kit_fini(&kit);
    }
    assert_true(buried && refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dead_letter_with_little_room_comes_with_its_save)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
