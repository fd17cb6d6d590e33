/* calls.h: the requests of a requester that wait for their reply: found by serial, and by which deadline is next.
 *
 * Layer: libtruc. Pure but for its memory; under the client's lock. A call is in the table from before its record is published; its
 * deadline counts once it is armed. */
#ifndef TRUC_CLIENT_CALLS_H
#define TRUC_CLIENT_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/c/truc.h"

struct call {
    struct call *next; /* of its bucket */
    uint64_t serial;
    int64_t deadline_ns;
    truc_reply_callback *on_reply;
    void *opaque;
    size_t place; /* in the heap; CALL_UNARMED: not there */
};
#define CALL_UNARMED SIZE_MAX

struct calls {
    struct call **buckets; /* a power of two of them */
    struct call **heap;    /* armed ones, the earliest deadline first; as large as the buckets */
    size_t capacity, count, armed;
    uint64_t last_serial; /* ascending from 1, never used twice */
};

/* Frees what is still in it, too. */
void calls_fini(struct calls *calls);

/* A call under the next serial, not armed. NULL when out of memory. */
struct call *calls_add(struct calls *calls, truc_reply_callback *on_reply, void *opaque, int64_t deadline_ns);

/* NULL: there is none, or none any more. */
struct call *calls_find(const struct calls *calls, uint64_t serial);

/* From here on calls_next_deadline tells of it. Once for each call. */
void calls_arm(struct calls *calls, struct call *call);

/* INT64_MAX: no call is armed. */
int64_t calls_next_deadline(const struct calls *calls);

/* Takes the call out; the caller frees it. */
void calls_take(struct calls *calls, struct call *call);

/* Takes out the armed call with the earliest deadline if that is at or before now; else NULL. The caller frees it. */
struct call *calls_take_due(struct calls *calls, int64_t now_ns);

#endif
