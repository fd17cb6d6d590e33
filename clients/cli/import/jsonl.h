/* jsonl.h: JSON lines as rows, one object per line. Layer: cli/import; behind rows.h.
 *
 * Columns: members are named by their keys, nested ones by their path, `a/b`, elements of arrays by their number, `a/0`. Texts are
 * as they are, numbers and true/false as JSON writes them, null and empty containers are absent. The payload is the line itself. */
#ifndef TRUC_CLI_IMPORT_JSONL_H
#define TRUC_CLI_IMPORT_JSONL_H

#include "clients/cli/import/rows.h"

/* Takes the source, also when it fails. */
truc_status jsonl_open(struct source *take_source, struct columns *columns, struct rows **ret_rows, struct failure *failure);

#endif
