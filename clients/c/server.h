/* server.h: a server: threads that take requests from a subscription, have them served, and publish the replies.
 *
 * Layer: libtruc. The threads share one worker: one of them waits in its pull while the others serve, and passes the turn on with a
 * copy of the request in its hands, so that a request is served by the thread that it woke.
 *
 *   worker --pull--> request --on_request--> reply --producer--> delivery (courier) --> ack
 *
 * `lock` guards what stands below it. It is never taken under the client's lock, which may be taken under it. */
#ifndef TRUC_CLIENT_SERVER_H
#define TRUC_CLIENT_SERVER_H

#include "clients/c/client.h"

struct truc_server {
    struct truc_server *next, *previous; /* in the client's list, under its lock */
    truc_client *client;
    truc_producer *producer;
    truc_serve_callback *on_request;
    void *context;
    pthread_t *threads;

    pthread_mutex_t lock;
    pthread_cond_t turn;    /* the pull is free, or it is over */
    pthread_cond_t changed; /* for whoever closes or waits */
    truc_worker *worker;    /* NULL: closed; what is served still will not be settled */
    size_t thread_count;
    size_t serving, replying; /* requests being served; replies that are published and not delivered */
    bool pulling, closing, ended;
    truc_status end; /* ended: how */
};

/* Whether the caller is one of the threads of this client's servers, which cannot close what they run in. Unlocked. */
bool server_in_thread(truc_client *client);

#endif
