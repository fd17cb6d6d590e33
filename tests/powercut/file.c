#include "file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool grow(void **list, size_t count, size_t *capacity, size_t element)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *moved = realloc(*list, wanted * element);
    if (moved == NULL)
        return false;
    *list = moved;
    *capacity = wanted;
    return true;
}

struct object *object_create(uint64_t inode)
{
    struct object *object = calloc(1, sizeof *object);
    if (object != NULL)
        object->inode = inode;
    return object;
}

void object_destroy(struct object *object)
{
    for (size_t i = 0; i < object->sector_count; i++) {
        for (struct version *v = object->sectors[i].oldest, *newer; v != NULL; v = newer) {
            newer = v->newer;
            free(v);
        }
    }
    free(object->sectors);
    free(object->resizes);
    free(object->durable);
    free(object);
}

/* Index of the first pending sector at or after a number. */
static size_t sector_index(const struct object *object, uint32_t number)
{
    size_t low = 0, high = object->sector_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (object->sectors[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct sector *sector_pending(struct object *object, uint32_t number)
{
    size_t at = sector_index(object, number);
    if (at < object->sector_count && object->sectors[at].number == number)
        return &object->sectors[at];
    if (!GROW(object->sectors, object->sector_count, object->sector_capacity))
        return NULL;
    memmove(&object->sectors[at + 1], &object->sectors[at], (object->sector_count - at) * sizeof object->sectors[0]);
    object->sector_count++;
    object->sectors[at] = (struct sector){.number = number};
    return &object->sectors[at];
}

/* What a program would read there now. */
static void sector_now(const struct object *object, const struct sector *sector, uint8_t out[SECTOR_BYTES])
{
    size_t at = (size_t)sector->number * SECTOR_BYTES;
    if (sector->newest != NULL)
        memcpy(out, sector->newest->bytes, SECTOR_BYTES);
    else if (at < object->durable_used)
        memcpy(out, object->durable + at, SECTOR_BYTES);
    else
        memset(out, 0, SECTOR_BYTES);
}

static bool size_list(struct object *object, uint64_t event, uint64_t size)
{
    if (size == object->size_now)
        return true;
    if (!GROW(object->resizes, object->resize_count, object->resize_capacity))
        return false;
    object->resizes[object->resize_count++] = (struct resize){event, size};
    object->size_now = size;
    return true;
}

/* What one write leaves in the sectors that it touches. data NULL: zeros. */
static bool versions_add(struct object *object, uint64_t event, uint64_t offset, const uint8_t *data, uint64_t size)
{
    uint64_t end = offset + size;
    for (uint64_t at = offset; at < end;) {
        uint32_t number = (uint32_t)(at / SECTOR_BYTES);
        size_t within = (size_t)(at % SECTOR_BYTES);
        size_t take = SECTOR_BYTES - within < end - at ? SECTOR_BYTES - within : (size_t)(end - at);
        struct sector *sector = sector_pending(object, number);
        struct version *version = sector != NULL ? malloc(sizeof *version) : NULL;
        if (version == NULL)
            return false;
        version->newer = NULL;
        version->write = event;
        sector_now(object, sector, version->bytes);
        if (data != NULL)
            memcpy(version->bytes + within, data + (at - offset), take);
        else
            memset(version->bytes + within, 0, take);
        if (sector->newest != NULL)
            sector->newest->newer = version;
        else
            sector->oldest = version;
        sector->newest = version;
        at += take;
    }
    return true;
}

bool object_write(struct object *object, uint64_t event, uint64_t offset, const uint8_t *data, uint64_t size)
{
    return versions_add(object, event, offset, data, size) &&
           (offset + size <= object->size_now || size_list(object, event, offset + size));
}

/* What lies beyond a smaller size reads as zeros if the file grows again. */
bool object_resize(struct object *object, uint64_t event, uint64_t size)
{
    uint64_t used = object->durable_used;
    if (object->sector_count > 0) {
        uint64_t pending = ((uint64_t)object->sectors[object->sector_count - 1].number + 1) * SECTOR_BYTES;
        used = pending > used ? pending : used;
    }
    return (size >= used || versions_add(object, event, size, NULL, used - size)) && size_list(object, event, size);
}

static bool durable_put(struct object *object, uint32_t number, const uint8_t bytes[SECTOR_BYTES])
{
    size_t at = (size_t)number * SECTOR_BYTES, end = at + SECTOR_BYTES;
    if (end > object->durable_used) {
        static const uint8_t zeros[SECTOR_BYTES];
        if (memcmp(bytes, zeros, SECTOR_BYTES) == 0)
            return true;
        if (end > object->durable_capacity) {
            size_t wanted = end * 2;
            uint8_t *moved = realloc(object->durable, wanted);
            if (moved == NULL)
                return false;
            memset(moved + object->durable_capacity, 0, wanted - object->durable_capacity);
            object->durable = moved;
            object->durable_capacity = wanted;
        }
        object->durable_used = end;
    }
    memcpy(object->durable + at, bytes, SECTOR_BYTES);
    return true;
}

bool object_flush(struct object *object, uint64_t write, uint32_t from, uint32_t until)
{
    size_t kept = sector_index(object, from);
    size_t i = kept;
    for (; i < object->sector_count && object->sectors[i].number < until; i++) {
        struct sector sector = object->sectors[i];
        while (sector.oldest != NULL && sector.oldest->write <= write) {
            struct version *version = sector.oldest;
            sector.oldest = version->newer;
            bool last = sector.oldest == NULL || sector.oldest->write > write;
            if (last && !durable_put(object, sector.number, version->bytes))
                return false;
            free(version);
        }
        if (sector.oldest != NULL)
            object->sectors[kept++] = sector;
    }
    memmove(&object->sectors[kept], &object->sectors[i], (object->sector_count - i) * sizeof object->sectors[0]);
    object->sector_count -= i - kept;
    return true;
}

void object_size_flush(struct object *object, uint64_t event)
{
    size_t done = 0;
    while (done < object->resize_count && object->resizes[done].event <= event)
        object->size_durable = object->resizes[done++].size;
    memmove(object->resizes, object->resizes + done, (object->resize_count - done) * sizeof object->resizes[0]);
    object->resize_count -= done;
}

/* --- states ---------------------------------------------------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

bool chosen(const struct chooser *chooser, uint64_t event, uint64_t part)
{
    uint64_t moment = chooser->oldest + mix(chooser->seed) % (chooser->newest - chooser->oldest + 2);
    uint64_t coin = mix(chooser->seed ^ mix(event));
    bool part_coin = (mix(chooser->seed ^ mix(event) ^ mix(part + 1)) & 1) != 0;
    switch (chooser->choice) {
    case CHOICE_KEEP_ALL:
        return true;
    case CHOICE_DROP_ALL:
        return false;
    case CHOICE_TEAR:
        return part_coin;
    case CHOICE_OLD:
        return event < moment || (event == moment && part_coin);
    case CHOICE_NEW:
        return event > moment || (event == moment && part_coin);
    default:
        return coin % 4 == 0 ? part_coin : coin % 4 == 1;
    }
}

static bool write_all(int fd, const uint8_t *data, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, data, size, (off_t)offset);
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return true;
}

bool object_materialise(const struct object *object, const struct chooser *chooser, const char *path)
{
    uint64_t size = object->size_durable;
    for (size_t i = 0; i < object->resize_count; i++) {
        if (chosen(chooser, object->resizes[i].event, UINT32_MAX))
            size = object->resizes[i].size;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    size_t used = object->durable_used < size ? object->durable_used : (size_t)size;
    bool fine = ftruncate(fd, (off_t)size) == 0 && write_all(fd, object->durable, used, 0);
    for (size_t i = 0; fine && i < object->sector_count; i++) {
        const struct sector *sector = &object->sectors[i];
        const struct version *version = NULL;
        for (const struct version *v = sector->oldest; v != NULL; v = v->newer) {
            if (chosen(chooser, v->write, sector->number))
                version = v;
        }
        uint64_t at = (uint64_t)sector->number * SECTOR_BYTES;
        if (version != NULL && at < size)
            fine = write_all(fd, version->bytes, size - at < SECTOR_BYTES ? (size_t)(size - at) : SECTOR_BYTES, at);
    }
    return close(fd) == 0 && fine;
}
