/* order.h: numbers kept in the byte order of the names they stand for. Layer: core. One owner, one thread.
 *
 * For pages: "the topics after this one". A sorted list of sorted chunks, 4 bytes a number and at most 256 numbers a chunk, so
 * that adding one costs some twenty comparisons and one small move, and never a sort. The names are the caller's. */
#ifndef TRUC_CORE_ORDER_H
#define TRUC_CORE_ORDER_H

#include "proto/bytes.h"

struct order_chunk;

struct order {
    struct order_chunk **chunks; /* owned */
    uint32_t chunk_count, chunk_capacity;
};

/* How the caller's numbers are named. */
struct order_names {
    struct bytes (*name)(const void *context, uint32_t item);
    const void *context;
};

struct order_cursor {
    uint32_t chunk, index;
};

void order_fini(struct order *order);

/* Adds a number whose name is not yet there. False when out of memory: nothing changed. */
bool order_add(struct order *order, const struct order_names *names, uint32_t item);
/* Removes a number that is there. */
void order_remove(struct order *order, const struct order_names *names, uint32_t item);

/* Before the first one whose name is greater than `after`. Cursors are good until the order changes. */
struct order_cursor order_after(const struct order *order, const struct order_names *names, struct bytes after);
bool order_next(const struct order *order, struct order_cursor *cursor, uint32_t *ret_item);

/* memcmp's order; a prefix comes first. */
int order_compare(struct bytes a, struct bytes b);

#endif
