/* record.h: a record without its allocation: a view over encoded bytes, and an encoder.
 *
 * Layer: proto. Pure, no allocation, any thread. The bytes are the protobuf message truc.v1.Record; views borrow them.
 * The parser is our own one-pass walker because a batch holds thousands of records and neither side may allocate per
 * record; it accepts what protobuf accepts for this message, except that: a field given twice (other than headers and unknown
 * fields) is malformed, as are a known field of another wire type, groups, texts that are not UTF-8, a missing id, and anything
 * beyond limits.h. */
#ifndef TRUC_PROTO_RECORD_H
#define TRUC_PROTO_RECORD_H

#include "bytes.h"
#include "limits.h"
#include "status.h"

struct record_header {
    struct bytes name, value;
};

struct record_relation {
    struct bytes log_id, topic, id, relation;
    uint64_t offset;
};

/* Absent fields are empty or zero. */
struct record_view {
    struct bytes id, type, key, content_type, schema, data, correlation_id, traceparent;
    int64_t time_ns, expires_at_ns; /* since the Unix epoch; 0: absent */
    size_t header_count;
    bool has_relation, has_encryption;
    struct record_relation relation;
    struct bytes encoded; /* the whole record */
};

/* Parses one record. TRUC_BAD_RECORD with *ret_why naming field and rule; the view is then unspecified. */
truc_status record_parse(struct bytes encoded, struct record_view *ret_view, const char **ret_why);

/* The header at an index below view->header_count. */
struct record_header record_header_at(const struct record_view *view, size_t index);

/* What the broker needs of each record, for the batch directory; checks as record_parse does. Fast path. */
struct record_brief {
    struct bytes key, type;
    int64_t time_ns, expires_at_ns;
    uint8_t flags; /* RECORD_FLAG_* */
};
/* DELAYED: its batch has a deliver_at; the directory says so, a record alone cannot. */
enum { RECORD_FLAG_RELATED = 1, RECORD_FLAG_ENCRYPTED = 2, RECORD_FLAG_HEADERS = 4, RECORD_FLAG_DELAYED = 8 };
truc_status record_brief_parse(struct bytes encoded, struct record_brief *ret_brief, const char **ret_why);

/* Exact encoded size of the fields of a view; encoded, header_count and has_encryption are ignored, headers come from the
 * array. */
size_t record_encoded_size(const struct record_view *view, const struct record_header *headers, size_t header_count);

/* Encodes in field order into a buffer of at least record_encoded_size bytes; returns the end. */
uint8_t *record_encode(const struct record_view *view, const struct record_header *headers, size_t header_count, uint8_t *out);

/* Records of a payload follow one another, each as varint length, then its bytes (protobuf's delimited form).
 * Returns false at the end, or with *ret_status = TRUC_BAD_BATCH when the payload is cut short. */
bool records_next(struct reader *payload, struct bytes *ret_record, truc_status *ret_status);

#endif
