/* id_map.h: numbers to pointers: open addressing, linear probing. Layer: main. One owner; numbers are never 0. */
#ifndef TRUC_MAIN_ID_MAP_H
#define TRUC_MAIN_ID_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_map_slot {
    uint64_t id; /* 0: empty */
    void *value;
};

struct id_map {
    struct id_map_slot *slots;
    size_t capacity, count; /* capacity is a power of two or 0 */
};

void id_map_fini(struct id_map *map);                          /* the values are the caller's */
bool id_map_put(struct id_map *map, uint64_t id, void *value); /* a new id; false: no memory */
void *id_map_get(const struct id_map *map, uint64_t id);       /* NULL: none */
void *id_map_take(struct id_map *map, uint64_t id);            /* removes */
void *id_map_take_any(struct id_map *map);                     /* NULL when empty */

#endif
