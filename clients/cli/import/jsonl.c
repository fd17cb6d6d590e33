#include "clients/cli/import/jsonl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct jsonl {
    struct rows rows;
    struct columns *columns;
    uint64_t line, number;
    bool resting; /* within the rest of a line that was too long */
    bool finished;
    char path[IMPORT_COLUMN_BYTES_MAX + 1];
    size_t at, filled;
    char chunk[IMPORT_CHUNK_BYTES];
};

/* Reads up to the line's end into row->raw. *ret_whole: the line ends here. Nothing in raw: the file has ended. */
static truc_status read_line(struct jsonl *jsonl, struct row *row, bool *ret_whole, struct failure *failure)
{
    *ret_whole = false;
    while (!*ret_whole && row->raw.size <= IMPORT_ROW_BYTES_MAX) {
        if (jsonl->at == jsonl->filled) {
            jsonl->at = 0;
            truc_status status = source_read(jsonl->rows.source, jsonl->chunk, sizeof jsonl->chunk, &jsonl->filled, failure);
            if (status != TRUC_OK) {
                jsonl->filled = 0;
                return status;
            }
            if (jsonl->filled == 0) {
                *ret_whole = true;
                break;
            }
        }
        const char *from = jsonl->chunk + jsonl->at;
        const char *end = memchr(from, '\n', jsonl->filled - jsonl->at);
        size_t size = end != NULL ? (size_t)(end + 1 - from) : jsonl->filled - jsonl->at;
        out_bytes(&row->raw, from, size);
        jsonl->at += size;
        *ret_whole = end != NULL;
    }
    return row->raw.status == TRUC_OK ? TRUC_OK : failure_set(failure, row->raw.status, "while reading a line");
}

static struct bytes trimmed(const struct out *raw)
{
    const char *from = raw->data, *to = raw->data + raw->size;
    while (from < to && (*from == ' ' || *from == '\t' || *from == '\r' || *from == '\n')) {
        from++;
    }
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r' || to[-1] == '\n')) {
        to--;
    }
    return bytes_of(from, (size_t)(to - from));
}

/* A number as JSON writes it, with the fewest digits that read back as the same. */
static size_t print_number(const json_t *value, char *text, size_t size)
{
    int written = 0;
    if (json_is_integer(value)) {
        written = snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            written = snprintf(text, size, "%.*g", digits, json_real_value(value));
            double again = strtod(text, NULL);
            if (again >= json_real_value(value) && again <= json_real_value(value)) {
                break;
            }
        }
    }
    return (size_t)written;
}

static truc_status add_value(struct jsonl *jsonl, struct row *row, size_t path_size, struct bytes value, struct failure *failure)
{
    uint32_t column;
    bool twice;
    truc_status status = columns_number(jsonl->columns, bytes_of(jsonl->path, path_size), true, &column, failure);
    if (status == TRUC_TOO_MANY) {
        return TRUC_OK; /* a long array: what templates name has its number already, and the payload is the line itself */
    }
    if (status != TRUC_OK) {
        return status;
    }
    status = row_add(row, column, value, &twice);
    if (status != TRUC_OK) {
        return failure_set(failure, status, "while reading a line");
    }
    if (twice) { /* {"a/b":1,"a":{"b":2}} */
        return failure_set(failure, TRUC_BAD_ROW, "two values are named %s", quote(bytes_of(jsonl->path, path_size)).text);
    }
    return TRUC_OK;
}

static truc_status add_tree(struct jsonl *jsonl, struct row *row, const json_t *value, size_t path_size, unsigned depth,
                            struct failure *failure);

static truc_status add_child(struct jsonl *jsonl, struct row *row, const char *name, const json_t *child, size_t path_size,
                             unsigned depth, struct failure *failure)
{
    size_t room = sizeof jsonl->path - path_size;
    int added = snprintf(jsonl->path + path_size, room, depth == 0 ? "%s" : "/%s", name);
    if (added < 0 || (size_t)added >= room) {
        return failure_set(failure, TRUC_BAD_ROW, "the name of a value is longer than %d bytes", IMPORT_COLUMN_BYTES_MAX);
    }
    return add_tree(jsonl, row, child, path_size + (size_t)added, depth + 1, failure);
}

/* Recursion is bounded by IMPORT_DEPTH_MAX. */
static truc_status add_tree(struct jsonl *jsonl, struct row *row, const json_t *value, size_t path_size, unsigned depth,
                            struct failure *failure)
{
    char number[48];
    const char *key;
    json_t *child;
    size_t index;
    truc_status status = TRUC_OK;
    if (depth > IMPORT_DEPTH_MAX) {
        return failure_set(failure, TRUC_BAD_ROW, "values are nested deeper than %d", IMPORT_DEPTH_MAX);
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
        {
            status = add_child(jsonl, row, key, child, path_size, depth, failure);
            if (status != TRUC_OK) {
                return status;
            }
        }
        return TRUC_OK;
    case JSON_ARRAY:
        json_array_foreach(value, index, child)
        {
            (void)snprintf(number, sizeof number, "%zu", index);
            status = add_child(jsonl, row, number, child, path_size, depth, failure);
            if (status != TRUC_OK) {
                return status;
            }
        }
        return TRUC_OK;
    case JSON_STRING:
        return add_value(jsonl, row, path_size, bytes_of(json_string_value(value), json_string_length(value)), failure);
    case JSON_INTEGER:
    case JSON_REAL:
        return add_value(jsonl, row, path_size, bytes_of(number, print_number(value, number, sizeof number)), failure);
    case JSON_TRUE:
    case JSON_FALSE:
        return add_value(jsonl, row, path_size, bytes_of_text(json_is_true(value) ? "true" : "false"), failure);
    case JSON_NULL:
        return TRUC_OK;
    }
    return TRUC_OK;
}

static truc_status read_object(struct jsonl *jsonl, struct row *row, struct failure *failure)
{
    json_error_t error;
    json_t *object =
        json_loadb((const char *)row->payload.data, row->payload.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (object == NULL) {
        return failure_set(failure, TRUC_BAD_ROW, "column %d: not JSON: %s", error.column, error.text);
    }
    truc_status status = json_is_object(object) ? add_tree(jsonl, row, object, 0, 0, failure)
                                                : failure_set(failure, TRUC_BAD_ROW, "not a JSON object");
    json_decref(object);
    return status;
}

static enum row_kind jsonl_next(struct rows *rows, struct row *row, struct failure *failure)
{
    struct jsonl *jsonl = (struct jsonl *)rows;
    bool whole, resting = jsonl->resting;
    do {
        row->raw.size = 0;
        if (read_line(jsonl, row, &whole, failure) != TRUC_OK) {
            return ROW_FAILED;
        }
        if (row->raw.size == 0) {
            return ROW_END;
        }
        jsonl->line += resting ? 0 : 1;
        jsonl->resting = !whole;
        if (resting) {
            return ROW_REST;
        }
        row->payload = trimmed(&row->raw);
    } while (row->payload.size == 0 && whole);
    row->line = jsonl->line;
    row->number = ++jsonl->number;
    if (!whole || row->raw.size > IMPORT_ROW_BYTES_MAX) {
        (void)failure_set(failure, TRUC_BAD_ROW, "the line is larger than %d bytes", IMPORT_ROW_BYTES_MAX);
        return ROW_BAD;
    }
    truc_status status = read_object(jsonl, row, failure);
    return status == TRUC_OK ? ROW_GOOD : status == TRUC_BAD_ROW ? ROW_BAD : ROW_FAILED;
}

static void jsonl_close(struct rows *rows)
{
    source_close(rows->source);
    free(rows);
}

static const struct rows_reader jsonl_reader = {jsonl_next, jsonl_close, NULL};

truc_status jsonl_open(struct source *take_source, struct columns *columns, struct rows **ret_rows, struct failure *failure)
{
    struct jsonl *jsonl = calloc(1, sizeof *jsonl);
    if (jsonl == NULL) {
        source_close(take_source);
        return failure_set(failure, TRUC_NO_MEMORY, "while opening a JSON lines file");
    }
    jsonl->rows = (struct rows){&jsonl_reader, take_source};
    jsonl->columns = columns;
    struct bytes head;
    truc_status status = source_peek(take_source, &head, failure);
    if (status == TRUC_OK && head.size >= 3 && memcmp(head.data, "\xef\xbb\xbf", 3) == 0) {
        char mark[3];
        size_t size;
        status = source_read(take_source, mark, sizeof mark, &size, failure);
    }
    if (status != TRUC_OK) {
        jsonl_close(&jsonl->rows);
        return status;
    }
    *ret_rows = &jsonl->rows;
    return TRUC_OK;
}
