/* inquiry.h: requests that are not answered in the step they come in, since the log must be looked at, or subscriptions be waited
 * for. Layer: core. One thread.
 *
 *     begin ──> asks: state is taken down at the end of the step ──> waits until all of that is on disk ──> looks ──> looked ──┐
 *                 ^                                                                                                       │
 *                 ├──────── waits for subscriptions (receipt.c) <──────────────────────────────────────────────────────────┤
 *                 └──────────────────────────────────────────────────────────────────────────────────────────────────────┤
 *                                                                                                      answered: end <────┘
 *
 * So whatever a look at the durable log is asked about is in it. At most LOOKS_MAX looks are under way, since each may take a
 * reader thread for a while; the others stand in line. An inquiry goes with its connection, without a word. */
#ifndef TRUC_CORE_INQUIRY_H
#define TRUC_CORE_INQUIRY_H

#include "broker/core/answer.h"

enum { INQUIRIES_MAX = 10000, LOOKS_MAX = 2 };

/* What an inquiry of a kind does; each function may end it. */
struct inquiry_kind {
    /* At the end of the step in which it asked: takes down what it must know. NULL: nothing. */
    void (*prepare)(struct core *core, struct inquiry *inquiry);
    /* When all of that is on disk: fills in the look, at the end of a step; what that points to is good until the next one. False:
     * it needs none, and has ended. */
    bool (*look)(struct core *core, struct inquiry *inquiry, struct core_look *look);
    /* The answer: status and why, or looked. */
    void (*looked)(struct core *core, struct inquiry *inquiry, const struct core_event *event);
    /* Frees what it owns besides itself. NULL: nothing. */
    void (*fini)(struct core *core, struct inquiry *inquiry);
};

enum inquiry_state {
    INQUIRY_IDLE,    /* in no list */
    INQUIRY_ASKING,  /* in core.inquiries_asking, until the end of the step */
    INQUIRY_IN_LINE, /* in core.inquiries_in_line */
    INQUIRY_LOOKING,
    INQUIRY_WAITING /* in a list of its kind's own */
};

/* The first member of each kind's own struct. */
struct inquiry {
    const struct inquiry_kind *kind;
    uint64_t request_id;
    uint64_t ticket; /* in line: what must be on disk before it looks */
    enum inquiry_state state;
    struct connection *connection;
    struct core_reader *reader;      /* while it looks */
    struct inquiry_list *list;       /* that it is in; NULL: none */
    struct inquiry *previous, *next; /* there */
    struct inquiry *connection_previous, *connection_next;
};

/* A new one, of `size` bytes, zeroed but for its struct inquiry. NULL when there are too many, no memory, or the log has failed:
 * that was answered. */
void *inquiry_begin(struct core *core, struct connection *connection, uint64_t request_id, const struct inquiry_kind *kind,
                    size_t size);

/* It wants to look at the log. */
void inquiry_ask(struct core *core, struct inquiry *inquiry);
/* Into a list of its kind's own, out of any other. */
void inquiry_wait(struct core *core, struct inquiry *inquiry, struct inquiry_list *list);

/* It is about to be answered: nobody but the caller knows it any more, so that it stays if the connection is closed for want of
 * memory. Returns the connection. Then it is destroyed. */
struct connection *inquiry_leave(struct core *core, struct inquiry *inquiry);
void inquiry_destroy(struct core *core, struct inquiry *inquiry);
/* All three at once, with an error. */
void inquiry_refuse(struct core *core, struct inquiry *inquiry, struct refusal refusal, const char *text);

/* The connection is gone. */
void inquiry_drop_all(struct core *core, struct connection *connection);
/* Every one of them is answered with an error. */
void inquiry_refuse_all(struct core *core, struct refusal refusal, const char *text);

/* At the end of a step, when everything else is done. */
void inquiry_advance(struct core *core);

#endif
