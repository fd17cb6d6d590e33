#include "flip_log.h"

#include "proto/codec.h"
#include "proto/directory.h"
#include "proto/record.h"

#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS = 3, RAW_MAX = 16 * 1024, BUFFER_BYTES = 4 * 1024 * 1024 };
static const char *const topics[TOPICS] = {"flip.dossier.filed", "flip.dossier.status", "flip.sensor"};

/* What grows from entry to entry. */
struct maker {
    struct digest_context *digests;
    uint64_t position, offsets[TOPICS];
    uint8_t previous[TOPICS][DIGEST_BYTES];
    int64_t time_ns;
    const struct log_identity *identity;
};

/* One append and the memory behind it. */
struct made {
    struct log_append append;
    uint8_t leaf[LEAF_BYTES_MAX], batch[BATCH_PREFIX_BYTES + BATCH_HEADER_BYTES_MAX + 2 * RAW_MAX];
    uint8_t *directory;
    size_t directory_capacity;
};

static size_t raw_fill(uint8_t *out, uint64_t position, uint32_t count)
{
    uint8_t *at = out;
    for (uint32_t i = 0; i < count; i++) {
        char key[32], data[256];
        int key_size = snprintf(key, sizeof key, "H26.%llu", (unsigned long long)position % 7);
        int data_size = snprintf(data, sizeof data,
                                 "dossier %llu, step %u: what was decided and by whom, at some length and again at "
                                 "some length",
                                 (unsigned long long)position, i);
        uint8_t id[16] = {0x01, 0x90};
        store_u32(id + 8, i);
        store_u32(id + 12, (uint32_t)position);
        struct record_view view = {.id = {id, sizeof id},
                                   .key = {(uint8_t *)key, (size_t)key_size},
                                   .data = {(uint8_t *)data, (size_t)data_size},
                                   .time_ns = 1700000000000000000 + i};
        at = varint_put(at, record_encoded_size(&view, NULL, 0));
        at = record_encode(&view, NULL, 0, at);
    }
    return (size_t)(at - out);
}

/* A batch as a client sends it, then the leaf and the directory as the broker makes them. */
static bool make(struct maker *maker, struct made *made)
{
    size_t t = maker->position % TOPICS;
    uint32_t count = 1 + (uint32_t)(maker->position * 7 % 24);
    enum codec codec = (enum codec)(maker->position / TOPICS % CODEC_COUNT);
    enum evidence evidence = t == 2 ? EVIDENCE_BATCH : EVIDENCE_RECORD;
    uint8_t raw[RAW_MAX], seed[SALT_SEED_BYTES];
    struct bytes payload = {raw, raw_fill(raw, maker->position, count)};
    memset(seed, (int)(maker->position + 1), sizeof seed);
    struct batch_header_fields fields = {.topic = bytes_of_text(topics[t]),
                                         .source = bytes_of_text("H26.16"),
                                         .system = bytes_of_text("portal"),
                                         .evidence = evidence,
                                         .producer_id = 1,
                                         .epoch = 1,
                                         .first_sequence = maker->offsets[t],
                                         .record_count = count};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), stored = payload.size;
    if (codec == CODEC_NONE)
        memcpy(made->batch + head, raw, stored);
    else if (codec_pack(codec, payload, made->batch + head, sizeof made->batch - head, &stored) != TRUC_OK)
        return false;
    batch_head_write(made->batch, &fields, codec, (uint32_t)stored, (uint32_t)payload.size, seed);
    struct batch_view view;
    struct leaf leaf = {.evidence = (uint8_t)evidence,
                        .record_count = count,
                        .position = maker->position,
                        .base_offset = maker->offsets[t],
                        .append_time_ns = ++maker->time_ns,
                        .topic = fields.topic};
    const char *reason = "";
    struct bytes directory;
    uint32_t bad = 0;
    if (batch_parse(bytes_of(made->batch, head + stored), &view, &reason) != TRUC_OK ||
        directory_build(maker->identity->hash_secret, payload, count, RECORD_BYTES_DEFAULT, batch_record_flags(&view),
                        &made->directory, &made->directory_capacity, &directory, &bad, &reason) != TRUC_OK ||
        batch_root(maker->digests, &view, evidence, payload, leaf.records_root) != TRUC_OK) {
        fprintf(stderr, "flip: an entry could not be made: %s\n", reason);
        return false;
    }
    memcpy(leaf.log_id, maker->identity->log_id, LOG_ID_BYTES);
    memcpy(leaf.previous, maker->previous[t], DIGEST_BYTES);
    digest_header(maker->digests, view.header, leaf.header_digest);
    leaf_write(&leaf, made->leaf);
    made->append = (struct log_append){.fields = {.topic_id = (uint32_t)t + 1,
                                                  .record_count = count,
                                                  .epoch = 1,
                                                  .producer_id = 1,
                                                  .first_sequence = maker->offsets[t]},
                                       .position = maker->position,
                                       .base_offset = maker->offsets[t],
                                       .append_time_ns = maker->time_ns,
                                       .leaf = {made->leaf, leaf_size(fields.topic.size)},
                                       .batch = view.encoded,
                                       .directory = directory};
    digest_leaf(maker->digests, made->append.leaf, made->append.leaf_hash);
    memcpy(maker->previous[t], made->append.leaf_hash, DIGEST_BYTES);
    maker->offsets[t] += count;
    maker->position++;
    return true;
}

static size_t first_deltas(uint8_t *out)
{
    size_t size = 0;
    for (uint32_t t = 0; t < TOPICS; t++) {
        struct delta topic = {.kind = DELTA_TOPIC,
                              .topic = {t + 1, t == 2 ? EVIDENCE_BATCH : EVIDENCE_RECORD, bytes_of_text(topics[t])}};
        size += delta_write(out + size, &topic);
    }
    struct delta producer = {.kind = DELTA_PRODUCER,
                             .producer = {1, 1, true, bytes_of_text("H26.16/portal"), bytes_of_text("flip")}};
    return size + delta_write(out + size, &producer);
}

static bool fill(struct log *log)
{
    static struct made made[FLIP_ENTRIES_PER_BLOCK];
    struct maker maker = {
        .digests = digest_context_create(), .identity = log_identity(log), .time_ns = log_identity(log)->created_ns};
    bool fine = maker.digests != NULL;
    for (int b = 0; fine && b < FLIP_BLOCKS; b++) {
        struct log_append appends[FLIP_ENTRIES_PER_BLOCK];
        uint8_t deltas[(TOPICS + 1) * DELTA_BYTES_MAX];
        for (int i = 0; fine && i < FLIP_ENTRIES_PER_BLOCK; i++) {
            fine = make(&maker, &made[i]);
            appends[i] = made[i].append;
        }
        struct log_draft draft = {.appends = appends, .append_count = FLIP_ENTRIES_PER_BLOCK};
        if (b == 0) {
            draft.deltas = bytes_of(deltas, first_deltas(deltas));
            draft.delta_count = TOPICS + 1;
        }
        struct log_head head;
        char why[LOG_WHY_BYTES] = "";
        if (fine && log_commit(log, &draft, &head, why) != TRUC_OK) {
            fprintf(stderr, "flip: a block could not be committed: %s\n", why);
            fine = false;
        }
    }
    for (int i = 0; i < FLIP_ENTRIES_PER_BLOCK; i++)
        free(made[i].directory);
    digest_context_destroy(maker.digests);
    return fine;
}

/* --- where the entries are ------------------------------------------------------------------------------------------------- */

static truc_status ignore_topic(void *context, const struct topic_row *row)
{
    (void)context;
    (void)row;
    return TRUC_OK;
}

static truc_status ignore_producer(void *context, const struct producer_row *row)
{
    (void)context;
    (void)row;
    return TRUC_OK;
}

static truc_status ignore_sequence(void *context, const struct sequence_row *row)
{
    (void)context;
    (void)row;
    return TRUC_OK;
}

truc_status flip_log_open(const char *directory, struct log **ret_log, char *why)
{
    static const struct catalog_visitor visitor = {.topic = ignore_topic, .producer = ignore_producer, .sequence = ignore_sequence};
    struct log_options options;
    log_options_init(&options);
    options.engine = "lmdb";
    options.directory = directory;
    options.domain = "local/flip";
    options.now_ns = 1700000000000000000;
    options.segment_bytes = 8 << 20;
    return log_open(&options, &visitor, ret_log, why);
}

static bool serve_all(struct log *log, struct flip_entry entries[FLIP_ENTRIES])
{
    struct log_filter filter = {.pattern = bytes_of_text(">")};
    struct log_reader *reader = NULL;
    char why[LOG_WHY_BYTES] = "";
    uint8_t *buffer = malloc(BUFFER_BYTES);
    struct log_read read = {.until = FLIP_ENTRIES, .out = buffer, .capacity = BUFFER_BYTES};
    size_t count = 0;
    if (buffer != NULL && log_reader_create(log, &filter, false, &reader) == TRUC_OK &&
        log_reader_read(reader, &read, why) == TRUC_OK) {
        struct reader r = reader_over(bytes_of(buffer, read.size));
        struct entry_view view;
        truc_status status = TRUC_OK;
        const uint8_t *start = r.at;
        for (; count < FLIP_ENTRIES && entry_served_next(&r, &view, &status); start = r.at) {
            size_t size = (size_t)(r.at - start);
            uint8_t *copy = malloc(size);
            if (copy == NULL)
                break;
            memcpy(copy, start, size);
            entries[count].served = bytes_of(copy, size);
            entries[count++].size = view.entry_size;
        }
    }
    log_reader_destroy(reader);
    free(buffer);
    if (count != FLIP_ENTRIES)
        fprintf(stderr, "flip: %zu of %d entries could be read: %s\n", count, FLIP_ENTRIES, why);
    return count == FLIP_ENTRIES;
}

/* Where the mapping that holds an address begins; segments are mapped whole, from offset 0. */
static const uint8_t *map_start(const void *address)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1024];
    uintptr_t start = 0, end = 0, found = 0;
    while (maps != NULL && found == 0 && fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) == 2 && (uintptr_t)address >= start && (uintptr_t)address < end)
            found = start;
    }
    if (maps != NULL)
        fclose(maps);
    return (const uint8_t *)found;
}

/* Finds the entries in the blocks of one segment. LMDB keeps stale copies of small pages in the file, so the live ones are asked
 * of LMDB: a value's place in the map is its place in the file. */
static bool look_into(const char *path, struct flip_entry entries[FLIP_ENTRIES])
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_dbi blocks;
    MDB_val key, value;
    bool fine = mdb_env_create(&env) == 0 && mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0) == 0 &&
                mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &blocks) == 0 &&
                mdb_cursor_open(txn, blocks, &cursor) == 0;
    const uint8_t *map = NULL;
    for (int code = fine ? mdb_cursor_get(cursor, &key, &value, MDB_FIRST) : MDB_NOTFOUND; code == 0;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        for (size_t i = 0; i < FLIP_ENTRIES; i++) {
            const uint8_t *found = memmem(value.mv_data, value.mv_size, entries[i].served.data, entries[i].served.size);
            if (found == NULL)
                continue;
            if (map == NULL)
                map = map_start(value.mv_data);
            snprintf(entries[i].file, sizeof entries[i].file, "%s", path);
            entries[i].offset = (uint64_t)(found - map);
        }
    }
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    if (txn != NULL)
        mdb_txn_abort(txn);
    if (env != NULL)
        mdb_env_close(env);
    return fine;
}

bool flip_log_create(const char *directory, struct flip_entry entries[FLIP_ENTRIES])
{
    struct log *log = NULL;
    char why[LOG_WHY_BYTES] = "";
    truc_status status = flip_log_open(directory, &log, why);
    if (status != TRUC_OK) {
        fprintf(stderr, "flip: %s: %s: %s\n", directory, truc_status_name(status), why);
        return false;
    }
    bool fine = fill(log) && serve_all(log, entries);
    log_close(log);
    if (!fine)
        return false;
    char path[600];
    snprintf(path, sizeof path, "%s/segments/%020d.mdb", directory, 0);
    if (!look_into(path, entries)) {
        fprintf(stderr, "flip: %s cannot be read by LMDB\n", path);
        return false;
    }
    for (size_t i = 0; i < FLIP_ENTRIES; i++) {
        if (entries[i].file[0] == '\0') {
            fprintf(stderr, "flip: entry %zu is in no block\n", i);
            return false;
        }
    }
    return true;
}
