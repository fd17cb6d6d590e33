/* catalog.c: deltas, written and parsed. Bodies, little-endian, after u16 kind and u16 body size:
 *
 *   LOG           u8[16] log id | u64 generation | u8[16] hash secret | i64 created ns | u8 domain size | domain
 *   TOPIC         u32 topic id | u8 evidence | u8 name size | name
 *   PRODUCER      u64 id | u32 epoch | u8 named | u8 scope size | u8 name size | scope | name
 *   PRODUCER_END  u64 id
 *   CLOCK         i64 expected ns | i64 found ns
 *   SUBSCRIPTION  u32 id | u8 mode | u8 paused | i64 created ns | u32 ack wait ms | u32 attempts max | u32 in flight max
 *                 | u8 count of back-offs | u32 each, ms | u8 size each: owner, name, pattern, type, key, source | u16 size:
 *                 headers | these texts
 *   SUBSCRIPTION_END  u32 id
 *   CURSOR        varints: id, position, index, acknowledged, dead, expired
 *   LANE          u8 form | varint id | u64 key | PLACE | FAILED | EXPIRES
 *                 form: 0, gone; 1, fresh; 2, failed; plus 4, aside; plus 8, it expires (not with gone)
 *                 PLACE: of gone only when key is 0 or it is aside: varints position, index
 *                 FAILED: of failed: varint attempts | u8 dead | i64 not before ns | i64 first failed ns | i64 last failed ns
 *                 EXPIRES: of what expires: i64 expires at ns
 *   RECALL        u32 topic id | varint offset | varint recall position | u8 agency size | agency
 *
 * Varints are of the least size, so that a delta has one encoding. */
#include "catalog.h"

#include <assert.h>

#include "batch.h"
#include "topic.h"

enum { DELTA_PREFIX_BYTES = 4, HASH_SECRET_SIZE = 16, VARINT_U32_BYTES = 5, VARINT_U64_BYTES = 10 };

/* Bodies at their largest. */
enum {
    BODY_LOG_MAX = LOG_ID_BYTES + 8 + HASH_SECRET_SIZE + 8 + 1 + DOMAIN_BYTES_MAX,
    BODY_TOPIC_MAX = 4 + 1 + 1 + TOPIC_BYTES_MAX,
    BODY_PRODUCER_MAX = 8 + 4 + 3 + SOURCE_BYTES_MAX + PRODUCER_NAME_BYTES_MAX,
    BODY_CLOCK_MAX = 16,
    BODY_SUBSCRIPTION_MAX = 4 + 2 + 8 + 3 * 4 + 1 + SUBSCRIPTION_BACKOFFS_MAX * 4 + 6 + 2 + AGENCY_BYTES_MAX +
                            SUBSCRIPTION_NAME_BYTES_MAX + TOPIC_BYTES_MAX + RECORD_TYPE_BYTES_MAX + RECORD_KEY_BYTES_MAX +
                            SOURCE_BYTES_MAX + SUBSCRIPTION_HEADERS_BYTES_MAX,
    BODY_CURSOR_MAX = 2 * VARINT_U32_BYTES + 4 * VARINT_U64_BYTES,
    BODY_LANE_MAX = 1 + 3 * VARINT_U32_BYTES + 8 + VARINT_U64_BYTES + 1 + 4 * 8,
    BODY_RECALL_MAX = 4 + 2 * VARINT_U64_BYTES + 1 + AGENCY_BYTES_MAX
};
_Static_assert(DELTA_PREFIX_BYTES + BODY_SUBSCRIPTION_MAX + 7 <= DELTA_BYTES_MAX, "the largest delta has its bound");

enum lane_form { LANE_GONE = 0, LANE_FRESH = 1, LANE_FAILED = 2, LANE_ASIDE = 4, LANE_EXPIRES = 8 /* beside one of them */ };

struct writer {
    uint8_t *at;
};

static void put_u8(struct writer *w, uint8_t value)
{
    *w->at++ = value;
}

static void put_u16(struct writer *w, uint16_t value)
{
    store_u16(w->at, value);
    w->at += sizeof value;
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

static void put_varint(struct writer *w, uint64_t value)
{
    w->at = varint_put(w->at, value);
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

static void put_subscription(struct writer *w, const struct subscription_row *row)
{
    assert(row->owner.size <= AGENCY_BYTES_MAX && row->name.size <= SUBSCRIPTION_NAME_BYTES_MAX);
    assert(row->pattern.size <= TOPIC_BYTES_MAX && row->type.size <= RECORD_TYPE_BYTES_MAX);
    assert(row->key.size <= RECORD_KEY_BYTES_MAX && row->source.size <= SOURCE_BYTES_MAX);
    assert(row->headers.size <= SUBSCRIPTION_HEADERS_BYTES_MAX && row->backoff_count <= SUBSCRIPTION_BACKOFFS_MAX);
    const struct bytes texts[] = {row->owner, row->name, row->pattern, row->type, row->key, row->source};
    put_u32(w, row->subscription_id);
    put_u8(w, row->mode);
    put_u8(w, row->paused ? 1 : 0);
    put_u64(w, (uint64_t)row->created_ns);
    put_u32(w, row->ack_wait_ms);
    put_u32(w, row->attempts_max);
    put_u32(w, row->in_flight_max);
    put_u8(w, (uint8_t)row->backoff_count);
    for (uint32_t i = 0; i < row->backoff_count; i++) {
        put_u32(w, row->backoff_ms[i]);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_u8(w, (uint8_t)texts[i].size);
    }
    put_u16(w, (uint16_t)row->headers.size);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_bytes(w, texts[i]);
    }
    put_bytes(w, row->headers);
}

static void put_place(struct writer *w, struct place place)
{
    put_varint(w, place.position);
    put_varint(w, place.index);
}

static void put_cursor(struct writer *w, const struct cursor_row *cursor)
{
    put_varint(w, cursor->subscription_id);
    put_place(w, cursor->place);
    put_varint(w, cursor->acknowledged);
    put_varint(w, cursor->dead);
    put_varint(w, cursor->expired);
}

static void put_lane(struct writer *w, const struct delta_lane *lane)
{
    const struct lane_row *row = &lane->row;
    bool failed = row->attempts != 0 || row->dead != 0 || row->not_before_ns != 0;
    enum lane_form form = lane->gone ? LANE_GONE : failed ? LANE_FAILED : LANE_FRESH;
    bool expires = row->expires_at_ns != 0 && !lane->gone;
    put_u8(w, (uint8_t)(form | (row->aside ? LANE_ASIDE : 0) | (expires ? LANE_EXPIRES : 0)));
    put_varint(w, row->subscription_id);
    put_u64(w, row->key);
    if (form != LANE_GONE || row->key == 0 || row->aside) {
        put_place(w, row->place);
    }
    if (form == LANE_FAILED) {
        put_varint(w, row->attempts);
        put_u8(w, row->dead);
        put_u64(w, (uint64_t)row->not_before_ns);
        put_u64(w, (uint64_t)row->first_failed_ns);
        put_u64(w, (uint64_t)row->last_failed_ns);
    }
    if (expires) {
        put_u64(w, (uint64_t)row->expires_at_ns);
    }
}

static void put_recall(struct writer *w, const struct recall_row *recall)
{
    put_u32(w, recall->topic_id);
    put_varint(w, recall->offset);
    put_varint(w, recall->recall_position);
    put_u8(w, (uint8_t)recall->agency.size);
    put_bytes(w, recall->agency);
}

size_t delta_bytes_max(enum delta_kind kind)
{
    size_t body = 0;
    switch (kind) {
    case DELTA_LOG:
        body = BODY_LOG_MAX;
        break;
    case DELTA_TOPIC:
        body = BODY_TOPIC_MAX;
        break;
    case DELTA_PRODUCER:
        body = BODY_PRODUCER_MAX;
        break;
    case DELTA_PRODUCER_END:
        body = sizeof(uint64_t);
        break;
    case DELTA_CLOCK:
        body = BODY_CLOCK_MAX;
        break;
    case DELTA_SUBSCRIPTION:
        body = BODY_SUBSCRIPTION_MAX;
        break;
    case DELTA_SUBSCRIPTION_END:
        body = sizeof(uint32_t);
        break;
    case DELTA_CURSOR:
        body = BODY_CURSOR_MAX;
        break;
    case DELTA_LANE:
        body = BODY_LANE_MAX;
        break;
    case DELTA_RECALL:
        body = BODY_RECALL_MAX;
        break;
    }
    return align8(DELTA_PREFIX_BYTES + body);
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
    case DELTA_SUBSCRIPTION:
        put_subscription(&w, &delta->subscription);
        break;
    case DELTA_SUBSCRIPTION_END:
        put_u32(&w, delta->subscription_end);
        break;
    case DELTA_CURSOR:
        put_cursor(&w, &delta->cursor);
        break;
    case DELTA_LANE:
        put_lane(&w, &delta->lane);
        break;
    case DELTA_RECALL:
        put_recall(&w, &delta->recall);
        break;
    }
    size_t size = (size_t)(w.at - out);
    store_u16(out, (uint16_t)delta->kind);
    store_u16(out + 2, (uint16_t)(size - DELTA_PREFIX_BYTES));
    size_t padded = align8(size);
    memset(out + size, 0, padded - size);
    assert(padded <= delta_bytes_max(delta->kind));
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

/* A varint of the least size, up to a bound. */
static uint64_t take_varint(struct reader *body, uint64_t max)
{
    size_t left = reader_left(body);
    uint64_t value = reader_varint(body);
    if (!body->failed && (left - reader_left(body) != varint_size(value) || value > max)) {
        body->failed = true;
    }
    return value;
}

bool filter_header_next(struct reader *headers, struct bytes *ret_name, struct bytes *ret_value)
{
    size_t left = reader_left(headers);
    const uint8_t *name = headers->at;
    if (headers->failed || left == 0) {
        return false;
    }
    const uint8_t *name_end = memchr(name, 0, left);
    const uint8_t *value_end = name_end == NULL ? NULL : memchr(name_end + 1, 0, (size_t)(headers->end - name_end) - 1);
    if (value_end == NULL || name_end == name) {
        headers->failed = true;
        return false;
    }
    headers->at = value_end + 1;
    *ret_name = bytes_of(name, (size_t)(name_end - name));
    *ret_value = bytes_of(name_end + 1, (size_t)(value_end - name_end) - 1);
    return true;
}

bool filter_headers_check(struct bytes headers)
{
    struct reader reader = reader_over(headers);
    struct bytes name, value;
    while (filter_header_next(&reader, &name, &value)) {
        /* only its form is looked at */
    }
    return !reader.failed && headers.size <= SUBSCRIPTION_HEADERS_BYTES_MAX;
}

static bool source_is_good(struct bytes source)
{
    struct bytes agency, system;
    return source.size == 0 || source_filter_split(source, &agency, &system, NULL) == TRUC_OK;
}

static bool subscription_is_good(const struct subscription_row *row)
{
    bool shared = row->mode == SUBSCRIPTION_SHARED;
    bool one_token = row->name.size <= SUBSCRIPTION_NAME_BYTES_MAX && topic_check(row->name, NULL) == TRUC_OK &&
                     memchr(row->name.data, '.', row->name.size) == NULL;
    return row->subscription_id != 0 && (shared || row->mode == SUBSCRIPTION_ORDERED) && one_token &&
           (shared || (row->ack_wait_ms == 0 && row->attempts_max == 0 && row->in_flight_max == 0 && row->backoff_count == 0)) &&
           agency_check(row->owner, NULL) == TRUC_OK && pattern_check(row->pattern, NULL) == TRUC_OK &&
           source_is_good(row->source) && filter_headers_check(row->headers);
}

static bool take_subscription(struct reader *body, struct subscription_row *ret_row)
{
    struct bytes *const texts[] = {&ret_row->owner, &ret_row->name, &ret_row->pattern,
                                   &ret_row->type,  &ret_row->key,  &ret_row->source};
    uint8_t sizes[sizeof texts / sizeof *texts];
    ret_row->subscription_id = reader_u32(body);
    ret_row->mode = reader_u8(body);
    uint8_t paused = reader_u8(body);
    ret_row->paused = paused == 1;
    ret_row->created_ns = (int64_t)reader_u64(body);
    ret_row->ack_wait_ms = reader_u32(body);
    ret_row->attempts_max = reader_u32(body);
    ret_row->in_flight_max = reader_u32(body);
    ret_row->backoff_count = reader_u8(body);
    if (ret_row->backoff_count > SUBSCRIPTION_BACKOFFS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < ret_row->backoff_count; i++) {
        ret_row->backoff_ms[i] = reader_u32(body);
    }
    for (size_t i = 0; i < sizeof sizes; i++) {
        sizes[i] = reader_u8(body);
    }
    uint16_t headers_size = reader_u16(body);
    for (size_t i = 0; i < sizeof sizes; i++) {
        *texts[i] = reader_take(body, sizes[i]);
    }
    ret_row->headers = reader_take(body, headers_size);
    return !body->failed && paused <= 1 && subscription_is_good(ret_row);
}

static struct place take_place(struct reader *body, uint32_t index_max)
{
    struct place place = {.position = take_varint(body, UINT64_MAX)};
    place.index = (uint32_t)take_varint(body, index_max);
    return place;
}

static bool take_cursor(struct reader *body, struct cursor_row *ret_cursor)
{
    ret_cursor->subscription_id = (uint32_t)take_varint(body, UINT32_MAX);
    ret_cursor->place = take_place(body, BATCH_RECORDS_MAX);
    ret_cursor->acknowledged = take_varint(body, UINT64_MAX);
    ret_cursor->dead = take_varint(body, UINT64_MAX);
    ret_cursor->expired = take_varint(body, UINT64_MAX);
    return !body->failed && ret_cursor->subscription_id != 0;
}

static bool take_lane(struct reader *body, struct delta_lane *ret_lane)
{
    struct lane_row *row = &ret_lane->row;
    uint8_t byte = reader_u8(body), form = byte & ~(LANE_ASIDE | LANE_EXPIRES) & 0xff;
    bool expires = (byte & LANE_EXPIRES) != 0;
    row->aside = (byte & LANE_ASIDE) != 0;
    ret_lane->gone = form == LANE_GONE;
    row->subscription_id = (uint32_t)take_varint(body, UINT32_MAX);
    row->key = reader_u64(body);
    if (form != LANE_GONE || row->key == 0 || row->aside) {
        row->place = take_place(body, BATCH_RECORDS_MAX - 1);
    }
    if (form == LANE_FAILED) {
        row->attempts = (uint32_t)take_varint(body, UINT32_MAX);
        row->dead = reader_u8(body);
        row->not_before_ns = (int64_t)reader_u64(body);
        row->first_failed_ns = (int64_t)reader_u64(body);
        row->last_failed_ns = (int64_t)reader_u64(body);
    }
    row->expires_at_ns = expires ? (int64_t)reader_u64(body) : 0;
    bool failed = row->attempts != 0 || row->dead != 0 || row->not_before_ns != 0;
    return !body->failed && form <= LANE_FAILED && failed == (form == LANE_FAILED) && row->subscription_id != 0 &&
           expires == (row->expires_at_ns != 0) && !(expires && ret_lane->gone);
}

static bool take_recall(struct reader *body, struct recall_row *ret_recall)
{
    ret_recall->topic_id = reader_u32(body);
    ret_recall->offset = take_varint(body, UINT64_MAX);
    ret_recall->recall_position = take_varint(body, UINT64_MAX);
    ret_recall->agency = reader_take(body, reader_u8(body));
    return !body->failed && ret_recall->topic_id != 0 && agency_check(ret_recall->agency, NULL) == TRUC_OK;
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
    case DELTA_SUBSCRIPTION:
        return take_subscription(body, &ret_delta->subscription);
    case DELTA_SUBSCRIPTION_END:
        ret_delta->subscription_end = reader_u32(body);
        return !body->failed && ret_delta->subscription_end != 0;
    case DELTA_CURSOR:
        return take_cursor(body, &ret_delta->cursor);
    case DELTA_LANE:
        return take_lane(body, &ret_delta->lane);
    case DELTA_RECALL:
        return take_recall(body, &ret_delta->recall);
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
