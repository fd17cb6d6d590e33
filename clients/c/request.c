#include "clients/c/request.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void request_table_fini(struct request_table *table)
{
    free(table->slots);
    free(table->free_slots);
    *table = (struct request_table){0};
}

uint32_t request_count(const struct request_table *table)
{
    return table->capacity - table->free_count;
}

static truc_status grow(struct request_table *table)
{
    uint32_t capacity = table->capacity == 0 ? FIRST_CAPACITY : table->capacity * 2;
    struct request **slots;
    uint32_t *free_slots;

    if (capacity > 1u << REQUEST_SLOT_BITS)
        return TRUC_TOO_MANY;
    slots = realloc(table->slots, capacity * sizeof(struct request *));
    if (slots == NULL)
        return TRUC_NO_MEMORY;
    table->slots = slots;
    free_slots = realloc(table->free_slots, capacity * sizeof(uint32_t));
    if (free_slots == NULL)
        return TRUC_NO_MEMORY;
    table->free_slots = free_slots;
    for (uint32_t slot = capacity; slot-- > table->capacity;) {
        slots[slot] = NULL;
        free_slots[table->free_count++] = slot;
    }
    table->capacity = capacity;
    return TRUC_OK;
}

truc_status request_begin(struct request_table *table, struct request *request)
{
    uint32_t slot;

    if (table->free_count == 0) {
        truc_status status = grow(table);

        if (status != TRUC_OK)
            return status;
    }
    slot = table->free_slots[--table->free_count];
    table->slots[slot] = request;
    request->id = ++table->serial << REQUEST_SLOT_BITS | slot;
    return TRUC_OK;
}

void request_end(struct request_table *table, struct request *request)
{
    uint32_t slot = (uint32_t)(request->id & ((1u << REQUEST_SLOT_BITS) - 1));

    if (request->id == 0)
        return;
    table->slots[slot] = NULL;
    table->free_slots[table->free_count++] = slot;
    request->id = 0;
}

struct request *request_find(const struct request_table *table, uint64_t id)
{
    uint32_t slot = (uint32_t)(id & ((1u << REQUEST_SLOT_BITS) - 1));

    if (slot >= table->capacity || table->slots[slot] == NULL || table->slots[slot]->id != id)
        return NULL;
    return table->slots[slot];
}

void request_forget_all(struct request_table *table)
{
    for (uint32_t slot = 0; slot < table->capacity; slot++) {
        if (table->slots[slot] != NULL)
            request_end(table, table->slots[slot]);
    }
}
