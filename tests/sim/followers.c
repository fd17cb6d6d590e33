/* followers.c: clients that read: in an ordered subscription, where they acknowledge by position and take over from one another, or
 * without any. Layer: test of core. */
#include "clients.h"
#include "world.h"

struct follower {
    uint64_t request_id; /* of SUBSCRIBE or READ; 0: not asked */
    bool active;
    uint64_t next, acknowledged; /* positions: read, and said to be */
    uint64_t credit_owed;
};

static void begin(struct client *client)
{
    client->state = take_memory(sizeof(struct follower));
}

static void end(struct client *client)
{
    (void)client;
}

static void forget(struct client *client)
{
    *(struct follower *)client->state = (struct follower){0};
}

static void give_credit(struct client *client)
{
    struct follower *follower = client->state;
    Truc__V1__Credit credit = TRUC__V1__CREDIT__INIT;

    if (follower->credit_owed == 0)
        return;
    credit.bytes = follower->credit_owed;
    follower->credit_owed = 0;
    connection_send(client->connection, FRAME_CREDIT, follower->request_id, &credit.base, NULL);
}

static void cancel(struct client *client)
{
    struct follower *follower = client->state;
    Truc__V1__Cancel message = TRUC__V1__CANCEL__INIT;

    connection_send(client->connection, FRAME_CANCEL, follower->request_id, &message.base, NULL);
    follower->active = false;
}

static void read_on(struct client *client, const struct frame *frame)
{
    struct follower *follower = client->state;

    follower->next = ((const Truc__V1__ReadData *)header_decode(frame))->next_position;
    follower->credit_owed += frame->payload.size;
    client_soon(client);
}

/* --- ordered
 * ------------------------------------------------------------------------------------------------------------------------- */

static void subscribe(struct client *client)
{
    struct follower *follower = client->state;
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    forget(client);
    (void)request_new(client->connection, FRAME_SUBSCRIBE, &follower->request_id);
    subscribe.name = wanted[client->role].name;
    subscribe.credit = 400 + draw(20000);
    connection_send(client->connection, FRAME_SUBSCRIBE, follower->request_id, &subscribe.base, NULL);
}

static void acknowledge(struct client *client)
{
    struct follower *follower = client->state;
    Truc__V1__Settle settle = TRUC__V1__SETTLE__INIT;
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *pointer = &settlement;
    uint64_t position = follower->next, id;

    if (!world.calm && one_in(4)) /* not all of it, what was acknowledged before, or too much */
        position = one_in(8) ? follower->next + 1 + draw(3) : draw(follower->next + 1);
    if (position == 0 || position == follower->acknowledged)
        return;
    follower->acknowledged = position;
    settlement.outcome = TRUC__V1__OUTCOME__OUTCOME_ACK;
    settlement.first = position;
    settle.subscribe_id = follower->request_id;
    settle.settlements = &pointer;
    settle.n_settlements = 1;
    (void)request_new(client->connection, FRAME_SETTLE, &id);
    connection_send(client->connection, FRAME_SETTLE, id, &settle.base, NULL);
}

static void follower_turn(struct client *client)
{
    struct follower *follower = client->state;

    if (!client->connection) {
        client_connect(client);
    } else if (follower->request_id == 0) {
        subscribe(client);
    } else if (!world.calm && one_in(100)) {
        client_disconnect(client);
    } else if (follower->active) {
        acknowledge(client);
        give_credit(client);
        if (!world.calm && one_in(80))
            cancel(client);
    } else if (!world.calm && one_in(60)) {
        acknowledge(client); /* one who stands by has nothing to say */
    }
    if (!world.calm || !client->connection || follower->request_id == 0 || follower->acknowledged != follower->next)
        client_soon(client);
}

static void follower_received(struct client *client, struct request *request, const struct frame *frame)
{
    struct follower *follower = client->state;
    bool mine = frame->request_id == follower->request_id && follower->request_id != 0;

    if (frame->kind == FRAME_READ_OK && mine) {
        follower->active = true;
        follower->next = follower->acknowledged = ((const Truc__V1__ReadOk *)header_decode(frame))->from_position;
    } else if (frame->kind == FRAME_READ_DATA && mine) {
        read_on(client, frame);
    } else if ((frame->kind == FRAME_READ_END && mine) ||
               (frame->kind == FRAME_ERROR && request && request->kind == FRAME_SUBSCRIBE)) {
        forget(client);
        client_next_turn(client, (int64_t)draw(100) * MS);
    } else if (frame->kind == FRAME_ERROR && request && request->kind == FRAME_SETTLE) {
        follower->acknowledged = 0; /* again */
        client_soon(client);
    }
}

static bool done(const struct client *client)
{
    (void)client;
    return true; /* the invariants know what is not done */
}

const struct client_kind follower_kind = {begin, subscribe, follower_received, forget, follower_turn, done, end};

/* --- plain
 * ---------------------------------------------------------------------------------------------------------------------------- */

static void read_something(struct client *client)
{
    static const char *const patterns[] = {"**", "dossier.**", "meter.x", "*.x", "dead.>"};
    struct follower *follower = client->state;
    Truc__V1__Read read = TRUC__V1__READ__INIT;
    Truc__V1__Bound from = TRUC__V1__BOUND__INIT;

    forget(client);
    (void)request_new(client->connection, FRAME_READ, &follower->request_id);
    read.pattern = (char *)(uintptr_t)patterns[draw(sizeof patterns / sizeof patterns[0])]; /* read only */
    read.follow = one_in(2);
    read.reverse = !read.follow && one_in(3);
    read.credit_bytes = 300 + draw(5000);
    read.records_max = one_in(4) ? 1 + draw(50) : 0;
    if (one_in(3)) {
        from.at_case = TRUC__V1__BOUND__AT_POSITION;
        from.position = draw(50);
        read.from = &from;
    }
    connection_send(client->connection, FRAME_READ, follower->request_id, &read.base, NULL);
}

static void tail_connected(struct client *client)
{
    read_something(client);
}

static void ping(struct client *client)
{
    Truc__V1__Ping message = TRUC__V1__PING__INIT;
    uint64_t id;

    (void)request_new(client->connection, FRAME_PING, &id);
    connection_send(client->connection, FRAME_PING, id, &message.base, NULL);
}

static void tail_turn(struct client *client)
{
    struct follower *follower = client->state;

    if (world.calm)
        return;
    if (!client->connection)
        client_connect(client);
    else if (follower->request_id == 0)
        read_something(client);
    else if (one_in(50))
        cancel(client);
    else if (one_in(10))
        ping(client);
    else
        give_credit(client);
    client_soon(client);
}

static void tail_received(struct client *client, struct request *request, const struct frame *frame)
{
    struct follower *follower = client->state;
    bool mine = frame->request_id == follower->request_id && follower->request_id != 0;

    (void)request;
    if (frame->kind == FRAME_READ_DATA && mine)
        read_on(client, frame);
    else if ((frame->kind == FRAME_READ_END || frame->kind == FRAME_ERROR) && mine)
        forget(client);
}

const struct client_kind tail_kind = {begin, tail_connected, tail_received, forget, tail_turn, done, end};
