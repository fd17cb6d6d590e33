/* fuzz_xes.c: any bytes as an XES file. Values must be text; the raw event of a row must be a piece of the input. */
#include "tests/fuzz/fuzz_input.h"

#include "clients/cli/import/rows.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    bool packed = size > 2 && data[0] == 0x1f && data[1] == 0x8b;
    int descriptor = fuzz_file(data, size, path);
    struct columns *columns = columns_create();
    struct rows *rows = NULL;
    struct failure failure;
    struct row row;
    check(columns != NULL);
    row_init(&row);
    if (rows_open(path, ROWS_XES, 0, columns, &rows, &failure) == TRUC_OK) {
        uint64_t number = 0;
        for (;;) {
            enum row_kind kind = rows_next(rows, &row, &failure);
            if (kind == ROW_END || kind == ROW_FAILED) {
                break;
            }
            check(row.number == ++number);
            check(packed || memmem(data, size, row.raw.data, row.raw.size - 1) != NULL); /* without the line end of its own */
            for (size_t i = 0; kind == ROW_GOOD && i < row.field_count; i++) {
                check(utf8_valid(row_field_value(&row, i)));
            }
        }
    }
    rows_close(rows);
    row_fini(&row);
    columns_destroy(columns);
    (void)close(descriptor);
    return 0;
}
