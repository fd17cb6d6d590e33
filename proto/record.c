/* record.c: one pass over a record's bytes.
 *
 * Every record that enters or leaves goes through the walk below, so it is written for speed where records are ordinary
 * (tags and lengths of one byte, ASCII texts) and for care where they are not. */
#include "proto/record.h"

#include "proto/protobuf_wire.h"
#include "proto/utf8.h"

enum record_field {
    FIELD_ID = 1,
    FIELD_TYPE = 2,
    FIELD_KEY = 3,
    FIELD_TIME = 4,
    FIELD_CONTENT_TYPE = 5,
    FIELD_SCHEMA = 6,
    FIELD_HEADERS = 7,
    FIELD_DATA = 8,
    FIELD_CORRELATION_ID = 9,
    FIELD_RELATES_TO = 10,
    FIELD_TRACEPARENT = 11,
    FIELD_EXPIRES_AT = 12,
    FIELD_ENC = 13
};
enum header_field { HEADER_NAME = 1, HEADER_VALUE = 2 };
enum relation_field { RELATION_LOG_ID = 1, RELATION_TOPIC = 2, RELATION_OFFSET = 3, RELATION_ID = 4, RELATION_RELATION = 5 };
enum encryption_field { ENCRYPTION_ALGORITHM = 1, ENCRYPTION_NONCE = 2, ENCRYPTION_RECIPIENTS = 3 };

#define TAG(number, wire_type) ((uint32_t)(number) << 3 | (uint32_t)(wire_type))

static const char cut_short[] = "record: cut short or not protobuf";
static const char twice[] = "record: a field is given twice";
static const char wrong_type[] = "record: a known field has another wire type";

/* --- the wire ------------------------------------------------------------------------------------------------------------ */

/* A tag of one byte is taken here, others the general way. */
static inline uint32_t take_tag(struct reader *r)
{
    if (r->at != r->end && *r->at < 0x80 && *r->at >= 8)
        return *r->at++;
    return protobuf_tag(r);
}

/* A length of one or two bytes is taken here, others the general way. */
static inline struct bytes take_delimited(struct reader *r)
{
    size_t left = reader_left(r);
    if (left >= 2) {
        size_t low = r->at[0], high = r->at[1];
        size_t prefix = low < 0x80 ? 1 : 2, size = low < 0x80 ? low : (low & 0x7f) | high << 7;
        if ((low & high) < 0x80 && size <= left - prefix) {
            struct bytes taken = {r->at + prefix, size};
            r->at += prefix + size;
            return taken;
        }
    }
    return reader_delimited(r);
}

/* A text field: UTF-8 of at most size_max bytes. */
static inline const char *take_text(struct reader *r, size_t size_max, const char *why, struct bytes *ret_text)
{
    *ret_text = take_delimited(r);
    if (r->failed)
        return cut_short;
    return ret_text->size <= size_max && utf8_valid(*ret_text) ? NULL : why;
}

/* --- messages inside a record ------------------------------------------------------------------------------------------------ */

static const char *parse_header(struct bytes encoded, struct record_header *ret_header)
{
    struct reader r = reader_over(encoded);
    uint32_t seen = 0;
    const char *fault = NULL;

    *ret_header = (struct record_header){0};
    while (r.at != r.end && fault == NULL) {
        uint32_t tag = take_tag(&r), number = tag >> 3;
        struct bytes *field = number == HEADER_NAME ? &ret_header->name : number == HEADER_VALUE ? &ret_header->value : NULL;
        if (field == NULL) {
            (void)protobuf_skip(&r, tag & 7);
        } else if ((tag & 7) != WIRE_DELIMITED) {
            fault = wrong_type;
        } else if (seen & 1u << number) {
            fault = twice;
        } else {
            seen |= 1u << number;
            fault = take_text(&r, RECORD_TEXT_BYTES_MAX, "headers: a name or value is not UTF-8 or over 1024 bytes", field);
        }
        if (r.failed)
            return cut_short;
    }
    return fault;
}

static const char *take_relation_field(struct reader *r, uint32_t tag, struct record_relation *relation)
{
    switch (tag) {
    case TAG(RELATION_LOG_ID, WIRE_DELIMITED):
        relation->log_id = take_delimited(r);
        return relation->log_id.size == 0 || relation->log_id.size == LOG_ID_BYTES ? NULL : "relates_to.log_id: not 16 bytes";
    case TAG(RELATION_TOPIC, WIRE_DELIMITED):
        return take_text(r, TOPIC_BYTES_MAX, "relates_to.topic: not UTF-8 or over 255 bytes", &relation->topic);
    case TAG(RELATION_OFFSET, WIRE_VARINT):
        relation->offset = reader_varint(r);
        return NULL;
    case TAG(RELATION_ID, WIRE_DELIMITED):
        relation->id = take_delimited(r);
        return relation->id.size <= RECORD_ID_BYTES_MAX ? NULL : "relates_to.id: over 64 bytes";
    case TAG(RELATION_RELATION, WIRE_DELIMITED):
        return take_text(r, RECORD_TEXT_BYTES_MAX, "relates_to.relation: not UTF-8 or over 1024 bytes", &relation->relation);
    default:
        return wrong_type;
    }
}

static const char *parse_relation(struct bytes encoded, struct record_relation *ret_relation)
{
    struct reader r = reader_over(encoded);
    uint32_t seen = 0;
    const char *fault = NULL;

    *ret_relation = (struct record_relation){0};
    while (r.at != r.end && fault == NULL) {
        uint32_t tag = take_tag(&r), number = tag >> 3;
        if (number == 0 || number > RELATION_RELATION) {
            (void)protobuf_skip(&r, tag & 7);
        } else if (seen & 1u << number) {
            fault = twice;
        } else {
            seen |= 1u << number;
            fault = take_relation_field(&r, tag, ret_relation);
        }
        if (r.failed)
            return cut_short;
    }
    return fault;
}

/* Reserved: only its form is checked. */
static const char *check_encryption(struct bytes encoded)
{
    struct reader r = reader_over(encoded);
    struct bytes text;
    uint32_t seen = 0;
    const char *fault = NULL;

    while (r.at != r.end && fault == NULL) {
        uint32_t tag = take_tag(&r), number = tag >> 3;
        bool known = number >= ENCRYPTION_ALGORITHM && number <= ENCRYPTION_RECIPIENTS;
        if (known && (tag & 7) != WIRE_DELIMITED)
            fault = wrong_type;
        else if (known && number != ENCRYPTION_RECIPIENTS && (seen & 1u << number))
            fault = twice;
        else if (number == ENCRYPTION_ALGORITHM)
            fault = take_text(&r, RECORD_TEXT_BYTES_MAX, "enc.algorithm: not UTF-8 or over 1024 bytes", &text);
        else
            (void)protobuf_skip(&r, tag & 7);
        if (known)
            seen |= 1u << number;
        if (r.failed)
            return cut_short;
    }
    return fault;
}

/* --- the record ---------------------------------------------------------------------------------------------------------- */

/* Fields that few records have, kept out of the way of the common ones. */
static __attribute__((noinline)) const char *take_rare_field(struct reader *r, uint32_t tag, struct record_view *view)
{
    struct record_header header;

    switch (tag) {
    case TAG(FIELD_HEADERS, WIRE_DELIMITED):
        if (++view->header_count > RECORD_HEADERS_MAX)
            return "headers: more than 64";
        return parse_header(take_delimited(r), &header);
    case TAG(FIELD_CORRELATION_ID, WIRE_DELIMITED):
        return take_text(r, RECORD_TEXT_BYTES_MAX, "correlation_id: not UTF-8 or over 1024 bytes", &view->correlation_id);
    case TAG(FIELD_RELATES_TO, WIRE_DELIMITED):
        view->has_relation = true;
        return parse_relation(take_delimited(r), &view->relation);
    case TAG(FIELD_TRACEPARENT, WIRE_DELIMITED):
        return take_text(r, RECORD_TEXT_BYTES_MAX, "traceparent: not UTF-8 or over 1024 bytes", &view->traceparent);
    case TAG(FIELD_EXPIRES_AT, WIRE_FIXED64):
        view->expires_at_ns = (int64_t)reader_u64(r);
        return NULL;
    case TAG(FIELD_ENC, WIRE_DELIMITED):
        view->has_encryption = true;
        return check_encryption(take_delimited(r));
    default:
        if (tag >> 3 >= FIELD_ID && tag >> 3 <= FIELD_ENC)
            return wrong_type;
        (void)protobuf_skip(r, tag & 7);
        return NULL;
    }
}

/* Walks the record into a view whose fields are all zero. Returns what is wrong, or NULL. */
static inline __attribute__((always_inline)) const char *walk(struct bytes encoded, struct record_view *view)
{
    struct reader r = reader_over(encoded);
    uint32_t seen = 0;
    const char *fault = NULL;

    if (encoded.size > RECORD_BYTES_MAX)
        return "record: over 8 MiB";
    while (r.at != r.end && fault == NULL) {
        uint32_t tag = take_tag(&r), number = tag >> 3;
        if (number <= FIELD_ENC && number != FIELD_HEADERS) {
            if (seen & 1u << number)
                return r.failed ? cut_short : twice;
            seen |= 1u << number;
        }
        switch (tag) {
        case TAG(FIELD_ID, WIRE_DELIMITED):
            view->id = take_delimited(&r);
            break;
        case TAG(FIELD_TYPE, WIRE_DELIMITED):
            fault = take_text(&r, RECORD_TYPE_BYTES_MAX, "type: not UTF-8 or over 255 bytes", &view->type);
            break;
        case TAG(FIELD_KEY, WIRE_DELIMITED):
            fault = take_text(&r, RECORD_KEY_BYTES_MAX, "key: not UTF-8 or over 255 bytes", &view->key);
            break;
        case TAG(FIELD_TIME, WIRE_FIXED64):
            view->time_ns = (int64_t)reader_u64(&r);
            break;
        case TAG(FIELD_CONTENT_TYPE, WIRE_DELIMITED):
            fault = take_text(&r, RECORD_TEXT_BYTES_MAX, "content_type: not UTF-8 or over 1024 bytes", &view->content_type);
            break;
        case TAG(FIELD_SCHEMA, WIRE_DELIMITED):
            fault = take_text(&r, RECORD_TEXT_BYTES_MAX, "schema: not UTF-8 or over 1024 bytes", &view->schema);
            break;
        case TAG(FIELD_DATA, WIRE_DELIMITED):
            view->data = take_delimited(&r);
            break;
        default:
            fault = take_rare_field(&r, tag, view);
        }
        if (r.failed)
            return cut_short;
    }
    if (fault == NULL && (view->id.size == 0 || view->id.size > RECORD_ID_BYTES_MAX))
        return view->id.size == 0 ? "id: missing" : "id: over 64 bytes";
    return fault;
}

truc_status record_parse(struct bytes encoded, struct record_view *ret_view, const char **ret_why)
{
    *ret_view = (struct record_view){.encoded = encoded};
    const char *fault = walk(encoded, ret_view);
    if (fault == NULL)
        return TRUC_OK;
    if (ret_why != NULL)
        *ret_why = fault;
    return TRUC_BAD_RECORD;
}

truc_status record_brief_parse(struct bytes encoded, struct record_brief *ret_brief, const char **ret_why)
{
    struct record_view view = {0};
    const char *fault = walk(encoded, &view);
    if (fault != NULL) {
        if (ret_why != NULL)
            *ret_why = fault;
        return TRUC_BAD_RECORD;
    }
    *ret_brief = (struct record_brief){
        .key = view.key,
        .type = view.type,
        .time_ns = view.time_ns,
        .expires_at_ns = view.expires_at_ns,
        .flags = (uint8_t)((view.has_relation ? RECORD_FLAG_RELATED : 0) | (view.has_encryption ? RECORD_FLAG_ENCRYPTED : 0) |
                           (view.header_count != 0 ? RECORD_FLAG_HEADERS : 0) |
                           (bytes_equal(view.type, bytes_of(RECALL_TYPE, sizeof RECALL_TYPE - 1)) ? RECORD_FLAG_RECALL : 0)),
    };
    return TRUC_OK;
}

struct record_header record_header_at(const struct record_view *view, size_t index)
{
    struct reader r = reader_over(view->encoded);
    struct record_header header = {0};

    while (r.at != r.end && !r.failed) {
        uint32_t tag = take_tag(&r);
        if (tag != TAG(FIELD_HEADERS, WIRE_DELIMITED)) {
            (void)protobuf_skip(&r, tag & 7);
        } else if (index-- == 0) {
            (void)parse_header(take_delimited(&r), &header);
            break;
        } else {
            (void)take_delimited(&r);
        }
    }
    return header;
}

bool records_next(struct reader *payload, struct bytes *ret_record, truc_status *ret_status)
{
    if (payload->failed || payload->at == payload->end) {
        *ret_status = payload->failed ? TRUC_BAD_BATCH : TRUC_OK;
        return false;
    }
    *ret_record = take_delimited(payload);
    *ret_status = payload->failed ? TRUC_BAD_BATCH : TRUC_OK;
    return !payload->failed;
}

/* --- encoding ------------------------------------------------------------------------------------------------------------ */

/* All tags of this message fit one byte. Empty means absent. */
static inline size_t delimited_size(struct bytes value)
{
    return value.size == 0 ? 0 : 1 + varint_size(value.size) + value.size;
}

static inline uint8_t *put_delimited(uint8_t *out, uint32_t number, struct bytes value)
{
    if (value.size == 0)
        return out;
    *out++ = (uint8_t)TAG(number, WIRE_DELIMITED);
    out = varint_put(out, value.size);
    memcpy(out, value.data, value.size);
    return out + value.size;
}

static inline uint8_t *put_fixed64(uint8_t *out, uint32_t number, int64_t value)
{
    if (value == 0)
        return out;
    *out++ = (uint8_t)TAG(number, WIRE_FIXED64);
    store_u64(out, (uint64_t)value);
    return out + 8;
}

static size_t header_body_size(const struct record_header *header)
{
    return delimited_size(header->name) + delimited_size(header->value);
}

static size_t relation_body_size(const struct record_relation *relation)
{
    return delimited_size(relation->log_id) + delimited_size(relation->topic) +
           (relation->offset == 0 ? 0 : 1 + varint_size(relation->offset)) + delimited_size(relation->id) +
           delimited_size(relation->relation);
}

size_t record_encoded_size(const struct record_view *view, const struct record_header *headers, size_t header_count)
{
    size_t size = delimited_size(view->id) + delimited_size(view->type) + delimited_size(view->key) + (view->time_ns == 0 ? 0 : 9) +
                  delimited_size(view->content_type) + delimited_size(view->schema) + delimited_size(view->data) +
                  delimited_size(view->correlation_id) + delimited_size(view->traceparent) + (view->expires_at_ns == 0 ? 0 : 9);

    for (size_t i = 0; i < header_count; i++) {
        size_t body = header_body_size(&headers[i]);
        size += 1 + varint_size(body) + body;
    }
    if (view->has_relation) {
        size_t body = relation_body_size(&view->relation);
        size += 1 + varint_size(body) + body;
    }
    return size;
}

static uint8_t *put_header(uint8_t *out, const struct record_header *header)
{
    *out++ = (uint8_t)TAG(FIELD_HEADERS, WIRE_DELIMITED);
    out = varint_put(out, header_body_size(header));
    out = put_delimited(out, HEADER_NAME, header->name);
    return put_delimited(out, HEADER_VALUE, header->value);
}

static uint8_t *put_relation(uint8_t *out, const struct record_relation *relation)
{
    *out++ = (uint8_t)TAG(FIELD_RELATES_TO, WIRE_DELIMITED);
    out = varint_put(out, relation_body_size(relation));
    out = put_delimited(out, RELATION_LOG_ID, relation->log_id);
    out = put_delimited(out, RELATION_TOPIC, relation->topic);
    if (relation->offset != 0) {
        *out++ = (uint8_t)TAG(RELATION_OFFSET, WIRE_VARINT);
        out = varint_put(out, relation->offset);
    }
    out = put_delimited(out, RELATION_ID, relation->id);
    return put_delimited(out, RELATION_RELATION, relation->relation);
}

uint8_t *record_encode(const struct record_view *view, const struct record_header *headers, size_t header_count, uint8_t *out)
{
    out = put_delimited(out, FIELD_ID, view->id);
    out = put_delimited(out, FIELD_TYPE, view->type);
    out = put_delimited(out, FIELD_KEY, view->key);
    out = put_fixed64(out, FIELD_TIME, view->time_ns);
    out = put_delimited(out, FIELD_CONTENT_TYPE, view->content_type);
    out = put_delimited(out, FIELD_SCHEMA, view->schema);
    for (size_t i = 0; i < header_count; i++)
        out = put_header(out, &headers[i]);
    out = put_delimited(out, FIELD_DATA, view->data);
    out = put_delimited(out, FIELD_CORRELATION_ID, view->correlation_id);
    if (view->has_relation)
        out = put_relation(out, &view->relation);
    out = put_delimited(out, FIELD_TRACEPARENT, view->traceparent);
    return put_fixed64(out, FIELD_EXPIRES_AT, view->expires_at_ns);
}
