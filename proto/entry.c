/* entry.c: an entry's layout, its two checksums, and what a reader can prove of it. */
#include "proto/entry.h"

#define XXH_INLINE_ALL /* the streaming state lives on the stack, whatever the library's version */
#include <xxhash.h>

enum {
    AT_ENTRY_SIZE = 0,
    AT_VERSION = 4,
    AT_FLAGS = 6,
    AT_TOPIC_ID = 8,
    AT_RECORD_COUNT = 12,
    AT_PRODUCER_ID = 16,
    AT_EPOCH = 24,
    AT_LEAF_SIZE = 28,
    AT_FIRST_SEQUENCE = 32,
    AT_BATCH_SIZE = 40,
    AT_DIRECTORY_SIZE = 44,
    AT_DIRECTORY_CHECKSUM = 48,
    AT_CHECKSUM = 56,
    ENTRY_VERSION = 1,
    /* A directory at full width: header, and 37 bytes a record with six columns' padding. */
    DIRECTORY_BYTES_MAX = 8 + 37 * BATCH_RECORDS_MAX + 6 * 8
};

size_t entry_served_size(size_t leaf_size, size_t batch_size)
{
    return ENTRY_HEADER_BYTES + align8(leaf_size) + align8(batch_size);
}

size_t entry_size(size_t leaf_size, size_t batch_size, size_t directory_size)
{
    return entry_served_size(leaf_size, batch_size) + align8(directory_size);
}

/* Over bytes 0..55 and over everything between header and directory. */
static uint64_t entry_checksum(const uint8_t *entry, size_t served_size)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    (void)XXH3_64bits_reset(&state);
    (void)XXH3_64bits_update(&state, entry, AT_CHECKSUM);
    (void)XXH3_64bits_update(&state, entry + ENTRY_HEADER_BYTES, served_size - ENTRY_HEADER_BYTES);
    return XXH3_64bits_digest(&state);
}

static uint8_t *put_padded(uint8_t *out, struct bytes part)
{
    if (part.size != 0)
        memcpy(out, part.data, part.size);
    memset(out + part.size, 0, align8(part.size) - part.size);
    return out + align8(part.size);
}

/* Everything but the checksum at the end. */
static void put_header(uint8_t *out, uint16_t flags, const struct entry_fields *fields, size_t leaf_bytes, size_t batch_bytes,
                       struct bytes directory)
{
    store_u32(out + AT_ENTRY_SIZE, (uint32_t)entry_size(leaf_bytes, batch_bytes, directory.size));
    store_u16(out + AT_VERSION, ENTRY_VERSION);
    store_u16(out + AT_FLAGS, flags);
    store_u32(out + AT_TOPIC_ID, fields->topic_id);
    store_u32(out + AT_RECORD_COUNT, fields->record_count);
    store_u64(out + AT_PRODUCER_ID, fields->producer_id);
    store_u32(out + AT_EPOCH, fields->epoch);
    store_u32(out + AT_LEAF_SIZE, (uint32_t)leaf_bytes);
    store_u64(out + AT_FIRST_SEQUENCE, fields->first_sequence);
    store_u32(out + AT_BATCH_SIZE, (uint32_t)batch_bytes);
    store_u32(out + AT_DIRECTORY_SIZE, (uint32_t)directory.size);
    store_u64(out + AT_DIRECTORY_CHECKSUM, XXH3_64bits(directory.data, directory.size));
}

void entry_write(uint8_t *out, const struct entry_fields *fields, struct bytes leaf, struct bytes batch, struct bytes directory)
{
    put_header(out, 0, fields, leaf.size, batch.size, directory);
    uint8_t *part = put_padded(out + ENTRY_HEADER_BYTES, leaf);
    part = put_padded(part, batch);
    (void)put_padded(part, directory);
    store_u64(out + AT_CHECKSUM, entry_checksum(out, entry_served_size(leaf.size, batch.size)));
}

void entry_write_cut(uint8_t *out, const struct entry_fields *fields, struct bytes leaf, size_t batch_size)
{
    uint8_t *batch = put_padded(out + ENTRY_HEADER_BYTES, leaf);
    memset(batch + batch_size, 0, align8(batch_size) - batch_size);
    put_header(out, ENTRY_FLAG_CUT, fields, leaf.size, batch_size, bytes_of(NULL, 0));
    store_u64(out + AT_CHECKSUM, entry_checksum(out, entry_served_size(leaf.size, batch_size)));
}

/* Layout and, unless peeked at, checksum of an entry of which everything up to the directory is at hand; it may have these flags.
 */
static truc_status parse_served(struct bytes bytes, uint16_t flags_known, bool peek, struct entry_view *ret_view,
                                size_t *ret_served_size, size_t *ret_directory_size)
{
    const uint8_t *in = bytes.data;

    if (bytes.size < ENTRY_HEADER_BYTES || load_u16(in + AT_VERSION) != ENTRY_VERSION)
        return TRUC_DAMAGED;
    uint16_t flags = load_u16(in + AT_FLAGS);
    if ((flags & ~flags_known) != 0)
        return TRUC_DAMAGED;
    size_t leaf_bytes = load_u32(in + AT_LEAF_SIZE), batch_bytes = load_u32(in + AT_BATCH_SIZE);
    size_t directory_bytes = load_u32(in + AT_DIRECTORY_SIZE);
    if (leaf_bytes > LEAF_BYTES_MAX || batch_bytes > BATCH_BYTES_MAX || directory_bytes > DIRECTORY_BYTES_MAX)
        return TRUC_DAMAGED;
    if (flags == ENTRY_FLAG_CUT && directory_bytes != 0)
        return TRUC_DAMAGED;
    size_t served_size = entry_served_size(leaf_bytes, batch_bytes);
    if (load_u32(in + AT_ENTRY_SIZE) != entry_size(leaf_bytes, batch_bytes, directory_bytes) || served_size > bytes.size)
        return TRUC_DAMAGED;
    if (!peek && load_u64(in + AT_CHECKSUM) != entry_checksum(in, served_size))
        return TRUC_DAMAGED;

    *ret_view = (struct entry_view){
        .entry_size = load_u32(in + AT_ENTRY_SIZE),
        .flags = flags,
        .fields = {.topic_id = load_u32(in + AT_TOPIC_ID),
                   .record_count = load_u32(in + AT_RECORD_COUNT),
                   .epoch = load_u32(in + AT_EPOCH),
                   .producer_id = load_u64(in + AT_PRODUCER_ID),
                   .first_sequence = load_u64(in + AT_FIRST_SEQUENCE)},
        .leaf = bytes_of(in + ENTRY_HEADER_BYTES, leaf_bytes),
        .batch = bytes_of(in + ENTRY_HEADER_BYTES + align8(leaf_bytes), batch_bytes),
        .directory_checksum = load_u64(in + AT_DIRECTORY_CHECKSUM),
    };
    *ret_served_size = served_size;
    *ret_directory_size = directory_bytes;
    return TRUC_OK;
}

truc_status entry_parse(struct bytes bytes, struct entry_view *ret_view)
{
    struct entry_view view;
    size_t served_size, directory_bytes;
    truc_status status = parse_served(bytes, 0, false, &view, &served_size, &directory_bytes);

    if (status != TRUC_OK)
        return status;
    if (view.entry_size > bytes.size)
        return TRUC_DAMAGED;
    view.directory = bytes_of(bytes.data + served_size, directory_bytes);
    *ret_view = view;
    return TRUC_OK;
}

truc_status entry_directory_check(const struct entry_view *view)
{
    struct bytes directory = view->directory;

    if (XXH3_64bits(directory.data, directory.size) != view->directory_checksum)
        return TRUC_DAMAGED;
    for (size_t i = directory.size; i < align8(directory.size); i++) {
        if (directory.data[i] != 0)
            return TRUC_DAMAGED;
    }
    return TRUC_OK;
}

static bool served_next(struct reader *payload, bool peek, struct entry_view *ret_view, truc_status *ret_status)
{
    size_t served_size, directory_bytes;

    if (payload->failed || payload->at == payload->end) {
        *ret_status = payload->failed ? TRUC_DAMAGED : TRUC_OK;
        return false;
    }
    struct bytes rest = bytes_of(payload->at, reader_left(payload));
    truc_status status = parse_served(rest, ENTRY_FLAG_CUT, peek, ret_view, &served_size, &directory_bytes);
    if (status != TRUC_OK)
        payload->failed = true;
    else
        (void)reader_take(payload, served_size);
    *ret_status = status;
    return status == TRUC_OK;
}

bool entry_served_next(struct reader *payload, struct entry_view *ret_view, truc_status *ret_status)
{
    return served_next(payload, false, ret_view, ret_status);
}

bool entry_served_peek(struct reader *payload, struct entry_view *ret_view, truc_status *ret_status)
{
    return served_next(payload, true, ret_view, ret_status);
}

static truc_status refuse(truc_status status, const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return status;
}

/* Entry header, leaf and batch tell the same story. */
static truc_status check_agreement(const struct entry_view *view, const struct leaf *leaf, const struct batch_view *batch,
                                   const char **ret_why)
{
    static const uint8_t no_signature[DIGEST_BYTES];

    if (!bytes_equal(leaf->topic, batch->topic))
        return refuse(TRUC_DAMAGED, ret_why, "leaf and batch name different topics");
    if (leaf->record_count != batch->record_count || view->fields.record_count != batch->record_count)
        return refuse(TRUC_DAMAGED, ret_why, "entry, leaf and batch count different records");
    if (view->fields.producer_id != batch->producer_id || view->fields.epoch != batch->epoch ||
        view->fields.first_sequence != batch->first_sequence)
        return refuse(TRUC_DAMAGED, ret_why, "entry and batch name different producers or sequences");
    if (leaf->evidence != EVIDENCE_RECORD && leaf->evidence != EVIDENCE_BATCH)
        return refuse(TRUC_DAMAGED, ret_why, "the leaf's evidence level is unknown");
    if (batch->evidence != EVIDENCE_UNSPECIFIED && (uint8_t)batch->evidence != leaf->evidence)
        return refuse(TRUC_DAMAGED, ret_why, "leaf and batch have different evidence levels");
    if (memcmp(leaf->signature_digest, no_signature, DIGEST_BYTES) != 0)
        return refuse(TRUC_DIGEST_MISMATCH, ret_why, "the leaf has a signature's digest, the batch no signature");
    return TRUC_OK;
}

truc_status entry_prove_head(struct digest_context *context, const struct entry_view *view, struct leaf *ret_leaf,
                             struct batch_view *ret_batch, const char **ret_why)
{
    struct leaf leaf;
    struct batch_view batch;
    uint8_t digest[DIGEST_BYTES];
    bool is_cut = view->flags == ENTRY_FLAG_CUT;

    if (leaf_parse(view->leaf, &leaf) != TRUC_OK)
        return refuse(TRUC_DAMAGED, ret_why, "the leaf is malformed");
    if ((is_cut ? batch_parse_cut : batch_parse)(view->batch, &batch, ret_why) != TRUC_OK)
        return TRUC_DAMAGED;
    truc_status status = check_agreement(view, &leaf, &batch, ret_why);
    if (status != TRUC_OK)
        return status;
    digest_header(context, batch.header, digest);
    if (memcmp(digest, leaf.header_digest, DIGEST_BYTES) != 0)
        return refuse(TRUC_DIGEST_MISMATCH, ret_why, "the batch's header does not match the leaf");
    *ret_leaf = leaf;
    *ret_batch = batch;
    return TRUC_OK;
}

truc_status entry_prove(struct digest_context *context, const struct entry_view *view, struct leaf *ret_leaf,
                        struct batch_view *ret_batch, uint8_t **scratch, size_t *scratch_capacity, struct bytes *ret_raw,
                        const char **ret_why)
{
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw;
    uint8_t digest[DIGEST_BYTES];

    if (view->flags != 0)
        return refuse(TRUC_DAMAGED, ret_why, "the entry is cut, where whole ones are expected");
    truc_status status = entry_prove_head(context, view, &leaf, &batch, ret_why);
    if (status != TRUC_OK)
        return status;
    status = batch_raw(&batch, scratch, scratch_capacity, &raw);
    if (status == TRUC_OK)
        status = batch_root(context, &batch, (enum evidence)leaf.evidence, raw, digest);
    if (status == TRUC_NO_MEMORY)
        return refuse(status, ret_why, "out of memory");
    if (status != TRUC_OK)
        return refuse(TRUC_DAMAGED, ret_why, "the payload cannot be unpacked or split into records");
    if (memcmp(digest, leaf.records_root, DIGEST_BYTES) != 0)
        return refuse(TRUC_DIGEST_MISMATCH, ret_why, "the records do not match the leaf");

    *ret_leaf = leaf;
    *ret_batch = batch;
    *ret_raw = raw;
    return TRUC_OK;
}
