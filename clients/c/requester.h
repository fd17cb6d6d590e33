/* requester.h: a requester: publishes requests, follows its reply topic, and knows what each reply is for.
 *
 * Layer: libtruc. Under the client's lock unless said otherwise. It stands on a producer and a reader of its own:
 *
 *   truc_request --> call --> producer --> request record        (the deliveries tell only of requests that were refused)
 *                     |
 *   on_reply <--------+------ reader <---- reply record, in reply.AGENCY.SYSTEM under the requester's own key
 *                     '------ courier, when the deadline has passed or the requester is over */
#ifndef TRUC_CLIENT_REQUESTER_H
#define TRUC_CLIENT_REQUESTER_H

#include "clients/c/calls.h"
#include "clients/c/client.h"
#include "clients/c/request_wire.h"

struct truc_requester {
    struct truc_requester *next, *previous;
    truc_client *client;
    truc_producer *producer;
    truc_reader *reader;
    struct request_names names;
    size_t in_flight; /* calls at most */
    struct calls calls;
    int64_t look_at_ns; /* when the courier looks for deadlines that have passed; never later than the earliest */
    truc_status over;   /* not TRUC_OK: no reply can come any more, closed or ended */
    char why[256];
    bool telling; /* the courier is in on_reply, without the lock */
};

/* Courier: tells one timeout, or one call of a requester that is over, for each requester. False: nothing to do. */
bool requester_tell_one(truc_client *client);

/* When the courier has to look again; CLOCK_NEVER. */
int64_t requester_next_ns(const truc_client *client);

#endif
