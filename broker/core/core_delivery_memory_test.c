/* Tests of memory: every allocation of delivery, dead letters, receipts and lag may fail.
 *
 * The linker sends malloc, calloc, realloc and core_step through this file, as in core_memory_test.c. */
#include <stdlib.h>

#include "broker/core/share.h"
#include "core_test_kit.h"

static bool inside;
static uint64_t taken, fail_at; /* allocations so far; the one that fails, 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
struct core_effects __real_core_step(struct core *core, const struct core_event *events, size_t event_count, struct core_now now);

static bool fails(void)
{
    return inside && ++taken == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

struct core_effects __wrap_core_step(struct core *core, const struct core_event *events, size_t event_count, struct core_now now)
{
    struct core_effects effects;

    inside = true;
    effects = __real_core_step(core, events, event_count, now);
    inside = false;
    return effects;
}

static struct kit kit;

/* --- a log that answers whatever it is asked -----------------------------------------------------------------------------------
 */

static void answer_scan(const struct core_effect *effect)
{
    struct share_record record = {.place = {0, 0}, .bytes = 100, .key = 11};
    bool there = effect->scan->from.position == 0;

    kit_event(&kit, (struct core_event){.kind = CORE_SCANNED,
                                        .reader = effect->reader,
                                        .scanned = {.records = &record, .count = there, .next = effect->scan->until}});
}

static void answer_fetch(const struct core_effect *effect)
{
    uint8_t *data = calloc(1, 64);
    uint32_t count = (uint32_t)effect->place_count;

    kit.data_held++;
    kit_event(&kit, (struct core_event){.kind = CORE_FETCHED,
                                        .reader = effect->reader,
                                        .done = {.entry_count = count, .data = bytes_of(data, 64), .owner = data}});
}

static void answer_look(const struct core_effect *effect)
{
    static const struct core_look_record records[4] = {{.wanted = true, .key = 11}, {.wanted = true, .key = 11}};
    static const struct core_look_history histories[4];

    kit_looked(&kit, effect->reader, (struct core_looked){.records = records, .histories = histories});
}

/* Until nothing is asked any more. What an effect borrows is good until the next step, so that one is answered at a time. */
static void serve(void)
{
    const struct kit_effect *effect;

    kit_commit(&kit);
    for (int i = 0; i < 100; i++) {
        if ((effect = kit_other(&kit, EFFECT_SCAN)))
            answer_scan(&effect->effect);
        else if ((effect = kit_other(&kit, EFFECT_FETCH)))
            answer_fetch(&effect->effect);
        else if ((effect = kit_other(&kit, EFFECT_LOOK)))
            answer_look(&effect->effect);
        else
            break;
        kit_commit(&kit);
    }
    kit_pass(&kit, 200); /* what could not be done is tried again */
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    kit_commit(&kit);
}

/* --- clients that do not mind what they are told -------------------------------------------------------------------------------
 */

static uint64_t session(void)
{
    uint64_t connection = kit_connect(&kit);
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;
    uint8_t nonce[32] = {0};

    hello.magic = 0x54525543;
    hello.version_min = hello.version_max = 1;
    hello.nonce = (ProtobufCBinaryData){sizeof nonce, nonce};
    login.algorithm = "none";
    login.source = "H26.16";
    login.system = "portal";
    kit_send(&kit, connection, FRAME_HELLO, 1, &hello.base);
    kit_send(&kit, connection, FRAME_LOGIN, 2, &login.base);
    return connection;
}

static void create(uint64_t connection, char *name)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;
    Truc__V1__Bound start = TRUC__V1__BOUND__INIT;

    start.at_case = TRUC__V1__BOUND__AT_POSITION;
    create.name = name;
    create.pattern = "t.1";
    create.start = &start;
    kit_send(&kit, connection, FRAME_SUBSCRIPTION_CREATE, 3, &create.base);
    kit_commit(&kit);
}

static void settle(uint64_t connection, uint64_t lease, Truc__V1__Outcome outcome)
{
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *settlements[] = {&settlement};
    Truc__V1__Settle message = TRUC__V1__SETTLE__INIT;

    settlement.first = lease;
    settlement.outcome = outcome;
    message.subscribe_id = 7;
    message.settlements = settlements;
    message.n_settlements = 1;
    kit_send(&kit, connection, FRAME_SETTLE, 9, &message.base);
}

static void dead(uint64_t connection, Truc__V1__DeadAction action, uint64_t expected_offset)
{
    Truc__V1__DeadLetter letter = TRUC__V1__DEAD_LETTER__INIT, *letters[] = {&letter};
    Truc__V1__Dead message = TRUC__V1__DEAD__INIT;

    message.name = "work";
    message.action = action;
    message.letters = letters;
    message.n_letters = 1;
    message.expected_offset = expected_offset;
    kit_send(&kit, connection, FRAME_DEAD, 10, &message.base);
}

static void ask_receipt(uint64_t connection)
{
    Truc__V1__Receipt receipt = TRUC__V1__RECEIPT__INIT;
    char *names[] = {"work", "H26.16/other"};

    receipt.topic = "t.1";
    receipt.wait_for = names;
    receipt.n_wait_for = 2;
    receipt.wait_ms = 1000;
    kit_send(&kit, connection, FRAME_RECEIPT, 11, &receipt.base);
}

static void live(void)
{
    uint64_t admin = session(), worker = session();
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;
    Truc__V1__SubscriptionChange look = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;

    open.name = "p";
    kit_send(&kit, admin, FRAME_PRODUCER_OPEN, 3, &open.base);
    kit_commit(&kit);
    create(admin, "work");
    create(admin, "other");
    kit_publish(&kit, admin, 4, &(struct kit_batch){.topic = "t.1", .producer_id = 1, .epoch = 1, .record_count = 1});
    kit_commit(&kit);
    subscribe.name = look.name = "work";
    subscribe.credit = 100;
    kit_send(&kit, worker, FRAME_SUBSCRIBE, 7, &subscribe.base);
    serve();
    ask_receipt(admin);
    serve();
    settle(worker, 1, TRUC__V1__OUTCOME__OUTCOME_REJECT);
    serve();
    dead(admin, TRUC__V1__DEAD_ACTION__DEAD_ACTION_REDRIVE, 1);
    serve();
    kit_send(&kit, admin, FRAME_SUBSCRIPTION_CHANGE, 12, &look.base);
    serve();
    settle(worker, 2, TRUC__V1__OUTCOME__OUTCOME_ACK);
    serve();
    dead(admin, TRUC__V1__DEAD_ACTION__DEAD_ACTION_DROP, 2);
    dead(admin, TRUC__V1__DEAD_ACTION__DEAD_ACTION_DROP, 2);
    ask_receipt(admin);
    serve();
    kit_pass(&kit, 2000);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    serve();
    kit_disconnect(&kit, admin);
    kit_disconnect(&kit, worker);
    serve();
}

/* Letters and what they change are in one block, whatever failed. */
static void check_blocks(void)
{
    for (size_t i = 0; i + 1 < kit.log_count; i++) {
        const struct kit_entry *entry = &kit.log[i];
        bool letter = entry->record_count > 0 && memcmp(entry->leaf + 224, "dead.", 5) == 0;

        assert_true(!letter || kit.log[i + 1].joined || kit.log[i + 1].record_count > 0);
    }
}

static void every_allocation_may_fail(void **state)
{
    uint64_t failures = 0;

    (void)state;
    for (fail_at = 1;; fail_at++) {
        kit_init(&kit);
        kit_start(&kit);
        taken = 0;
        live();
        if (taken < fail_at)
            break;
        failures++;
        assert_int_equal(kit.prepared_held, 0);
        assert_int_equal(kit.data_held, 0);
        assert_int_equal(core_counts(kit.core).readers, 0);
        check_blocks();
        kit_fini(&kit);
    }
    check_blocks();
    assert_int_equal(core_counts(kit.core).topics, 2); /* it went as it should, to the dead letter */
    kit_fini(&kit);
    fail_at = 0;
    print_message("%llu allocations failed, one at a time\n", (unsigned long long)failures);
    assert_true(failures > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
