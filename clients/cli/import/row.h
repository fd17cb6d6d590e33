/* row.h: one row of a file, whatever its format: values by column, in the file's order, and the bytes as they came.
 *
 * Layer: cli/import. Reused from row to row: memory grows to the largest row (bounds.h) and stays. One thread. */
#ifndef TRUC_CLI_IMPORT_ROW_H
#define TRUC_CLI_IMPORT_ROW_H

#include "clients/cli/import/columns.h"
#include "clients/cli/output.h"

struct row_field {
    uint32_t column;
    size_t at, size; /* of the value, in `text` */
};

struct row {
    uint64_t number; /* from 1, among the rows of the file; bad rows count, headers and blank lines do not */
    uint64_t line;   /* where it begins, from 1 */
    struct out raw;  /* as it came, with its line end */
    struct out text; /* values, one behind the other */
    struct row_field *fields;
    size_t field_count, field_capacity;
    struct bytes payload; /* the row as JSON, when the file holds it so (borrowed from raw); else empty */
    /* private: where each column stands in this row */
    struct row_slot {
        uint64_t round;
        uint32_t field;
    } * slots;
    size_t slot_count;
    uint64_t round;
};

void row_init(struct row *row);
void row_fini(struct row *row);
void row_clear(struct row *row);

/* Adds a value. *ret_twice: the row has this column already, nothing was added. TRUC_NO_MEMORY. */
truc_status row_add(struct row *row, uint32_t column, struct bytes value, bool *ret_twice);

/* Adds a value that stands already in row->text, from `at` to its end. */
truc_status row_add_here(struct row *row, uint32_t column, size_t at, bool *ret_twice);

/* Appends all fields of another row. *ret_twice as above, for the first that is there already. */
truc_status row_add_all(struct row *row, const struct row *from, bool *ret_twice, uint32_t *ret_column);

/* Borrowed until the row changes. Empty when the row has no such column. */
struct bytes row_value(const struct row *row, uint32_t column);
struct bytes row_field_value(const struct row *row, size_t field);

#endif
