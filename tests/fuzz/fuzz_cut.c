/* fuzz_cut.c: any bytes as served entries of which some are cut, and (with right checksums and the header's digest, which no fuzzer
 * guesses) as the parts of a cut one: u16 leaf size, leaf, the rest is the batch. */
#include "proto/cut.h"
#include "tests/fuzz/fuzz_check.h"

static struct digest_context *digests;

static void prove(const struct entry_view *view)
{
    struct leaf leaf;
    struct batch_view batch;
    struct cut_record *records = NULL;
    size_t capacity = 0, count;
    const char *why = NULL;
    truc_status status = cut_prove(digests, view, &leaf, &batch, &records, &capacity, &count, &why);

    check((status == TRUC_OK) == (why == NULL));
    check(capacity <= view->batch.size / 24); /* memory for what came, not for what is said to come */
    if (status == TRUC_OK) {
        check(entry_is_cut(view) && count > 0 && count <= leaf.record_count);
        for (size_t i = 0; i < count; i++)
            check(records[i].index < leaf.record_count && (i == 0 || records[i - 1].index < records[i].index));
    }
    free(records);
}

static void as_it_is(struct bytes bytes)
{
    struct reader served = reader_over(bytes);
    struct entry_view view;
    truc_status status;

    while (entry_served_next(&served, &view, &status))
        prove(&view);
}

static void as_parts(struct bytes bytes)
{
    struct reader r = reader_over(bytes);
    size_t leaf_bytes = reader_u16(&r);
    struct bytes leaf = reader_take(&r, leaf_bytes), batch = reader_take(&r, reader_left(&r));
    struct entry_fields fields = {0};
    struct batch_view parsed;
    struct leaf parsed_leaf;
    struct entry_view view;
    truc_status status;

    if (r.failed || leaf.size > LEAF_BYTES_MAX)
        return;
    size_t size = entry_served_size(leaf.size, batch.size);
    uint8_t *entry = malloc(size), *leaf_copy = malloc(leaf.size + 1);
    check(entry != NULL && leaf_copy != NULL);
    memcpy(leaf_copy, leaf.data, leaf.size);
    leaf.data = leaf_copy;
    if (batch_parse_cut(batch, &parsed, NULL) == TRUC_OK) {
        fields = (struct entry_fields){.record_count = parsed.record_count,
                                       .producer_id = parsed.producer_id,
                                       .epoch = parsed.epoch,
                                       .first_sequence = parsed.first_sequence};
        if (leaf_parse(leaf, &parsed_leaf) == TRUC_OK) {
            digest_header(digests, parsed.header, parsed_leaf.header_digest);
            leaf_write(&parsed_leaf, leaf_copy);
        }
    }
    memcpy(entry_batch_at(entry, leaf.size), batch.data, batch.size);
    entry_write_cut(entry, &fields, leaf, batch.size);
    struct reader served = reader_over(bytes_of(entry, size));
    check(entry_served_next(&served, &view, &status) && reader_left(&served) == 0);
    check(bytes_equal(view.leaf, leaf) && bytes_equal(view.batch, batch));
    prove(&view);
    free(leaf_copy);
    free(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (digests == NULL)
        check((digests = digest_context_create()) != NULL);
    as_it_is(bytes_of(data, size));
    as_parts(bytes_of(data, size));
    return 0;
}
