/* columns.h: the names of a file's columns. A name gets its number when a template or the file mentions it first; it is `seen` once
 * the file has it. CSV has seen all of them after its header, XES and JSON lines as they go.
 *
 * Layer: cli/import. Lives through all passes over a file. One thread. */
#ifndef TRUC_CLI_IMPORT_COLUMNS_H
#define TRUC_CLI_IMPORT_COLUMNS_H

#include "clients/cli/import/failure.h"

struct columns;

struct columns *columns_create(void); /* NULL when out of memory */
void columns_destroy(struct columns *columns);

/* The number of a name. TRUC_TOO_MANY, TRUC_INVALID_ARGUMENT (name too long), TRUC_NO_MEMORY, with failure set. */
truc_status columns_number(struct columns *columns, struct bytes name, bool seen, uint32_t *ret_column, struct failure *failure);

struct bytes columns_name(const struct columns *columns, uint32_t column); /* terminated; until the next columns_number */
bool columns_seen(const struct columns *columns, uint32_t column);
size_t columns_count(const struct columns *columns);

/* The seen column whose name is nearest, or NULL. */
const char *columns_nearest(const struct columns *columns, struct bytes name);

#endif
