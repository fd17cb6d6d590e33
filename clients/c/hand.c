#include "clients/c/hand.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

static void row_free(struct hand *hand, struct hand_row *row)
{
    if (hand->spare == NULL)
        hand->spare = row;
    else
        free(row);
}

void hand_clear(struct hand *hand)
{
    for (size_t i = 0; i < hand->count; i++)
        row_free(hand, hand->rows[hand->begin + i]);
    hand->begin = hand->count = 0;
}

void hand_fini(struct hand *hand)
{
    hand_clear(hand);
    free(hand->spare);
    free(hand->rows);
    *hand = (struct hand){0};
}

/* Moves the rows in use to the front, without those that are settled: one that is stuck holds up no others. */
static void compact(struct hand *hand)
{
    size_t kept = 0;

    for (size_t i = 0; i < hand->count; i++) {
        struct hand_row *row = hand->rows[hand->begin + i];

        if (row->open > 0)
            hand->rows[kept++] = row;
        else
            row_free(hand, row);
    }
    hand->begin = 0;
    hand->count = kept;
}

static bool make_room(struct hand *hand)
{
    size_t capacity = hand->capacity == 0 ? FIRST_CAPACITY : hand->capacity * 2;
    struct hand_row **rows;

    if (hand->begin + hand->count < hand->capacity)
        return true;
    compact(hand);
    if (hand->count <= hand->capacity / 2 && hand->capacity > 0)
        return true;
    rows = realloc(hand->rows, capacity * sizeof(struct hand_row *));
    if (rows == NULL)
        return false;
    hand->rows = rows;
    hand->capacity = capacity;
    return true;
}

static struct hand_row *last_row(const struct hand *hand)
{
    return hand->count > 0 ? hand->rows[hand->begin + hand->count - 1] : NULL;
}

/* A row for numbers that no row is for yet. */
static struct hand_row *add_row(struct hand *hand, uint64_t first)
{
    struct hand_row *row;

    if (!make_room(hand))
        return NULL;
    row = hand->spare != NULL ? hand->spare : malloc(sizeof *row);
    if (row == NULL)
        return NULL;
    hand->spare = NULL;
    *row = (struct hand_row){.first = first};
    hand->rows[hand->begin + hand->count++] = row;
    return row;
}

bool hand_add(struct hand *hand, uint64_t number, struct hand_item item)
{
    uint64_t first = number - number % HAND_ROW_RECORDS;
    struct hand_row *row = last_row(hand);

    if (row == NULL || row->first != first)
        row = add_row(hand, first);
    if (row == NULL)
        return false;
    row->items[number - first] = item;
    row->open++;
    return true;
}

/* The row of a number; NULL: there is none. */
static struct hand_row *find_row(const struct hand *hand, uint64_t number)
{
    uint64_t first = number - number % HAND_ROW_RECORDS;
    size_t low = hand->begin, high = hand->begin + hand->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (hand->rows[middle]->first < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < hand->begin + hand->count && hand->rows[low]->first == first ? hand->rows[low] : NULL;
}

const struct hand_item *hand_find(const struct hand *hand, uint64_t number)
{
    const struct hand_row *row = find_row(hand, number);

    return row != NULL && row->items[number - row->first].lease != 0 ? &row->items[number - row->first] : NULL;
}

void hand_settle(struct hand *hand, uint64_t number)
{
    struct hand_row *row = find_row(hand, number);

    row->items[number - row->first] = (struct hand_item){0};
    row->open--;
    while (hand->count > 0 && hand->rows[hand->begin]->open == 0) {
        row_free(hand, hand->rows[hand->begin++]);
        hand->count--;
    }
}
