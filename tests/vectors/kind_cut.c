/* kind_cut.c: cut entries, from the whole entry and the indexes of the chosen records. */
#include <stdlib.h>

#include "proto/cut.h"
#include "tests/vectors/kinds.h"

enum { CHOSEN_MAX = 64 };

static void encode_cut(const json_t *meaning, struct blob *ret_bytes)
{
    const json_t *indexes = json_object_get(meaning, "indexes");
    uint32_t chosen[CHOSEN_MAX];
    size_t count = json_array_size(indexes);
    struct cutter *cutter = cutter_create();
    struct entry_view entry;

    if (count > CHOSEN_MAX)
        vectors_fail("too many indexes");
    for (size_t i = 0; i < count; i++)
        chosen[i] = (uint32_t)json_integer_value(json_array_get(indexes, i));
    if (cutter == NULL || entry_parse(get_hex(meaning, "entry"), &entry) != TRUC_OK || cutter_take(cutter, &entry, NULL) != TRUC_OK)
        vectors_fail("an entry cannot be cut");
    ret_bytes->size = cutter_size(cutter, chosen, count);
    if (ret_bytes->size > sizeof ret_bytes->data)
        vectors_fail("a cut entry is too large");
    cutter_write(cutter, chosen, count, ret_bytes->data);
    cutter_destroy(cutter);
}

/* The payload's digests: they end it. */
static json_t *given_digests(const struct batch_view *batch)
{
    json_t *digests = json_array();
    size_t size = load_u32(batch->stored.data + 4) * (size_t)DIGEST_BYTES;

    for (size_t at = batch->stored.size - size; at < batch->stored.size; at += DIGEST_BYTES)
        (void)json_array_append_new(digests, hex_value(bytes_of(batch->stored.data + at, DIGEST_BYTES)));
    return digests;
}

static json_t *meaning_of(const struct leaf *leaf, const struct batch_view *batch, const struct cut_record *records, size_t count)
{
    json_t *meaning = json_object(), *chosen = json_array();

    put_text(meaning, "topic", batch->topic);
    put_u64(meaning, "position", leaf->position);
    put_number(meaning, "record_count", batch->record_count);
    put_number(meaning, "raw_size", batch->raw_size);
    put_hex(meaning, "records_root", bytes_of(leaf->records_root, DIGEST_BYTES));
    for (size_t i = 0; i < count; i++) {
        json_t *record = json_object();
        put_number(record, "index", records[i].index);
        put_hex(record, "salt", bytes_of(records[i].salt, SALT_BYTES));
        put_hex(record, "record", records[i].encoded);
        (void)json_array_append_new(chosen, record);
    }
    put(meaning, "records", chosen);
    put(meaning, "digests", given_digests(batch));
    return meaning;
}

static truc_status decode_cut(struct bytes bytes, json_t **ret_meaning)
{
    struct reader payload = reader_over(bytes);
    struct digest_context *context = digest_context_create();
    struct entry_view entry;
    struct leaf leaf;
    struct batch_view batch;
    struct cut_record *records = NULL;
    size_t capacity = 0, count;
    truc_status status = context == NULL ? TRUC_NO_MEMORY : TRUC_OK;

    if (status == TRUC_OK && entry_served_next(&payload, &entry, &status))
        status = cut_prove(context, &entry, &leaf, &batch, &records, &capacity, &count, NULL);
    if (status == TRUC_OK && reader_left(&payload) != 0)
        status = TRUC_DAMAGED;
    if (status == TRUC_OK)
        *ret_meaning = meaning_of(&leaf, &batch, records, count);
    free(records);
    digest_context_destroy(context);
    return status;
}

const struct kind cut_kind = {"cut_entry", encode_cut, decode_cut};
