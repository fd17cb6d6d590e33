/* reading.h: one reader of the core's, as the reader pool keeps it: what it asks, and its answers. Layer: main.
 *
 * The pool's mutex guards the fields above `log_reader`; those from it on belong to the worker that has the reading in hand. */
#ifndef TRUC_MAIN_READING_H
#define TRUC_MAIN_READING_H

#include "broker/log/engine.h"
#include "broker/main/letter.h"

enum reading_state { READING_IDLE, READING_QUEUED, READING_RUNNING, READING_HELD /* until its blocks have gone out */ };

struct reading {
    struct reading *next; /* in the pool's queue */
    void *pool;
    enum reading_state state;
    bool closed;
    unsigned unsent;      /* blocks not given back */
    unsigned letters_out; /* of the two */
    unsigned turn;
    struct letter letters[2]; /* a request may be made while the answer before it is still being stepped */
    bool opening;             /* the request: resolve, or */
    uint64_t from, until;     /* read */
    uint32_t bytes_max, entries_max;

    struct log_reader *log_reader;
    struct core_read_spec spec; /* its texts are in texts */
    uint8_t texts[];
};

struct reading *reading_create(uint64_t number, const struct core_read_spec *spec); /* NULL: no memory */
void reading_destroy(struct reading *reading);

/* What the bounds mean, into a CORE_READ_RESOLVED. */
void reading_resolve(struct reading *reading, struct log *log, struct letter *letter);

#endif
