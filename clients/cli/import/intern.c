#include "clients/cli/import/intern.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

/* Texts stand one behind the other in `blob`, each followed by a zero byte; slots hold number + 1 and are probed linearly. */
struct intern {
    size_t count, count_max, bytes_max;
    struct {
        size_t at, size;
        uint64_t hash;
    } * texts;
    size_t text_capacity;
    char *blob;
    size_t blob_size, blob_capacity;
    uint32_t *slots;
    size_t slot_count; /* a power of two, at least twice `count` */
};

enum { SLOTS_AT_FIRST = 64 };

struct intern *intern_create(size_t count_max, size_t bytes_max)
{
    assert(count_max < UINT32_MAX);
    struct intern *intern = calloc(1, sizeof *intern);
    if (intern == NULL) {
        return NULL;
    }
    intern->count_max = count_max;
    intern->bytes_max = bytes_max;
    intern->slot_count = SLOTS_AT_FIRST;
    intern->slots = calloc(intern->slot_count, sizeof *intern->slots);
    if (intern->slots == NULL) {
        free(intern);
        return NULL;
    }
    return intern;
}

void intern_destroy(struct intern *intern)
{
    if (intern == NULL) {
        return;
    }
    free(intern->texts);
    free(intern->blob);
    free(intern->slots);
    free(intern);
}

static uint64_t hash_of(struct bytes text)
{
    return XXH3_64bits(text.size == 0 ? "" : (const char *)text.data, text.size);
}

/* The slot that holds the text, or the free one where it belongs. */
static size_t slot_of(const struct intern *intern, struct bytes text, uint64_t hash)
{
    size_t mask = intern->slot_count - 1;
    for (size_t slot = (size_t)hash & mask;; slot = (slot + 1) & mask) {
        uint32_t held = intern->slots[slot];
        if (held == 0 || (intern->texts[held - 1].hash == hash && bytes_equal(intern_at(intern, held - 1), text))) {
            return slot;
        }
    }
}

static truc_status grow_slots(struct intern *intern)
{
    size_t slot_count = intern->slot_count * 2;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) {
        return TRUC_NO_MEMORY;
    }
    for (size_t i = 0; i < intern->count; i++) {
        size_t slot = (size_t)intern->texts[i].hash & (slot_count - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (slot_count - 1);
        }
        slots[slot] = (uint32_t)(i + 1);
    }
    free(intern->slots);
    intern->slots = slots;
    intern->slot_count = slot_count;
    return TRUC_OK;
}

static truc_status make_room(struct intern *intern, size_t size)
{
    if (intern->count == intern->text_capacity) {
        size_t capacity = intern->text_capacity == 0 ? 32 : intern->text_capacity * 2;
        void *texts = realloc(intern->texts, capacity * sizeof *intern->texts);
        if (texts == NULL) {
            return TRUC_NO_MEMORY;
        }
        intern->texts = texts;
        intern->text_capacity = capacity;
    }
    if (intern->blob_capacity - intern->blob_size < size) {
        size_t capacity = intern->blob_capacity == 0 ? 1024 : intern->blob_capacity * 2;
        while (capacity - intern->blob_size < size) {
            capacity *= 2;
        }
        char *blob = realloc(intern->blob, capacity);
        if (blob == NULL) {
            return TRUC_NO_MEMORY;
        }
        intern->blob = blob;
        intern->blob_capacity = capacity;
    }
    return (intern->count + 1) * 2 > intern->slot_count ? grow_slots(intern) : TRUC_OK;
}

truc_status intern_add(struct intern *intern, struct bytes text, uint32_t *ret_number, bool *ret_new)
{
    uint64_t hash = hash_of(text);
    uint32_t held = intern->slots[slot_of(intern, text, hash)];
    if (held != 0) {
        *ret_number = held - 1;
        *ret_new = false;
        return TRUC_OK;
    }
    if (intern->count == intern->count_max || text.size >= intern->bytes_max - intern->blob_size) {
        return TRUC_TOO_MANY;
    }
    truc_status status = make_room(intern, text.size + 1);
    if (status != TRUC_OK) {
        return status;
    }
    intern->texts[intern->count].at = intern->blob_size;
    intern->texts[intern->count].size = text.size;
    intern->texts[intern->count].hash = hash;
    if (text.size != 0) {
        memcpy(intern->blob + intern->blob_size, text.data, text.size);
    }
    intern->blob[intern->blob_size + text.size] = '\0';
    intern->blob_size += text.size + 1;
    intern->slots[slot_of(intern, text, hash)] = (uint32_t)(intern->count + 1);
    *ret_number = (uint32_t)intern->count++;
    *ret_new = true;
    return TRUC_OK;
}

bool intern_find(const struct intern *intern, struct bytes text, uint32_t *ret_number)
{
    uint32_t held = intern->slots[slot_of(intern, text, hash_of(text))];
    if (held == 0) {
        return false;
    }
    *ret_number = held - 1;
    return true;
}

struct bytes intern_at(const struct intern *intern, uint32_t number)
{
    assert(number < intern->count);
    return bytes_of(intern->blob + intern->texts[number].at, intern->texts[number].size);
}

size_t intern_count(const struct intern *intern)
{
    return intern->count;
}

truc_status intern_array_fit(const struct intern *intern, void **array, size_t *capacity, size_t element_size)
{
    if (intern->count <= *capacity) {
        return TRUC_OK;
    }
    size_t wanted = *capacity == 0 ? 32 : *capacity * 2;
    while (wanted < intern->count) {
        wanted *= 2;
    }
    char *grown = realloc(*array, wanted * element_size);
    if (grown == NULL) {
        return TRUC_NO_MEMORY;
    }
    memset(grown + *capacity * element_size, 0, (wanted - *capacity) * element_size);
    *array = grown;
    *capacity = wanted;
    return TRUC_OK;
}
