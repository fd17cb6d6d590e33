/* hand.h: the leases that the application of a worker holds: given to it and not settled yet. Shared subscriptions only.
 *
 * Layer: libtruc. Under the client's lock. The application knows a lease by the worker's own number, which is never used twice; the
 * broker's numbers begin anew when it restarts, and an old one must not settle another record. Numbers are given without gaps when
 * records are handed over, so a row holds those of HAND_ROW_RECORDS numbers:
 *
 *   row 0: numbers 0..63   row 1: 64..127   ...   the last row is filled; rows that are wholly settled are gone */
#ifndef TRUC_CLIENT_HAND_H
#define TRUC_CLIENT_HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HAND_ROW_RECORDS = 64 };

struct hand_item {
    uint64_t lease; /* the broker's; 0: not held */
    uint64_t key;   /* whose turn it has (turns.h); 0: of no key */
};

struct hand_row {
    uint64_t first; /* a multiple of HAND_ROW_RECORDS */
    uint32_t open;  /* items that are held */
    struct hand_item items[HAND_ROW_RECORDS];
};

struct hand {
    struct hand_row **rows; /* ascending; [begin, begin + count) are in use */
    size_t begin, count, capacity;
    struct hand_row *spare; /* for reuse; NULL: none */
};

void hand_fini(struct hand *hand);
void hand_clear(struct hand *hand);

/* Takes a record under a number above all before. False when out of memory. */
bool hand_add(struct hand *hand, uint64_t number, struct hand_item item);

/* What is held under a number; NULL: nothing. Valid until the next call. */
const struct hand_item *hand_find(const struct hand *hand, uint64_t number);

/* A number that is held is held no more. */
void hand_settle(struct hand *hand, uint64_t number);

#endif
