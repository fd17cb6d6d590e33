/* hand.h: the leases that a worker of a shared subscription holds: given by the broker and not settled yet.
 *
 * Layer: libtruc. Under the client's lock. The application knows a lease by the worker's own number, which is never used twice; the
 * broker's numbers begin anew when it restarts, and an old one must not settle another record. Records of one DELIVER have
 * consecutive numbers of both kinds: one row holds them all. */
#ifndef TRUC_CLIENT_HAND_H
#define TRUC_CLIENT_HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hand_row {
    uint64_t first, lease; /* the worker's number and the broker's lease of the first record */
    uint32_t count, open;  /* records; of them not settled */
    uint64_t *settled;     /* a bit per record */
};

struct hand {
    struct hand_row *rows; /* ascending; [begin, begin + count) are in use */
    size_t begin, count, capacity;
};

void hand_fini(struct hand *hand);
void hand_clear(struct hand *hand);

/* Takes `count` records numbered from `first`, above all before. False when out of memory. */
bool hand_add(struct hand *hand, uint64_t first, uint64_t lease, uint32_t count);

/* The row that holds a number which is not settled yet; NULL: the lease is not held. Valid until the next call but hand_lease. */
struct hand_row *hand_find(struct hand *hand, uint64_t number);

static inline uint64_t hand_lease(const struct hand_row *row, uint64_t number)
{
    return row->lease + (number - row->first);
}

/* The number, found just now, is held no more. */
void hand_settle(struct hand *hand, struct hand_row *row, uint64_t number);

/* The next run of held leases at or above *number, none of which may be settled: how many; 0: there is none. */
uint32_t hand_run(const struct hand *hand, uint64_t *number, uint64_t *ret_lease);

#endif
