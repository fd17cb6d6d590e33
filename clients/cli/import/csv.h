/* csv.h: a CSV file (RFC 4180) as rows. Layer: cli/import; behind rows.h.
 *
 * The first line names the columns. Quoted fields may hold delimiters, line ends and doubled quotes; a quote within an unquoted
 * field is an ordinary character. Lines end in LF or CR LF. Blank lines are skipped. A byte order mark is dropped. */
#ifndef TRUC_CLI_IMPORT_CSV_H
#define TRUC_CLI_IMPORT_CSV_H

#include "clients/cli/import/rows.h"

/* Takes the source, also when it fails. delimiter 0: whichever of , ; and tab the first line holds most of. */
truc_status csv_open(struct source *take_source, char delimiter, struct columns *columns, struct rows **ret_rows,
                     struct failure *failure);

/* Reads rows without a header: for files that are tables of a known width. Columns get the names "1", "2", ... */
truc_status csv_open_bare(struct source *take_source, size_t width, struct columns *columns, struct rows **ret_rows,
                          struct failure *failure);

#endif
