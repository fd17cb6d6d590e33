/* cut.c: cutting an entry, and proving a part of one. Both sides walk the records from left to right and agree on which subtrees
 * stand for the records that are left out: at each place the largest one that begins there and holds no chosen record. */
#include "proto/cut.h"

#include <stdlib.h>

enum { LEVELS_MAX = 5, CUT_HEAD_BYTES = 8, CHOSEN_HEAD_BYTES = 8 + SALT_BYTES };

/* --- the shape of a tree over so many records ------------------------------------------------------------------------------- */

static unsigned level_count(size_t records)
{
    unsigned levels = 1;
    for (size_t count = records; count > 1; count = digest_node_count(count))
        levels++;
    return levels;
}

/* The highest level at which a node begins at record `at` and ends at `until` or before; `until` is the next chosen record, or the
 * number of all. Levels are numbered from 0, the records' digests. */
static unsigned largest_level(size_t at, size_t until, size_t records, unsigned levels, size_t *ret_width)
{
    unsigned level = 0;
    size_t width = 1;
    while (level + 1 < levels && at % (width * DIGEST_FAN) == 0) {
        size_t end = at + width * DIGEST_FAN < records ? at + width * DIGEST_FAN : records;
        if (end > until)
            break;
        level++;
        width *= DIGEST_FAN;
    }
    *ret_width = width;
    return level;
}

/* --- cutting ----------------------------------------------------------------------------------------------------------------- */

struct cutter {
    struct digest_context *digests;
    uint8_t *scratch; /* of batch_raw */
    size_t scratch_capacity;
    struct bytes *records; /* capacity of each */
    uint8_t *salts;        /* SALT_BYTES each */
    uint8_t *tree;         /* every level, one after the other */
    size_t capacity;
    struct entry_view entry; /* what was taken */
    struct batch_view batch;
    uint32_t count;
    unsigned levels;
    const uint8_t *level[LEVELS_MAX];
};

struct cutter *cutter_create(void)
{
    struct cutter *cutter = calloc(1, sizeof *cutter);
    if (cutter == NULL)
        return NULL;
    cutter->digests = digest_context_create();
    if (cutter->digests == NULL) {
        free(cutter);
        return NULL;
    }
    return cutter;
}

void cutter_destroy(struct cutter *cutter)
{
    if (cutter == NULL)
        return;
    digest_context_destroy(cutter->digests);
    free(cutter->scratch);
    free(cutter->records);
    free(cutter->salts);
    free(cutter->tree);
    free(cutter);
}

static bool grow(void *array, size_t size)
{
    void **at = array, *grown = realloc(*at, size);
    if (grown != NULL)
        *at = grown;
    return grown != NULL;
}

/* A level has at most a sixteenth of the nodes below it, rounded up. */
static bool reserve(struct cutter *cutter, size_t count)
{
    size_t nodes = count + count / (DIGEST_FAN - 1) + LEVELS_MAX;
    if (count <= cutter->capacity)
        return true;
    cutter->capacity = 0;
    if (!grow(&cutter->records, count * sizeof *cutter->records) || !grow(&cutter->salts, count * SALT_BYTES) ||
        !grow(&cutter->tree, nodes * DIGEST_BYTES))
        return false;
    cutter->capacity = count;
    return true;
}

static truc_status build_tree(struct cutter *cutter)
{
    uint8_t *below = cutter->tree;
    size_t count = cutter->count;
    cutter->levels = level_count(count);
    cutter->level[0] = below;
    for (unsigned level = 1; level < cutter->levels; level++) {
        uint8_t *nodes = below + count * DIGEST_BYTES;
        truc_status status = digest_nodes(cutter->digests, below, count, nodes);
        if (status != TRUC_OK)
            return status;
        cutter->level[level] = below = nodes;
        count = digest_node_count(count);
    }
    return TRUC_OK;
}

truc_status cutter_take(struct cutter *cutter, const struct entry_view *entry)
{
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw;
    const char *why;

    cutter->count = 0;
    if (leaf_parse(entry->leaf, &leaf) != TRUC_OK || batch_parse(entry->batch, &batch, &why) != TRUC_OK)
        return TRUC_DAMAGED;
    if (leaf.evidence != EVIDENCE_RECORD)
        return TRUC_UNSUPPORTED;
    truc_status status = batch_raw(&batch, &cutter->scratch, &cutter->scratch_capacity, &raw);
    if (status != TRUC_OK)
        return status;
    if (!reserve(cutter, batch.record_count))
        return TRUC_NO_MEMORY;
    status = digest_records(cutter->digests, batch.seed, raw, batch.record_count, cutter->records, cutter->salts, cutter->tree);
    if (status != TRUC_OK)
        return status == TRUC_NO_MEMORY ? status : TRUC_DAMAGED;
    cutter->entry = *entry;
    cutter->batch = batch;
    cutter->count = batch.record_count;
    status = build_tree(cutter);
    if (status != TRUC_OK)
        cutter->count = 0;
    return status;
}

struct bytes cutter_record(const struct cutter *cutter, uint32_t index)
{
    return cutter->records[index];
}

/* Walks the subtrees that stand for what is left out: writes their digests when there is an `out`, counts them always. */
static size_t put_digests(const struct cutter *cutter, const uint32_t *indexes, size_t count, uint8_t *out)
{
    size_t written = 0, next = 0;
    for (size_t at = 0; at < cutter->count;) {
        size_t until = next < count ? indexes[next] : cutter->count, width;
        if (at == until) {
            next++;
            at++;
            continue;
        }
        unsigned level = largest_level(at, until, cutter->count, cutter->levels, &width);
        if (out != NULL)
            memcpy(out + written * DIGEST_BYTES, cutter->level[level] + at / width * DIGEST_BYTES, DIGEST_BYTES);
        written++;
        at += width;
    }
    return written;
}

static size_t payload_size(const struct cutter *cutter, const uint32_t *indexes, size_t count, size_t *ret_digests)
{
    size_t size = CUT_HEAD_BYTES;
    for (size_t i = 0; i < count; i++)
        size += CHOSEN_HEAD_BYTES + align8(cutter->records[indexes[i]].size);
    *ret_digests = put_digests(cutter, indexes, count, NULL);
    return size + *ret_digests * DIGEST_BYTES;
}

size_t cutter_size(const struct cutter *cutter, const uint32_t *indexes, size_t count)
{
    size_t digests, head = BATCH_PREFIX_BYTES + cutter->batch.header.size;
    return entry_served_size(cutter->entry.leaf.size, head + payload_size(cutter, indexes, count, &digests));
}

static void put_payload(const struct cutter *cutter, const uint32_t *indexes, size_t count, size_t digests, uint8_t *out)
{
    store_u32(out, (uint32_t)count);
    store_u32(out + 4, (uint32_t)digests);
    out += CUT_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        struct bytes record = cutter->records[indexes[i]];
        store_u32(out, indexes[i]);
        store_u32(out + 4, (uint32_t)record.size);
        memcpy(out + 8, cutter->salts + (size_t)indexes[i] * SALT_BYTES, SALT_BYTES);
        memcpy(out + CHOSEN_HEAD_BYTES, record.data, record.size);
        memset(out + CHOSEN_HEAD_BYTES + record.size, 0, align8(record.size) - record.size);
        out += CHOSEN_HEAD_BYTES + align8(record.size);
    }
    (void)put_digests(cutter, indexes, count, out);
}

void cutter_write(struct cutter *cutter, const uint32_t *indexes, size_t count, uint8_t *out)
{
    size_t digests, head = BATCH_PREFIX_BYTES + cutter->batch.header.size;
    size_t payload = payload_size(cutter, indexes, count, &digests);
    uint8_t *batch = out + ENTRY_HEADER_BYTES + align8(cutter->entry.leaf.size);
    /* The batch is laid out in its place; entry_write_cut then finds it there. */
    batch_cut_head_write(batch, &cutter->batch, (uint32_t)payload);
    put_payload(cutter, indexes, count, digests, batch + head);
    entry_write_cut(out, &cutter->entry.fields, cutter->entry.leaf, bytes_of(batch, head + payload));
}

/* --- proving ----------------------------------------------------------------------------------------------------------------- */

/* A tree that grows from left to right: of each level the nodes whose parent is not complete yet. */
struct growing {
    struct digest_context *context;
    unsigned levels;
    size_t counts[LEVELS_MAX];
    uint8_t nodes[LEVELS_MAX][DIGEST_FAN * DIGEST_BYTES];
};

static truc_status close_node(struct growing *tree, unsigned level, uint8_t ret_digest[DIGEST_BYTES])
{
    truc_status status = digest_nodes(tree->context, tree->nodes[level], tree->counts[level], ret_digest);
    tree->counts[level] = 0;
    return status;
}

/* Adds the next node of a level; complete parents follow. */
static truc_status add_node(struct growing *tree, unsigned level, const uint8_t digest[DIGEST_BYTES])
{
    uint8_t node[DIGEST_BYTES];
    truc_status status = TRUC_OK;
    memcpy(node, digest, DIGEST_BYTES);
    for (;; level++) {
        memcpy(tree->nodes[level] + tree->counts[level]++ * DIGEST_BYTES, node, DIGEST_BYTES);
        if (tree->counts[level] < DIGEST_FAN || level + 1 >= tree->levels)
            return TRUC_OK;
        status = close_node(tree, level, node);
        if (status != TRUC_OK)
            return status;
    }
}

/* There are no more: nodes that are not full are closed, from below. */
static truc_status close_tree(struct growing *tree, uint8_t ret_root[DIGEST_BYTES])
{
    for (unsigned level = 0; level + 1 < tree->levels; level++) {
        uint8_t node[DIGEST_BYTES];
        if (tree->counts[level] == 0)
            continue;
        truc_status status = close_node(tree, level, node);
        if (status == TRUC_OK)
            status = add_node(tree, level + 1, node);
        if (status != TRUC_OK)
            return status;
    }
    memcpy(ret_root, tree->nodes[tree->levels - 1], DIGEST_BYTES);
    return TRUC_OK;
}

static truc_status refuse(truc_status status, const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return status;
}

static bool is_zero(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] != 0)
            return false;
    }
    return true;
}

/* The chosen records; what follows them are the digests. */
static truc_status take_records(struct reader *payload, uint32_t chosen, uint32_t record_count, struct cut_record **records,
                                size_t *capacity, const char **ret_why)
{
    if (chosen == 0 || chosen > record_count)
        return refuse(TRUC_DAMAGED, ret_why, "a cut entry holds no record, or more than its batch has");
    if ((size_t)chosen * CHOSEN_HEAD_BYTES > reader_left(payload))
        return refuse(TRUC_DAMAGED, ret_why, "a cut entry is cut short");
    if (chosen > *capacity) {
        if (!grow(records, chosen * sizeof **records))
            return refuse(TRUC_NO_MEMORY, ret_why, "out of memory");
        *capacity = chosen;
    }
    for (uint32_t i = 0; i < chosen; i++) {
        struct cut_record *record = &(*records)[i];
        record->index = reader_u32(payload);
        size_t size = reader_u32(payload);
        record->salt = reader_take(payload, SALT_BYTES).data;
        record->encoded = reader_take(payload, size);
        struct bytes padding = reader_take(payload, align8(size) - size);
        if (payload->failed || !is_zero(padding))
            return refuse(TRUC_DAMAGED, ret_why, "a record of a cut entry is cut short");
        if (record->index >= record_count || (i > 0 && record->index <= record[-1].index))
            return refuse(TRUC_DAMAGED, ret_why, "the records of a cut entry are not in order");
    }
    return TRUC_OK;
}

/* Puts records and digests together to the root. */
static truc_status grow_tree(struct growing *tree, const struct cut_record *records, size_t count, uint32_t record_count,
                             struct bytes digests, uint8_t ret_root[DIGEST_BYTES])
{
    struct reader given = reader_over(digests);
    uint8_t digest[DIGEST_BYTES];
    truc_status status = TRUC_OK;
    size_t next = 0;
    for (size_t at = 0; at < record_count && status == TRUC_OK;) {
        size_t until = next < count ? records[next].index : record_count, width = 1;
        if (at == until) {
            digest_record(tree->context, records[next].salt, records[next].encoded, digest);
            status = add_node(tree, 0, digest);
            next++;
        } else {
            unsigned level = largest_level(at, until, record_count, tree->levels, &width);
            struct bytes one = reader_take(&given, DIGEST_BYTES);
            if (given.failed)
                return TRUC_DAMAGED;
            status = add_node(tree, level, one.data);
        }
        at += width;
    }
    if (status == TRUC_OK && reader_left(&given) > 0)
        status = TRUC_DAMAGED;
    return status == TRUC_OK ? close_tree(tree, ret_root) : status;
}

truc_status cut_prove(struct digest_context *context, const struct entry_view *view, struct leaf *ret_leaf,
                      struct batch_view *ret_batch, struct cut_record **records, size_t *capacity, size_t *ret_count,
                      const char **ret_why)
{
    struct growing tree = {.context = context};
    uint8_t root[DIGEST_BYTES];
    struct batch_view batch;
    struct leaf leaf;

    if (!view->cut || leaf_parse(view->leaf, &leaf) != TRUC_OK)
        return refuse(TRUC_DAMAGED, ret_why, "the leaf is malformed");
    if (batch_parse_cut(view->batch, &batch, ret_why) != TRUC_OK)
        return TRUC_DAMAGED;
    truc_status status = entry_check_agreement(context, view, &leaf, &batch, ret_why);
    if (status != TRUC_OK)
        return status;
    if (leaf.evidence != EVIDENCE_RECORD || !is_zero(bytes_of(batch.seed, SALT_SEED_BYTES)))
        return refuse(TRUC_DAMAGED, ret_why, "an entry of evidence `batch` is cut, or a cut one tells its seed");
    struct reader payload = reader_over(batch.stored);
    uint32_t chosen = reader_u32(&payload), digest_count = reader_u32(&payload);
    status = payload.failed ? refuse(TRUC_DAMAGED, ret_why, "a cut entry is cut short")
                            : take_records(&payload, chosen, batch.record_count, records, capacity, ret_why);
    if (status != TRUC_OK)
        return status;
    if (reader_left(&payload) != (size_t)digest_count * DIGEST_BYTES)
        return refuse(TRUC_DAMAGED, ret_why, "a cut entry does not hold as many digests as it says");
    tree.levels = level_count(batch.record_count);
    status = grow_tree(&tree, *records, chosen, batch.record_count, reader_take(&payload, reader_left(&payload)), root);
    if (status == TRUC_NO_MEMORY)
        return refuse(status, ret_why, "out of memory");
    if (status != TRUC_OK)
        return refuse(TRUC_DAMAGED, ret_why, "a cut entry holds too few digests, or too many");
    if (memcmp(root, leaf.records_root, DIGEST_BYTES) != 0)
        return refuse(TRUC_DIGEST_MISMATCH, ret_why, "the records do not match the leaf");
    *ret_leaf = leaf;
    *ret_batch = batch;
    *ret_count = chosen;
    return TRUC_OK;
}
