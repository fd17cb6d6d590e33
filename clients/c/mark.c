#include "clients/c/mark.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

void marks_fini(struct marks *marks)
{
    free(marks->marks);
    *marks = (struct marks){0};
}

void marks_reset(struct marks *marks, uint64_t number, uint64_t position)
{
    marks->begin = marks->count = 0;
    marks->floor = marks->acknowledged = number;
    marks->reached = (struct mark){number, position};
}

static bool make_room(struct marks *marks)
{
    size_t capacity = marks->capacity == 0 ? FIRST_CAPACITY : marks->capacity * 2;
    struct mark *grown;

    if (marks->begin + marks->count < marks->capacity)
        return true;
    if (marks->begin > marks->capacity / 2) {
        memmove(marks->marks, marks->marks + marks->begin, marks->count * sizeof *marks->marks);
        marks->begin = 0;
        return true;
    }
    if (capacity > 2 * MARKS_MAX || marks->count >= MARKS_MAX)
        return false;
    grown = realloc(marks->marks, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    marks->marks = grown;
    marks->capacity = capacity;
    return true;
}

static void pass(struct marks *marks)
{
    while (marks->count > 0 && marks->marks[marks->begin].number <= marks->acknowledged) {
        marks->reached = marks->marks[marks->begin++];
        marks->count--;
    }
    if (marks->count == 0)
        marks->begin = 0;
}

void marks_add(struct marks *marks, uint64_t number, uint64_t position)
{
    struct mark mark = {number, position};

    if (number <= marks->acknowledged) { /* then so are all before it */
        pass(marks);
        marks->reached = mark;
    } else if (marks->count > 0 && (marks->marks[marks->begin + marks->count - 1].number == number || !make_room(marks))) {
        marks->marks[marks->begin + marks->count - 1] = mark;
    } else if (marks->count > 0 || make_room(marks)) {
        marks->marks[marks->begin + marks->count++] = mark;
    }
}

void marks_acknowledge(struct marks *marks, uint64_t number)
{
    if (number <= marks->acknowledged)
        return;
    marks->acknowledged = number;
    pass(marks);
}
