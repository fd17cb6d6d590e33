/* fuzz_batch.c: any bytes as a batch, taken all the way: header, payload, directory, root. */
#include "proto/batch.h"
#include "proto/directory.h"
#include "tests/fuzz/fuzz_check.h"

enum { RAW_BYTES_MAX = 1024 * 1024 }; /* larger ones only cost time */

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
    if (view.raw_size > RAW_BYTES_MAX || batch_raw(&view, &scratch, &scratch_capacity, &raw) != TRUC_OK)
        goto done;
    truc_status built =
        directory_build(secret, raw, view.record_count, RECORD_BYTES_DEFAULT, &buffer, &buffer_capacity, &directory, NULL, NULL);
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
