/* kind_record.c: records, and the directory of a payload of records. */
#include "proto/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/directory.h"
#include "tests/vectors/kinds.h"

static void relation_from(const json_t *json, struct record_relation *relation)
{
    relation->log_id = get_hex(json, "log_id");
    relation->topic = get_text(json, "topic");
    relation->offset = get_u64(json, "offset");
    relation->id = get_hex(json, "id");
    relation->relation = get_text(json, "relation");
}

static void encode(const json_t *meaning, struct blob *ret_bytes)
{
    struct record_header headers[RECORD_HEADERS_MAX];
    const json_t *header_array = json_object_get(meaning, "headers"), *relation = json_object_get(meaning, "relates_to");
    size_t header_count = json_array_size(header_array);
    struct record_view view = {
        .id = get_hex(meaning, "id"),
        .type = get_text(meaning, "type"),
        .key = get_text(meaning, "key"),
        .time_ns = get_i64(meaning, "time_ns"),
        .content_type = get_text(meaning, "content_type"),
        .schema = get_text(meaning, "schema"),
        .data = get_hex(meaning, "data"),
        .correlation_id = get_text(meaning, "correlation_id"),
        .traceparent = get_text(meaning, "traceparent"),
        .expires_at_ns = get_i64(meaning, "expires_at_ns"),
        .has_relation = relation != NULL,
    };

    if (relation != NULL)
        relation_from(relation, &view.relation);
    for (size_t i = 0; i < header_count && i < RECORD_HEADERS_MAX; i++) {
        const json_t *header = json_array_get(header_array, i);
        headers[i] = (struct record_header){get_text(header, "name"), get_text(header, "value")};
    }
    size_t size = record_encoded_size(&view, headers, header_count);
    if (size > sizeof ret_bytes->data || header_count > RECORD_HEADERS_MAX)
        vectors_fail("a record is too large");
    ret_bytes->size = (size_t)(record_encode(&view, headers, header_count, ret_bytes->data) - ret_bytes->data);
}

static json_t *relation_to(const struct record_relation *relation)
{
    json_t *json = json_object();
    put_hex(json, "log_id", relation->log_id);
    put_text(json, "topic", relation->topic);
    put_u64(json, "offset", relation->offset);
    put_hex(json, "id", relation->id);
    put_text(json, "relation", relation->relation);
    return json;
}

static truc_status decode(struct bytes bytes, json_t **ret_meaning)
{
    struct record_view view;
    truc_status status = record_parse(bytes, &view, NULL);
    if (status != TRUC_OK)
        return status;

    json_t *meaning = json_object(), *headers = json_array();
    put_hex(meaning, "id", view.id);
    put_text(meaning, "type", view.type);
    put_text(meaning, "key", view.key);
    put_i64(meaning, "time_ns", view.time_ns);
    put_text(meaning, "content_type", view.content_type);
    put_text(meaning, "schema", view.schema);
    for (size_t i = 0; i < view.header_count; i++) {
        struct record_header header = record_header_at(&view, i);
        json_t *json = json_object();
        put_text(json, "name", header.name);
        put_text(json, "value", header.value);
        (void)json_array_append_new(headers, json);
    }
    if (view.header_count != 0)
        put(meaning, "headers", headers);
    else
        json_decref(headers);
    put_hex(meaning, "data", view.data);
    put_text(meaning, "correlation_id", view.correlation_id);
    if (view.has_relation)
        put(meaning, "relates_to", relation_to(&view.relation));
    put_text(meaning, "traceparent", view.traceparent);
    put_i64(meaning, "expires_at_ns", view.expires_at_ns);
    *ret_meaning = meaning;
    return TRUC_OK;
}

const struct kind record_kind = {"record", encode, decode};

/* A directory is built from records and decoded into columns: one value for all records, or an array of theirs. */
static const char *const columns[DIRECTORY_COLUMNS] = {"lengths",  "key_hashes", "type_hashes",
                                                       "times_ns", "flags",      "expires_at_ns"};

static json_t *number_text(uint64_t value, int column)
{
    char text[24];
    bool is_time = column == DIRECTORY_TIME || column == DIRECTORY_EXPIRES;
    if (is_time)
        (void)snprintf(text, sizeof text, "%" PRId64, (int64_t)value);
    else
        (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

static void encode_directory(const json_t *meaning, struct blob *ret_bytes)
{
    static struct blob payload;
    const json_t *records = json_object_get(meaning, "records");
    struct bytes secret = get_hex(meaning, "hash_secret"), directory;
    uint8_t *buffer = NULL, prefix[10];
    size_t capacity = 0, count = json_array_size(records);

    payload.size = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes record = hex_of(json_array_get(records, i));
        blob_add(&payload, bytes_of(prefix, (size_t)(varint_put(prefix, record.size) - prefix)));
        blob_add(&payload, record);
    }
    if (secret.size != HASH_SECRET_BYTES ||
        directory_build(secret.data, blob_bytes(&payload), (uint32_t)count, RECORD_BYTES_MAX, (uint8_t)get_u64(meaning, "flags"),
                        &buffer, &capacity, &directory, NULL, NULL) != TRUC_OK)
        vectors_fail("a directory cannot be built");
    ret_bytes->size = 0;
    blob_add(ret_bytes, directory);
    free(buffer);
}

static truc_status decode_directory(struct bytes bytes, json_t **ret_meaning)
{
    struct directory_view view;
    truc_status status = directory_parse(bytes, &view);
    if (status != TRUC_OK)
        return status;

    json_t *meaning = json_object();
    put_number(meaning, "record_count", view.record_count);
    for (int c = 0; c < DIRECTORY_COLUMNS; c++) {
        json_t *values = json_array();
        for (uint32_t i = 0; (view.arrays & 1u << c) && i < view.record_count; i++)
            (void)json_array_append_new(values, number_text(directory_at(&view, (enum directory_column)c, i), c));
        if (view.arrays & 1u << c) {
            put(meaning, columns[c], values);
        } else {
            json_decref(values);
            put(meaning, columns[c], number_text(directory_at(&view, (enum directory_column)c, 0), c));
        }
    }
    *ret_meaning = meaning;
    return TRUC_OK;
}

const struct kind directory_kind = {"directory", encode_directory, decode_directory};
