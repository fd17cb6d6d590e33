/* kind_frame.c: frames: the prefix, a header given field by field along protobuf-c's descriptors, a payload. */
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>

#include "proto/frame.h"
#include "tests/vectors/kinds.h"

static enum frame_kind kind_named(const char *name)
{
    for (unsigned kind = 0; name != NULL && kind < 256; kind++) {
        if (frame_header_descriptor((enum frame_kind)kind) != NULL && strcmp(frame_kind_name((enum frame_kind)kind), name) == 0)
            return (enum frame_kind)kind;
    }
    vectors_fail("no frame is called %s", name == NULL ? "nothing" : name);
}

/* --- JSON -> wire: a writer along the descriptor, independent of protobuf-c's own packing ---------------------------------- */

static void add_varint(struct blob *out, uint64_t value)
{
    uint8_t bytes[10];
    blob_add(out, bytes_of(bytes, (size_t)(varint_put(bytes, value) - bytes)));
}

static void add_message(const ProtobufCMessageDescriptor *descriptor, const json_t *json, struct blob *out);

/* A value alone in an object, since values are read by key. */
static void add_value(const ProtobufCFieldDescriptor *field, const json_t *value, struct blob *out)
{
    struct blob *inner;
    json_t *holder = json_object();
    put(holder, "v", json_incref((json_t *)(uintptr_t)value));
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES: {
        struct bytes bytes = field->type == PROTOBUF_C_TYPE_STRING ? get_text(holder, "v") : get_hex(holder, "v");
        add_varint(out, field->id << 3 | 2);
        add_varint(out, bytes.size);
        blob_add(out, bytes);
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        if ((inner = calloc(1, sizeof *inner)) == NULL)
            vectors_fail("out of memory");
        add_message(field->descriptor, value, inner);
        add_varint(out, field->id << 3 | 2);
        add_varint(out, inner->size);
        blob_add(out, blob_bytes(inner));
        free(inner);
        break;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED64: {
        uint8_t bytes[8];
        store_u64(bytes, get_u64(holder, "v"));
        add_varint(out, field->id << 3 | (field->type == PROTOBUF_C_TYPE_FIXED32 ? 5 : 1));
        blob_add(out, bytes_of(bytes, field->type == PROTOBUF_C_TYPE_FIXED32 ? 4 : 8));
        break;
    }
    default:
        add_varint(out, field->id << 3);
        add_varint(out, json_is_boolean(value) ? (uint64_t)json_is_true(value) : get_u64(holder, "v"));
    }
    json_decref(holder);
}

static void add_packed(const ProtobufCFieldDescriptor *field, const json_t *array, struct blob *out)
{
    static struct blob inner;
    inner.size = 0;
    for (size_t i = 0; i < json_array_size(array); i++)
        add_varint(&inner, (uint64_t)json_integer_value(json_array_get(array, i)));
    add_varint(out, field->id << 3 | 2);
    add_varint(out, inner.size);
    blob_add(out, blob_bytes(&inner));
}

/* Recursion ends: message types of the wire do not contain themselves. */
static void add_message(const ProtobufCMessageDescriptor *descriptor, const json_t *json, struct blob *out)
{
    size_t known = 0;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const json_t *value = json_object_get(json, field->name);
        if (value == NULL)
            continue;
        known++;
        bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        if (repeated && (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED))
            add_packed(field, value, out);
        else if (!repeated)
            add_value(field, value, out);
        for (size_t at = 0; repeated && !(field->flags & PROTOBUF_C_FIELD_FLAG_PACKED) && at < json_array_size(value); at++)
            add_value(field, json_array_get(value, at), out);
    }
    if (known != json_object_size(json))
        vectors_fail("%s: a field that it does not have", descriptor->name);
}

static void encode(const json_t *meaning, struct blob *ret_bytes)
{
    static struct blob header;
    enum frame_kind kind = kind_named(json_string_value(json_object_get(meaning, "kind")));
    struct bytes payload = get_hex(meaning, "payload");

    header.size = 0;
    add_message(frame_header_descriptor(kind), json_object_get(meaning, "header"), &header);
    frame_prefix_write(ret_bytes->data, kind, get_u64(meaning, "request_id"), header.size, payload.size);
    ret_bytes->size = FRAME_PREFIX_BYTES;
    blob_add(ret_bytes, blob_bytes(&header));
    blob_add(ret_bytes, payload);
}

/* --- decoded message -> JSON ----------------------------------------------------------------------------------------------- */

static json_t *message_json(const ProtobufCMessage *message);

static void put_scalar(json_t *object, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        put_number(object, field->name, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        put_u64(object, field->name, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_SFIXED64:
        put_i64(object, field->name, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        if (*(const protobuf_c_boolean *)at)
            put(object, field->name, json_true());
        break;
    case PROTOBUF_C_TYPE_STRING:
        put_text(object, field->name, bytes_of_text(*(char *const *)at));
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = at;
        put_hex(object, field->name, bytes_of(bytes->data, bytes->len));
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)at;
        if (inner != NULL)
            put(object, field->name, message_json(inner));
        break;
    }
    default:
        vectors_fail("%s: a type that the wire does not use", field->name);
    }
}

static void put_repeated(json_t *object, const ProtobufCFieldDescriptor *field, const uint8_t *base)
{
    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    const uint8_t *items = *(uint8_t *const *)(const void *)(base + field->offset);
    size_t width = field->type == PROTOBUF_C_TYPE_UINT32 ? sizeof(uint32_t) : sizeof(void *);
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *holder = json_object();
        put_scalar(holder, field, items + i * width);
        (void)json_array_append(array, json_object_get(holder, field->name));
        json_decref(holder);
    }
    if (count != 0)
        put(object, field->name, array);
    else
        json_decref(array);
}

static json_t *message_json(const ProtobufCMessage *message)
{
    const uint8_t *base = (const uint8_t *)message;
    json_t *object = json_object();

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        bool is_member = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            put_repeated(object, field, base);
        else if (!is_member || *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id)
            put_scalar(object, field, base + field->offset);
    }
    return object;
}

static truc_status decode(struct bytes bytes, json_t **ret_meaning)
{
    static uint8_t memory[1024 * 1024];
    struct arena arena = {memory, memory + sizeof memory};
    struct frame frame;
    size_t size;
    truc_status status = frame_peek(bytes, FRAME_BYTES_MAX, &frame, &size, NULL);
    if (status != TRUC_OK)
        return status;
    if (size != bytes.size)
        return TRUC_PROTOCOL;
    const ProtobufCMessage *message = frame_header_decode(&arena, frame_header_descriptor(frame.kind), frame.header, NULL);
    if (message == NULL)
        return TRUC_PROTOCOL;

    json_t *meaning = json_object();
    put(meaning, "kind", json_string(frame_kind_name(frame.kind)));
    put_u64(meaning, "request_id", frame.request_id);
    put(meaning, "header", message_json(message));
    put_hex(meaning, "payload", frame.payload);
    *ret_meaning = meaning;
    return TRUC_OK;
}

const struct kind frame_kind_of_vectors = {"frame", encode, decode};
