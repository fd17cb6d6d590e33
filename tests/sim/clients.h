/* clients.h: who uses the broker: each with an agency, a connection that may go, and a turn now and then. Layer: test of core.
 *
 * A client's turn comes when it asked for it, and after what it waited for has come. Kinds: producers.c, workers.c (shared
 * subscriptions), followers.c (ordered ones, and plain readings), admins.c (create, pause, resume, reset, remove). */
#ifndef TRUC_TESTS_SIM_CLIENTS_H
#define TRUC_TESTS_SIM_CLIENTS_H

#include "network.h"

enum { CLIENTS_MAX = 48, NAMES_MAX = 4 };

struct client;
struct client_kind {
    void (*begin)(struct client *client);                                                        /* once */
    void (*connected)(struct client *client);                                                    /* it has greeted and logged in */
    void (*received)(struct client *client, struct request *request, const struct frame *frame); /* request NULL: id 0 */
    void (*lost)(struct client *client);
    void (*turn)(struct client *client); /* connected or not */
    bool (*done)(const struct client *client);
    void (*end)(struct client *client); /* its memory */
};
extern const struct client_kind producer_kind, worker_kind, follower_kind, tail_kind, admin_kind, intruder_kind;

struct client {
    const struct client_kind *kind;
    uint32_t index;
    const char *agency, *system;
    struct connection *connection; /* NULL: it has none */
    struct connection *zombie;     /* one it left without closing; NULL */
    int64_t pace_ns;               /* between turns, about */
    uint64_t turn_number;          /* of the turn that counts */
    uint32_t role;                 /* which subscription, which name */
    void *state;                   /* of its kind; owned */
};

/* A seed's subscriptions, as admins make them. */
struct wanted {
    char name[16];
    const char *agency, *pattern;
    bool ordered;
    uint16_t key;       /* 0: any */
    uint8_t type;       /* TYPES: any */
    const char *source; /* NULL: any */
    uint32_t ack_wait_ms, attempts_max, in_flight_max, backoff_ms[3], backoff_count;
    bool from_start;
};
extern struct wanted wanted[NAMES_MAX * 2];
extern uint32_t wanted_count;

void clients_begin(void);
void clients_end(void);
bool clients_done(const char **ret_why);

void client_turn(uint64_t number); /* index, and number of the turn */
void client_received(struct connection *connection, struct bytes bytes);
void client_lost(struct connection *connection);
struct bytes client_agency(const struct client *client);

/* For kinds: */
void client_connect(struct client *client);
void client_disconnect(struct client *client);
void client_next_turn(struct client *client, int64_t after_ns); /* the earlier one is forgotten */
void client_soon(struct client *client);

#endif
