/* template.h: texts with places: `dossier.event.{org:group}`. `{{` and `}}` stand for the braces themselves. In a place stands a
 * column's name, and behind it, each after a `|`, filters: `lower`, `upper` (ASCII letters), `trim`, `or:TEXT` (when the value is
 * empty).
 *
 * Layer: cli/import. Immutable after compiling. One thread. */
#ifndef TRUC_CLI_IMPORT_TEMPLATE_H
#define TRUC_CLI_IMPORT_TEMPLATE_H

#include "clients/cli/import/map.h"
#include "clients/cli/import/row.h"

struct template;

/* Maps by column: what --map named. */
struct template_maps {
    struct {
        uint32_t column;
        struct map *map;
        bool used;
    } * items;
    size_t count;
};

/* Compiles a text. Columns that are not seen yet get a number nevertheless. TRUC_USAGE naming `option` and the place;
 * TRUC_NO_MEMORY. */
truc_status template_compile(const char *option, const char *text, struct columns *columns, struct template_maps *maps,
                             struct template **ret_template, struct failure *failure);
void template_destroy(struct template *template);

/* The first column that the file does not have, if there is one. */
bool template_missing(const struct template *template, const struct columns *columns, uint32_t *ret_column);

const char *template_text(const struct template *template);
bool template_is_empty(const struct template *template); /* the empty text */

/* Parts, for those who treat literals and values differently. */
size_t template_part_count(const struct template *template);
bool template_part_is_place(const struct template *template, size_t part, uint32_t *ret_column);
struct bytes template_part_literal(const struct template *template, size_t part);

/* The value of a place in a row, filtered and mapped; borrowed from row, map, template or scratch until the next call.
 * TRUC_BAD_ROW when a map does not have it; TRUC_NO_MEMORY. */
truc_status template_part_value(const struct template *template, size_t part, const struct columns *columns, const struct row *row,
                                struct out *scratch, struct bytes *ret_value, struct failure *failure);

/* Appends everything. Statuses as above. */
truc_status template_expand(const struct template *template, const struct columns *columns, const struct row *row,
                            struct out *scratch, struct out *out, struct failure *failure);

#endif
