#include "broker/main/publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/topic.h"
#include "truc/v1/wire.pb-c.h"

/* Scratch that one huge batch blew up is not kept. */
enum { SCRATCH_KEPT_BYTES = 1 << 20 };

struct publisher {
    struct digest_context *digests;
    uint8_t *raw, *directory;
    size_t raw_capacity, directory_capacity;
};

struct publisher *publisher_create(void)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher != NULL && (publisher->digests = digest_context_create()) == NULL) {
        free(publisher);
        publisher = NULL;
    }
    return publisher;
}

void publisher_destroy(struct publisher *publisher)
{
    if (publisher != NULL) {
        digest_context_destroy(publisher->digests);
        free(publisher->raw);
        free(publisher->directory);
        free(publisher);
    }
}

static void scratch_trim(uint8_t **scratch, size_t *capacity)
{
    if (*capacity > SCRATCH_KEPT_BYTES) {
        free(*scratch);
        *scratch = NULL;
        *capacity = 0;
    }
}

uint32_t publish_raw_size(const struct frame *frame)
{
    return frame->payload.size >= BATCH_PREFIX_BYTES ? load_u32(frame->payload.data + 20) : 0;
}

static truc_status header_check(struct bytes header, const char **ret_why)
{
    uint8_t memory[2048];
    struct arena arena = {memory, memory + sizeof memory};
    if (header.size == 0) {
        return TRUC_OK;
    }
    Truc__V1__Publish *publish = frame_header_decode(&arena, &truc__v1__publish__descriptor, header, ret_why);
    if (publish == NULL) {
        return TRUC_PROTOCOL;
    }
    if (publish->n_batch_bytes != 0) {
        *ret_why = "batch_bytes: several batches in one publish are not offered";
        return TRUC_UNSUPPORTED;
    }
    return TRUC_OK;
}

static const struct core_family *family_of(const struct publish_rules *rules, struct bytes topic)
{
    for (size_t i = 0; i < rules->family_count; i++) {
        if (pattern_match(rules->families[i].pattern, topic)) {
            return &rules->families[i];
        }
    }
    return NULL;
}

static uint32_t largest_record(struct bytes directory)
{
    struct directory_view view;
    uint32_t largest = 0;
    if (directory_parse(directory, &view) != TRUC_OK) {
        return UINT32_MAX; /* ours, just built: cannot be; the core refuses it then */
    }
    uint32_t count = (view.arrays & 1u << DIRECTORY_LENGTH) != 0 ? view.record_count : 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = (uint32_t)directory_at(&view, DIRECTORY_LENGTH, i);
        largest = size > largest ? size : largest;
    }
    return largest;
}

static void finish(struct publish *publish, const struct publish_rules *rules, struct net_buffer *buffer, struct bytes directory)
{
    publish->rules = rules;
    publish->buffer = buffer;
    net_buffer_ref(buffer);
    publish->directory_size = directory.size;
    memcpy(publish->directory, directory.data, directory.size);
    publish->prepared.directory = bytes_of(publish->directory, directory.size);
    publish->prepared.record_largest = largest_record(directory);
    publish->prepared.owner = publish;
    atomic_fetch_add(rules->directory_bytes, directory.size);
}

truc_status publish_prepare(struct publisher *publisher, const struct publish_rules *rules, const struct frame *frame,
                            struct net_buffer *buffer, struct publish **ret_publish, char why[PUBLISH_WHY_BYTES])
{
    const char *rule = "";
    struct batch_view batch;
    struct bytes raw, directory;
    uint32_t bad = UINT32_MAX, record_bytes_max = rules->record_bytes_max;
    truc_status status = header_check(frame->header, &rule);
    if (status == TRUC_OK && frame->payload.size > rules->batch_bytes_max) {
        rule = "beyond the batch_bytes_max of the hello";
        status = TRUC_BATCH_TOO_LARGE;
    }
    if (status == TRUC_OK) {
        status = batch_parse(frame->payload, &batch, &rule);
    }
    if (status != TRUC_OK) {
        goto done;
    }
    const struct core_family *family = family_of(rules, batch.topic);
    enum evidence evidence = batch.evidence;
    if (family != NULL) {
        evidence = evidence == EVIDENCE_UNSPECIFIED ? family->evidence : evidence;
        record_bytes_max = family->record_bytes_max != 0 ? family->record_bytes_max : record_bytes_max;
    }
    evidence = evidence == EVIDENCE_UNSPECIFIED ? EVIDENCE_RECORD : evidence;
    status = batch_raw(&batch, &publisher->raw, &publisher->raw_capacity, &raw);
    if (status != TRUC_OK) {
        rule = "payload";
        goto done;
    }
    status = directory_build(rules->hash_secret, raw, batch.record_count, record_bytes_max, batch_record_flags(&batch),
                             &publisher->directory, &publisher->directory_capacity, &directory, &bad, &rule);
    if (status != TRUC_OK) {
        goto done;
    }
    struct publish *publish = malloc(sizeof *publish + directory.size);
    if (publish == NULL) {
        status = TRUC_NO_MEMORY;
        goto done;
    }
    *publish = (struct publish){.prepared = {.batch = batch, .evidence = evidence}};
    digest_header(publisher->digests, batch.header, publish->prepared.header_digest);
    status = batch_root(publisher->digests, &batch, evidence, raw, publish->prepared.records_root);
    if (status != TRUC_OK) {
        rule = "records_root";
        free(publish);
        goto done;
    }
    finish(publish, rules, buffer, directory);
    *ret_publish = publish;
done:
    if (status != TRUC_OK && bad != UINT32_MAX) {
        snprintf(why, PUBLISH_WHY_BYTES, "record %u: %s", bad, rule);
    } else if (status != TRUC_OK) {
        snprintf(why, PUBLISH_WHY_BYTES, "%s", rule != NULL && rule[0] != '\0' ? rule : truc_status_text(status));
    }
    scratch_trim(&publisher->raw, &publisher->raw_capacity);
    scratch_trim(&publisher->directory, &publisher->directory_capacity);
    return status;
}

truc_status publish_digest_again(struct publisher *publisher, struct core_prepared *prepared, enum evidence evidence)
{
    struct bytes raw;
    truc_status status = batch_raw(&prepared->batch, &publisher->raw, &publisher->raw_capacity, &raw);
    if (status == TRUC_OK) {
        status = batch_root(publisher->digests, &prepared->batch, evidence, raw, prepared->records_root);
    }
    if (status == TRUC_OK) {
        prepared->evidence = evidence;
    }
    scratch_trim(&publisher->raw, &publisher->raw_capacity);
    return status;
}

void publish_free(struct publish *publish)
{
    if (publish == NULL) {
        return;
    }
    const struct publish_rules *rules = publish->rules;
    atomic_fetch_sub(rules->directory_bytes, publish->directory_size);
    net_buffer_unref(publish->buffer);
    free(publish);
    if (rules->freed != NULL) {
        rules->freed(rules->freed_context);
    }
}

void prepared_free(struct core_prepared *prepared)
{
    if (prepared->owner != NULL) {
        publish_free(prepared->owner);
    } else {
        free(prepared);
    }
}
