/* recalled.h: what a receiver is told of recalls beside the records it gets. Layer: core. One thread.
 *
 * Only recalls that are durable are told; whether one is its sender's own is for the receiver to see. A frame's header holds a
 * limited number: see each function. */
#ifndef TRUC_CORE_RECALLED_H
#define TRUC_CORE_RECALLED_H

#include "broker/core/core_internal.h"
#include "broker/core/share.h"
#include "truc/v1/wire.pb-c.h"

enum {
    READ_DATA_RECALLED_MAX = 200,
    DELIVER_RECALLED_MAX = GRANT_RECORDS_MAX,
    RECALLED_BYTES_MAX = 2 + 11 + 4 + 2 + AGENCY_BYTES_MAX + 11 /* of one in a header */
};

struct recalled {
    size_t count;
    Truc__V1__Recalled items[DELIVER_RECALLED_MAX], *pointers[DELIVER_RECALLED_MAX]; /* agencies are borrowed from the core */
};

/* *ret_recalled lives until the step ends; NULL when there is nothing to tell. False when out of memory. */

/* Of records that are leased: done->refs tells the entries that they are in. Each record that was recalled is told at least once,
 * by as many agencies as there is room. */
bool recalled_of_leases(struct core *core, const struct core_read_done *done, const struct share_lease *leases, size_t count,
                        struct recalled **ret_recalled);

/* Of whole entries. Those that would bring more than a frame tells are cut off *done, to be read again: its last entry is the last
 * one whose recalls are all told. Of one entry with more, the first ones are told. */
bool recalled_of_entries(struct core *core, struct core_read_done *done, struct recalled **ret_recalled);

static inline size_t recalled_bytes_max(const struct recalled *recalled)
{
    return recalled ? recalled->count * RECALLED_BYTES_MAX : 0;
}

#endif
