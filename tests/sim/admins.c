/* admins.c: clients that create subscriptions, pause, resume, reset and remove them. Layer: test of core. */
#include "clients.h"
#include "world.h"

struct admin {
    bool waiting, exists, paused; /* for an answer; as far as it knows */
    uint32_t asked;
};

static void begin(struct client *client)
{
    client->state = take_memory(sizeof(struct admin));
}

static void end(struct client *client)
{
    (void)client;
}

static void connected(struct client *client)
{
    ((struct admin *)client->state)->waiting = false;
}

static void create(struct client *client)
{
    const struct wanted *want = &wanted[client->role];
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;
    Truc__V1__Bound start = TRUC__V1__BOUND__INIT;
    struct bytes key = key_text(want->key), type = want->type < TYPES ? type_text(want->type) : bytes_of(NULL, 0);
    uint64_t id;

    create.name = (char *)(uintptr_t)want->name; /* read only, like those below */
    create.pattern = (char *)(uintptr_t)want->pattern;
    create.mode = want->ordered ? TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED
                                : TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED;
    create.key = (ProtobufCBinaryData){key.size, (uint8_t *)(uintptr_t)key.data};
    create.type = (ProtobufCBinaryData){type.size, (uint8_t *)(uintptr_t)type.data};
    if (want->source)
        create.source = (char *)(uintptr_t)want->source;
    create.ack_wait_ms = want->ack_wait_ms;
    create.attempts_max = want->attempts_max;
    create.in_flight_max = want->in_flight_max;
    create.backoff_ms = (uint32_t *)(uintptr_t)want->backoff_ms;
    create.n_backoff_ms = want->backoff_count;
    if (want->from_start) {
        start.at_case = TRUC__V1__BOUND__AT_POSITION;
        create.start = &start;
    }
    (void)request_new(client->connection, FRAME_SUBSCRIPTION_CREATE, &id);
    connection_send(client->connection, FRAME_SUBSCRIPTION_CREATE, id, &create.base, NULL);
}

static void change(struct client *client, Truc__V1__SubscriptionAction action)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    Truc__V1__Bound place = TRUC__V1__BOUND__INIT;
    uint64_t id;

    change.name = wanted[client->role].name;
    change.action = action;
    place.at_case = one_in(3)   ? TRUC__V1__BOUND__AT_HEAD
                    : one_in(2) ? TRUC__V1__BOUND__AT_APPEND_TIME_NS
                                : TRUC__V1__BOUND__AT_POSITION;
    if (place.at_case == TRUC__V1__BOUND__AT_HEAD)
        place.head = true;
    else if (place.at_case == TRUC__V1__BOUND__AT_APPEND_TIME_NS)
        place.append_time_ns = world.now.wall_ns - (int64_t)draw(5000) * MS;
    else
        place.position = draw(100);
    if (action == TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET)
        change.place = &place;
    (void)request_new(client->connection, FRAME_SUBSCRIPTION_CHANGE, &id);
    connection_send(client->connection, FRAME_SUBSCRIPTION_CHANGE, id, &change.base, NULL);
}

static void act(struct client *client)
{
    struct admin *admin = client->state;
    uint64_t choice = draw(16);

    admin->waiting = true;
    if (!admin->exists)
        create(client);
    else if (world.calm || admin->paused)
        change(client, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESUME);
    else if (choice == 0)
        change(client, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE);
    else if (choice <= 2)
        change(client, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET);
    else if (choice <= 5)
        change(client, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_PAUSE);
    else if (choice <= 8)
        create(client); /* a second time is no error */
    else
        change(client, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_UNSPECIFIED);
}

static bool is_done(const struct client *client)
{
    const struct admin *admin = client->state;

    return admin->exists && !admin->paused && !admin->waiting;
}

static void turn(struct client *client)
{
    struct admin *admin = client->state;

    if (!client->connection)
        client_connect(client);
    else if (!admin->waiting)
        act(client);
    /* Also when all is well: what was said on an older connection may still be on its way. */
    client_next_turn(client, is_done(client) ? (int64_t)draw(3000) * MS : (int64_t)draw(60) * MS);
}

static void lost(struct client *client)
{
    ((struct admin *)client->state)->waiting = false;
}

static void received(struct client *client, struct request *request, const struct frame *frame)
{
    struct admin *admin = client->state;

    if (frame->kind == FRAME_SUBSCRIPTION_OK) {
        const Truc__V1__SubscriptionOk *ok = header_decode(frame);

        admin->waiting = false;
        admin->exists = ok->info != NULL;
        admin->paused = ok->info && ok->info->paused;
    } else if (frame->kind == FRAME_ERROR && request) {
        admin->waiting = false;
        if (((const Truc__V1__Error *)header_decode(frame))->status == TRUC_NOT_FOUND)
            admin->exists = false;
    }
}

const struct client_kind admin_kind = {begin, connected, received, lost, turn, is_done, end};
