/* names.h: the names of a directory tree, as paths below its root. Layer: tests. One thread. */
#ifndef TRUC_TESTS_POWERCUT_NAMES_H
#define TRUC_TESTS_POWERCUT_NAMES_H

#include "file.h"

struct name {
    char *path;
    struct object *object; /* NULL: a directory */
};

struct names {
    struct name *list;
    size_t count, capacity;
};

void names_fini(struct names *names);

/* All return false when out of memory. Putting a name that is there replaces it; moving a directory takes along what is in it. */
bool names_put(struct names *names, const char *path, struct object *object);
bool names_move(struct names *names, const char *from, const char *to);
bool names_copy(struct names *names, const struct names *from);
void names_remove(struct names *names, const char *path);

/* By path, so that a directory comes before what is in it. */
void names_sort(struct names *names);

#endif
