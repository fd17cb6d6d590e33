/* catalog_copy.h: the catalog's rows on their way from the log to the core. Layer: main. One thread.
 *
 * The log visits its rows while it opens, but the core can only be made once the log is open and has told who it is: so the rows
 * are kept in between, as bytes. */
#ifndef TRUC_MAIN_CATALOG_COPY_H
#define TRUC_MAIN_CATALOG_COPY_H

#include "proto/catalog.h"

struct catalog_chunk;

struct catalog_copy {
    struct catalog_chunk *first, *last;
};

/* A visitor that copies; its context is the copy. */
struct catalog_visitor catalog_copy_visitor(struct catalog_copy *copy);

/* Visits every row in the order it came, until one is refused. */
truc_status catalog_copy_visit(const struct catalog_copy *copy, const struct catalog_visitor *visitor);

void catalog_copy_fini(struct catalog_copy *copy);

#endif
