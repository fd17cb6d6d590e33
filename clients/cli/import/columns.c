#include "clients/cli/import/columns.h"

#include <stdlib.h>

#include "clients/cli/import/bounds.h"
#include "clients/cli/import/intern.h"
#include "clients/cli/option.h"

struct columns {
    struct intern *names;
    bool *seen;
    size_t seen_capacity;
};

struct columns *columns_create(void)
{
    struct columns *columns = calloc(1, sizeof *columns);
    if (columns == NULL) {
        return NULL;
    }
    columns->names = intern_create(IMPORT_COLUMNS_MAX, (size_t)IMPORT_COLUMNS_MAX * IMPORT_COLUMN_BYTES_MAX);
    if (columns->names == NULL) {
        free(columns);
        return NULL;
    }
    return columns;
}

void columns_destroy(struct columns *columns)
{
    if (columns == NULL) {
        return;
    }
    intern_destroy(columns->names);
    free(columns->seen);
    free(columns);
}

truc_status columns_number(struct columns *columns, struct bytes name, bool seen, uint32_t *ret_column, struct failure *failure)
{
    if (name.size > IMPORT_COLUMN_BYTES_MAX) {
        return failure_set(failure, TRUC_INVALID_ARGUMENT, "the name of column %s is longer than %d bytes", quote(name).text,
                           IMPORT_COLUMN_BYTES_MAX);
    }
    uint32_t column;
    bool fresh;
    truc_status status = intern_add(columns->names, name, &column, &fresh);
    if (status == TRUC_OK) {
        void *array = columns->seen;
        status = intern_array_fit(columns->names, &array, &columns->seen_capacity, sizeof *columns->seen);
        columns->seen = array;
    }
    if (status == TRUC_TOO_MANY) {
        return failure_set(failure, status, "more than %d different columns", IMPORT_COLUMNS_MAX);
    }
    if (status != TRUC_OK) {
        return failure_set(failure, status, "while keeping the names of columns");
    }
    columns->seen[column] |= seen;
    *ret_column = column;
    return TRUC_OK;
}

struct bytes columns_name(const struct columns *columns, uint32_t column)
{
    return intern_at(columns->names, column);
}

bool columns_seen(const struct columns *columns, uint32_t column)
{
    return columns->seen[column];
}

size_t columns_count(const struct columns *columns)
{
    return intern_count(columns->names);
}

static const char *seen_name_at(const void *names, size_t index)
{
    const struct columns *columns = names;
    return columns->seen[index] ? (const char *)intern_at(columns->names, (uint32_t)index).data : "";
}

const char *columns_nearest(const struct columns *columns, struct bytes name)
{
    char word[IMPORT_COLUMN_BYTES_MAX + 1];
    if (name.size >= sizeof word) {
        return NULL;
    }
    memcpy(word, name.data, name.size);
    word[name.size] = '\0';
    return cli_nearest(word, seen_name_at, columns, intern_count(columns->names));
}
