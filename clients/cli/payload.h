/* payload.h: protobuf payloads that Truc knows by name, shown as JSON and built from texts.
 *
 * Layer: cli. Driven by protobuf-c's descriptors: a further message type needs one line in the registry of payload.c. A message is
 * made with payload_create, filled field by field, encoded, cleared for the next one, destroyed. One thread per message. */
#ifndef TRUC_CLI_PAYLOAD_H
#define TRUC_CLI_PAYLOAD_H

#include <protobuf-c/protobuf-c.h>

#include "clients/cli/output.h"
#include "clients/cli/timestamp.h"

#define PAYLOAD_CONTENT_TYPE "application/protobuf"

enum { PAYLOAD_WHY_BYTES = 256 };

struct payload_type {
    const char *name; /* "truc.egov.v1.DossierEvent": a record's schema */
    const ProtobufCMessageDescriptor *descriptor;
};

/* NULL when the name is not known. */
const struct payload_type *payload_type_find(struct bytes name);
size_t payload_type_count(void);
const struct payload_type *payload_type_at(size_t index);

/* NULL when out of memory. */
ProtobufCMessage *payload_create(const struct payload_type *type);
void payload_clear(ProtobufCMessage *message);   /* every field absent again */
void payload_destroy(ProtobufCMessage *message); /* NULL is allowed */

/* Sets one field from a text: strings as they are (UTF-8), numbers in decimal, true|false, enums by name in any letter case
 * or by number, bytes in base64, fields named *_ns as a time (timestamp_parse with the zone; the name may be given without the
 * _ns). An empty text leaves the field absent. Fields that hold messages or repeat cannot be set.
 * TRUC_INVALID_ARGUMENT with why, naming the field and what it takes; TRUC_NOT_FOUND for a field that is not there, naming those
 * that are; TRUC_NO_MEMORY. */
truc_status payload_field_set(ProtobufCMessage *message, const char *field, struct bytes text, const struct zone *zone,
                              int64_t now_ns, char why[PAYLOAD_WHY_BYTES]);

/* Whether the type has such a field that can be set: to check a command line before any row is read. Same statuses. */
truc_status payload_field_check(const struct payload_type *type, const char *field, char why[PAYLOAD_WHY_BYTES]);

/* Whether a field is a time: sfixed64 and named *_ns. */
bool payload_field_is_time(const ProtobufCFieldDescriptor *field);

/* Encodes into *buffer (realloc'd when too small, owned by the caller, *capacity kept). TRUC_NO_MEMORY. */
truc_status payload_encode(const ProtobufCMessage *message, uint8_t **buffer, size_t *capacity, size_t *ret_size);

/* Writes a message as a JSON object: present fields in the schema's order under their schema names, *_ns as RFC 3339 in UTC,
 * enums by name, 64-bit numbers as numbers, bytes in base64; numbers of fields that the schema does not know under
 * "@unknown". Reads the wire form itself, without allocation, so hostile bytes cost no more than their size.
 * TRUC_BAD_RECORD when the bytes are not that message: nothing was written then. */
truc_status payload_to_json(const struct payload_type *type, struct bytes encoded, struct out *out);

#endif
