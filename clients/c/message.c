#include "clients/c/message.h"

#include <stdlib.h>
#include <string.h>

#include "proto/topic.h"

void message_maker_fini(struct message_maker *maker)
{
    free(maker->headers);
    free(maker->records);
    free(maker->scratch.bytes);
}

static void copy_text(char *out, size_t capacity, struct bytes text)
{
    size_t size = text.size < capacity ? text.size : capacity - 1;

    if (size > 0)
        memcpy(out, text.data, size);
    out[size] = '\0';
}

static bool wants_entry(const struct message_filter *filter, const struct proven_entry *entry)
{
    return pattern_match(filter->pattern, entry->topic) &&
           (filter->agency.size == 0 || bytes_equal(filter->agency, entry->agency)) &&
           (filter->system.size == 0 || bytes_equal(filter->system, entry->system));
}

/* Walking backwards needs the records' places. */
static truc_status list_records(struct message_maker *maker, const struct proven_entry *entry)
{
    struct reader walk = reader_over(entry->raw);
    truc_status status = TRUC_OK;
    size_t count = 0;

    if (entry->record_count > maker->record_capacity) {
        struct bytes *records = realloc(maker->records, entry->record_count * sizeof *records);

        if (records == NULL)
            return TRUC_NO_MEMORY;
        maker->records = records;
        maker->record_capacity = entry->record_count;
    }
    while (count < entry->record_count && records_next(&walk, &maker->records[count], &status))
        count++;
    return count == entry->record_count ? TRUC_OK : TRUC_DAMAGED;
}

truc_status message_maker_begin(struct message_maker *maker, const struct message_filter *filter, const struct proven_entry *entry)
{
    maker->entry = entry;
    maker->walk = reader_over(entry->raw);
    maker->index = filter->reverse ? entry->record_count : 0;
    maker->end = entry->record_count;
    maker->chosen = NULL;
    if (!wants_entry(filter, entry)) {
        maker->walk.at = maker->walk.end;
        maker->index = filter->reverse ? 0 : entry->record_count;
        return TRUC_OK;
    }
    copy_text(maker->topic, sizeof maker->topic, entry->topic);
    copy_text(maker->agency, sizeof maker->agency, entry->agency);
    copy_text(maker->system, sizeof maker->system, entry->system);
    return filter->reverse ? list_records(maker, entry) : TRUC_OK;
}

void message_maker_choose(struct message_maker *maker, const uint32_t *indexes, size_t count)
{
    maker->chosen = indexes;
    maker->chosen_count = count;
    maker->chosen_index = 0;
    if (indexes == NULL)
        maker->end = (uint32_t)count;
}

/* Whether the record has this header, once or among others. */
static bool has_header(const struct record_view *view, struct bytes name, struct bytes value)
{
    for (size_t i = 0; i < view->header_count; i++) {
        struct record_header header = record_header_at(view, i);

        if (bytes_equal(header.name, name) && bytes_equal(header.value, value))
            return true;
    }
    return false;
}

static bool has_headers(const struct record_view *view, struct bytes wanted)
{
    const uint8_t *at = wanted.data, *end = wanted.data + wanted.size;

    while (at < end) {
        const uint8_t *name_end = memchr(at, 0, (size_t)(end - at));
        const uint8_t *value_end = name_end == NULL ? NULL : memchr(name_end + 1, 0, (size_t)(end - name_end - 1));

        if (value_end == NULL ||
            !has_header(view, bytes_of(at, (size_t)(name_end - at)), bytes_of(name_end + 1, (size_t)(value_end - name_end - 1))))
            return false;
        at = value_end + 1;
    }
    return true;
}

static bool wants_record(const struct message_filter *filter, const struct record_view *view)
{
    if (filter->headers.size > 0 && !has_headers(view, filter->headers))
        return false;
    if (filter->key.size > 0 && !bytes_equal(filter->key, view->key))
        return false;
    if (filter->type.size > 0 && !bytes_equal(filter->type, view->type))
        return false;
    if (filter->event_since_ns != 0 && view->time_ns < filter->event_since_ns)
        return false;
    return filter->event_until_ns == 0 || view->time_ns < filter->event_until_ns;
}

static truc_text text_of(struct bytes bytes)
{
    return (truc_text){(const char *)bytes.data, bytes.size};
}

/* The headers of all messages made so far move when their memory grows: their pointers are set afterwards, by index. */
static truc_status add_headers(struct message_maker *maker, const struct record_view *view)
{
    if (maker->header_count + view->header_count > maker->header_capacity) {
        size_t capacity = (maker->header_count + view->header_count) * 2;
        truc_header *headers = realloc(maker->headers, capacity * sizeof *headers);

        if (headers == NULL)
            return TRUC_NO_MEMORY;
        maker->headers = headers;
        maker->header_capacity = capacity;
    }
    for (size_t i = 0; i < view->header_count; i++) {
        struct record_header header = record_header_at(view, i);

        maker->headers[maker->header_count++] = (truc_header){text_of(header.name), text_of(header.value)};
    }
    return TRUC_OK;
}

static void fill(const struct message_maker *maker, const struct record_view *view, uint32_t index, truc_message *message)
{
    const struct proven_entry *entry = maker->entry;
    truc_record *record = &message->record;

    message->size = sizeof *message;
    record->size = sizeof *record;
    record->data = view->data.data;
    record->data_size = view->data.size;
    record->id = text_of(view->id);
    record->key = text_of(view->key);
    record->type = text_of(view->type);
    record->content_type = text_of(view->content_type);
    record->schema = text_of(view->schema);
    record->correlation_id = text_of(view->correlation_id);
    record->traceparent = text_of(view->traceparent);
    record->time_ns = view->time_ns;
    record->expires_at_ns = view->expires_at_ns;
    record->headers = NULL;
    record->header_count = view->header_count;
    record->relates_to.log_id = view->relation.log_id.size == LOG_ID_BYTES ? view->relation.log_id.data : NULL;
    record->relates_to.topic = text_of(view->relation.topic);
    record->relates_to.id = text_of(view->relation.id);
    record->relates_to.relation = text_of(view->relation.relation);
    record->relates_to.offset = view->relation.offset;
    message->topic = maker->topic;
    message->position = entry->position;
    message->offset = entry->base_offset + index;
    message->index = index;
    message->append_time_ns = entry->append_time_ns;
    message->source = maker->agency;
    message->system = maker->system;
    message->log_id = entry->log_id;
    message->generation = maker->generation;
    message->producer_id = entry->producer_id;
    message->sequence = entry->first_sequence + index;
    message->encoded = text_of(view->encoded);
}

bool message_maker_done(const struct message_maker *maker)
{
    if (maker->entry->cut != NULL)
        return maker->index >= maker->entry->cut_count;
    return maker->index == maker->end || (maker->chosen != NULL && maker->chosen_index == maker->chosen_count);
}

/* The next record of a whole entry, forwards. Fewer records than the leaf says are damage. */
static bool step_forwards(struct message_maker *maker, struct bytes *ret_record, uint32_t *ret_index, truc_status *ret_status)
{
    do {
        if (message_maker_done(maker))
            return false;
        *ret_index = maker->index++;
        if (!records_next(&maker->walk, ret_record, ret_status)) {
            *ret_status = TRUC_DAMAGED;
            return false;
        }
    } while (maker->chosen != NULL && *ret_index != maker->chosen[maker->chosen_index]);
    if (maker->chosen != NULL)
        maker->chosen_index++;
    return true;
}

/* The next record in the reader's direction. False: none is left, or *ret_status tells. */
static bool step(struct message_maker *maker, bool reverse, struct bytes *ret_record, uint32_t *ret_index, truc_status *ret_status)
{
    *ret_status = TRUC_OK;
    if (maker->entry->cut != NULL) {
        if (message_maker_done(maker))
            return false;
        *ret_index = maker->entry->cut[maker->index].index;
        *ret_record = maker->entry->cut[maker->index++].encoded;
        return true;
    }
    if (!reverse)
        return step_forwards(maker, ret_record, ret_index, ret_status);
    if (maker->index == 0)
        return false;
    *ret_index = --maker->index;
    *ret_record = maker->records[*ret_index];
    return true;
}

truc_status message_maker_next(struct message_maker *maker, const struct message_filter *filter, size_t most, size_t *ret_count)
{
    size_t count = 0, header = 0;
    struct record_view view;
    struct bytes record;
    truc_status status = TRUC_OK;
    uint32_t index;

    maker->header_count = 0;
    while (count < most && step(maker, filter->reverse, &record, &index, &status)) {
        uint64_t offset = maker->entry->base_offset + index;

        if (filter->cut_by_offset && (offset < filter->offset_low || offset >= filter->offset_high))
            continue;
        if (record_parse(record, &view, NULL) != TRUC_OK)
            return TRUC_DAMAGED;
        if (!wants_record(filter, &view))
            continue;
        if (view.header_count > 0) {
            status = add_headers(maker, &view);
            if (status != TRUC_OK)
                return status;
        }
        fill(maker, &view, index, &maker->messages[count++]);
    }
    if (status != TRUC_OK)
        return status;
    for (size_t i = 0; i < count && maker->header_count > 0; i++) {
        if (maker->messages[i].record.header_count > 0) {
            maker->messages[i].record.headers = maker->headers + header;
            header += maker->messages[i].record.header_count;
        }
    }
    *ret_count = count;
    return TRUC_OK;
}
