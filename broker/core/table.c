#include "table.h"

#include <stdlib.h>

#include "invariant.h"

enum { TABLE_SLOTS_MIN = 16 };

void table_fini(struct table *table)
{
    free(table->slots);
    *table = (struct table){0};
}

static void place(struct table_slot *slots, uint32_t mask, struct table_slot slot)
{
    uint32_t at = slot.tag & mask;

    while (slots[at].value != 0)
        at = (at + 1) & mask;
    slots[at] = slot;
}

bool table_reserve(struct table *table, uint32_t more)
{
    uint64_t wanted = (uint64_t)table->count + more;
    uint64_t size = table->slots ? (uint64_t)table->mask + 1 : TABLE_SLOTS_MIN;
    struct table_slot *slots;

    while (wanted * 4 > size * 3)
        size *= 2;
    if (table->slots && size == (uint64_t)table->mask + 1)
        return true;
    if (size > UINT32_MAX)
        return false;
    slots = calloc((size_t)size, sizeof *slots);
    if (!slots)
        return false;
    if (table->slots) {
        for (uint64_t i = 0; i <= table->mask; i++) {
            if (table->slots[i].value != 0)
                place(slots, (uint32_t)(size - 1), table->slots[i]);
        }
    }
    free(table->slots);
    table->slots = slots;
    table->mask = (uint32_t)(size - 1);
    return true;
}

void table_add(struct table *table, uint64_t hash, uint32_t value)
{
    CORE_INVARIANT(table->slots && ((uint64_t)table->count + 1) * 4 <= ((uint64_t)table->mask + 1) * 3);
    place(table->slots, table->mask, (struct table_slot){(uint32_t)hash, value + 1});
    table->count++;
}

void table_remove(struct table *table, uint64_t hash, uint32_t value)
{
    struct table_slot *slots = table->slots;
    uint32_t mask = table->mask;
    uint32_t hole = (uint32_t)hash & mask;

    CORE_INVARIANT(slots);
    while (slots[hole].value != value + 1 || slots[hole].tag != (uint32_t)hash) {
        CORE_INVARIANT(slots[hole].value != 0);
        hole = (hole + 1) & mask;
    }
    /* Whatever follows in the run and would no longer be found from its home slot moves into the hole. */
    for (uint32_t at = (hole + 1) & mask; slots[at].value != 0; at = (at + 1) & mask) {
        uint32_t home = slots[at].tag & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole] = (struct table_slot){0};
    table->count--;
}
