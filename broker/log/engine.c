/* engine.c: what is the same for every engine: opening by name, identity, the check of a draft, head and places. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "broker/log/base.h"

enum {
    SEGMENT_BYTES_DEFAULT = 1 << 30,
    SEGMENT_BYTES_MIN = 8 << 20,
    CACHE_BYTES_DEFAULT = 1 << 30,
    INDEX_FLUSH_BYTES_DEFAULT = 256 << 20,
    SEGMENTS_OPEN_DEFAULT = 16
};

void log_why(char *why, const char *format, ...)
{
    if (why != NULL) {
        va_list arguments;
        va_start(arguments, format);
        /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above; clang-tidy 14 loses sight of it */
        (void)vsnprintf(why, LOG_WHY_BYTES, format, arguments);
        va_end(arguments);
    }
}

void log_options_init(struct log_options *ret_options)
{
    *ret_options = (struct log_options){
        .engine = "lmdb",
        .segment_bytes = SEGMENT_BYTES_DEFAULT,
        .cache_bytes = CACHE_BYTES_DEFAULT,
        .index_flush_bytes = INDEX_FLUSH_BYTES_DEFAULT,
        .segments_open_max = SEGMENTS_OPEN_DEFAULT,
    };
}

truc_status log_open(const struct log_options *options, const struct catalog_visitor *visitor, struct log **ret_log, char *why)
{
    const struct log_engine *engines[] = {&log_engine_lmdb, &log_engine_memory};
    if (options->segment_bytes < SEGMENT_BYTES_MIN || options->segments_open_max < 2) {
        log_why(why, "segments of %llu bytes, %u open: at least 8 MiB and 2 are needed", (unsigned long long)options->segment_bytes,
                options->segments_open_max);
        return TRUC_INVALID_ARGUMENT;
    }
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        if (strcmp(options->engine, engines[i]->name) == 0) {
            return engines[i]->open(options, visitor, ret_log, why);
        }
    }
    log_why(why, "there is no engine `%s`: lmdb or memory", options->engine);
    return TRUC_INVALID_ARGUMENT;
}

void log_close(struct log *log)
{
    if (log != NULL) {
        log->engine->close(log);
    }
}

truc_status log_base_init(struct log *log, const struct log_engine *engine)
{
    log->engine = engine;
    log->digests = digest_context_create();
    log->cuts = cut_cache_create();
    truc_status status = log->digests == NULL || log->cuts == NULL ? TRUC_NO_MEMORY : topics_init(&log->topics);
    if (status != TRUC_OK) {
        cut_cache_destroy(log->cuts);
        digest_context_destroy(log->digests);
        log->digests = NULL;
        return status;
    }
    pthread_mutex_init(&log->lock, NULL);
    return TRUC_OK;
}

void log_base_fini(struct log *log)
{
    if (log->digests != NULL) {
        topics_fini(&log->topics);
        cut_cache_destroy(log->cuts);
        digest_context_destroy(log->digests);
        pthread_mutex_destroy(&log->lock);
    }
}

truc_status log_identity_make(const struct log_options *options, struct log_identity *ret_identity, char *why)
{
    const char *domain = options->domain != NULL ? options->domain : "local/dev";
    size_t size = strlen(domain);
    if (size == 0 || size > DOMAIN_BYTES_MAX) {
        log_why(why, "a domain has 1 to %d bytes", DOMAIN_BYTES_MAX);
        return TRUC_INVALID_ARGUMENT;
    }
    struct log_identity identity = {.generation = 1, .created_ns = options->now_ns};
    memcpy(identity.domain, domain, size);
    if (getrandom(identity.log_id, sizeof identity.log_id, 0) != (ssize_t)sizeof identity.log_id ||
        getrandom(identity.hash_secret, sizeof identity.hash_secret, 0) != (ssize_t)sizeof identity.hash_secret) {
        log_why(why, "no random bytes for a new log: %s", strerror(errno));
        return TRUC_IO;
    }
    *ret_identity = identity;
    return TRUC_OK;
}

truc_status log_identity_decode(struct bytes encoded, struct log_identity *ret_identity)
{
    struct reader deltas = reader_over(encoded);
    struct delta delta;
    truc_status status;
    if (!delta_next(&deltas, &delta, &status) || delta.kind != DELTA_LOG) {
        return TRUC_DAMAGED;
    }
    struct log_identity identity = {.generation = delta.log.generation, .created_ns = delta.log.created_ns};
    memcpy(identity.domain, delta.log.domain.data, delta.log.domain.size);
    memcpy(identity.log_id, delta.log.log_id, LOG_ID_BYTES);
    memcpy(identity.hash_secret, delta.log.hash_secret, sizeof identity.hash_secret);
    *ret_identity = identity;
    return TRUC_OK;
}

truc_status log_identity_read(const struct block_view *view, struct log_identity *ret_identity)
{
    return block_deltas_check(view) == TRUC_OK ? log_identity_decode(view->deltas, ret_identity) : TRUC_DAMAGED;
}

size_t log_identity_encode(const struct log_identity *identity, uint8_t out[DELTA_BYTES_MAX])
{
    struct delta delta = {
        .kind = DELTA_LOG,
        .log = {.generation = identity->generation, .created_ns = identity->created_ns, .domain = bytes_of_text(identity->domain)}};
    memcpy(delta.log.log_id, identity->log_id, LOG_ID_BYTES);
    memcpy(delta.log.hash_secret, identity->hash_secret, sizeof identity->hash_secret);
    return delta_write(out, &delta);
}

truc_status log_write_first_block(struct log *log, char *why)
{
    uint8_t deltas[DELTA_BYTES_MAX];
    size_t size = log_identity_encode(&log->identity, deltas);
    struct log_draft draft = {.deltas = bytes_of(deltas, size), .delta_count = 1, .append_time_ns = log->identity.created_ns};
    struct log_head head;
    return log_commit(log, &draft, &head, why);
}

const struct log_identity *log_identity(const struct log *log)
{
    return &log->identity;
}

struct log_head log_head(const struct log *log)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&log->lock; /* logically const: only looks */
    pthread_mutex_lock(lock);
    struct log_head head = log->head;
    pthread_mutex_unlock(lock);
    return head;
}

struct log_capacity log_capacity(const struct log *log)
{
    return log->engine->capacity(log);
}

struct log_ids log_ids(const struct log *log)
{
    return log->ids;
}

struct log_usage log_usage(const struct log *log)
{
    struct log_usage usage = {.engine = log->engine->name, .durable = log->engine->durable};
    usage.segment_count = log->engine->segment_count(log);
    pthread_mutex_t *lock = (pthread_mutex_t *)&log->lock;
    pthread_mutex_lock(lock);
    usage.bytes = log->bytes;
    usage.first_append_ns = log->first_append_ns;
    pthread_mutex_unlock(lock);
    return usage;
}

/* The promises that later reading rests on: nothing that breaks them may get into the log. */
static truc_status check_draft(struct log *log, const struct log_draft *draft, char *why)
{
    int64_t last_ns = log->head.last_append_ns;
    for (size_t i = 0; i < draft->append_count; i++) {
        const struct log_append *append = &draft->appends[i];
        if (append->position != log->head.position + i || append->append_time_ns <= last_ns || append->fields.record_count == 0) {
            log_why(why, "block %llu: entry %zu does not follow the one before it", (unsigned long long)log->head.block, i);
            return TRUC_INVALID_ARGUMENT;
        }
        last_ns = append->append_time_ns;
    }
    truc_status status = topics_check(&log->topics, draft);
    if (status != TRUC_OK) {
        log_why(why, "block %llu: topics, offsets or deltas do not follow what is there", (unsigned long long)log->head.block);
    }
    return status;
}

truc_status log_commit(struct log *log, const struct log_draft *draft, struct log_head *ret_head, char *why)
{
    if (log->failed) {
        log_why(why, "an earlier commit failed");
        return TRUC_STOPPED;
    }
    log->failed = true; /* until it is known to have succeeded */
    truc_status status = check_draft(log, draft, why);
    if (status != TRUC_OK) {
        return status;
    }
    struct log_head head = log->head; /* only this thread changes it */
    struct block_place place = {
        .block = head.block, .first_position = head.position, .durable_block = head.block, .durable_position = head.position};
    memcpy(place.previous_chain, log->chain, DIGEST_BYTES);
    status = log->engine->commit(log, draft, &place, log->chain, why);
    if (status != TRUC_OK) {
        return status;
    }
    topics_apply(&log->topics, draft);
    head.block++;
    head.position += draft->append_count;
    for (size_t i = 0; i < draft->append_count; i++) {
        head.record_count += draft->appends[i].fields.record_count;
        head.last_append_ns = draft->appends[i].append_time_ns;
    }
    pthread_mutex_lock(&log->lock);
    if (log->first_append_ns == 0 && draft->append_count > 0) {
        log->first_append_ns = draft->appends[0].append_time_ns;
    }
    log->bytes += block_size(draft);
    log->head = head;
    pthread_mutex_unlock(&log->lock);
    log->failed = false;
    *ret_head = head;
    return TRUC_OK;
}
