/* agenda.h: what is to happen, and when. Layer: test of core. Things of one moment happen in the order they were added. */
#ifndef TRUC_TESTS_SIM_AGENDA_H
#define TRUC_TESTS_SIM_AGENDA_H

#include "sim.h"

enum occurrence_kind {
    OCCUR_UP,        /* message: a frame reaches the broker */
    OCCUR_DOWN,      /* message: a frame reaches its client */
    OCCUR_LOST,      /* number: the broker learns that a connection is gone */
    OCCUR_GONE,      /* number: the client does */
    OCCUR_CLIENT,    /* number: a client's turn */
    OCCUR_COMMIT,    /* the block under way is on disk */
    OCCUR_COMMITTED, /* the core learns it: ticket in number, head in message; no message: it failed */
    OCCUR_READING,   /* message: an answer to one of the core's readings */
    OCCUR_WAKE,      /* the core asked for it */
    OCCUR_FAULT      /* something goes wrong */
};

struct occurrence {
    int64_t at_ns; /* boot clock */
    uint64_t order;
    enum occurrence_kind kind;
    uint32_t life; /* of the core it is for; else 0 */
    uint64_t number;
    void *message; /* owned: from take_memory */
};

void agenda_clear(void);
void agenda_add(int64_t at_ns, enum occurrence_kind kind, uint32_t life, uint64_t number, void *message);
/* The next one; NULL when nothing is to happen. */
const struct occurrence *agenda_next(void);
struct occurrence agenda_take(void);

#endif
