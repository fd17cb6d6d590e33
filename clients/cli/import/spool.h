/* spool.h: built records in a temporary file, read back in the order of their times.
 *
 * Layer: cli/import. The file is unlinked at once, so nothing is left behind. The index takes 16 bytes a record. One thread. */
#ifndef TRUC_CLI_IMPORT_SPOOL_H
#define TRUC_CLI_IMPORT_SPOOL_H

#include "clients/cli/import/built.h"

struct spool;

truc_status spool_create(struct spool **ret_spool, struct failure *failure); /* TRUC_IO, TRUC_NO_MEMORY */
void spool_destroy(struct spool *spool);                                     /* NULL is allowed */

/* TRUC_TOO_MANY beyond IMPORT_SORT_ROWS_MAX, TRUC_IO, TRUC_NO_MEMORY. */
truc_status spool_add(struct spool *spool, const struct built *built, struct failure *failure);

/* Orders by time; records of the same time stay as they were added. TRUC_IO. */
truc_status spool_sort(struct spool *spool, struct failure *failure);

void spool_rewind(struct spool *spool);

/* The next record, borrowed until the next call. *ret_more false: there is none. TRUC_IO, TRUC_NO_MEMORY. */
truc_status spool_next(struct spool *spool, struct built *ret_built, bool *ret_more, struct failure *failure);

double spool_progress(const struct spool *spool);

#endif
