#include "broker/main/catalog_copy.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 256 * 1024 };

enum row_kind { ROW_TOPIC = 1, ROW_PRODUCER, ROW_SEQUENCE };

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

static truc_status keep(struct catalog_copy *copy, enum row_kind kind, const void *row, size_t row_size, struct bytes a,
                        struct bytes b)
{
    struct row_head head = {(uint32_t)kind, (uint32_t)row_size};
    uint8_t *at = room(copy, sizeof head + align8(row_size) + align8(a.size) + align8(b.size));
    if (at == NULL) {
        return TRUC_NO_MEMORY;
    }
    memcpy(at, &head, sizeof head);
    memcpy(at += sizeof head, row, row_size);
    at += align8(row_size);
    if (a.size > 0) {
        memcpy(at, a.data, a.size);
        at += align8(a.size);
    }
    if (b.size > 0) {
        memcpy(at, b.data, b.size);
    }
    return TRUC_OK;
}

static truc_status keep_topic(void *copy, const struct topic_row *row)
{
    return keep(copy, ROW_TOPIC, row, sizeof *row, row->name, bytes_of(NULL, 0));
}

static truc_status keep_producer(void *copy, const struct producer_row *row)
{
    return keep(copy, ROW_PRODUCER, row, sizeof *row, row->scope, row->name);
}

static truc_status keep_sequence(void *copy, const struct sequence_row *row)
{
    size_t used = offsetof(struct sequence_row, results) + row->result_count * sizeof row->results[0];
    return keep(copy, ROW_SEQUENCE, row, used, bytes_of(NULL, 0), bytes_of(NULL, 0));
}

struct catalog_visitor catalog_copy_visitor(struct catalog_copy *copy)
{
    return (struct catalog_visitor){.context = copy, .topic = keep_topic, .producer = keep_producer, .sequence = keep_sequence};
}

static truc_status visit_row(const struct catalog_visitor *visitor, const struct row_head *head, const uint8_t *row,
                             size_t *ret_size)
{
    const uint8_t *texts = row + align8(head->struct_size);
    if (head->kind == ROW_TOPIC) {
        struct topic_row topic;
        memcpy(&topic, row, sizeof topic);
        topic.name.data = texts;
        *ret_size = align8(head->struct_size) + align8(topic.name.size);
        return visitor->topic(visitor->context, &topic);
    }
    if (head->kind == ROW_PRODUCER) {
        struct producer_row producer;
        memcpy(&producer, row, sizeof producer);
        producer.scope.data = texts;
        producer.name.data = texts + align8(producer.scope.size);
        *ret_size = align8(head->struct_size) + align8(producer.scope.size) + align8(producer.name.size);
        return visitor->producer(visitor->context, &producer);
    }
    struct sequence_row sequence = {0};
    memcpy(&sequence, row, head->struct_size);
    *ret_size = align8(head->struct_size);
    return visitor->sequence(visitor->context, &sequence);
}

truc_status catalog_copy_visit(const struct catalog_copy *copy, const struct catalog_visitor *visitor)
{
    for (const struct catalog_chunk *chunk = copy->first; chunk != NULL; chunk = chunk->next) {
        for (size_t at = 0; at < chunk->size;) {
            struct row_head head;
            size_t size = 0;
            memcpy(&head, chunk->data + at, sizeof head);
            truc_status status = visit_row(visitor, &head, chunk->data + at + sizeof head, &size);
            if (status != TRUC_OK) {
                return status;
            }
            at += sizeof head + size;
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
