#include "broker/log/lmdb/segments.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void segments_init(struct segments *segments, const char *directory, uint32_t open_max)
{
    *segments = (struct segments){.directory = directory, .open_max = open_max};
    pthread_mutex_init(&segments->lock, NULL);
    pthread_cond_init(&segments->opened, NULL);
}

void segments_fini(struct segments *segments)
{
    for (size_t i = 0; i < segments->count; i++) {
        segment_close(segments->slots[i].segment);
    }
    free(segments->slots);
    pthread_cond_destroy(&segments->opened);
    pthread_mutex_destroy(&segments->lock);
}

/* Unlinks from its slot the segment to be closed next, when too many are open; NULL when there is none. */
static struct segment *pick_idle(struct segments *segments)
{
    if (segments->open_count <= segments->open_max) {
        return NULL;
    }
    struct segment_slot *oldest = NULL;
    for (size_t i = 0; i + 1 < segments->count; i++) { /* never the newest */
        struct segment_slot *slot = &segments->slots[i];
        if (slot->segment != NULL && slot->users == 0 && (oldest == NULL || slot->last_used < oldest->last_used)) {
            oldest = slot;
        }
    }
    if (oldest == NULL) {
        return NULL;
    }
    struct segment *segment = oldest->segment;
    oldest->segment = NULL;
    oldest->opening = true; /* closing takes the same turn: it must be gone before it is opened again */
    return segment;
}

static struct segment_slot *slot_of_block(struct segments *segments, uint64_t block)
{
    size_t low = 0, high = segments->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (segments->slots[middle].first_block <= block) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return segments->count > 0 ? &segments->slots[low] : NULL;
}

/* Closes what is too many; called with the lock held, which is given up meanwhile. */
static void close_idle(struct segments *segments)
{
    for (struct segment *idle; (idle = pick_idle(segments)) != NULL;) {
        uint64_t first_block = idle->first_block;
        pthread_mutex_unlock(&segments->lock);
        segment_close(idle);
        pthread_mutex_lock(&segments->lock);
        slot_of_block(segments, first_block)->opening = false;
        segments->open_count--;
        pthread_cond_broadcast(&segments->opened);
    }
}

truc_status segments_add(struct segments *segments, uint64_t first_block, struct segment *segment)
{
    truc_status status = TRUC_OK;
    pthread_mutex_lock(&segments->lock);
    if (segments->count == segments->capacity) {
        size_t capacity = segments->capacity == 0 ? 64 : segments->capacity * 2;
        struct segment_slot *slots = realloc(segments->slots, capacity * sizeof *slots);
        if (slots != NULL) {
            segments->slots = slots;
            segments->capacity = capacity;
        } else {
            status = TRUC_NO_MEMORY;
        }
    }
    if (status == TRUC_OK) {
        segments->slots[segments->count++] =
            (struct segment_slot){.first_block = first_block, .segment = segment, .last_used = segments->clock};
        segments->open_count += segment != NULL;
        close_idle(segments);
    }
    pthread_mutex_unlock(&segments->lock);
    return status;
}

void segments_set_position(struct segments *segments, uint64_t first_block, uint64_t first_position)
{
    pthread_mutex_lock(&segments->lock);
    struct segment_slot *slot = slot_of_block(segments, first_block);
    if (slot != NULL && slot->first_block == first_block) {
        slot->first_position = first_position;
        slot->first_position_known = true;
    }
    pthread_mutex_unlock(&segments->lock);
}

uint32_t segments_count(struct segments *segments)
{
    pthread_mutex_lock(&segments->lock);
    uint32_t count = (uint32_t)segments->count;
    pthread_mutex_unlock(&segments->lock);
    return count;
}

bool segments_at(struct segments *segments, size_t index, struct segment_slot *ret_slot)
{
    pthread_mutex_lock(&segments->lock);
    bool there = index < segments->count;
    if (there) {
        *ret_slot = segments->slots[index];
    }
    pthread_mutex_unlock(&segments->lock);
    return there;
}

truc_status segments_take(struct segments *segments, uint64_t block, struct segment **ret_segment, uint64_t *ret_first,
                          uint64_t *ret_end, char *why)
{
    pthread_mutex_lock(&segments->lock);
    struct segment_slot *slot = slot_of_block(segments, block);
    while (slot != NULL && slot->opening) {
        pthread_cond_wait(&segments->opened, &segments->lock);
        slot = slot_of_block(segments, block);
    }
    if (slot == NULL) {
        pthread_mutex_unlock(&segments->lock);
        log_why(why, "there is no segment");
        return TRUC_DAMAGED;
    }
    uint64_t first_block = slot->first_block;
    *ret_first = first_block;
    *ret_end = slot + 1 < segments->slots + segments->count ? slot[1].first_block : UINT64_MAX;
    truc_status status = TRUC_OK;
    if (slot->segment == NULL) {
        slot->opening = true;
        pthread_mutex_unlock(&segments->lock);
        char path[FILES_PATH_MAX];
        struct segment *segment = NULL;
        status = files_segment_path(path, segments->directory, first_block, why);
        if (status == TRUC_OK) {
            status = segment_open(path, first_block, false, 0, &segment, why);
        }
        pthread_mutex_lock(&segments->lock);
        slot = slot_of_block(segments, first_block); /* the array may have moved */
        slot->opening = false;
        slot->segment = segment;
        segments->open_count += segment != NULL;
        pthread_cond_broadcast(&segments->opened);
    }
    if (status == TRUC_OK) {
        slot->users++;
        slot->last_used = ++segments->clock;
        *ret_segment = slot->segment;
        close_idle(segments);
    }
    pthread_mutex_unlock(&segments->lock);
    return status;
}

void segments_give(struct segments *segments, struct segment *segment)
{
    pthread_mutex_lock(&segments->lock);
    slot_of_block(segments, segment->first_block)->users--;
    pthread_mutex_unlock(&segments->lock);
}

/* A segment that nobody has open is not mapped. */
static void cool_closed(const struct segments *segments, uint64_t first_block, uint64_t begin, uint64_t end)
{
    char path[FILES_PATH_MAX];
    int fd = files_segment_path(path, segments->directory, first_block, NULL) == TRUC_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)posix_fadvise(fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_DONTNEED);
        (void)close(fd);
    }
}

void segments_cool(struct segments *segments, uint64_t first_block, uint64_t begin, uint64_t end)
{
    pthread_mutex_lock(&segments->lock);
    struct segment_slot *slot = slot_of_block(segments, first_block);
    struct segment *segment = slot->opening ? NULL : slot->segment;
    slot->users += segment != NULL;
    pthread_mutex_unlock(&segments->lock);
    if (segment == NULL) {
        cool_closed(segments, first_block, begin, end);
        return;
    }
    segment_cool(segment, begin, end);
    segments_give(segments, segment);
}

void segments_narrow(struct segments *segments, uint64_t position, uint64_t *low, uint64_t *high)
{
    pthread_mutex_lock(&segments->lock);
    /* The last segment that begins at or before the position; those whose beginning is unknown narrow nothing. */
    for (size_t i = segments->count; i-- > 0;) {
        const struct segment_slot *slot = &segments->slots[i];
        if (!slot->first_position_known) {
            continue;
        }
        if (slot->first_position > position) {
            *high = slot->first_block < *high ? slot->first_block : *high;
        } else {
            *low = slot->first_block > *low ? slot->first_block : *low;
            break;
        }
    }
    pthread_mutex_unlock(&segments->lock);
}
