/* intruders.c: a client whose requests are wrong, each in one way: it must be told, and nobody else be harmed. Layer: test of core.
 */
#include "broker/core/share.h"
#include "clients.h"
#include "world.h"

static void begin(struct client *client)
{
    client->state = take_memory(1);
}

static void end(struct client *client)
{
    (void)client;
}

static void ignore(struct client *client)
{
    (void)client;
}

static void ask(struct client *client, enum frame_kind kind, const ProtobufCMessage *message)
{
    uint64_t id;

    request_new(client->connection, kind, &id)->wrong = true;
    connection_send(client->connection, kind, id, message, NULL);
}

static void create_wrongly(struct client *client)
{
    Truc__V1__SubscriptionCreate create = TRUC__V1__SUBSCRIPTION_CREATE__INIT;
    Truc__V1__Bound start = TRUC__V1__BOUND__INIT;
    Truc__V1__HeaderEquals header = TRUC__V1__HEADER_EQUALS__INIT, *pointer = &header;
    uint8_t value[] = {'a', 0};
    uint32_t delays[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

    create.name = "wrong";
    create.pattern = "dossier.**";
    switch (draw(10)) {
    case 0:
        create.name = one_in(2) ? "two words" : "a.b";
        break;
    case 1:
        create.pattern = "a.>.b";
        break;
    case 2:
        create.mode = (Truc__V1__SubscriptionMode)3;
        break;
    case 3:
        create.ack_wait_ms = 24 * 3600 * 1000 + 1;
        break;
    case 4:
        create.in_flight_max = 100001;
        break;
    case 5:
        create.mode = TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED;
        *(one_in(2) ? &create.attempts_max : &create.ack_wait_ms) = 1;
        break;
    case 6:
        create.backoff_ms = delays;
        create.n_backoff_ms = one_in(2) ? 9 : 1;
        delays[0] = 7u * 24 * 3600 * 1000 + 1;
        break;
    case 7:
        create.source = "no source";
        break;
    case 8: /* a header without a name, or with a value that is no text */
        header.name = one_in(2) ? "" : "name";
        header.value = (ProtobufCBinaryData){header.name[0] == '\0' ? 1 : 2, value};
        create.headers = &pointer;
        create.n_headers = 1;
        break;
    default:
        start.at_case = TRUC__V1__BOUND__AT_POSITION;
        start.position = UINT64_C(1) << 40;
        create.start = &start;
        break;
    }
    ask(client, FRAME_SUBSCRIPTION_CREATE, &create.base);
}

static void change_wrongly(struct client *client)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;

    change.name = one_in(3) ? wanted[draw(wanted_count)].name : one_in(2) ? "nobody-has-this" : "";
    change.action = (Truc__V1__SubscriptionAction)draw(7);
    if (change.name[0] == 's') /* there, perhaps, but this is no change */
        change.action = one_in(2) ? (Truc__V1__SubscriptionAction)9 : TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET;
    ask(client, FRAME_SUBSCRIPTION_CHANGE, &change.base);
}

static void subscribe_wrongly(struct client *client)
{
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    subscribe.name = one_in(2) ? wanted[draw(wanted_count)].name : "nobody-has-this";
    subscribe.credit = subscribe.name[0] == 's' ? one_in(2) : 10;
    subscribe.key_run_max = subscribe.credit == 1 ? KEY_RUN_MAX + 1 : 0;
    ask(client, FRAME_SUBSCRIBE, &subscribe.base);
}

static void settle_wrongly(struct client *client)
{
    Truc__V1__Settle settle = TRUC__V1__SETTLE__INIT;
    Truc__V1__Settlement settlement = TRUC__V1__SETTLEMENT__INIT, *pointer = &settlement;

    settlement.first = 1;
    settlement.outcome = (Truc__V1__Outcome)draw(8);
    settlement.delay_ms = one_in(2) ? UINT32_MAX : 0;
    settle.subscribe_id = 3;
    settle.settlements = &pointer;
    settle.n_settlements = draw(2);
    ask(client, FRAME_SETTLE, &settle.base);
}

static void turn(struct client *client)
{
    if (world.calm)
        return;
    client_next_turn(client, (int64_t)draw(400) * MS);
    if (!client->connection) {
        client_connect(client);
        return;
    }
    switch (draw(4)) {
    case 0:
        create_wrongly(client);
        break;
    case 1:
        change_wrongly(client);
        break;
    case 2:
        subscribe_wrongly(client);
        break;
    default:
        settle_wrongly(client);
        break;
    }
}

static void received(struct client *client, struct request *request, const struct frame *frame)
{
    (void)client;
    (void)request;
    (void)frame;
}

static bool done(const struct client *client)
{
    (void)client;
    return true;
}

const struct client_kind intruder_kind = {begin, ignore, received, ignore, turn, done, end};
