/* cut_test_kit.c: entries of random records, and their trees straight from the definition. */
#include "proto/cut_test_kit.h"

#include "proto/record.h"

#include <stdlib.h>

struct random source;

void *need(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    assert_non_null(memory);
    return memory;
}

static size_t make_payload(struct whole *w, size_t record_bytes)
{
    uint8_t *at = w->payload;
    for (uint32_t i = 0; i < w->count; i++) {
        size_t size = random_below(&source, record_bytes + 1);
        at = varint_put(at, size);
        random_fill(&source, at, size);
        memset(at, 'a', size / 2); /* something to compress */
        w->records[i] = bytes_of(at, size);
        at += size;
    }
    return (size_t)(at - w->payload);
}

/* The tree once more, straight from its definition. */
static void make_model(struct whole *w, const uint8_t seed[SALT_SEED_BYTES])
{
    static const uint8_t record_tag = 0, node_tag = 2;

    w->salts = need((size_t)w->count * SALT_BYTES);
    digest_salts(w->digests, seed, w->count, w->salts);
    w->widths[0] = w->count;
    w->levels[0] = need((size_t)w->count * DIGEST_BYTES);
    for (uint32_t i = 0; i < w->count; i++) {
        struct bytes parts[] = {bytes_of(&record_tag, 1), bytes_of(w->salts + (size_t)i * SALT_BYTES, SALT_BYTES), w->records[i]};
        digest_parts(w->digests, parts, 3, w->levels[0] + (size_t)i * DIGEST_BYTES);
    }
    for (w->height = 0; w->widths[w->height] > 1; w->height++) {
        size_t below = w->widths[w->height], width = (below + 15) / 16;
        w->widths[w->height + 1] = width;
        w->levels[w->height + 1] = need(width * DIGEST_BYTES);
        for (size_t i = 0; i < width; i++) {
            size_t children = below - 16 * i < 16 ? below - 16 * i : 16;
            struct bytes parts[] = {bytes_of(&node_tag, 1),
                                    bytes_of(w->levels[w->height] + 16 * i * DIGEST_BYTES, children * DIGEST_BYTES)};
            digest_parts(w->digests, parts, 2, w->levels[w->height + 1] + i * DIGEST_BYTES);
        }
    }
}

void whole_init(struct whole *w, uint32_t count, size_t record_bytes, enum codec codec, enum evidence evidence)
{
    struct batch_header_fields fields = {.topic = bytes_of_text("a.b"),
                                         .source = bytes_of_text("H26"),
                                         .system = bytes_of_text("x"),
                                         .producer_id = 5,
                                         .epoch = 2,
                                         .first_sequence = 9,
                                         .record_count = count};
    struct entry_fields entry_fields = {.topic_id = 4, .record_count = count, .epoch = 2, .producer_id = 5, .first_sequence = 9};
    struct leaf leaf = {.evidence = (uint8_t)evidence, .record_count = count, .position = 1, .base_offset = 2, .append_time_ns = 3};
    uint8_t seed[SALT_SEED_BYTES], encoded[LEAF_BYTES_MAX];
    struct batch_view view;
    struct bytes raw;

    *w = (struct whole){.count = count, .digests = digest_context_create()};
    assert_non_null(w->digests);
    w->records = need(count * sizeof *w->records);
    w->payload = need(count * (record_bytes + 10) + 1);
    raw = bytes_of(w->payload, make_payload(w, record_bytes));
    random_fill(&source, seed, sizeof seed);
    make_model(w, seed);

    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), bound = codec_bound(codec, raw.size), stored;
    uint8_t *batch = need(head + bound);
    assert_status(codec_pack(codec, raw, batch + head, bound, &stored), TRUC_OK);
    batch_head_write(batch, &fields, codec, (uint32_t)stored, (uint32_t)raw.size, seed);
    assert_status(batch_parse(bytes_of(batch, head + stored), &view, NULL), TRUC_OK);
    leaf.topic = fields.topic;
    digest_header(w->digests, view.header, leaf.header_digest);
    assert_status(batch_root(w->digests, &view, evidence, raw, leaf.records_root), TRUC_OK);
    if (evidence == EVIDENCE_RECORD)
        assert_memory_equal(leaf.records_root, w->levels[w->height], DIGEST_BYTES);
    leaf_write(&leaf, encoded);
    size_t leaf_bytes = leaf_size(leaf.topic.size), size = entry_size(leaf_bytes, head + stored, 0);
    w->entry = need(size);
    entry_write(w->entry, &entry_fields, bytes_of(encoded, leaf_bytes), bytes_of(batch, head + stored), bytes_of(NULL, 0));
    assert_status(entry_parse(bytes_of(w->entry, size), &w->view), TRUC_OK);
    free(batch);
}

void whole_fini(struct whole *w)
{
    for (size_t i = 0; i < TREE_LEVELS; i++)
        free(w->levels[i]);
    free(w->salts);
    free(w->records);
    free(w->payload);
    free(w->entry);
    digest_context_destroy(w->digests);
}

truc_status prove(struct digest_context *digests, struct bytes part, struct proven *p)
{
    struct reader payload = reader_over(part);
    truc_status status;

    p->why = NULL;
    if (!entry_served_next(&payload, &p->view, &status))
        return status;
    assert_int_equal(reader_left(&payload), 0);
    status = cut_prove(digests, &p->view, &p->leaf, &p->batch, &p->records, &p->capacity, &p->count, &p->why);
    assert_true((status == TRUC_OK) == (p->why == NULL));
    return status;
}

struct bytes cut(struct cutter *cutter, const uint32_t *indexes, size_t count)
{
    size_t size = cutter_size(cutter, indexes, count);
    uint8_t *out = need(size); /* exact, so that a sanitizer sees what is written beyond */
    memset(out, 0xee, size);
    cutter_write(cutter, indexes, count, out);
    return bytes_of(out, size);
}
