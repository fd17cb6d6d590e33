/* recalls.h: which records were recalled, by whom. Layer: core. One owner, one thread.
 *
 * One sorted list of (topic, offset, agency), kept in chunks: 24 bytes a recall, agencies' names once each, so that a million
 * recalls take 25 to 50 MB, a range of offsets is found by bisection, and adding one is one small move. Several agencies may recall
 * the same record; of each its first recall counts. Recalls are never forgotten.
 * A recall is here as soon as it is accepted: who tells of it compares its position with the durable head. */
#ifndef TRUC_CORE_RECALLS_H
#define TRUC_CORE_RECALLS_H

#include "broker/core/slab.h"
#include "broker/core/table.h"
#include "proto/bytes.h"

struct recalls_chunk;

struct recalls {
    struct recalls_chunk **chunks; /* owned, in order, none empty */
    uint32_t chunk_count, chunk_capacity;
    struct recalls_chunk *spare; /* owned list, for adding what was reserved */
    uint32_t spare_count;
    uint32_t count;         /* of recalls */
    struct bytes *agencies; /* owned; their texts, terminated, are in names */
    uint32_t agency_count, agency_capacity;
    struct table agencies_by_name;
    struct slab names;
};

struct recall {
    uint32_t topic; /* index */
    uint64_t offset, position;
    struct bytes agency; /* terminated, as long as the recalls live */
};

struct recalls_cursor {
    uint32_t chunk, index;
};

void recalls_init(struct recalls *recalls);
void recalls_fini(struct recalls *recalls);

/* The number of an agency, which is made if need be, for recalls_add. hash: of its name, always the same. False when out of
 * memory. */
bool recalls_agency(struct recalls *recalls, struct bytes agency, uint64_t hash, uint32_t *ret_agency);
/* The next `more` calls of recalls_add need no memory. False when out of memory; nothing changed. */
bool recalls_reserve(struct recalls *recalls, uint32_t more);

/* Whether this agency has recalled it. */
bool recalls_has(const struct recalls *recalls, uint32_t topic, uint64_t offset, uint32_t agency);
/* Adds one that was reserved. False when the agency has recalled it before: that recall stays. */
bool recalls_add(struct recalls *recalls, uint32_t topic, uint64_t offset, uint32_t agency, uint64_t position);

/* Before the first recall at or above an offset of a topic; they follow by topic and offset. Cursors are good until one is added.
 */
struct recalls_cursor recalls_from(const struct recalls *recalls, uint32_t topic, uint64_t offset);
bool recalls_next(const struct recalls *recalls, struct recalls_cursor *cursor, struct recall *ret_recall);

#endif
