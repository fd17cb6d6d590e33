/* table.h: an open-addressing hash table from hashes to numbers. Layer: core. One owner, one thread.
 *
 * It holds no keys: a slot is 32 bits of the key's hash and a number (an index into a pool); the caller compares the key of each
 * candidate with its own. Linear probing, at most three quarters full, removal by shifting back, so no tombstones.
 *
 *     uint32_t index;
 *     for (struct table_probe probe = table_probe(&table, hash); table_next(&table, &probe, &index);)
 *         if (the key of index is mine) ... */
#ifndef TRUC_CORE_TABLE_H
#define TRUC_CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint32_t tag;   /* low half of the hash; also decides the home slot */
    uint32_t value; /* number + 1; 0: free */
};

struct table {
    struct table_slot *slots; /* owned; NULL while empty */
    uint32_t mask, count;
};

struct table_probe {
    uint32_t at, tag;
};

void table_fini(struct table *table);

/* Makes room for `more` further values. False when out of memory; the table is then unchanged. */
bool table_reserve(struct table *table, uint32_t more);

/* Adds a value; room was reserved. The same pair must not be added twice. */
void table_add(struct table *table, uint64_t hash, uint32_t value);

/* Removes a value that was added under this hash; it may stand under others, too. */
void table_remove(struct table *table, uint64_t hash, uint32_t value);

static inline struct table_probe table_probe(const struct table *table, uint64_t hash)
{
    return (struct table_probe){(uint32_t)hash & table->mask, (uint32_t)hash};
}

/* The next candidate with this hash. */
static inline bool table_next(const struct table *table, struct table_probe *probe, uint32_t *ret_value)
{
    if (!table->slots)
        return false;
    for (;;) {
        struct table_slot slot = table->slots[probe->at];

        if (slot.value == 0)
            return false;
        probe->at = (probe->at + 1) & table->mask;
        if (slot.tag == probe->tag) {
            *ret_value = slot.value - 1;
            return true;
        }
    }
}

/* Spreads the bits of a number (the finalizer of splitmix64). */
static inline uint64_t table_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
