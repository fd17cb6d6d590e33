#include "broker/main/log_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/main/draft.h"

enum { DRAFTS_KEPT = 4 };

struct log_thread {
    struct log *log;
    struct mailbox *mailbox;
    pthread_t thread;
    struct draft *staged; /* of the core thread */
    /* of the log thread */
    struct log_append *appends;
    size_t append_capacity;
    uint8_t *deltas;
    size_t deltas_capacity;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t submitted;
    struct draft *first, **last_next;
    struct draft *idle;
    unsigned idle_count;
    bool waits, stopping, capacity_changed, failed;
    struct letter *failure; /* made beforehand; NULL once sent */
    struct log_thread_counts counts;
};

static void *run(void *context);

struct log_thread *log_thread_create(struct log *log, struct mailbox *mailbox)
{
    struct log_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) {
        return NULL;
    }
    thread->log = log;
    thread->mailbox = mailbox;
    pthread_mutex_init(&thread->mutex, NULL);
    pthread_cond_init(&thread->submitted, NULL);
    thread->last_next = &thread->first;
    thread->failure = letter_create(CORE_LOG_FAILED, 0);
    if (thread->failure == NULL || pthread_create(&thread->thread, NULL, run, thread) != 0) {
        letter_free(thread->failure);
        free(thread);
        return NULL;
    }
    return thread;
}

static void drafts_destroy(struct draft *draft)
{
    while (draft != NULL) {
        struct draft *next = draft->next;
        draft_destroy(draft);
        draft = next;
    }
}

void log_thread_destroy(struct log_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    pthread_mutex_lock(&thread->mutex);
    thread->stopping = true;
    pthread_cond_signal(&thread->submitted);
    pthread_mutex_unlock(&thread->mutex);
    pthread_join(thread->thread, NULL);
    drafts_destroy(thread->first);
    drafts_destroy(thread->idle);
    draft_destroy(thread->staged);
    letter_free(thread->failure);
    free(thread->appends);
    free(thread->deltas);
    pthread_cond_destroy(&thread->submitted);
    pthread_mutex_destroy(&thread->mutex);
    free(thread);
}

/* A draft is never divided: what is joined to what came before goes into the same one. */
static bool stage(struct log_thread *thread, bool joined)
{
    if (thread->staged != NULL && thread->staged->bytes >= LOG_COMMIT_BYTES && !joined) {
        log_thread_submit(thread);
    }
    if (thread->staged == NULL) {
        pthread_mutex_lock(&thread->mutex);
        thread->staged = thread->idle;
        if (thread->staged != NULL) {
            thread->idle = thread->staged->next;
            thread->staged->next = NULL;
            thread->idle_count--;
        }
        pthread_mutex_unlock(&thread->mutex);
    }
    if (thread->staged == NULL) {
        thread->staged = calloc(1, sizeof *thread->staged);
    }
    return thread->staged != NULL;
}

bool log_thread_append(struct log_thread *thread, const struct core_effect *effect)
{
    return stage(thread, effect->joined) && draft_append(thread->staged, effect);
}

bool log_thread_delta(struct log_thread *thread, const struct core_effect *effect)
{
    return stage(thread, effect->joined) && draft_delta(thread->staged, effect);
}

void log_thread_submit(struct log_thread *thread)
{
    struct draft *draft = thread->staged;
    if (draft == NULL || draft->bytes == 0) {
        return;
    }
    thread->staged = NULL;
    pthread_mutex_lock(&thread->mutex);
    *thread->last_next = draft;
    thread->last_next = &draft->next;
    bool wake = thread->waits;
    thread->waits = false;
    pthread_mutex_unlock(&thread->mutex);
    if (wake) {
        pthread_cond_signal(&thread->submitted);
    }
}

void log_thread_capacity_changed(void *context)
{
    struct log_thread *thread = context;
    pthread_mutex_lock(&thread->mutex);
    thread->capacity_changed = true;
    pthread_cond_signal(&thread->submitted);
    pthread_mutex_unlock(&thread->mutex);
}

void log_thread_fail(struct log_thread *thread, truc_status status, const char *why)
{
    pthread_mutex_lock(&thread->mutex);
    struct letter *letter = thread->failure;
    thread->failure = NULL;
    thread->failed = true;
    pthread_mutex_unlock(&thread->mutex);
    if (letter != NULL) {
        letter_blame(letter, status, why);
        mailbox_put(thread->mailbox, letter);
    }
}

static struct core_capacity capacity_now(struct log_thread *thread)
{
    struct log_capacity capacity = log_capacity(thread->log);
    return (struct core_capacity){.available_bytes = capacity.available_bytes, .full = capacity.full};
}

static bool collect(struct log_thread *thread, const struct draft *drafts, struct log_draft *ret_log_draft)
{
    size_t appends = 0, deltas = 0, at = 0;
    struct log_draft log_draft = {0};
    for (const struct draft *draft = drafts; draft != NULL; draft = draft->next) {
        appends += draft->item_count;
        deltas += draft->deltas_size;
    }
    if (appends > thread->append_capacity) {
        struct log_append *grown = realloc(thread->appends, appends * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        thread->appends = grown;
        thread->append_capacity = appends;
    }
    if (deltas > thread->deltas_capacity) {
        uint8_t *grown = realloc(thread->deltas, deltas);
        if (grown == NULL) {
            return false;
        }
        thread->deltas = grown;
        thread->deltas_capacity = deltas;
    }
    for (const struct draft *draft = drafts; draft != NULL; draft = draft->next) {
        draft_collect(draft, thread->appends + log_draft.append_count);
        log_draft.append_count += draft->item_count;
        if (draft->deltas_size > 0) {
            memcpy(thread->deltas + at, draft->deltas, draft->deltas_size);
            at += draft->deltas_size;
        }
        log_draft.delta_count += draft->delta_count;
    }
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    log_draft.append_time_ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
    log_draft.appends = thread->appends;
    log_draft.deltas = bytes_of(thread->deltas, at);
    *ret_log_draft = log_draft;
    return true;
}

static void commit(struct log_thread *thread, const struct draft *drafts)
{
    char why[LOG_WHY_BYTES] = "no memory for a commit";
    struct log_draft log_draft;
    struct log_head head;
    uint64_t bytes = 0, ticket = 0;
    truc_status status = TRUC_NO_MEMORY;
    struct letter *letter = letter_create(CORE_COMMITTED, 0);
    if (letter != NULL && collect(thread, drafts, &log_draft)) {
        status = log_commit(thread->log, &log_draft, &head, why);
    }
    if (status != TRUC_OK) {
        letter_free(letter);
        log_thread_fail(thread, status, why);
        return;
    }
    for (const struct draft *draft = drafts; draft != NULL; draft = draft->next) {
        bytes += draft->bytes;
        ticket = draft->ticket;
    }
    letter->event.ticket = ticket;
    letter->event.head = (struct core_head){
        .block = head.block, .position = head.position, .last_append_ns = head.last_append_ns, .record_count = head.record_count};
    letter->event.capacity = capacity_now(thread);
    mailbox_put(thread->mailbox, letter);
    pthread_mutex_lock(&thread->mutex);
    thread->counts.commits++;
    thread->counts.appends += log_draft.append_count;
    thread->counts.bytes += bytes;
    pthread_mutex_unlock(&thread->mutex);
}

/* Takes what one commit may hold. With the mutex held. */
static struct draft *take_locked(struct log_thread *thread)
{
    struct draft *first = thread->first, **end = &thread->first;
    size_t bytes = 0;
    while (*end != NULL && (bytes == 0 || bytes + (*end)->bytes <= LOG_COMMIT_BYTES)) {
        bytes += (*end)->bytes;
        end = &(*end)->next;
    }
    thread->first = *end;
    if (thread->first == NULL) {
        thread->last_next = &thread->first;
    }
    if (end != &thread->first) {
        *end = NULL;
    }
    return first;
}

static void recycle(struct log_thread *thread, struct draft *drafts)
{
    struct draft *surplus = NULL;
    for (struct draft *draft = drafts; draft != NULL; draft = draft->next) {
        struct draft *next = draft->next;
        draft_reset(draft);
        draft->next = next;
    }
    pthread_mutex_lock(&thread->mutex);
    while (drafts != NULL) {
        struct draft *next = drafts->next, **list = thread->idle_count < DRAFTS_KEPT ? &thread->idle : &surplus;
        thread->idle_count += list == &thread->idle;
        drafts->next = *list;
        *list = drafts;
        drafts = next;
    }
    pthread_mutex_unlock(&thread->mutex);
    drafts_destroy(surplus);
}

static void tell_capacity(struct log_thread *thread)
{
    struct letter *letter = letter_create(CORE_CAPACITY, 0);
    if (letter != NULL) { /* else the next commit tells */
        letter->event.capacity = capacity_now(thread);
        mailbox_put(thread->mailbox, letter);
    }
}

static void *run(void *context)
{
    struct log_thread *thread = context;
    pthread_mutex_lock(&thread->mutex);
    for (;;) {
        while (thread->first == NULL && !thread->stopping && !thread->capacity_changed) {
            thread->waits = true;
            pthread_cond_wait(&thread->submitted, &thread->mutex);
        }
        thread->waits = false;
        bool changed = thread->capacity_changed, failed = thread->failed;
        thread->capacity_changed = false;
        struct draft *drafts = take_locked(thread);
        bool stop = thread->stopping && drafts == NULL;
        pthread_mutex_unlock(&thread->mutex);
        if (stop) {
            return NULL;
        }
        if (changed) {
            tell_capacity(thread);
        }
        if (drafts != NULL && !failed) {
            commit(thread, drafts);
        }
        recycle(thread, drafts);
        pthread_mutex_lock(&thread->mutex);
    }
}

struct log_thread_counts log_thread_counts(struct log_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    struct log_thread_counts counts = thread->counts;
    pthread_mutex_unlock(&thread->mutex);
    return counts;
}
