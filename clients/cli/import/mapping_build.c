#include "clients/cli/import/mapping_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/cli/cli.h"
#include "proto/record.h"
#include "proto/topic.h"

truc_status mapping_topic(struct mapping *mapping, const struct row *row, struct built *ret_built, struct failure *failure)
{
    struct out *topic = &mapping->topic_text;
    topic->size = 0;
    for (size_t i = 0; i < template_part_count(mapping->topic); i++) {
        uint32_t column;
        if (!template_part_is_place(mapping->topic, i, &column)) {
            struct bytes literal = template_part_literal(mapping->topic, i);
            out_bytes(topic, literal.data, literal.size);
            continue;
        }
        struct bytes value, name = columns_name(mapping->columns, column);
        truc_status status = template_part_value(mapping->topic, i, mapping->columns, row, &mapping->scratch, &value, failure);
        if (status != TRUC_OK) {
            return status;
        }
        if (value.size == 0) {
            return failure_set(failure, TRUC_BAD_ROW, "column %s is empty, and --topic needs it", quote(name).text);
        }
        size_t from = topic->size;
        struct failure reason;
        status = slug_append(value, topic, &reason);
        if (status != TRUC_OK) {
            return failure_set(failure, status, "column %s: %.500s", quote(name).text, reason.why);
        }
        status = slugs_note(mapping->slugs[i], bytes_of(topic->data + from, topic->size - from), value, name, failure);
        if (status != TRUC_OK) {
            return status;
        }
    }
    out_bytes(topic, "", 1);
    if (topic->status != TRUC_OK) {
        return failure_set(failure, topic->status, "while making a topic");
    }
    ret_built->topic = topic->data;
    ret_built->topic_size = topic->size - 1;
    ret_built->row = row->number;
    ret_built->line = row->line;
    const char *why;
    if (topic_check(bytes_of(topic->data, topic->size - 1), &why) != TRUC_OK) {
        return failure_set(failure, TRUC_BAD_ROW, "the topic %s: %s", quote(bytes_of(topic->data, topic->size - 1)).text, why);
    }
    return TRUC_OK;
}

/* The time a text says, for --time and for fields that hold times. "now" and its like are refused: a row must mean the same
 * whenever it is read. */
static truc_status read_time(const struct mapping *mapping, const char *what, struct bytes text, int64_t *ret_ns,
                             struct failure *failure)
{
    const char *why = "not a time";
    bool begins = text.size > 0 && ((text.data[0] >= '0' && text.data[0] <= '9') || text.data[0] == '@');
    if (!begins || timestamp_parse((const char *)text.data, text.size, mapping->zone, 0, ret_ns, NULL, &why) != TRUC_OK) {
        return failure_set(failure, TRUC_BAD_ROW, "%s: %s: %s", what, quote(text).text, why);
    }
    return TRUC_OK;
}

/* Where a text stands in mapping->text, which may move while it grows. */
struct span {
    size_t at, size;
};

static truc_text span_text(const struct mapping *mapping, struct span span)
{
    return span.size == 0 ? (truc_text){NULL, 0} : (truc_text){mapping->text.data + span.at, span.size};
}

/* Expands a template that may be left out but, when it is there, must not be empty. Appends to mapping->text. */
static truc_status expand_field(struct mapping *mapping, const char *option, const struct template *template, const struct row *row,
                                size_t bytes_max, struct span *ret_span, struct failure *failure)
{
    size_t from = mapping->text.size;
    *ret_span = (struct span){from, 0};
    if (template_is_empty(template)) {
        return TRUC_OK;
    }
    truc_status status = template_expand(template, mapping->columns, row, &mapping->scratch, &mapping->text, failure);
    if (status != TRUC_OK) {
        return status;
    }
    ret_span->size = mapping->text.size - from;
    if (ret_span->size == 0) {
        return failure_set(failure, TRUC_BAD_ROW, "%s is empty", option);
    }
    if (ret_span->size > bytes_max) {
        return failure_set(failure, TRUC_BAD_ROW, "%s is longer than %zu bytes", option, bytes_max);
    }
    return TRUC_OK;
}

static truc_status build_time(struct mapping *mapping, const struct row *row, struct built *built, struct failure *failure)
{
    struct span span;
    truc_status status = expand_field(mapping, "--time", mapping->time, row, IMPORT_FIELD_BYTES_MAX, &span, failure);
    if (status != TRUC_OK || span.size == 0) {
        return status;
    }
    return read_time(mapping, "--time", bytes_of(mapping->text.data + span.at, span.size), &built->record.time_ns, failure);
}

static truc_status build_key(struct mapping *mapping, const struct row *row, struct built *built, struct failure *failure)
{
    struct span span;
    truc_status status = expand_field(mapping, "--key", mapping->key, row, IMPORT_FIELD_BYTES_MAX, &span, failure);
    if (status != TRUC_OK || span.size == 0) {
        return status;
    }
    struct bytes text = bytes_of(mapping->text.data + span.at, span.size);
    char *key = NULL;
    const char *why;
    size_t size;
    status = cli_key_normalise(text, &key, &size, &why);
    if (status != TRUC_OK) {
        return failure_set(failure, status == TRUC_NO_MEMORY ? status : TRUC_BAD_ROW, "--key: %s: %s", quote(text).text, why);
    }
    free(mapping->key_text);
    mapping->key_text = key;
    built->record.key = (truc_text){key, size};
    return TRUC_OK;
}

/* Type and headers: everything is expanded before anything is borrowed. */
static truc_status build_texts(struct mapping *mapping, const struct row *row, struct built *built, struct failure *failure)
{
    struct span type, values[RECORD_HEADERS_MAX];
    mapping->text.size = 0; /* time and key are done with it */
    truc_status status = expand_field(mapping, "--type", mapping->type, row, RECORD_TYPE_BYTES_MAX, &type, failure);
    for (size_t i = 0; status == TRUC_OK && i < mapping->header_count; i++) {
        values[i].at = mapping->text.size;
        status = template_expand(mapping->headers[i].template, mapping->columns, row, &mapping->scratch, &mapping->text, failure);
        values[i].size = mapping->text.size - values[i].at;
        if (status == TRUC_OK && values[i].size > RECORD_TEXT_BYTES_MAX) {
            status = failure_set(failure, TRUC_BAD_ROW, "--header %s is longer than %d bytes", mapping->headers[i].name,
                                 RECORD_TEXT_BYTES_MAX);
        }
    }
    if (status != TRUC_OK) {
        return status;
    }
    built->record.type = span_text(mapping, type);
    built->record.headers = built->headers;
    for (size_t i = 0; i < mapping->header_count; i++) {
        if (values[i].size > 0) { /* an empty one is left out */
            truc_header *header = &built->headers[built->record.header_count++];
            header->name = (truc_text){mapping->headers[i].name, strlen(mapping->headers[i].name)};
            header->value = span_text(mapping, values[i]);
        }
    }
    return TRUC_OK;
}

static truc_status build_json(struct mapping *mapping, const struct row *row, struct built *built, struct failure *failure)
{
    static const char content_type[] = "application/json";
    built->record.content_type = (truc_text){content_type, sizeof content_type - 1};
    if (row->payload.size > 0) {
        built->record.data = row->payload.data;
        built->record.data_size = row->payload.size;
        return TRUC_OK;
    }
    struct out *data = &mapping->data;
    data->size = 0;
    out_bytes(data, "{", 1);
    for (size_t i = 0; i < row->field_count; i++) {
        if (i > 0) {
            out_bytes(data, ",", 1);
        }
        out_json_string(data, columns_name(mapping->columns, row->fields[i].column));
        out_bytes(data, ":", 1);
        out_json_string(data, row_field_value(row, i));
    }
    out_bytes(data, "}", 1);
    if (data->status != TRUC_OK) {
        return failure_set(failure, data->status, "while making a record");
    }
    built->record.data = data->data;
    built->record.data_size = data->size;
    return TRUC_OK;
}

static truc_status build_message(struct mapping *mapping, const struct row *row, struct built *built, struct failure *failure)
{
    payload_clear(mapping->message);
    for (size_t i = 0; i < mapping->set_count; i++) {
        char why[PAYLOAD_WHY_BYTES], label[160];
        int64_t ignored;
        mapping->data.size = 0;
        truc_status status =
            template_expand(mapping->sets[i].template, mapping->columns, row, &mapping->scratch, &mapping->data, failure);
        if (status != TRUC_OK) {
            return status;
        }
        struct bytes text = bytes_of(mapping->data.data, mapping->data.size);
        (void)snprintf(label, sizeof label, "--set %s", mapping->sets[i].name);
        if (mapping->sets[i].is_time && text.size > 0 && read_time(mapping, label, text, &ignored, failure) != TRUC_OK) {
            return failure->status;
        }
        if (text.size > 0) {
            status = payload_field_set(mapping->message, mapping->sets[i].name, text, mapping->zone, 0, why);
        }
        if (status != TRUC_OK) {
            return failure_set(failure, status == TRUC_NO_MEMORY ? status : TRUC_BAD_ROW, "%s: %s: %s", label, quote(text).text,
                               why);
        }
    }
    size_t size;
    if (payload_encode(mapping->message, &mapping->encoded, &mapping->encoded_capacity, &size) != TRUC_OK) {
        return failure_set(failure, TRUC_NO_MEMORY, "while making a record");
    }
    static const char content_type[] = PAYLOAD_CONTENT_TYPE;
    built->record.content_type = (truc_text){content_type, sizeof content_type - 1};
    built->record.schema = (truc_text){mapping->payload->name, strlen(mapping->payload->name)};
    built->record.data = mapping->encoded;
    built->record.data_size = size;
    return TRUC_OK;
}

static size_t built_size(const struct built *built)
{
    const truc_record *record = &built->record;
    struct record_view view = {.id = bytes_of(record->id.data, record->id.size),
                               .type = bytes_of(record->type.data, record->type.size),
                               .key = bytes_of(record->key.data, record->key.size),
                               .content_type = bytes_of(record->content_type.data, record->content_type.size),
                               .schema = bytes_of(record->schema.data, record->schema.size),
                               .data = bytes_of(record->data, record->data_size),
                               .time_ns = record->time_ns};
    struct record_header headers[RECORD_HEADERS_MAX];
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i].name = bytes_of(record->headers[i].name.data, record->headers[i].name.size);
        headers[i].value = bytes_of(record->headers[i].value.data, record->headers[i].value.size);
    }
    return record_encoded_size(&view, headers, record->header_count);
}

truc_status mapping_complete(struct mapping *mapping, const struct row *row, struct built *built, struct failure *failure)
{
    built->record = (truc_record)TRUC_RECORD_INIT;
    mapping->text.size = 0;
    truc_status status = build_time(mapping, row, built, failure);
    if (status == TRUC_OK) {
        status = build_key(mapping, row, built, failure);
    }
    if (status == TRUC_OK) {
        status = build_texts(mapping, row, built, failure);
    }
    if (status == TRUC_OK) {
        status = mapping->payload == NULL ? build_json(mapping, row, built, failure) : build_message(mapping, row, built, failure);
    }
    if (status != TRUC_OK) {
        return status;
    }
    identity_make(mapping->digests, bytes_of(mapping->identity.data, mapping->identity.size),
                  bytes_of(built->topic, built->topic_size), built->row, built->id);
    built->record.id = (truc_text){(const char *)built->id, sizeof built->id};
    if (built_size(built) > IMPORT_RECORD_BYTES_MAX) {
        return failure_set(failure, TRUC_BAD_ROW, "the record would be larger than %d bytes", IMPORT_RECORD_BYTES_MAX);
    }
    return TRUC_OK;
}
