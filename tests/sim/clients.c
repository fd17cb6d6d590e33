#include "clients.h"

#include <stdio.h>
#include <stdlib.h>

#include "agenda.h"
#include "world.h"

#define HELLO_MAGIC 0x54525543u

struct wanted wanted[NAMES_MAX * 2];
uint32_t wanted_count;
static struct client clients[CLIENTS_MAX];
static uint32_t client_count;

struct bytes client_agency(const struct client *client)
{
    return bytes_of_text(client->agency);
}

static struct client *add(const struct client_kind *kind, const char *agency, uint32_t role)
{
    struct client *client = &clients[client_count];

    SIM_CHECK(client_count < CLIENTS_MAX, "too many clients");
    *client = (struct client){.kind = kind, .index = client_count++, .agency = agency, .system = "portal", .role = role};
    client->pace_ns = (1 + (int64_t)draw(20)) * MS / 2;
    kind->begin(client);
    client_next_turn(client, (int64_t)draw(20) * MS);
    return client;
}

static void want_subscriptions(void)
{
    static const char *const patterns[] = {"dossier.**", "dossier.*.a", "meter.x", "**", "*.x", "notice", "dead.>"};
    static const uint32_t waits[] = {30, 200, 1000, 5000}, delays[] = {1, 20, 300, 4000};

    wanted_count = 1 + (uint32_t)draw(NAMES_MAX + 1);
    for (uint32_t i = 0; i < wanted_count; i++) {
        struct wanted *one = &wanted[i];

        *one = (struct wanted){.agency = one_in(3) ? "G22" : "H26.16"};
        one->ordered = i > 0 && one_in(3);
        (void)snprintf(one->name, sizeof one->name, "s%u", i);
        one->pattern = patterns[i == 0 ? draw(4) : draw(sizeof patterns / sizeof patterns[0])];
        one->key = one_in(8) ? (uint16_t)(1 + draw(4)) : 0;
        one->type = one_in(8) ? (uint8_t)draw(TYPES) : TYPES;
        one->from_start = one_in(2);
        one->source = one_in(8) ? (one_in(2) ? "G22" : "H26.16/portal") : NULL;
        if (one->ordered)
            continue;
        one->ack_wait_ms = waits[draw(4)];
        one->attempts_max = one_in(4) ? UINT32_MAX : 1 + (uint32_t)draw(4);
        one->in_flight_max = one_in(3) ? 1 + (uint32_t)draw(6) : 10 + (uint32_t)draw(50);
        one->backoff_count = (uint32_t)draw(4);
        for (uint32_t j = 0; j < one->backoff_count; j++)
            one->backoff_ms[j] = delays[draw(4)];
    }
}

void clients_begin(void)
{
    client_count = 0;
    want_subscriptions();
    for (uint32_t i = 0; i < wanted_count; i++) {
        uint32_t workers = 1 + (uint32_t)draw(4);

        add(&admin_kind, wanted[i].agency, i);
        for (uint32_t j = 0; j < workers; j++)
            add(wanted[i].ordered ? &follower_kind : &worker_kind, wanted[i].agency, i);
    }
    for (uint32_t i = 1 + (uint32_t)draw(5); i > 0; i--)
        add(&producer_kind, one_in(2) ? "G22" : "H26.16", i);
    for (uint32_t i = (uint32_t)draw(3); i > 0; i--)
        add(&tail_kind, "H26.16", i);
    if (one_in(2))
        add(&intruder_kind, "H26.16", 0);
}

void clients_end(void)
{
    for (uint32_t i = 0; i < client_count; i++) {
        clients[i].kind->end(&clients[i]);
        free(clients[i].state);
    }
    client_count = 0;
}

bool clients_done(const char **ret_why)
{
    for (uint32_t i = 0; i < client_count; i++) {
        *ret_why = "a client is not done";
        if (!clients[i].kind->done(&clients[i]))
            return false;
    }
    return true;
}

/* --- turns
 * --------------------------------------------------------------------------------------------------------------------------- */

void client_next_turn(struct client *client, int64_t after_ns)
{
    client->turn_number++;
    agenda_add(world.now.boot_ns + 1 + after_ns, OCCUR_CLIENT, 0, (uint64_t)client->index << 48 | client->turn_number, NULL);
}

void client_soon(struct client *client)
{
    client_next_turn(client, (int64_t)draw((uint64_t)client->pace_ns * 2));
}

void client_turn(uint64_t number)
{
    struct client *client = &clients[number >> 48];

    if (client->turn_number == (number & ((UINT64_C(1) << 48) - 1)))
        client->kind->turn(client);
}

/* --- connections
 * ---------------------------------------------------------------------------------------------------------------------- */

void client_connect(struct client *client)
{
    static uint8_t nonce[32] = {1};
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;
    uint64_t id;

    client->connection = connection_make(client);
    hello.magic = HELLO_MAGIC;
    hello.version_min = hello.version_max = 1;
    hello.nonce = (ProtobufCBinaryData){sizeof nonce, nonce};
    (void)request_new(client->connection, FRAME_HELLO, &id);
    connection_send(client->connection, FRAME_HELLO, id, &hello.base, NULL);
    login.algorithm = "none";
    login.source = (char *)(uintptr_t)client->agency; /* read only; the generated type is not const */
    login.system = (char *)(uintptr_t)client->system;
    (void)request_new(client->connection, FRAME_LOGIN, &id);
    connection_send(client->connection, FRAME_LOGIN, id, &login.base, NULL);
    client->kind->connected(client);
}

void client_disconnect(struct client *client)
{
    if (!client->connection)
        return;
    connection_leave(client->connection);
    client->connection = NULL;
    client->kind->lost(client);
}

void client_lost(struct connection *connection)
{
    struct client *client = connection->client;

    connection->client_has = false;
    if (client->zombie == connection)
        client->zombie = NULL;
    if (client->connection != connection)
        return;
    client->connection = NULL;
    client->kind->lost(client);
    client_soon(client);
}

void client_received(struct connection *connection, struct bytes bytes)
{
    struct client *client = connection->client;
    struct frame frame;
    size_t size;

    if (!connection->client_has)
        return;
    SIM_CHECK(frame_peek(bytes, FRAME_BYTES_MAX, &frame, &size, NULL) == TRUC_OK && size == bytes.size, "no frame");
    if (client->connection == connection)
        client->kind->received(client, request_of(connection, frame.request_id), &frame);
}
