#include "broker/main/id_map.h"

#include <stdlib.h>

static size_t home(const struct id_map *map, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 32) & (map->capacity - 1);
}

void id_map_fini(struct id_map *map)
{
    free(map->slots);
    *map = (struct id_map){0};
}

static void place(struct id_map *map, uint64_t id, void *value)
{
    size_t i = home(map, id);
    while (map->slots[i].id != 0) {
        i = (i + 1) & (map->capacity - 1);
    }
    map->slots[i] = (struct id_map_slot){id, value};
    map->count++;
}

static bool grow(struct id_map *map)
{
    struct id_map old = *map;
    size_t capacity = old.capacity == 0 ? 64 : old.capacity * 2;
    struct id_map_slot *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    *map = (struct id_map){.slots = slots, .capacity = capacity};
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].id != 0) {
            place(map, old.slots[i].id, old.slots[i].value);
        }
    }
    free(old.slots);
    return true;
}

bool id_map_put(struct id_map *map, uint64_t id, void *value)
{
    if (map->count * 2 >= map->capacity && !grow(map)) {
        return false;
    }
    place(map, id, value);
    return true;
}

static size_t find(const struct id_map *map, uint64_t id)
{
    if (map->capacity == 0) {
        return SIZE_MAX;
    }
    size_t i = home(map, id);
    while (map->slots[i].id != 0 && map->slots[i].id != id) {
        i = (i + 1) & (map->capacity - 1);
    }
    return map->slots[i].id == id ? i : SIZE_MAX;
}

void *id_map_get(const struct id_map *map, uint64_t id)
{
    size_t i = find(map, id);
    return i == SIZE_MAX ? NULL : map->slots[i].value;
}

/* Closes the hole by moving back what had to probe past it. */
static void close_hole(struct id_map *map, size_t hole)
{
    size_t mask = map->capacity - 1;
    for (size_t i = (hole + 1) & mask; map->slots[i].id != 0; i = (i + 1) & mask) {
        size_t at = home(map, map->slots[i].id);
        if (((i - at) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].id = 0;
    map->count--;
}

void *id_map_take(struct id_map *map, uint64_t id)
{
    size_t i = find(map, id);
    if (i == SIZE_MAX) {
        return NULL;
    }
    void *value = map->slots[i].value;
    close_hole(map, i);
    return value;
}

void *id_map_take_any(struct id_map *map)
{
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].id != 0) {
            return id_map_take(map, map->slots[i].id);
        }
    }
    return NULL;
}
