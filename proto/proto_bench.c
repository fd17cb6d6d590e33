/* proto_bench.c: nanoseconds a record of the paths that every record takes. Prints one line per path; the best of several rounds,
 * since what disturbs a round only makes it slower. Usage: proto_bench [RECORDS [DATA_BYTES]] */
#include "proto/batch.h"
#include "proto/codec.h"
#include "proto/cut.h"
#include "proto/digest.h"
#include "proto/directory.h"
#include "proto/entry.h"
#include "proto/record.h"
#include "proto/replay_digest.h"
#include "proto/uuid7.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 15, ROUND_RECORDS = 200000, DATA_BYTES_MAX = 65536, CUT_PARTS = 8 };

struct work {
    size_t record_count, data_size;
    bool has_texts;
    uint8_t *payload, *buffer, *scratch;
    size_t payload_size, buffer_capacity, scratch_capacity;
    struct digest_context *digests;
    struct replay_digest *replay;
    struct uuid7_state uuids;
    struct cutter *cutter;
    struct entry_view entry; /* of the payload, in buffer */
    struct bytes parts[CUT_PARTS];
    struct cut_record *cut_records;
    size_t cut_capacity;
    bool is_scattered; /* a part's records: one in CUT_PARTS, else a run */
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
    if (directory_build(w->secret, bytes_of(w->payload, w->payload_size), (uint32_t)w->record_count, RECORD_BYTES_MAX, 0,
                        &w->scratch, &w->scratch_capacity, &directory, NULL, NULL) == TRUC_OK)
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

/* Makes w->entry of the payload. */
static void make_entry(struct work *w)
{
    struct batch_header_fields fields = {.topic = bytes_of_text("a.b"),
                                         .source = bytes_of_text("H26"),
                                         .system = bytes_of_text("x"),
                                         .record_count = (uint32_t)w->record_count};
    struct entry_fields entry_fields = {.record_count = fields.record_count};
    struct leaf leaf = {.evidence = EVIDENCE_RECORD, .record_count = fields.record_count, .topic = fields.topic};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), leaf_bytes = leaf_size(fields.topic.size);
    uint8_t encoded[LEAF_BYTES_MAX], *batch = w->scratch;

    batch_head_write(batch, &fields, CODEC_NONE, (uint32_t)w->payload_size, (uint32_t)w->payload_size, w->seed);
    memcpy(batch + head, w->payload, w->payload_size);
    digest_header(w->digests, bytes_of(batch + BATCH_PREFIX_BYTES, head - BATCH_PREFIX_BYTES), leaf.header_digest);
    if (digest_records_root(w->digests, w->seed, bytes_of(w->payload, w->payload_size), fields.record_count, leaf.records_root) !=
        TRUC_OK)
        abort();
    leaf_write(&leaf, encoded);
    entry_write(w->buffer, &entry_fields, bytes_of(encoded, leaf_bytes), bytes_of(batch, head + w->payload_size),
                bytes_of(NULL, 0));
    if (entry_parse(bytes_of(w->buffer, w->buffer_capacity), &w->entry) != TRUC_OK)
        abort();
}

static void take_entry(struct work *w)
{
    if (cutter_take(w->cutter, &w->entry) == TRUC_OK)
        w->sink += cutter_record(w->cutter, 0).size;
}

static void cut_entry(struct work *w)
{
    static uint32_t indexes[BATCH_RECORDS_MAX];
    uint8_t *out = w->scratch;

    take_entry(w);
    for (size_t part = 0; part < CUT_PARTS; part++) {
        size_t begin = w->record_count * part / CUT_PARTS, end = w->record_count * (part + 1) / CUT_PARTS, count = 0;
        if (w->is_scattered) {
            for (size_t i = part; i < w->record_count; i += CUT_PARTS)
                indexes[count++] = (uint32_t)i;
        } else {
            for (size_t i = begin; i < end; i++)
                indexes[count++] = (uint32_t)i;
        }
        w->parts[part] = bytes_of(out, cutter_size(w->cutter, indexes, count));
        cutter_write(w->cutter, indexes, count, out);
        out += w->parts[part].size;
    }
    w->sink += (size_t)(out - w->scratch);
}

static void prove_parts(struct work *w)
{
    for (size_t part = 0; part < CUT_PARTS; part++) {
        struct reader served = reader_over(w->parts[part]);
        struct entry_view view;
        struct leaf leaf;
        struct batch_view batch;
        truc_status status;
        size_t count;
        if (!entry_served_next(&served, &view, &status) ||
            cut_prove(w->digests, &view, &leaf, &batch, &w->cut_records, &w->cut_capacity, &count, NULL) != TRUC_OK)
            abort(); /* what is measured must be right */
        w->sink += count;
    }
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
    printf("%-24s %8.1f ns/record  %8.1f MB/s  %8.1f us/batch\n", name, best,
           (double)w->payload_size / (double)w->record_count / best * 1e3, best * (double)w->record_count / 1e3);
}

/* The entry into CUT_PARTS parts, and those proven. */
static void measure_cutting(struct work *w)
{
    make_entry(w);
    measure(w, "cutter_take", take_entry);
    for (int scattered = 0; scattered < 2; scattered++) {
        w->is_scattered = scattered != 0;
        measure(w, scattered ? "cut into 8, scattered" : "cut into 8, runs", cut_entry);
        measure(w, "cut_prove of the 8", prove_parts);
    }
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
    w.scratch_capacity = 4 * size + CUT_PARTS * 1024; /* parts of an entry take more than itself */
    w.scratch = calloc(1, w.scratch_capacity);
    w.cutter = cutter_create();
    w.digests = digest_context_create();
    w.replay = replay_digest_create();
    uuid7_seed(&w.uuids, (const uint64_t[UUID7_SEED_WORDS]){1, 2, 3, 4});
    if (w.replay == NULL || w.payload == NULL || w.buffer == NULL || w.scratch == NULL || w.digests == NULL || w.cutter == NULL) {
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
    if (count >= CUT_PARTS && w.payload_size <= BATCH_RAW_BYTES_MAX)
        measure_cutting(&w);
    printf("(%llu)\n", (unsigned long long)w.sink);
    digest_context_destroy(w.digests);
    replay_digest_destroy(w.replay);
    cutter_destroy(w.cutter);
    free(w.cut_records);
    free(w.payload);
    free(w.buffer);
    free(w.scratch);
    return 0;
}
