/* catalog.c: deltas, written and parsed. Bodies, little-endian, after u16 kind and u16 body size:
 *
 *   LOG           u8[16] log id | u64 generation | u8[16] hash secret | i64 created ns | u8 domain size | domain
 *   TOPIC         u32 topic id | u8 evidence | u8 name size | name
 *   PRODUCER      u64 id | u32 epoch | u8 named | u8 scope size | u8 name size | scope | name
 *   PRODUCER_END  u64 id
 *   CLOCK         i64 expected ns | i64 found ns */
#include "catalog.h"

#include <assert.h>

#include "batch.h"
#include "topic.h"

enum { DELTA_PREFIX_BYTES = 4, HASH_SECRET_SIZE = 16 };

struct writer {
    uint8_t *at;
};

static void put_u8(struct writer *w, uint8_t value)
{
    *w->at++ = value;
}

static void put_u32(struct writer *w, uint32_t value)
{
    store_u32(w->at, value);
    w->at += sizeof value;
}

static void put_u64(struct writer *w, uint64_t value)
{
    store_u64(w->at, value);
    w->at += sizeof value;
}

static void put_bytes(struct writer *w, struct bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(w->at, bytes.data, bytes.size);
        w->at += bytes.size;
    }
}

static void put_log(struct writer *w, const struct delta_log *log)
{
    assert(log->domain.size > 0 && log->domain.size <= DOMAIN_BYTES_MAX);
    put_bytes(w, bytes_of(log->log_id, LOG_ID_BYTES));
    put_u64(w, log->generation);
    put_bytes(w, bytes_of(log->hash_secret, HASH_SECRET_SIZE));
    put_u64(w, (uint64_t)log->created_ns);
    put_u8(w, (uint8_t)log->domain.size);
    put_bytes(w, log->domain);
}

static void put_topic(struct writer *w, const struct delta_topic *topic)
{
    assert(topic->name.size > 0 && topic->name.size <= TOPIC_BYTES_MAX);
    put_u32(w, topic->topic_id);
    put_u8(w, topic->evidence);
    put_u8(w, (uint8_t)topic->name.size);
    put_bytes(w, topic->name);
}

static void put_producer(struct writer *w, const struct delta_producer *producer)
{
    assert(producer->scope.size <= SOURCE_BYTES_MAX && producer->name.size <= PRODUCER_NAME_BYTES_MAX);
    put_u64(w, producer->producer_id);
    put_u32(w, producer->epoch);
    put_u8(w, producer->named ? 1 : 0);
    put_u8(w, (uint8_t)producer->scope.size);
    put_u8(w, (uint8_t)producer->name.size);
    put_bytes(w, producer->scope);
    put_bytes(w, producer->name);
}

size_t delta_write(uint8_t *out, const struct delta *delta)
{
    struct writer w = {out + DELTA_PREFIX_BYTES};
    switch (delta->kind) {
    case DELTA_LOG:
        put_log(&w, &delta->log);
        break;
    case DELTA_TOPIC:
        put_topic(&w, &delta->topic);
        break;
    case DELTA_PRODUCER:
        put_producer(&w, &delta->producer);
        break;
    case DELTA_PRODUCER_END:
        put_u64(&w, delta->producer_end);
        break;
    case DELTA_CLOCK:
        put_u64(&w, (uint64_t)delta->clock.expected_ns);
        put_u64(&w, (uint64_t)delta->clock.found_ns);
        break;
    }
    size_t size = (size_t)(w.at - out);
    store_u16(out, (uint16_t)delta->kind);
    store_u16(out + 2, (uint16_t)(size - DELTA_PREFIX_BYTES));
    size_t padded = align8(size);
    memset(out + size, 0, padded - size);
    assert(padded <= DELTA_BYTES_MAX);
    return padded;
}

static bool take_log(struct reader *body, struct delta_log *ret_log)
{
    struct bytes log_id = reader_take(body, LOG_ID_BYTES);
    ret_log->generation = reader_u64(body);
    struct bytes secret = reader_take(body, HASH_SECRET_SIZE);
    ret_log->created_ns = (int64_t)reader_u64(body);
    ret_log->domain = reader_take(body, reader_u8(body));
    if (body->failed || ret_log->domain.size == 0 || ret_log->domain.size > DOMAIN_BYTES_MAX) {
        return false;
    }
    memcpy(ret_log->log_id, log_id.data, LOG_ID_BYTES);
    memcpy(ret_log->hash_secret, secret.data, HASH_SECRET_SIZE);
    return true;
}

static bool take_topic(struct reader *body, struct delta_topic *ret_topic)
{
    ret_topic->topic_id = reader_u32(body);
    ret_topic->evidence = reader_u8(body);
    ret_topic->name = reader_take(body, reader_u8(body));
    return !body->failed && ret_topic->topic_id != 0 &&
           (ret_topic->evidence == EVIDENCE_RECORD || ret_topic->evidence == EVIDENCE_BATCH) &&
           topic_check(ret_topic->name, NULL) == TRUC_OK;
}

static bool take_producer(struct reader *body, struct delta_producer *ret_producer)
{
    ret_producer->producer_id = reader_u64(body);
    ret_producer->epoch = reader_u32(body);
    uint8_t named = reader_u8(body);
    uint8_t scope_size = reader_u8(body);
    uint8_t name_size = reader_u8(body);
    ret_producer->named = named == 1;
    ret_producer->scope = reader_take(body, scope_size);
    ret_producer->name = reader_take(body, name_size);
    return !body->failed && named <= 1 && ret_producer->producer_id != 0 && ret_producer->epoch != 0 &&
           ret_producer->scope.size <= SOURCE_BYTES_MAX && ret_producer->name.size <= PRODUCER_NAME_BYTES_MAX &&
           ret_producer->named == (ret_producer->name.size > 0);
}

/* Reads the body of a known kind; false when the kind is unknown or the body is not well formed. */
static bool take_body(struct reader *body, uint16_t kind, struct delta *ret_delta)
{
    switch (kind) {
    case DELTA_LOG:
        return take_log(body, &ret_delta->log);
    case DELTA_TOPIC:
        return take_topic(body, &ret_delta->topic);
    case DELTA_PRODUCER:
        return take_producer(body, &ret_delta->producer);
    case DELTA_PRODUCER_END:
        ret_delta->producer_end = reader_u64(body);
        return !body->failed && ret_delta->producer_end != 0;
    case DELTA_CLOCK:
        ret_delta->clock.expected_ns = (int64_t)reader_u64(body);
        ret_delta->clock.found_ns = (int64_t)reader_u64(body);
        return !body->failed;
    default:
        return false;
    }
}

bool delta_next(struct reader *deltas, struct delta *ret_delta, truc_status *ret_status)
{
    *ret_status = TRUC_OK;
    if (!deltas->failed && reader_left(deltas) == 0) {
        return false;
    }
    uint16_t kind = reader_u16(deltas);
    uint16_t size = reader_u16(deltas);
    struct bytes encoded = reader_take(deltas, size);
    struct bytes padding = reader_take(deltas, align8((size_t)size + DELTA_PREFIX_BYTES) - size - DELTA_PREFIX_BYTES);
    struct reader body = reader_over(encoded);
    struct delta delta = {.kind = (enum delta_kind)kind};
    bool good = !deltas->failed && take_body(&body, kind, &delta) && reader_left(&body) == 0;
    for (size_t i = 0; good && i < padding.size; i++) {
        good = padding.data[i] == 0;
    }
    if (!good) {
        deltas->failed = true;
        *ret_status = TRUC_DAMAGED;
        return false;
    }
    *ret_delta = delta;
    return true;
}
