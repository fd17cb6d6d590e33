/* frame_header.c: decoding headers of unknown origin by protobuf-c.
 *
 * protobuf-c 1.4.1 by itself bounds neither memory nor depth, merges repeated singular messages in quadratic time, lets
 * strings hold anything and cuts them at a zero byte. So a pre-scan walks the bytes along the descriptors, without recursion,
 * and the decoder then allocates from a capped arena. */
#include "proto/frame.h"
#include "proto/protobuf_wire.h"
#include "proto/utf8.h"

#include <protobuf-c/protobuf-c.h>

enum { NESTING_MAX = 4, FIELDS_MAX = 4096, KNOWN_FIELDS_MAX = 64, ARENA_ALIGNMENT = 8 };

/* One message being scanned. */
struct level {
    const ProtobufCMessageDescriptor *descriptor;
    struct reader reader;
    uint64_t seen; /* bit per field of the descriptor */
};

static void *arena_take(void *context, size_t size)
{
    struct arena *arena = context;
    size_t padding = (size_t)(-(uintptr_t)arena->at & (ARENA_ALIGNMENT - 1));
    size_t left = (size_t)(arena->end - arena->at);

    if (left < padding || left - padding < size)
        return NULL;
    uint8_t *taken = arena->at + padding;
    arena->at = taken + size;
    return taken;
}

static void arena_keep(void *context, void *pointer)
{
    (void)context;
    (void)pointer;
}

static bool is_varint(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return true;
    default:
        return false;
    }
}

static unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_FIXED32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_FIXED64;
    default:
        return is_varint(type) ? WIRE_VARINT : WIRE_DELIMITED;
    }
}

/* Singular fields come once, and of a oneof only one member comes. */
static const char *check_once(struct level *level, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *descriptor = level->descriptor;
    size_t index = (size_t)(field - descriptor->fields);

    if (index >= KNOWN_FIELDS_MAX)
        return "a message type has more than 64 fields";
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return NULL;
    if (level->seen & UINT64_C(1) << index)
        return "a field is given twice";
    for (size_t i = 0; (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *other = &descriptor->fields[i];
        if ((other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && other->quantifier_offset == field->quantifier_offset &&
            (level->seen & UINT64_C(1) << i))
            return "two members of a oneof are given";
    }
    level->seen |= UINT64_C(1) << index;
    return NULL;
}

static const char *check_text(struct bytes text)
{
    if (!utf8_valid(text))
        return "a string is not UTF-8";
    return text.size != 0 && memchr(text.data, 0, text.size) != NULL ? "a string holds a zero byte" : NULL;
}

/* Reads one field. A message becomes *ret_inner (its descriptor NULL when the field is something else). */
static const char *scan_field(struct level *level, struct level *ret_inner)
{
    ret_inner->descriptor = NULL;
    uint32_t tag = protobuf_tag(&level->reader);
    if (level->reader.failed)
        return "not protobuf";
    unsigned wire_type = tag & 7;
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(level->descriptor, tag >> 3);
    struct bytes value = protobuf_skip(&level->reader, wire_type);
    if (level->reader.failed)
        return "cut short or not protobuf";
    if (field == NULL)
        return NULL;

    bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && wire_type == WIRE_DELIMITED;
    if (wire_type != wire_type_of(field->type) && !packed)
        return "a known field has another wire type";
    const char *fault = check_once(level, field);
    if (fault == NULL && field->type == PROTOBUF_C_TYPE_STRING)
        fault = check_text(value);
    if (fault == NULL && field->type == PROTOBUF_C_TYPE_MESSAGE)
        *ret_inner = (struct level){.descriptor = field->descriptor, .reader = reader_over(value)};
    return fault;
}

static const char *scan(const ProtobufCMessageDescriptor *descriptor, struct bytes header)
{
    struct level levels[NESTING_MAX], inner;
    size_t depth = 0, field_count = 0;

    levels[0] = (struct level){.descriptor = descriptor, .reader = reader_over(header)};
    for (;;) {
        struct level *level = &levels[depth];
        if (level->reader.at == level->reader.end) {
            if (depth == 0)
                return NULL;
            depth--;
            continue;
        }
        if (++field_count > FIELDS_MAX)
            return "more than 4096 fields";
        const char *fault = scan_field(level, &inner);
        if (fault != NULL)
            return fault;
        if (inner.descriptor != NULL) {
            if (depth + 1 == NESTING_MAX)
                return "messages are nested more than 4 deep";
            levels[++depth] = inner;
        }
    }
}

void *frame_header_decode(struct arena *arena, const struct ProtobufCMessageDescriptor *descriptor, struct bytes header,
                          const char **ret_why)
{
    ProtobufCAllocator allocator = {.alloc = arena_take, .free = arena_keep, .allocator_data = arena};
    const char *why = header.size > FRAME_HEADER_BYTES_MAX ? "over 60 KiB" : scan(descriptor, header);
    void *message = NULL;

    if (why == NULL) {
        message = protobuf_c_message_unpack(descriptor, &allocator, header.size, header.data);
        if (message == NULL)
            why = "malformed, or larger than the arena";
    }
    if (message == NULL && ret_why != NULL)
        *ret_why = why;
    return message;
}
