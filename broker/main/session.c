#include <stdatomic.h>

#include "broker/main/session.h"

#include <stdio.h>
#include <stdlib.h>

struct session *session_create(struct mailbox *mailbox, uint64_t connection, const char *peer)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return NULL;
    }
    session->greeting = letter_create(CORE_CONNECTED, connection);
    session->farewell = letter_create(CORE_DISCONNECTED, connection);
    if (session->greeting == NULL || session->farewell == NULL) {
        letter_free(session->greeting);
        letter_free(session->farewell);
        free(session);
        return NULL;
    }
    session->mailbox = mailbox;
    session->connection = connection;
    atomic_init(&session->refs, 1);
    pthread_mutex_init(&session->mutex, NULL);
    session->last_next = &session->first;
    snprintf(session->peer, sizeof session->peer, "%s", peer);
    return session;
}

void session_unref(struct session *session)
{
    if (atomic_fetch_sub(&session->refs, 1) == 1) {
        letter_free(session->greeting);
        letter_free(session->farewell);
        pthread_mutex_destroy(&session->mutex);
        free(session);
    }
}

bool session_is_clear(struct session *session)
{
    pthread_mutex_lock(&session->mutex);
    bool clear = session->first == NULL;
    pthread_mutex_unlock(&session->mutex);
    return clear;
}

/* Sends off what is ready at the head of the line. Under the mutex, so that two who release do not overtake each other. */
static void send_ready_locked(struct session *session)
{
    struct letter *first = session->first, **end = &session->first;
    while (*end != NULL && (*end)->ready) {
        end = &(*end)->next;
    }
    if (end == &session->first) {
        return;
    }
    session->first = *end;
    if (session->first == NULL) {
        session->last_next = &session->first;
    }
    *end = NULL;
    mailbox_put(session->mailbox, first);
}

void session_place(struct session *session, struct letter *letter, bool ready)
{
    letter->ready = ready;
    letter->next = NULL;
    if (!ready) {
        atomic_fetch_add(&session->refs, 1);
    }
    pthread_mutex_lock(&session->mutex);
    *session->last_next = letter;
    session->last_next = &letter->next;
    send_ready_locked(session);
    pthread_mutex_unlock(&session->mutex);
}

void session_ready(struct session *session, struct letter *letter)
{
    pthread_mutex_lock(&session->mutex);
    letter->ready = true;
    send_ready_locked(session);
    pthread_mutex_unlock(&session->mutex);
    session_unref(session);
}
