/* workers.c: clients that share a subscription: they acknowledge, refuse, reject, extend, return, hang, leave, and say of leases
 * what is not theirs to say. Layer: test of core. */
#include "broker/core/share.h"
#include "clients.h"
#include "subscriptions.h"
#include "world.h"

enum { HELD_MAX = 512, NOBODYS_LEASE = 1 << 30 };

struct worker {
    uint64_t subscribe_id; /* 0: not asked */
    bool taking_part;
    uint64_t held[HELD_MAX]; /* leases */
    uint32_t held_count, credit_owed;
    uint64_t last_settled; /* to be settled again */
    unsigned temper;       /* how rarely it refuses */
};

/* The lease given last of each subscription, to be settled by somebody else. */
static struct {
    const struct client *client;
    const struct connection *connection;
    uint64_t subscribe_id, lease;
} latest[NAMES_MAX * 2];

static void begin(struct client *client)
{
    struct worker *worker = client->state = take_memory(sizeof *worker);

    latest[client->role].client = NULL;
    worker->temper = 1 + (unsigned)draw(12);
    worker->last_settled = NOBODYS_LEASE;
}

static void subscribe(struct client *client)
{
    struct worker *worker = client->state;
    Truc__V1__Subscribe subscribe = TRUC__V1__SUBSCRIBE__INIT;

    (void)request_new(client->connection, FRAME_SUBSCRIBE, &worker->subscribe_id);
    subscribe.name = wanted[client->role].name;
    subscribe.credit = 1 + draw(1 + draw(40));
    subscribe.key_run_max = one_in(2) ? 0 : (uint32_t)draw(one_in(2) ? 12 : KEY_RUN_MAX);
    connection_send(client->connection, FRAME_SUBSCRIBE, worker->subscribe_id, &subscribe.base, NULL);
}

static void connected(struct client *client)
{
    subscribe(client);
}

static void forget(struct worker *worker)
{
    worker->subscribe_id = 0;
    worker->taking_part = false;
    worker->held_count = worker->credit_owed = 0;
    worker->last_settled = NOBODYS_LEASE; /* a new session's leases may have the same numbers */
}

static void lost(struct client *client)
{
    forget(client->state);
}

static Truc__V1__Outcome draw_outcome(const struct worker *worker)
{
    if (!one_in(world.calm ? 40 : worker->temper))
        return TRUC__V1__OUTCOME__OUTCOME_ACK;
    return (Truc__V1__Outcome)(TRUC__V1__OUTCOME__OUTCOME_NACK + draw(4));
}

/* Takes some leases out of those held, that follow one another: one settlement. */
static void take_some(struct worker *worker, Truc__V1__Settlement *settlement)
{
    uint32_t first = world.calm || one_in(2) ? 0 : (uint32_t)draw(worker->held_count), count = 1; /* runs are settled in order */
    bool kept;

    truc__v1__settlement__init(settlement);
    settlement->first = worker->held[first];
    settlement->outcome = draw_outcome(worker);
    while (first + count < worker->held_count && worker->held[first + count] == settlement->first + count && !one_in(3))
        count++;
    settlement->count = count == 1 ? 0 : count;
    if (settlement->outcome == TRUC__V1__OUTCOME__OUTCOME_NACK || settlement->outcome == TRUC__V1__OUTCOME__OUTCOME_EXTEND)
        settlement->delay_ms = one_in(2) ? 0 : (uint32_t)draw(1 + draw(3000));
    worker->last_settled = settlement->first;
    kept = settlement->outcome == TRUC__V1__OUTCOME__OUTCOME_EXTEND;
    if (kept)
        return;
    worker->credit_owed += count;
    worker->held_count -= count;
    memmove(worker->held + first, worker->held + first + count, (worker->held_count - first) * sizeof worker->held[0]);
}

/* A lease that another worker of the same subscription holds. Only as long as both take part: a share that is made anew numbers its
 * leases from 1 again, and one's own that are still on their way would be meant. 0: none is known. */
static uint64_t foreign_lease(const struct client *client)
{
    const struct worker *worker = client->state;
    const struct client *other = latest[client->role].client;
    const struct attachment *mine, *others;

    if (!other || other == client || other->connection != latest[client->role].connection)
        return 0;
    mine = attachment_of(client->connection->number, worker->subscribe_id);
    others = attachment_of(latest[client->role].connection->number, latest[client->role].subscribe_id);
    return mine && others && mine->sub == others->sub ? latest[client->role].lease : 0;
}

/* What was settled before, is another's, or never was. */
static void add_false(const struct client *client, Truc__V1__Settlement *settlement)
{
    const struct worker *worker = client->state;
    uint64_t foreign = foreign_lease(client);

    truc__v1__settlement__init(settlement);
    settlement->outcome = (Truc__V1__Outcome)(TRUC__V1__OUTCOME__OUTCOME_ACK + draw(5));
    settlement->first = NOBODYS_LEASE + draw(100);
    settlement->count = (uint32_t)draw(3);
    if (foreign != 0 && one_in(2)) {
        settlement->first = foreign;
        settlement->count = 1;
    } else if (one_in(2)) {
        settlement->first = worker->last_settled;
        settlement->count = 0;
    }
}

static void settle(struct client *client)
{
    struct worker *worker = client->state;
    Truc__V1__Settle settle = TRUC__V1__SETTLE__INIT;
    Truc__V1__Settlement settlements[8], *pointers[8];
    size_t count = 0, most = 1 + draw(6);
    uint64_t id;

    while (count < most && worker->held_count > 0) {
        pointers[count] = &settlements[count];
        take_some(worker, &settlements[count++]);
    }
    if (one_in(12) && !world.calm) {
        pointers[count] = &settlements[count];
        add_false(client, &settlements[count++]);
    }
    if (count == 0)
        return;
    settle.subscribe_id = worker->subscribe_id;
    settle.settlements = pointers;
    settle.n_settlements = count;
    (void)request_new(client->connection, FRAME_SETTLE, &id);
    connection_send(client->connection, FRAME_SETTLE, id, &settle.base, NULL);
}

static void give_credit(struct client *client)
{
    struct worker *worker = client->state;
    Truc__V1__Credit credit = TRUC__V1__CREDIT__INIT;

    if (worker->credit_owed == 0)
        return;
    credit.bytes = worker->credit_owed;
    worker->credit_owed = 0;
    connection_send(client->connection, FRAME_CREDIT, worker->subscribe_id, &credit.base, NULL);
}

static void cancel(struct client *client)
{
    struct worker *worker = client->state;
    Truc__V1__Cancel message = TRUC__V1__CANCEL__INIT;

    connection_send(client->connection, FRAME_CANCEL, worker->subscribe_id, &message.base, NULL);
    worker->taking_part = false; /* READ_END follows */
    worker->held_count = 0;
}

static void turn(struct client *client)
{
    struct worker *worker = client->state;

    if (!client->connection) {
        client_connect(client);
    } else if (worker->subscribe_id == 0) {
        subscribe(client);
    } else if (worker->taking_part && !world.calm && one_in(80)) {
        cancel(client);
    } else if (!world.calm && one_in(200)) {
        client_disconnect(client);
    } else if (!world.calm && one_in(60)) { /* hangs */
        client_next_turn(client, (int64_t)draw(6000) * MS);
        return;
    } else if (worker->taking_part) {
        settle(client);
        if (!one_in(4))
            give_credit(client);
    }
    if (worker->held_count > 0 || !worker->taking_part || worker->credit_owed > 0 || !world.calm)
        client_next_turn(client, client->connection && worker->taking_part && worker->held_count == 0
                                     ? (int64_t)draw(200) * MS
                                     : (int64_t)draw((uint64_t)client->pace_ns * 2));
}

static void delivered(struct client *client, const Truc__V1__Deliver *deliver)
{
    struct worker *worker = client->state;
    uint64_t lease = deliver->first_lease;

    for (size_t i = 0; i < deliver->n_entries; i++) {
        for (uint32_t j = 0; j < deliver->entries[i]->records; j++, lease++) {
            if (worker->held_count < HELD_MAX)
                worker->held[worker->held_count++] = lease;
        }
    }
    latest[client->role].client = client;
    latest[client->role].connection = client->connection;
    latest[client->role].subscribe_id = worker->subscribe_id;
    latest[client->role].lease = lease - 1;
    client_soon(client);
}

static void received(struct client *client, struct request *request, const struct frame *frame)
{
    struct worker *worker = client->state;
    bool mine = frame->request_id == worker->subscribe_id && worker->subscribe_id != 0;

    if (frame->kind == FRAME_DELIVER && mine && worker->taking_part) {
        delivered(client, header_decode(frame));
    } else if (frame->kind == FRAME_SUBSCRIBE_OK && mine) {
        worker->taking_part = true;
    } else if ((frame->kind == FRAME_READ_END && mine) ||
               (frame->kind == FRAME_ERROR && request && request->kind == FRAME_SUBSCRIBE)) {
        forget(worker);
        client_next_turn(client, (int64_t)draw(100) * MS);
    }
}

static bool done(const struct client *client)
{
    (void)client;
    return true; /* the invariants know what is not done */
}

static void end(struct client *client)
{
    (void)client;
}

const struct client_kind worker_kind = {begin, connected, received, lost, turn, done, end};
