/* Tests of memory: how much the state takes, and that every allocation may fail.
 *
 * The linker sends malloc, calloc, realloc, free and core_step through this file. Only what is asked for within the core counts
 * and fails; the fake log and the clients always get theirs. */
#include "core_test_kit.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOPICS = 100000, BYTES_MAX = 60 * 1024 * 1024 };

static bool inside;
static uint64_t taken, fail_at; /* allocations so far; the one that fails, 0: none */
static size_t live_bytes;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
struct core_effects __real_core_step(struct core *core, const struct core_event *events, size_t event_count, struct core_now now);

static bool fails(void)
{
    return inside && ++taken == fail_at;
}

static void *counted(void *memory)
{
    if (inside && memory)
        live_bytes += malloc_usable_size(memory);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    size_t before = memory ? malloc_usable_size(memory) : 0;
    void *result;

    if (fails())
        return NULL;
    result = counted(__real_realloc(memory, size));
    if (inside && result)
        live_bytes -= before;
    return result;
}

void __wrap_free(void *memory)
{
    if (inside && memory)
        live_bytes -= malloc_usable_size(memory);
    __real_free(memory);
}

struct core_effects __wrap_core_step(struct core *core, const struct core_event *events, size_t event_count, struct core_now now)
{
    struct core_effects effects;

    inside = true;
    effects = __real_core_step(core, events, event_count, now);
    inside = false;
    return effects;
}

static void many_topics_and_sequences_fit(void **state)
{
    struct core_config config;
    struct core *core;
    char name[64];

    (void)state;
    core_config_init(&config);
    live_bytes = 0;
    inside = true;
    assert_int_equal(core_create(&config, &core), TRUC_OK);
    for (uint32_t i = 0; i < TOPICS; i++) {
        struct topic_row topic = {.topic_id = i + 1, .evidence = EVIDENCE_RECORD, .entry_count = 16, .next_offset = 1600};

        (void)snprintf(name, sizeof name, "dossier.status.H26.%u", i);
        topic.name = bytes_of_text(name);
        assert_int_equal(core_restore_topic(core, &topic), TRUC_OK);
    }
    assert_int_equal(
        core_restore_producer(core, &(struct producer_row){1, 1, true, bytes_of_text("H26.16/portal"), bytes_of_text("portal")}),
        TRUC_OK);
    for (uint32_t i = 0; i < TOPICS; i++) {
        struct sequence_row row = {
            .producer_id = 1, .topic_id = i + 1, .next_sequence = 1600, .result_count = BATCHES_IN_FLIGHT_MAX};

        for (uint32_t j = 0; j < BATCHES_IN_FLIGHT_MAX; j++)
            row.results[j] = (struct batch_result){i + j, j * UINT64_C(100), 100};
        assert_int_equal(core_restore_sequence(core, &row), TRUC_OK);
    }
    inside = false;
    print_message("100,000 topics and full sequences: %.1f MiB\n", (double)live_bytes / 1048576.0);
    assert_true(live_bytes < BYTES_MAX);
    inside = true;
    core_destroy(core);
    inside = false;
    assert_int_equal(live_bytes, 0);
}

static struct kit kit;

static void publish(uint64_t connection, const char *topic, uint64_t first)
{
    kit_publish(&kit, connection, 7,
                &(struct kit_batch){.topic = topic, .producer_id = 1, .epoch = 1, .first_sequence = first, .record_count = 1});
}

/* To topics that nothing else is published to. */
static void publish_together(uint64_t connection, uint64_t round)
{
    static const char *const topics[] = {"together.0", "together.1", "together.2"};
    struct kit_batch batches[3];

    for (size_t i = 0; i < 3; i++)
        batches[i] =
            (struct kit_batch){.topic = topics[i], .producer_id = 1, .epoch = 1, .first_sequence = round, .record_count = 1};
    kit_event(&kit, kit_together_event(&kit, connection, 7, batches, 3));
}

/* Whatever failed, of each three that came together all are in the log or none. */
static uint64_t check_together(void)
{
    uint64_t entries[3] = {0};

    for (size_t i = 0; i < kit.log_count; i++) {
        const struct kit_entry *entry = &kit.log[i];

        if (entry->record_count > 0 && entry->leaf[3] == 10 && memcmp(entry->leaf + 224, "together.", 9) == 0)
            entries[entry->leaf[224 + 9] - '0']++;
    }
    assert_true(entries[0] == entries[1] && entries[1] == entries[2]);
    return entries[0];
}

static void follow(uint64_t connection, uint64_t request_id, const char *pattern)
{
    Truc__V1__Read read = TRUC__V1__READ__INIT;
    const struct kit_effect *open;

    read.pattern = (char *)(uintptr_t)pattern;
    read.follow = true;
    read.credit_bytes = 100000;
    kit_read(&kit, connection, request_id, read);
    open = kit_other(&kit, EFFECT_READ_OPEN);
    if (open)
        kit_resolve(&kit, open->effect.reader, 0, 0);
}

static void serve_readers(void)
{
    const struct kit_effect *read;

    for (int i = 0; i < 100 && (read = kit_other(&kit, EFFECT_READ)) != NULL; i++)
        kit_read_done(&kit, read->effect.reader, read->effect.until, 1, 100);
}

/* A life in which every part of the core allocates. Whatever is refused on the way is no matter. */
static void live(void)
{
    uint64_t connection = kit_connect(&kit), other;
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;
    uint8_t nonce[32] = {0};
    char topic[32];

    hello.magic = 0x54525543;
    hello.version_min = hello.version_max = 1;
    hello.nonce = (ProtobufCBinaryData){sizeof nonce, nonce};
    login.algorithm = "none";
    login.source = "H26.16";
    login.system = "portal";
    open.name = "p";
    kit_send(&kit, connection, FRAME_HELLO, 1, &hello.base);
    kit_send(&kit, connection, FRAME_LOGIN, 2, &login.base);
    kit_send(&kit, connection, FRAME_PRODUCER_OPEN, 3, &open.base);
    open.name = "";
    kit_send(&kit, connection, FRAME_PRODUCER_OPEN, 3, &open.base);
    kit_commit(&kit);
    follow(connection, 4, "t.1");
    follow(connection, 5, "t.*");
    follow(connection, 6, "u.**");
    for (uint64_t round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 20; i++) {
            (void)snprintf(topic, sizeof topic, "t.%u", i);
            publish(connection, topic, round);
        }
        publish_together(connection, round);
        kit_commit(&kit);
        serve_readers();
    }
    kit_send(&kit, connection, FRAME_TOPICS, 8, &(const Truc__V1__Topics)TRUC__V1__TOPICS__INIT.base);
    kit_pass(&kit, 1000);
    kit.now.wall_ns += INT64_C(3600000000000);
    for (unsigned i = 0; i < 300; i++) { /* more than the pending queue begins with */
        (void)snprintf(topic, sizeof topic, "v.%u", i);
        publish(connection, topic, 0);
    }
    kit_commit(&kit);
    serve_readers();
    other = kit_connect(&kit);
    kit_disconnect(&kit, connection);
    kit_disconnect(&kit, other);
    kit_pass(&kit, 700000);
    kit_event(&kit, (struct core_event){.kind = CORE_TICK});
    kit_commit(&kit);
}

/* After all that it works as if nothing had been. */
static void work_again(void)
{
    uint64_t connection = kit_session(&kit, "H26.16", "portal");
    struct kit_producer producer = kit_open(&kit, connection, "afterwards");

    kit_publish(&kit, connection, 7,
                &(struct kit_batch){.topic = "t.1", .producer_id = producer.id, .epoch = producer.epoch, .record_count = 1});
    kit_commit(&kit);
    assert_int_equal(((const Truc__V1__PublishOk *)kit_take(&kit, connection, FRAME_PUBLISH_OK, 7))->position,
                     kit.head.position - 1);
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
        (void)check_together();
        work_again();
        assert_int_equal(kit.prepared_held, 0);
        assert_int_equal(kit.data_held, 0);
        assert_int_equal(core_counts(kit.core).readers, 0);
        kit_fini(&kit);
    }
    assert_int_equal(check_together(), 20);
    kit_fini(&kit);
    fail_at = 0;
    print_message("%llu allocations failed, one at a time\n", (unsigned long long)failures);
    assert_true(failures > 50);
}

static void create_without_memory_fails_cleanly(void **state)
{
    struct core_config config;
    struct core *core = NULL;
    truc_status status;

    (void)state;
    core_config_init(&config);
    for (fail_at = 1, status = TRUC_NO_MEMORY; status != TRUC_OK; fail_at++) {
        taken = 0;
        inside = true;
        status = core_create(&config, &core);
        inside = false;
        assert_true(status == TRUC_OK || (status == TRUC_NO_MEMORY && core == NULL));
    }
    fail_at = 0;
    assert_non_null(core);
    core_destroy(core);
}

static void lost_effects_end_the_broker(void **state)
{
    struct core_effects effects;
    struct core_event drain = {.kind = CORE_DRAIN};

    (void)state;
    kit_init(&kit);
    kit_start(&kit);
    for (int i = 0; i < 1100; i++) /* more goodbyes than the effects begin with room for */
        kit_session(&kit, "H26.16", "portal");
    inside = true;
    for (uint64_t at = 1;; at++) {
        taken = 0;
        fail_at = at;
        effects = __real_core_step(kit.core, &drain, 1, kit.now);
        if (effects.count >= 2 && effects.effects[effects.count - 2].kind == EFFECT_ALARM)
            break;
        assert_true(at < 10000);
        inside = false;
        kit_fini(&kit);
        kit_init(&kit);
        kit_start(&kit);
        for (int i = 0; i < 1100; i++)
            kit_session(&kit, "H26.16", "portal");
        inside = true;
    }
    inside = false;
    fail_at = 0;
    assert_int_equal(effects.effects[effects.count - 1].kind, EFFECT_DRAINED);
    effects = __real_core_step(kit.core, &drain, 1, kit.now); /* and stays so */
    assert_int_equal(effects.count, 2);
    assert_int_equal(effects.effects[1].kind, EFFECT_DRAINED);
    kit_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_topics_and_sequences_fit),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(create_without_memory_fails_cleanly),
        cmocka_unit_test(lost_effects_end_the_broker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
