#include "clients/cli/import/row.h"

#include <stdlib.h>

void row_init(struct row *row)
{
    *row = (struct row){.round = 1};
    out_init(&row->raw, -1);
    out_init(&row->text, -1);
}

void row_fini(struct row *row)
{
    out_fini(&row->raw);
    out_fini(&row->text);
    free(row->fields);
    free(row->slots);
}

void row_clear(struct row *row)
{
    row->raw.size = 0;
    row->text.size = 0;
    row->field_count = 0;
    row->payload = bytes_of(NULL, 0);
    row->round++; /* forgets all slots at once */
}

static truc_status fit_slots(struct row *row, uint32_t column)
{
    if (column < row->slot_count) {
        return TRUC_OK;
    }
    size_t count = row->slot_count == 0 ? 32 : row->slot_count;
    while (count <= column) {
        count *= 2;
    }
    struct row_slot *slots = realloc(row->slots, count * sizeof *slots);
    if (slots == NULL) {
        return TRUC_NO_MEMORY;
    }
    memset(slots + row->slot_count, 0, (count - row->slot_count) * sizeof *slots);
    row->slots = slots;
    row->slot_count = count;
    return TRUC_OK;
}

truc_status row_add_here(struct row *row, uint32_t column, size_t at, bool *ret_twice)
{
    if (row->text.status != TRUC_OK) {
        return row->text.status;
    }
    truc_status status = fit_slots(row, column);
    if (status != TRUC_OK) {
        return status;
    }
    if (row->slots[column].round == row->round) {
        *ret_twice = true;
        return TRUC_OK;
    }
    if (row->field_count == row->field_capacity) {
        size_t capacity = row->field_capacity == 0 ? 32 : row->field_capacity * 2;
        struct row_field *fields = realloc(row->fields, capacity * sizeof *fields);
        if (fields == NULL) {
            return TRUC_NO_MEMORY;
        }
        row->fields = fields;
        row->field_capacity = capacity;
    }
    row->slots[column] = (struct row_slot){row->round, (uint32_t)row->field_count};
    row->fields[row->field_count++] = (struct row_field){column, at, row->text.size - at};
    *ret_twice = false;
    return TRUC_OK;
}

truc_status row_add(struct row *row, uint32_t column, struct bytes value, bool *ret_twice)
{
    size_t at = row->text.size;
    out_bytes(&row->text, value.data, value.size);
    return row_add_here(row, column, at, ret_twice);
}

truc_status row_add_all(struct row *row, const struct row *from, bool *ret_twice, uint32_t *ret_column)
{
    *ret_twice = false;
    for (size_t i = 0; i < from->field_count; i++) {
        truc_status status = row_add(row, from->fields[i].column, row_field_value(from, i), ret_twice);
        if (status != TRUC_OK) {
            return status;
        }
        if (*ret_twice) {
            *ret_column = from->fields[i].column;
            return TRUC_OK;
        }
    }
    return TRUC_OK;
}

struct bytes row_field_value(const struct row *row, size_t field)
{
    size_t size = row->fields[field].size;
    return size == 0 ? bytes_of("", 0) : bytes_of(row->text.data + row->fields[field].at, size);
}

struct bytes row_value(const struct row *row, uint32_t column)
{
    if (column >= row->slot_count || row->slots[column].round != row->round) {
        return bytes_of(NULL, 0);
    }
    return row_field_value(row, row->slots[column].field);
}
