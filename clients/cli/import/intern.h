/* intern.h: a bounded set of texts, each with a dense number from 0 in the order they were added.
 *
 * Layer: cli/import. Owns copies of the texts. One thread. Columns, topics, slugs and translations are arrays beside one of these.
 */
#ifndef TRUC_CLI_IMPORT_INTERN_H
#define TRUC_CLI_IMPORT_INTERN_H

#include "proto/bytes.h"
#include "proto/status.h"

struct intern;

/* At most count_max texts of bytes_max bytes together. NULL when out of memory. */
struct intern *intern_create(size_t count_max, size_t bytes_max);
void intern_destroy(struct intern *intern); /* NULL is allowed */

/* The number of a text, added when it is new. TRUC_TOO_MANY beyond the bounds, TRUC_NO_MEMORY. */
truc_status intern_add(struct intern *intern, struct bytes text, uint32_t *ret_number, bool *ret_new);

bool intern_find(const struct intern *intern, struct bytes text, uint32_t *ret_number);

/* The text with a number; followed by a zero byte; borrowed until the next intern_add. */
struct bytes intern_at(const struct intern *intern, uint32_t number);

size_t intern_count(const struct intern *intern);

/* Grows an array that stands beside an intern so that it has an element for each text: new elements are zero. */
truc_status intern_array_fit(const struct intern *intern, void **array, size_t *capacity, size_t element_size);

#endif
