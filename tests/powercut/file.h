/* file.h: one file of the picture that disk.h keeps: what is on disk, and what was written since. Layer: tests. One thread. */
#ifndef TRUC_TESTS_POWERCUT_FILE_H
#define TRUC_TESTS_POWERCUT_FILE_H

#include "disk.h"

#include <stdlib.h>

/* Room for one more in an array that doubles; false when out of memory. */
bool grow(void **list, size_t count, size_t *capacity, size_t element);
#define GROW(list, count, capacity) grow((void **)&(list), count, &(capacity), sizeof *(list))

struct version {
    struct version *newer;
    uint64_t write; /* number of the event */
    uint8_t bytes[SECTOR_BYTES];
};

struct sector {
    uint32_t number;
    struct version *oldest, *newest;
};

struct resize {
    uint64_t event, size;
};

/* A file, by whatever names. Pending sectors are few at a time: a sorted array of them, found by halving. */
struct object {
    uint64_t inode;
    uint8_t *durable; /* durable_capacity bytes; zeros beyond what was written */
    size_t durable_capacity, durable_used;
    struct sector *sectors;
    size_t sector_count, sector_capacity;
    uint64_t size_durable, size_now;
    struct resize *resizes;
    size_t resize_count, resize_capacity;
};

struct object *object_create(uint64_t inode); /* NULL: out of memory */
void object_destroy(struct object *object);

/* What a program did: pending until it is flushed. False: out of memory. */
bool object_write(struct object *object, uint64_t event, uint64_t offset, const uint8_t *data, uint64_t size);
bool object_resize(struct object *object, uint64_t event, uint64_t size);

/* Versions of writes up to an event in sectors [from, until), and sizes up to an event, are on disk from now on. */
bool object_flush(struct object *object, uint64_t event, uint32_t from, uint32_t until);
void object_size_flush(struct object *object, uint64_t event);

/* How a state chooses among what is pending. */
struct chooser {
    enum disk_choice choice;
    uint64_t seed, oldest, newest; /* of what is pending, as event numbers */
};
/* Whether an event, or one part of a torn one, is in the state. */
bool chosen(const struct chooser *chooser, uint64_t event, uint64_t part);

/* Writes the file of a state. False: errno tells. */
bool object_materialise(const struct object *object, const struct chooser *chooser, const char *path);

#endif
