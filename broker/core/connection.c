#include "connection.h"

#include "broker/core/inquiry.h"
#include "broker/core/producer_state.h"
#include "broker/core/reader.h"
#include "broker/core/subscription.h"

struct connection *connection_find(struct core *core, uint64_t number)
{
    uint32_t index;

    if (core->connection_recent && core->connection_recent->number == number)
        return core->connection_recent;
    for (struct table_probe probe = table_probe(&core->connections_by_number, table_mix(number));
         table_next(&core->connections_by_number, &probe, &index);) {
        struct connection *connection = pool_at(&core->connections, index);

        if (connection->number == number)
            return core->connection_recent = connection;
    }
    return NULL;
}

struct connection *connection_of_pending(struct core *core, const struct pending *pending)
{
    struct connection *connection = pool_at(&core->connections, pending->connection_index);

    /* Numbers are never reused, so a slot that was given to another connection shows. */
    if (connection->number != pending->connection || connection->state == CONNECTION_CLOSING)
        return NULL;
    return connection;
}

void connection_close(struct core *core, struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING)
        return;
    connection->state = CONNECTION_CLOSING;
    inquiry_drop_all(core, connection);
    attachment_drop_all(core, connection);
    reader_drop_all(core, connection);
    producer_unbind_all(core, connection);
    output_flush(&core->output, connection);
    output_effect(&core->output, EFFECT_CLOSE)->connection = connection->number;
}

/* Tells somebody who cannot even be remembered. */
static void turn_away(struct core *core, uint64_t number)
{
    output_effect(&core->output, EFFECT_CLOSE)->connection = number;
}

void core_on_connected(struct core *core, const struct core_event *event)
{
    struct connection *connection;
    uint32_t index;

    CORE_INVARIANT(event->connection != 0 && !connection_find(core, event->connection));
    if (!table_reserve(&core->connections_by_number, 1)) {
        turn_away(core, event->connection);
        return;
    }
    connection = pool_take(&core->connections, &index);
    if (!connection) {
        turn_away(core, event->connection);
        return;
    }
    connection->number = event->connection;
    connection->index = index;
    connection->state = CONNECTION_NEW;
    memcpy(connection->nonce, event->nonce, NONCE_BYTES);
    table_add(&core->connections_by_number, table_mix(connection->number), index);
    connection->next = core->connection_first;
    if (connection->next)
        connection->next->previous = connection;
    core->connection_first = connection;
    if (core->connections.used > core->config.connections_max)
        answer_fatal(
            core, connection, 0, TRUC_TOO_MANY,
            "%u connections are open, the most allowed; close some, or raise connections_max in the broker's configuration",
            core->config.connections_max);
}

void core_on_disconnected(struct core *core, const struct core_event *event)
{
    struct connection *connection = connection_find(core, event->connection);

    if (!connection)
        return;
    if (connection->state != CONNECTION_CLOSING) {
        inquiry_drop_all(core, connection);
        attachment_drop_all(core, connection);
        reader_drop_all(core, connection);
        producer_unbind_all(core, connection);
    }
    if (connection->output != 0) /* nobody is there to hear it */
        core->output.buffers[connection->output - 1].connection = NULL;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        core->connection_first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    if (core->connection_recent == connection)
        core->connection_recent = NULL;
    table_remove(&core->connections_by_number, table_mix(connection->number), connection->index);
    pool_give(&core->connections, connection->index);
}

/* What a client may send after its login; PUBLISH comes by another way. */
static void dispatch(struct core *core, struct connection *connection, const struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_PING:
        core_request_ping(core, connection, frame);
        break;
    case FRAME_PRODUCER_OPEN:
        core_request_producer_open(core, connection, frame);
        break;
    case FRAME_READ:
        core_request_read(core, connection, frame);
        break;
    case FRAME_CREDIT:
        core_request_credit(core, connection, frame);
        break;
    case FRAME_CANCEL:
        core_request_cancel(core, connection, frame);
        break;
    case FRAME_TOPICS:
        core_request_topics(core, connection, frame);
        break;
    case FRAME_LOG_INFO:
        core_request_log_info(core, connection, frame);
        break;
    case FRAME_SUBSCRIPTION_CREATE:
        core_request_subscription_create(core, connection, frame);
        break;
    case FRAME_SUBSCRIPTION_CHANGE:
        core_request_subscription_change(core, connection, frame);
        break;
    case FRAME_SUBSCRIPTIONS:
        core_request_subscriptions(core, connection, frame);
        break;
    case FRAME_SUBSCRIBE:
        core_request_subscribe(core, connection, frame);
        break;
    case FRAME_SETTLE:
        core_request_settle(core, connection, frame);
        break;
    case FRAME_DEAD:
        core_request_dead(core, connection, frame);
        break;
    case FRAME_RECEIPT:
        core_request_receipt(core, connection, frame);
        break;
    case FRAME_HELLO:
    case FRAME_LOGIN:
        answer_fatal(core, connection, 0, TRUC_PROTOCOL, "%s came a second time; a connection greets and logs in once",
                     frame_kind_name(frame->kind));
        break;
    default:
        answer_fatal(core, connection, 0, TRUC_PROTOCOL, "a client sends no frames of kind %u (%s); see docs/protocol.md",
                     (unsigned)frame->kind, frame_kind_name(frame->kind));
        break;
    }
}

void connection_frame(struct core *core, const struct core_event *event)
{
    struct connection *connection = connection_find(core, event->connection);
    const struct frame *frame = &event->frame;

    if (!connection || connection->state == CONNECTION_CLOSING)
        return;
    if (connection->state == CONNECTION_NEW && frame->kind == FRAME_HELLO) {
        core_request_hello(core, connection, frame);
    } else if (connection->state == CONNECTION_GREETED && frame->kind == FRAME_LOGIN) {
        core_request_login(core, connection, frame);
    } else if (connection->state != CONNECTION_LOGGED_IN) {
        answer_fatal(core, connection, 0, TRUC_NOT_LOGGED_IN, "%s came before %s; say HELLO, then LOGIN, then send requests",
                     frame_kind_name(frame->kind), connection->state == CONNECTION_NEW ? "HELLO" : "LOGIN");
    } else if (frame->request_id == 0) {
        answer_fatal(core, connection, 0, TRUC_PROTOCOL,
                     "%s has request id 0, which means the connection itself; number requests from 1",
                     frame_kind_name(frame->kind));
    } else {
        dispatch(core, connection, frame);
    }
}
