/* payload_set.c: messages built from texts, field by field. */
#include "clients/cli/payload.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/utf8.h"

ProtobufCMessage *payload_create(const struct payload_type *type)
{
    ProtobufCMessage *message = calloc(1, type->descriptor->sizeof_message);
    if (message != NULL) {
        protobuf_c_message_init(type->descriptor, message);
    }
    return message;
}

static void *member_of(ProtobufCMessage *message, size_t offset)
{
    return (char *)message + offset;
}

static void free_member(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_STRING && field->label != PROTOBUF_C_LABEL_REPEATED) {
        char **text = member_of(message, field->offset);
        if (*text != field->default_value) {
            free(*text);
        }
        *text = (char *)(uintptr_t)field->default_value;
    } else if (field->type == PROTOBUF_C_TYPE_BYTES && field->label != PROTOBUF_C_LABEL_REPEATED) {
        ProtobufCBinaryData *bytes = member_of(message, field->offset);
        free(bytes->data);
        *bytes = (ProtobufCBinaryData){0};
    }
}

void payload_clear(ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        free_member(message, &descriptor->fields[i]);
    }
    protobuf_c_message_init(descriptor, message);
}

void payload_destroy(ProtobufCMessage *message)
{
    if (message != NULL) {
        payload_clear(message);
        free(message);
    }
}

/* --- which field ---------------------------------------------------------------------------------------------------------- */

static bool is_named(const ProtobufCFieldDescriptor *field, const char *name)
{
    size_t size = strlen(field->name);
    return strcmp(field->name, name) == 0 ||
           (payload_field_is_time(field) && strlen(name) == size - 3 && memcmp(field->name, name, size - 3) == 0);
}

static bool can_be_set(const ProtobufCFieldDescriptor *field)
{
    return field->label != PROTOBUF_C_LABEL_REPEATED && field->type != PROTOBUF_C_TYPE_MESSAGE &&
           (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0;
}

static truc_status find(const ProtobufCMessageDescriptor *descriptor, const char *name, const ProtobufCFieldDescriptor **ret_field,
                        char *why)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (!is_named(field, name)) {
            continue;
        }
        if (!can_be_set(field)) {
            snprintf(why, PAYLOAD_WHY_BYTES, "the field %s of %s holds messages or many values and cannot be set from a text",
                     field->name, descriptor->name);
            return TRUC_INVALID_ARGUMENT;
        }
        *ret_field = field;
        return TRUC_OK;
    }
    size_t used = (size_t)snprintf(why, PAYLOAD_WHY_BYTES, "%s has no field %.64s; it has", descriptor->name, name);
    for (unsigned i = 0; i < descriptor->n_fields && used < PAYLOAD_WHY_BYTES; i++) {
        used += (size_t)snprintf(why + used, PAYLOAD_WHY_BYTES - used, " %s", descriptor->fields[i].name);
    }
    return TRUC_NOT_FOUND;
}

truc_status payload_field_check(const struct payload_type *type, const char *field, char why[PAYLOAD_WHY_BYTES])
{
    const ProtobufCFieldDescriptor *found = NULL;
    return find(type->descriptor, field, &found, why);
}

/* --- texts into values ---------------------------------------------------------------------------------------------------- */

static truc_status refuse(const ProtobufCFieldDescriptor *field, struct bytes text, const char *takes, char *why)
{
    snprintf(why, PAYLOAD_WHY_BYTES, "%s takes %s, not '%.*s'", field->name, takes, (int)(text.size > 60 ? 60 : text.size),
             (const char *)text.data);
    return TRUC_INVALID_ARGUMENT;
}

/* Numbers, names of enums: a terminated copy. False when the text is too long to be one. */
static bool copy_short(struct bytes text, char out[64])
{
    if (text.size >= 64 || memchr(text.data, '\0', text.size) != NULL) {
        return false;
    }
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

static bool parse_signed(struct bytes text, int64_t minimum, int64_t maximum, int64_t *ret_value)
{
    char copy[64], *end = NULL;
    if (!copy_short(text, copy)) {
        return false;
    }
    errno = 0;
    long long value = strtoll(copy, &end, 10);
    *ret_value = value;
    return errno == 0 && end != copy && *end == '\0' && value >= minimum && value <= maximum;
}

static bool parse_unsigned(struct bytes text, uint64_t maximum, uint64_t *ret_value)
{
    char copy[64], *end = NULL;
    if (!copy_short(text, copy) || copy[0] < '0' || copy[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long value = strtoull(copy, &end, 10);
    *ret_value = value;
    return errno == 0 && *end == '\0' && value <= maximum;
}

static bool parse_double(struct bytes text, double *ret_value)
{
    char copy[64], *end = NULL;
    if (!copy_short(text, copy)) {
        return false;
    }
    *ret_value = strtod(copy, &end);
    return end != copy && *end == '\0' && isfinite(*ret_value);
}

static bool parse_bool(struct bytes text, protobuf_c_boolean *ret_value)
{
    bool yes = bytes_equal(text, bytes_of_text("true")) || bytes_equal(text, bytes_of_text("1"));
    bool no = bytes_equal(text, bytes_of_text("false")) || bytes_equal(text, bytes_of_text("0"));
    *ret_value = yes;
    return yes || no;
}

static truc_status set_enum(const ProtobufCFieldDescriptor *field, struct bytes text, int *ret_value, char *why)
{
    const ProtobufCEnumDescriptor *descriptor = field->descriptor;
    char names[160] = "one of";
    char copy[64];
    int64_t number = 0;
    size_t used = strlen(names);
    bool numeric = parse_signed(text, INT32_MIN, INT32_MAX, &number);
    bool readable = copy_short(text, copy);
    for (unsigned i = 0; i < descriptor->n_values; i++) {
        const ProtobufCEnumValue *value = &descriptor->values[i];
        if ((numeric && value->value == number) || (readable && strcasecmp(value->name, copy) == 0)) {
            *ret_value = value->value;
            return TRUC_OK;
        }
        if (used < sizeof names) {
            used += (size_t)snprintf(names + used, sizeof names - used, " %s", value->name);
        }
    }
    return refuse(field, text, names, why);
}

static truc_status set_string(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message, struct bytes text, char *why)
{
    if (!utf8_valid(text) || memchr(text.data, '\0', text.size) != NULL) {
        snprintf(why, PAYLOAD_WHY_BYTES, "%s takes UTF-8 text", field->name);
        return TRUC_INVALID_ARGUMENT;
    }
    char *copy = malloc(text.size + 1);
    if (copy == NULL) {
        return TRUC_NO_MEMORY;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    free_member(message, field);
    *(char **)member_of(message, field->offset) = copy;
    return TRUC_OK;
}

static int base64_digit(uint8_t c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

static truc_status set_bytes(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message, struct bytes text, char *why)
{
    uint8_t *data = malloc(text.size / 4 * 3 + 3);
    size_t size = 0, digits = 0;
    uint32_t group = 0;
    if (data == NULL) {
        return TRUC_NO_MEMORY;
    }
    while (text.size > 0 && text.data[text.size - 1] == '=' && text.size % 4 != 2) {
        text.size--;
    }
    for (size_t i = 0; i < text.size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0) {
            free(data);
            return refuse(field, text, "base64", why);
        }
        group = group << 6 | (uint32_t)digit;
        if (++digits % 4 == 0) {
            data[size++] = (uint8_t)(group >> 16);
            data[size++] = (uint8_t)(group >> 8);
            data[size++] = (uint8_t)group;
        }
    }
    if (digits % 4 == 1) {
        free(data);
        return refuse(field, text, "base64", why);
    }
    if (digits % 4 >= 2) {
        group <<= digits % 4 == 2 ? 12 : 6;
        data[size++] = (uint8_t)(group >> 16);
        if (digits % 4 == 3) {
            data[size++] = (uint8_t)(group >> 8);
        }
    }
    free_member(message, field);
    *(ProtobufCBinaryData *)member_of(message, field->offset) = (ProtobufCBinaryData){size, data};
    return TRUC_OK;
}

static truc_status set_time(const ProtobufCFieldDescriptor *field, struct bytes text, const struct zone *zone, int64_t now_ns,
                            int64_t *ret_value, char *why)
{
    const char *reason = NULL;
    truc_status status = timestamp_parse((const char *)text.data, text.size, zone, now_ns, ret_value, NULL, &reason);
    if (status != TRUC_OK) {
        snprintf(why, PAYLOAD_WHY_BYTES, "%s: '%.*s' is %s", field->name, (int)(text.size > 40 ? 40 : text.size),
                 (const char *)text.data, reason);
    }
    return status;
}

static truc_status set_signed(const ProtobufCFieldDescriptor *field, void *member, bool wide, struct bytes text, char *why)
{
    int64_t number = 0;
    if (!parse_signed(text, wide ? INT64_MIN : INT32_MIN, wide ? INT64_MAX : INT32_MAX, &number)) {
        return refuse(field, text, wide ? "a whole number of 64 bits" : "a whole number of 32 bits", why);
    }
    if (wide) {
        *(int64_t *)member = number;
    } else {
        *(int32_t *)member = (int32_t)number;
    }
    return TRUC_OK;
}

static truc_status set_unsigned(const ProtobufCFieldDescriptor *field, void *member, bool wide, struct bytes text, char *why)
{
    uint64_t number = 0;
    if (!parse_unsigned(text, wide ? UINT64_MAX : UINT32_MAX, &number)) {
        return refuse(field, text, wide ? "a whole number from 0, of 64 bits" : "a whole number from 0, of 32 bits", why);
    }
    if (wide) {
        *(uint64_t *)member = number;
    } else {
        *(uint32_t *)member = (uint32_t)number;
    }
    return TRUC_OK;
}

static truc_status set_real(const ProtobufCFieldDescriptor *field, void *member, struct bytes text, char *why)
{
    double number = 0;
    if (!parse_double(text, &number)) {
        return refuse(field, text, "a number", why);
    }
    if (field->type == PROTOBUF_C_TYPE_FLOAT) {
        *(float *)member = (float)number;
    } else {
        *(double *)member = number;
    }
    return TRUC_OK;
}

/* Values of fixed size. */
static truc_status set_scalar(const ProtobufCFieldDescriptor *field, void *member, struct bytes text, char *why)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return set_signed(field, member, false, text, why);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return set_signed(field, member, true, text, why);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return set_unsigned(field, member, false, text, why);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return set_unsigned(field, member, true, text, why);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return set_real(field, member, text, why);
    case PROTOBUF_C_TYPE_BOOL:
        return parse_bool(text, member) ? TRUC_OK : refuse(field, text, "true or false", why);
    case PROTOBUF_C_TYPE_ENUM:
        return set_enum(field, text, member, why);
    default:
        return TRUC_INTERNAL;
    }
}

truc_status payload_field_set(ProtobufCMessage *message, const char *field_name, struct bytes text, const struct zone *zone,
                              int64_t now_ns, char why[PAYLOAD_WHY_BYTES])
{
    const ProtobufCFieldDescriptor *field = NULL;
    truc_status status = find(message->descriptor, field_name, &field, why);
    if (status != TRUC_OK || text.size == 0) {
        return status;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        status = set_string(field, message, text, why);
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        status = set_bytes(field, message, text, why);
    } else if (payload_field_is_time(field)) {
        status = set_time(field, text, zone, now_ns, member_of(message, field->offset), why);
    } else {
        status = set_scalar(field, member_of(message, field->offset), text, why);
    }
    if (status == TRUC_NO_MEMORY) {
        snprintf(why, PAYLOAD_WHY_BYTES, "%s: out of memory", field->name);
    }
    /* proto2's explicit presence; strings tell theirs by their pointer */
    if (status == TRUC_OK && field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING) {
        *(protobuf_c_boolean *)member_of(message, field->quantifier_offset) = 1;
    }
    return status;
}

truc_status payload_encode(const ProtobufCMessage *message, uint8_t **buffer, size_t *capacity, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (*buffer == NULL || size > *capacity) {
        uint8_t *grown = realloc(*buffer, size + 256);
        if (grown == NULL) {
            return TRUC_NO_MEMORY;
        }
        *buffer = grown;
        *capacity = size + 256;
    }
    *ret_size = protobuf_c_message_pack(message, *buffer);
    return TRUC_OK;
}
