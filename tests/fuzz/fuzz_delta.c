/* fuzz_delta.c: any bytes as the deltas of a block. What is read is written back to the same bytes. */
#include "proto/catalog.h"
#include "tests/fuzz/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader deltas = reader_over(bytes_of(data, size));
    struct delta delta;
    truc_status status = TRUC_OK;
    const uint8_t *before = deltas.at;

    while (delta_next(&deltas, &delta, &status)) {
        uint8_t out[DELTA_BYTES_MAX];
        size_t written = delta_write(out, &delta);
        check(written == (size_t)(deltas.at - before) && memcmp(out, before, written) == 0);
        before = deltas.at;
    }
    check(status == TRUC_OK || status == TRUC_DAMAGED);
    return 0;
}
