#include "network.h"

#include <stdlib.h>

#include "agenda.h"
#include "world.h"

static struct connection **connections; /* by number - 1 */
static size_t connection_total, connection_capacity;
static int64_t latency_ns;
static unsigned slow_one_in;

void network_begin(int64_t latency, unsigned slow)
{
    connection_total = 0;
    latency_ns = latency;
    slow_one_in = slow;
}

void network_end(void)
{
    for (size_t i = 0; i < connection_total; i++) {
        struct connection *connection = connections[i];

        for (size_t j = 0; j < connection->request_count; j++) {
            batch_unref(connection->requests[j].batch);
            free(connection->requests[j].stale);
        }
        free(connection->requests);
        free(connection);
    }
    connection_total = 0;
}

void network_calm(void)
{
    slow_one_in = 0;
    for (size_t i = 0; i < connection_total; i++)
        connections[i]->latency_ns = latency_ns;
}

struct connection *connection_at(uint64_t number)
{
    SIM_CHECK(number > 0 && number <= connection_total, "the core speaks to connection %llu, which never was",
              (unsigned long long)number);
    return connections[number - 1];
}

uint64_t connection_count(void)
{
    return connection_total;
}

/* --- up -------------------------------------------------------------------------------------------------------------------------
 */

static struct message *message_new(struct connection *connection, size_t size)
{
    struct message *message = take_memory(sizeof *message + size);

    message->connection = connection->number;
    message->size = size;
    return message;
}

/* Frames of one direction keep their order. */
static int64_t arrival(const struct connection *connection, int64_t *last_ns)
{
    int64_t at_ns = world.now.boot_ns + 1 + (int64_t)draw((uint64_t)connection->latency_ns * 2);

    *last_ns = at_ns > *last_ns ? at_ns : *last_ns;
    return *last_ns;
}

static void send_up(struct connection *connection, struct message *message)
{
    agenda_add(arrival(connection, &connection->up_ns), OCCUR_UP, connection->life, connection->number, message);
}

struct connection *connection_make(struct client *client)
{
    struct connection *connection = take_memory(sizeof *connection);

    connections = with_room(connections, connection_total, &connection_capacity, sizeof(struct connection *));
    connections[connection_total++] = connection;
    connection->number = connection_total;
    connection->client = client;
    connection->client_has = true;
    connection->life = world.life;
    connection->latency_ns = slow_one_in > 0 && one_in(slow_one_in) ? latency_ns * 200 : latency_ns;
    send_up(connection, message_new(connection, 0));
    return connection;
}

struct request *request_new(struct connection *connection, enum frame_kind kind, uint64_t *ret_id)
{
    struct request *request;

    connection->requests =
        with_room(connection->requests, connection->request_count, &connection->request_capacity, sizeof *connection->requests);
    request = &connection->requests[connection->request_count++];
    *request = (struct request){.kind = kind};
    *ret_id = connection->request_count;
    return request;
}

struct request *request_of(struct connection *connection, uint64_t id)
{
    return id > 0 && id <= connection->request_count ? &connection->requests[id - 1] : NULL;
}

static size_t size_together(const struct batch *batch)
{
    size_t size = 0;

    for (; batch; batch = batch->with)
        size += batch->size;
    return size;
}

void connection_send(struct connection *connection, enum frame_kind kind, uint64_t id, const ProtobufCMessage *header,
                     struct batch *payload)
{
    static uint8_t room[FRAME_HEADER_BYTES_MAX + FRAME_PREFIX_BYTES];
    size_t payload_size = size_together(payload), at;
    size_t head = frame_encode(room, sizeof room, kind, id, header, payload_size);
    struct message *message;

    SIM_CHECK(head > 0, "a client's frame is too large");
    if (!connection->client_has)
        return;
    message = message_new(connection, head + payload_size);
    memcpy(message->bytes, room, head);
    at = head;
    for (const struct batch *batch = payload; batch; batch = batch->with) {
        memcpy(message->bytes + at, batch->bytes, batch->size);
        at += batch->size;
    }
    message->batch = payload ? batch_ref(payload) : NULL;
    send_up(connection, message);
}

/* --- down ------------------------------------------------------------------------------------------------------------------------
 */

void connection_deliver(struct connection *connection, struct bytes frames, struct bytes data)
{
    while (frames.size > 0) {
        struct frame frame;
        size_t size;
        struct message *message;

        SIM_CHECK(frame_peek(frames, FRAME_BYTES_MAX, &frame, &size, NULL) == TRUC_OK && size > 0 &&
                      size <= frames.size + data.size,
                  "the core sends what is no frame");
        SIM_CHECK(data.size == 0 ? size <= frames.size : size == frames.size + data.size, "the core's frame is cut short");
        message = message_new(connection, size);
        memcpy(message->bytes, frames.data, size - data.size);
        if (data.size > 0)
            memcpy(message->bytes + frames.size, data.data, data.size);
        world_sent(connection, bytes_of(message->bytes, size));
        if (connection->client_has)
            agenda_add(arrival(connection, &connection->down_ns), OCCUR_DOWN, 0, connection->number, message);
        else
            free(message);
        frames = data.size > 0 ? bytes_of(NULL, 0) : bytes_of(frames.data + size, frames.size - size);
    }
}

/* --- losses
 * ----------------------------------------------------------------------------------------------------------------------- */

static void tell_broker(struct connection *connection, int64_t after_ns)
{
    if (connection->life == world.life)
        agenda_add(world.now.boot_ns + after_ns, OCCUR_LOST, connection->life, connection->number, NULL);
}

static void tell_client(struct connection *connection, int64_t after_ns)
{
    if (connection->client_has)
        agenda_add(world.now.boot_ns + after_ns, OCCUR_GONE, 0, connection->number, NULL);
}

/* Mostly at once, sometimes long after. */
static int64_t delay_of_loss(void)
{
    return (int64_t)(one_in(4) && slow_one_in > 0 ? draw(3000) : draw(20)) * MS / 2 + 1;
}

void connection_leave(struct connection *connection)
{
    connection->client_has = false;
    tell_broker(connection, delay_of_loss());
}

void connection_fail(struct connection *connection)
{
    tell_broker(connection, delay_of_loss());
    tell_client(connection, delay_of_loss());
}

void connection_close_from_broker(struct connection *connection)
{
    tell_broker(connection, (int64_t)draw((uint64_t)MS) + 1);
    tell_client(connection, (connection->down_ns > world.now.boot_ns ? connection->down_ns - world.now.boot_ns : 0) + 1);
}

void network_broker_gone(void)
{
    for (size_t i = 0; i < connection_total; i++) {
        connections[i]->broker_has = false;
        if (connections[i]->client_has)
            tell_client(connections[i], delay_of_loss());
    }
}

void *header_decode(const struct frame *frame)
{
    static uint8_t memory[512 * 1024] __attribute__((aligned(16)));
    struct arena arena = {memory, memory + sizeof memory};
    const char *why = "";
    void *message = frame_header_decode(&arena, frame_header_descriptor(frame->kind), frame->header, &why);

    SIM_CHECK(message, "%s cannot be decoded: %s", frame_kind_name(frame->kind), why);
    return message;
}
