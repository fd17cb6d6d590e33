/* The sender: net's own thread for writes that are large. Copying half a megabyte into a socket takes longer than a step of whoever
 * asked for it (the core), who has others to answer. Small writes are done on the caller's thread. */
#include "broker/net/connection.h"

void sender_push_later(struct net *net, struct connection *connection)
{
    atomic_fetch_add(&connection->refs, 1);
    pthread_mutex_lock(&net->mutex);
    connection->next_to_push = NULL;
    *net->last_to_push = connection;
    net->last_to_push = &connection->next_to_push;
    bool wake = net->sender_waits;
    net->sender_waits = false;
    pthread_mutex_unlock(&net->mutex);
    if (wake) {
        pthread_cond_signal(&net->to_push);
    }
}

void *sender_run(void *context)
{
    struct net *net = context;
    pthread_mutex_lock(&net->mutex);
    for (;;) {
        struct connection *connection = net->first_to_push;
        if (connection == NULL && atomic_load(&net->stopping)) {
            break;
        }
        if (connection == NULL) {
            net->sender_waits = true;
            pthread_cond_wait(&net->to_push, &net->mutex);
            continue;
        }
        net->first_to_push = connection->next_to_push;
        if (net->first_to_push == NULL) {
            net->last_to_push = &net->first_to_push;
        }
        pthread_mutex_unlock(&net->mutex);
        net_connection_push(connection);
        net_connection_unref(connection);
        pthread_mutex_lock(&net->mutex);
    }
    pthread_mutex_unlock(&net->mutex);
    return NULL;
}
