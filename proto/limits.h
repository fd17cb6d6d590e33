/* limits.h: every bound of the formats and the wire, in one place. Layer: proto. docs/protocol.md lists them. */
#ifndef TRUC_PROTO_LIMITS_H
#define TRUC_PROTO_LIMITS_H

enum {
    TOPIC_BYTES_MAX = 255,
    TOPIC_TOKENS_MAX = 32,
    AGENCY_BYTES_MAX = 35,
    SYSTEM_BYTES_MAX = 32,
    SOURCE_BYTES_MAX = AGENCY_BYTES_MAX + 1 + SYSTEM_BYTES_MAX,
    PRODUCER_NAME_BYTES_MAX = 128,
    DOMAIN_BYTES_MAX = 64,
    LOG_ID_BYTES = 16,
    DIGEST_BYTES = 32,

    RECORD_ID_BYTES_MAX = 64,
    RECORD_KEY_BYTES_MAX = 255,
    RECORD_TYPE_BYTES_MAX = 255,
    RECORD_TEXT_BYTES_MAX = 1024, /* content_type, schema, correlation_id, traceparent, a header's name or value */
    RECORD_HEADERS_MAX = 64,
    RECORD_BYTES_DEFAULT = 1024 * 1024, /* whole record as encoded */
    RECORD_BYTES_MAX = 8 * 1024 * 1024,

    BATCH_HEADER_BYTES_MAX = 2048,
    BATCH_RECORDS_MAX = 65535,
    BATCH_RAW_BYTES_MAX = RECORD_BYTES_MAX + 64 * 1024, /* payload, uncompressed */
    BATCH_BYTES_MAX = BATCH_RAW_BYTES_MAX + 64 * 1024,  /* everything */
    BATCH_RATIO_MAX = 1024,                             /* raw bytes per stored byte, above 64 KiB raw */
    BATCHES_IN_FLIGHT_MAX = 16,                         /* W: unacknowledged batches per producer and topic; results remembered */
    BATCHES_TOGETHER_MAX = 64,                          /* in one PUBLISH, to be appended all or none */

    SUBSCRIPTION_NAME_BYTES_MAX = 64,
    SUBSCRIPTION_HEADERS_BYTES_MAX = 512, /* of its filter */
    SUBSCRIPTION_BACKOFFS_MAX = 8,

    FRAME_PREFIX_BYTES = 16,
    FRAME_HEADER_BYTES_MAX = 60 * 1024,
    FRAME_BYTES_MAX = BATCH_BYTES_MAX + 128 * 1024,
    FRAME_BYTES_BEFORE_LOGIN_MAX = 4096
};

#endif
