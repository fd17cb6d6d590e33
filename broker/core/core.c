#include "broker/core/core_internal.h"

#include <stdlib.h>

#include "broker/core/clock.h"
#include "broker/core/connection.h"
#include "broker/core/drain.h"
#include "broker/core/inquiry.h"
#include "broker/core/pending.h"
#include "broker/core/producer_state.h"
#include "broker/core/reader.h"
#include "broker/core/subscription.h"
#include "proto/directory.h"

enum {
    NAMES_CHUNK_BYTES = 64 * 1024,
    FINAL_EFFECTS = 2 /* alarm and end, when memory is exhausted */
};

void core_config_init(struct core_config *ret_config)
{
    *ret_config = (struct core_config){
        .domain = "local/dev",
        .generation = 1,
        .engine = "memory",
        .agent = "trucd/" TRUC_VERSION,
        .record_bytes_max = RECORD_BYTES_DEFAULT,
        .batch_bytes_max = BATCH_BYTES_MAX,
        .publish_credit_bytes = 8 * 1024 * 1024,
        .pending_bytes_max = UINT64_C(64) * 1024 * 1024,
        .read_credit_bytes_max = 8 * 1024 * 1024,
        .read_chunk_bytes = 512 * 1024,
        .readers_per_connection_max = 256,
        .readers_max = 16384,
        .connections_max = 4096,
        .producers_max = 1000000,
        .topics_max = 1000000,
        .subscriptions_max = 100000,
        .recalls_max = 1000000,
        .producer_grace_ms = 600000,
        .clock_jump_ms = 5000,
        .clock_behind_ms = 60000,
    };
}

uint64_t core_hash(const struct core *core, struct bytes text)
{
    return directory_hash(core->config.hash_secret, text);
}

truc_status core_create(const struct core_config *config, struct core **ret_core)
{
    struct core *core;

    if (config->read_chunk_bytes == 0 || config->family_count >= UINT16_MAX || config->topics_max == 0 ||
        config->topics_max == UINT32_MAX)
        return TRUC_INVALID_ARGUMENT;
    core = calloc(1, sizeof *core);
    if (!core)
        return TRUC_NO_MEMORY;
    core->config = *config;
    core->last_producer_id = config->last_producer_id;
    core->last_subscription = config->last_subscription_id;
    pool_init(&core->topics, sizeof(struct topic), 10);
    pool_init(&core->producers, sizeof(struct producer), 8);
    pool_init(&core->sequences, sizeof(struct sequence), 12);
    pool_init(&core->connections, sizeof(struct connection), 6);
    pool_init(&core->readers, sizeof(struct core_reader), 6);
    pool_init(&core->watches, sizeof(struct watch), 6);
    pool_init(&core->subscriptions, sizeof(struct subscription), 6);
    pool_init(&core->attachments, sizeof(struct attachment), 6);
    pool_init(&core->settles, sizeof(struct settle), 6);
    core->shares_due_ns = core->receipts_due_boot_ns = INT64_MAX;
    pattern_tree_init(&core->patterns, config->hash_secret);
    core->subscriptions_generation = 1;
    slab_init(&core->names, NAMES_CHUNK_BYTES, 0);
    recalls_init(&core->recalls);
    core->digest = digest_context_create();
    if (!core->digest || !output_init(&core->output)) {
        core_destroy(core);
        return TRUC_NO_MEMORY;
    }
    *ret_core = core;
    return TRUC_OK;
}

static void destroy_owned(struct core *core)
{
    for (uint32_t i = 0; i < core->sequences.touched; i++) {
        const struct sequence *sequence = core_sequence(core, i);

        if (sequence->capacity > 0)
            free(sequence->results);
    }
    for (uint32_t i = 0; i < core->producers.touched; i++) {
        struct producer *producer = core_producer(core, i);

        if (producer->id != 0) {
            order_fini(&producer->sequences);
            free(producer->text);
        }
    }
    for (struct connection *connection = core->connection_first; connection; connection = connection->next) {
        inquiry_drop_all(core, connection);
        attachment_drop_all(core, connection);
        reader_drop_all(core, connection);
    }
    for (uint32_t i = 0; i < core->subscriptions.touched; i++) {
        struct subscription *subscription = core_subscription(core, i);

        while (subscription->settles) {
            struct settle *settle = subscription->settles;

            subscription->settles = settle->next;
            settle_forget(core, settle->index);
        }
        subscription_fini(subscription);
    }
    while (core->pending.count > 0) {
        if (pending_first(core)->kind == PENDING_SETTLE)
            settle_forget(core, pending_first(core)->subject);
        pending_drop_first(core);
    }
    reader_bury(core);
    for (uint32_t i = 0; i < core->readers.touched; i++) { /* questions are nobody's but their own */
        struct core_reader *reader = pool_at(&core->readers, i);

        if (reader->question) {
            free(reader->question);
            free(reader->text);
        }
    }
}

void core_destroy(struct core *core)
{
    if (!core)
        return;
    destroy_owned(core);
    output_fini(&core->output);
    digest_context_destroy(core->digest);
    table_fini(&core->topics_by_name);
    table_fini(&core->producers_by_id);
    table_fini(&core->producers_by_name);
    table_fini(&core->sequences_by_key);
    table_fini(&core->connections_by_number);
    table_fini(&core->readers_by_number);
    table_fini(&core->watches_by_pattern);
    table_fini(&core->subscriptions_by_name);
    order_fini(&core->subscriptions_in_order);
    order_fini(&core->topics_in_order);
    pool_fini(&core->topics);
    pool_fini(&core->producers);
    pool_fini(&core->sequences);
    pool_fini(&core->connections);
    pool_fini(&core->readers);
    pool_fini(&core->watches);
    pool_fini(&core->subscriptions);
    pattern_tree_fini(&core->patterns);
    pool_fini(&core->attachments);
    pool_fini(&core->settles);
    slab_fini(&core->names);
    recalls_fini(&core->recalls);
    free(core->pending.items);
    free(core->committed);
    free(core);
}

static void step_event(struct core *core, const struct core_event *event)
{
    switch (event->kind) {
    case CORE_START:
        core_on_start(core, event);
        break;
    case CORE_CONNECTED:
        core_on_connected(core, event);
        break;
    case CORE_DISCONNECTED:
        core_on_disconnected(core, event);
        break;
    case CORE_FRAME:
        connection_frame(core, event);
        break;
    case CORE_PUBLISH:
        core_on_publish(core, event);
        break;
    case CORE_PUBLISH_BAD:
        core_on_publish_bad(core, event);
        break;
    case CORE_COMMITTED:
        core_on_committed(core, event);
        break;
    case CORE_LOG_FAILED:
        core_on_log_failed(core, event);
        break;
    case CORE_CAPACITY:
        core_on_capacity(core, event);
        break;
    case CORE_READ_RESOLVED:
        core_on_read_resolved(core, event);
        break;
    case CORE_READ_DONE:
        core_on_read_done(core, event);
        break;
    case CORE_SCANNED:
        core_on_scanned(core, event);
        break;
    case CORE_FETCHED:
        core_on_fetched(core, event);
        break;
    case CORE_LOOKED:
        core_on_looked(core, event);
        break;
    case CORE_TICK: /* what is due is done at the end of every step */
        break;
    case CORE_DRAIN:
        core_on_drain(core);
        break;
    }
}

/* Asks to be woken for the next thing that is due. */
static void ask_to_wake(struct core *core)
{
    int64_t next_boot_ns = producer_next_expiry(core);

    if (core->shares_due_ns != INT64_MAX) {
        int64_t due_boot_ns = core->shares_due_ns - core->clock.offset_ns;

        if (next_boot_ns == 0 || due_boot_ns < next_boot_ns)
            next_boot_ns = due_boot_ns;
    }
    if (core->receipts_due_boot_ns != INT64_MAX && (next_boot_ns == 0 || core->receipts_due_boot_ns < next_boot_ns))
        next_boot_ns = core->receipts_due_boot_ns;
    if (next_boot_ns == 0 || next_boot_ns == core->wake_boot_ns)
        return;
    core->wake_boot_ns = next_boot_ns;
    output_effect(&core->output, EFFECT_WAKE_AT)->boot_ns = next_boot_ns;
}

/* Not every effect could be recorded, so what was promised can no longer be kept apart from what was not: nothing more is
 * acknowledged and the process ends. The array has room for these two from the beginning. */
static void give_up(struct core *core)
{
    static const char text[] =
        "memory is exhausted: nothing more is acknowledged, trucd exits; free memory or lower its limits, then start it again";
    struct output *output = &core->output;

    core->failed = true;
    if (output->count > output->capacity - FINAL_EFFECTS)
        output->count = output->capacity - FINAL_EFFECTS;
    output->effects[output->count++] = (struct core_effect){.kind = EFFECT_ALARM, .bytes = bytes_of(text, sizeof text - 1)};
    output->effects[output->count++] = (struct core_effect){.kind = EFFECT_DRAINED};
}

struct core_effects core_step(struct core *core, const struct core_event *events, size_t event_count, struct core_now now)
{
    output_begin(&core->output);
    reader_bury(core);
    core->now = now;
    if (core->wake_boot_ns != 0 && core->wake_boot_ns <= now.boot_ns)
        core->wake_boot_ns = 0;
    clock_advance(core);
    for (size_t i = 0; i < event_count; i++)
        step_event(core, &events[i]);
    if (core->started) {
        producer_expire(core);
        subscription_pump_all(core);
        inquiry_advance(core);
        ask_to_wake(core);
    }
    output_end(&core->output);
    drain_settle(core);
    if (core->output.exhausted)
        give_up(core);
    return (struct core_effects){core->output.effects, core->output.count};
}

struct core_counts core_counts(const struct core *core)
{
    return (struct core_counts){.topics = core->topics.used,
                                .producers = core->producers.used,
                                .sequences = core->sequences.used,
                                .connections = core->connections.used,
                                .readers = core->readers_by_number.count,
                                .subscriptions = core->subscription_count};
}

void core_set_usage(struct core *core, struct core_usage usage)
{
    core->usage = usage;
}
