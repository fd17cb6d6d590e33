#include "world.h"

#include <stdlib.h>

#include "agenda.h"
#include "append_clock.h"
#include "catalog.h"
#include "clients.h"
#include "faults.h"
#include "invariants.h"
#include "readings.h"
#include "store.h"

enum { EVENTS_MAX = 8 };

struct world world;
static int64_t committed_ns; /* when the core learns of the last commit */
uint64_t world_steps_all;

/* What a step is made of. */
struct gathered {
    struct core_event events[EVENTS_MAX];
    struct message *messages[EVENTS_MAX]; /* borrowed by the events; owned */
    size_t count;
    bool full; /* the last one must stand alone */
};

/* --- effects
 * ----------------------------------------------------------------------------------------------------------------------- */

static void take_deltas(const struct core_effect *effect)
{
    struct reader deltas = reader_over(effect->bytes);
    truc_status status = TRUC_OK;
    struct delta delta;

    store_deltas(effect);
    while (delta_next(&deltas, &delta, &status))
        invariants_delta(effect->ticket, &delta);
}

static void begin_commit(void)
{
    if (!store_can_commit())
        return;
    store_commit_begin();
    agenda_add(world.now.boot_ns + 1 + (int64_t)draw((uint64_t)world.commit_ns * 2), OCCUR_COMMIT, world.life, 0, NULL);
}

static void take_effect(const struct core_effect *effect)
{
    switch (effect->kind) {
    case EFFECT_SEND:
    case EFFECT_SEND_DATA:
        connection_deliver(connection_at(effect->connection), effect->bytes, effect->data);
        if (effect->kind == EFFECT_SEND_DATA)
            readings_take_back(effect->owner);
        break;
    case EFFECT_FREE_DATA:
        readings_take_back(effect->owner);
        break;
    case EFFECT_CLOSE:
        invariants_left(effect->connection);
        connection_close_from_broker(connection_at(effect->connection));
        break;
    case EFFECT_APPEND:
        store_append(effect);
        append_clock_entry(effect->append->append_time_ns);
        invariants_append(effect);
        batch_release(effect->prepared);
        break;
    case EFFECT_RELEASE:
        batch_release(effect->prepared);
        break;
    case EFFECT_DELTA:
        take_deltas(effect);
        break;
    case EFFECT_WAKE_AT:
        agenda_add(effect->boot_ns > world.now.boot_ns ? effect->boot_ns : world.now.boot_ns + 1, OCCUR_WAKE, world.life, 0, NULL);
        break;
    case EFFECT_ALARM:
        break;
    case EFFECT_DRAINED:
        world.drained = true;
        break;
    case EFFECT_FETCH_OPEN:
        readings_effect(effect);
        invariants_fetch_open(effect->reader);
        break;
    case EFFECT_FETCH:
        readings_effect(effect);
        invariants_fetch(effect->reader, effect->places, effect->place_count);
        break;
    default:
        readings_effect(effect);
        break;
    }
}

static void step(const struct core_event *events, size_t count)
{
    struct core_effects effects;

    world.steps++;
    world.events = count;
    world_steps_all++;
    append_clock_step(world.now);
    for (size_t i = 0; i < count; i++)
        invariants_event(&events[i]);
    effects = core_step(world.core, events, count, world.now);
    invariants_time();
    for (size_t i = 0; i < effects.count; i++)
        take_effect(&effects.effects[i]);
    invariants_stepped();
    for (size_t i = 0; i < count; i++)
        world.failed = world.failed || events[i].kind == CORE_LOG_FAILED;
    SIM_CHECK(readings_given() == 0, "the core keeps %zu buffers that are not its own", readings_given());
    SIM_CHECK(readings_open() <= core_counts(world.core).readers, "%zu readings are open and the core knows of %llu",
              readings_open(), (unsigned long long)core_counts(world.core).readers);
    SIM_CHECK(batches_held() == 0, "the core keeps %zu batches that are not its own", batches_held());
    begin_commit();
}

void world_sent(struct connection *connection, struct bytes bytes)
{
    struct frame frame;
    size_t size;

    SIM_CHECK(frame_peek(bytes, FRAME_BYTES_MAX, &frame, &size, NULL) == TRUC_OK && size == bytes.size, "no frame");
    invariants_frame(connection, &frame);
}

/* --- the core's life
 * --------------------------------------------------------------------------------------------------------------- */

static struct core_capacity capacity(void)
{
    return (struct core_capacity){.available_bytes = world.full ? world.room : UINT64_C(1) << 40,
                                  .full = world.full && world.room == 0};
}

static void start(void)
{
    static struct core_config config;
    struct core_event event = {.kind = CORE_START, .head = store.head, .capacity = capacity()};

    core_config_init(&config);
    config.digest_again = batch_digest_again;
    config.producer_grace_ms = 20000;
    config.read_chunk_bytes = 16 * 1024;
    memcpy(config.hash_secret, hash_secret, sizeof config.hash_secret);
    memset(config.log_id, 0x4c, sizeof config.log_id);
    world.life++;
    world.drained = world.failed = false;
    SIM_CHECK(core_create(&config, &world.core) == TRUC_OK, "no memory");
    catalog_restore(world.core);
    append_clock_start(&config, world.now, store.head.last_append_ns);
    step(&event, 1);
}

void world_begin(void)
{
    committed_ns = 0;
    world = (struct world){.now = {.boot_ns = INT64_C(5000000000), .wall_ns = INT64_C(1800000000000000000)}};
    start();
}

static void stop(void)
{
    core_destroy(world.core);
    world.core = NULL;
    batches_forget();
    readings_forget();
    network_broker_gone();
}

void world_crash(void)
{
    stop();
    store_crash(one_in(2));
    invariants_crash();
    world.now.boot_ns += (int64_t)draw(2000) * MS;
    world.now.wall_ns += (int64_t)draw(4000) * MS;
    start();
}

void world_fill(uint64_t room)
{
    world.full = room != UINT64_MAX;
    world.room = room;
    step(&(struct core_event){.kind = CORE_CAPACITY, .capacity = capacity()}, 1);
}

void world_drain(void)
{
    step(&(struct core_event){.kind = CORE_DRAIN}, 1);
}

void world_end(void)
{
    stop();
    while (agenda_next()) {
        struct occurrence one = agenda_take();

        if (one.kind == OCCUR_UP || one.kind == OCCUR_DOWN)
            batch_unref(((struct message *)one.message)->batch);
        free(one.message);
    }
    agenda_clear();
}

/* --- occurrences
 * ------------------------------------------------------------------------------------------------------------------- */

/* A client's frame reaches the broker. False: its connection is gone. */
static bool gather_frame(struct gathered *gathered, struct message *message)
{
    struct connection *connection = connection_at(message->connection);
    struct core_event *event = &gathered->events[gathered->count];
    size_t size;

    *event = (struct core_event){.connection = message->connection};
    if (message->size == 0 && !connection->lost) {
        event->kind = CORE_CONNECTED;
        connection->broker_has = true;
        return true;
    }
    if (!connection->broker_has)
        return false;
    SIM_CHECK(frame_peek(bytes_of(message->bytes, message->size), FRAME_BYTES_MAX, &event->frame, &size, NULL) == TRUC_OK &&
                  size == message->size,
              "a client sends what is no frame");
    event->kind = CORE_FRAME;
    if (event->frame.kind == FRAME_PUBLISH) {
        event->kind = CORE_PUBLISH;
        event->request_id = event->frame.request_id;
        event->frame_bytes = (uint32_t)message->size;
        event->prepared = batch_prepare(message->batch);
    }
    /* What the invariants tell from the effects of a step must be the only one of its kind there. */
    gathered->full = event->frame.kind == FRAME_SUBSCRIBE || event->frame.kind == FRAME_SUBSCRIPTION_CREATE ||
                     event->frame.kind == FRAME_SUBSCRIPTION_CHANGE || event->frame.kind == FRAME_SETTLE;
    return true;
}

/* The core learns of commits in order, and that one failed (without a head) after those before. */
static void tell_commit(struct core_head *head)
{
    if (committed_ns < world.now.boot_ns)
        committed_ns = world.now.boot_ns;
    committed_ns += (int64_t)draw((uint64_t)MS / 4);
    agenda_add(committed_ns, OCCUR_COMMITTED, world.life, store.durable_ticket, head);
}

/* The block under way is on disk, or never will be. */
static void finish_commit(void)
{
    struct core_head *head;

    if (world.fails_one_in > 0 && one_in(world.fails_one_in)) {
        store.failed = true;
        tell_commit(NULL);
        return;
    }
    store_commit_end();
    head = take_memory(sizeof *head);
    *head = store.head;
    tell_commit(head);
    begin_commit();
}

static void gather_commit(struct core_event *event, const struct occurrence *one)
{
    if (one->message) {
        *event = (struct core_event){.kind = CORE_COMMITTED, .ticket = one->number, .capacity = capacity()};
        memcpy(&event->head, one->message, sizeof event->head);
        return;
    }
    *event = (struct core_event){.kind = CORE_LOG_FAILED, .status = TRUC_IO, .why = "a flush failed"};
    agenda_add(world.now.boot_ns + (int64_t)draw(50) * MS, OCCUR_FAULT, world.life, FAULT_CRASH, NULL);
}

static bool gather_loss(struct gathered *gathered, uint64_t number)
{
    struct connection *connection = connection_at(number);

    connection->lost = true;
    if (!connection->broker_has)
        return false;
    connection->broker_has = false;
    gathered->events[gathered->count] = (struct core_event){.kind = CORE_DISCONNECTED, .connection = number};
    return true;
}

/* Of what concerns the core: the event, if it is still to be told. */
static void gather(struct gathered *gathered, struct occurrence *one)
{
    struct core_event *event = &gathered->events[gathered->count];
    bool told = true;

    switch (one->kind) {
    case OCCUR_UP:
        told = gather_frame(gathered, one->message);
        break;
    case OCCUR_LOST:
        told = gather_loss(gathered, one->number);
        break;
    case OCCUR_COMMIT:
        finish_commit();
        told = false;
        break;
    case OCCUR_COMMITTED:
        gather_commit(event, one);
        break;
    case OCCUR_READING:
        *event = readings_answer(one->message);
        gathered->full = true; /* what it borrows is good for one */
        break;
    default: /* OCCUR_WAKE */
        *event = (struct core_event){.kind = CORE_TICK};
        break;
    }
    gathered->messages[gathered->count] = one->kind == OCCUR_UP ? one->message : NULL;
    if (one->kind != OCCUR_UP)
        free(one->message);
    gathered->count += told;
    if (!told && one->kind == OCCUR_UP) {
        batch_unref(((struct message *)one->message)->batch);
        free(one->message);
    }
}

static bool concerns_core(enum occurrence_kind kind)
{
    return kind != OCCUR_DOWN && kind != OCCUR_GONE && kind != OCCUR_CLIENT && kind != OCCUR_FAULT;
}

/* What concerns clients only. */
static void outside(struct occurrence *one)
{
    struct message *message = one->message;

    if (one->kind == OCCUR_DOWN) {
        client_received(connection_at(one->number), bytes_of(message->bytes, message->size));
    } else if (one->kind == OCCUR_GONE) {
        client_lost(connection_at(one->number));
    } else if (one->kind == OCCUR_CLIENT) {
        client_turn(one->number);
    } else if (one->life == 0 || one->life == world.life) {
        fault_happens((enum fault)one->number);
    }
    free(one->message);
}

static void pass_until(int64_t at_ns)
{
    if (at_ns <= world.now.boot_ns)
        return;
    world.now.wall_ns += at_ns - world.now.boot_ns;
    world.now.boot_ns = at_ns;
}

static bool is_for_dead_core(struct occurrence *one)
{
    if (one->life == 0 || one->life == world.life)
        return false;
    if (one->kind == OCCUR_UP)
        batch_unref(((struct message *)one->message)->batch);
    free(one->message);
    return true;
}

bool world_go_on(void)
{
    struct gathered gathered = {.count = 0};
    const struct occurrence *next = agenda_next();

    if (!next)
        return false;
    pass_until(next->at_ns + (world.together > 1 ? (int64_t)draw((uint64_t)MS) : 0));
    do {
        struct occurrence one = agenda_take();

        if (is_for_dead_core(&one))
            continue;
        if (!concerns_core(one.kind)) {
            outside(&one);
            break;
        }
        gather(&gathered, &one);
    } while (!gathered.full && gathered.count < world.together && (next = agenda_next()) != NULL &&
             next->at_ns <= world.now.boot_ns && concerns_core(next->kind));
    if (gathered.count == 0)
        return true;
    step(gathered.events, gathered.count);
    for (size_t i = 0; i < gathered.count; i++) {
        if (gathered.messages[i])
            batch_unref(gathered.messages[i]->batch);
        free(gathered.messages[i]);
    }
    if (!world.calm && one_in(world.faults_one_in))
        fault_any();
    return true;
}
