/* letter.h: an event on its way to the core, with what it borrows. Layer: main.
 *
 * Made by whoever reports the event, so that lack of memory shows where something sensible can be done about it; owned by the
 * mailbox from mailbox_put on, by the core thread from mailbox_take until it calls letter_free after the step. */
#ifndef TRUC_MAIN_LETTER_H
#define TRUC_MAIN_LETTER_H

#include "broker/core/core.h"
#include "broker/net/net.h"

struct letter {
    struct letter *next;
    struct core_event event;
    struct net_buffer *buffer;              /* holds what event.frame borrows; NULL when it borrows nothing */
    void (*release)(struct letter *letter); /* after the step; frees the letter and what is left of it; NULL: free() */
    void *context;                          /* of whoever made it */
    bool ready;                             /* session.h: may go, as soon as those before it have gone */
    char why[160];                          /* storage for event.why */
};

/* Zeroed, of that kind. NULL: no memory. */
struct letter *letter_create(enum core_event_kind kind, uint64_t connection);

/* Writes the reason into the letter's own storage. */
void letter_blame(struct letter *letter, truc_status status, const char *why);

/* Drops the buffer's reference, then releases. NULL is allowed. */
void letter_free(struct letter *letter);

#endif
