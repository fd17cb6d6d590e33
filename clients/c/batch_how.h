/* batch_how.h: how the records of a batch are published, beside what they are. Layer: libtruc. Pure. */
#ifndef TRUC_CLIENT_BATCH_HOW_H
#define TRUC_CLIENT_BATCH_HOW_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: at once, wherever the topic ends. */
struct batch_how {
    int64_t deliver_at_ns;
    uint64_t expected_offset;
    bool conditional; /* stored only at expected_offset; then the batch is of one record */
};

static inline bool batch_how_plain(const struct batch_how *how)
{
    return how->deliver_at_ns == 0 && !how->conditional;
}

/* Whether records published so may share a batch. A condition speaks of one record. */
static inline bool batch_how_alike(const struct batch_how *a, const struct batch_how *b)
{
    return !a->conditional && !b->conditional && a->deliver_at_ns == b->deliver_at_ns;
}

#endif
