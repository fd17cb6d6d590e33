#include "clients/cli/import/rows.h"

#include <strings.h>

#include "clients/cli/import/csv.h"
#include "clients/cli/import/jsonl.h"
#include "clients/cli/import/xes.h"

static const struct {
    const char *name;
    enum rows_format format;
} formats[] = {{"csv", ROWS_CSV}, {"xes", ROWS_XES}, {"jsonl", ROWS_JSONL}, {"tsv", ROWS_CSV}, {"ndjson", ROWS_JSONL}};

enum rows_format rows_format_named(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcasecmp(name, formats[i].name) == 0) {
            return formats[i].format;
        }
    }
    return ROWS_UNKNOWN;
}

const char *rows_format_name(enum rows_format format)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i].format == format) {
            return formats[i].name;
        }
    }
    return "unknown";
}

enum rows_format rows_format_of_path(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base == NULL ? path : base + 1;
    size_t size = strlen(base);
    if (size > 3 && strcasecmp(base + size - 3, ".gz") == 0) {
        size -= 3;
    }
    size_t dot = size;
    while (dot > 0 && base[dot - 1] != '.') {
        dot--;
    }
    char extension[8];
    if (dot == 0 || size - dot >= sizeof extension) {
        return ROWS_UNKNOWN;
    }
    memcpy(extension, base + dot, size - dot);
    extension[size - dot] = '\0';
    return rows_format_named(extension);
}

truc_status rows_open(const char *path, enum rows_format format, char delimiter, struct columns *columns, struct rows **ret_rows,
                      struct failure *failure)
{
    struct source *source;
    truc_status status = source_open(path, &source, failure);
    if (status != TRUC_OK) {
        return status;
    }
    switch (format) {
    case ROWS_CSV:
        return csv_open(source, delimiter, columns, ret_rows, failure);
    case ROWS_XES:
        return xes_open(source, columns, ret_rows, failure);
    case ROWS_JSONL:
        return jsonl_open(source, columns, ret_rows, failure);
    case ROWS_UNKNOWN:
        break;
    }
    source_close(source);
    return failure_set(failure, TRUC_USAGE, "the format of %s is not known", path);
}

void rows_close(struct rows *rows)
{
    if (rows != NULL) {
        rows->reader->close(rows);
    }
}

enum row_kind rows_next(struct rows *rows, struct row *row, struct failure *failure)
{
    row_clear(row);
    return rows->reader->next(rows, row, failure);
}

struct bytes rows_heading(const struct rows *rows)
{
    return rows->reader->heading != NULL ? rows->reader->heading(rows) : bytes_of(NULL, 0);
}

double rows_progress(const struct rows *rows)
{
    return source_progress(rows->source);
}
