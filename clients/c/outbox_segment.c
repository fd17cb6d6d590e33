#include "clients/c/outbox_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL /* the streaming state lives on the stack */
#include <xxhash.h>

#define MAGIC UINT64_C(0x3154554f43555254) /* "TRUCOUT1" */

enum { VERSION = 1, AT_CHECKSUM = 504, ITEM_AT_CHECKSUM = 16, NAME_BYTES = 32 };

static void name_of(uint64_t number, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%016" PRIx64 ".out", number);
}

static truc_status io_status(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? TRUC_DISK_FULL : error == ENOMEM ? TRUC_NO_MEMORY : TRUC_IO;
}

void outbox_segment_close(struct outbox_segment *segment)
{
    if (segment == NULL)
        return;
    if (segment->map != NULL)
        (void)munmap(segment->map, segment->size);
    if (segment->fd >= 0)
        (void)close(segment->fd);
    free(segment);
}

static struct outbox_segment *allocate(uint64_t number, uint32_t size, int fd)
{
    struct outbox_segment *segment = calloc(1, sizeof *segment);

    if (segment == NULL) {
        (void)close(fd);
        return NULL;
    }
    segment->number = number;
    segment->size = size;
    segment->used = OUTBOX_HEADER_BYTES;
    segment->fd = fd;
    return segment;
}

static bool map(struct outbox_segment *segment)
{
    void *memory = mmap(NULL, segment->size, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd, 0);

    if (memory == MAP_FAILED || memory == NULL)
        return false;
    segment->map = memory;
    return true;
}

truc_status outbox_segment_create(int directory, uint64_t number, uint32_t size, const struct outbox_identity *identity,
                                  struct outbox_segment **ret_segment)
{
    char name[NAME_BYTES];
    size_t owner_size = strlen(identity->owner);
    struct outbox_segment *segment;
    int fd, error;

    name_of(number, name);
    fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_status(errno);
    segment = allocate(number, size, fd);
    if (segment == NULL)
        return TRUC_NO_MEMORY;
    error = posix_fallocate(fd, 0, size);
    if (error == 0 && !map(segment))
        error = ENOMEM; /* what else could be missing for a file just made */
    if (error != 0)
        goto failed;
    store_u64(segment->map, MAGIC);
    store_u32(segment->map + 8, VERSION);
    store_u32(segment->map + 12, size);
    store_u64(segment->map + 16, number);
    memcpy(segment->map + 24, identity->log_id, LOG_ID_BYTES);
    store_u64(segment->map + 40, identity->generation);
    store_u16(segment->map + 48, (uint16_t)owner_size);
    memcpy(segment->map + 50, identity->owner, owner_size);
    store_u64(segment->map + AT_CHECKSUM, XXH3_64bits(segment->map, AT_CHECKSUM));
    /* The file itself, its length and its name, are on disk before anything relies on it. */
    if (fsync(fd) != 0 || fsync(directory) != 0) {
        error = errno;
        goto failed;
    }
    *ret_segment = segment;
    return TRUC_OK;
failed:
    (void)unlinkat(directory, name, 0);
    outbox_segment_close(segment);
    return io_status(error);
}

truc_status outbox_segment_open(int directory, uint64_t number, struct outbox_segment **ret_segment,
                                struct outbox_identity *ret_identity)
{
    char name[NAME_BYTES];
    struct outbox_segment *segment;
    struct stat status;
    uint16_t owner_size;
    int fd;

    name_of(number, name);
    fd = openat(directory, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return TRUC_IO;
    if (fstat(fd, &status) != 0 || status.st_size < OUTBOX_HEADER_BYTES || status.st_size > INT32_MAX) {
        (void)close(fd);
        return TRUC_DAMAGED;
    }
    segment = allocate(number, (uint32_t)status.st_size, fd);
    if (segment == NULL)
        return TRUC_NO_MEMORY;
    if (!map(segment)) {
        outbox_segment_close(segment);
        return TRUC_NO_MEMORY;
    }
    owner_size = load_u16(segment->map + 48);
    if (load_u64(segment->map) != MAGIC || load_u32(segment->map + 8) != VERSION || load_u32(segment->map + 12) != segment->size ||
        load_u64(segment->map + 16) != number || owner_size > OUTBOX_OWNER_BYTES_MAX ||
        load_u64(segment->map + AT_CHECKSUM) != XXH3_64bits(segment->map, AT_CHECKSUM)) {
        outbox_segment_close(segment);
        return TRUC_DAMAGED;
    }
    memcpy(ret_identity->log_id, segment->map + 24, LOG_ID_BYTES);
    ret_identity->generation = load_u64(segment->map + 40);
    memcpy(ret_identity->owner, segment->map + 50, owner_size);
    ret_identity->owner[owner_size] = '\0';
    *ret_segment = segment;
    return TRUC_OK;
}

truc_status outbox_segment_sync(const struct outbox_segment *segment)
{
    return fdatasync(segment->fd) == 0 ? TRUC_OK : TRUC_IO;
}

truc_status outbox_segment_delete(int directory, struct outbox_segment *segment)
{
    char name[NAME_BYTES];
    truc_status status;

    name_of(segment->number, name);
    status = unlinkat(directory, name, 0) == 0 ? TRUC_OK : TRUC_IO;
    outbox_segment_close(segment);
    return status;
}

static uint64_t item_checksum(const uint8_t *item, size_t size)
{
    XXH3_state_t state;

    XXH3_INITSTATE(&state);
    (void)XXH3_64bits_reset(&state);
    (void)XXH3_64bits_update(&state, item, ITEM_AT_CHECKSUM);
    (void)XXH3_64bits_update(&state, item + OUTBOX_ITEM_BYTES, size - OUTBOX_ITEM_BYTES);
    return XXH3_64bits_digest(&state);
}

static void how_write(uint8_t out[OUTBOX_HOW_BYTES], const struct batch_how *how)
{
    store_u64(out, (uint64_t)how->deliver_at_ns);
    store_u64(out + 8, how->expected_offset);
    store_u64(out + 16, how->conditional);
}

/* False: that is no way to publish. */
static bool how_read(const uint8_t in[OUTBOX_HOW_BYTES], struct batch_how *ret_how)
{
    uint64_t deliver_at = load_u64(in), conditional = load_u64(in + 16);

    *ret_how = (struct batch_how){(int64_t)deliver_at, load_u64(in + 8), conditional == 1};
    return deliver_at <= INT64_MAX && conditional <= 1;
}

void outbox_segment_append(struct outbox_segment *segment, const struct outbox_item *item)
{
    uint8_t *at = segment->map + segment->used, *body = at + OUTBOX_ITEM_BYTES + item->topic.size;
    size_t how_size = item->kind == OUTBOX_RECORD_AS ? OUTBOX_HOW_BYTES : 0;
    size_t filled = OUTBOX_ITEM_BYTES + item->topic.size + how_size + item->body.size, size = align8(filled);

    at[4] = (uint8_t)item->kind;
    at[5] = (uint8_t)item->topic.size;
    store_u16(at + 6, (uint16_t)(size - filled));
    store_u64(at + 8, item->sequence);
    memcpy(at + OUTBOX_ITEM_BYTES, item->topic.data, item->topic.size);
    if (how_size > 0)
        how_write(body, &item->how);
    if (item->body.size > 0)
        memcpy(body + how_size, item->body.data, item->body.size);
    memset(at + filled, 0, size - filled);
    store_u32(at, (uint32_t)size);
    store_u64(at + ITEM_AT_CHECKSUM, item_checksum(at, size));
    segment->used += (uint32_t)size;
    segment->dirty = true;
}

bool outbox_segment_next(const struct outbox_segment *segment, uint32_t *at, struct outbox_item *ret_item, bool *ret_torn)
{
    const uint8_t *item = segment->map + *at;
    uint32_t left = segment->size - *at, size;
    size_t topic_size, how_size, padding;

    *ret_torn = false;
    if (left < OUTBOX_ITEM_BYTES)
        return false;
    size = load_u32(item);
    if (size == 0) { /* nothing, unless what follows was written and the size was not */
        *ret_torn = load_u64(item + ITEM_AT_CHECKSUM) != 0;
        return false;
    }
    *ret_torn = true;
    topic_size = item[5];
    how_size = item[4] == OUTBOX_RECORD_AS ? OUTBOX_HOW_BYTES : 0;
    padding = load_u16(item + 6);
    if (size % 8 != 0 || size > left || size < OUTBOX_ITEM_BYTES + topic_size + how_size + padding || padding > 7 ||
        item[4] < OUTBOX_RECORD || item[4] > OUTBOX_RECORD_AS || load_u64(item + ITEM_AT_CHECKSUM) != item_checksum(item, size))
        return false;
    ret_item->how = (struct batch_how){0};
    if (how_size > 0 && !how_read(item + OUTBOX_ITEM_BYTES + topic_size, &ret_item->how))
        return false;
    *ret_torn = false;
    ret_item->kind = (enum outbox_kind)item[4];
    ret_item->sequence = load_u64(item + 8);
    ret_item->topic = bytes_of(item + OUTBOX_ITEM_BYTES, topic_size);
    ret_item->body =
        bytes_of(item + OUTBOX_ITEM_BYTES + topic_size + how_size, size - OUTBOX_ITEM_BYTES - topic_size - how_size - padding);
    *at += size;
    return true;
}

void outbox_segment_cut(struct outbox_segment *segment, uint32_t at)
{
    memset(segment->map + at, 0, segment->size - at);
    segment->used = at;
    segment->dirty = true;
}
