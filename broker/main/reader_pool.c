#include "broker/main/reader_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "broker/main/id_map.h"
#include "broker/main/reading.h"

struct reader_pool {
    struct reader_pool_options options;
    struct read_blocks blocks;
    struct id_map readings; /* of the core thread */
    pthread_mutex_t mutex;  /* guards what follows and the readings' upper fields */
    pthread_cond_t work, room;
    struct reading *first, **last_next;
    unsigned idle_count;
    unsigned starving; /* workers that wait for a block */
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

static void *worker_run(void *context);

struct reader_pool *reader_pool_create(const struct reader_pool_options *options)
{
    struct reader_pool *pool = calloc(1, sizeof *pool + options->thread_count * sizeof(pthread_t));
    if (pool == NULL) {
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pool->options = *options;
    read_blocks_init(&pool->blocks, options->block_bytes, options->block_bytes_total);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->room, &attributes);
    pthread_condattr_destroy(&attributes);
    pool->last_next = &pool->first;
    for (unsigned i = 0; i < options->thread_count; i++) {
        if (pthread_create(&pool->threads[i], NULL, worker_run, pool) != 0) {
            reader_pool_destroy(pool);
            return NULL;
        }
        pool->thread_count++;
    }
    return pool;
}

void reader_pool_destroy(struct reader_pool *pool)
{
    struct reading *reading;
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_cond_broadcast(&pool->room);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    while ((reading = pool->first) != NULL) {
        pool->first = reading->next;
        if (reading->closed) { /* while queued: nobody else knows it */
            reading_destroy(reading);
        }
    }
    while ((reading = id_map_take_any(&pool->readings)) != NULL) {
        reading_destroy(reading);
    }
    id_map_fini(&pool->readings);
    read_blocks_fini(&pool->blocks);
    pthread_cond_destroy(&pool->room);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* Frees a closed reading once nothing refers to it any more. */
static void bury_locked(struct reading *reading)
{
    if (reading->closed && reading->state == READING_IDLE && reading->unsent == 0 && reading->letters_out == 0) {
        reading_destroy(reading);
    }
}

static void queue_locked(struct reader_pool *pool, struct reading *reading)
{
    reading->state = READING_QUEUED;
    reading->next = NULL;
    *pool->last_next = reading;
    pool->last_next = &reading->next;
    if (pool->idle_count > 0) {
        pthread_cond_signal(&pool->work);
    }
}

void reader_pool_give(void *context)
{
    struct read_block *block = context;
    struct reading *reading = block->reading;
    struct reader_pool *pool = reading->pool;
    read_block_give(block);
    pthread_mutex_lock(&pool->mutex);
    reading->unsent--;
    if (reading->state == READING_HELD && reading->unsent < READ_BLOCKS_UNSENT_MAX) {
        queue_locked(pool, reading);
    }
    if (pool->starving > 0) {
        pthread_cond_broadcast(&pool->room);
    }
    bury_locked(reading);
    pthread_mutex_unlock(&pool->mutex);
}

static void letter_released(struct letter *letter)
{
    struct reading *reading = letter->context;
    struct reader_pool *pool = reading->pool;
    if (letter->event.done.owner != NULL) { /* the core never saw the block */
        reader_pool_give(letter->event.done.owner);
    }
    pthread_mutex_lock(&pool->mutex);
    reading->letters_out--;
    bury_locked(reading);
    pthread_mutex_unlock(&pool->mutex);
}

/* The letter for the answer to the request made now. */
static struct letter *letter_renew(struct reading *reading, enum core_event_kind kind)
{
    struct letter *letter = &reading->letters[reading->turn];
    uint64_t number = letter->event.reader;
    *letter = (struct letter){.release = letter_released, .context = reading};
    letter->event.kind = kind;
    letter->event.reader = number;
    return letter;
}

bool reader_pool_open(struct reader_pool *pool, uint64_t number, const struct core_read_spec *spec)
{
    struct reading *reading = reading_create(number, spec);
    if (reading == NULL || !id_map_put(&pool->readings, number, reading)) {
        free(reading);
        return false;
    }
    reading->pool = pool;
    reading->request = REQUEST_RESOLVE;
    pthread_mutex_lock(&pool->mutex);
    queue_locked(pool, reading);
    pthread_mutex_unlock(&pool->mutex);
    return true;
}

bool reader_pool_look(struct reader_pool *pool, const struct core_effect *effect)
{
    static const struct core_read_spec nothing;
    struct reading *reading = reading_create(effect->reader, &nothing);
    if (reading == NULL) {
        return false;
    }
    reading->pool = pool;
    reading->request = REQUEST_LOOK;
    reading->look = look_create(effect->look);
    if (reading->look == NULL || !id_map_put(&pool->readings, effect->reader, reading)) {
        reading_destroy(reading);
        return false;
    }
    pthread_mutex_lock(&pool->mutex);
    queue_locked(pool, reading);
    pthread_mutex_unlock(&pool->mutex);
    return true;
}

bool reader_pool_prepare(struct reader_pool *pool, const struct core_effect *effect)
{
    static const struct core_read_spec nothing;
    bool scans = effect->kind == EFFECT_SCAN_OPEN;
    struct reading *reading = reading_create(effect->reader, scans ? effect->spec : &nothing);
    if (reading == NULL) {
        return false;
    }
    reading->pool = pool;
    if (!reading_prepare(reading, pool->options.log, scans) || !id_map_put(&pool->readings, effect->reader, reading)) {
        reading_destroy(reading);
        return false;
    }
    return true;
}

/* What the effect borrows is copied: who it is for may go before it is answered. */
static void take_request(struct reading *reading, const struct core_effect *effect)
{
    switch (effect->kind) {
    case EFFECT_SCAN:
        reading->request = REQUEST_SCAN;
        assert(effect->scan->key_count <= SEARCH_KEYS_MAX);
        reading->scan = *effect->scan;
        if (reading->scan.key_count > 0) {
            memcpy(reading->keys, effect->scan->keys, reading->scan.key_count * sizeof *reading->keys);
        }
        reading->scan.keys = reading->keys;
        break;
    case EFFECT_FETCH:
        reading->request = REQUEST_FETCH;
        assert(effect->place_count <= GRANT_RECORDS_MAX);
        memcpy(reading->places, effect->places, effect->place_count * sizeof *reading->places);
        reading->place_count = effect->place_count;
        break;
    default:
        reading->request = REQUEST_READ;
        reading->from = effect->from;
        reading->until = effect->until;
        reading->bytes_max = effect->bytes_max;
        reading->entries_max = effect->entries_max;
        break;
    }
}

void reader_pool_read(struct reader_pool *pool, const struct core_effect *effect)
{
    struct reading *reading = id_map_get(&pool->readings, effect->reader);
    assert(reading != NULL);
    pthread_mutex_lock(&pool->mutex);
    assert(reading->state == READING_IDLE); /* the core asks one thing at a time */
    take_request(reading, effect);
    if (reading->unsent >= READ_BLOCKS_UNSENT_MAX) {
        reading->state = READING_HELD;
    } else {
        queue_locked(pool, reading);
    }
    pthread_mutex_unlock(&pool->mutex);
}

void reader_pool_close(struct reader_pool *pool, uint64_t number)
{
    struct reading *reading = id_map_take(&pool->readings, number);
    if (reading == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    reading->closed = true;
    if (reading->state == READING_HELD) {
        reading->state = READING_IDLE;
    }
    bury_locked(reading);
    pthread_mutex_unlock(&pool->mutex);
}

/* A block of that capacity, as soon as there is room. NULL: the pool stops. */
static struct read_block *wait_for_block(struct reader_pool *pool, size_t capacity)
{
    struct read_block *block = read_block_take(&pool->blocks, capacity);
    while (block == NULL) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += READ_STARVED_MS * 1000000L;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_mutex_lock(&pool->mutex);
        bool stopping = pool->stopping, late = false;
        pool->starving++;
        if (!stopping && (block = read_block_take(&pool->blocks, capacity)) == NULL) {
            late = pthread_cond_timedwait(&pool->room, &pool->mutex, &until) != 0;
        }
        pool->starving--;
        pthread_mutex_unlock(&pool->mutex);
        if (stopping) {
            break;
        }
        if (late) {
            pool->options.starved(pool->options.starved_context);
        }
        if (block == NULL) {
            block = read_block_take(&pool->blocks, capacity);
        }
    }
    return block;
}

/* Makes a block the letter's, with what its entries are if that was asked for; the block is cut to its size, or given back. */
static void post(struct reading *reading, struct letter *letter, struct read_block *block, size_t size, bool references)
{
    block = read_block_fit(block, size);
    block->reading = reading;
    letter->event.done.data = bytes_of(block->data, size);
    letter->event.done.owner = block;
    truc_status status = references ? reading_tell_refs(reading, letter) : TRUC_OK;
    if (status != TRUC_OK) {
        letter->event.done = (struct core_read_done){0};
        read_block_give(block);
        letter_blame(letter, status, "what was read could not be told entry by entry");
    }
}

static void read_once(struct reader_pool *pool, struct reading *reading, struct letter *letter)
{
    char why[LOG_WHY_BYTES] = "the broker is stopping";
    struct log_read read = {.from = reading->from, .until = reading->until, .entries_max = reading->entries_max};
    size_t block_bytes = pool->options.block_bytes;
    size_t capacity = reading->bytes_max < block_bytes ? reading->bytes_max : block_bytes;
    truc_status status = TRUC_DRAINING;
    struct read_block *block = wait_for_block(pool, capacity);
    while (block != NULL) {
        read.out = block->data;
        read.capacity = capacity;
        status = log_reader_read(reading->log_reader, &read, why);
        if (status != TRUC_OK || read.needed == 0 || read.needed > reading->bytes_max) {
            break;
        }
        capacity = read.needed; /* one entry larger than a block, and within what was asked for */
        read_block_give(block);
        block = wait_for_block(pool, capacity);
    }
    if (status == TRUC_OK && read.needed > 0) { /* larger than what was asked for: the core will ask for more */
        read.next = read.from;
        read.size = 0;
    }
    letter->event.done =
        (struct core_read_done){.next = read.next, .record_count = read.record_count, .entry_count = read.entry_count};
    if (status != TRUC_OK) {
        letter_blame(letter, status, why);
    }
    if (block != NULL && status == TRUC_OK && read.size > 0) {
        post(reading, letter, block, read.size, reading->spec.references);
    } else if (block != NULL) {
        read_block_give(block);
    }
}

/* As much as a block holds; one entry that is larger goes alone. */
static void fetch_once(struct reader_pool *pool, struct reading *reading, struct letter *letter)
{
    char why[LOG_WHY_BYTES] = "the broker is stopping";
    struct log_fetch fetch = {.places = reading->places, .count = reading->place_count};
    truc_status status = TRUC_DRAINING;
    struct read_block *block = wait_for_block(pool, pool->options.block_bytes);
    fetch.capacity = pool->options.block_bytes;
    while (block != NULL) {
        fetch.out = block->data;
        status = log_fetch(reading->log_fetcher, &fetch, why);
        if (status != TRUC_OK || fetch.needed == 0) {
            break;
        }
        fetch.capacity = fetch.needed;
        read_block_give(block);
        block = wait_for_block(pool, fetch.capacity);
    }
    letter->event.done = (struct core_read_done){.entry_count = (uint32_t)fetch.done};
    if (status != TRUC_OK) {
        letter_blame(letter, status, why);
    }
    if (block != NULL && fetch.size > 0) {
        post(reading, letter, block, fetch.size, true);
    } else if (block != NULL) {
        read_block_give(block);
    }
}

static void answer(struct reader_pool *pool, struct reading *reading, struct letter *letter)
{
    switch (reading->request) {
    case REQUEST_RESOLVE:
        reading_resolve(reading, pool->options.log, letter);
        break;
    case REQUEST_READ:
        read_once(pool, reading, letter);
        break;
    case REQUEST_SCAN:
        reading_scan(reading, letter);
        break;
    case REQUEST_FETCH:
        fetch_once(pool, reading, letter);
        break;
    case REQUEST_LOOK:
        look_answer(reading->look, pool->options.log, letter);
        break;
    }
}

/* Takes a reading from the queue; NULL when the pool stops. With the mutex held. */
static struct reading *take_locked(struct reader_pool *pool)
{
    while (pool->first == NULL && !pool->stopping) {
        pool->idle_count++;
        pthread_cond_wait(&pool->work, &pool->mutex);
        pool->idle_count--;
    }
    struct reading *reading = pool->first;
    if (pool->stopping || reading == NULL) {
        return NULL;
    }
    pool->first = reading->next;
    if (pool->first == NULL) {
        pool->last_next = &pool->first;
    }
    return reading;
}

static void *worker_run(void *context)
{
    static const enum core_event_kind answers[] = {[REQUEST_RESOLVE] = CORE_READ_RESOLVED,
                                                   [REQUEST_READ] = CORE_READ_DONE,
                                                   [REQUEST_SCAN] = CORE_SCANNED,
                                                   [REQUEST_FETCH] = CORE_FETCHED,
                                                   [REQUEST_LOOK] = CORE_LOOKED};
    struct reader_pool *pool = context;
    struct reading *reading;
    pthread_mutex_lock(&pool->mutex);
    while ((reading = take_locked(pool)) != NULL) {
        if (reading->closed) {
            reading->state = READING_IDLE;
            bury_locked(reading);
            continue;
        }
        reading->state = READING_RUNNING;
        struct letter *letter = letter_renew(reading, answers[reading->request]);
        pthread_mutex_unlock(&pool->mutex);
        answer(pool, reading, letter);
        pthread_mutex_lock(&pool->mutex);
        reading->turn = !reading->turn;
        reading->letters_out++;
        reading->unsent += letter->event.done.owner != NULL;
        reading->state = READING_IDLE;
        pthread_mutex_unlock(&pool->mutex);
        mailbox_put(pool->options.mailbox, letter); /* from here on it is the core's, and may even be gone */
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}
