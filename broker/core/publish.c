/* publish.c: PUBLISH: may these batches be appended, and as what? Layer: core. The hot path: nothing here is per record.
 *
 * Mostly it is one batch; several of one PUBLISH are accepted or refused together, so every check is made of all of them before any
 * is accepted. Answers that say something is stored (duplicates, the expected sequence, a conflict) wait until that is on disk,
 * like the batch itself. Refusals that promise nothing are sent at once. */
#include "broker/core/accept.h"
#include "broker/core/connection.h"
#include "broker/core/pending.h"
#include "broker/core/producer_state.h"
#include "broker/core/publish_answer.h"
#include "broker/core/sequence.h"
#include "broker/core/topic_state.h"

/* The batches of one PUBLISH. */
struct publish {
    struct core *core;
    struct connection *connection;
    uint64_t request_id;
    uint32_t frame_bytes, count;
    struct core_prepared *first;
    struct attempt attempts[BATCHES_TOGETHER_MAX]; /* count of them are set */
};

/* --- refusing ---------------------------------------------------------------------------------------------------------------- */

static void release(struct core *core, struct core_prepared *first)
{
    for (struct core_prepared *prepared = first; prepared; prepared = prepared->next)
        output_effect(&core->output, EFFECT_RELEASE)->prepared = prepared;
}

/* Gives credit and batches back. Always false, for `return settle(...)`. */
static bool settle(const struct publish *publish)
{
    publish->connection->credit_used -= publish->frame_bytes;
    release(publish->core, publish->first);
    return false;
}

static unsigned number_of(const struct attempt *attempt)
{
    return attempt ? attempt->number : 0;
}

/* All are refused because of one; attempt NULL: because of all. Always false, for `return refuse(...)`. */
#define refuse(publish, attempt, refusal, ...)                                                                                     \
    (publish_answer_error((publish)->core, (publish)->connection, (publish)->request_id, number_of(attempt), refusal,              \
                          __VA_ARGS__),                                                                                            \
     settle(publish))

static bool refuse_busy(const struct publish *publish)
{
    return refuse(publish, NULL, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                  "too much waits for the disk; retry after the time given");
}

/* What waits for the disk with an answer that adds nothing to the log. */
static struct pending waiting(const struct publish *publish, enum pending_kind kind)
{
    return (struct pending){.ticket = publish->core->last_ticket,
                            .kind = (uint8_t)kind,
                            .connection = publish->connection->number,
                            .connection_index = publish->connection->index,
                            .request_id = publish->request_id,
                            .frame_bytes = publish->frame_bytes,
                            .memory_bytes = PENDING_OVERHEAD};
}

/* All are refused by an answer that tells of what is stored: at once, or (waits) when it is on disk. */
static bool refuse_stored(const struct publish *publish, const struct publish_refusal *refusal, bool waits)
{
    struct core *core = publish->core;
    struct pending pending;

    if (!waits) {
        publish_answer_refusal(core, publish->connection, publish->request_id, refusal);
        return settle(publish);
    }
    if (!pending_has_room(core, 0) || !pending_reserve(core, 1))
        return refuse_busy(publish);
    pending = waiting(publish, refusal->kind);
    pending.number = (uint8_t)refusal->number;
    pending.base_offset = refusal->actual;
    pending.position = refusal->expected;
    pending_add(core, &pending);
    release(core, publish->first);
    return false;
}

/* --- the checks, in order: each answers and returns false when it refuses ------------------------------------------------------
 */

static bool check_state(const struct publish *publish)
{
    const struct core *core = publish->core;

    if (core->failed)
        return refuse(publish, NULL, refusal_retry(TRUC_STOPPED, RETRY_STATE_MS),
                      "the log failed (%s); trucd exits and must be started again", core->failure);
    if (core->draining)
        return refuse(publish, NULL, refusal_retry(TRUC_DRAINING, RETRY_STATE_MS),
                      "the broker is shutting down; reconnect and send the batch again");
    if (core->capacity.full)
        return refuse(publish, NULL, refusal_retry(TRUC_DISK_FULL, RETRY_STATE_MS),
                      "the log's disk is full; free space on the data directory's disk, the broker goes on by itself");
    if (core->clock.behind)
        return refuse(publish, NULL, refusal_retry(TRUC_CLOCK_BEHIND, RETRY_STATE_MS),
                      "the broker's clock is far behind the last entry; set the clock, or start trucd with --accept-clock once");
    return true;
}

static bool check_source(const struct publish *publish, const struct attempt *attempt)
{
    const struct connection *connection = attempt->connection;

    if (bytes_equal(attempt->batch->source, connection_agency(connection)) &&
        bytes_equal(attempt->batch->system, connection_system(connection)))
        return true;
    return refuse(publish, attempt, refusal_of(TRUC_BAD_SOURCE),
                  "the batch names another source than the session's %.*s; publish under the source that logged in",
                  (int)connection->scope_size, (const char *)connection->scope);
}

static bool check_producer(const struct publish *publish, struct attempt *attempt)
{
    struct connection *connection = attempt->connection;
    struct producer *producer = connection->recent;

    if (!producer || producer->id != attempt->batch->producer_id)
        producer = producer_find(attempt->core, attempt->batch->producer_id);
    if (!producer || (producer->connection != connection && !bytes_equal(producer_scope(producer), connection_scope(connection))))
        return refuse(publish, attempt, refusal_of(TRUC_UNKNOWN_PRODUCER),
                      "there is no producer %llu of this source, or its grace is over; open the producer again",
                      (unsigned long long)attempt->batch->producer_id);
    if (attempt->batch->epoch > producer->epoch)
        return refuse(publish, attempt, refusal_of(TRUC_UNKNOWN_PRODUCER),
                      "the broker never gave out epoch %u of this producer; open the producer again", attempt->batch->epoch);
    if (attempt->batch->epoch < producer->epoch)
        return refuse(publish, attempt, refusal_of(TRUC_FENCED),
                      "another instance opened this producer later (epoch %u, this batch has %u); stop one of them",
                      producer->epoch, attempt->batch->epoch);
    if (producer->connection != connection)
        return refuse(publish, attempt, refusal_of(TRUC_FENCED),
                      "this producer belongs to another connection; resume it on this one before publishing");
    connection->recent = producer;
    attempt->producer = producer;
    return true;
}

static bool check_family(const struct publish *publish, const struct attempt *attempt)
{
    const struct core_config *config = &attempt->core->config;
    uint16_t family = attempt->topic ? attempt->topic->family : topic_family(attempt->core, attempt->batch->topic);
    const struct core_family *rules = family > 0 ? &config->families[family - 1] : NULL;
    uint32_t record_bytes_max = rules && rules->record_bytes_max > 0 ? rules->record_bytes_max : config->record_bytes_max;

    if (attempt->batch->encoded.size > config->batch_bytes_max)
        return refuse(publish, attempt, refusal_of(TRUC_BATCH_TOO_LARGE),
                      "the batch has %zu bytes, at most %u are allowed; lower batch_bytes of the producer",
                      attempt->batch->encoded.size, config->batch_bytes_max);
    if (attempt->prepared->record_largest > record_bytes_max)
        return refuse(publish, attempt, refusal_of(TRUC_RECORD_TOO_LARGE),
                      "a record has %u bytes, the topic allows %u; make it smaller or raise record_bytes_max of the topic's family",
                      attempt->prepared->record_largest, record_bytes_max);
    if (rules && rules->codec >= 0 && attempt->batch->codec != (enum codec)rules->codec)
        return refuse(publish, attempt, refusal_of(TRUC_BAD_CODEC),
                      "the topic's family takes codec %s only; set the producer's codec to it",
                      codec_name((enum codec)rules->codec));
    if (!attempt->topic && rules && rules->evidence != EVIDENCE_UNSPECIFIED && attempt->prepared->evidence != rules->evidence)
        return refuse(publish, attempt, refusal_of(TRUC_EVIDENCE_MISMATCH),
                      "the topic's family has evidence level %s; leave the level to the topic",
                      rules->evidence == EVIDENCE_BATCH ? "batch" : "record");
    return true;
}

/* *new_topics: of the batches so far. */
static bool check_topic(const struct publish *publish, struct attempt *attempt, uint32_t *new_topics)
{
    struct core *core = attempt->core;

    attempt->topic = topic_find(core, attempt->batch->topic, &attempt->topic_hash, &attempt->topic_index);
    if (!check_family(publish, attempt))
        return false;
    if (!attempt->topic) {
        if (core->topics.used + (*new_topics)++ < core->config.topics_max)
            return true;
        return refuse(publish, attempt, refusal_of(TRUC_QUOTA_EXCEEDED),
                      "the log has %u topics, the most allowed; raise topics_max in the broker's configuration", core->topics.used);
    }
    if (attempt->topic->evidence == (uint8_t)attempt->prepared->evidence)
        return true;
    if (attempt->batch->evidence == EVIDENCE_UNSPECIFIED) {
        if (core->config.digest_again(core->config.digest_context, attempt->prepared, attempt->topic->evidence) == TRUC_OK)
            return true;
        return refuse(publish, attempt, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS), "out of memory; retry after the time given");
    }
    return refuse(publish, attempt, refusal_of(TRUC_EVIDENCE_MISMATCH),
                  "the topic was created with evidence level %s; publish with that level, see `truc topic info`",
                  attempt->topic->evidence == EVIDENCE_BATCH ? "batch" : "record");
}

static bool answer_known(const struct publish *publish, const struct sequence_result *results, bool waits)
{
    struct core *core = publish->core;
    struct publish_place places[BATCHES_TOGETHER_MAX];

    if (waits && !CANARY_EARLY_DUPLICATE) {
        if (!pending_has_room(core, (uint64_t)(publish->count - 1) * PENDING_OVERHEAD) || !pending_reserve(core, publish->count))
            return refuse_busy(publish);
        for (uint32_t i = 0; i < publish->count; i++) {
            struct pending pending = waiting(publish, PENDING_DUPLICATE);

            pending.part = i + 1 < publish->count;
            if (pending.part)
                pending.connection = pending.frame_bytes = 0;
            pending.position = results[i].position;
            pending.base_offset = results[i].base_offset;
            pending.subject = publish->attempts[i].topic_index;
            pending_add(core, &pending);
        }
        release(core, publish->first);
        return false;
    }
    for (uint32_t i = 0; i < publish->count; i++)
        places[i] = (struct publish_place){.position = results[i].position,
                                           .base_offset = results[i].base_offset,
                                           .subscriptions = topic_subscriptions(core, publish->attempts[i].topic)};
    publish_answer_ok(core, publish->connection, publish->request_id, places, publish->count, true);
    return settle(publish);
}

static enum sequence_verdict judge(struct attempt *attempt, struct sequence_result *ret_result, bool *ret_waits)
{
    const struct batch_view *batch = attempt->batch;

    if (attempt->topic)
        attempt->sequence = sequence_find(attempt->core, attempt->producer->index, attempt->topic_index, &attempt->sequence_index);
    return sequence_judge(attempt->sequence, batch->first_sequence, batch->record_count, ret_result, ret_waits);
}

/* All follow, or all are stored: whoever sends again what was sent together does so together. */
static bool check_sequences(struct publish *publish)
{
    struct sequence_result results[BATCHES_TOGETHER_MAX];
    uint32_t next = 0, known = 0;
    unsigned first_stored = 0;
    bool waits = false;

    for (uint32_t i = 0; i < publish->count; i++) {
        struct attempt *attempt = &publish->attempts[i];
        bool this_waits;
        enum sequence_verdict verdict = judge(attempt, &results[i], &this_waits);

        if (verdict == SEQUENCE_MISPLACED)
            return refuse_stored(publish,
                                 &(struct publish_refusal){.kind = PENDING_SEQUENCE,
                                                           .number = attempt->number,
                                                           .actual = attempt->sequence ? attempt->sequence->next : 0},
                                 this_waits);
        next += verdict == SEQUENCE_NEXT;
        known += verdict == SEQUENCE_KNOWN;
        waits |= this_waits;
        if (verdict != SEQUENCE_NEXT && first_stored == 0)
            first_stored = attempt->number;
    }
    if (next == publish->count)
        return true;
    if (known == publish->count)
        return answer_known(publish, results, waits);
    if (next > 0)
        return refuse_stored(publish, &(struct publish_refusal){.kind = PENDING_MIXED, .number = first_stored}, waits);
    return refuse_stored(publish, &(struct publish_refusal){.kind = PENDING_STORED}, waits);
}

static bool check_condition(const struct publish *publish, const struct attempt *attempt)
{
    const struct topic *topic = attempt->topic;
    uint64_t actual = topic ? topic->next_offset : 0;

    if (!attempt->batch->conditional || attempt->batch->expected_offset == actual)
        return true;
    return refuse_stored(
        publish,
        &(struct publish_refusal){
            .kind = PENDING_CONFLICT, .number = attempt->number, .actual = actual, .expected = attempt->batch->expected_offset},
        topic && topic->durable_offset != actual);
}

static bool check_in_flight(const struct publish *publish, const struct attempt *attempt)
{
    if (!attempt->sequence || attempt->sequence->pending < BATCHES_IN_FLIGHT_MAX)
        return true;
    return refuse(publish, attempt, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                  "%d batches of this producer and topic wait for the disk, the most allowed; retry after the time given",
                  BATCHES_IN_FLIGHT_MAX);
}

static bool check_room(const struct publish *publish)
{
    const struct core *core = publish->core;
    uint64_t memory_bytes = (uint64_t)(publish->count - 1) * PENDING_OVERHEAD;
    uint64_t log_bytes = (uint64_t)(publish->count - 1) * LOG_OVERHEAD;

    for (uint32_t i = 0; i < publish->count; i++) {
        memory_bytes += accept_memory_bytes(&publish->attempts[i]);
        log_bytes += accept_log_bytes(&publish->attempts[i]);
    }
    if (!pending_has_room(core, memory_bytes))
        return refuse_busy(publish);
    if (!pending_log_has_room(core, log_bytes))
        return refuse(publish, NULL, refusal_retry(TRUC_DISK_FULL, RETRY_STATE_MS),
                      "the log's disk has no room for this; free space on the data directory's disk, the broker goes on by itself");
    return true;
}

/* Whose record it was is known to nobody here: who is told of the recall compares. */
static bool check_recalls(const struct publish *publish)
{
    const struct core *core = publish->core;
    uint64_t count = 0;

    for (uint32_t i = 0; i < publish->count; i++) {
        const struct attempt *attempt = &publish->attempts[i];
        const struct core_prepared *prepared = attempt->prepared;
        uint64_t next_offset = attempt->topic ? attempt->topic->next_offset : 0;

        count += prepared->recall_count;
        for (uint32_t j = 0; j < prepared->recall_count; j++) {
            if (prepared->recalls[j] >= next_offset)
                return refuse(publish, attempt, refusal_of(TRUC_OUT_OF_RANGE),
                              "the topic has no record at offset %llu that could be recalled; take the offset of a record that was "
                              "published before, `truc topic info` states the range",
                              (unsigned long long)prepared->recalls[j]);
        }
    }
    if (count == 0 || core->recalls.count + count <= core->config.recalls_max)
        return true;
    return refuse(publish, NULL, refusal_retry(TRUC_TOO_MANY, RETRY_STATE_MS),
                  "the log has %u recalls, at most %u are remembered; raise recalls_max in the broker's configuration",
                  core->recalls.count, core->config.recalls_max);
}

static bool check(struct publish *publish)
{
    uint32_t new_topics = 0;

    if (!check_state(publish))
        return false;
    for (uint32_t i = 0; i < publish->count; i++) {
        struct attempt *attempt = &publish->attempts[i];

        if (!check_source(publish, attempt) || !check_producer(publish, attempt) || !check_topic(publish, attempt, &new_topics))
            return false;
        for (uint32_t j = 0; j < i; j++)
            CORE_INVARIANT(!bytes_equal(publish->attempts[j].batch->topic, attempt->batch->topic));
    }
    if (!check_sequences(publish))
        return false;
    for (uint32_t i = 0; i < publish->count; i++) {
        if (!check_condition(publish, &publish->attempts[i]) || !check_in_flight(publish, &publish->attempts[i]))
            return false;
    }
    return check_recalls(publish) && check_room(publish);
}

/* --- the events ----------------------------------------------------------------------------------------------------------------
 */

/* Is the connection one that may publish, within its credit? Takes the credit. A frame larger than the whole credit may come alone.
 */
static bool enter(struct core *core, const struct core_event *event, struct connection *connection)
{
    if (!connection || connection->state == CONNECTION_CLOSING)
        return false;
    if (connection->state != CONNECTION_LOGGED_IN) {
        answer_fatal(core, connection, 0, TRUC_NOT_LOGGED_IN, "PUBLISH came before LOGIN; say HELLO, then LOGIN, then publish");
        return false;
    }
    if (event->request_id == 0) {
        answer_fatal(core, connection, 0, TRUC_PROTOCOL,
                     "PUBLISH has request id 0, which means the connection itself; number requests from 1");
        return false;
    }
    if (connection->credit_used > 0 && connection->credit_used + event->frame_bytes > core->config.publish_credit_bytes) {
        answer_fatal(core, connection, 0, TRUC_CREDIT_EXCEEDED,
                     "more than %u bytes of unanswered publishes were sent; a client stays within the credit of the hello",
                     core->config.publish_credit_bytes);
        return false;
    }
    connection->credit_used += event->frame_bytes;
    return true;
}

static void begin(struct publish *publish, const struct core_event *event, struct core *core, struct connection *connection)
{
    bool alone = !event->prepared->next;
    uint32_t count = 0;

    publish->core = core;
    publish->connection = connection;
    publish->request_id = event->request_id;
    publish->frame_bytes = event->frame_bytes;
    publish->first = event->prepared;
    for (struct core_prepared *prepared = event->prepared; prepared; prepared = prepared->next, count++) {
        CORE_INVARIANT(count < BATCHES_TOGETHER_MAX);
        publish->attempts[count] = (struct attempt){
            .core = core,
            .connection = connection,
            .request_id = event->request_id,
            .frame_bytes = event->frame_bytes,
            .prepared = prepared,
            .batch = &prepared->batch,
            .number = alone ? 0 : (uint8_t)(count + 1),
            .part = prepared->next != NULL,
            .joined = prepared != event->prepared && !CANARY_TOGETHER_PARTED,
        };
    }
    publish->count = count;
}

void core_on_publish(struct core *core, const struct core_event *event)
{
    struct connection *connection = connection_find(core, event->connection);
    struct publish publish; /* large: only what is used is set */

    if (!enter(core, event, connection)) {
        release(core, event->prepared);
        return;
    }
    begin(&publish, event, core, connection);
    if (check(&publish) && !accept_batches(publish.attempts, publish.count))
        (void)refuse(&publish, NULL, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                     "the broker has no memory for this; retry after the time given");
}

void core_on_publish_bad(struct core *core, const struct core_event *event)
{
    struct connection *connection = connection_find(core, event->connection);
    const char *why = event->why ? event->why : truc_status_text(event->status);

    if (!enter(core, event, connection))
        return;
    connection->credit_used -= event->frame_bytes;
    if (event->status == TRUC_PROTOCOL)
        answer_fatal(core, connection, 0, event->status, "%s; %s", why, truc_status_next(event->status));
    else
        answer_error(core, connection, event->request_id, refusal_of(event->status), "%s; %s", why,
                     truc_status_next(event->status));
}
