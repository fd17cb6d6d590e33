/* fuzz_check.h: what a fuzz target states about its input. Layer: tests. */
#ifndef TRUC_FUZZ_CHECK_H
#define TRUC_FUZZ_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops, which libFuzzer and the regression runner both notice, when what must hold does not. */
static inline void check(int holds)
{
    if (!holds)
        abort();
}

#endif
