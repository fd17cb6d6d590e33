#include "broker/log/log_test_kit.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/directory.h"

#define KIT_CHECK(condition)                                                                                                       \
    do {                                                                                                                           \
        if (!(condition)) {                                                                                                        \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                          \
            abort();                                                                                                               \
        }                                                                                                                          \
    } while (0)

char *kit_directory(void)
{
    const char *base = getenv("TMPDIR");
    base = base != NULL ? base : "/tmp";
    size_t size = strlen(base) + 32;
    char *directory = malloc(size);
    KIT_CHECK(directory != NULL);
    (void)snprintf(directory, size, "%s/truc-log-XXXXXX", base);
    KIT_CHECK(mkdtemp(directory) != NULL);
    return directory;
}

static void remove_tree(const char *path, int depth)
{
    DIR *stream = depth < 4 ? opendir(path) : NULL;
    if (stream == NULL) {
        (void)unlink(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char child[4096];
            (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
            remove_tree(child, depth + 1);
        }
    }
    (void)closedir(stream);
    (void)rmdir(path);
}

void kit_remove(char *directory)
{
    remove_tree(directory, 0);
    free(directory);
}

void kit_options(struct log_options *ret_options, const char *engine, const char *directory)
{
    log_options_init(ret_options);
    ret_options->engine = engine;
    ret_options->directory = directory;
    ret_options->domain = "H26/test";
    ret_options->now_ns = 1700000000000000000;
    ret_options->segment_bytes = 8 << 20;
    ret_options->index_flush_bytes = 1 << 18;
    ret_options->segments_open_max = 2;
}

void maker_init(struct maker *maker, struct log *log)
{
    *maker = (struct maker){.log = log, .producer_id = 1, .clock_ns = 1700000000000000000, .digests = digest_context_create()};
    maker->topics = calloc(KIT_TOPICS_MAX, sizeof *maker->topics);
    KIT_CHECK(maker->digests != NULL && maker->topics != NULL);
    struct delta producer = {
        .kind = DELTA_PRODUCER,
        .producer = {
            .producer_id = 1, .epoch = 1, .named = true, .scope = bytes_of_text("H26.16/portal"), .name = bytes_of_text("kit")}};
    maker_delta(maker, &producer);
}

static void free_draft(struct maker *maker)
{
    for (size_t i = 0; i < maker->owned_count; i++) {
        free(maker->owned[i]);
    }
    maker->owned_count = 0;
    maker->append_count = 0;
    maker->deltas_size = 0;
    maker->delta_count = 0;
}

void maker_fini(struct maker *maker)
{
    free_draft(maker);
    free(maker->owned);
    free(maker->appends);
    free(maker->deltas);
    free(maker->topics);
    digest_context_destroy(maker->digests);
}

void maker_reopen(struct maker *maker, struct log *log)
{
    maker->log = log;
}

void maker_delta(struct maker *maker, const struct delta *delta)
{
    if (maker->deltas_capacity - maker->deltas_size < DELTA_BYTES_MAX) {
        maker->deltas_capacity = maker->deltas_capacity * 2 + (size_t)4 * DELTA_BYTES_MAX;
        maker->deltas = realloc(maker->deltas, maker->deltas_capacity);
        KIT_CHECK(maker->deltas != NULL);
    }
    maker->deltas_size += delta_write(maker->deltas + maker->deltas_size, delta);
    maker->delta_count++;
}

uint32_t maker_topic(struct maker *maker, const char *name)
{
    for (uint32_t i = maker->topic_count; i > 0; i--) {
        if (strcmp(maker->topics[i - 1].name, name) == 0) {
            return i;
        }
    }
    return maker_new_topic(maker, name, EVIDENCE_RECORD);
}

uint32_t maker_new_topic(struct maker *maker, const char *name, enum evidence evidence)
{
    KIT_CHECK(maker->topic_count < KIT_TOPICS_MAX);
    struct kit_topic *topic = &maker->topics[maker->topic_count++];
    (void)snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->evidence = evidence;
    struct delta delta = {
        .kind = DELTA_TOPIC,
        .topic = {.topic_id = maker->topic_count, .evidence = (uint8_t)evidence, .name = bytes_of_text(topic->name)}};
    maker_delta(maker, &delta);
    return maker->topic_count;
}

/* Records one after the other in the payload's form. */
static uint8_t *make_payload(const struct kit_batch *batch, uint64_t first_id, size_t *ret_size)
{
    enum { RECORD_ROOM = 2048 }; /* beside the data */
    size_t data_bytes = batch->data_bytes;
    uint8_t *data = malloc(data_bytes + 1), *payload = malloc((size_t)batch->record_count * (data_bytes + RECORD_ROOM) + 1);
    uint8_t *p = payload;
    KIT_CHECK(data != NULL && payload != NULL);
    for (size_t i = 0; i < data_bytes; i++) {
        data[i] = (uint8_t)(i * 31 + first_id);
    }
    for (uint32_t i = 0; i < batch->record_count; i++) {
        char id[24];
        int id_size = snprintf(id, sizeof id, "%016" PRIx64, first_id + i);
        struct record_header headers[KIT_HEADERS_MAX];
        struct record_view record = {
            .id = bytes_of(id, (size_t)id_size), .data = bytes_of(data, data_bytes), .time_ns = batch->event_ns};
        record.key = batch->key != NULL ? bytes_of_text(batch->key) : record.key;
        size_t header_count = batch->vary != NULL ? batch->vary(batch->context, i, &record, headers) : 0;
        size_t size = record_encoded_size(&record, headers, header_count);
        KIT_CHECK(size < data_bytes + RECORD_ROOM - 10);
        p = varint_put(p, size);
        p = record_encode(&record, headers, header_count, p);
    }
    free(data);
    *ret_size = (size_t)(p - payload);
    return payload;
}

static void own(struct maker *maker, uint8_t *buffer)
{
    if (maker->owned_count == maker->owned_capacity) {
        maker->owned_capacity = maker->owned_capacity * 2 + 16;
        maker->owned = realloc(maker->owned, maker->owned_capacity * sizeof *maker->owned);
        KIT_CHECK(maker->owned != NULL);
    }
    maker->owned[maker->owned_count++] = buffer;
}

static struct bytes make_batch(struct maker *maker, const struct batch_header_fields *fields, enum codec codec,
                               struct bytes payload)
{
    uint8_t seed[SALT_SEED_BYTES] = {7};
    store_u64(seed + 8, fields->first_sequence);
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(fields), stored = payload.size;
    uint8_t *batch = malloc(head + codec_bound(codec, payload.size));
    KIT_CHECK(batch != NULL);
    if (codec == CODEC_NONE) {
        memcpy(batch + head, payload.data, payload.size);
    } else {
        KIT_CHECK(codec_pack(codec, payload, batch + head, codec_bound(codec, payload.size), &stored) == TRUC_OK);
    }
    batch_head_write(batch, fields, codec, (uint32_t)stored, (uint32_t)payload.size, seed);
    own(maker, batch);
    return bytes_of(batch, head + stored);
}

static void make_leaf(struct maker *maker, struct log_append *append, struct kit_topic *topic, const struct batch_view *batch,
                      struct bytes raw)
{
    struct leaf leaf = {.evidence = (uint8_t)topic->evidence,
                        .record_count = append->fields.record_count,
                        .position = append->position,
                        .base_offset = append->base_offset,
                        .append_time_ns = append->append_time_ns,
                        .topic = bytes_of_text(topic->name)};
    memcpy(leaf.log_id, log_identity(maker->log)->log_id, LOG_ID_BYTES);
    digest_header(maker->digests, batch->header, leaf.header_digest);
    KIT_CHECK(batch_root(maker->digests, batch, topic->evidence, raw, leaf.records_root) == TRUC_OK);
    if (topic->has_leaf) {
        memcpy(leaf.previous, topic->last_leaf, DIGEST_BYTES);
    }
    uint8_t *encoded = malloc(leaf_size(leaf.topic.size));
    KIT_CHECK(encoded != NULL);
    leaf_write(&leaf, encoded);
    own(maker, encoded);
    append->leaf = bytes_of(encoded, leaf_size(leaf.topic.size));
    digest_leaf(maker->digests, append->leaf, append->leaf_hash);
    memcpy(topic->last_leaf, append->leaf_hash, DIGEST_BYTES);
    topic->has_leaf = true;
}

void maker_add(struct maker *maker, uint32_t topic_id, uint32_t record_count, size_t data_bytes, const char *key, int64_t event_ns)
{
    struct kit_batch batch = {.record_count = record_count, .data_bytes = data_bytes, .key = key, .event_ns = event_ns};
    maker_add_batch(maker, topic_id, &batch);
}

void maker_add_batch(struct maker *maker, uint32_t topic_id, const struct kit_batch *made)
{
    struct kit_topic *topic = &maker->topics[topic_id - 1];
    uint32_t record_count = made->record_count;
    size_t payload_size, capacity = 0;
    uint8_t *payload = make_payload(made, (uint64_t)topic_id << 40 | topic->next_offset, &payload_size);
    struct batch_header_fields fields = {.topic = bytes_of_text(topic->name),
                                         .source = bytes_of_text("H26.16"),
                                         .system = bytes_of_text(made->system != NULL ? made->system : "portal"),
                                         .evidence = topic->evidence,
                                         .producer_id = maker->producer_id,
                                         .epoch = 1,
                                         .first_sequence = topic->next_sequence,
                                         .record_count = record_count,
                                         .deliver_at_ns = made->deliver_at_ns};
    struct log_append append = {.fields = {topic_id, record_count, 1, maker->producer_id, topic->next_sequence},
                                .position = maker->position++,
                                .base_offset = topic->next_offset,
                                .append_time_ns = ++maker->clock_ns};
    append.batch = make_batch(maker, &fields, made->codec, bytes_of(payload, payload_size));
    struct batch_view batch;
    const char *why;
    KIT_CHECK(batch_parse(append.batch, &batch, &why) == TRUC_OK);
    uint8_t *directory = NULL;
    KIT_CHECK(directory_build(log_identity(maker->log)->hash_secret, bytes_of(payload, payload_size), record_count,
                              RECORD_BYTES_MAX, batch_record_flags(&batch), &directory, &capacity, &append.directory, NULL,
                              &why) == TRUC_OK);
    own(maker, directory);
    make_leaf(maker, &append, topic, &batch, bytes_of(payload, payload_size));
    free(payload);
    topic->next_offset += record_count;
    topic->next_sequence += record_count;
    if (maker->append_count == maker->append_capacity) {
        maker->append_capacity = maker->append_capacity * 2 + 16;
        maker->appends = realloc(maker->appends, maker->append_capacity * sizeof *maker->appends);
        KIT_CHECK(maker->appends != NULL);
    }
    maker->appends[maker->append_count++] = append;
}

truc_status maker_try_commit(struct maker *maker, struct log_head *ret_head, char *why)
{
    struct log_draft draft = {.appends = maker->appends,
                              .append_count = maker->append_count,
                              .deltas = bytes_of(maker->deltas, maker->deltas_size),
                              .delta_count = maker->delta_count,
                              .append_time_ns = maker->clock_ns};
    truc_status status = log_commit(maker->log, &draft, ret_head, why);
    free_draft(maker);
    return status;
}

struct log_head maker_commit(struct maker *maker)
{
    struct log_head head;
    char why[LOG_WHY_BYTES] = "";
    truc_status status = maker_try_commit(maker, &head, why);
    if (status != TRUC_OK) {
        (void)fprintf(stderr, "commit: %s: %s\n", truc_status_name(status), why);
    }
    KIT_CHECK(status == TRUC_OK);
    return head;
}

size_t kit_read(struct log *log, const char *pattern, uint64_t from, uint64_t until, bool reverse, uint64_t *positions, size_t max)
{
    struct log_filter filter = {.pattern = bytes_of_text(pattern)};
    struct log_reader *reader;
    char why[LOG_WHY_BYTES] = "";
    KIT_CHECK(log_reader_create(log, &filter, reverse, &reader) == TRUC_OK);
    static uint8_t out[2 << 20];
    struct log_read read = {.from = from, .until = until, .out = out, .capacity = sizeof out};
    size_t count = 0;
    while (read.from != until) {
        truc_status status = log_reader_read(reader, &read, why);
        if (status != TRUC_OK) {
            (void)fprintf(stderr, "read: %s: %s\n", truc_status_name(status), why);
        }
        KIT_CHECK(status == TRUC_OK && read.needed == 0);
        KIT_CHECK(reverse ? read.next <= read.from : read.next >= read.from);
        struct reader payload = reader_over(bytes_of(out, read.size));
        struct entry_view entry;
        uint32_t entries = 0;
        while (entry_served_next(&payload, &entry, &status)) {
            struct leaf leaf;
            KIT_CHECK(leaf_parse(entry.leaf, &leaf) == TRUC_OK);
            KIT_CHECK(reverse ? leaf.position >= read.next && leaf.position < read.from
                              : leaf.position < read.next && leaf.position >= read.from);
            if (count < max) {
                positions[count] = leaf.position;
            }
            count++;
            entries++;
        }
        KIT_CHECK(status == TRUC_OK && entries == read.entry_count);
        KIT_CHECK(read.next != read.from);
        read.from = read.next;
    }
    log_reader_destroy(reader);
    return count;
}
