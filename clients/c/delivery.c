/* delivery.c: what is kept of DELIVER and READ_DATA headers: which records are leased, which are recalled. */
#include <stdlib.h>

#include "clients/c/recalled.h"
#include "clients/c/worker.h"

struct delivery {
    const Truc__V1__Deliver *header; /* of a DELIVER; in memory */
    Truc__V1__Recalled *const *recalled;
    size_t recalled_count;
    _Alignas(16) uint8_t memory[];
};

static const struct delivery *delivery_of(const struct parcel *parcel)
{
    return parcel->notes;
}

/* The header's own consistency. *ret_records: how many records are leased. */
static const char *check(const struct truc_worker *worker, const Truc__V1__Deliver *header, uint64_t *ret_records)
{
    uint64_t records = 0;

    for (size_t i = 0; i < header->n_entries; i++) {
        const Truc__V1__DeliverEntry *entry = header->entries[i];

        if (entry->records == 0 || entry->records > BATCH_RECORDS_MAX)
            return "a delivered entry with no or too many records";
        if (entry->n_indexes != 0 && entry->n_indexes != entry->records)
            return "a delivered entry with another number of indexes than of records";
        for (size_t j = 1; j < entry->n_indexes; j++) {
            if (entry->indexes[j] <= entry->indexes[j - 1])
                return "indexes of a delivered entry that do not ascend";
        }
        records += entry->records;
    }
    if (records == 0)
        return "a delivery of nothing";
    if (header->n_attempts != 0 && header->n_attempts != records)
        return "a delivery with another number of attempts than of records";
    if (records > worker->granted)
        return "more records than credit was given for";
    if (header->first_lease <= worker->last_lease || header->first_lease > UINT64_MAX - records)
        return "leases that go back";
    *ret_records = records;
    return NULL;
}

static truc_status add(struct truc_worker *worker, struct delivery *delivery, uint64_t records, struct bytes payload,
                       struct inbound **inbound)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);

    if (parcel == NULL)
        return TRUC_NO_MEMORY;
    parcel->notes = delivery;
    if (intake_add(&worker->intake, parcel, payload, inbound) != TRUC_OK) {
        free(parcel);
        return TRUC_NO_MEMORY;
    }
    worker->last_lease = delivery->header->first_lease + records - 1;
    worker->granted -= records;
    return TRUC_OK;
}

truc_status delivery_take(struct truc_worker *worker, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    size_t capacity = 4096 + 16 * frame->header.size; /* frame.h: a header decodes within this */
    struct delivery *delivery = malloc(sizeof *delivery + capacity);
    struct arena arena;
    uint64_t records = 0;
    truc_status status = TRUC_PROTOCOL;

    *ret_why = "no memory for a delivery";
    if (delivery == NULL)
        return TRUC_NO_MEMORY;
    arena = (struct arena){delivery->memory, delivery->memory + capacity};
    delivery->header = frame_header_decode(&arena, &truc__v1__deliver__descriptor, frame->header, ret_why);
    if (delivery->header != NULL) {
        delivery->recalled = delivery->header->recalled;
        delivery->recalled_count = delivery->header->n_recalled;
        *ret_why = check(worker, delivery->header, &records);
        status = *ret_why != NULL ? TRUC_PROTOCOL : TRUC_OK;
    }
    if (status == TRUC_OK) {
        if (delivery->header->durable_position > worker->client->durable_position)
            worker->client->durable_position = delivery->header->durable_position;
        *ret_why = "no memory for a delivery";
        status = add(worker, delivery, records, frame->payload, inbound);
    }
    if (status != TRUC_OK)
        free(delivery);
    return status;
}

size_t delivery_entry_count(const struct parcel *parcel)
{
    return delivery_of(parcel)->header->n_entries;
}

bool delivery_entry(const struct parcel *parcel, size_t index, const uint32_t **ret_indexes, size_t *ret_count)
{
    const Truc__V1__Deliver *header = delivery_of(parcel)->header;

    if (index >= header->n_entries)
        return false;
    *ret_indexes = header->entries[index]->n_indexes > 0 ? header->entries[index]->indexes : NULL;
    *ret_count = header->entries[index]->records;
    return true;
}

uint64_t delivery_first_lease(const struct parcel *parcel)
{
    return delivery_of(parcel)->header->first_lease;
}

uint64_t delivery_record_count(const struct parcel *parcel)
{
    const Truc__V1__Deliver *header = delivery_of(parcel)->header;
    uint64_t records = 0;

    for (size_t i = 0; i < header->n_entries; i++)
        records += header->entries[i]->records;
    return records;
}

uint32_t delivery_attempt(const struct parcel *parcel, uint64_t place)
{
    const Truc__V1__Deliver *header = delivery_of(parcel)->header;

    return header->n_attempts > 0 ? header->attempts[place] : 1;
}

void delivery_mark_recalled(const struct parcel *parcel, truc_job *job)
{
    if (parcel->notes != NULL)
        recalled_mark(job, delivery_of(parcel)->recalled, delivery_of(parcel)->recalled_count);
}

/* --- ordered -------------------------------------------------------------------------------------------------------------------
 */

truc_status delivery_read(const struct frame *frame, struct delivery **ret_delivery, const Truc__V1__ReadData **ret_header,
                          const char **ret_why)
{
    size_t capacity = 4096 + 16 * frame->header.size; /* frame.h: a header decodes within this */
    struct delivery *delivery = malloc(sizeof *delivery + capacity);
    struct arena arena;
    const Truc__V1__ReadData *header;

    *ret_why = "no memory for received data";
    if (delivery == NULL)
        return TRUC_NO_MEMORY;
    arena = (struct arena){delivery->memory, delivery->memory + capacity};
    header = frame_header_decode(&arena, &truc__v1__read_data__descriptor, frame->header, ret_why);
    if (header == NULL) {
        free(delivery);
        return TRUC_PROTOCOL;
    }
    delivery->header = NULL;
    delivery->recalled = header->recalled;
    delivery->recalled_count = header->n_recalled;
    *ret_delivery = delivery;
    *ret_header = header;
    return TRUC_OK;
}
