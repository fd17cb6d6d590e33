#include "clients/c/parcel.h"

#include <stdlib.h>
#include <string.h>

#include "clients/c/client.h"

/* entry_prove without the digests. */
static truc_status open_entry(const struct entry_view *view, struct leaf *ret_leaf, struct batch_view *ret_batch,
                              struct prove_scratch *scratch, struct bytes *ret_raw, const char **ret_why)
{
    if (leaf_parse(view->leaf, ret_leaf) != TRUC_OK) {
        *ret_why = "the leaf is malformed";
        return TRUC_DAMAGED;
    }
    if (batch_parse(view->batch, ret_batch, ret_why) != TRUC_OK)
        return TRUC_DAMAGED;
    if (!bytes_equal(ret_leaf->topic, ret_batch->topic) || ret_leaf->record_count != ret_batch->record_count) {
        *ret_why = "leaf and batch do not agree";
        return TRUC_DAMAGED;
    }
    *ret_why = "the payload cannot be unpacked";
    return batch_raw(ret_batch, &scratch->bytes, &scratch->capacity, ret_raw);
}

/* A part of an entry is proven whatever verify says: nobody can tell its records apart without walking it. */
static truc_status prove_cut(struct digest_context *digests, struct proven_entry *entry, struct leaf *ret_leaf,
                             struct batch_view *ret_batch)
{
    size_t capacity = 0;

    entry->kept = true;
    return cut_prove(digests, &entry->entry, ret_leaf, ret_batch, &entry->cut, &capacity, &entry->cut_count, &entry->why);
}

void parcel_prove_entry(struct digest_context *digests, bool verify, struct proven_entry *entry, struct prove_scratch *scratch)
{
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw = {0};
    bool cut = entry_is_cut(&entry->entry);

    entry->why = "";
    if (cut)
        entry->status = prove_cut(digests, entry, &leaf, &batch);
    else if (verify)
        entry->status = entry_prove(digests, &entry->entry, &leaf, &batch, &scratch->bytes, &scratch->capacity, &raw, &entry->why);
    else
        entry->status = open_entry(&entry->entry, &leaf, &batch, scratch, &raw, &entry->why);
    if (entry->status != TRUC_OK)
        return;
    entry->position = leaf.position;
    entry->base_offset = leaf.base_offset;
    entry->append_time_ns = leaf.append_time_ns;
    entry->record_count = leaf.record_count;
    entry->log_id = entry->entry.leaf.data + 8; /* leaf.h: log id */
    entry->first_sequence = batch.first_sequence;
    entry->producer_id = batch.producer_id;
    entry->topic = batch.topic;
    entry->agency = batch.source;
    entry->system = batch.system;
    entry->raw = raw;
    entry->kept = cut || batch.codec == CODEC_NONE;
}

static struct proven_entry *add_entry(struct parcel *parcel)
{
    if (parcel->entry_count == parcel->entry_capacity) {
        size_t capacity = parcel->entry_capacity == 0 ? 8 : parcel->entry_capacity * 2;
        struct proven_entry *entries = realloc(parcel->entries, capacity * sizeof *entries);

        if (entries == NULL)
            return NULL;
        parcel->entries = entries;
        parcel->entry_capacity = capacity;
    }
    parcel->entries[parcel->entry_count] = (struct proven_entry){0};
    return &parcel->entries[parcel->entry_count++];
}

/* Takes the unpacked payload over from the scratch, if the budget allows. */
static void keep(struct proven_entry *entry, struct prove_scratch *scratch, size_t *budget)
{
    if (entry->kept || entry->raw.size > *budget)
        return;
    *budget -= entry->raw.size;
    entry->unpacked = scratch->bytes;
    entry->kept = true;
    *scratch = (struct prove_scratch){0};
}

void parcel_prove(struct parcel *parcel, struct digest_context *digests, bool verify, size_t budget)
{
    struct reader payload = reader_over(parcel->payload);
    struct prove_scratch scratch = {0};
    struct proven_entry *entry;
    struct entry_view view;
    truc_status status = TRUC_OK;

    parcel->entry_count = 0;
    while (entry_served_next(&payload, &view, &status)) {
        entry = add_entry(parcel);
        if (entry == NULL) {
            status = TRUC_NO_MEMORY;
            break;
        }
        entry->entry = view;
        parcel_prove_entry(digests, verify, entry, &scratch);
        if (entry->status != TRUC_OK)
            break;
        keep(entry, &scratch, &budget);
    }
    free(scratch.bytes);
    if (status == TRUC_OK)
        return;
    entry = add_entry(parcel);
    if (entry == NULL) { /* then the last entry that is there carries it */
        if (parcel->entry_count > 0) {
            parcel->entries[parcel->entry_count - 1].status = TRUC_NO_MEMORY;
            parcel->entries[parcel->entry_count - 1].why = "no memory";
        }
        return;
    }
    entry->status = status;
    entry->why = status == TRUC_NO_MEMORY ? "no memory" : "an entry's checksum or layout is wrong";
}

void parcel_free(truc_client *client, struct parcel *parcel)
{
    if (parcel == NULL)
        return;
    for (size_t i = 0; i < parcel->entry_count; i++) {
        free(parcel->entries[i].unpacked);
        free(parcel->entries[i].cut);
    }
    free(parcel->entries);
    free(parcel->notes);
    link_inbound_free(&client->link, parcel->inbound);
    free(parcel);
}
