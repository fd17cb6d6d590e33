/* info.c: PING and LOG_INFO: how it stands. Layer: core. */
#include "broker/core/answer.h"
#include "broker/core/clock.h"
#include "broker/core/drain.h"
#include "truc/v1/wire.pb-c.h"

void core_request_ping(struct core *core, struct connection *connection, const struct frame *frame)
{
    Truc__V1__Pong pong = TRUC__V1__PONG__INIT;

    if (!request_decode(core, connection, frame, &truc__v1__ping__descriptor))
        return;
    if (frame->payload.size > PING_BYTES_MAX) {
        answer_error(core, connection, frame->request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                     "a PING carries at most %d bytes, this one has %zu; send fewer", PING_BYTES_MAX, frame->payload.size);
        return;
    }
    pong.clock_ns = clock_now(core);
    pong.durable_position = core_visible_position(core);
    answer_message(core, connection, FRAME_PONG, frame->request_id, &pong.base, frame->payload);
}

static char *state_text(const struct core *core)
{
    if (core->failed)
        return "stopped";
    if (core->draining)
        return "draining";
    if (core->capacity.full)
        return "disk full";
    return core->clock.behind ? "clock behind" : "ok";
}

void core_request_log_info(struct core *core, struct connection *connection, const struct frame *frame)
{
    Truc__V1__LogInfoOk info = TRUC__V1__LOG_INFO_OK__INIT;
    uint64_t available = core->capacity.available_bytes;

    if (!request_decode(core, connection, frame, &truc__v1__log_info__descriptor))
        return;
    info.domain = core->config.domain;
    info.log_id = (ProtobufCBinaryData){LOG_ID_BYTES, core->config.log_id};
    info.generation = core->config.generation;
    info.engine = core->config.engine;
    info.durable_block = core->head.block;
    info.durable_position = core_visible_position(core);
    info.record_count = core->head.record_count;
    info.topic_count = core->durable_topics;
    info.producer_count = core->producers.used - core->producers_opening;
    info.bytes = core->usage.bytes;
    info.segment_count = core->usage.segment_count;
    info.first_append_ns = core->usage.first_append_ns;
    info.last_append_ns = core->head.last_append_ns;
    info.state = state_text(core);
    info.connection_count = core->connections.used;
    info.reader_count = core->readers_by_number.count;
    info.clock_ns = clock_now(core);
    info.available_bytes = available > core->log_bytes_pending ? available - core->log_bytes_pending : 0;
    answer_message(core, connection, FRAME_LOG_INFO_OK, frame->request_id, &info.base, bytes_of(NULL, 0));
}
