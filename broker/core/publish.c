/* publish.c: PUBLISH: may this batch be appended, and as what? Layer: core. The hot path: nothing here is per record.
 *
 * Answers that say something is stored (duplicates, the expected sequence) wait until that is on disk, like the batch itself.
 * Refusals that promise nothing are sent at once. */
#include "broker/core/accept.h"
#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/pending.h"
#include "broker/core/producer_state.h"
#include "broker/core/sequence.h"
#include "broker/core/topic_state.h"

/* --- refusing ---------------------------------------------------------------------------------------------------------------- */

static void release(struct core *core, struct core_prepared *prepared)
{
    output_effect(&core->output, EFFECT_RELEASE)->prepared = prepared;
}

/* Answers and gives credit and batch back. Always false, for `return refuse(...)`. */
#define refuse(attempt, refusal, ...)                                                                                              \
    (answer_error((attempt)->core, (attempt)->connection, (attempt)->request_id, refusal, __VA_ARGS__), settle(attempt))

static bool settle(const struct attempt *attempt)
{
    attempt->connection->credit_used -= attempt->frame_bytes;
    release(attempt->core, attempt->prepared);
    return false;
}

/* Waits for the disk with an answer that adds nothing to the log. */
static bool settle_later(const struct attempt *attempt, enum pending_kind kind, const struct sequence_result *result)
{
    struct core *core = attempt->core;

    if (!pending_has_room(core, 0) || !pending_reserve(core, 1))
        return refuse(attempt, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS), "too much waits for the disk; retry after the time given");
    pending_add(core, &(struct pending){.ticket = core->last_ticket,
                                        .kind = (uint8_t)kind,
                                        .connection = attempt->connection->number,
                                        .connection_index = attempt->connection->index,
                                        .request_id = attempt->request_id,
                                        .position = result->position,
                                        .base_offset = result->base_offset,
                                        .frame_bytes = attempt->frame_bytes,
                                        .memory_bytes = PENDING_OVERHEAD});
    release(core, attempt->prepared);
    return false;
}

/* --- the checks, in order: each answers and returns false when it refuses ------------------------------------------------------
 */

static bool check_state(const struct attempt *attempt)
{
    const struct core *core = attempt->core;

    if (core->failed)
        return refuse(attempt, refusal_retry(TRUC_STOPPED, RETRY_STATE_MS),
                      "the log failed (%s); trucd exits and must be started again", core->failure);
    if (core->draining)
        return refuse(attempt, refusal_retry(TRUC_DRAINING, RETRY_STATE_MS),
                      "the broker is shutting down; reconnect and send the batch again");
    if (core->capacity.full)
        return refuse(attempt, refusal_retry(TRUC_DISK_FULL, RETRY_STATE_MS),
                      "the log's disk is full; free space on the data directory's disk, the broker goes on by itself");
    if (core->clock.behind)
        return refuse(attempt, refusal_retry(TRUC_CLOCK_BEHIND, RETRY_STATE_MS),
                      "the broker's clock is far behind the last entry; set the clock, or start trucd with --accept-clock once");
    return true;
}

static bool check_source(const struct attempt *attempt)
{
    const struct connection *connection = attempt->connection;

    if (bytes_equal(attempt->batch->source, connection_agency(connection)) &&
        bytes_equal(attempt->batch->system, connection_system(connection)))
        return true;
    return refuse(attempt, refusal_of(TRUC_BAD_SOURCE),
                  "the batch names another source than the session's %.*s; publish under the source that logged in",
                  (int)connection->scope_size, (const char *)connection->scope);
}

static bool check_producer(struct attempt *attempt)
{
    struct connection *connection = attempt->connection;
    struct producer *producer = connection->recent;

    if (!producer || producer->id != attempt->batch->producer_id)
        producer = producer_find(attempt->core, attempt->batch->producer_id);
    if (!producer || (producer->connection != connection && !bytes_equal(producer_scope(producer), connection_scope(connection))))
        return refuse(attempt, refusal_of(TRUC_UNKNOWN_PRODUCER),
                      "there is no producer %llu of this source, or its grace is over; open the producer again",
                      (unsigned long long)attempt->batch->producer_id);
    if (attempt->batch->epoch > producer->epoch)
        return refuse(attempt, refusal_of(TRUC_UNKNOWN_PRODUCER),
                      "the broker never gave out epoch %u of this producer; open the producer again", attempt->batch->epoch);
    if (attempt->batch->epoch < producer->epoch)
        return refuse(attempt, refusal_of(TRUC_FENCED),
                      "another instance opened this producer later (epoch %u, this batch has %u); stop one of them",
                      producer->epoch, attempt->batch->epoch);
    if (producer->connection != connection)
        return refuse(attempt, refusal_of(TRUC_FENCED),
                      "this producer belongs to another connection; resume it on this one before publishing");
    connection->recent = producer;
    attempt->producer = producer;
    return true;
}

static bool check_family(const struct attempt *attempt)
{
    const struct core_config *config = &attempt->core->config;
    uint16_t family = attempt->topic ? attempt->topic->family : topic_family(attempt->core, attempt->batch->topic);
    const struct core_family *rules = family > 0 ? &config->families[family - 1] : NULL;
    uint32_t record_bytes_max = rules && rules->record_bytes_max > 0 ? rules->record_bytes_max : config->record_bytes_max;

    if (attempt->batch->encoded.size > config->batch_bytes_max)
        return refuse(attempt, refusal_of(TRUC_BATCH_TOO_LARGE),
                      "the batch has %zu bytes, at most %u are allowed; lower batch_bytes of the producer",
                      attempt->batch->encoded.size, config->batch_bytes_max);
    if (attempt->prepared->record_largest > record_bytes_max)
        return refuse(attempt, refusal_of(TRUC_RECORD_TOO_LARGE),
                      "a record has %u bytes, the topic allows %u; make it smaller or raise record_bytes_max of the topic's family",
                      attempt->prepared->record_largest, record_bytes_max);
    if (rules && rules->codec >= 0 && attempt->batch->codec != (enum codec)rules->codec)
        return refuse(attempt, refusal_of(TRUC_BAD_CODEC), "the topic's family takes codec %s only; set the producer's codec to it",
                      codec_name((enum codec)rules->codec));
    if (!attempt->topic && rules && rules->evidence != EVIDENCE_UNSPECIFIED && attempt->prepared->evidence != rules->evidence)
        return refuse(attempt, refusal_of(TRUC_EVIDENCE_MISMATCH),
                      "the topic's family has evidence level %s; leave the level to the topic",
                      rules->evidence == EVIDENCE_BATCH ? "batch" : "record");
    return true;
}

static bool check_topic(struct attempt *attempt)
{
    struct core *core = attempt->core;

    attempt->topic = topic_find(core, attempt->batch->topic, &attempt->topic_hash, &attempt->topic_index);
    if (!check_family(attempt))
        return false;
    if (!attempt->topic) {
        if (core->topics.used < core->config.topics_max)
            return true;
        return refuse(attempt, refusal_of(TRUC_QUOTA_EXCEEDED),
                      "the log has %u topics, the most allowed; raise topics_max in the broker's configuration", core->topics.used);
    }
    if (attempt->topic->evidence == (uint8_t)attempt->prepared->evidence)
        return true;
    if (attempt->batch->evidence == EVIDENCE_UNSPECIFIED) {
        if (core->config.digest_again(core->config.digest_context, attempt->prepared, attempt->topic->evidence) == TRUC_OK)
            return true;
        return refuse(attempt, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS), "out of memory; retry after the time given");
    }
    return refuse(attempt, refusal_of(TRUC_EVIDENCE_MISMATCH),
                  "the topic was created with evidence level %s; publish with that level, see `truc topic info`",
                  attempt->topic->evidence == EVIDENCE_BATCH ? "batch" : "record");
}

static bool answer_known(const struct attempt *attempt, const struct sequence_result *result, bool waits)
{
    if (waits && !CANARY_EARLY_DUPLICATE)
        return settle_later(attempt, PENDING_DUPLICATE, result);
    answer_publish_ok(attempt->core, attempt->connection, attempt->request_id,
                      &(struct publish_place){.position = result->position, .base_offset = result->base_offset, .duplicate = true});
    return settle(attempt);
}

static bool check_sequence(struct attempt *attempt)
{
    const struct batch_view *batch = attempt->batch;
    struct sequence_result result = {0};
    bool waits;

    if (attempt->topic)
        attempt->sequence = sequence_find(attempt->core, attempt->producer->index, attempt->topic_index, &attempt->sequence_index);
    switch (sequence_judge(attempt->sequence, batch->first_sequence, batch->record_count, &result, &waits)) {
    case SEQUENCE_NEXT:
        break;
    case SEQUENCE_KNOWN:
        return answer_known(attempt, &result, waits);
    case SEQUENCE_STORED:
        if (waits)
            return settle_later(attempt, PENDING_STORED, &result);
        return refuse(attempt, refusal_of(TRUC_DUPLICATE), DUPLICATE_TEXT);
    case SEQUENCE_MISPLACED:
        result.base_offset = attempt->sequence ? attempt->sequence->next : 0;
        if (waits)
            return settle_later(attempt, PENDING_SEQUENCE, &result);
        return refuse(attempt, refusal_actual(TRUC_OUT_OF_SEQUENCE, result.base_offset), OUT_OF_SEQUENCE_TEXT,
                      (unsigned long long)result.base_offset);
    }
    if (attempt->sequence && attempt->sequence->pending == BATCHES_IN_FLIGHT_MAX)
        return refuse(attempt, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                      "%d batches of this producer and topic wait for the disk, the most allowed; retry after the time given",
                      BATCHES_IN_FLIGHT_MAX);
    return true;
}

/* Whose record it was is known to nobody here: who is told of the recall compares. */
static bool check_recalls(const struct attempt *attempt)
{
    const struct core *core = attempt->core;
    const struct core_prepared *prepared = attempt->prepared;
    uint64_t next_offset = attempt->topic ? attempt->topic->next_offset : 0;

    if (prepared->recall_count == 0)
        return true;
    for (uint32_t i = 0; i < prepared->recall_count; i++) {
        if (prepared->recalls[i] >= next_offset)
            return refuse(attempt, refusal_of(TRUC_OUT_OF_RANGE),
                          "the topic has no record at offset %llu that could be recalled; take the offset of a record that was "
                          "published before, `truc topic info` states the range",
                          (unsigned long long)prepared->recalls[i]);
    }
    if (prepared->recall_count <= core->config.recalls_max &&
        core->recalls.count <= core->config.recalls_max - prepared->recall_count)
        return true;
    return refuse(attempt, refusal_retry(TRUC_TOO_MANY, RETRY_STATE_MS),
                  "the log has %u recalls, at most %u are remembered; raise recalls_max in the broker's configuration",
                  core->recalls.count, core->config.recalls_max);
}

static bool check_room(const struct attempt *attempt)
{
    const struct core *core = attempt->core;

    if (!pending_has_room(core, accept_memory_bytes(attempt)))
        return refuse(attempt, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS), "too much waits for the disk; retry after the time given");
    if (!pending_log_has_room(core, accept_log_bytes(attempt)))
        return refuse(
            attempt, refusal_retry(TRUC_DISK_FULL, RETRY_STATE_MS),
            "the log's disk has no room for this batch; free space on the data directory's disk, the broker goes on by itself");
    return true;
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

void core_on_publish(struct core *core, const struct core_event *event)
{
    struct attempt attempt = {
        .core = core,
        .connection = connection_find(core, event->connection),
        .request_id = event->request_id,
        .frame_bytes = event->frame_bytes,
        .prepared = event->prepared,
        .batch = &event->prepared->batch,
    };

    if (!enter(core, event, attempt.connection)) {
        release(core, event->prepared);
        return;
    }
    if (!check_state(&attempt) || !check_source(&attempt) || !check_producer(&attempt) || !check_topic(&attempt) ||
        !check_sequence(&attempt) || !check_recalls(&attempt) || !check_room(&attempt))
        return;
    if (!accept_batch(&attempt))
        (void)refuse(&attempt, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                     "the broker has no memory for this batch; retry after the time given");
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
