/* sequence.h: what each producer published to each topic, and the places of its last batches. Layer: core. One thread.
 * Numbers are dense per (producer, topic) from 0. The ring holds the last BATCHES_IN_FLIGHT_MAX results; the newest `pending` of
 * them are accepted but not yet durable, so no more batches than the ring holds are ever under way. */
#ifndef TRUC_CORE_SEQUENCE_H
#define TRUC_CORE_SEQUENCE_H

#include "broker/core/core_internal.h"

/* NULL when the producer has published nothing to the topic. */
struct sequence *sequence_find(const struct core *core, uint32_t producer, uint32_t topic, uint32_t *ret_index);
/* NULL when out of memory. */
struct sequence *sequence_create(struct core *core, uint32_t producer, uint32_t topic, uint32_t *ret_index);
void sequence_destroy(struct core *core, uint32_t index);

/* Makes room for one more result (with BATCHES_IN_FLIGHT_MAX of them the oldest gives way). */
bool sequence_reserve(struct sequence *sequence);
/* Adds a result and moves next on; room was reserved. */
void sequence_add(struct sequence *sequence, const struct sequence_result *result);

/* The next sequence as far as it is durable. */
uint64_t sequence_durable_next(const struct sequence *sequence);

/* What a batch is to its sequence. */
enum sequence_verdict {
    SEQUENCE_NEXT,     /* it follows */
    SEQUENCE_KNOWN,    /* stored before, *ret_result is where */
    SEQUENCE_STORED,   /* stored before, no longer known where */
    SEQUENCE_MISPLACED /* neither */
};
enum sequence_verdict sequence_judge(const struct sequence *sequence, uint64_t first, uint32_t record_count,
                                     struct sequence_result *ret_result, bool *ret_pending);

/* How order.h names sequences: by their topics. */
struct order_names sequence_order_names(const struct core *core);

#endif
