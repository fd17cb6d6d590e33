/* status.c: the status list as a table. */
#include "proto/status.h"

#include <stdlib.h>
#include <strings.h>

struct status_row {
    truc_status status;
    bool retriable;
    const char *name, *text, *next;
};

static const struct status_row rows[] = {
#define TRUC_STATUS(number, name, retriable, text, next) {(truc_status)(number), (retriable) != 0, #name, text, next},
#include "proto/status.def"
#undef TRUC_STATUS
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static const struct status_row *row_of(truc_status status)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].status == status)
            return &rows[i];
    }
    return NULL;
}

const char *truc_status_name(truc_status status)
{
    const struct status_row *row = row_of(status);
    return row == NULL ? "UNKNOWN" : row->name;
}

const char *truc_status_text(truc_status status)
{
    const struct status_row *row = row_of(status);
    return row == NULL ? "a status this version does not know" : row->text;
}

const char *truc_status_next(truc_status status)
{
    const struct status_row *row = row_of(status);
    return row == NULL ? "upgrade this side: the other one is newer" : row->next;
}

bool truc_status_retriable(truc_status status)
{
    const struct status_row *row = row_of(status);
    return row != NULL && row->retriable;
}

bool truc_status_find(const char *name_or_number, truc_status *ret_status)
{
    char *end = NULL;
    bool is_number = name_or_number[0] >= '0' && name_or_number[0] <= '9';
    unsigned long number = is_number ? strtoul(name_or_number, &end, 10) : 0;

    if (is_number && *end != '\0')
        return false;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (is_number ? (unsigned long)rows[i].status == number : strcasecmp(rows[i].name, name_or_number) == 0) {
            *ret_status = rows[i].status;
            return true;
        }
    }
    return false;
}

size_t truc_status_count(void)
{
    return ROW_COUNT;
}

truc_status truc_status_at(size_t index)
{
    return index < ROW_COUNT ? rows[index].status : TRUC_INTERNAL;
}
