/* kind_block.c: blocks as the log stores them. */
#include "broker/log/block.h"
#include "tests/vectors/kinds.h"

enum { APPENDS_MAX = 16 };

static void take_append(const json_t *meaning, uint64_t position, struct digest_context *digests, struct log_append *ret_append)
{
    *ret_append = (struct log_append){
        .fields = {.topic_id = (uint32_t)get_u64(meaning, "topic_id"),
                   .record_count = (uint32_t)get_u64(meaning, "record_count"),
                   .epoch = (uint32_t)get_u64(meaning, "epoch"),
                   .producer_id = get_u64(meaning, "producer_id"),
                   .first_sequence = get_u64(meaning, "first_sequence")},
        .position = position,
        .base_offset = get_u64(meaning, "base_offset"),
        .append_time_ns = get_i64(meaning, "append_time_ns"),
        .leaf = get_hex(meaning, "leaf"),
        .batch = get_hex(meaning, "batch"),
        .directory = get_hex(meaning, "directory"),
    };
    digest_leaf(digests, ret_append->leaf, ret_append->leaf_hash);
}

static void encode_block(const json_t *meaning, struct blob *ret_bytes)
{
    struct digest_context *digests = digest_context_create();
    const json_t *entries = json_object_get(meaning, "entries");
    struct log_append appends[APPENDS_MAX];
    struct log_draft draft = {.appends = appends,
                              .append_count = json_array_size(entries),
                              .deltas = get_hex(meaning, "deltas"),
                              .delta_count = (uint32_t)get_u64(meaning, "delta_count"),
                              .append_time_ns = get_i64(meaning, "append_time_ns")};
    struct block_place place = {.block = get_u64(meaning, "block"),
                                .first_position = get_u64(meaning, "first_position"),
                                .durable_block = get_u64(meaning, "durable_block"),
                                .durable_position = get_u64(meaning, "durable_position")};
    struct bytes previous = get_hex(meaning, "previous_chain");
    uint8_t chain[DIGEST_BYTES];

    if (digests == NULL || draft.append_count > APPENDS_MAX || (previous.size != 0 && previous.size != DIGEST_BYTES))
        vectors_fail("a block cannot be made");
    if (previous.size > 0)
        memcpy(place.previous_chain, previous.data, DIGEST_BYTES);
    for (size_t i = 0; i < draft.append_count; i++)
        take_append(json_array_get(entries, i), place.first_position + i, digests, &appends[i]);
    ret_bytes->size = block_size(&draft);
    if (ret_bytes->size > sizeof ret_bytes->data)
        vectors_fail("a block is too large");
    block_write(digests, ret_bytes->data, &draft, &place, chain);
    digest_context_destroy(digests);
}

static json_t *entry_meaning(const struct entry_view *entry, const struct block_row *row)
{
    json_t *meaning = json_object();
    put_number(meaning, "topic_id", entry->fields.topic_id);
    put_number(meaning, "record_count", entry->fields.record_count);
    put_u64(meaning, "producer_id", entry->fields.producer_id);
    put_number(meaning, "epoch", entry->fields.epoch);
    put_u64(meaning, "first_sequence", entry->fields.first_sequence);
    put_u64(meaning, "base_offset", row->base_offset);
    put_i64(meaning, "append_time_ns", row->append_time_ns);
    put_hex(meaning, "leaf", entry->leaf);
    put_hex(meaning, "batch", entry->batch);
    put_hex(meaning, "directory", entry->directory);
    return meaning;
}

static truc_status decode_entries(const struct block_view *view, json_t *entries)
{
    for (uint32_t i = 0; i < view->entry_count; i++) {
        struct block_row row = block_row_at(view, i);
        struct entry_view entry;
        truc_status status = block_entry(view, i, &entry);
        if (status == TRUC_OK)
            status = entry_directory_check(&entry);
        if (status != TRUC_OK)
            return status;
        (void)json_array_append_new(entries, entry_meaning(&entry, &row));
    }
    return TRUC_OK;
}

/* Each delta must be well formed, and written again be the same bytes. */
static truc_status check_deltas(const struct block_view *view)
{
    struct reader deltas = reader_over(view->deltas);
    struct delta delta;
    truc_status status = TRUC_OK;
    uint32_t count = 0;
    for (const uint8_t *begin = deltas.at; delta_next(&deltas, &delta, &status); begin = deltas.at, count++) {
        uint8_t out[DELTA_BYTES_MAX];
        if (!bytes_equal(bytes_of(out, delta_write(out, &delta)), bytes_of(begin, (size_t)(deltas.at - begin))))
            return TRUC_DAMAGED;
    }
    return status == TRUC_OK && count != view->delta_count ? TRUC_DAMAGED : status;
}

static truc_status decode_block(struct bytes bytes, json_t **ret_meaning)
{
    struct block_view view;
    truc_status status = block_parse(bytes, &view);
    if (status == TRUC_OK)
        status = block_table_check(&view);
    if (status == TRUC_OK)
        status = block_deltas_check(&view);
    if (status == TRUC_OK)
        status = check_deltas(&view);
    if (status != TRUC_OK)
        return status;
    json_t *meaning = json_object(), *entries = json_array();
    put_u64(meaning, "block", view.block);
    put_u64(meaning, "first_position", view.first_position);
    put_u64(meaning, "durable_block", view.durable_block);
    put_u64(meaning, "durable_position", view.durable_position);
    put_i64(meaning, "append_time_ns", view.append_time_ns);
    put_hex(meaning, "previous_chain", bytes_of(view.previous_chain, DIGEST_BYTES));
    put_hex(meaning, "chain", bytes_of(view.chain, DIGEST_BYTES));
    put_hex(meaning, "deltas", view.deltas);
    put_number(meaning, "delta_count", view.delta_count);
    status = decode_entries(&view, entries);
    put(meaning, "entries", entries);
    if (status == TRUC_OK)
        *ret_meaning = meaning;
    else
        json_decref(meaning);
    return status;
}

const struct kind block_kind = {"block", encode_block, decode_block};
