#include "broker/main/mailbox.h"

#include <time.h>

void mailbox_init(struct mailbox *mailbox)
{
    pthread_condattr_t attributes;
    *mailbox = (struct mailbox){.last_next = NULL};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&mailbox->mutex, NULL);
    pthread_cond_init(&mailbox->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    mailbox->last_next = &mailbox->first;
}

static void free_chain(struct letter *letter)
{
    while (letter != NULL) {
        struct letter *next = letter->next;
        letter_free(letter);
        letter = next;
    }
}

void mailbox_fini(struct mailbox *mailbox)
{
    mailbox_close(mailbox);
    pthread_cond_destroy(&mailbox->filled);
    pthread_mutex_destroy(&mailbox->mutex);
}

void mailbox_put(struct mailbox *mailbox, struct letter *first)
{
    struct letter *last = first;
    while (last->next != NULL) {
        last = last->next;
    }
    pthread_mutex_lock(&mailbox->mutex);
    bool closed = mailbox->closed, wake = mailbox->taker_waits;
    if (!closed) {
        *mailbox->last_next = first;
        mailbox->last_next = &last->next;
        mailbox->taker_waits = false; /* one wake-up is enough */
    }
    pthread_mutex_unlock(&mailbox->mutex);
    if (closed) {
        free_chain(first);
    } else if (wake) {
        pthread_cond_signal(&mailbox->filled);
    }
}

struct letter *mailbox_take(struct mailbox *mailbox, int64_t until_ns, bool *ret_closed)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    bool late = false;
    pthread_mutex_lock(&mailbox->mutex);
    while (mailbox->first == NULL && !mailbox->closed && !late) {
        mailbox->taker_waits = true;
        if (until_ns == INT64_MAX) {
            pthread_cond_wait(&mailbox->filled, &mailbox->mutex);
        } else {
            late = pthread_cond_timedwait(&mailbox->filled, &mailbox->mutex, &until) != 0;
        }
    }
    mailbox->taker_waits = false;
    struct letter *all = mailbox->first;
    if (all != NULL) {
        mailbox->first = NULL;
        mailbox->last_next = &mailbox->first;
    }
    *ret_closed = mailbox->closed;
    pthread_mutex_unlock(&mailbox->mutex);
    return all;
}

void mailbox_close(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    struct letter *left = mailbox->first;
    mailbox->first = NULL;
    mailbox->last_next = &mailbox->first;
    mailbox->closed = true;
    mailbox->taker_waits = false;
    pthread_mutex_unlock(&mailbox->mutex);
    pthread_cond_signal(&mailbox->filled);
    free_chain(left);
}
