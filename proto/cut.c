/* cut.c: writes parts of an entry with what proves them, and proves them. */
#include "proto/cut.h"

#include "proto/record.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    AT_CHOSEN_COUNT = 0,
    AT_DIGEST_COUNT = 4,
    PAYLOAD_HEAD_BYTES = 8,
    AT_INDEX = 0,
    AT_SIZE = 4,
    AT_SALT = 8,
    RECORD_HEAD_BYTES = AT_SALT + SALT_BYTES,
    TREE_FAN_BITS = 4,
    TREE_LEVELS_MAX = 5 /* 65,535 records, 4,096 nodes, 256, 16, 1 */
};

_Static_assert((int)TREE_FAN == 1 << TREE_FAN_BITS, "levels are found by shifting");
_Static_assert(BATCH_RECORDS_MAX <= 1 << TREE_FAN_BITS * (TREE_LEVELS_MAX - 1), "the levels reach the root");

/* Goes from left to right over the largest subtrees that hold no chosen record. */
struct walk {
    const uint32_t *chosen; /* indexes of records, ascending; at least one */
    size_t chosen_count;
    uint32_t record_count;
    size_t next; /* the first chosen one not passed */
    uint32_t at; /* the first record not passed */
};

static struct walk walk_over(const uint32_t *chosen, size_t chosen_count, uint32_t record_count)
{
    assert(chosen_count > 0 && chosen_count <= record_count);
    return (struct walk){.chosen = chosen, .chosen_count = chosen_count, .record_count = record_count};
}

/* The next subtree: its top is node ret_index of level ret_level, level 0 being the records' digests. */
static bool walk_next(struct walk *walk, unsigned *ret_level, uint32_t *ret_index)
{
    unsigned bits = 0;
    uint32_t end;

    for (;; walk->at++, walk->next++) {
        end = walk->next < walk->chosen_count ? walk->chosen[walk->next] : walk->record_count;
        if (walk->at < end)
            break;
        if (walk->next == walk->chosen_count)
            return false;
    }
    /* As high as a subtree begins here and ends before the next chosen one. A row's last subtree ends with the records. */
    for (uint32_t span = TREE_FAN; (walk->at & (span - 1)) == 0 && (end - walk->at >= span || end == walk->record_count);
         span <<= TREE_FAN_BITS)
        bits += TREE_FAN_BITS;
    *ret_level = bits / TREE_FAN_BITS;
    *ret_index = walk->at >> bits;
    walk->at = end - walk->at < 1u << bits ? end : walk->at + (1u << bits);
    return true;
}

/* --- salts and digests ------------------------------------------------------------------------------------------------------- */

/* Where in the payload a record is. */
struct cut_spot {
    uint64_t checksum; /* XXH3-64 of its bytes */
    uint32_t at, size;
};

struct cut_tree {
    atomic_uint references;
    uint32_t record_count;
    size_t bytes;
    uint64_t head;                    /* checksum of fields, leaf and header */
    const uint8_t *salts;             /* SALT_BYTES each; these, the levels and the spots are in memory */
    struct cut_spot *spots;           /* of each record */
    uint8_t *levels[TREE_LEVELS_MAX]; /* digests; the records' first, the last one is records_root */
    const uint8_t *root;
    uint8_t memory[];
};

void cut_tree_ref(struct cut_tree *tree)
{
    atomic_fetch_add_explicit(&tree->references, 1, memory_order_relaxed);
}

void cut_tree_unref(struct cut_tree *tree)
{
    if (tree != NULL && atomic_fetch_sub_explicit(&tree->references, 1, memory_order_acq_rel) == 1)
        free(tree);
}

size_t cut_tree_bytes(const struct cut_tree *tree)
{
    return tree->bytes;
}

static size_t tree_digests(size_t record_count)
{
    size_t total = record_count;
    for (size_t width = record_count; width > 1; total += width)
        width = tree_nodes(width);
    return total;
}

/* Of what a part has in common with the whole. */
static uint64_t head_checksum(const struct entry_view *entry, struct bytes header)
{
    const uint64_t fields[] = {entry->fields.producer_id, entry->fields.first_sequence,
                               (uint64_t)entry->fields.topic_id << 32 | entry->fields.record_count, entry->fields.epoch};
    uint64_t sum = XXH3_64bits(fields, sizeof fields);

    sum = XXH3_64bits_withSeed(entry->leaf.data, entry->leaf.size, sum);
    return XXH3_64bits_withSeed(header.data, header.size, sum);
}

/* NULL when out of memory. */
static struct cut_tree *tree_create(struct digest_context *digests, const uint8_t seed[SALT_SEED_BYTES], struct bytes raw,
                                    const struct bytes *records, uint32_t record_count)
{
    size_t salt_bytes = (size_t)record_count * SALT_BYTES, level = 0, width = record_count;
    size_t digest_bytes = tree_digests(record_count) * DIGEST_BYTES;
    size_t bytes = sizeof(struct cut_tree) + salt_bytes + digest_bytes + record_count * sizeof(struct cut_spot);
    struct cut_tree *tree = malloc(bytes);

    if (tree == NULL)
        return NULL;
    *tree = (struct cut_tree){.references = 1, .record_count = record_count, .bytes = bytes, .salts = tree->memory};
    tree->levels[0] = tree->memory + salt_bytes;
    digest_salts(digests, seed, record_count, tree->memory);
    digest_records(digests, tree->salts, records, record_count, tree->levels[0]);
    for (; width > 1; level++, width = tree_nodes(width)) {
        tree->levels[level + 1] = tree->levels[level] + width * DIGEST_BYTES;
        digest_level(digests, tree->levels[level], width, tree->levels[level + 1]);
    }
    tree->root = tree->levels[level];
    tree->spots = (struct cut_spot *)(void *)(tree->levels[0] + digest_bytes);
    for (uint32_t i = 0; i < record_count; i++)
        tree->spots[i] = (struct cut_spot){.checksum = XXH3_64bits(records[i].data, records[i].size),
                                           .at = (uint32_t)(records[i].data - raw.data),
                                           .size = (uint32_t)records[i].size};
    return tree;
}

/* --- cutting ----------------------------------------------------------------------------------------------------------------- */

struct cutter {
    struct digest_context *digests;
    uint8_t *unpacked;
    size_t unpacked_capacity;
    size_t capacity;       /* of records */
    struct bytes *records; /* owned, as is a reference to the tree */
    struct cut_tree *tree;
    /* the entry taken; record_count 0: none */
    uint32_t record_count, raw_size;
    struct entry_fields fields;
    struct bytes leaf, header; /* borrowed */
};

struct cutter *cutter_create(void)
{
    struct cutter *cutter = calloc(1, sizeof *cutter);
    if (cutter == NULL)
        return NULL;
    cutter->digests = digest_context_create();
    if (cutter->digests == NULL) {
        cutter_destroy(cutter);
        return NULL;
    }
    return cutter;
}

void cutter_destroy(struct cutter *cutter)
{
    if (cutter == NULL)
        return;
    digest_context_destroy(cutter->digests);
    free(cutter->unpacked);
    free(cutter->records);
    cut_tree_unref(cutter->tree);
    free(cutter);
}

static truc_status reserve(struct cutter *cutter, size_t record_count)
{
    struct bytes *grown;

    if (record_count <= cutter->capacity)
        return TRUC_OK;
    grown = realloc(cutter->records, record_count * sizeof *grown);
    if (grown == NULL)
        return TRUC_NO_MEMORY;
    cutter->records = grown;
    cutter->capacity = record_count;
    return TRUC_OK;
}

static truc_status find_records(struct cutter *cutter, struct bytes raw, uint32_t record_count)
{
    struct reader payload = reader_over(raw);
    struct bytes record;
    uint32_t count = 0;
    truc_status status;

    while (records_next(&payload, &record, &status)) {
        if (count == record_count)
            return TRUC_DAMAGED;
        cutter->records[count++] = record;
    }
    return status == TRUC_OK && count == record_count ? TRUC_OK : TRUC_DAMAGED;
}

/* The known tree, if it is one of as many records, or a new one. Root and leaf are compared in either case. */
static truc_status provide_tree(struct cutter *cutter, struct cut_tree *known, const struct entry_view *entry,
                                const struct batch_view *batch, struct bytes raw)
{
    if (known != NULL && known->record_count == batch->record_count) {
        cut_tree_ref(known);
        cutter->tree = known;
        return TRUC_OK;
    }
    cutter->tree = tree_create(cutter->digests, batch->seed, raw, cutter->records, batch->record_count);
    if (cutter->tree == NULL)
        return TRUC_NO_MEMORY;
    cutter->tree->head = head_checksum(entry, batch->header);
    return TRUC_OK;
}

truc_status cutter_take(struct cutter *cutter, const struct entry_view *entry, struct cut_tree *known)
{
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw;

    cutter->record_count = 0;
    cut_tree_unref(cutter->tree);
    cutter->tree = NULL;
    if (entry_is_cut(entry) || entry_prove_head(cutter->digests, entry, &leaf, &batch, NULL) != TRUC_OK)
        return TRUC_DAMAGED;
    if (leaf.evidence != EVIDENCE_RECORD)
        return TRUC_UNSUPPORTED;
    truc_status status = batch_raw(&batch, &cutter->unpacked, &cutter->unpacked_capacity, &raw);
    if (status == TRUC_OK)
        status = reserve(cutter, batch.record_count);
    if (status == TRUC_OK)
        status = find_records(cutter, raw, batch.record_count);
    if (status == TRUC_OK)
        status = provide_tree(cutter, known, entry, &batch, raw);
    if (status != TRUC_OK)
        return status;
    if (memcmp(cutter->tree->root, leaf.records_root, DIGEST_BYTES) != 0)
        return TRUC_DAMAGED; /* no part of it would prove */
    cutter->record_count = batch.record_count;
    cutter->raw_size = batch.raw_size;
    cutter->fields = entry->fields;
    cutter->leaf = entry->leaf;
    cutter->header = batch.header;
    return TRUC_OK;
}

bool cutter_take_again(struct cutter *cutter, const struct entry_view *entry, struct cut_tree *known, const uint32_t *indexes,
                       size_t count)
{
    struct batch_view batch;

    cutter->record_count = 0;
    cut_tree_unref(cutter->tree);
    cutter->tree = NULL;
    if (entry_is_cut(entry) || batch_parse(entry->batch, &batch, NULL) != TRUC_OK || batch.codec != CODEC_NONE ||
        batch.record_count != known->record_count || head_checksum(entry, batch.header) != known->head ||
        reserve(cutter, batch.record_count) != TRUC_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct cut_spot *spot = &known->spots[indexes[i]];
        struct bytes record;

        if (spot->at > batch.stored.size || spot->size > batch.stored.size - spot->at)
            return false;
        record = bytes_of(batch.stored.data + spot->at, spot->size);
        if (XXH3_64bits(record.data, record.size) != spot->checksum)
            return false;
        cutter->records[indexes[i]] = record;
    }
    cut_tree_ref(known);
    cutter->tree = known;
    cutter->record_count = batch.record_count;
    cutter->raw_size = batch.raw_size;
    cutter->fields = entry->fields;
    cutter->leaf = entry->leaf;
    cutter->header = batch.header;
    return true;
}

struct cut_tree *cutter_tree(const struct cutter *cutter)
{
    assert(cutter->record_count > 0);
    return cutter->tree;
}

struct bytes cutter_record(const struct cutter *cutter, uint32_t index)
{
    assert(index < cutter->record_count);
    return cutter->records[index];
}

/* Of the records alone. */
static size_t chosen_size(const struct cutter *cutter, const uint32_t *indexes, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        assert(indexes[i] < cutter->record_count && (i == 0 || indexes[i - 1] < indexes[i]));
        size += RECORD_HEAD_BYTES + align8(cutter->records[indexes[i]].size);
    }
    return size;
}

size_t cutter_size(const struct cutter *cutter, const uint32_t *indexes, size_t count)
{
    struct walk walk = walk_over(indexes, count, cutter->record_count);
    size_t payload = PAYLOAD_HEAD_BYTES + chosen_size(cutter, indexes, count);
    uint32_t index;
    unsigned level;

    while (walk_next(&walk, &level, &index))
        payload += DIGEST_BYTES;
    return entry_served_size(cutter->leaf.size, BATCH_PREFIX_BYTES + cutter->header.size + payload);
}

static uint8_t *put_record(uint8_t *out, uint32_t index, const uint8_t *salt, struct bytes record)
{
    size_t padding = align8(record.size) - record.size;

    store_u32(out + AT_INDEX, index);
    store_u32(out + AT_SIZE, (uint32_t)record.size);
    memcpy(out + AT_SALT, salt, SALT_BYTES);
    out += RECORD_HEAD_BYTES;
    memcpy(out, record.data, record.size);
    memset(out + record.size, 0, padding);
    return out + record.size + padding;
}

void cutter_write(struct cutter *cutter, const uint32_t *indexes, size_t count, uint8_t *out)
{
    struct walk walk = walk_over(indexes, count, cutter->record_count);
    uint8_t *batch = entry_batch_at(out, cutter->leaf.size);
    uint8_t *payload = batch + BATCH_PREFIX_BYTES + cutter->header.size, *end = payload + PAYLOAD_HEAD_BYTES;
    uint32_t index, digests = 0;
    unsigned level;

    for (size_t i = 0; i < count; i++)
        end = put_record(end, indexes[i], cutter->tree->salts + (size_t)indexes[i] * SALT_BYTES, cutter->records[indexes[i]]);
    for (; walk_next(&walk, &level, &index); digests++, end += DIGEST_BYTES)
        memcpy(end, cutter->tree->levels[level] + (size_t)index * DIGEST_BYTES, DIGEST_BYTES);
    store_u32(payload + AT_CHOSEN_COUNT, (uint32_t)count);
    store_u32(payload + AT_DIGEST_COUNT, digests);
    batch_cut_head_write(batch, cutter->header, (uint32_t)(end - payload), cutter->raw_size);
    entry_write_cut(out, &cutter->fields, cutter->leaf, (size_t)(end - batch));
}

/* --- proving ----------------------------------------------------------------------------------------------------------------- */

bool entry_is_cut(const struct entry_view *view)
{
    return view->flags == ENTRY_FLAG_CUT;
}

static truc_status refuse(truc_status status, const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return status;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* The padding of a part of the entry; the parser has seen that it is there. */
static bool is_padded(struct bytes part)
{
    return all_zero(part.data + part.size, align8(part.size) - part.size);
}

static truc_status parse_payload(const struct batch_view *batch, struct cut_record **records, size_t *capacity, size_t *ret_count,
                                 struct bytes *ret_given, const char **ret_why)
{
    struct reader payload = reader_over(batch->stored);
    size_t count = reader_u32(&payload), digest_count = reader_u32(&payload);

    if (payload.failed || count == 0 || count > batch->record_count || count > reader_left(&payload) / RECORD_HEAD_BYTES)
        return refuse(TRUC_DAMAGED, ret_why, "the cut payload counts more records than there can be, or none");
    if (count > *capacity) {
        struct cut_record *grown = realloc(*records, count * sizeof *grown);
        if (grown == NULL)
            return refuse(TRUC_NO_MEMORY, ret_why, "out of memory");
        *records = grown;
        *capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct cut_record *record = &(*records)[i];
        record->index = reader_u32(&payload);
        size_t size = reader_u32(&payload);
        record->salt = reader_take(&payload, SALT_BYTES).data;
        record->encoded = reader_take(&payload, size);
        struct bytes padding = reader_take(&payload, align8(size) - size);
        if (payload.failed)
            return refuse(TRUC_DAMAGED, ret_why, "the cut payload ends within a record");
        if (record->index >= batch->record_count || (i > 0 && record->index <= (*records)[i - 1].index))
            return refuse(TRUC_DAMAGED, ret_why, "the indexes of the cut records do not ascend below the record count");
        if (!all_zero(padding.data, padding.size))
            return refuse(TRUC_DAMAGED, ret_why, "a cut record's padding is not zero");
    }
    if (digest_count > BATCH_RECORDS_MAX || reader_left(&payload) != digest_count * DIGEST_BYTES)
        return refuse(TRUC_DAMAGED, ret_why, "the cut payload does not end with its digests");
    *ret_count = count;
    *ret_given = reader_take(&payload, digest_count * DIGEST_BYTES);
    return TRUC_OK;
}

/* The tree from the chosen records up, a level at a time. All arrays lie in one allocation. */
struct proof {
    struct bytes *messages; /* the chosen records */
    uint8_t *salts;
    uint8_t *digests;  /* of the nodes above chosen records, on the level that has been reached */
    uint8_t *row;      /* those and the given ones between them: all children of the next level's */
    uint32_t *indexes; /* theirs within the level */
    uint8_t *levels;   /* of each given digest */
    size_t count;      /* digests and indexes */
    const uint8_t *given;
    size_t given_count;
};

/* Memory in proportion to the bytes that came. */
static void *proof_init(struct proof *proof, const struct cut_record *records, size_t count, struct bytes given)
{
    size_t given_count = given.size / DIGEST_BYTES;
    uint8_t *memory = malloc(count * (sizeof *proof->messages + SALT_BYTES + 2 * DIGEST_BYTES + sizeof *proof->indexes) +
                             given_count * (DIGEST_BYTES + 1));
    if (memory == NULL)
        return NULL;
    proof->messages = (struct bytes *)memory;
    proof->salts = memory + count * sizeof *proof->messages;
    proof->digests = proof->salts + count * SALT_BYTES;
    proof->row = proof->digests + count * DIGEST_BYTES;
    proof->indexes = (uint32_t *)(proof->row + (count + given_count) * DIGEST_BYTES);
    proof->levels = (uint8_t *)(proof->indexes + count);
    proof->count = count;
    proof->given = given.data;
    proof->given_count = given_count;
    for (size_t i = 0; i < count; i++) {
        proof->messages[i] = records[i].encoded;
        proof->indexes[i] = records[i].index;
        memcpy(proof->salts + i * SALT_BYTES, records[i].salt, SALT_BYTES);
    }
    return memory;
}

/* Finds the level of each given digest. False when there are not as many as the choice needs. */
static bool assign_levels(struct proof *proof, uint32_t record_count)
{
    struct walk walk = walk_over(proof->indexes, proof->count, record_count);
    size_t found = 0;
    uint32_t index;
    unsigned level;

    while (walk_next(&walk, &level, &index)) {
        if (found == proof->given_count)
            return false;
        proof->levels[found++] = (uint8_t)level;
    }
    return found == proof->given_count;
}

/* The next given digest of a level; assign_levels has seen that there are as many as are asked for. */
static const uint8_t *next_given(const struct proof *proof, unsigned level, size_t *at)
{
    while (*at < proof->given_count && proof->levels[*at] != level)
        ++*at;
    assert(*at < proof->given_count);
    return proof->given + (*at)++ * DIGEST_BYTES;
}

/* From the nodes of a level, `width` wide, that are above chosen records to those of the next one. Every child that they lack was
 * given; only the last node of a level has fewer than all children, and it ends the row. */
static void climb(struct digest_context *context, struct proof *proof, unsigned level, size_t width)
{
    size_t parents = 0, given = 0, row_count = 0;

    for (size_t i = 0; i < proof->count;) {
        size_t parent = proof->indexes[i] / TREE_FAN, end = (parent + 1) * TREE_FAN < width ? (parent + 1) * TREE_FAN : width;
        for (size_t child = parent * TREE_FAN; child < end; child++) {
            bool is_made = i < proof->count && proof->indexes[i] == child;
            const uint8_t *digest = is_made ? proof->digests + i++ * DIGEST_BYTES : next_given(proof, level, &given);
            memcpy(proof->row + row_count++ * DIGEST_BYTES, digest, DIGEST_BYTES);
        }
        proof->indexes[parents++] = (uint32_t)parent;
    }
    digest_level(context, proof->row, row_count, proof->digests);
    proof->count = parents;
}

static truc_status prove_root(struct digest_context *context, const struct cut_record *records, size_t count, struct bytes given,
                              const struct leaf *leaf, const char **ret_why)
{
    struct proof proof;
    truc_status status = TRUC_OK;
    size_t width = leaf->record_count;
    void *memory = proof_init(&proof, records, count, given);

    if (memory == NULL)
        return refuse(TRUC_NO_MEMORY, ret_why, "out of memory");
    if (!assign_levels(&proof, leaf->record_count)) {
        status = refuse(TRUC_DAMAGED, ret_why, "the cut payload has not as many digests as its records need");
        goto done;
    }
    digest_records(context, proof.salts, proof.messages, count, proof.digests);
    for (unsigned level = 0; width > 1; level++, width = tree_nodes(width))
        climb(context, &proof, level, width);
    if (memcmp(proof.digests, leaf->records_root, DIGEST_BYTES) != 0)
        status = refuse(TRUC_DIGEST_MISMATCH, ret_why, "the cut records and digests do not match the leaf");
done:
    free(memory);
    return status;
}

truc_status cut_prove(struct digest_context *context, const struct entry_view *view, struct leaf *ret_leaf,
                      struct batch_view *ret_batch, struct cut_record **records, size_t *capacity, size_t *ret_count,
                      const char **ret_why)
{
    struct leaf leaf;
    struct batch_view batch;
    struct bytes given;
    size_t count;

    if (!entry_is_cut(view))
        return refuse(TRUC_DAMAGED, ret_why, "the entry is whole, where cut ones are expected");
    if (!is_padded(view->leaf) || !is_padded(view->batch) || entry_directory_check(view) != TRUC_OK)
        return refuse(TRUC_DAMAGED, ret_why, "the cut entry holds something beside leaf and batch");
    truc_status status = entry_prove_head(context, view, &leaf, &batch, ret_why);
    if (status != TRUC_OK)
        return status;
    if (leaf.evidence != EVIDENCE_RECORD)
        return refuse(TRUC_DAMAGED, ret_why, "the entry is cut, but its evidence level allows no cutting");
    status = parse_payload(&batch, records, capacity, &count, &given, ret_why);
    if (status == TRUC_OK)
        status = prove_root(context, *records, count, given, &leaf, ret_why);
    if (status != TRUC_OK)
        return status;
    *ret_leaf = leaf;
    *ret_batch = batch;
    *ret_count = count;
    return TRUC_OK;
}
