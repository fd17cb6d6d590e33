/* rows.h: a file as rows, whatever its format: the seam between the readers (csv, xes, jsonl) and everything else.
 *
 * Layer: cli/import. Memory is bounded by the largest row (bounds.h). One thread. */
#ifndef TRUC_CLI_IMPORT_ROWS_H
#define TRUC_CLI_IMPORT_ROWS_H

#include "clients/cli/import/row.h"
#include "clients/cli/import/source.h"

enum rows_format { ROWS_UNKNOWN, ROWS_CSV, ROWS_XES, ROWS_JSONL };

enum row_kind {
    ROW_GOOD,
    ROW_BAD,  /* this row cannot be read; failure says why, row->raw holds it; the next one can */
    ROW_REST, /* not a row: row->raw holds more of the bad row before, which was too long to be held at once */
    ROW_END,
    ROW_FAILED /* the file cannot be read further; failure says why */
};

struct rows;

/* What a reader implements. */
struct rows_reader {
    enum row_kind (*next)(struct rows *rows, struct row *row, struct failure *failure);
    void (*close)(struct rows *rows);
    struct bytes (*heading)(const struct rows *rows); /* NULL: has none */
};
struct rows {
    const struct rows_reader *reader;
    struct source *source;
};

/* By name ("csv", "xes", "jsonl"), or by a path's extension, with or without ".gz". ROWS_UNKNOWN when there is none such. */
enum rows_format rows_format_named(const char *name);
enum rows_format rows_format_of_path(const char *path);
const char *rows_format_name(enum rows_format format);

/* Opens a file. delimiter 0: chosen by the first line (CSV only). Statuses of source_open, and TRUC_BAD_ROW when the file
 * does not begin as its format does; failure is set. */
truc_status rows_open(const char *path, enum rows_format format, char delimiter, struct columns *columns, struct rows **ret_rows,
                      struct failure *failure);
void rows_close(struct rows *rows); /* NULL is allowed */

/* The next row. For ROW_BAD and ROW_FAILED failure is set; ROW_BAD always with TRUC_BAD_ROW. */
enum row_kind rows_next(struct rows *rows, struct row *row, struct failure *failure);

/* What stands before the rows in the file and is needed to read a row by itself: the header of a CSV file, as it came. */
struct bytes rows_heading(const struct rows *rows);

double rows_progress(const struct rows *rows);

#endif
