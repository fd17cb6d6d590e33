/* request_kit.h: what tests of requesters and servers share: numbered requests, an account of what came back. Test support. */
#ifndef TRUC_CLIENT_REQUEST_KIT_H
#define TRUC_CLIENT_REQUEST_KIT_H

#include "clients/c/work_kit.h"

enum { REQUESTS_MAX = 2000 };

/* The outcome of each numbered request. */
struct account {
    pthread_mutex_t lock;
    pthread_cond_t more;
    size_t told, wrong; /* wrong: replies that are not marked as they must be */
    uint8_t times[REQUESTS_MAX];
    truc_status statuses[REQUESTS_MAX];
    uint64_t order[REQUESTS_MAX]; /* numbers as they were told */
};

/* A request under way: the opaque of its callback. */
struct asked {
    struct account *account;
    uint64_t number;
};

struct account *account_create(void);
void account_destroy(struct account *account);
void account_wait(struct account *account, size_t told);
size_t account_count(struct account *account, truc_status status);

/* A requester, with options as of kit_producer. */
truc_requester *request_open(truc_client *client, const char *in_flight);

/* Asks test.lookup for a number; its outcome goes to the account. */
truc_status request_number(truc_requester *requester, struct account *account, uint64_t number, int timeout_ms);

/* A server of "work" with so many threads. */
truc_server *serve_open(truc_client *client, const char *threads, truc_serve_callback *on_request, void *context);

/* Replies with the request's own data: what account expects. */
truc_status serve_echo(void *context, const truc_job *job, truc_record *reply);

#endif
