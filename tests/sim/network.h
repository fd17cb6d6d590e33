/* network.h: connections between clients and the broker: bytes that are delayed, lost with their connection, or read slowly. Layer:
 * test of core.
 *
 * Both ends learn of a loss in their own time, so a broker may hold a connection whose client has long made another one. What was
 * asked on a connection is kept with it until it is forgotten, to judge the answers. */
#ifndef TRUC_TESTS_SIM_NETWORK_H
#define TRUC_TESTS_SIM_NETWORK_H

#include "batches.h"
#include "proto/frame.h"
#include "sim.h"
#include "truc/v1/wire.pb-c.h"

struct client;

struct request {
    enum frame_kind kind;
    bool answered, refused; /* an ERROR is the answer */
    bool wrong;             /* it must be */
    int action;             /* of SUBSCRIPTION_CHANGE */
    /* PUBLISH */
    struct batch *batch; /* the first of those sent together; a reference */
    uint64_t producer_id;
    /* SETTLE; see share_model.h. SUBSCRIBE and changes: name */
    uint32_t subscription;
    uint64_t change, position;
    uint64_t *stale; /* owned */
    size_t stale_count, stale_capacity;
    const char *name;
    uint64_t amount; /* SUBSCRIBE: credit */
    uint64_t ticket; /* last one given to the log when it was asked */
};

struct connection {
    uint64_t number; /* from 1 */
    struct client *client;
    bool broker_has, client_has; /* it */
    bool lost;                   /* to the broker: what is still under way to it does not arrive */
    uint32_t life;               /* of the core it leads to */
    int64_t up_ns, down_ns;      /* when the last frame arrives */
    int64_t latency_ns;
    struct request *requests;                               /* by id - 1; owned */
    size_t request_count, request_capacity, answered_count; /* the first ones that were answered */
};

struct message { /* under way */
    uint64_t connection;
    struct batch *batch; /* a reference; of PUBLISH */
    size_t size;         /* 0: the connection itself */
    uint8_t bytes[] __attribute__((aligned(8)));
};

void network_begin(int64_t latency_ns, unsigned slow_one_in);
void network_end(void);

struct connection *connection_make(struct client *client);
struct connection *connection_at(uint64_t number);
uint64_t connection_count(void);

/* The next request id of a connection, and what is kept of it. */
struct request *request_new(struct connection *connection, enum frame_kind kind, uint64_t *ret_id);
struct request *request_of(struct connection *connection, uint64_t id); /* NULL: there was none */

/* The client sends; payload: of a PUBLISH. */
void connection_send(struct connection *connection, enum frame_kind kind, uint64_t id, const ProtobufCMessage *header,
                     struct batch *payload);
/* The broker sends: frames, one after the other; of the only one, `data` is the payload. */
void connection_deliver(struct connection *connection, struct bytes frames, struct bytes data);

/* The client leaves, the network fails, the broker closes, the broker is gone. */
void connection_leave(struct connection *connection);
void connection_fail(struct connection *connection);
void connection_close_from_broker(struct connection *connection);
void network_broker_gone(void);

/* Nothing is slow or lost from now on. */
void network_calm(void);

/* The decoded header, good until the next call. */
void *header_decode(const struct frame *frame);

#endif
