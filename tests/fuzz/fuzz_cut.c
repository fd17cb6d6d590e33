/* fuzz_cut.c: any bytes as the parts of a cut entry, with right checksums, which no fuzzer guesses: u16 leaf size, leaf, the rest
 * is the batch. */
#include "proto/cut.h"
#include "tests/fuzz/fuzz_check.h"

static struct digest_context *digests;

static void prove(const struct entry_view *view)
{
    struct cut_record *records = NULL;
    size_t capacity = 0, count = 0;
    struct leaf leaf;
    struct batch_view batch;
    const char *why = NULL;
    truc_status status = cut_prove(digests, view, &leaf, &batch, &records, &capacity, &count, &why);
    check((status == TRUC_OK) == (why == NULL));
    if (status == TRUC_OK) {
        check(count > 0 && count <= batch.record_count && count <= capacity);
        for (size_t i = 0; i < count; i++)
            check(records[i].index < batch.record_count && (i == 0 || records[i].index > records[i - 1].index));
    }
    free(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_over(bytes_of(data, size));
    struct bytes leaf = reader_take(&r, reader_u16(&r)), batch = reader_take(&r, reader_left(&r));
    struct entry_fields fields = {0};
    struct batch_view parsed;
    struct entry_view view;
    truc_status status;

    if (digests == NULL)
        digests = digest_context_create();
    if (r.failed || leaf.size > LEAF_BYTES_MAX || batch.size > BATCH_BYTES_MAX)
        return 0;
    if (batch_parse_cut(batch, &parsed, NULL) == TRUC_OK)
        fields = (struct entry_fields){.record_count = parsed.record_count,
                                       .producer_id = parsed.producer_id,
                                       .epoch = parsed.epoch,
                                       .first_sequence = parsed.first_sequence};
    size_t entry_bytes = entry_size(leaf.size, batch.size, 0);
    uint8_t *entry = malloc(entry_bytes);
    check(entry != NULL);
    entry_write_cut(entry, &fields, leaf, batch);
    struct reader served = reader_over(bytes_of(entry, entry_bytes));
    check(entry_served_next(&served, &view, &status) && view.cut);
    prove(&view);
    free(entry);
    return 0;
}
