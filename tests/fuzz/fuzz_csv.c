/* fuzz_csv.c: any bytes as a CSV file. What comes out must be text, and the raw rows must be pieces of the input, in order and
 * apart. */
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

static void check_row(const struct row *row, enum row_kind kind, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *found = row->raw.size == 0 ? *at : memmem(*at, (size_t)(end - *at), row->raw.data, row->raw.size);
    check(found != NULL);
    *at = found + row->raw.size;
    if (kind != ROW_GOOD) {
        return;
    }
    for (size_t i = 0; i < row->field_count; i++) {
        struct bytes value = row_field_value(row, i);
        check(utf8_valid(value) && (value.size == 0 || memchr(value.data, 0, value.size) == NULL));
        check(bytes_equal(value, row_value(row, row->fields[i].column)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char delimiters[] = {0, ',', ';', '\t'};
    char path[64];
    if (size == 0) {
        return 0;
    }
    char delimiter = delimiters[data[0] % sizeof delimiters];
    bool packed = size > 3 && data[1] == 0x1f && data[2] == 0x8b; /* then the rows are not pieces of the input */
    int descriptor = fuzz_file(data + 1, size - 1, path);
    struct columns *columns = columns_create();
    struct rows *rows = NULL;
    struct failure failure;
    struct row row;
    check(columns != NULL);
    row_init(&row);
    if (rows_open(path, ROWS_CSV, delimiter, columns, &rows, &failure) == TRUC_OK) {
        const uint8_t *at = data + 1, *end = data + size;
        uint64_t number = 0;
        for (;;) {
            enum row_kind kind = rows_next(rows, &row, &failure);
            if (kind == ROW_END || kind == ROW_FAILED) {
                break;
            }
            check(kind == ROW_REST || row.number == ++number);
            if (!packed) {
                check_row(&row, kind, &at, end);
            }
        }
    }
    rows_close(rows);
    row_fini(&row);
    columns_destroy(columns);
    (void)close(descriptor);
    return 0;
}
