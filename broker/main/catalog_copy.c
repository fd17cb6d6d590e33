#include "broker/main/catalog_copy.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 256 * 1024 };

enum row_kind { ROW_TOPIC = 1, ROW_PRODUCER, ROW_SEQUENCE, ROW_SUBSCRIPTION, ROW_CURSOR, ROW_LANE, ROW_RECALL };

/* A row lies in a chunk as its head, its struct as far as it is used, and its texts; each aligned to 8. */
struct row_head {
    uint32_t kind, struct_size;
};

struct catalog_chunk {
    struct catalog_chunk *next;
    size_t size;
    _Alignas(8) uint8_t data[CHUNK_BYTES];
};

static uint8_t *room(struct catalog_copy *copy, size_t size)
{
    if (copy->last == NULL || CHUNK_BYTES - copy->last->size < size) {
        struct catalog_chunk *chunk = malloc(sizeof *chunk);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = NULL;
        chunk->size = 0;
        if (copy->last != NULL) {
            copy->last->next = chunk;
        } else {
            copy->first = chunk;
        }
        copy->last = chunk;
    }
    uint8_t *at = copy->last->data + copy->last->size;
    copy->last->size += size;
    return at;
}

static truc_status keep(struct catalog_copy *copy, enum row_kind kind, const void *row, size_t row_size, const struct bytes *texts,
                        size_t text_count)
{
    struct row_head head = {(uint32_t)kind, (uint32_t)row_size};
    size_t size = sizeof head + align8(row_size);
    for (size_t i = 0; i < text_count; i++) {
        size += align8(texts[i].size);
    }
    uint8_t *at = room(copy, size);
    if (at == NULL) {
        return TRUC_NO_MEMORY;
    }
    memcpy(at, &head, sizeof head);
    memcpy(at += sizeof head, row, row_size);
    at += align8(row_size);
    for (size_t i = 0; i < text_count; i++) {
        if (texts[i].size > 0) {
            memcpy(at, texts[i].data, texts[i].size);
            at += align8(texts[i].size);
        }
    }
    return TRUC_OK;
}

static truc_status keep_topic(void *copy, const struct topic_row *row)
{
    return keep(copy, ROW_TOPIC, row, sizeof *row, &row->name, 1);
}

static truc_status keep_producer(void *copy, const struct producer_row *row)
{
    const struct bytes texts[] = {row->scope, row->name};
    return keep(copy, ROW_PRODUCER, row, sizeof *row, texts, 2);
}

static truc_status keep_sequence(void *copy, const struct sequence_row *row)
{
    size_t used = offsetof(struct sequence_row, results) + row->result_count * sizeof row->results[0];
    return keep(copy, ROW_SEQUENCE, row, used, NULL, 0);
}

static truc_status keep_subscription(void *copy, const struct subscription_row *row)
{
    const struct bytes texts[] = {row->owner, row->name, row->pattern, row->type, row->key, row->source, row->headers};
    return keep(copy, ROW_SUBSCRIPTION, row, sizeof *row, texts, sizeof texts / sizeof *texts);
}

static truc_status keep_cursor(void *copy, const struct cursor_row *row)
{
    return keep(copy, ROW_CURSOR, row, sizeof *row, NULL, 0);
}

static truc_status keep_lane(void *copy, const struct lane_row *row)
{
    return keep(copy, ROW_LANE, row, sizeof *row, NULL, 0);
}

static truc_status keep_recall(void *copy, const struct recall_row *row)
{
    return keep(copy, ROW_RECALL, row, sizeof *row, &row->agency, 1);
}

struct catalog_visitor catalog_copy_visitor(struct catalog_copy *copy)
{
    return (struct catalog_visitor){.context = copy,
                                    .topic = keep_topic,
                                    .producer = keep_producer,
                                    .sequence = keep_sequence,
                                    .subscription = keep_subscription,
                                    .cursor = keep_cursor,
                                    .lane = keep_lane,
                                    .recall = keep_recall};
}

/* A text of a row that lies at *at now. */
static void find_text(struct bytes *text, const uint8_t **at)
{
    text->data = *at;
    *at += align8(text->size);
}

static truc_status visit_subscription(const struct catalog_visitor *visitor, const uint8_t *row, const uint8_t **texts)
{
    struct subscription_row subscription;
    memcpy(&subscription, row, sizeof subscription);
    find_text(&subscription.owner, texts);
    find_text(&subscription.name, texts);
    find_text(&subscription.pattern, texts);
    find_text(&subscription.type, texts);
    find_text(&subscription.key, texts);
    find_text(&subscription.source, texts);
    find_text(&subscription.headers, texts);
    return visitor->subscription(visitor->context, &subscription);
}

/* *texts: behind the row; moved behind its texts. */
static truc_status visit_row(const struct catalog_visitor *visitor, const struct row_head *head, const uint8_t *row,
                             const uint8_t **texts)
{
    struct topic_row topic;
    struct producer_row producer;
    struct sequence_row sequence = {0};
    struct cursor_row cursor;
    struct lane_row lane;
    struct recall_row recall;
    switch ((enum row_kind)head->kind) {
    case ROW_TOPIC:
        memcpy(&topic, row, sizeof topic);
        find_text(&topic.name, texts);
        return visitor->topic(visitor->context, &topic);
    case ROW_PRODUCER:
        memcpy(&producer, row, sizeof producer);
        find_text(&producer.scope, texts);
        find_text(&producer.name, texts);
        return visitor->producer(visitor->context, &producer);
    case ROW_SEQUENCE:
        memcpy(&sequence, row, head->struct_size);
        return visitor->sequence(visitor->context, &sequence);
    case ROW_SUBSCRIPTION:
        return visit_subscription(visitor, row, texts);
    case ROW_CURSOR:
        memcpy(&cursor, row, sizeof cursor);
        return visitor->cursor(visitor->context, &cursor);
    case ROW_LANE:
        memcpy(&lane, row, sizeof lane);
        return visitor->lane(visitor->context, &lane);
    case ROW_RECALL:
        memcpy(&recall, row, sizeof recall);
        find_text(&recall.agency, texts);
        return visitor->recall(visitor->context, &recall);
    }
    return TRUC_INTERNAL;
}

truc_status catalog_copy_visit(const struct catalog_copy *copy, const struct catalog_visitor *visitor)
{
    for (const struct catalog_chunk *chunk = copy->first; chunk != NULL; chunk = chunk->next) {
        for (size_t at = 0; at < chunk->size;) {
            struct row_head head;
            memcpy(&head, chunk->data + at, sizeof head);
            const uint8_t *row = chunk->data + at + sizeof head, *behind = row + align8(head.struct_size);
            truc_status status = visit_row(visitor, &head, row, &behind);
            if (status != TRUC_OK) {
                return status;
            }
            at = (size_t)(behind - chunk->data);
        }
    }
    return TRUC_OK;
}

void catalog_copy_fini(struct catalog_copy *copy)
{
    while (copy->first != NULL) {
        struct catalog_chunk *next = copy->first->next;
        free(copy->first);
        copy->first = next;
    }
    copy->last = NULL;
}
