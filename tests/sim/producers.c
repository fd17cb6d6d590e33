/* producers.c: clients that publish: each batch until it is acknowledged, in order, the same bytes at each try. Layer: test of
 * core. */
#include <stdio.h>
#include <stdlib.h>

#include "clients.h"
#include "world.h"

enum { STREAMS = 3, WINDOW = 20, NAME_BYTES = 16 };

static const char *const topics[] = {"dossier.status.a", "dossier.status.b", "dossier.paid.a", "meter.x", "meter.y", "notice"};

struct stream {
    const char *topic;
    struct batch *batches[WINDOW]; /* not acknowledged; the first `sent` of them were sent on this connection */
    struct batch *heads[WINDOW];   /* the first one of those that each is sent with; references, like the batches */
    uint32_t count, sent;
    uint64_t next; /* sequence of the next batch */
};

struct producer {
    char name[NAME_BYTES]; /* empty: unnamed */
    uint64_t id;           /* 0: not open */
    uint32_t epoch;
    bool opening, opened; /* on this connection */
    uint32_t left;        /* batches it still wants to publish */
    struct stream streams[STREAMS];
};

static void begin(struct client *client)
{
    struct producer *producer = client->state = take_memory(sizeof *producer);

    if (!one_in(3))
        (void)snprintf(producer->name, sizeof producer->name, "p%u", client->role);
    producer->left = 20 + (uint32_t)draw(400);
    for (uint32_t i = 0; i < STREAMS; i++)
        producer->streams[i].topic = topics[(client->role + i * (1 + draw(2))) % (sizeof topics / sizeof topics[0])];
    for (uint32_t i = 1; i < STREAMS; i++) { /* different ones */
        for (uint32_t j = 0; j < i; j++) {
            if (producer->streams[i].topic == producer->streams[j].topic)
                producer->streams[i].topic = NULL;
        }
    }
}

static void drop_batches(struct stream *stream, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        batch_unref(stream->batches[i]);
        batch_unref(stream->heads[i]);
    }
    stream->count -= count;
    stream->sent = stream->sent > count ? stream->sent - count : 0;
    memmove(stream->batches, stream->batches + count, stream->count * sizeof(struct batch *));
    memmove(stream->heads, stream->heads + count, stream->count * sizeof(struct batch *));
}

static void end(struct client *client)
{
    struct producer *producer = client->state;

    for (uint32_t i = 0; i < STREAMS; i++)
        drop_batches(&producer->streams[i], producer->streams[i].count);
}

/* A new instance begins anew: what was not acknowledged is nobody's (its epoch is in the bytes). */
static void begin_instance(struct producer *producer, const Truc__V1__ProducerOk *ok)
{
    for (uint32_t i = 0; i < STREAMS; i++) {
        drop_batches(&producer->streams[i], producer->streams[i].count);
        producer->streams[i].next = 0;
        for (size_t j = 0; producer->streams[i].topic && j < ok->n_sequences; j++) {
            if (strcmp(ok->sequences[j]->topic, producer->streams[i].topic) == 0)
                producer->streams[i].next = ok->sequences[j]->next_sequence;
        }
    }
    producer->id = ok->producer_id;
    producer->epoch = ok->epoch;
}

static void connected(struct client *client)
{
    struct producer *producer = client->state;
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;
    uint64_t id;

    producer->opened = false;
    producer->opening = true;
    if (producer->id != 0 && one_in(12))
        producer->id = 0;
    open.name = producer->name;
    open.resume_id = producer->id;
    open.resume_epoch = producer->id != 0 ? producer->epoch : 0;
    (void)request_new(client->connection, FRAME_PRODUCER_OPEN, &id);
    connection_send(client->connection, FRAME_PRODUCER_OPEN, id, &open.base, NULL);
}

static void lost(struct client *client)
{
    struct producer *producer = client->state;

    producer->opened = producer->opening = false;
    for (uint32_t i = 0; i < STREAMS; i++)
        producer->streams[i].sent = 0;
}

static void send(struct client *client, struct connection *connection, struct batch *head)
{
    const struct producer *producer = client->state;
    Truc__V1__Publish publish = TRUC__V1__PUBLISH__INIT;
    uint32_t sizes[STREAMS];
    uint64_t id;
    struct request *request = request_new(connection, FRAME_PUBLISH, &id);

    request->batch = batch_ref(head);
    request->producer_id = producer->id;
    publish.batch_bytes = sizes;
    for (const struct batch *batch = head; head->with && batch; batch = batch->with)
        sizes[publish.n_batch_bytes++] = (uint32_t)batch->size;
    connection_send(connection, FRAME_PUBLISH, id, &publish.base, head);
}

static struct batch *add_batch(struct client *client, struct stream *stream)
{
    struct producer *producer = client->state;
    struct batch_wish wish = {.topic = stream->topic,
                              .agency = client->agency,
                              .system = client->system,
                              .evidence = strcmp(stream->topic, "meter.y") == 0 ? EVIDENCE_BATCH : EVIDENCE_UNSPECIFIED,
                              .producer_id = producer->id,
                              .epoch = producer->epoch,
                              .first_sequence = stream->next,
                              .record_count = 1 + (uint32_t)draw(1 + draw(BATCH_RECORDS))};
    struct batch *batch;

    wish.now_ns = world.now.wall_ns;
    if (one_in(8))
        wish.deliver_at_ns = world.now.wall_ns + ((int64_t)draw(4000) - 1000) * MS;
    batch = batch_make(&wish);
    stream->batches[stream->count] = batch;
    stream->heads[stream->count++] = batch_ref(batch);
    stream->next += wish.record_count;
    producer->left -= producer->left > 0;
    return batch;
}

/* One of each of some streams, which are sent together for ever after. */
static void add_together(struct client *client)
{
    struct producer *producer = client->state;
    struct batch *head = NULL, *last = NULL;

    for (uint32_t i = 0; i < STREAMS; i++) {
        struct stream *stream = &producer->streams[i];
        struct batch *batch;

        if (!stream->topic || stream->count == WINDOW || one_in(4))
            continue;
        batch = add_batch(client, stream);
        if (!head) {
            head = last = batch;
            continue;
        }
        last->with = batch_ref(batch);
        last = batch;
        batch_unref(stream->heads[stream->count - 1]);
        stream->heads[stream->count - 1] = batch_ref(head);
    }
}

static struct stream *stream_of(struct producer *producer, const struct batch *batch)
{
    for (uint32_t i = 0; i < STREAMS; i++) {
        if (producer->streams[i].topic == batch->topic)
            return &producer->streams[i];
    }
    return NULL;
}

/* Number of a batch in its stream; its count: it is not there any more. */
static uint32_t number_of(const struct stream *stream, const struct batch *batch)
{
    uint32_t at = 0;

    while (at < stream->count && stream->batches[at] != batch)
        at++;
    return at;
}

/* A stream's next batch, and what goes with it, once all that is before these has been sent. */
static void send_next(struct client *client, struct stream *stream)
{
    struct batch *head = stream->heads[stream->sent];

    for (const struct batch *batch = head; batch; batch = batch->with) {
        struct stream *other = stream_of(client->state, batch);
        uint32_t at = number_of(other, batch);

        while (at < other->count && other->sent < at)
            send_next(client, other);
    }
    for (const struct batch *batch = head; batch; batch = batch->with) {
        struct stream *other = stream_of(client->state, batch);

        if (number_of(other, batch) == other->sent && other->sent < other->count)
            other->sent++;
    }
    send(client, client->connection, head);
}

static void publish(struct client *client)
{
    struct producer *producer = client->state;
    struct stream *stream = &producer->streams[draw(STREAMS)];

    if (!stream->topic)
        stream = &producer->streams[0];
    if (stream->count < (world.calm ? 4 : 1 + draw(WINDOW)) && producer->left > 0) {
        if (one_in(10))
            add_together(client);
        else
            (void)add_batch(client, stream);
    }
    if (stream->sent > 0 && !world.calm && one_in(10)) /* again, although nobody asked */
        send(client, client->connection, stream->heads[draw(stream->sent)]);
    while (stream->sent < stream->count) {
        send_next(client, stream);
        if (one_in(3))
            break;
    }
    if (client->zombie && stream->count > 0 && one_in(3))
        send(client, client->zombie, stream->heads[draw(stream->count)]);
}

static bool is_done(const struct client *client)
{
    const struct producer *producer = client->state;

    for (uint32_t i = 0; i < STREAMS; i++) {
        if (producer->streams[i].count > 0)
            return false;
    }
    return producer->left == 0;
}

static void turn(struct client *client)
{
    struct producer *producer = client->state;

    if (world.calm && is_done(client))
        return;
    if (!client->connection) {
        client_connect(client);
    } else if (!world.calm && one_in(60)) { /* another connection, the old one stays open */
        client->zombie = client->connection;
        client->connection = NULL;
        lost(client);
        client_connect(client);
    } else if (producer->opened) {
        publish(client);
    }
    client_soon(client);
}

/* Sent bytes that do not stand where they should: again from the first one that is not acknowledged. */
static void again(struct producer *producer)
{
    for (uint32_t i = 0; i < STREAMS; i++)
        producer->streams[i].sent = 0;
}

static void acknowledged(struct producer *producer, const struct request *request)
{
    for (const struct batch *batch = request->batch; batch; batch = batch->with) {
        struct stream *stream = stream_of(producer, batch);
        uint32_t at = stream ? number_of(stream, batch) : 0;

        if (stream && at < stream->count) /* and with it those before */
            drop_batches(stream, at + 1);
    }
}

static void refused(struct client *client, const struct request *request, const Truc__V1__Error *error)
{
    struct producer *producer = client->state;

    switch (error->status) {
    case TRUC_DUPLICATE:
        acknowledged(producer, request);
        break;
    case TRUC_FENCED:
    case TRUC_UNKNOWN_PRODUCER:
        producer->id = 0;
        client_disconnect(client);
        break;
    default: /* later */
        if (request->kind == FRAME_PRODUCER_OPEN)
            client_disconnect(client);
        else
            again(producer);
        break;
    }
}

static void received(struct client *client, struct request *request, const struct frame *frame)
{
    struct producer *producer = client->state;

    if (frame->kind == FRAME_PRODUCER_OK) {
        const Truc__V1__ProducerOk *ok = header_decode(frame);

        if (producer->id != ok->producer_id || producer->epoch != ok->epoch)
            begin_instance(producer, ok);
        producer->opening = false;
        producer->opened = true;
    } else if (frame->kind == FRAME_PUBLISH_OK) {
        acknowledged(producer, request);
    } else if (frame->kind == FRAME_ERROR && request) {
        refused(client, request, header_decode(frame));
    }
}

const struct client_kind producer_kind = {begin, connected, received, lost, turn, is_done, end};
