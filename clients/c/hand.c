#include "clients/c/hand.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16, BITS = 64 };

static void row_fini(struct hand_row *row)
{
    free(row->settled);
}

void hand_clear(struct hand *hand)
{
    for (size_t i = 0; i < hand->count; i++)
        row_fini(&hand->rows[hand->begin + i]);
    hand->begin = hand->count = 0;
}

void hand_fini(struct hand *hand)
{
    hand_clear(hand);
    free(hand->rows);
    *hand = (struct hand){0};
}

/* Moves the rows in use to the front, without those that are settled: one that is stuck holds up no others. */
static void compact(struct hand *hand)
{
    size_t kept = 0;

    for (size_t i = 0; i < hand->count; i++) {
        struct hand_row row = hand->rows[hand->begin + i];

        if (row.open > 0)
            hand->rows[kept++] = row;
        else
            row_fini(&row);
    }
    hand->begin = 0;
    hand->count = kept;
}

static bool make_room(struct hand *hand)
{
    size_t capacity = hand->capacity == 0 ? FIRST_CAPACITY : hand->capacity * 2;
    struct hand_row *rows;

    if (hand->begin + hand->count < hand->capacity)
        return true;
    compact(hand);
    if (hand->count <= hand->capacity / 2 && hand->capacity > 0)
        return true;
    rows = realloc(hand->rows, capacity * sizeof *rows);
    if (rows == NULL)
        return false;
    hand->rows = rows;
    hand->capacity = capacity;
    return true;
}

bool hand_add(struct hand *hand, uint64_t first, uint64_t lease, uint32_t count)
{
    struct hand_row row = {.first = first, .lease = lease, .count = count, .open = count};

    row.settled = calloc((count + BITS - 1) / BITS, sizeof *row.settled);
    if (row.settled == NULL)
        return false;
    if (!make_room(hand)) {
        row_fini(&row);
        return false;
    }
    hand->rows[hand->begin + hand->count++] = row;
    return true;
}

/* The first row whose records are not all below the number; the end when there is none. */
static size_t lower_bound(const struct hand *hand, uint64_t number)
{
    size_t low = hand->begin, high = hand->begin + hand->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (hand->rows[middle].first + hand->rows[middle].count <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct hand_row *hand_find(struct hand *hand, uint64_t number)
{
    size_t at = lower_bound(hand, number);
    struct hand_row *row;
    uint64_t place;

    if (at == hand->begin + hand->count || hand->rows[at].first > number)
        return NULL;
    row = &hand->rows[at];
    place = number - row->first;
    return (row->settled[place / BITS] >> place % BITS & 1) != 0 ? NULL : row;
}

void hand_settle(struct hand *hand, struct hand_row *row, uint64_t number)
{
    uint64_t place = number - row->first;

    row->settled[place / BITS] |= UINT64_C(1) << place % BITS;
    row->open--;
    while (hand->count > 0 && hand->rows[hand->begin].open == 0) {
        row_fini(&hand->rows[hand->begin++]);
        hand->count--;
    }
}

uint32_t hand_run(const struct hand *hand, uint64_t *number, uint64_t *ret_lease)
{
    size_t at = lower_bound(hand, *number);
    const struct hand_row *row;

    if (at == hand->begin + hand->count)
        return 0;
    row = &hand->rows[at];
    if (*number < row->first)
        *number = row->first;
    *ret_lease = hand_lease(row, *number);
    return (uint32_t)(row->first + row->count - *number);
}
