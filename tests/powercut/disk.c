#include "disk.h"

#include "names.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct name_change {
    uint64_t event;
    uint32_t kind;
    char *path, *to;
    struct object *object;
};

struct ticket {
    uint64_t ticket, event, inode, offset, size;
    uint32_t kind;
    char *path;
};

struct disk {
    struct object **objects;
    size_t object_count, object_capacity;
    struct names names; /* surely there */
    struct name_change *changes;
    size_t change_count, change_capacity;
    struct ticket tickets[64];
    size_t ticket_count;
};

struct disk *disk_create(void)
{
    return calloc(1, sizeof(struct disk));
}

void disk_destroy(struct disk *disk)
{
    if (disk == NULL)
        return;
    for (size_t i = 0; i < disk->object_count; i++)
        object_destroy(disk->objects[i]);
    names_fini(&disk->names);
    for (size_t i = 0; i < disk->change_count; i++) {
        free(disk->changes[i].path);
        free(disk->changes[i].to);
    }
    for (size_t i = 0; i < disk->ticket_count; i++)
        free(disk->tickets[i].path);
    free(disk->objects);
    free(disk->changes);
    free(disk);
}

/* The newest object of an inode: numbers are reused after a removal. */
static struct object *object_find(const struct disk *disk, uint64_t inode)
{
    for (size_t i = disk->object_count; i-- > 0;) {
        if (disk->objects[i]->inode == inode)
            return disk->objects[i];
    }
    return NULL;
}

static struct object *object_add(struct disk *disk, uint64_t inode)
{
    if (!GROW(disk->objects, disk->object_count, disk->object_capacity))
        return NULL;
    struct object *object = object_create(inode);
    if (object != NULL)
        disk->objects[disk->object_count++] = object;
    return object;
}

/* --- names -------------------------------------------------------------------------------------------------------------------- */

static bool change_apply(struct names *names, const struct name_change *change)
{
    switch (change->kind) {
    case TRACE_CREATE:
    case TRACE_MKDIR:
        return names_put(names, change->path, change->object);
    case TRACE_RENAME:
        return names_move(names, change->path, change->to);
    default:
        names_remove(names, change->path);
        return true;
    }
}

static bool in_directory(const char *path, const char *directory)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash != NULL ? (size_t)(slash - path) : 0;
    return strlen(directory) == size && strncmp(path, directory, size) == 0;
}

/* The changes in a directory up to an event are on disk from now on. */
static bool names_flush(struct disk *disk, uint64_t event, const char *directory)
{
    size_t kept = 0;
    bool fine = true;
    for (size_t i = 0; i < disk->change_count; i++) {
        struct name_change *change = &disk->changes[i];
        if (change->event < event && in_directory(change->to != NULL ? change->to : change->path, directory)) {
            fine = change_apply(&disk->names, change) && fine;
            free(change->path);
            free(change->to);
        } else {
            disk->changes[kept++] = *change;
        }
    }
    disk->change_count = kept;
    return fine;
}

static bool change_list(struct disk *disk, uint64_t number, const struct trace_event *event, const char *name)
{
    if (!GROW(disk->changes, disk->change_count, disk->change_capacity))
        return false;
    struct name_change change = {.event = number, .kind = event->kind};
    size_t first = strnlen(name, event->name_size);
    change.path = strndup(name, first);
    if (event->kind == TRACE_RENAME)
        change.to = strndup(name + first + 1, event->name_size - first - 1);
    if (event->kind == TRACE_CREATE)
        change.object = object_add(disk, event->file);
    if (change.path == NULL || (event->kind == TRACE_RENAME && change.to == NULL) ||
        (event->kind == TRACE_CREATE && change.object == NULL)) {
        free(change.path);
        free(change.to);
        return false;
    }
    disk->changes[disk->change_count++] = change;
    return true;
}

/* --- events ---------------------------------------------------------------------------------------------------------------------
 */

static bool ticket_open(struct disk *disk, uint64_t number, const struct trace_event *event, const char *name)
{
    if (disk->ticket_count == sizeof disk->tickets / sizeof disk->tickets[0])
        return false;
    char *path = strndup(name, event->name_size);
    if (path == NULL)
        return false;
    disk->tickets[disk->ticket_count++] =
        (struct ticket){event->ticket, number, event->file, event->offset, event->size, event->kind, path};
    return true;
}

static bool ticket_done(struct disk *disk, const struct trace_event *event)
{
    size_t i = 0;
    while (i < disk->ticket_count && disk->tickets[i].ticket != event->ticket)
        i++;
    if (i == disk->ticket_count)
        return false;
    struct ticket done = disk->tickets[i];
    disk->tickets[i] = disk->tickets[--disk->ticket_count];
    bool fine = true;
    struct object *object = object_find(disk, done.inode);
    if (event->offset == 0) { /* it failed: nothing is promised */
    } else if (done.kind == TRACE_DIRSYNC_BEGIN) {
        fine = names_flush(disk, done.event, done.path);
    } else if (object == NULL) {
        fine = false;
    } else if (done.kind == TRACE_SYNC_BEGIN) {
        fine = object_flush(object, done.event, 0, UINT32_MAX);
        object_size_flush(object, done.event);
    } else {
        fine = object_flush(object, done.event, (uint32_t)(done.offset / SECTOR_BYTES),
                            (uint32_t)((done.offset + done.size + SECTOR_BYTES - 1) / SECTOR_BYTES));
        if (done.offset + done.size > object->size_durable)
            object_size_flush(object, done.event);
    }
    free(done.path);
    return fine;
}

bool disk_apply(struct disk *disk, uint64_t number, const struct trace_event *event, const char *name, const uint8_t *data)
{
    struct object *object = NULL;
    switch (event->kind) {
    case TRACE_START: /* what a killed process had begun is never heard of again; the kernel keeps what it wrote */
        for (size_t i = 0; i < disk->ticket_count; i++)
            free(disk->tickets[i].path);
        disk->ticket_count = 0;
        return true;
    case TRACE_CREATE:
    case TRACE_MKDIR:
    case TRACE_RENAME:
    case TRACE_UNLINK:
        return change_list(disk, number, event, name);
    case TRACE_WRITE:
    case TRACE_DSYNC_BEGIN:
        object = object_find(disk, event->file);
        return object != NULL && object_write(object, number, event->offset, data, event->size) &&
               (event->kind == TRACE_WRITE || ticket_open(disk, number, event, name));
    case TRACE_RESIZE:
        object = object_find(disk, event->file);
        return object != NULL && object_resize(object, number, event->offset);
    case TRACE_SYNC_BEGIN:
    case TRACE_DIRSYNC_BEGIN:
        return ticket_open(disk, number, event, name);
    case TRACE_DONE:
        return ticket_done(disk, event);
    default:
        return true;
    }
}

size_t disk_pending(const struct disk *disk)
{
    size_t count = disk->change_count;
    for (size_t i = 0; i < disk->object_count; i++)
        count += disk->objects[i]->sector_count + disk->objects[i]->resize_count;
    return count;
}

/* --- states ---------------------------------------------------------------------------------------------------------------------
 */

static void span(const struct disk *disk, struct chooser *chooser)
{
    chooser->oldest = UINT64_MAX;
    for (size_t i = 0; i < disk->object_count; i++) {
        for (size_t k = 0; k < disk->objects[i]->sector_count; k++) {
            const struct sector *sector = &disk->objects[i]->sectors[k];
            chooser->oldest = sector->oldest->write < chooser->oldest ? sector->oldest->write : chooser->oldest;
            chooser->newest = sector->newest->write > chooser->newest ? sector->newest->write : chooser->newest;
        }
    }
    if (disk->change_count > 0) {
        uint64_t first = disk->changes[0].event, last = disk->changes[disk->change_count - 1].event;
        chooser->oldest = first < chooser->oldest ? first : chooser->oldest;
        chooser->newest = last > chooser->newest ? last : chooser->newest;
    }
    if (chooser->oldest > chooser->newest)
        chooser->oldest = chooser->newest;
}

/* LMDB's tables of readers: mapped, so the recorder does not see them change, and made anew at each start. */
static bool is_mapped_lock(const char *path)
{
    size_t size = strlen(path);
    return size >= 5 && strcmp(path + size - 5, "-lock") == 0;
}

bool disk_materialise(const struct disk *disk, enum disk_choice choice, uint64_t seed, const char *directory)
{
    struct chooser chooser = {.choice = choice, .seed = seed};
    struct names names = {0};
    span(disk, &chooser);
    bool fine = names_copy(&names, &disk->names);
    for (size_t i = 0; fine && i < disk->change_count; i++) {
        if (chosen(&chooser, disk->changes[i].event, 0))
            fine = change_apply(&names, &disk->changes[i]);
    }
    names_sort(&names);
    for (size_t i = 0; fine && i < names.count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", directory, names.list[i].path);
        if (names.list[i].object == NULL)
            fine = mkdir(path, 0700) == 0;
        else if (!is_mapped_lock(path))
            fine = object_materialise(names.list[i].object, &chooser, path);
        if (!fine && errno == ENOENT) /* its directory did not make it, so neither did it */
            fine = true;
    }
    names_fini(&names);
    return fine;
}
