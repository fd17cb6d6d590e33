/* testing.h: what the unit tests of import share: a folder of their own, files in it, and expectations about rows. Layer: tests. */
#ifndef TRUC_CLI_IMPORT_TESTING_H
#define TRUC_CLI_IMPORT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "clients/cli/import/rows.h"

static char testing_folder[256];

static inline int testing_setup(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    (void)snprintf(testing_folder, sizeof testing_folder, "%s/truc-import-test-XXXXXX", base != NULL ? base : "/tmp");
    return mkdtemp(testing_folder) == NULL ? -1 : 0;
}

static inline int testing_teardown(void **state)
{
    (void)state;
    char path[600];
    DIR *folder = opendir(testing_folder);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", testing_folder, entry->d_name);
        (void)unlink(path);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return rmdir(testing_folder);
}

/* Writes a file and returns its path, which is good until the next call. */
static inline const char *testing_file(const char *name, const void *data, size_t size)
{
    static char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", testing_folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *testing_gzip(const char *name, const void *data, size_t size)
{
    static char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", testing_folder, name);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

/* A text that is put together piece by piece. */
struct testing_text {
    char *data;
    size_t size, capacity;
};

__attribute__((format(printf, 2, 3))) static inline void testing_print(struct testing_text *text, const char *format, ...)
{
    va_list arguments;
    for (;;) {
        size_t room = text->capacity - text->size;
        va_start(arguments, format);
        int added = vsnprintf(text->data == NULL ? NULL : text->data + text->size, room, format, arguments);
        va_end(arguments);
        assert_true(added >= 0);
        if ((size_t)added < room) {
            text->size += (size_t)added;
            return;
        }
        text->capacity = (text->capacity + (size_t)added + 1) * 2;
        text->data = realloc(text->data, text->capacity);
        assert_non_null(text->data);
    }
}

static inline void testing_fill(struct testing_text *text, char byte, size_t count)
{
    for (size_t at = 0; at < count; at += 64) {
        char run[65];
        size_t size = count - at < 64 ? count - at : 64;
        memset(run, byte, size);
        run[size] = '\0';
        testing_print(text, "%s", run);
    }
}

/* A reader over a text, with all it needs. */
struct testing_rows {
    struct columns *columns;
    struct rows *rows;
    struct row row;
    struct failure failure;
};

static inline truc_status testing_open_path(struct testing_rows *t, enum rows_format format, const char *path)
{
    t->columns = columns_create();
    assert_non_null(t->columns);
    t->rows = NULL;
    row_init(&t->row);
    t->failure = (struct failure){.status = TRUC_OK};
    return rows_open(path, format, 0, t->columns, &t->rows, &t->failure);
}

static inline truc_status testing_open(struct testing_rows *t, enum rows_format format, const char *text, size_t size)
{
    return testing_open_path(t, format, testing_file("input", text, size));
}

static inline void testing_close(struct testing_rows *t)
{
    rows_close(t->rows);
    row_fini(&t->row);
    columns_destroy(t->columns);
}

static inline enum row_kind testing_next(struct testing_rows *t)
{
    return rows_next(t->rows, &t->row, &t->failure);
}

/* The value of a column, by name, as text; "(none)" when the row does not have it. */
static inline const char *testing_value(struct testing_rows *t, const char *name)
{
    static char text[4096];
    for (size_t i = 0; i < t->row.field_count; i++) {
        struct bytes column = columns_name(t->columns, t->row.fields[i].column);
        if (column.size == strlen(name) && memcmp(column.data, name, column.size) == 0) {
            struct bytes value = row_field_value(&t->row, i);
            assert_true(value.size < sizeof text);
            memcpy(text, value.data, value.size);
            text[value.size] = '\0';
            return text;
        }
    }
    return "(none)";
}

static inline void testing_raw_is(struct testing_rows *t, const char *text)
{
    assert_int_equal(t->row.raw.size, strlen(text));
    assert_memory_equal(t->row.raw.data, text, strlen(text));
}

static inline void testing_why_holds(struct testing_rows *t, const char *part)
{
    if (strstr(t->failure.why, part) == NULL) {
        fail_msg("\"%s\" does not hold \"%s\"", t->failure.why, part);
    }
}

#endif
