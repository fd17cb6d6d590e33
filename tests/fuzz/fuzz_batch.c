/* fuzz_batch.c: any bytes as a batch, taken all the way: header, payload, directory, root. */
#include "proto/batch.h"
#include "proto/directory.h"
#include "tests/fuzz/fuzz_check.h"

enum { RAW_BYTES_MAX = 1024 * 1024 }; /* larger ones only cost time */

/* A header of the fields that were found means the same again. */
static void check_rewritten(const struct batch_view *view)
{
    struct batch_header_fields fields = {.topic = view->topic,
                                         .source = view->source,
                                         .system = view->system,
                                         .evidence = view->evidence,
                                         .producer_id = view->producer_id,
                                         .epoch = view->epoch,
                                         .first_sequence = view->first_sequence,
                                         .record_count = view->record_count,
                                         .deliver_at_ns = view->deliver_at_ns,
                                         .conditional = view->conditional,
                                         .expected_offset = view->expected_offset};
    uint8_t out[BATCH_PREFIX_BYTES + BATCH_HEADER_BYTES_MAX + 1];
    struct batch_view again;
    size_t size = batch_header_size(&fields);

    check(size <= view->header.size && BATCH_PREFIX_BYTES + size < sizeof out);
    batch_head_write(out, &fields, CODEC_NONE, 1, 1, view->seed);
    out[BATCH_PREFIX_BYTES + size] = 0;
    check(batch_parse(bytes_of(out, BATCH_PREFIX_BYTES + size + 1), &again, NULL) == TRUC_OK && again.header.size == size);
    check(bytes_equal(again.topic, view->topic) && bytes_equal(again.source, view->source) &&
          bytes_equal(again.system, view->system) && again.evidence == view->evidence && again.producer_id == view->producer_id &&
          again.epoch == view->epoch && again.first_sequence == view->first_sequence && again.record_count == view->record_count &&
          again.deliver_at_ns == view->deliver_at_ns && again.conditional == view->conditional &&
          again.expected_offset == view->expected_offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[HASH_SECRET_BYTES] = {1};
    static struct digest_context *digests;
    struct batch_view view;
    struct bytes raw, directory;
    struct directory_view columns;
    uint8_t *scratch = NULL, *buffer = NULL, root[DIGEST_BYTES];
    size_t scratch_capacity = 0, buffer_capacity = 0;
    const char *why = NULL;

    if (digests == NULL)
        check((digests = digest_context_create()) != NULL);
    if (batch_parse(bytes_of(data, size), &view, &why) != TRUC_OK) {
        check(why != NULL);
        return 0;
    }
    check_rewritten(&view);
    if (view.raw_size > RAW_BYTES_MAX || batch_raw(&view, &scratch, &scratch_capacity, &raw) != TRUC_OK)
        goto done;
    truc_status built = directory_build(secret, raw, view.record_count, RECORD_BYTES_DEFAULT, batch_record_flags(&view), &buffer,
                                        &buffer_capacity, &directory, NULL, NULL);
    truc_status rooted = batch_root(digests, &view, EVIDENCE_RECORD, raw, root);
    check(batch_root(digests, &view, EVIDENCE_BATCH, raw, root) == TRUC_OK);
    if (built == TRUC_OK) {
        check(rooted == TRUC_OK);
        check(directory_parse(directory, &columns) == TRUC_OK && columns.record_count == view.record_count);
    }
done:
    free(scratch);
    free(buffer);
    return 0;
}
