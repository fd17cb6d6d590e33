/* xes.h: an event log in XES (IEEE 1849) as rows, one per event. Layer: cli/import; behind rows.h.
 *
 * Columns: an event's attribute is named by its key; one of its trace by `case:` and its key; a nested one by its path, `a/b`; an
 * item of a list by the list's path and its number from 0, `l/0`, with `:key` behind it when it has a key. Values are the texts
 * in the file, whatever the attribute's type. Extensions, classifiers and the log's own attributes are passed over; global
 * attributes only make their names known. Elements in another namespace than the root's are passed over.
 *
 * XML is read as a stream. Entity declarations are refused: a few hundred bytes of them can unfold to gigabytes. */
#ifndef TRUC_CLI_IMPORT_XES_H
#define TRUC_CLI_IMPORT_XES_H

#include "clients/cli/import/rows.h"

/* Takes the source, also when it fails. */
truc_status xes_open(struct source *take_source, struct columns *columns, struct rows **ret_rows, struct failure *failure);

#endif
