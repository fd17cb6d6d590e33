/* session.h: keeps the events of one connection in order on their way to the core. Layer: main.
 *
 * Frames come in order from net, but batches are checked by several threads at once. Each event takes its place in the session's
 * line when it is received; it leaves for the mailbox when it is ready and all before it have left. Nothing waits where nothing
 * is under way. Threads: session_place by net's callbacks, session_ready by the verify pool. */
#ifndef TRUC_MAIN_SESSION_H
#define TRUC_MAIN_SESSION_H

#include "broker/main/mailbox.h"

struct session {
    struct mailbox *mailbox;
    uint64_t connection;
    atomic_uint refs; /* net's, and one per letter that is not ready */
    pthread_mutex_t mutex;
    struct letter *first, **last_next;
    struct letter *greeting; /* that it is there; sent before its first frame, so that silent connections cost the core nothing */
    struct letter *farewell; /* that it is gone; made beforehand, for it must always reach the core; NULL: sent */
    bool broken;             /* of net's callback: something was lost, nothing further may pass */
    void *context;
    char peer[64];
};

struct session *session_create(struct mailbox *mailbox, uint64_t connection, const char *peer); /* NULL: no memory */
void session_unref(struct session *session);

/* Whether nothing of this connection is on its way; stays so until the caller, net's callback, places something. */
bool session_is_clear(struct session *session);

/* Takes the next place for a letter; one that is not ready yet holds a reference to the session until it is. */
void session_place(struct session *session, struct letter *letter, bool ready);

/* The letter is complete. Drops its reference to the session. */
void session_ready(struct session *session, struct letter *letter);

#endif
