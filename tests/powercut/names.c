#include "names.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static struct name *name_find(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i].path, path) == 0)
            return &names->list[i];
    }
    return NULL;
}

void names_remove(struct names *names, const char *path)
{
    struct name *name = name_find(names, path);
    if (name != NULL) {
        free(name->path);
        *name = names->list[--names->count];
    }
}

bool names_put(struct names *names, const char *path, struct object *object)
{
    names_remove(names, path);
    char *copy = strdup(path);
    if (copy == NULL || !GROW(names->list, names->count, names->capacity)) {
        free(copy);
        return false;
    }
    names->list[names->count++] = (struct name){copy, object};
    return true;
}

bool names_move(struct names *names, const char *from, const char *to)
{
    struct name *moved = name_find(names, from);
    if (moved == NULL)
        return true;
    struct object *object = moved->object;
    names_remove(names, from);
    if (!names_put(names, to, object))
        return false;
    size_t size = strlen(from);
    for (size_t i = 0; object == NULL && i < names->count; i++) {
        struct name *inside = &names->list[i];
        if (strncmp(inside->path, from, size) != 0 || inside->path[size] != '/')
            continue;
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%s%s", to, inside->path + size);
        char *copy = length > 0 && (size_t)length < sizeof path ? strdup(path) : NULL;
        if (copy == NULL)
            return false;
        free(inside->path);
        inside->path = copy;
    }
    return true;
}

bool names_copy(struct names *names, const struct names *from)
{
    for (size_t i = 0; i < from->count; i++) {
        if (!names_put(names, from->list[i].path, from->list[i].object))
            return false;
    }
    return true;
}

void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i].path);
    free(names->list);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

void names_sort(struct names *names)
{
    if (names->count > 0)
        qsort(names->list, names->count, sizeof names->list[0], by_path);
}
