/* map.h: --map COLUMN=FILE: values of a column under other names. The file is CSV of two fields a row, without a header: value,
 * name.
 *
 * Layer: cli/import. Values are compared in NFC. Immutable after loading; bounded by IMPORT_MAP_ROWS_MAX. One thread. */
#ifndef TRUC_CLI_IMPORT_MAP_H
#define TRUC_CLI_IMPORT_MAP_H

#include "clients/cli/import/failure.h"

struct map;

/* TRUC_IO, TRUC_BAD_CONFIG (a row that is not two fields, a value with two names; file and line are named), TRUC_TOO_MANY,
 * TRUC_NO_MEMORY; failure is set. */
truc_status map_load(const char *path, struct map **ret_map, struct failure *failure);
void map_destroy(struct map *map);

/* The name of a value; borrowed. False when the file has none. */
bool map_find(const struct map *map, struct bytes value, struct bytes *ret_name);

const char *map_path(const struct map *map);
size_t map_count(const struct map *map);

/* The value and name at an index below map_count, in the file's order. */
void map_at(const struct map *map, size_t index, struct bytes *ret_value, struct bytes *ret_name);

#endif
