/* producer.c: PRODUCER_OPEN: a new instance of a producer, or an old one on a new connection. Layer: core.
 *
 * Opening raises the epoch, which fences older instances at once; it is answered when the new epoch is on disk, so what the answer
 * says can never be taken back. Resuming changes nothing but the connection the producer belongs to. */
#include "broker/core/producer_answer.h"

#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/pending.h"
#include "broker/core/producer_state.h"
#include "truc/v1/wire.pb-c.h"

/* Someone who asks to open a producer. */
struct opening {
    struct core *core;
    struct connection *connection;
    uint64_t request_id;
    struct bytes name;
};

static bool refuse(const struct opening *opening, truc_status status, uint32_t retry_after_ms, const char *text)
{
    answer_error(opening->core, opening->connection, opening->request_id, refusal_retry(status, retry_after_ms), "%s", text);
    return false;
}

/* Can the log take the delta of an opening? */
static bool check_log(const struct opening *opening)
{
    const struct core *core = opening->core;

    if (core->failed)
        return refuse(opening, TRUC_STOPPED, RETRY_STATE_MS,
                      "the log failed and takes nothing more; trucd exits and must be started again");
    if (core->draining)
        return refuse(opening, TRUC_DRAINING, RETRY_STATE_MS, "the broker is shutting down; reconnect and open the producer again");
    if (core->capacity.full || !pending_log_has_room(core, delta_bytes_max(DELTA_PRODUCER)))
        return refuse(opening, TRUC_DISK_FULL, RETRY_STATE_MS,
                      "the log's disk is full; free space on the data directory's disk, the broker goes on by itself");
    if (!pending_has_room(core, 0))
        return refuse(opening, TRUC_BUSY, RETRY_BUSY_MS, "too much waits for the disk; retry after the time given");
    return true;
}

static bool check_name(const struct opening *opening)
{
    if (opening->name.size > PRODUCER_NAME_BYTES_MAX)
        return refuse(opening, TRUC_INVALID_ARGUMENT, 0, "the producer's name is longer than 128 bytes; choose a shorter one");
    for (size_t i = 0; i < opening->name.size; i++) {
        if (opening->name.data[i] < 0x20 || opening->name.data[i] == 0x7f)
            return refuse(opening, TRUC_INVALID_ARGUMENT, 0, "the producer's name holds a control character; choose another one");
    }
    return true;
}

/* The producer that is opened: found by its name, or made; its new epoch is not set yet. NULL: refused. */
static struct producer *find_or_create(const struct opening *opening)
{
    struct core *core = opening->core;
    struct bytes scope = connection_scope(opening->connection);
    struct producer *producer = opening->name.size > 0 ? producer_find_named(core, scope, opening->name) : NULL;

    if (producer) {
        if (producer->epoch == UINT32_MAX) {
            (void)refuse(opening, TRUC_TOO_MANY, 0, "the producer was opened 2^32 times; choose another name");
            return NULL;
        }
        return producer;
    }
    if (core->producers.used >= core->config.producers_max) {
        answer_error(core, opening->connection, opening->request_id, refusal_retry(TRUC_TOO_MANY, RETRY_STATE_MS),
                     "the broker knows %u producers, the most allowed; raise producers_max in its configuration",
                     core->producers.used);
        return NULL;
    }
    producer = producer_create(core, core->last_producer_id + 1, 0, opening->name.size > 0, scope, opening->name);
    if (!producer) {
        (void)refuse(opening, TRUC_NO_MEMORY, RETRY_STATE_MS,
                     "the broker has no memory for another producer; retry later or lower its limits");
        return NULL;
    }
    core->last_producer_id++;
    core->producers_opening++;
    return producer;
}

static void open_producer(const struct opening *opening)
{
    struct core *core = opening->core;
    struct delta delta = {.kind = DELTA_PRODUCER};
    struct producer *producer;
    struct core_effect *effect;
    uint8_t *encoded;

    if (!check_log(opening))
        return;
    encoded = slab_take(&core->output.slab, delta_bytes_max(DELTA_PRODUCER));
    if (!encoded || !pending_reserve(core, 1) || !output_reserve(&core->output, 1)) {
        (void)refuse(opening, TRUC_NO_MEMORY, RETRY_STATE_MS, "the broker has no memory for this; retry later or lower its limits");
        return;
    }
    producer = find_or_create(opening);
    if (!producer)
        return;
    producer->epoch++;
    producer->open_ticket = ++core->last_ticket;
    producer->pending++;
    producer_bind(core, producer, opening->connection);
    delta.producer = (struct delta_producer){.producer_id = producer->id,
                                             .epoch = producer->epoch,
                                             .named = producer->named,
                                             .scope = producer_scope(producer),
                                             .name = producer_name(producer)};
    effect = output_effect(&core->output, EFFECT_DELTA);
    effect->ticket = producer->open_ticket;
    effect->bytes = bytes_of(encoded, delta_write(encoded, &delta));
    effect->delta_count = 1;
    pending_add(core, &(struct pending){.ticket = producer->open_ticket,
                                        .kind = PENDING_OPEN,
                                        .connection = opening->connection->number,
                                        .connection_index = opening->connection->index,
                                        .request_id = opening->request_id,
                                        .subject = producer->index,
                                        .epoch = producer->epoch,
                                        .first = producer->epoch == 1,
                                        .memory_bytes = PENDING_OVERHEAD,
                                        .log_bytes = (uint32_t)delta_bytes_max(DELTA_PRODUCER) + LOG_OVERHEAD});
}

static void resume_producer(const struct opening *opening, uint64_t id, uint32_t epoch, struct bytes after_topic)
{
    struct core *core = opening->core;
    struct producer *producer = producer_find(core, id);

    if (!producer || !bytes_equal(producer_scope(producer), connection_scope(opening->connection)) ||
        (opening->name.size > 0 && !bytes_equal(producer_name(producer), opening->name))) {
        (void)refuse(opening, TRUC_UNKNOWN_PRODUCER, 0,
                     "there is no such producer of this source, or its grace is over; open it again without resuming");
        return;
    }
    if (epoch < producer->epoch) {
        (void)refuse(opening, TRUC_FENCED, 0,
                     "another instance opened this producer later; only one may publish under its name, stop one of them");
        return;
    }
    if (epoch > producer->epoch) {
        (void)refuse(opening, TRUC_UNKNOWN_PRODUCER, 0,
                     "the broker never gave out this epoch: its log may have gone back; open the producer again");
        return;
    }
    if (producer->open_ticket > core->committed_ticket) {
        (void)refuse(opening, TRUC_BUSY, RETRY_BUSY_MS, "the producer is being opened at this moment; retry after the time given");
        return;
    }
    producer_bind(core, producer, opening->connection);
    producer_answer_ok(core, opening->connection, opening->request_id, producer, after_topic);
}

void core_request_producer_open(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__ProducerOpen *open = request_decode(core, connection, frame, &truc__v1__producer_open__descriptor);
    struct opening opening = {.core = core, .connection = connection, .request_id = frame->request_id};

    if (!open)
        return;
    opening.name = bytes_of_text(open->name);
    if (!check_name(&opening))
        return;
    if (open->resume_id != 0)
        resume_producer(&opening, open->resume_id, open->resume_epoch, bytes_of_text(open->after_topic));
    else if (open->resume_epoch != 0 || open->after_topic[0] != '\0')
        (void)refuse(&opening, TRUC_INVALID_ARGUMENT, 0, "resume_epoch and after_topic need resume_id; give it or leave them out");
    else
        open_producer(&opening);
}
