#include "clients/cli/import/map.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "clients/cli/import/csv.h"
#include "clients/cli/import/intern.h"

struct map {
    char *path;
    struct intern *values, *names;
    uint32_t *name_of; /* value -> name */
    size_t name_capacity;
};

static truc_status add_pair(struct map *map, const struct row *row, struct bytes value, struct failure *failure)
{
    struct bytes name = row_field_value(row, 1);
    uint32_t value_number, name_number;
    bool value_new, name_new;
    void *array = map->name_of;
    truc_status status = intern_add(map->values, value, &value_number, &value_new);
    if (status == TRUC_OK) {
        status = intern_add(map->names, name, &name_number, &name_new);
    }
    if (status == TRUC_OK) {
        status = intern_array_fit(map->values, &array, &map->name_capacity, sizeof *map->name_of);
        map->name_of = array;
    }
    if (status == TRUC_TOO_MANY) {
        return failure_set(failure, status, "%s: more than %d rows", map->path, IMPORT_MAP_ROWS_MAX);
    }
    if (status != TRUC_OK) {
        return failure_set(failure, status, "while reading %s", map->path);
    }
    if (!value_new && map->name_of[value_number] != name_number) {
        return failure_set(failure, TRUC_BAD_CONFIG, "%s, line %llu: %s has another name already", map->path,
                           (unsigned long long)row->line, quote(value).text);
    }
    map->name_of[value_number] = name_number;
    return TRUC_OK;
}

/* A value in NFC; NULL and *ret_status when that fails. For free(). */
static uint8_t *composed(struct bytes value, size_t *ret_size)
{
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t size = utf8proc_map(value.data, (utf8proc_ssize_t)value.size, &text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    *ret_size = size < 0 ? 0 : (size_t)size;
    return size < 0 ? NULL : text;
}

static truc_status read_rows(struct map *map, struct rows *rows, struct row *row, struct failure *failure)
{
    for (;;) {
        struct failure reason;
        enum row_kind kind = rows_next(rows, row, &reason);
        if (kind == ROW_END) {
            return TRUC_OK;
        }
        if (kind == ROW_FAILED) {
            *failure = reason;
            return reason.status;
        }
        if (kind != ROW_GOOD) {
            return failure_set(failure, TRUC_BAD_CONFIG, "%s, line %llu: %.400s; each line is VALUE,NAME", map->path,
                               (unsigned long long)row->line, reason.why);
        }
        size_t size;
        uint8_t *value = composed(row_field_value(row, 0), &size);
        if (value == NULL) {
            return failure_set(failure, TRUC_NO_MEMORY, "while reading %s", map->path);
        }
        truc_status status = add_pair(map, row, bytes_of(value, size), failure);
        free(value);
        if (status != TRUC_OK) {
            return status;
        }
    }
}

truc_status map_load(const char *path, struct map **ret_map, struct failure *failure)
{
    struct map *map = calloc(1, sizeof *map);
    struct columns *columns = columns_create();
    struct rows *rows = NULL;
    struct source *source;
    struct row row;
    truc_status status = failure_set(failure, TRUC_NO_MEMORY, "while reading %s", path);
    row_init(&row);
    if (map == NULL || columns == NULL) {
        goto done;
    }
    map->path = strdup(path);
    map->values = intern_create(IMPORT_MAP_ROWS_MAX, IMPORT_MAP_BYTES_MAX);
    map->names = intern_create(IMPORT_MAP_ROWS_MAX, IMPORT_MAP_BYTES_MAX);
    if (map->path == NULL || map->values == NULL || map->names == NULL) {
        goto done;
    }
    status = source_open(path, &source, failure);
    if (status == TRUC_OK) {
        status = csv_open_bare(source, 2, columns, &rows, failure);
    }
    if (status == TRUC_OK) {
        status = read_rows(map, rows, &row, failure);
    }
done:
    row_fini(&row);
    rows_close(rows);
    columns_destroy(columns);
    if (status != TRUC_OK) {
        map_destroy(map);
        return status;
    }
    *ret_map = map;
    return TRUC_OK;
}

void map_destroy(struct map *map)
{
    if (map == NULL) {
        return;
    }
    free(map->path);
    intern_destroy(map->values);
    intern_destroy(map->names);
    free(map->name_of);
    free(map);
}

bool map_find(const struct map *map, struct bytes value, struct bytes *ret_name)
{
    uint32_t number;
    if (!intern_find(map->values, value, &number)) {
        size_t size;
        uint8_t *text = composed(value, &size);
        bool found = text != NULL && intern_find(map->values, bytes_of(text, size), &number);
        free(text);
        if (!found) {
            return false;
        }
    }
    *ret_name = intern_at(map->names, map->name_of[number]);
    return true;
}

const char *map_path(const struct map *map)
{
    return map->path;
}

size_t map_count(const struct map *map)
{
    return intern_count(map->values);
}

void map_at(const struct map *map, size_t index, struct bytes *ret_value, struct bytes *ret_name)
{
    *ret_value = intern_at(map->values, (uint32_t)index);
    *ret_name = intern_at(map->names, map->name_of[index]);
}
