/* kind_batch.c: batches, leaves and entries. */
#include <stdlib.h>

#include "proto/entry.h"
#include "proto/record.h"
#include "tests/vectors/kinds.h"

static void copy_exactly(uint8_t *out, size_t size, struct bytes bytes, const char *what)
{
    if (bytes.size == 0)
        memset(out, 0, size);
    else if (bytes.size != size)
        vectors_fail("%s: not %zu bytes", what, size);
    else
        memcpy(out, bytes.data, size);
}

/* --- batch ------------------------------------------------------------------------------------------------------------------- */

static void encode_batch(const json_t *meaning, struct blob *ret_bytes)
{
    static struct blob payload;
    const json_t *records = json_object_get(meaning, "records");
    struct batch_header_fields fields = {.topic = get_text(meaning, "topic"),
                                         .source = get_text(meaning, "source"),
                                         .system = get_text(meaning, "system"),
                                         .evidence = (enum evidence)get_u64(meaning, "evidence"),
                                         .producer_id = get_u64(meaning, "producer_id"),
                                         .epoch = (uint32_t)get_u64(meaning, "epoch"),
                                         .first_sequence = get_u64(meaning, "first_sequence"),
                                         .record_count = (uint32_t)json_array_size(records),
                                         .deliver_at_ns = get_i64(meaning, "deliver_at_ns"),
                                         .conditional = json_object_get(meaning, "expected_offset") != NULL,
                                         .expected_offset = get_u64(meaning, "expected_offset")};
    uint8_t prefix[10], seed[SALT_SEED_BYTES];
    enum codec codec;
    size_t stored_size, head = BATCH_PREFIX_BYTES + batch_header_size(&fields);

    payload.size = 0;
    for (size_t i = 0; i < fields.record_count; i++) {
        struct bytes record = hex_of(json_array_get(records, i));
        blob_add(&payload, bytes_of(prefix, (size_t)(varint_put(prefix, record.size) - prefix)));
        blob_add(&payload, record);
    }
    copy_exactly(seed, sizeof seed, get_hex(meaning, "salt_seed"), "salt_seed");
    if (!codec_find(json_string_value(json_object_get(meaning, "codec")), &codec) ||
        codec_pack(codec, blob_bytes(&payload), ret_bytes->data + head, sizeof ret_bytes->data - head, &stored_size) != TRUC_OK)
        vectors_fail("a batch cannot be packed");
    batch_head_write(ret_bytes->data, &fields, codec, (uint32_t)stored_size, (uint32_t)payload.size, seed);
    ret_bytes->size = head + stored_size;
}

static truc_status decode_batch(struct bytes bytes, json_t **ret_meaning)
{
    struct batch_view view;
    struct bytes raw, record;
    uint8_t *scratch = NULL;
    size_t capacity = 0;
    truc_status status = batch_parse(bytes, &view, NULL);
    if (status == TRUC_OK)
        status = batch_raw(&view, &scratch, &capacity, &raw);
    if (status != TRUC_OK)
        goto done;

    json_t *meaning = json_object(), *records = json_array();
    struct reader payload = reader_over(raw);
    put_text(meaning, "topic", view.topic);
    put_text(meaning, "source", view.source);
    put_text(meaning, "system", view.system);
    put_number(meaning, "evidence", (uint64_t)view.evidence);
    put_u64(meaning, "producer_id", view.producer_id);
    put_number(meaning, "epoch", view.epoch);
    put_u64(meaning, "first_sequence", view.first_sequence);
    put_i64(meaning, "deliver_at_ns", view.deliver_at_ns);
    if (view.conditional)
        put(meaning, "expected_offset", json_sprintf("%llu", (unsigned long long)view.expected_offset));
    put_hex(meaning, "salt_seed", bytes_of(view.seed, SALT_SEED_BYTES));
    put(meaning, "codec", json_string(codec_name(view.codec)));
    while (records_next(&payload, &record, &status))
        (void)json_array_append_new(records, hex_value(record));
    if (status == TRUC_OK && json_array_size(records) != view.record_count)
        status = TRUC_BAD_BATCH;
    put(meaning, "records", records);
    if (status == TRUC_OK)
        *ret_meaning = meaning;
    else
        json_decref(meaning);
done:
    free(scratch);
    return status;
}

const struct kind batch_kind = {"batch", encode_batch, decode_batch};

/* --- leaf -------------------------------------------------------------------------------------------------------------------- */

static void encode_leaf(const json_t *meaning, struct blob *ret_bytes)
{
    struct leaf leaf = {.evidence = (uint8_t)get_u64(meaning, "evidence"),
                        .record_count = (uint32_t)get_u64(meaning, "record_count"),
                        .position = get_u64(meaning, "position"),
                        .base_offset = get_u64(meaning, "base_offset"),
                        .append_time_ns = get_i64(meaning, "append_time_ns"),
                        .topic = get_text(meaning, "topic")};
    copy_exactly(leaf.log_id, sizeof leaf.log_id, get_hex(meaning, "log_id"), "log_id");
    copy_exactly(leaf.header_digest, DIGEST_BYTES, get_hex(meaning, "header_digest"), "header_digest");
    copy_exactly(leaf.records_root, DIGEST_BYTES, get_hex(meaning, "records_root"), "records_root");
    copy_exactly(leaf.signature_digest, DIGEST_BYTES, get_hex(meaning, "signature_digest"), "signature_digest");
    copy_exactly(leaf.previous, DIGEST_BYTES, get_hex(meaning, "previous"), "previous");
    leaf_write(&leaf, ret_bytes->data);
    ret_bytes->size = leaf_size(leaf.topic.size);
}

static void put_unless_zero(json_t *object, const char *key, const uint8_t digest[DIGEST_BYTES])
{
    static const uint8_t zero[DIGEST_BYTES];
    if (memcmp(digest, zero, DIGEST_BYTES) != 0)
        put_hex(object, key, bytes_of(digest, DIGEST_BYTES));
}

static truc_status decode_leaf(struct bytes bytes, json_t **ret_meaning)
{
    struct leaf leaf;
    truc_status status = leaf_parse(bytes, &leaf);
    if (status != TRUC_OK)
        return status;

    json_t *meaning = json_object();
    put_number(meaning, "evidence", leaf.evidence);
    put_number(meaning, "record_count", leaf.record_count);
    put_hex(meaning, "log_id", bytes_of(leaf.log_id, LOG_ID_BYTES));
    put_u64(meaning, "position", leaf.position);
    put_u64(meaning, "base_offset", leaf.base_offset);
    put_i64(meaning, "append_time_ns", leaf.append_time_ns);
    put_unless_zero(meaning, "header_digest", leaf.header_digest);
    put_unless_zero(meaning, "records_root", leaf.records_root);
    put_unless_zero(meaning, "signature_digest", leaf.signature_digest);
    put_unless_zero(meaning, "previous", leaf.previous);
    put_text(meaning, "topic", leaf.topic);
    *ret_meaning = meaning;
    return TRUC_OK;
}

const struct kind leaf_kind = {"leaf", encode_leaf, decode_leaf};

/* --- entry ------------------------------------------------------------------------------------------------------------------- */

static void encode_entry(const json_t *meaning, struct blob *ret_bytes)
{
    struct entry_fields fields = {.topic_id = (uint32_t)get_u64(meaning, "topic_id"),
                                  .record_count = (uint32_t)get_u64(meaning, "record_count"),
                                  .epoch = (uint32_t)get_u64(meaning, "epoch"),
                                  .producer_id = get_u64(meaning, "producer_id"),
                                  .first_sequence = get_u64(meaning, "first_sequence")};
    struct bytes leaf = get_hex(meaning, "leaf"), batch = get_hex(meaning, "batch"), directory = get_hex(meaning, "directory");
    size_t size = entry_size(leaf.size, batch.size, directory.size);
    if (size > sizeof ret_bytes->data)
        vectors_fail("an entry is too large");
    entry_write(ret_bytes->data, &fields, leaf, batch, directory);
    ret_bytes->size = size;
}

/* What entry_prove finds of a whole entry, after its checksums. */
static truc_status prove(const struct entry_view *view)
{
    struct digest_context *context = digest_context_create();
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw;
    uint8_t *scratch = NULL;
    size_t capacity = 0;
    truc_status status = context == NULL ? TRUC_NO_MEMORY : entry_directory_check(view);
    if (status == TRUC_OK)
        status = entry_prove(context, view, &leaf, &batch, &scratch, &capacity, &raw, NULL);
    free(scratch);
    digest_context_destroy(context);
    return status;
}

static truc_status decode_entry(struct bytes bytes, json_t **ret_meaning)
{
    struct entry_view view;
    truc_status status = entry_parse(bytes, &view);
    if (status == TRUC_OK)
        status = prove(&view);
    if (status != TRUC_OK)
        return status;

    json_t *meaning = json_object();
    put_number(meaning, "topic_id", view.fields.topic_id);
    put_number(meaning, "record_count", view.fields.record_count);
    put_u64(meaning, "producer_id", view.fields.producer_id);
    put_number(meaning, "epoch", view.fields.epoch);
    put_u64(meaning, "first_sequence", view.fields.first_sequence);
    put_hex(meaning, "leaf", view.leaf);
    put_hex(meaning, "batch", view.batch);
    put_hex(meaning, "directory", view.directory);
    *ret_meaning = meaning;
    return TRUC_OK;
}

const struct kind entry_kind = {"entry", encode_entry, decode_entry};
