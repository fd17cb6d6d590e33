/* mark.h: how far a worker of an ordered subscription has come: which position is reached when which of its records is
 * acknowledged.
 *
 * Layer: libtruc. Under the client's lock. Records have the worker's own ascending numbers; an acknowledgement means its record and
 * all before it. A position is resolved when the last record that was wanted below it is acknowledged. */
#ifndef TRUC_CLIENT_MARK_H
#define TRUC_CLIENT_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mark {
    uint64_t number, position; /* when all records up to `number` are acknowledged, all below `position` is resolved */
};

enum { MARKS_MAX = 65536 };

struct marks {
    struct mark *marks; /* both ascending; [begin, begin + count) are in use */
    size_t begin, count, capacity;
    uint64_t floor;        /* numbers up to it are of an earlier connection */
    uint64_t acknowledged; /* the highest number that was */
    struct mark reached;   /* the last one passed */
};

void marks_fini(struct marks *marks);

/* Begins anew at a position, with the records behind `number`. */
void marks_reset(struct marks *marks, uint64_t number, uint64_t position);

/* The entries below `position` hold no wanted records above `number`. Out of memory or of room, and the mark takes the place of the
 * last one, so that the records between are only resolved together. */
void marks_add(struct marks *marks, uint64_t number, uint64_t position);

/* All records up to `number` are done. */
void marks_acknowledge(struct marks *marks, uint64_t number);

#endif
