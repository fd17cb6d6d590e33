/* draft.h: what one step of the core wants written. Layer: main. One owner at a time: the core thread stages, the log thread
 * commits, then it is used again. */
#ifndef TRUC_MAIN_DRAFT_H
#define TRUC_MAIN_DRAFT_H

#include "broker/core/core.h"
#include "broker/log/engine.h"
#include "broker/main/publish.h"

struct draft_item {
    struct log_append append; /* leaf, batch and directory are set by draft_collect */
    size_t leaf_offset;
    struct core_prepared *prepared; /* freed by prepared_free */
};

struct draft {
    struct draft *next;
    struct draft_item *items;
    size_t item_count, item_capacity;
    uint8_t *leaves, *deltas;
    size_t leaves_size, leaves_capacity, deltas_size, deltas_capacity;
    uint32_t delta_count;
    uint64_t ticket; /* the last one */
    size_t bytes;    /* of everything, roughly what it will take in a block */
};

/* False: no memory, nothing was added; on success what was prepared is the draft's. */
bool draft_append(struct draft *draft, const struct core_effect *effect);
bool draft_delta(struct draft *draft, const struct core_effect *effect);

/* Writes the appends one after the other to `out` (draft->item_count of them); they borrow from the draft and what was prepared. */
void draft_collect(const struct draft *draft, struct log_append *out);

/* Frees what was prepared; keeps moderate memory for the next use. */
void draft_reset(struct draft *draft);
void draft_destroy(struct draft *draft); /* NULL is allowed */

#endif
