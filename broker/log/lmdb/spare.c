#include "broker/log/lmdb/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "broker/log/lmdb/area.h"
#include "broker/log/lmdb/segment.h"

#define MIB ((uint64_t)1 << 20)

/* Lead: how far filling goes ahead of use at first; it grows with what is written, up to a whole segment. Guard: commits stay so
 * far away from where filling is going on. Reserve: never promised to anyone, for LMDB's own pages and what the core must still
 * write on a full disk. Plenty: with so much free disk beyond, filling cannot fail soon, and what is promised need not be filled
 * yet. */
#define LEAD_BYTES_LEAST (128 * MIB)
#define GUARD_BYTES MIB
#define RESERVE_BYTES (4 * MIB)
#define COMMIT_BYTES_LIKELY (9 * MIB)
#define PLENTY_BYTES (256 * MIB)
#define LAG_BYTES (72 * MIB)
#define BALLAST_BYTES (4 * MIB)
#define BALLAST_AGAIN_BYTES (32 * MIB) /* free, before a dropped one is made again */
enum { RETRY_SECONDS = 1 };

struct spare {
    struct spare_options options;
    char next_path[FILES_PATH_MAX], ballast_path[FILES_PATH_MAX], segments_path[FILES_PATH_MAX];
    pthread_t thread;
    pthread_mutex_t lock;      /* all that follows */
    pthread_cond_t work;       /* for the thread: something to do */
    pthread_cond_t progress;   /* for the log thread: something was done */
    struct area current, next; /* their descriptors and fills are the thread's while it works on them (busy) */
    bool next_made, busy, stop, full;
    bool ballast, ballast_dropped;
    uint64_t used, lead;                  /* of the current segment; ahead of it */
    uint64_t current_demand, next_demand; /* filled bytes that a commit waits for */
    uint64_t largest_commit, disk_free;
    char why[128];
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Where the lead ends, at least; in steps, so that small commits are not each followed by a little filling and its flush. */
static uint64_t lead_end(const struct spare *spare)
{
    return (spare->used + spare->lead + AREA_STEP_BYTES - 1) / AREA_STEP_BYTES * AREA_STEP_BYTES;
}

/* How much of the current segment should be filled by now. */
static uint64_t current_wanted(const struct spare *spare)
{
    return least(spare->current.target, most(lead_end(spare), spare->current_demand));
}

/* And of the next one: the lead goes on into it. */
static uint64_t next_wanted(const struct spare *spare)
{
    uint64_t end = lead_end(spare), wanted = end > spare->current.target ? end - spare->current.target : 0;
    uint64_t target = spare->next_made ? spare->next.target : spare->options.segment_bytes;
    return least(most(target, spare->next_demand), most(wanted, spare->next_demand));
}

enum job { JOB_NONE, JOB_CURRENT, JOB_MAKE_NEXT, JOB_NEXT, JOB_BALLAST };

static enum job pick_job(const struct spare *spare)
{
    if (!spare->ballast && !spare->full && (!spare->ballast_dropped || spare->disk_free > BALLAST_AGAIN_BYTES)) {
        return JOB_BALLAST;
    }
    if (spare->current.filled < current_wanted(spare)) {
        return JOB_CURRENT;
    }
    if (spare->next.filled < next_wanted(spare)) {
        return spare->next_made ? JOB_NEXT : JOB_MAKE_NEXT;
    }
    return JOB_NONE;
}

/* Ballast must be blocks that are really taken, so it is written. */
static truc_status make_ballast(const char *path, char *why)
{
    struct area area;
    truc_status status = area_open(&area, path, true, BALLAST_BYTES, why);
    if (status != TRUC_OK) {
        return status;
    }
    while (status == TRUC_OK && area.filled < area.target) {
        status = area_fill(&area, area.target, why);
    }
    area_close(&area);
    if (status != TRUC_OK) {
        (void)unlink(path);
    }
    return status;
}

static truc_status make_next(struct spare *spare, struct area *ret_area, char *why)
{
    if (unlink(spare->next_path) != 0 && errno != ENOENT) { /* left half made */
        return files_error(errno, "removing", spare->next_path, why);
    }
    truc_status status = segment_make(spare->next_path, why);
    return status == TRUC_OK ? area_open(ret_area, spare->next_path, false, spare->options.segment_bytes, why) : status;
}

/* One step of work, outside the lock, on a copy of the area. */
static truc_status do_job(struct spare *spare, enum job job, uint64_t wanted, struct area *area, char *why)
{
    switch (job) {
    case JOB_CURRENT:
    case JOB_NEXT:
        return area_fill(area, wanted, why);
    case JOB_MAKE_NEXT:
        return make_next(spare, area, why);
    case JOB_BALLAST:
        return make_ballast(spare->ballast_path, why);
    case JOB_NONE:
        break;
    }
    return TRUC_OK;
}

static uint64_t disk_free(const char *path)
{
    struct statvfs stat;
    return statvfs(path, &stat) == 0 ? (uint64_t)stat.f_bavail * stat.f_frsize : 0;
}

/* Notes what came of a step. */
static void note_result(struct spare *spare, enum job job, truc_status status, const struct area *area, const char *why)
{
    switch (job) {
    case JOB_CURRENT:
        spare->current.filled = area->filled; /* also when it failed: some was written */
        spare->current.direct = area->direct;
        break;
    case JOB_NEXT:
        spare->next.filled = area->filled;
        spare->next.direct = area->direct;
        break;
    case JOB_MAKE_NEXT:
        if (status == TRUC_OK) {
            spare->next = *area;
            spare->next.target = most(area->target, spare->next_demand);
            spare->next_made = true;
        }
        break;
    case JOB_BALLAST:
        spare->ballast = status == TRUC_OK;
        spare->ballast_dropped = false;
        break;
    case JOB_NONE:
        break;
    }
    spare->full = status != TRUC_OK;
    if (status != TRUC_OK) {
        (void)snprintf(spare->why, sizeof spare->why, "%s", why);
    }
    pthread_cond_broadcast(&spare->progress);
}

/* Waits until told; on a full disk it looks again once a second, however busy the log is. */
static void wait_for_work(struct spare *spare)
{
    if (!spare->full && !spare->ballast_dropped) {
        pthread_cond_wait(&spare->work, &spare->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_SECONDS;
    int code = 0;
    while (!spare->stop && code == 0 && (spare->full || pick_job(spare) == JOB_NONE)) {
        code = pthread_cond_timedwait(&spare->work, &spare->lock, &until);
    }
}

/* Picks a step, does it with the lock given up, notes what came of it. */
static void step(struct spare *spare)
{
    bool was_full = spare->full;
    char why[LOG_WHY_BYTES] = "";
    enum job job = pick_job(spare);
    uint64_t wanted = job == JOB_CURRENT ? current_wanted(spare) : next_wanted(spare);
    struct area area = job == JOB_CURRENT ? spare->current : spare->next;
    spare->busy = true;
    pthread_mutex_unlock(&spare->lock);
    truc_status status = do_job(spare, job, wanted, &area, why);
    uint64_t left = disk_free(spare->options.directory);
    pthread_mutex_lock(&spare->lock);
    spare->busy = false;
    spare->disk_free = left;
    note_result(spare, job, status, &area, why);
    if (spare->full != was_full && spare->options.notify != NULL) {
        pthread_mutex_unlock(&spare->lock);
        spare->options.notify(spare->options.notify_context);
        pthread_mutex_lock(&spare->lock);
    }
    if (!spare->stop && (spare->full || pick_job(spare) == JOB_NONE)) {
        wait_for_work(spare);
    }
}

static void *run(void *argument)
{
    struct spare *spare = argument;
    pthread_mutex_lock(&spare->lock);
    while (!spare->stop) {
        step(spare);
    }
    pthread_mutex_unlock(&spare->lock);
    return NULL;
}

static truc_status init_paths(struct spare *spare, char *why)
{
    truc_status status = files_path(spare->segments_path, spare->options.directory, "segments", why);
    if (status == TRUC_OK) {
        status = files_path(spare->next_path, spare->segments_path, "next.mdb", why);
    }
    return status == TRUC_OK ? files_path(spare->ballast_path, spare->options.directory, "ballast", why) : status;
}

truc_status spare_start(const struct spare_options *options, const char *current_path, uint64_t used, struct spare **ret_spare,
                        char *why)
{
    struct spare *spare = calloc(1, sizeof *spare);
    if (spare == NULL) {
        return TRUC_NO_MEMORY;
    }
    spare->options = *options;
    spare->used = used;
    spare->lead = least(LEAD_BYTES_LEAST, options->segment_bytes);
    spare->largest_commit = least(COMMIT_BYTES_LIKELY, options->segment_bytes / 4);
    truc_status status = init_paths(spare, why);
    if (status == TRUC_OK) {
        status = area_open(&spare->current, current_path, false, options->segment_bytes, why);
    }
    if (status != TRUC_OK) {
        free(spare);
        return status;
    }
    struct stat file;
    spare->ballast = stat(spare->ballast_path, &file) == 0 && (uint64_t)file.st_size >= BALLAST_BYTES;
    spare->disk_free = disk_free(options->directory);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&spare->lock, NULL);
    pthread_cond_init(&spare->work, &monotonic);
    pthread_cond_init(&spare->progress, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&spare->thread, NULL, run, spare) != 0) {
        area_close(&spare->current);
        free(spare);
        log_why(why, "no thread can be started");
        return TRUC_NO_MEMORY;
    }
    *ret_spare = spare;
    return TRUC_OK;
}

void spare_stop(struct spare *spare)
{
    if (spare == NULL) {
        return;
    }
    pthread_mutex_lock(&spare->lock);
    spare->stop = true;
    pthread_cond_broadcast(&spare->work);
    pthread_mutex_unlock(&spare->lock);
    pthread_join(spare->thread, NULL);
    area_close(&spare->current);
    if (spare->next_made) {
        area_close(&spare->next);
        (void)unlink(spare->next_path); /* made again at the next start; a stopped broker keeps no space it does not use */
    }
    pthread_cond_destroy(&spare->work);
    pthread_cond_destroy(&spare->progress);
    pthread_mutex_destroy(&spare->lock);
    free(spare);
}

/* Whether `bytes` fit at `used` of an area: away from where it is being filled, or anywhere once it is complete. */
static bool fits(const struct area *area, uint64_t used, uint64_t bytes)
{
    return used + bytes + (area->filled < area->target ? GUARD_BYTES : 0) <= area->filled;
}

truc_status spare_reserve(struct spare *spare, uint64_t bytes, bool *ret_roll, char *why)
{
    uint64_t need = bytes + SEGMENT_COMMIT_OVERHEAD;
    truc_status status = TRUC_OK;
    bool roll = false;
    pthread_mutex_lock(&spare->lock);
    spare->largest_commit = most(spare->largest_commit, need);
    for (;;) {
        roll = spare->used + need > spare->current.target;
        if (!roll) {
            spare->current_demand = least(spare->current.target, spare->used + need + GUARD_BYTES);
            if (fits(&spare->current, spare->used, need)) {
                break;
            }
        } else {
            /* A commit larger than a segment gets a segment of its own size. */
            uint64_t least_bytes = need + GUARD_BYTES + MIB;
            spare->next_demand = least_bytes;
            if (spare->next_made) {
                spare->next.target = most(spare->next.target, least_bytes);
                if (spare->next.filled >= spare->next_demand) {
                    break;
                }
            }
        }
        if (spare->full) {
            log_why(why, "the disk is full: %s", spare->why);
            status = TRUC_DISK_FULL;
            break;
        }
        pthread_cond_signal(&spare->work);
        pthread_cond_wait(&spare->progress, &spare->lock);
    }
    spare->current_demand = 0;
    pthread_mutex_unlock(&spare->lock);
    if (status == TRUC_OK) {
        *ret_roll = roll;
    }
    return status;
}

truc_status spare_advance(struct spare *spare, const char *current_path, char *why)
{
    struct area current;
    pthread_mutex_lock(&spare->lock);
    while (spare->busy) {
        pthread_cond_wait(&spare->progress, &spare->lock);
    }
    uint64_t target = spare->next.target;
    truc_status status = area_open(&current, current_path, false, target, why); /* the same file under its new name */
    if (status == TRUC_OK) {
        area_close(&spare->current);
        area_close(&spare->next);
        current.filled = spare->next.filled;
        spare->current = current;
        spare->next = (struct area){.fd = -1};
        spare->next_made = false;
        spare->next_demand = 0;
        spare->used = 0;
    }
    pthread_cond_signal(&spare->work);
    pthread_mutex_unlock(&spare->lock);
    return status;
}

/* What is filled and free for commits, less what is held back. */
static uint64_t filled_left(const struct spare *spare)
{
    uint64_t left = spare->current.filled > spare->used ? spare->current.filled - spare->used : 0;
    uint64_t held = least(RESERVE_BYTES, spare->options.segment_bytes / 4);
    if (spare->next_made) {
        left += spare->next.filled;
        held += spare->largest_commit; /* which may not fit what is left of the current one */
    }
    return left > held ? left - held : 0;
}

static uint64_t disk_to_come(const struct spare *spare)
{
    return !spare->full && spare->disk_free > PLENTY_BYTES ? spare->disk_free - PLENTY_BYTES : 0;
}

void spare_used(struct spare *spare, uint64_t used)
{
    pthread_mutex_lock(&spare->lock);
    spare->lead = least(spare->lead + used - spare->used, spare->options.segment_bytes);
    spare->used = used;
    if (pick_job(spare) != JOB_NONE && !spare->busy) {
        pthread_cond_signal(&spare->work);
    }
    /* Where the disk may fill up, commits go no faster than room is made: what is promised is there. */
    uint64_t lag = least(LAG_BYTES, spare->options.segment_bytes / 2);
    while (disk_to_come(spare) == 0 && !spare->full && !spare->stop && filled_left(spare) < lag && pick_job(spare) != JOB_NONE) {
        pthread_cond_wait(&spare->progress, &spare->lock);
    }
    pthread_mutex_unlock(&spare->lock);
}

struct log_capacity spare_capacity(struct spare *spare)
{
    pthread_mutex_lock(&spare->lock);
    struct log_capacity capacity = {.available_bytes = filled_left(spare) + disk_to_come(spare)};
    /* What is left is used up to where the largest batch might not fit: from there on nobody is served by halves. */
    if (spare->full && capacity.available_bytes < least(COMMIT_BYTES_LIKELY, spare->options.segment_bytes / 4)) {
        capacity = (struct log_capacity){.full = true};
        memcpy(capacity.why, spare->why, sizeof capacity.why);
    }
    pthread_mutex_unlock(&spare->lock);
    return capacity;
}

void spare_drop_ballast(struct spare *spare)
{
    pthread_mutex_lock(&spare->lock);
    bool dropped = spare->ballast;
    spare->ballast = false;
    spare->ballast_dropped = true;
    pthread_cond_signal(&spare->work);
    pthread_mutex_unlock(&spare->lock);
    if (dropped) {
        (void)unlink(spare->ballast_path);
    }
}
