/* fuzz_directory.c: any bytes as a directory: every value of every column can be read. */
#include "proto/directory.h"
#include "tests/fuzz/fuzz_check.h"

static volatile uint64_t sink; /* so that every value is really read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct directory_view view;

    if (directory_parse(bytes_of(data, size), &view) != TRUC_OK)
        return 0;
    check(view.record_count >= 1 && view.record_count <= BATCH_RECORDS_MAX);
    for (uint32_t i = 0; i < view.record_count; i++) {
        for (int c = 0; c < DIRECTORY_COLUMNS; c++)
            sink ^= directory_at(&view, (enum directory_column)c, i);
    }
    return 0;
}
