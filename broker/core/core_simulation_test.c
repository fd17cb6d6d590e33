/* A simulation from a seed: producers on lossy connections, a log that commits now and then, crashes. What must hold:
 *
 *   - an acknowledgement names a place where exactly that batch stands on disk at that moment;
 *   - neither a duplicate nor an expected sequence tells of more than is on disk;
 *   - in the end every batch is in the log once, in its producer's order; offsets and positions have no gaps, times increase;
 *   - readers are never sent above the durable head (the kit asserts it).
 *
 *     core_simulation_test [SEED]   one seed, told when it fails; without it a few dozen */
#include "core_test_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/core/table.h"

enum { PRODUCERS = 4, TOPICS = 3, BATCHES = 60, STEPS = 2500, SEEDS = 30, REQUESTS_MAX = 16384 };

struct stream {           /* of one producer to one topic */
    uint32_t acked, sent; /* batches */
};

struct client {
    char name[16];
    uint64_t connection; /* 0: none */
    uint64_t zombie;     /* an older connection that was never closed */
    struct kit_producer producer, wanted;
    bool opening;
    struct stream streams[TOPICS];
};

struct request {
    uint32_t client, topic, batch;
};

static struct kit kit;
static struct client clients[PRODUCERS];
static struct request requests[REQUESTS_MAX];
static uint64_t request_count, random_state;

static uint64_t draw(uint64_t below)
{
    return table_mix(random_state++) % below;
}

static const char *topic_name(uint32_t topic)
{
    static const char *const names[TOPICS] = {"dossier.a", "dossier.b", "meter"};

    return names[topic];
}

static uint32_t count_of(uint32_t batch)
{
    return 1 + (uint32_t)(table_mix(batch) % 5);
}

static uint64_t first_of(uint32_t batch)
{
    uint64_t first = 0;

    for (uint32_t i = 0; i < batch; i++)
        first += count_of(i);
    return first;
}

/* The entry on disk at a position. */
static const struct kit_entry *durable_entry(uint64_t position)
{
    for (size_t i = 0; i < kit.durable_count; i++) {
        if (kit.log[i].record_count > 0 && kit.log[i].position == position)
            return &kit.log[i];
    }
    fail_msg("position %llu was acknowledged and is not on disk", (unsigned long long)position);
    return NULL;
}

/* How many records of a stream are on disk. */
static uint64_t durable_next(uint64_t producer_id, uint32_t topic)
{
    uint64_t next = 0;

    for (size_t i = 0; i < kit.durable_count; i++) {
        const struct kit_entry *entry = &kit.log[i];

        if (entry->record_count > 0 && entry->producer_id == producer_id && strlen(topic_name(topic)) == entry->leaf[3] &&
            memcmp(entry->leaf + 224, topic_name(topic), entry->leaf[3]) == 0)
            next += entry->record_count;
    }
    return next;
}

static void forget_sent(struct client *client)
{
    for (uint32_t topic = 0; topic < TOPICS; topic++)
        client->streams[topic].sent = client->streams[topic].acked;
}

static void connect_client(struct client *client)
{
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;

    if (client->connection && draw(2)) {
        if (client->zombie)
            kit_disconnect(&kit, client->zombie);
        client->zombie = client->connection;
    } else if (client->connection) {
        kit_disconnect(&kit, client->connection);
    }
    client->connection = kit_session(&kit, "H26.16", "portal");
    client->opening = true;
    open.name = client->name;
    if (client->producer.epoch && draw(4)) {
        open.resume_id = client->producer.id;
        open.resume_epoch = client->producer.epoch;
    }
    kit_send(&kit, client->connection, FRAME_PRODUCER_OPEN, 1 << 20, &open.base);
}

static void send_batch(uint32_t index, uint64_t connection, uint32_t topic, uint32_t batch)
{
    struct client *client = &clients[index];

    assert_true(request_count < REQUESTS_MAX);
    requests[request_count] = (struct request){index, topic, batch};
    kit_publish(&kit, connection, ++request_count,
                &(struct kit_batch){.topic = topic_name(topic),
                                    .producer_id = client->producer.id,
                                    .epoch = client->producer.epoch,
                                    .first_sequence = first_of(batch),
                                    .record_count = count_of(batch)});
}

static void publish_something(uint32_t index)
{
    struct client *client = &clients[index];
    uint32_t topic = (uint32_t)draw(TOPICS);
    struct stream *stream = &client->streams[topic];

    if (client->zombie && client->producer.id && draw(4) == 0) {
        send_batch(index, client->zombie, topic, stream->sent < BATCHES ? stream->sent : 0);
        return;
    }
    if (!client->connection || client->opening)
        return;
    if (stream->sent > 0 && draw(6) == 0) { /* again, although nobody asked */
        send_batch(index, client->connection, topic, (uint32_t)draw(stream->sent));
    } else if (stream->sent < BATCHES && stream->sent - stream->acked < BATCHES_IN_FLIGHT_MAX) {
        if (draw(10) == 0 && stream->sent + 1 < BATCHES)
            send_batch(index, client->connection, topic, stream->sent + 1); /* a gap: must be refused */
        send_batch(index, client->connection, topic, stream->sent++);
    }
}

static void check_ok(const struct request *request, const Truc__V1__PublishOk *ok)
{
    struct client *client = &clients[request->client];
    struct stream *stream = &client->streams[request->topic];
    const struct kit_entry *entry = durable_entry(ok->position);

    assert_int_equal(entry->producer_id, client->producer.id);
    assert_int_equal(entry->first_sequence, first_of(request->batch));
    assert_int_equal(entry->record_count, count_of(request->batch));
    assert_int_equal(entry->base_offset, ok->base_offset);
    assert_memory_equal(entry->leaf + 224, topic_name(request->topic), strlen(topic_name(request->topic)));
    if (!ok->duplicate)
        assert_int_equal(entry->append_time_ns, ok->append_time_ns);
    assert_true(durable_next(entry->producer_id, request->topic) >= first_of(request->batch + 1));
    if (request->batch == stream->acked)
        stream->acked++;
}

static void check_error(const struct request *request, const Truc__V1__Error *error)
{
    struct client *client = &clients[request->client];
    struct stream *stream = &client->streams[request->topic];
    uint64_t next = durable_next(client->producer.id, request->topic);

    switch (error->status) {
    case TRUC_DUPLICATE:
        assert_true(first_of(request->batch + 1) <= next);
        if (request->batch == stream->acked)
            stream->acked++;
        break;
    case TRUC_OUT_OF_SEQUENCE:
        assert_true(error->actual <= next);
        break;
    case TRUC_BUSY:
    case TRUC_FENCED:
        break;
    default:
        fail_msg("%s: %s", truc_status_name((truc_status)error->status), error->message);
    }
    if (stream->sent > request->batch && request->batch >= stream->acked)
        stream->sent = request->batch;
}

static void take_opened(struct client *client, const Truc__V1__ProducerOk *ok)
{
    client->producer = (struct kit_producer){ok->producer_id, ok->epoch};
    client->opening = false;
    for (size_t i = 0; i < ok->n_sequences; i++) {
        for (uint32_t topic = 0; topic < TOPICS; topic++) {
            if (strcmp(ok->sequences[i]->topic, topic_name(topic)) == 0)
                assert_true(ok->sequences[i]->next_sequence <= durable_next(ok->producer_id, topic));
        }
    }
    forget_sent(client);
}

/* What came for one connection. */
static void take_answers(struct client *client, uint64_t connection)
{
    const struct kit_frame *frame;
    bool refused = false;

    while ((frame = kit_peek(&kit, connection)) != NULL) {
        uint64_t id = frame->request_id;
        enum frame_kind kind = frame->kind;
        void *message = kit_take(&kit, connection, kind, id);

        if (kind == FRAME_PRODUCER_OK)
            take_opened(client, message);
        else if (id == 1 << 20)
            refused = true;
        else if (kind == FRAME_PUBLISH_OK)
            check_ok(&requests[id - 1], message);
        else if (kind == FRAME_ERROR && id > 0)
            check_error(&requests[id - 1], message);
        else
            fail_msg("%s came", frame_kind_name(kind));
    }
    if (refused && connection == client->connection) { /* fenced while opening, or being opened: again, anew */
        kit_disconnect(&kit, connection);
        client->producer.epoch = 0;
        client->connection = 0;
    }
}

static void take_all_answers(void)
{
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        uint64_t connection = clients[i].connection, zombie = clients[i].zombie;

        if (zombie)
            take_answers(&clients[i], zombie);
        if (connection)
            take_answers(&clients[i], connection);
    }
    for (size_t i = 0; i < kit.inbox_count; i++) { /* keeps the inbox short */
        assert_true(kit.inbox[i].taken);
        free(kit.inbox[i].bytes);
    }
    kit.inbox_count = kit.other_count = 0;
}

static void crash(void)
{
    kit_stop(&kit);
    kit_pass(&kit, (int64_t)draw(5000));
    kit_start(&kit);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        clients[i].connection = clients[i].zombie = 0;
        forget_sent(&clients[i]);
    }
}

static void follow_everything(void)
{
    uint64_t connection = kit_session(&kit, "H26.16", "reader");
    Truc__V1__Read read = TRUC__V1__READ__INIT;
    const struct kit_effect *open;

    read.pattern = draw(2) ? "**" : "dossier.*";
    read.follow = draw(2) == 1;
    read.credit_bytes = 1000;
    kit_read(&kit, connection, 1, read);
    open = kit_other(&kit, EFFECT_READ_OPEN);
    if (open)
        kit_resolve(&kit, open->effect.reader, 0, kit.head.position);
    kit_disconnect(&kit, connection);
    for (size_t i = 0; i < kit.inbox_count; i++) {
        if (kit.inbox[i].connection == connection)
            kit.inbox[i].taken = true;
    }
}

static void step_once(void)
{
    uint32_t index = (uint32_t)draw(PRODUCERS);
    struct client *client = &clients[index];

    kit_pass(&kit, (int64_t)draw(20));
    switch (draw(40)) {
    case 0:
        connect_client(client);
        break;
    case 1:
        if (client->zombie)
            kit_disconnect(&kit, client->zombie);
        client->zombie = 0;
        break;
    case 2:
        if (draw(6) == 0)
            crash();
        break;
    case 3:
        follow_everything();
        break;
    case 4:
    case 5:
        kit_commit_some(&kit, draw(kit.log_count - kit.durable_count + 1));
        break;
    case 6:
        kit_commit(&kit);
        break;
    default:
        if (!client->connection)
            connect_client(client);
        else
            publish_something(index);
        break;
    }
    take_all_answers();
}

/* Everybody comes to an end in good order. */
static void finish(void)
{
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        struct client *client = &clients[i];

        for (uint32_t topic = 0; topic < TOPICS; topic++) {
            for (int guard = 0; client->streams[topic].acked < BATCHES; guard++) {
                assert_true(guard < 20 * BATCHES);
                if (!client->connection || client->opening)
                    connect_client(client);
                kit_commit(&kit);
                take_all_answers();
                if (client->connection && !client->opening && client->streams[topic].sent < BATCHES)
                    send_batch(i, client->connection, topic, client->streams[topic].sent++);
                kit_commit(&kit);
                take_all_answers();
            }
        }
    }
}

static void check_log(void)
{
    uint64_t offsets[TOPICS] = {0}, sequences[PRODUCERS + 1][TOPICS] = {{0}}, positions = 0;
    int64_t last_ns = 0;

    assert_int_equal(kit.log_count, kit.durable_count);
    for (size_t i = 0; i < kit.log_count; i++) {
        const struct kit_entry *entry = &kit.log[i];
        uint32_t topic = entry->topic_id - 1;

        if (entry->record_count == 0)
            continue;
        assert_true(topic < TOPICS && entry->producer_id <= PRODUCERS);
        assert_int_equal(entry->position, positions++);
        assert_int_equal(entry->base_offset, offsets[topic]);
        assert_int_equal(entry->first_sequence, sequences[entry->producer_id][topic]);
        assert_true(entry->append_time_ns > last_ns);
        last_ns = entry->append_time_ns;
        offsets[topic] += entry->record_count;
        sequences[entry->producer_id][topic] += entry->record_count;
    }
    for (uint32_t topic = 0; topic < TOPICS; topic++)
        assert_int_equal(offsets[topic], PRODUCERS * first_of(BATCHES));
}

static void simulate(uint64_t seed)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    random_state = seed << 32;
    request_count = 0;
    memset(clients, 0, sizeof clients);
    kit_init(&kit);
    kit_start(&kit);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        (void)snprintf(clients[i].name, sizeof clients[i].name, "p%u", i);
    for (int i = 0; i < STEPS; i++)
        step_once();
    finish();
    kit_commit(&kit); /* what zombies still had under way */
    check_log();
    assert_int_equal(kit.prepared_held, 0);
    kit_fini(&kit);
}

static uint64_t only_seed;

static void simulation_any_seed_loses_and_doubles_nothing(void **state)
{
    (void)state;
    if (only_seed) {
        simulate(only_seed);
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        simulate(seed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(simulation_any_seed_loses_and_doubles_nothing)};

    if (argc > 1)
        only_seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
