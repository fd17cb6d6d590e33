#include "clients/c/record_input.h"

#include "proto/utf8.h"

static struct bytes text_bytes(truc_text text)
{
    return bytes_of(text.data, text.size);
}

static bool good_text(struct bytes text, size_t size_max)
{
    return text.size <= size_max && (text.size == 0 || (text.data != NULL && utf8_valid(text)));
}

/* Headers and relations are rare; their content is checked by the parser once they are encoded. */
static truc_status read_rare(const truc_record *record, struct record_input *input)
{
    struct record_relation *relation = &input->view.relation;

    if (record->header_count > RECORD_HEADERS_MAX || (record->header_count > 0 && record->headers == NULL))
        return TRUC_BAD_RECORD;
    for (size_t i = 0; i < record->header_count; i++) {
        struct record_header header = {text_bytes(record->headers[i].name), text_bytes(record->headers[i].value)};

        if (header.name.size > RECORD_TEXT_BYTES_MAX || header.value.size > RECORD_TEXT_BYTES_MAX)
            return TRUC_BAD_RECORD;
        input->headers[i] = header;
    }
    input->header_count = record->header_count;
    relation->log_id = bytes_of(record->relates_to.log_id, record->relates_to.log_id != NULL ? LOG_ID_BYTES : 0);
    relation->topic = text_bytes(record->relates_to.topic);
    relation->id = text_bytes(record->relates_to.id);
    relation->relation = text_bytes(record->relates_to.relation);
    relation->offset = record->relates_to.offset;
    input->view.has_relation = relation->log_id.size > 0 || relation->topic.size > 0 || relation->id.size > 0 ||
                               relation->relation.size > 0 || relation->offset > 0;
    input->needs_parse = input->header_count > 0 || input->view.has_relation;
    return TRUC_OK;
}

truc_status record_input_read(const truc_record *record, struct record_input *ret_input)
{
    struct record_view *view = &ret_input->view;
    truc_status status;

    if (record == NULL || record->size < sizeof *record)
        return TRUC_INVALID_ARGUMENT;
    if (record->data == NULL && record->data_size > 0)
        return TRUC_INVALID_ARGUMENT;
    if (record->data_size > RECORD_BYTES_MAX)
        return TRUC_RECORD_TOO_LARGE;
    *view = (struct record_view){
        .id = text_bytes(record->id),
        .type = text_bytes(record->type),
        .key = text_bytes(record->key),
        .content_type = text_bytes(record->content_type),
        .schema = text_bytes(record->schema),
        .data = bytes_of(record->data, record->data_size),
        .correlation_id = text_bytes(record->correlation_id),
        .traceparent = text_bytes(record->traceparent),
        .time_ns = record->time_ns,
        .expires_at_ns = record->expires_at_ns,
    };
    if (view->id.size > RECORD_ID_BYTES_MAX || !good_text(view->type, RECORD_TYPE_BYTES_MAX) ||
        !good_text(view->key, RECORD_KEY_BYTES_MAX) || !good_text(view->content_type, RECORD_TEXT_BYTES_MAX) ||
        !good_text(view->schema, RECORD_TEXT_BYTES_MAX) || !good_text(view->correlation_id, RECORD_TEXT_BYTES_MAX) ||
        !good_text(view->traceparent, RECORD_TEXT_BYTES_MAX))
        return TRUC_BAD_RECORD;
    status = read_rare(record, ret_input);
    if (status != TRUC_OK)
        return status;
    ret_input->needs_id = view->id.size == 0;
    if (ret_input->needs_id)
        view->id = bytes_of(ret_input->id, UUID_BYTES);
    ret_input->encoded_size = record_encoded_size(view, ret_input->headers, ret_input->header_count);
    return ret_input->encoded_size > RECORD_BYTES_MAX ? TRUC_RECORD_TOO_LARGE : TRUC_OK;
}
