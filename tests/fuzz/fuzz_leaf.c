/* fuzz_leaf.c: any bytes as a leaf. The layout is canonical: what is read is written back to the same bytes. */
#include "proto/leaf.h"
#include "tests/fuzz/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leaf leaf;
    uint8_t out[LEAF_BYTES_MAX];

    if (leaf_parse(bytes_of(data, size), &leaf) != TRUC_OK)
        return 0;
    leaf_write(&leaf, out);
    check(size == leaf_size(leaf.topic.size) && memcmp(out, data, size) == 0);
    return 0;
}
