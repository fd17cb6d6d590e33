#include "batches.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/directory.h"
#include "proto/record.h"

struct held {
    struct core_prepared prepared;
    struct batch *batch;
    struct held *previous, *next;
};

const uint8_t hash_secret[16] = {0x53, 0x69, 0x6d};
struct digest_context *digests;
static struct held *first_held;
static size_t held_count;
static uint64_t last_id;
static char key_texts[KEYS + 1][8], type_texts[TYPES][8];
static uint64_t key_hashes[KEYS_MAX + 1];
static uint16_t keys_end; /* of those known */

void batches_begin(void)
{
    last_id = 0;
    keys_end = KEYS + 1;
    if (digests)
        return;
    digests = digest_context_create();
    SIM_CHECK(digests, "no memory");
    for (uint16_t key = 1; key <= KEYS; key++) {
        (void)snprintf(key_texts[key], sizeof key_texts[key], "k%u", key);
        key_hashes[key] = directory_hash(hash_secret, key_text(key));
    }
    for (uint8_t type = 0; type < TYPES; type++)
        (void)snprintf(type_texts[type], sizeof type_texts[type], "t%u", type);
}

struct bytes key_text(uint16_t key)
{
    return key == 0 ? bytes_of(NULL, 0) : bytes_of_text(key_texts[key]);
}

struct bytes type_text(uint8_t type)
{
    return bytes_of_text(type_texts[type]);
}

uint64_t key_hash(uint16_t key)
{
    return key_hashes[key];
}

uint16_t key_of_letter(struct bytes text)
{
    uint64_t hash = directory_hash(hash_secret, text);
    uint16_t key = KEYS + 1;

    while (key < keys_end && key_hashes[key] != hash)
        key++;
    SIM_CHECK(key <= KEYS_MAX, "there are too many dead letters");
    key_hashes[key] = hash;
    keys_end = key == keys_end ? (uint16_t)(key + 1) : keys_end;
    return key;
}

/* A few keys are far more frequent than others; some records have none. */
static uint16_t draw_key(void)
{
    if (one_in(8))
        return 0;
    return (uint16_t)(1 + draw(1 + draw(KEYS)));
}

static uint8_t *write_record(struct batch_record *record, uint8_t *out)
{
    static const uint8_t data[TEXT_BYTES] = "what it says";
    uint8_t id[16] = {0};
    struct record_view view = {.id = bytes_of(id, sizeof id),
                               .type = type_text(record->type),
                               .key = key_text(record->key),
                               .expires_at_ns = record->expires_at_ns,
                               .data = bytes_of(data, draw(sizeof data))};
    size_t size;

    store_u64(id, ++last_id);
    size = record_encoded_size(&view, NULL, 0);
    record->bytes = (uint32_t)size;
    record->hash = key_hash(record->key);
    return record_encode(&view, NULL, 0, varint_put(out, size));
}

static void finish(struct batch *batch, struct bytes payload, enum evidence evidence)
{
    struct batch_view view;
    struct bytes directory;
    size_t capacity = 0;
    const char *why = "";

    batch->evidence = evidence;
    SIM_CHECK(batch_parse(bytes_of(batch->bytes, batch->size), &view, &why) == TRUC_OK, "the batch is wrong: %s", why);
    SIM_CHECK(directory_build(hash_secret, payload, batch->record_count, RECORD_BYTES_DEFAULT, batch_record_flags(&view),
                              &batch->directory, &capacity, &directory, NULL, &why) == TRUC_OK,
              "the directory is wrong: %s", why);
    batch->directory_size = directory.size;
    digest_header(digests, view.header, batch->header_digest);
    SIM_CHECK(batch_root(digests, &view, evidence, payload, batch->records_root) == TRUC_OK, "no root");
}

struct batch *batch_make(const struct batch_wish *wish)
{
    struct batch *batch = take_memory(sizeof *batch);
    struct batch_header_fields fields = {.topic = bytes_of_text(wish->topic),
                                         .source = bytes_of_text(wish->agency),
                                         .system = bytes_of_text(wish->system),
                                         .evidence = wish->evidence,
                                         .producer_id = wish->producer_id,
                                         .epoch = wish->epoch,
                                         .first_sequence = wish->first_sequence,
                                         .record_count = wish->record_count,
                                         .deliver_at_ns = wish->deliver_at_ns};
    uint8_t payload[BATCH_RECORDS * 160], *end = payload, seed[SALT_SEED_BYTES];
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), size;

    batch->references = 1;
    batch->topic = wish->topic;
    batch->first_sequence = wish->first_sequence;
    batch->record_count = wish->record_count;
    for (uint32_t i = 0; i < wish->record_count; i++) {
        batch->records[i].key = draw_key();
        batch->records[i].type = (uint8_t)draw(TYPES);
        batch->records[i].deliver_at_ns = wish->deliver_at_ns;
        if (one_in(12))
            batch->records[i].expires_at_ns = wish->now_ns + (int64_t)draw(4000) * MS;
        end = write_record(&batch->records[i], end);
        if (batch->records[i].bytes > batch->record_largest)
            batch->record_largest = batch->records[i].bytes;
    }
    size = (size_t)(end - payload);
    for (size_t i = 0; i < sizeof seed; i += 8)
        store_u64(seed + i, draw_bits());
    batch->size = head + size;
    batch->bytes = take_memory(batch->size);
    batch_head_write(batch->bytes, &fields, CODEC_NONE, (uint32_t)size, (uint32_t)size, seed);
    memcpy(batch->bytes + head, payload, size);
    finish(batch, bytes_of(payload, size), wish->evidence == EVIDENCE_BATCH ? EVIDENCE_BATCH : EVIDENCE_RECORD);
    return batch;
}

struct batch *batch_ref(struct batch *batch)
{
    batch->references++;
    return batch;
}

void batch_unref(struct batch *batch)
{
    if (!batch || --batch->references > 0)
        return;
    batch_unref(batch->with);
    free(batch->bytes);
    free(batch->directory);
    free(batch);
}

struct core_prepared *batch_prepare(struct batch *batch)
{
    struct held *held = take_memory(sizeof *held);
    struct core_prepared *prepared = &held->prepared;
    const char *why = "";

    SIM_CHECK(batch_parse(bytes_of(batch->bytes, batch->size), &prepared->batch, &why) == TRUC_OK, "the batch is wrong: %s", why);
    prepared->directory = bytes_of(batch->directory, batch->directory_size);
    prepared->evidence = batch->evidence;
    memcpy(prepared->header_digest, batch->header_digest, DIGEST_BYTES);
    memcpy(prepared->records_root, batch->records_root, DIGEST_BYTES);
    prepared->record_largest = batch->record_largest;
    prepared->owner = held;
    prepared->next = batch->with ? batch_prepare(batch->with) : NULL;
    held->batch = batch_ref(batch);
    held->next = first_held;
    if (held->next)
        held->next->previous = held;
    first_held = held;
    held_count++;
    return prepared;
}

struct batch *batch_of(const struct core_prepared *prepared)
{
    return prepared->owner ? ((struct held *)prepared->owner)->batch : NULL;
}

void batch_release(struct core_prepared *prepared)
{
    struct held *held = prepared->owner;

    if (!held) {
        free(prepared);
        return;
    }
    *(held->previous ? &held->previous->next : &first_held) = held->next;
    if (held->next)
        held->next->previous = held->previous;
    batch_unref(held->batch);
    free(held);
    held_count--;
}

size_t batches_held(void)
{
    return held_count;
}

void batches_forget(void)
{
    while (first_held)
        batch_release(&first_held->prepared);
}

truc_status batch_digest_again(void *context, struct core_prepared *prepared, enum evidence evidence)
{
    (void)context;
    prepared->evidence = evidence;
    return batch_root(digests, &prepared->batch, evidence, prepared->batch.stored, prepared->records_root);
}
