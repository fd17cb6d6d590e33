#include "clients/cli/payload.h"

#include <math.h>
#include <stdio.h>

#include "proto/utf8.h"
#include "truc/egov/v1/dossier_event.pb-c.h"

enum { DEPTH_MAX = 16, FIELDS_MAX = 64 };

static const struct payload_type registry[] = {
    {"truc.egov.v1.DossierEvent", &truc__egov__v1__dossier_event__descriptor},
};

const struct payload_type *payload_type_find(struct bytes name)
{
    for (size_t i = 0; i < payload_type_count(); i++) {
        if (bytes_equal(name, bytes_of_text(registry[i].name))) {
            return &registry[i];
        }
    }
    return NULL;
}

size_t payload_type_count(void)
{
    return sizeof registry / sizeof registry[0];
}
const struct payload_type *payload_type_at(size_t index)
{
    return &registry[index];
}

/* --- the wire ------------------------------------------------------------------------------------------------------------- */

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_DELIMITED = 2, WIRE_32 = 5 };

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;     /* varints and fixed sizes */
    struct bytes bytes; /* delimited */
};

/* The next field. False at the end, or with the reader failed when the bytes are not a message. */
static bool wire_next(struct reader *wire, struct wire_field *ret_field)
{
    if (wire->failed || reader_left(wire) == 0) {
        return false;
    }
    uint64_t tag = reader_varint(wire), number = tag >> 3;
    struct wire_field field = {.number = (uint32_t)number, .type = (enum wire_type)(tag & 7)};
    if (number == 0 || number >= UINT64_C(1) << 29) {
        wire->failed = true;
        return false;
    }
    switch (tag & 7) {
    case WIRE_VARINT:
        field.value = reader_varint(wire);
        break;
    case WIRE_64:
        field.value = reader_u64(wire);
        break;
    case WIRE_32:
        field.value = reader_u32(wire);
        break;
    case WIRE_DELIMITED:
        field.bytes = reader_delimited(wire);
        break;
    default: /* groups and what was never given a meaning */
        wire->failed = true;
    }
    *ret_field = field;
    return !wire->failed;
}

static enum wire_type wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_DELIMITED;
    default:
        return WIRE_VARINT;
    }
}

/* --- values --------------------------------------------------------------------------------------------------------------- */

static bool print_message(const ProtobufCMessageDescriptor *descriptor, struct bytes encoded, struct out *out, int depth);

static void print_double(double value, int digits, struct out *out)
{
    if (isnan(value)) {
        out_text(out, "\"NaN\"");
    } else if (isinf(value)) {
        out_text(out, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    } else {
        out_format(out, "%.*g", digits, value);
    }
}

static void print_enum(const ProtobufCEnumDescriptor *descriptor, int value, struct out *out)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(descriptor, value);
    if (known != NULL) {
        out_json_string(out, bytes_of_text(known->name));
    } else {
        out_i64(out, value);
    }
}

bool payload_field_is_time(const ProtobufCFieldDescriptor *field)
{
    size_t size = strlen(field->name);
    return field->type == PROTOBUF_C_TYPE_SFIXED64 && size > 3 && strcmp(field->name + size - 3, "_ns") == 0;
}

static void print_time(int64_t ns, struct out *out)
{
    char text[TIMESTAMP_TEXT_BYTES];
    size_t size = timestamp_print(ns, text);
    out_bytes(out, "\"", 1);
    out_bytes(out, text, size);
    out_bytes(out, "\"", 1);
}

static void print_number(const ProtobufCFieldDescriptor *field, uint64_t value, struct out *out)
{
    uint32_t low = (uint32_t)value;
    float single = 0;
    double number = 0;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        out_i64(out, (int32_t)low);
        break;
    case PROTOBUF_C_TYPE_SINT32:
        out_i64(out, (int32_t)(low >> 1 ^ (0 - (low & 1))));
        break;
    case PROTOBUF_C_TYPE_SINT64:
        out_i64(out, (int64_t)(value >> 1 ^ (0 - (value & 1))));
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        if (payload_field_is_time(field)) {
            print_time((int64_t)value, out);
        } else {
            out_i64(out, (int64_t)value);
        }
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        out_u64(out, low);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        out_text(out, value != 0 ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        print_enum(field->descriptor, (int)low, out);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        memcpy(&single, &low, sizeof single);
        print_double((double)single, 9, out);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(&number, &value, sizeof number);
        print_double(number, 17, out);
        break;
    default:
        out_u64(out, value);
    }
}

static bool print_value(const ProtobufCFieldDescriptor *field, const struct wire_field *wire, struct out *out, int depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        if (!utf8_valid(wire->bytes)) {
            return false;
        }
        out_json_string(out, wire->bytes);
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        out_bytes(out, "\"", 1);
        out_base64(out, wire->bytes);
        out_bytes(out, "\"", 1);
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        return print_message(field->descriptor, wire->bytes, out, depth + 1);
    default:
        print_number(field, wire->value, out);
        return true;
    }
}

/* --- fields --------------------------------------------------------------------------------------------------------------- */

static void print_name(const ProtobufCFieldDescriptor *field, bool *first, struct out *out)
{
    out_bytes(out, *first ? "\"" : ",\"", *first ? 1 : 2);
    out_text(out, field->name); /* protobuf names need no escapes */
    out_bytes(out, "\":", 2);
    *first = false;
}

/* The elements that one occurrence of a repeated field holds: itself, or, packed, many. */
static bool print_elements(const ProtobufCFieldDescriptor *field, const struct wire_field *wire, bool *first, struct out *out,
                           int depth)
{
    enum wire_type element = wire_type_of(field->type);
    if (wire->type == element) {
        out_bytes(out, ",", *first ? 0 : 1);
        *first = false;
        return print_value(field, wire, out, depth);
    }
    struct reader packed = reader_over(wire->bytes);
    while (!packed.failed && reader_left(&packed) > 0) {
        uint64_t value = element == WIRE_VARINT ? reader_varint(&packed)
                         : element == WIRE_64   ? reader_u64(&packed)
                                                : reader_u32(&packed);
        out_bytes(out, ",", *first ? 0 : 1);
        *first = false;
        print_number(field, value, out);
    }
    return !packed.failed;
}

static bool print_repeated(const ProtobufCFieldDescriptor *field, struct bytes encoded, struct out *out, int depth)
{
    struct reader wire = reader_over(encoded);
    struct wire_field occurrence;
    bool first = true, good = true;
    out_bytes(out, "[", 1);
    while (good && wire_next(&wire, &occurrence)) {
        if (occurrence.number == field->id) {
            good = print_elements(field, &occurrence, &first, out, depth);
        }
    }
    out_bytes(out, "]", 1);
    return good;
}

/* proto3 does not tell a zero from an absent field; where it does (proto2, oneof, messages) zeros are shown. */
static bool is_absent(const ProtobufCFieldDescriptor *field, const struct wire_field *wire)
{
    return field->label == PROTOBUF_C_LABEL_NONE && (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 &&
           field->type != PROTOBUF_C_TYPE_MESSAGE && wire->value == 0 && wire->bytes.size == 0;
}

static void print_unknown(const ProtobufCMessageDescriptor *descriptor, struct bytes encoded, bool first, struct out *out)
{
    struct reader wire = reader_over(encoded);
    struct wire_field occurrence;
    out_text(out, first ? "\"@unknown\":[" : ",\"@unknown\":[");
    first = true;
    while (wire_next(&wire, &occurrence)) {
        if (protobuf_c_message_descriptor_get_field(descriptor, occurrence.number) == NULL) {
            out_bytes(out, ",", first ? 0 : 1);
            out_u64(out, occurrence.number);
            first = false;
        }
    }
    out_bytes(out, "]", 1);
}

/* The last occurrence of each field: protobuf lets the last one win. False when the bytes are not that message. */
static bool collect(const ProtobufCMessageDescriptor *descriptor, struct bytes encoded, struct wire_field *slots, bool *ret_unknown)
{
    struct reader wire = reader_over(encoded);
    struct wire_field occurrence;
    while (wire_next(&wire, &occurrence)) {
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(descriptor, occurrence.number);
        if (field == NULL) {
            *ret_unknown = true;
            continue;
        }
        bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && occurrence.type == WIRE_DELIMITED;
        if (occurrence.type != wire_type_of(field->type) && !packed) {
            return false;
        }
        slots[field - descriptor->fields] = occurrence;
    }
    return !wire.failed;
}

static bool print_message(const ProtobufCMessageDescriptor *descriptor, struct bytes encoded, struct out *out, int depth)
{
    struct wire_field slots[FIELDS_MAX];
    bool unknown = false, first = true, good = true;
    if (depth >= DEPTH_MAX || descriptor->n_fields > FIELDS_MAX) {
        return false;
    }
    memset(slots, 0, descriptor->n_fields * sizeof slots[0]);
    if (!collect(descriptor, encoded, slots, &unknown)) {
        return false;
    }
    out_bytes(out, "{", 1);
    for (unsigned i = 0; good && i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (slots[i].number == 0) {
            continue;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            print_name(field, &first, out);
            good = print_repeated(field, encoded, out, depth);
        } else if (!is_absent(field, &slots[i])) {
            print_name(field, &first, out);
            good = print_value(field, &slots[i], out, depth);
        }
    }
    if (unknown) {
        print_unknown(descriptor, encoded, first, out);
    }
    out_bytes(out, "}", 1);
    return good;
}

truc_status payload_to_json(const struct payload_type *type, struct bytes encoded, struct out *out)
{
    size_t before = out->size;
    if (!print_message(type->descriptor, encoded, out, 0)) {
        out->size = before;
        return TRUC_BAD_RECORD;
    }
    return out->status;
}
