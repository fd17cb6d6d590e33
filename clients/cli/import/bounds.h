/* bounds.h: every bound of `truc import`, in one place; docs/import.md lists them. Layer: cli/import. */
#ifndef TRUC_CLI_IMPORT_BOUNDS_H
#define TRUC_CLI_IMPORT_BOUNDS_H

#include "proto/limits.h"

enum {
    IMPORT_CHUNK_BYTES = 64 * 1024, /* read from the file at once */
    IMPORT_COLUMNS_MAX = 4096,
    IMPORT_COLUMN_BYTES_MAX = 1024,         /* a column's name */
    IMPORT_FIELD_BYTES_MAX = 1024 * 1024,   /* one value */
    IMPORT_ROW_BYTES_MAX = 4 * 1024 * 1024, /* one row as it stands in the file */
    IMPORT_RECORD_BYTES_MAX = RECORD_BYTES_DEFAULT,
    IMPORT_DEPTH_MAX = 32, /* nesting in XES and JSON */
    IMPORT_TEMPLATE_BYTES_MAX = 4096,
    IMPORT_PARTS_MAX = 128,            /* literals and places of one template */
    IMPORT_MAP_ROWS_MAX = 1024 * 1024, /* of one --map file */
    IMPORT_MAP_BYTES_MAX = 64 * 1024 * 1024,
    IMPORT_SLUGS_MAX = 256 * 1024, /* distinct values of one place in --topic */
    IMPORT_SLUG_BYTES_MAX = 32 * 1024 * 1024,
    IMPORT_TOPICS_MAX = 1024 * 1024,
    IMPORT_TOPICS_BYTES_MAX = 128 * 1024 * 1024,
    IMPORT_KEYS_MAX = 4 * 1024 * 1024,      /* distinct keys that are counted exactly */
    IMPORT_COMPARE_ROWS = 64 * 1024,        /* rows compared with the log at a time */
    IMPORT_SORT_ROWS_MAX = 8 * 1024 * 1024, /* rows of a --speed run */
    IMPORT_REJECTS_SHOWN = 10
};

#endif
