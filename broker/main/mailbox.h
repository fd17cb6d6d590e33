/* mailbox.h: what waits for the core thread. Layer: main. Many put, one takes everything at once.
 *
 * Bounded by what its letters hold: receive budgets, readers, one note per commit. */
#ifndef TRUC_MAIN_MAILBOX_H
#define TRUC_MAIN_MAILBOX_H

#include <pthread.h>

#include "broker/main/letter.h"

struct mailbox {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct letter *first, **last_next;
    bool taker_waits, closed;
};

void mailbox_init(struct mailbox *mailbox);
void mailbox_fini(struct mailbox *mailbox);

/* Puts a chain of letters (linked by next, ending in NULL); any thread. */
void mailbox_put(struct mailbox *mailbox, struct letter *first);

/* Takes everything, waiting until there is something, until the time (CLOCK_MONOTONIC, ns; INT64_MAX: no limit), or until closed.
 * NULL when nothing came; *ret_closed then tells whether nothing will. One thread. */
struct letter *mailbox_take(struct mailbox *mailbox, int64_t until_ns, bool *ret_closed);

/* The taker returns; what nobody took and what is put later is freed. */
void mailbox_close(struct mailbox *mailbox);

#endif
