#include "clients/c/outbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/c/outbox_replay.h"
#include "clients/c/producer.h"
#include "clients/c/publish.h"

enum {
    SEGMENT_BYTES_LEAST = 4 * 1024 * 1024,
    MARK_RESERVE_BYTES = 64 * 1024, /* at the end of a segment: for marks only, which must always find room */
    SEGMENTS_LEAST = 2,
    SYNCS_AT_ONCE = 8
};

struct outbox {
    int directory, lock_file;
    struct outbox_identity identity;
    uint32_t segment_bytes;
    uint64_t limit_bytes, bytes; /* of segments, the spare included */
    struct outbox_segment *head, *tail, *spare;
    uint64_t next_number;
    uint64_t synced;  /* below it everything is on disk */
    uint64_t barrier; /* nothing may be sent before the disk has everything below it */
    bool sync_wanted, trim_wanted, resumed, failed;
    struct outbox_replay replay;
    char why[256];
};

static uint64_t place_of(uint64_t number, uint32_t offset)
{
    return number << 32 | offset;
}

/* --- open -------------------------------------------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The numbers of the segments that are there, in order. */
static truc_status list_segments(int directory, uint64_t **ret_numbers, size_t *ret_count)
{
    uint64_t *numbers = NULL;
    size_t count = 0, capacity = 0;
    struct dirent *entry;
    int copy = dup(directory);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);

    if (stream == NULL) {
        if (copy >= 0)
            (void)close(copy);
        return TRUC_IO;
    }
    rewinddir(stream);
    while ((entry = readdir(stream)) != NULL) {
        uint64_t number;
        int end = 0;

        if (sscanf(entry->d_name, "%16" SCNx64 ".out%n", &number, &end) != 1 || end != 20 || entry->d_name[20] != '\0')
            continue;
        if (count == capacity) {
            size_t larger = capacity == 0 ? 16 : capacity * 2;
            uint64_t *moved = realloc(numbers, larger * sizeof *moved);

            if (moved == NULL) {
                free(numbers);
                (void)closedir(stream);
                return TRUC_NO_MEMORY;
            }
            numbers = moved;
            capacity = larger;
        }
        numbers[count++] = number;
    }
    (void)closedir(stream);
    if (count > 0)
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    *ret_numbers = numbers;
    *ret_count = count;
    return TRUC_OK;
}

static truc_status check_identity(struct outbox *outbox, const struct outbox_identity *found)
{
    if (strcmp(found->owner, outbox->identity.owner) != 0) {
        (void)snprintf(outbox->why, sizeof outbox->why, "the outbox belongs to %.150s", found->owner);
        return TRUC_INVALID_ARGUMENT;
    }
    if (memcmp(found->log_id, outbox->identity.log_id, LOG_ID_BYTES) != 0 || found->generation != outbox->identity.generation) {
        (void)snprintf(outbox->why, sizeof outbox->why, "the outbox holds records for another log or generation");
        return TRUC_LOG_MISMATCH;
    }
    return TRUC_OK;
}

/* Whether something behind a torn place shows that this place had been flushed: then it is damage, not a torn end. */
static bool flushed_beyond(const struct outbox_segment *segment, uint32_t from, uint64_t torn_place)
{
    struct outbox_item item;
    bool torn;

    for (uint32_t at = from; at + OUTBOX_ITEM_BYTES <= segment->size; at += 8) {
        uint32_t next = at;

        if (outbox_segment_next(segment, &next, &item, &torn) && item.kind == OUTBOX_ACKED && item.body.size == 8 &&
            load_u64(item.body.data) > torn_place)
            return true;
    }
    return false;
}

/* Replays the segments; a torn end is cut, with everything behind it. */
static truc_status replay(struct outbox *outbox)
{
    struct outbox_segment **at = &outbox->head;
    uint64_t torn_place = UINT64_MAX;

    while (*at != NULL) {
        struct outbox_segment *segment = *at;
        struct outbox_item item;
        truc_status status = TRUC_OK;
        uint32_t place = OUTBOX_HEADER_BYTES;
        bool torn = false;

        if (torn_place == UINT64_MAX) {
            while (status == TRUC_OK && outbox_segment_next(segment, &place, &item, &torn))
                status = outbox_replay_add(&outbox->replay, &item);
            if (status == TRUC_OK && torn)
                torn_place = place_of(segment->number, place);
        }
        if (status == TRUC_OK && torn_place != UINT64_MAX && flushed_beyond(segment, place, torn_place))
            status = TRUC_DAMAGED;
        if (status != TRUC_OK) {
            (void)snprintf(outbox->why, sizeof outbox->why, "the outbox's segment %016" PRIx64 " is damaged near byte %u",
                           segment->number, place);
            return status;
        }
        if (torn_place != UINT64_MAX && torn_place < place_of(segment->number, 0)) {
            *at = segment->next;
            outbox->bytes -= segment->size;
            status = outbox_segment_delete(outbox->directory, segment);
            if (status != TRUC_OK)
                return status;
            continue;
        }
        segment->used = place;
        if (segment->next == NULL || torn)
            outbox_segment_cut(segment, place);
        outbox->tail = segment;
        at = &segment->next;
    }
    return TRUC_OK;
}

static truc_status load_segments(struct outbox *outbox)
{
    struct outbox_segment **last = &outbox->head;
    uint64_t *numbers = NULL;
    size_t count = 0;
    truc_status status = list_segments(outbox->directory, &numbers, &count);

    for (size_t i = 0; i < count && status == TRUC_OK; i++) {
        struct outbox_identity identity;
        struct outbox_segment *segment = NULL;

        status = outbox_segment_open(outbox->directory, numbers[i], &segment, &identity);
        if (status == TRUC_DAMAGED && i + 1 == count) {
            /* The newest was being made when the process died: nothing can be in it. */
            char name[32];

            (void)snprintf(name, sizeof name, "%016" PRIx64 ".out", numbers[i]);
            status = unlinkat(outbox->directory, name, 0) == 0 ? TRUC_OK : TRUC_IO;
            break;
        }
        if (status != TRUC_OK) {
            (void)snprintf(outbox->why, sizeof outbox->why, "the outbox's segment %016" PRIx64 " cannot be opened", numbers[i]);
            break;
        }
        *last = segment;
        last = &segment->next;
        outbox->bytes += segment->size;
        outbox->next_number = numbers[i] + 1;
        status = check_identity(outbox, &identity);
    }
    free(numbers);
    return status;
}

static truc_status take_directory(struct outbox *outbox, const char *directory)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(outbox->why, sizeof outbox->why, "%.150s: %s", directory, strerror(errno));
        return TRUC_IO;
    }
    outbox->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    outbox->lock_file = outbox->directory < 0 ? -1 : openat(outbox->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (outbox->lock_file < 0) {
        (void)snprintf(outbox->why, sizeof outbox->why, "%.150s: %s", directory, strerror(errno));
        return TRUC_IO;
    }
    if (flock(outbox->lock_file, LOCK_EX | LOCK_NB) != 0) {
        (void)snprintf(outbox->why, sizeof outbox->why, "%.150s is in use by another process", directory);
        return TRUC_LOCKED;
    }
    return TRUC_OK;
}

truc_status outbox_open(const char *directory, const struct outbox_identity *identity, uint64_t limit_bytes,
                        struct outbox **ret_outbox, char *why, size_t why_size)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);
    size_t largest = identity->record_bytes_max + TOPIC_BYTES_MAX + OUTBOX_ITEM_BYTES + OUTBOX_HOW_BYTES + OUTBOX_HEADER_BYTES +
                     MARK_RESERVE_BYTES + 4096;
    truc_status status;

    if (outbox == NULL)
        return TRUC_NO_MEMORY;
    outbox->directory = outbox->lock_file = -1;
    outbox->identity = *identity;
    outbox->limit_bytes = limit_bytes;
    outbox->segment_bytes = (uint32_t)((largest > SEGMENT_BYTES_LEAST ? largest : SEGMENT_BYTES_LEAST) + 4095) & ~4095u;
    outbox->next_number = 1;
    outbox_replay_init(&outbox->replay);
    status = take_directory(outbox, directory);
    if (status == TRUC_OK)
        status = load_segments(outbox);
    if (status == TRUC_OK)
        status = replay(outbox);
    if (status == TRUC_OK && outbox->tail == NULL) {
        status = outbox_segment_create(outbox->directory, outbox->next_number, outbox->segment_bytes, identity, &outbox->tail);
        if (status == TRUC_OK) {
            outbox->head = outbox->tail;
            outbox->bytes += outbox->tail->size;
            outbox->next_number++;
        } else {
            (void)snprintf(outbox->why, sizeof outbox->why, "%.150s: a segment cannot be made: %s", directory, strerror(errno));
        }
    }
    if (status == TRUC_OK) {
        outbox->sync_wanted = true; /* what a killed process left in the page cache */
        *ret_outbox = outbox;
    } else {
        (void)snprintf(why, why_size, "%s", outbox->why[0] != '\0' ? outbox->why : truc_status_text(status));
        outbox_close(outbox);
    }
    return status;
}

void outbox_close(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    while (outbox->head != NULL) {
        struct outbox_segment *next = outbox->head->next;

        outbox_segment_close(outbox->head);
        outbox->head = next;
    }
    if (outbox->spare != NULL) /* an empty one is not kept */
        (void)outbox_segment_delete(outbox->directory, outbox->spare);
    outbox_replay_fini(&outbox->replay);
    if (outbox->lock_file >= 0)
        (void)close(outbox->lock_file);
    if (outbox->directory >= 0)
        (void)close(outbox->directory);
    free(outbox);
}

const char *outbox_why(const struct outbox *outbox)
{
    return outbox->why;
}

/* --- after a crash -------------------------------------------------------------------------------------------------------------
 */

static truc_status resume_topic(struct outbox *outbox, struct truc_producer *producer, struct open_topic *topic)
{
    struct lane *lane;
    uint64_t first = topic->first_sequence, last = first + topic->count;
    truc_status status = lane_find(producer, topic->name, topic->name_size, &lane);

    if (status != TRUC_OK)
        return status == TRUC_NO_MEMORY ? status : TRUC_DAMAGED;
    if (lane->acked_next < first) {
        (void)snprintf(outbox->why, sizeof outbox->why,
                       "the broker has %" PRIu64 " records of this producer in %.120s, it had acknowledged %" PRIu64,
                       lane->acked_next, topic->name, first);
        return TRUC_LOG_WENT_BACK;
    }
    if (lane->acked_next > last && topic->count > 0) {
        (void)snprintf(outbox->why, sizeof outbox->why,
                       "another instance published under this name into %.120s while records of it waited in the outbox",
                       topic->name);
        return TRUC_CONFLICT;
    }
    open_topic_drop(topic, lane->acked_next);
    for (size_t i = 0; i < topic->count && status == TRUC_OK; i++)
        status = publish_recovered(producer, lane, topic->records[topic->begin + i].record, &topic->records[topic->begin + i].how,
                                   place_of(outbox->head->number, 0), outbox_end(outbox));
    return status;
}

truc_status outbox_resume(struct outbox *outbox, struct truc_producer *producer)
{
    truc_status status = TRUC_OK;

    if (outbox->resumed)
        return TRUC_OK;
    for (struct open_topic *topic = outbox->replay.topics; topic != NULL && status == TRUC_OK; topic = topic->next)
        status = resume_topic(outbox, producer, topic);
    if (status != TRUC_OK)
        return status;
    outbox->resumed = true;
    outbox->trim_wanted = true;
    outbox_replay_fini(&outbox->replay);
    return TRUC_OK;
}

/* --- appending -----------------------------------------------------------------------------------------------------------------
 */

/* A record that cannot be had with its reserve in the last segment goes into the spare. */
static bool fits(const struct outbox_segment *segment, size_t size, size_t reserve)
{
    return segment->size - segment->used >= size + reserve;
}

static enum outbox_kind kind_of(const struct batch_how *how)
{
    return batch_how_plain(how) ? OUTBOX_RECORD : OUTBOX_RECORD_AS;
}

bool outbox_has_room(const struct outbox *outbox, size_t topic_size, const struct batch_how *how, size_t record_size)
{
    size_t size = outbox_item_size(kind_of(how), topic_size, record_size);

    return fits(outbox->tail, size, MARK_RESERVE_BYTES) || (outbox->spare != NULL && fits(outbox->spare, size, MARK_RESERVE_BYTES));
}

static void use_spare(struct outbox *outbox)
{
    outbox->tail->next = outbox->spare;
    outbox->tail = outbox->spare;
    outbox->spare = NULL;
}

uint64_t outbox_append(struct outbox *outbox, const char *topic, size_t topic_size, uint64_t sequence, const struct batch_how *how,
                       struct bytes record)
{
    struct outbox_item item = {
        .kind = kind_of(how), .sequence = sequence, .how = *how, .topic = bytes_of(topic, topic_size), .body = record};
    uint64_t place;

    if (!fits(outbox->tail, outbox_item_size(item.kind, topic_size, record.size), MARK_RESERVE_BYTES))
        use_spare(outbox);
    place = outbox_end(outbox);
    outbox_segment_append(outbox->tail, &item);
    return place;
}

uint64_t outbox_end(const struct outbox *outbox)
{
    return place_of(outbox->tail->number, outbox->tail->used);
}

uint64_t outbox_synced(const struct outbox *outbox)
{
    return outbox->synced >= outbox->barrier && !outbox->failed ? outbox->synced : 0;
}

void outbox_want_sync(struct outbox *outbox)
{
    if (outbox->synced < outbox_end(outbox))
        outbox->sync_wanted = true;
}

static bool append_mark(struct outbox *outbox, const struct outbox_item *item)
{
    size_t size = outbox_item_size(item->kind, item->topic.size, item->body.size);

    if (!fits(outbox->tail, size, 0)) {
        if (outbox->spare == NULL)
            return false;
        use_spare(outbox);
    }
    outbox_segment_append(outbox->tail, item);
    return true;
}

void outbox_acked(struct outbox *outbox, const char *topic, size_t topic_size, uint64_t next_sequence)
{
    uint8_t body[8];
    struct outbox_item item = {
        .kind = OUTBOX_ACKED, .sequence = next_sequence, .topic = bytes_of(topic, topic_size), .body = bytes_of(body, sizeof body)};

    store_u64(body, outbox->synced);
    /* Without it the broker's own word serves after a crash. */
    if (fits(outbox->tail, outbox_item_size(item.kind, topic_size, sizeof body), MARK_RESERVE_BYTES))
        (void)append_mark(outbox, &item);
    if (outbox->head != outbox->tail)
        outbox->trim_wanted = true;
}

void outbox_refused(struct outbox *outbox, const char *topic, size_t topic_size, uint64_t sequence, uint32_t count)
{
    uint8_t body[4];
    struct outbox_item item = {
        .kind = OUTBOX_REFUSED, .sequence = sequence, .topic = bytes_of(topic, topic_size), .body = bytes_of(body, sizeof body)};

    store_u32(body, count);
    if (!append_mark(outbox, &item)) {
        (void)snprintf(outbox->why, sizeof outbox->why, "the outbox has no room to note that records were refused");
        outbox->failed = true; /* nothing more may be sent: its numbers could not be told after a crash */
    }
    outbox->barrier = outbox_end(outbox);
    outbox_want_sync(outbox);
}

/* --- the client's thread ---------------------------------------------------------------------------------------------------------
 */

static bool may_grow(const struct outbox *outbox)
{
    return outbox->spare == NULL && (outbox->bytes + outbox->segment_bytes <= outbox->limit_bytes ||
                                     outbox->bytes < (uint64_t)SEGMENTS_LEAST * outbox->segment_bytes);
}

bool outbox_has_work(const struct outbox *outbox)
{
    return outbox->failed || outbox->sync_wanted || outbox->trim_wanted || may_grow(outbox);
}

static truc_status work_sync(struct outbox *outbox, pthread_mutex_t *lock)
{
    const struct outbox_segment *dirty[SYNCS_AT_ONCE];
    uint64_t end = outbox_end(outbox);
    truc_status status = TRUC_OK;
    size_t count;

    outbox->sync_wanted = false;
    do {
        count = 0;
        for (struct outbox_segment *segment = outbox->head; segment != NULL && count < SYNCS_AT_ONCE; segment = segment->next) {
            if (segment->dirty) {
                segment->dirty = false;
                dirty[count++] = segment;
            }
        }
        (void)pthread_mutex_unlock(lock);
        for (size_t i = 0; i < count && status == TRUC_OK; i++)
            status = outbox_segment_sync(dirty[i]);
        (void)pthread_mutex_lock(lock);
    } while (count == SYNCS_AT_ONCE && status == TRUC_OK);
    if (status == TRUC_OK)
        outbox->synced = end;
    else
        (void)snprintf(outbox->why, sizeof outbox->why, "the outbox cannot be flushed to disk");
    return status;
}

/* Whether no record in the oldest segment is open. Asked anew each time: while the lock was given up, records may have come, or all
 * batches of a producer that failed may have gone although their records stay. */
static bool may_trim(const struct outbox *outbox, const struct truc_producer *producer)
{
    if (outbox->head == outbox->tail || !outbox->resumed || producer->state == PRODUCER_FAILED)
        return false;
    return producer->age_head == NULL || outbox->head->number < producer->age_head->outbox_first >> 32;
}

static truc_status work_trim(struct outbox *outbox, pthread_mutex_t *lock, const struct truc_producer *producer)
{
    truc_status status = TRUC_OK;

    outbox->trim_wanted = false;
    while (status == TRUC_OK && may_trim(outbox, producer)) {
        struct outbox_segment *segment = outbox->head;

        outbox->head = segment->next;
        outbox->bytes -= segment->size;
        (void)pthread_mutex_unlock(lock);
        status = outbox_segment_delete(outbox->directory, segment);
        (void)pthread_mutex_lock(lock);
    }
    if (status != TRUC_OK)
        (void)snprintf(outbox->why, sizeof outbox->why, "a segment of the outbox cannot be deleted");
    return status;
}

static truc_status work_grow(struct outbox *outbox, pthread_mutex_t *lock)
{
    uint64_t number = outbox->next_number++;
    struct outbox_segment *spare = NULL;
    truc_status status;

    (void)pthread_mutex_unlock(lock);
    status = outbox_segment_create(outbox->directory, number, outbox->segment_bytes, &outbox->identity, &spare);
    (void)pthread_mutex_lock(lock);
    if (status != TRUC_OK) {
        (void)snprintf(outbox->why, sizeof outbox->why, "a segment of the outbox cannot be made: %s", truc_status_text(status));
        return status;
    }
    outbox->spare = spare;
    outbox->bytes += spare->size;
    return TRUC_OK;
}

truc_status outbox_work(struct outbox *outbox, struct truc_producer *producer, pthread_mutex_t *lock)
{
    truc_status status = outbox->failed ? TRUC_INTERNAL : TRUC_OK;

    if (status == TRUC_OK && outbox->sync_wanted)
        status = work_sync(outbox, lock);
    if (status == TRUC_OK && outbox->trim_wanted)
        status = work_trim(outbox, lock, producer);
    if (status == TRUC_OK && may_grow(outbox))
        status = work_grow(outbox, lock);
    return status;
}
