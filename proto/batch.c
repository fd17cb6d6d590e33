/* batch.c: prefix and immutable header of a batch. The header is small and known, so it is walked in place. */
#include "proto/batch.h"

#include "proto/protobuf_wire.h"
#include "proto/topic.h"

#include <stdlib.h>

enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_CODEC = 6,
    AT_FLAGS = 7,
    AT_HEADER_SIZE = 8,
    AT_SIGNATURE_SIZE = 12,
    AT_STORED_SIZE = 16,
    AT_RAW_SIZE = 20,
    AT_RESERVED = 24,
    AT_SEED = 32,
    BATCH_VERSION = 1,
    RATIO_FREE_BYTES = 64 * 1024 /* up to here any ratio is harmless */
};

enum header_field {
    FIELD_TOPIC = 1,
    FIELD_SOURCE = 2,
    FIELD_SYSTEM = 3,
    FIELD_REPRESENTED = 4,
    FIELD_EVIDENCE = 5,
    FIELD_PRODUCER_ID = 6,
    FIELD_EPOCH = 7,
    FIELD_FIRST_SEQUENCE = 8,
    FIELD_RECORD_COUNT = 9,
    FIELD_DELIVER_AT = 10,
    FIELD_EXPECTED_OFFSET = 11,
    FIELD_KEY_ID = 12,
    FIELD_SIGNATURE_ALGORITHM = 13,
    FIELD_DICTIONARY = 14,
    FIELD_OBJECTS = 15,
    FIELD_LAST = FIELD_OBJECTS
};

static const uint8_t wire_types[FIELD_LAST + 1] = {
    [FIELD_TOPIC] = WIRE_DELIMITED,
    [FIELD_SOURCE] = WIRE_DELIMITED,
    [FIELD_SYSTEM] = WIRE_DELIMITED,
    [FIELD_REPRESENTED] = WIRE_DELIMITED,
    [FIELD_EVIDENCE] = WIRE_VARINT,
    [FIELD_PRODUCER_ID] = WIRE_VARINT,
    [FIELD_EPOCH] = WIRE_VARINT,
    [FIELD_FIRST_SEQUENCE] = WIRE_VARINT,
    [FIELD_RECORD_COUNT] = WIRE_VARINT,
    [FIELD_DELIVER_AT] = WIRE_FIXED64,
    [FIELD_EXPECTED_OFFSET] = WIRE_VARINT,
    [FIELD_KEY_ID] = WIRE_DELIMITED,
    [FIELD_SIGNATURE_ALGORITHM] = WIRE_VARINT,
    [FIELD_DICTIONARY] = WIRE_DELIMITED,
    [FIELD_OBJECTS] = WIRE_DELIMITED,
};

/* What a field held: a number or bytes. */
struct value {
    uint64_t number;
    struct bytes text;
};

static truc_status refuse(truc_status status, const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return status;
}

static struct value take_value(struct reader *r, unsigned wire_type)
{
    struct value value = {0};
    if (wire_type == WIRE_VARINT) {
        value.number = reader_varint(r);
        return value;
    }
    value.text = protobuf_skip(r, wire_type);
    if (wire_type == WIRE_FIXED64 && !r->failed)
        value.number = load_u64(value.text.data);
    return value;
}

/* Fields of later versions: absent or zero, or the batch means something that this version does not do. */
static truc_status check_reserved(unsigned number, struct value value, const char **ret_why)
{
    bool is_set = value.number != 0 || value.text.size != 0;
    switch (number) {
    case FIELD_REPRESENTED:
        return is_set ? refuse(TRUC_UNSUPPORTED, ret_why, "represented: reserved") : TRUC_OK;
    case FIELD_KEY_ID:
        return is_set ? refuse(TRUC_UNSUPPORTED, ret_why, "key_id: reserved") : TRUC_OK;
    case FIELD_SIGNATURE_ALGORITHM:
        return is_set ? refuse(TRUC_UNSUPPORTED, ret_why, "signature_algorithm: reserved") : TRUC_OK;
    case FIELD_DICTIONARY:
        return is_set ? refuse(TRUC_UNSUPPORTED, ret_why, "dictionary: reserved") : TRUC_OK;
    case FIELD_OBJECTS:
        return refuse(TRUC_UNSUPPORTED, ret_why, "objects: reserved");
    default:
        return TRUC_OK;
    }
}

static truc_status store_field(struct batch_view *view, unsigned number, struct value value, const char **ret_why)
{
    switch (number) {
    case FIELD_TOPIC:
        view->topic = value.text;
        return TRUC_OK;
    case FIELD_SOURCE:
        view->source = value.text;
        return TRUC_OK;
    case FIELD_SYSTEM:
        view->system = value.text;
        return TRUC_OK;
    case FIELD_EVIDENCE:
        if (value.number > EVIDENCE_BATCH)
            return refuse(TRUC_BAD_BATCH, ret_why, "evidence: not a known level");
        view->evidence = (enum evidence)value.number;
        return TRUC_OK;
    case FIELD_PRODUCER_ID:
        view->producer_id = value.number;
        return TRUC_OK;
    case FIELD_EPOCH:
        if (value.number > UINT32_MAX)
            return refuse(TRUC_BAD_BATCH, ret_why, "epoch: over 32 bits");
        view->epoch = (uint32_t)value.number;
        return TRUC_OK;
    case FIELD_FIRST_SEQUENCE:
        view->first_sequence = value.number;
        return TRUC_OK;
    case FIELD_RECORD_COUNT:
        if (value.number > BATCH_RECORDS_MAX)
            return refuse(TRUC_BATCH_TOO_LARGE, ret_why, "record_count: over 65535");
        view->record_count = (uint32_t)value.number;
        return TRUC_OK;
    case FIELD_DELIVER_AT:
        if (value.number > INT64_MAX)
            return refuse(TRUC_BAD_BATCH, ret_why, "deliver_at_ns: before 1970");
        view->deliver_at_ns = (int64_t)value.number;
        return TRUC_OK;
    case FIELD_EXPECTED_OFFSET: /* offset 0 is an expectation too */
        view->conditional = true;
        view->expected_offset = value.number;
        return TRUC_OK;
    default:
        return check_reserved(number, value, ret_why);
    }
}

static truc_status parse_header(struct batch_view *view, const char **ret_why)
{
    struct reader r = reader_over(view->header);
    uint32_t seen = 0;
    truc_status status = TRUC_OK;

    while (r.at != r.end && status == TRUC_OK) {
        uint32_t tag = protobuf_tag(&r);
        if (r.failed)
            return refuse(TRUC_BAD_BATCH, ret_why, "header: not protobuf");
        unsigned wire_type = tag & 7, number = tag >> 3;
        bool known = number <= FIELD_LAST;
        if (known && wire_type != wire_types[number])
            return refuse(TRUC_BAD_BATCH, ret_why, "header: a known field has another wire type");
        if (known && (seen & 1u << number))
            return refuse(TRUC_BAD_BATCH, ret_why, "header: a field is given twice");
        struct value value = take_value(&r, wire_type);
        if (r.failed)
            return refuse(TRUC_BAD_BATCH, ret_why, "header: cut short or not protobuf");
        if (known) {
            seen |= 1u << number;
            status = store_field(view, number, value, ret_why);
        }
    }
    return status;
}

static truc_status check_header(const struct batch_view *view, const char **ret_why)
{
    truc_status status = topic_check(view->topic, ret_why);
    if (status == TRUC_OK)
        status = source_check(view->source, view->system, ret_why);
    if (status != TRUC_OK)
        return status;
    if (view->record_count == 0)
        return refuse(TRUC_BAD_BATCH, ret_why, "record_count: a batch is not empty");
    if (view->first_sequence > UINT64_MAX - view->record_count)
        return refuse(TRUC_BAD_BATCH, ret_why, "first_sequence: over 64 bits with the batch");
    return TRUC_OK;
}

static truc_status check_codec(const uint8_t *in, uint64_t stored_size, uint64_t raw_size, const char **ret_why)
{
    if (in[AT_CODEC] == CODEC_NONE && raw_size != stored_size)
        return refuse(TRUC_BAD_BATCH, ret_why, "raw_size: differs from stored_size without a codec");
    if (raw_size > RATIO_FREE_BYTES && raw_size > stored_size * BATCH_RATIO_MAX)
        return refuse(TRUC_BAD_CODEC, ret_why, "raw_size: over 1024 times stored_size");
    return TRUC_OK;
}

/* Of a cut batch: the seed would give away the salts of the records left out. */
static const uint8_t no_seed[SALT_SEED_BYTES];

static truc_status check_cut(const uint8_t *in, const char **ret_why)
{
    if (in[AT_CODEC] != CODEC_NONE)
        return refuse(TRUC_BAD_BATCH, ret_why, "codec: a cut batch has none");
    if (memcmp(in + AT_SEED, no_seed, SALT_SEED_BYTES) != 0)
        return refuse(TRUC_BAD_BATCH, ret_why, "salt_seed: a cut batch has none");
    return TRUC_OK;
}

/* The prefix: everything declared is held against limits and against what is there. */
static truc_status parse_prefix(struct bytes encoded, uint8_t flags, struct batch_view *view, const char **ret_why)
{
    const uint8_t *in = encoded.data;

    if (encoded.size < BATCH_PREFIX_BYTES)
        return refuse(TRUC_BAD_BATCH, ret_why, "prefix: cut short");
    if (encoded.size > BATCH_BYTES_MAX)
        return refuse(TRUC_BATCH_TOO_LARGE, ret_why, "batch: over the limit");
    if (load_u32(in + AT_MAGIC) != BATCH_MAGIC)
        return refuse(TRUC_BAD_BATCH, ret_why, "magic: not a batch");
    if (load_u16(in + AT_VERSION) != BATCH_VERSION)
        return refuse(TRUC_UNSUPPORTED, ret_why, "version: not 1");
    if (in[AT_FLAGS] != flags)
        return refuse(TRUC_UNSUPPORTED, ret_why, flags == 0 ? "flags: cut, or reserved" : "flags: not those of a cut batch");
    if (load_u64(in + AT_RESERVED) != 0)
        return refuse(TRUC_UNSUPPORTED, ret_why, "reserved bytes of the prefix are set");
    if (in[AT_CODEC] >= CODEC_COUNT)
        return refuse(TRUC_BAD_CODEC, ret_why, "codec: unknown");

    uint64_t header_size = load_u32(in + AT_HEADER_SIZE), signature_size = load_u32(in + AT_SIGNATURE_SIZE);
    uint64_t stored_size = load_u32(in + AT_STORED_SIZE), raw_size = load_u32(in + AT_RAW_SIZE);
    if (signature_size != 0)
        return refuse(TRUC_UNSUPPORTED, ret_why, "signature: reserved");
    if (header_size == 0 || header_size > BATCH_HEADER_BYTES_MAX)
        return refuse(TRUC_BAD_BATCH, ret_why, "header_size: not 1 to 2048");
    if (BATCH_PREFIX_BYTES + header_size + signature_size + stored_size != encoded.size)
        return refuse(TRUC_BAD_BATCH, ret_why, "sizes do not add up to the batch");
    if (raw_size == 0 || stored_size == 0)
        return refuse(TRUC_BAD_BATCH, ret_why, "payload: a batch is not empty");
    if (raw_size > BATCH_RAW_BYTES_MAX)
        return refuse(TRUC_BATCH_TOO_LARGE, ret_why, "raw_size: over the limit");
    truc_status status = flags == BATCH_FLAG_CUT ? check_cut(in, ret_why) : check_codec(in, stored_size, raw_size, ret_why);
    if (status != TRUC_OK)
        return status;

    const uint8_t *body = in + BATCH_PREFIX_BYTES;
    view->encoded = encoded;
    view->header = bytes_of(body, header_size);
    view->signature = bytes_of(body + header_size, signature_size);
    view->stored = bytes_of(body + header_size + signature_size, stored_size);
    view->seed = in + AT_SEED;
    view->codec = (enum codec)in[AT_CODEC];
    view->raw_size = (uint32_t)raw_size;
    return TRUC_OK;
}

static truc_status parse(struct bytes encoded, uint8_t flags, struct batch_view *ret_view, const char **ret_why)
{
    struct batch_view view = {0};
    truc_status status = parse_prefix(encoded, flags, &view, ret_why);
    if (status == TRUC_OK)
        status = parse_header(&view, ret_why);
    if (status == TRUC_OK)
        status = check_header(&view, ret_why);
    if (status == TRUC_OK)
        *ret_view = view;
    return status;
}

truc_status batch_parse(struct bytes encoded, struct batch_view *ret_view, const char **ret_why)
{
    return parse(encoded, 0, ret_view, ret_why);
}

truc_status batch_parse_cut(struct bytes encoded, struct batch_view *ret_view, const char **ret_why)
{
    return parse(encoded, BATCH_FLAG_CUT, ret_view, ret_why);
}

/* --- writing ----------------------------------------------------------------------------------------------------------------- */

static size_t text_size(struct bytes text)
{
    return text.size == 0 ? 0 : 1 + varint_size(text.size) + text.size;
}

static size_t number_size(uint64_t number)
{
    return number == 0 ? 0 : 1 + varint_size(number);
}

static uint8_t *put_text(uint8_t *out, unsigned field, struct bytes text)
{
    if (text.size == 0)
        return out;
    *out++ = (uint8_t)(field << 3 | WIRE_DELIMITED);
    out = varint_put(out, text.size);
    memcpy(out, text.data, text.size);
    return out + text.size;
}

static uint8_t *put_number(uint8_t *out, unsigned field, uint64_t number)
{
    if (number == 0)
        return out;
    *out++ = (uint8_t)(field << 3 | WIRE_VARINT);
    return varint_put(out, number);
}

size_t batch_header_size(const struct batch_header_fields *fields)
{
    return text_size(fields->topic) + text_size(fields->source) + text_size(fields->system) + number_size(fields->evidence) +
           number_size(fields->producer_id) + number_size(fields->epoch) + number_size(fields->first_sequence) +
           number_size(fields->record_count) + (fields->deliver_at_ns != 0 ? 1 + sizeof(uint64_t) : 0) +
           (fields->conditional ? 1 + varint_size(fields->expected_offset) : 0);
}

/* Returns the end: where the immutable header goes. */
static uint8_t *put_prefix(uint8_t *out, enum codec codec, uint8_t flags, size_t header_size, uint32_t stored_size,
                           uint32_t raw_size, const uint8_t seed[SALT_SEED_BYTES])
{
    store_u32(out + AT_MAGIC, BATCH_MAGIC);
    store_u16(out + AT_VERSION, BATCH_VERSION);
    out[AT_CODEC] = (uint8_t)codec;
    out[AT_FLAGS] = flags;
    store_u32(out + AT_HEADER_SIZE, (uint32_t)header_size);
    store_u32(out + AT_SIGNATURE_SIZE, 0);
    store_u32(out + AT_STORED_SIZE, stored_size);
    store_u32(out + AT_RAW_SIZE, raw_size);
    store_u64(out + AT_RESERVED, 0);
    memcpy(out + AT_SEED, seed, SALT_SEED_BYTES);
    return out + BATCH_PREFIX_BYTES;
}

void batch_cut_head_write(uint8_t *out, struct bytes header, uint32_t stored_size, uint32_t raw_size)
{
    out = put_prefix(out, CODEC_NONE, BATCH_FLAG_CUT, header.size, stored_size, raw_size, no_seed);
    memcpy(out, header.data, header.size);
}

void batch_head_write(uint8_t *out, const struct batch_header_fields *fields, enum codec codec, uint32_t stored_size,
                      uint32_t raw_size, const uint8_t seed[SALT_SEED_BYTES])
{
    out = put_prefix(out, codec, 0, batch_header_size(fields), stored_size, raw_size, seed);
    out = put_text(out, FIELD_TOPIC, fields->topic);
    out = put_text(out, FIELD_SOURCE, fields->source);
    out = put_text(out, FIELD_SYSTEM, fields->system);
    out = put_number(out, FIELD_EVIDENCE, fields->evidence);
    out = put_number(out, FIELD_PRODUCER_ID, fields->producer_id);
    out = put_number(out, FIELD_EPOCH, fields->epoch);
    out = put_number(out, FIELD_FIRST_SEQUENCE, fields->first_sequence);
    out = put_number(out, FIELD_RECORD_COUNT, fields->record_count);
    if (fields->deliver_at_ns != 0) {
        *out++ = FIELD_DELIVER_AT << 3 | WIRE_FIXED64;
        store_u64(out, (uint64_t)fields->deliver_at_ns);
        out += sizeof(uint64_t);
    }
    if (fields->conditional) {
        *out++ = FIELD_EXPECTED_OFFSET << 3 | WIRE_VARINT;
        (void)varint_put(out, fields->expected_offset);
    }
}

/* --- payload ------------------------------------------------------------------------------------------------------------------ */

truc_status batch_raw(const struct batch_view *view, uint8_t **scratch, size_t *scratch_capacity, struct bytes *ret_raw)
{
    if (view->codec == CODEC_NONE) {
        *ret_raw = view->stored;
        return TRUC_OK;
    }
    if (*scratch_capacity < view->raw_size) {
        uint8_t *grown = realloc(*scratch, view->raw_size);
        if (grown == NULL)
            return TRUC_NO_MEMORY;
        *scratch = grown;
        *scratch_capacity = view->raw_size;
    }
    truc_status status = codec_unpack(view->codec, view->stored, *scratch, view->raw_size);
    if (status == TRUC_OK)
        *ret_raw = bytes_of(*scratch, view->raw_size);
    return status;
}

truc_status batch_root(struct digest_context *context, const struct batch_view *view, enum evidence evidence, struct bytes raw,
                       uint8_t ret_root[DIGEST_BYTES])
{
    switch (evidence) {
    case EVIDENCE_RECORD:
        return digest_records_root(context, view->seed, raw, view->record_count, ret_root);
    case EVIDENCE_BATCH:
        return digest_batch_root(context, view->seed, raw, ret_root);
    default:
        return TRUC_BAD_BATCH;
    }
}
