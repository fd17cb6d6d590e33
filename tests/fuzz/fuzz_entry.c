/* fuzz_entry.c: any bytes as a stored entry, as served entries, and (with right checksums, which no fuzzer guesses) as the parts of
 * one: u16 leaf size, u16 batch size, leaf, batch, the rest is the directory. */
#include "proto/entry.h"
#include "tests/fuzz/fuzz_check.h"

static struct digest_context *digests;

static void prove(const struct entry_view *view)
{
    struct leaf leaf;
    struct batch_view batch;
    struct bytes raw;
    uint8_t *scratch = NULL;
    size_t capacity = 0;
    const char *why = NULL;
    truc_status status = entry_prove(digests, view, &leaf, &batch, &scratch, &capacity, &raw, &why);
    check((status == TRUC_OK) == (why == NULL));
    free(scratch);
}

static void as_it_is(struct bytes bytes)
{
    struct reader served = reader_over(bytes);
    struct entry_view view;
    truc_status status;

    if (entry_parse(bytes, &view) == TRUC_OK) {
        check(view.entry_size <= bytes.size);
        if (entry_directory_check(&view) == TRUC_OK)
            prove(&view);
    }
    while (entry_served_next(&served, &view, &status))
        prove(&view);
}

static void as_parts(struct bytes bytes)
{
    struct reader r = reader_over(bytes);
    size_t leaf_bytes = reader_u16(&r), batch_bytes = reader_u16(&r);
    struct bytes leaf = reader_take(&r, leaf_bytes), batch = reader_take(&r, batch_bytes);
    struct bytes directory = reader_take(&r, reader_left(&r));
    struct entry_fields fields = {0};
    struct batch_view parsed;
    struct entry_view view;

    if (r.failed || leaf.size > LEAF_BYTES_MAX)
        return;
    if (batch_parse(batch, &parsed, NULL) == TRUC_OK)
        fields = (struct entry_fields){.record_count = parsed.record_count,
                                       .producer_id = parsed.producer_id,
                                       .epoch = parsed.epoch,
                                       .first_sequence = parsed.first_sequence};
    size_t size = entry_size(leaf.size, batch.size, directory.size);
    uint8_t *entry = malloc(size);
    check(entry != NULL);
    entry_write(entry, &fields, leaf, batch, directory);
    check(entry_parse(bytes_of(entry, size), &view) == TRUC_OK && entry_directory_check(&view) == TRUC_OK);
    check(bytes_equal(view.leaf, leaf) && bytes_equal(view.batch, batch) && bytes_equal(view.directory, directory));
    prove(&view);
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
