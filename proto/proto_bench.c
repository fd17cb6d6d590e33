/* proto_bench.c: nanoseconds a record of the paths that every record takes. Prints one line per path; the best of several rounds,
 * since what disturbs a round only makes it slower. Usage: proto_bench [RECORDS [DATA_BYTES]] */
#include "proto/batch.h"
#include "proto/codec.h"
#include "proto/digest.h"
#include "proto/directory.h"
#include "proto/entry.h"
#include "proto/record.h"
#include "proto/replay_digest.h"
#include "proto/uuid7.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 15, ROUND_RECORDS = 200000, DATA_BYTES_MAX = 65536 };

struct work {
    size_t record_count, data_size;
    bool has_texts;
    uint8_t *payload, *buffer, *scratch;
    size_t payload_size, buffer_capacity, scratch_capacity;
    struct digest_context *digests;
    struct replay_digest *replay;
    struct uuid7_state uuids;
    uint8_t seed[SALT_SEED_BYTES], secret[HASH_SECRET_BYTES], data[DATA_BYTES_MAX];
    uint64_t sink; /* keeps results alive */
};

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void encode_all(struct work *w)
{
    uint8_t id[16] = {0};
    struct record_view view = {
        .id = bytes_of(id, sizeof id), .time_ns = 1591344000000000000, .data = bytes_of(w->data, w->data_size)};
    if (w->has_texts) {
        view.type = bytes_of_text("vn.gov.dossier.status");
        view.key = bytes_of_text("H26.16-200605-0001");
    }
    uint8_t *p = w->payload;
    for (size_t i = 0; i < w->record_count; i++) {
        store_u64(id, i);
        p = varint_put(p, record_encoded_size(&view, NULL, 0));
        p = record_encode(&view, NULL, 0, p);
    }
    w->payload_size = (size_t)(p - w->payload);
}

static void parse_all(struct work *w)
{
    struct reader r = reader_over(bytes_of(w->payload, w->payload_size));
    struct record_view view;
    struct bytes record;
    truc_status status;
    while (records_next(&r, &record, &status)) {
        if (record_parse(record, &view, NULL) == TRUC_OK)
            w->sink += view.data.size;
    }
}

static void brief_all(struct work *w)
{
    struct reader r = reader_over(bytes_of(w->payload, w->payload_size));
    struct record_brief brief;
    struct bytes record;
    truc_status status;
    while (records_next(&r, &record, &status)) {
        if (record_brief_parse(record, &brief, NULL) == TRUC_OK)
            w->sink += (uint64_t)brief.time_ns;
    }
}

static void build_directory(struct work *w)
{
    struct bytes directory;
    if (directory_build(w->secret, bytes_of(w->payload, w->payload_size), (uint32_t)w->record_count, RECORD_BYTES_MAX, &w->scratch,
                        &w->scratch_capacity, &directory, NULL, NULL) == TRUC_OK)
        w->sink += directory.size;
}

static void root_by_record(struct work *w)
{
    uint8_t root[DIGEST_BYTES];
    if (digest_records_root(w->digests, w->seed, bytes_of(w->payload, w->payload_size), (uint32_t)w->record_count, root) == TRUC_OK)
        w->sink += root[0];
}

static void root_by_batch(struct work *w)
{
    uint8_t root[DIGEST_BYTES];
    if (digest_batch_root(w->digests, w->seed, bytes_of(w->payload, w->payload_size), root) == TRUC_OK)
        w->sink += root[0];
}

static void add_to_replay(struct work *w)
{
    struct reader r = reader_over(bytes_of(w->payload, w->payload_size));
    uint8_t value[DIGEST_BYTES];
    struct bytes record;
    truc_status status;
    replay_digest_begin(w->replay, w->seed, 1);
    for (uint32_t i = 0; records_next(&r, &record, &status); i++)
        replay_digest_add(w->replay, 1, i, record);
    replay_digest_value(w->replay, value);
    w->sink += value[0];
}

static void generate_ids(struct work *w)
{
    uint8_t id[UUID_BYTES];
    for (size_t i = 0; i < w->record_count; i++) {
        uuid7_generate(&w->uuids, 1591344000000, id);
        w->sink += id[15];
    }
}

static void write_entry(struct work *w)
{
    static const uint8_t leaf[LEAF_BYTES_MAX];
    struct entry_fields fields = {0};
    entry_write(w->buffer, &fields, bytes_of(leaf, 240), bytes_of(w->payload, w->payload_size), bytes_of(w->data, 56));
    w->sink += w->buffer[56];
}

static void parse_entry(struct work *w)
{
    struct entry_view view;
    if (entry_parse(bytes_of(w->buffer, w->buffer_capacity), &view) == TRUC_OK)
        w->sink += view.batch.size;
}

static void pack_and_unpack(struct work *w, enum codec codec)
{
    size_t size;
    if (codec_pack(codec, bytes_of(w->payload, w->payload_size), w->buffer, w->buffer_capacity, &size) == TRUC_OK &&
        w->scratch_capacity >= w->payload_size &&
        codec_unpack(codec, bytes_of(w->buffer, size), w->scratch, w->payload_size) == TRUC_OK)
        w->sink += size;
}

static void lz4_both_ways(struct work *w)
{
    pack_and_unpack(w, CODEC_LZ4);
}

static void zstd_both_ways(struct work *w)
{
    pack_and_unpack(w, CODEC_ZSTD);
}

static void measure(struct work *w, const char *name, void (*path)(struct work *))
{
    double best = 1e18;
    size_t repeats = ROUND_RECORDS / w->record_count + 1;
    path(w);
    for (int round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        for (size_t i = 0; i < repeats; i++)
            path(w);
        double ns = (now_ns() - begin) / (double)(repeats * w->record_count);
        best = ns < best ? ns : best;
    }
    printf("%-24s %8.1f ns/record  %8.1f MB/s\n", name, best, (double)w->payload_size / (double)w->record_count / best * 1e3);
}

int main(int argc, char **argv)
{
    static struct work w;
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1600, data_size = argc > 2 ? strtoul(argv[2], NULL, 10) : 128;

    if (count < 1 || count > BATCH_RECORDS_MAX || data_size > DATA_BYTES_MAX) {
        (void)fputs("usage: proto_bench [RECORDS 1..65535 [DATA_BYTES 0..65536]]\n", stderr);
        return 2;
    }
    w.record_count = count;
    w.data_size = data_size;
    for (size_t i = 0; i < sizeof w.data; i++)
        w.data[i] = (uint8_t)(i * 2654435761u >> 13);
    size_t size = count * (data_size + 128);
    w.payload = calloc(1, size);
    w.buffer_capacity = size + size / 8 + 4096;
    w.buffer = calloc(1, w.buffer_capacity);
    w.scratch_capacity = size;
    w.scratch = calloc(1, size);
    w.digests = digest_context_create();
    w.replay = replay_digest_create();
    uuid7_seed(&w.uuids, (const uint64_t[UUID7_SEED_WORDS]){1, 2, 3, 4});
    if (w.replay == NULL || w.payload == NULL || w.buffer == NULL || w.scratch == NULL || w.digests == NULL) {
        (void)fputs("out of memory\n", stderr);
        return 1;
    }
    for (int texts = 0; texts < 2; texts++) {
        w.has_texts = texts != 0;
        printf("%lu records of %lu bytes of data, %s key and type\n", count, data_size, texts ? "with" : "without");
        measure(&w, "record_encode", encode_all);
        measure(&w, "record_parse", parse_all);
        measure(&w, "record_brief_parse", brief_all);
        measure(&w, "directory_build", build_directory);
        measure(&w, "digest_records_root", root_by_record);
    }
    measure(&w, "digest_batch_root", root_by_batch);
    measure(&w, "replay_digest_add", add_to_replay);
    measure(&w, "uuid7_generate", generate_ids);
    measure(&w, "entry_write", write_entry);
    measure(&w, "entry_parse", parse_entry);
    measure(&w, "lz4 pack and unpack", lz4_both_ways);
    measure(&w, "zstd pack and unpack", zstd_both_ways);
    printf("(%llu)\n", (unsigned long long)w.sink);
    digest_context_destroy(w.digests);
    replay_digest_destroy(w.replay);
    free(w.payload);
    free(w.buffer);
    free(w.scratch);
    return 0;
}
