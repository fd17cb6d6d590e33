#include "broker/main/publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/topic.h"
#include "truc/v1/wire.pb-c.h"

enum {
    SCRATCH_KEPT_BYTES = 1 << 20, /* scratch that one huge batch blew up is not kept */
    HEADER_BYTES_MAX = 1024       /* of a PUBLISH: more than 64 sizes take */
};

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
    if (frame->header.size > 0) {
        return UINT32_MAX; /* perhaps several batches: not worth finding out */
    }
    return frame->payload.size >= BATCH_PREFIX_BYTES ? load_u32(frame->payload.data + 20) : 0;
}

/* What is wrong, and where. */
struct fault {
    const char *rule;
    uint32_t batch, record; /* UINT32_MAX: of none */
};

/* The batches of a frame, still to be looked at. */
struct batches {
    struct bytes rest;
    uint32_t count, done, sizes[BATCHES_TOGETHER_MAX];
    uint64_t records, raw_bytes; /* of those done */
};

/* How many batches the payload holds, and their sizes. */
static truc_status split(const struct frame *frame, struct batches *ret_batches, struct fault *fault)
{
    uint8_t memory[HEADER_ARENA_BYTES];
    struct arena arena = {memory, memory + sizeof memory};
    uint64_t sum = 0;
    ret_batches->rest = frame->payload;
    ret_batches->count = 1;
    ret_batches->sizes[0] = (uint32_t)frame->payload.size;
    ret_batches->done = 0;
    ret_batches->records = ret_batches->raw_bytes = 0;
    if (frame->header.size == 0) {
        return TRUC_OK;
    }
    if (frame->header.size > HEADER_BYTES_MAX) {
        fault->rule = "batch_bytes: at most 64 batches are published together";
        return TRUC_INVALID_ARGUMENT;
    }
    Truc__V1__Publish *publish = frame_header_decode(&arena, &truc__v1__publish__descriptor, frame->header, &fault->rule);
    if (publish == NULL) {
        return TRUC_PROTOCOL;
    }
    if (publish->n_batch_bytes == 0) {
        return TRUC_OK;
    }
    if (publish->n_batch_bytes == 1 || publish->n_batch_bytes > BATCHES_TOGETHER_MAX) {
        fault->rule = "batch_bytes: 2 to 64 batches are published together; it is empty for one";
        return TRUC_INVALID_ARGUMENT;
    }
    for (size_t i = 0; i < publish->n_batch_bytes; i++) {
        ret_batches->sizes[i] = publish->batch_bytes[i];
        sum += publish->batch_bytes[i];
    }
    if (sum != frame->payload.size) {
        fault->rule = "batch_bytes: the sizes do not add up to the payload";
        return TRUC_BAD_BATCH;
    }
    ret_batches->count = (uint32_t)publish->n_batch_bytes;
    return TRUC_OK;
}

/* Parses the next batch, and holds it against those before it: together they are no more than one batch may be, so that what is
 * built of them is bounded as for one. */
static truc_status next_batch(struct batches *batches, const struct publish *first, struct batch_view *ret_batch,
                              struct fault *fault)
{
    uint32_t size = batches->sizes[batches->done];
    if (batches->count > 1) {
        fault->batch = batches->done + 1;
    }
    truc_status status = batch_parse(bytes_of(batches->rest.data, size), ret_batch, &fault->rule);
    if (status != TRUC_OK) {
        return status;
    }
    batches->done++;
    batches->rest = bytes_of(batches->rest.data + size, batches->rest.size - size);
    batches->records += ret_batch->record_count;
    batches->raw_bytes += ret_batch->raw_size;
    if (batches->records > BATCH_RECORDS_MAX || batches->raw_bytes > BATCH_RAW_BYTES_MAX) {
        fault->rule = "with those before it, more records or unpacked bytes than one batch may have";
        return TRUC_BATCH_TOO_LARGE;
    }
    for (const struct core_prepared *other = first == NULL ? NULL : &first->prepared; other != NULL; other = other->next) {
        if (other->batch.producer_id != ret_batch->producer_id || other->batch.epoch != ret_batch->epoch) {
            fault->rule = "another producer or epoch than the first one's";
            return TRUC_BAD_BATCH;
        }
        if (bytes_equal(other->batch.topic, ret_batch->topic)) {
            fault->rule = "a topic comes twice: batches published together are of different topics";
            return TRUC_BAD_BATCH;
        }
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

/* One parsed batch: unpacked, walked, digested. */
static truc_status prepare(struct publisher *publisher, const struct publish_rules *rules, const struct batch_view *batch,
                           struct net_buffer *buffer, struct publish **ret_publish, struct fault *fault)
{
    struct bytes raw, directory;
    uint32_t record_bytes_max = rules->record_bytes_max;
    const struct core_family *family = family_of(rules, batch->topic);
    enum evidence evidence = batch->evidence;
    if (family != NULL) {
        evidence = evidence == EVIDENCE_UNSPECIFIED ? family->evidence : evidence;
        record_bytes_max = family->record_bytes_max != 0 ? family->record_bytes_max : record_bytes_max;
    }
    evidence = evidence == EVIDENCE_UNSPECIFIED ? EVIDENCE_RECORD : evidence;
    truc_status status = batch_raw(batch, &publisher->raw, &publisher->raw_capacity, &raw);
    if (status != TRUC_OK) {
        fault->rule = "payload";
        return status;
    }
    status = directory_build(rules->hash_secret, raw, batch->record_count, record_bytes_max, batch_record_flags(batch),
                             &publisher->directory, &publisher->directory_capacity, &directory, &fault->record, &fault->rule);
    if (status != TRUC_OK) {
        return status;
    }
    struct publish *publish = malloc(sizeof *publish + directory.size);
    if (publish == NULL) {
        return TRUC_NO_MEMORY;
    }
    *publish = (struct publish){.prepared = {.batch = *batch, .evidence = evidence}};
    digest_header(publisher->digests, batch->header, publish->prepared.header_digest);
    status = batch_root(publisher->digests, batch, evidence, raw, publish->prepared.records_root);
    if (status != TRUC_OK) {
        fault->rule = "records_root";
        free(publish);
        return status;
    }
    finish(publish, rules, buffer, directory);
    *ret_publish = publish;
    return TRUC_OK;
}

static void explain(const struct fault *fault, truc_status status, char why[PUBLISH_WHY_BYTES])
{
    char batch[32] = "", record[32] = "";
    if (fault->batch != UINT32_MAX) {
        snprintf(batch, sizeof batch, "batch %u: ", fault->batch);
    }
    if (fault->record != UINT32_MAX) {
        snprintf(record, sizeof record, "record %u: ", fault->record);
    }
    snprintf(why, PUBLISH_WHY_BYTES, "%s%s%s", batch, record,
             fault->rule != NULL && fault->rule[0] != '\0' ? fault->rule : truc_status_text(status));
}

truc_status publish_prepare(struct publisher *publisher, const struct publish_rules *rules, const struct frame *frame,
                            struct net_buffer *buffer, struct publish **ret_publish, char why[PUBLISH_WHY_BYTES])
{
    struct fault fault = {.rule = "", .batch = UINT32_MAX, .record = UINT32_MAX};
    struct publish *first = NULL, *last = NULL;
    struct batches batches;
    truc_status status = split(frame, &batches, &fault);
    if (status == TRUC_OK && frame->payload.size > rules->batch_bytes_max) {
        fault.rule = "beyond the batch_bytes_max of the hello";
        status = TRUC_BATCH_TOO_LARGE;
    }
    while (status == TRUC_OK && batches.done < batches.count) {
        struct batch_view batch;
        struct publish *publish;
        status = next_batch(&batches, first, &batch, &fault);
        if (status == TRUC_OK) {
            status = prepare(publisher, rules, &batch, buffer, &publish, &fault);
        }
        if (status != TRUC_OK) {
            break;
        }
        if (last == NULL) {
            first = publish;
        } else {
            last->prepared.next = &publish->prepared;
        }
        last = publish;
    }
    if (status == TRUC_OK) {
        *ret_publish = first;
    } else {
        explain(&fault, status, why);
        publish_free_all(first);
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

void publish_free_all(struct publish *first)
{
    while (first != NULL) {
        struct core_prepared *next = first->prepared.next;
        publish_free(first);
        first = next != NULL ? next->owner : NULL;
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
